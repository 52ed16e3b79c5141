//! The daemon's end of one connection to a shim.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use maru_sys::AsyncDescriptor;
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use crate::error::ShimError;
use crate::protocol::{PACKET_BYTES_MAX, Request, Response, SOCKET, VERSION, VERSION_MIN};

/// A connection whose greeting was exchanged.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: AsyncDescriptor,
}

impl Connection {
    /// Connects to the shim of a pod's directory.
    pub(crate) async fn open(directory: &Path) -> Result<Self, ShimError> {
        let gone = |source| ShimError::Gone { socket: directory.join(SOCKET), source };
        let socket = connect_to(directory).map_err(gone)?;
        let mut connection = Self { socket: AsyncDescriptor::new(socket).map_err(gone)? };
        match connection.receive("greeting").await?.0 {
            Response::Hello { version, .. } if (VERSION_MIN..=VERSION).contains(&version) => Ok(connection),
            Response::Hello { version, .. } => Err(ShimError::Version { version, known: VERSION }),
            other => Err(ShimError::Protocol { message: format!("{other:?} instead of a greeting") }),
        }
    }

    /// Sends a request with descriptors beside it.
    pub(crate) async fn send(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Result<(), ShimError> {
        let packet = serde_json::to_vec(request).map_err(|error| ShimError::Protocol { message: error.to_string() })?;
        let sent = self
            .socket
            .async_io(tokio::io::Interest::WRITABLE, |socket| maru_sys::send_packet(socket, &packet, descriptors));
        sent.await.map_err(|_| ShimError::Disconnected { doing: "sending a request" })
    }

    /// Waits for the next message and the descriptors beside it. Cancel safe.
    pub(crate) async fn receive(&mut self, doing: &'static str) -> Result<(Response, Vec<OwnedFd>), ShimError> {
        let received = self.socket.async_io(tokio::io::Interest::READABLE, |socket| {
            let mut buffer = vec![0; PACKET_BYTES_MAX];
            let (count, descriptors) = maru_sys::receive_packet(socket, &mut buffer)?;
            buffer.truncate(count);
            Ok((buffer, descriptors))
        });
        let (packet, descriptors) = received.await.map_err(|_| ShimError::Disconnected { doing })?;
        if packet.is_empty() {
            return Err(ShimError::Disconnected { doing });
        }
        let response =
            serde_json::from_slice(&packet).map_err(|error| ShimError::Protocol { message: error.to_string() })?;
        Ok((response, descriptors))
    }
}

/// Tells whether a shim accepts connections.
pub(crate) fn is_alive(directory: &Path) -> bool {
    connect_to(directory).is_ok()
}

/// Connects through a descriptor of the directory: the path of a socket is limited to 107 bytes, that of a directory is not.
fn connect_to(directory: &Path) -> io::Result<OwnedFd> {
    let opened = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(directory)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    let path = format!("/proc/self/fd/{}/{SOCKET}", opened.as_raw_fd());
    match connect(socket.as_raw_fd(), &UnixAddr::new(path.as_str())?) {
        Ok(()) => Ok(socket),
        // The queue of a shim that does not accept is full.
        Err(Errno::EAGAIN) => Err(io::ErrorKind::TimedOut.into()),
        Err(error) => Err(error.into()),
    }
}
