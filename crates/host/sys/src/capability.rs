//! Capability sets of the calling thread: capget(2), capset(2), prctl(2).

use std::io;

/// Version 3 of the interface: two words of 32 bits each.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Word {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The sets of a thread; bit n is the capability with number n.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    /// Checked by the kernel.
    pub effective: u64,
    /// Most that may become effective.
    pub permitted: u64,
    /// Kept across execve for files that name them.
    pub inheritable: u64,
}

/// Returns the sets of the calling thread.
///
/// # Errors
/// When the kernel does not know version 3 of the interface.
pub fn read_capabilities() -> io::Result<CapabilitySets> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut words = [Word::default(); 2];
    // SAFETY: both pointers are to live values of the layout that version 3 asks for (one header, two words); the kernel
    // writes only there and keeps neither.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let join = |part: fn(&Word) -> u32| u64::from(part(&words[0])) | (u64::from(part(&words[1])) << 32);
    Ok(CapabilitySets {
        effective: join(|word| word.effective),
        permitted: join(|word| word.permitted),
        inheritable: join(|word| word.inheritable),
    })
}

/// Sets the sets of the calling thread.
///
/// # Errors
/// When a set grows beyond what the kernel permits.
pub fn set_capabilities(sets: CapabilitySets) -> io::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let low = |set: u64| u32::try_from(set & 0xffff_ffff).unwrap_or(u32::MAX);
    let high = |set: u64| u32::try_from(set >> 32).unwrap_or(u32::MAX);
    let words = [
        Word { effective: low(sets.effective), permitted: low(sets.permitted), inheritable: low(sets.inheritable) },
        Word { effective: high(sets.effective), permitted: high(sets.permitted), inheritable: high(sets.inheritable) },
    ];
    // SAFETY: both pointers are to live values of the layout that version 3 asks for; the kernel only reads the words.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, words.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Tells whether the bounding set holds a capability; false also when the kernel does not know it.
#[must_use]
pub fn has_bounding(capability: u32) -> bool {
    prctl(libc::PR_CAPBSET_READ, u64::from(capability), 0).is_ok_and(|answer| answer == 1)
}

/// Takes a capability out of the bounding set, for good.
///
/// # Errors
/// Without CAP_SETPCAP, or when the kernel does not know the capability.
pub fn drop_bounding(capability: u32) -> io::Result<()> {
    prctl(libc::PR_CAPBSET_DROP, u64::from(capability), 0).map(|_| ())
}

/// Empties the ambient set.
///
/// # Errors
/// Before Linux 4.3.
pub fn clear_ambient() -> io::Result<()> {
    prctl(libc::PR_CAP_AMBIENT, u64::from(libc::PR_CAP_AMBIENT_CLEAR_ALL.unsigned_abs()), 0).map(|_| ())
}

/// Adds a capability, which must be permitted and inheritable, to the ambient set.
///
/// # Errors
/// When it is not.
pub fn raise_ambient(capability: u32) -> io::Result<()> {
    prctl(libc::PR_CAP_AMBIENT, u64::from(libc::PR_CAP_AMBIENT_RAISE.unsigned_abs()), u64::from(capability)).map(|_| ())
}

fn prctl(operation: libc::c_int, second: u64, third: u64) -> io::Result<libc::c_int> {
    // SAFETY: the operations used in this file take numbers only, no pointers; unused arguments are zero as some demand.
    let result = unsafe { libc::prctl(operation, second, third, 0u64, 0u64) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effective_capabilities_are_permitted() {
        let sets = read_capabilities().unwrap();
        assert_eq!(sets.effective & !sets.permitted, 0);
        set_capabilities(sets).unwrap();
        assert_eq!(read_capabilities().unwrap(), sets);
    }

    #[test]
    fn an_unknown_capability_is_not_in_the_bounding_set() {
        assert!(!has_bounding(63));
    }
}
