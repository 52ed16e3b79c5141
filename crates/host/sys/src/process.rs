//! Processes: fork, signal dispositions, resource limits.

use std::io;

/// Which of the two processes returns from a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forked {
    /// The one that called.
    Parent {
        /// Process id of the other.
        child: i32,
    },
    /// The new one.
    Child,
}

/// Forks this process, which must have one thread.
///
/// # Errors
/// When there are several threads, or the kernel refuses.
pub fn fork_single_threaded() -> io::Result<Forked> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("a process with several threads cannot be forked safely"));
    }
    // SAFETY: the process has one thread (checked above, and only that thread could start another one), so that the child
    // inherits no lock held by a thread that does not exist there.
    match unsafe { libc::fork() } {
        0 => Ok(Forked::Child),
        child if child > 0 => Ok(Forked::Parent { child }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The kernel's form of a signal's disposition.
#[repr(C)]
#[derive(Default)]
struct KernelAction {
    handler: usize,
    flags: usize,
    restorer: usize,
    mask: u64,
}

/// Gives every signal its default disposition and unblocks all of them, as a program expects at its start. Rust programs ignore
/// SIGPIPE, which execve would hand on.
pub fn reset_signals() {
    let default = KernelAction::default();
    for signal in 1..=64 {
        // The C library refuses its own two signals, which a parent may have left ignored: hence the system call itself.
        // SAFETY: the pointer is to a live action whose handler is SIG_DFL (0), which runs no code of ours; the old one is not
        // asked for; 8 is the size of the kernel's signal set. SIGKILL and SIGSTOP answer EINVAL, which is fine.
        unsafe {
            libc::syscall(libc::SYS_rt_sigaction, signal, &raw const default, std::ptr::null_mut::<KernelAction>(), 8)
        };
    }
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the pointer is to a writable sigset_t, which the call initializes.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: the set was initialized above and lives until after the call; the old mask is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut()) };
}

/// Sends a signal by number, real-time signals included, to one process. One that is gone is no error.
///
/// # Errors
/// When there is no such signal, or without permission.
pub fn send_signal(pid: i32, signal: i32) -> io::Result<()> {
    if pid <= 0 || !(1..=64).contains(&signal) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("no process {pid} or signal {signal}")));
    }
    // SAFETY: takes two numbers and touches no memory; the number names one process, no group.
    if unsafe { libc::kill(pid, signal) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ESRCH) { Ok(()) } else { Err(error) }
}

/// A resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimit {
    /// In force.
    pub soft: u64,
    /// Most that may be set without CAP_SYS_RESOURCE.
    pub hard: u64,
}

/// Returns this process's limit of a kind named as in `RLIMIT_NOFILE`; `None` when there is no such kind.
#[must_use]
pub fn resource_limit(kind: &str) -> Option<ResourceLimit> {
    let resource = match kind {
        "RLIMIT_AS" => libc::RLIMIT_AS,
        "RLIMIT_CORE" => libc::RLIMIT_CORE,
        "RLIMIT_CPU" => libc::RLIMIT_CPU,
        "RLIMIT_DATA" => libc::RLIMIT_DATA,
        "RLIMIT_FSIZE" => libc::RLIMIT_FSIZE,
        "RLIMIT_LOCKS" => libc::RLIMIT_LOCKS,
        "RLIMIT_MEMLOCK" => libc::RLIMIT_MEMLOCK,
        "RLIMIT_MSGQUEUE" => libc::RLIMIT_MSGQUEUE,
        "RLIMIT_NICE" => libc::RLIMIT_NICE,
        "RLIMIT_NOFILE" => libc::RLIMIT_NOFILE,
        "RLIMIT_NPROC" => libc::RLIMIT_NPROC,
        "RLIMIT_RSS" => libc::RLIMIT_RSS,
        "RLIMIT_RTPRIO" => libc::RLIMIT_RTPRIO,
        "RLIMIT_RTTIME" => libc::RLIMIT_RTTIME,
        "RLIMIT_SIGPENDING" => libc::RLIMIT_SIGPENDING,
        "RLIMIT_STACK" => libc::RLIMIT_STACK,
        _ => return None,
    };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to one writable rlimit, which lives until after the call.
    let result = unsafe { libc::getrlimit(resource, &raw mut limit) };
    (result == 0).then_some(ResourceLimit { soft: limit.rlim_cur, hard: limit.rlim_max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_known_by_name() {
        let limit = resource_limit("RLIMIT_NOFILE").unwrap();
        assert!(limit.soft > 0 && limit.soft <= limit.hard);
        assert_eq!(resource_limit("RLIMIT_NONE"), None);
    }

    #[test]
    fn forking_with_several_threads_is_refused() {
        // The test runner has a main thread besides this one.
        assert!(fork_single_threaded().is_err());
    }
}
