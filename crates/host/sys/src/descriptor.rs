//! Descriptors by number and terminals.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Mutex;

/// Numbers already given out by `adopt_descriptor`: a second owner would close it twice.
static ADOPTED: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// Takes ownership of a descriptor that the parent process passed by number, and marks it close-on-exec.
///
/// Meant for the start of a helper process whose arguments name descriptors. The standard streams and a number adopted before
/// are refused.
///
/// # Errors
/// When there is no such descriptor or it has an owner.
pub fn adopt_descriptor(number: RawFd) -> io::Result<OwnedFd> {
    let mut adopted = ADOPTED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if number <= 2 || adopted.contains(&number) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("descriptor {number} has an owner")));
    }
    // SAFETY: F_SETFD takes a number and touches no memory; a closed descriptor answers EBADF.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    adopted.push(number);
    // SAFETY: the descriptor is open (fcntl succeeded), came from outside of this program's own objects by contract, and is
    // adopted once only, so that this is its single owner.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Sets the size of a terminal; the programs in its foreground get SIGWINCH.
///
/// # Errors
/// When the descriptor is no terminal.
pub fn set_terminal_size(terminal: impl AsFd, columns: u16, rows: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is borrowed and open; TIOCSWINSZ only reads one winsize, which lives until after the call.
    let result = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Returns the columns and rows of a terminal; nothing when the descriptor is none.
#[must_use]
pub fn terminal_size(terminal: impl AsFd) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is borrowed and open; TIOCGWINSZ writes one winsize, which lives until after the call.
    let result = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (result == 0).then_some((size.ws_col, size.ws_row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;

    #[test]
    fn a_descriptor_is_adopted_once() {
        let raw = std::fs::File::open("/dev/null").unwrap().into_raw_fd();
        let owned = adopt_descriptor(raw).unwrap();
        assert_eq!(owned.as_raw_fd(), raw);
        assert!(adopt_descriptor(raw).is_err());
        assert!(adopt_descriptor(1).is_err());
    }

    #[test]
    fn a_file_is_no_terminal() {
        assert!(set_terminal_size(std::fs::File::open("/dev/null").unwrap(), 80, 24).is_err());
    }
}
