//! Seccomp filters: seccomp(2).

use std::io;

/// One instruction of a classic BPF program.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BpfInstruction {
    /// Operation.
    pub code: u16,
    /// Jump when true.
    pub jump_true: u8,
    /// Jump when false.
    pub jump_false: u8,
    /// Operand.
    pub operand: u32,
}

#[repr(C)]
struct Program {
    length: libc::c_ushort,
    instructions: *const BpfInstruction,
}

/// Installs a filter for the calling thread and all that it will start. It can never be removed.
///
/// # Errors
/// Without CAP_SYS_ADMIN unless the thread has no-new-privileges set; when the program is empty, too long or malformed.
pub fn install_seccomp_filter(instructions: &[BpfInstruction]) -> io::Result<()> {
    let length = libc::c_ushort::try_from(instructions.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the filter has more than 65535 instructions"))?;
    let program = Program { length, instructions: instructions.as_ptr() };
    // SAFETY: the program points to `length` instructions of the layout of sock_filter, which live until after the call; the
    // kernel copies and verifies them.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_filter_is_refused() {
        assert!(install_seccomp_filter(&[]).is_err());
    }
}
