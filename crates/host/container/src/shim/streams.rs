//! The standard streams of one container: its log, and the clients attached to it.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use maru_time::{Clock as _, SystemClock};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{read, write};

use super::complain;
use crate::log::{LogWriter, Stream};

/// Read at once from a stream.
const READ_BYTES: usize = 32 * 1024;
/// What may wait for one attached client; one that is slower is let go.
const ATTACH_BYTES_MAX: usize = 1024 * 1024;
/// Read at once from an attached client.
const INPUT_BYTES: usize = 4096;

/// The shim's ends of a container's streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Standard output (or the terminal) and standard error, until they end.
    pub(super) outputs: [Option<OwnedFd>; 2],
    /// Standard input (or the terminal), until it is closed.
    pub(super) input: Option<OwnedFd>,
    pub(super) log: Option<LogWriter>,
    pub(super) attached: Vec<Attached>,
    /// Input that the container has not taken yet; nothing more is read from clients meanwhile.
    pending_input: Vec<u8>,
    pub(super) tty: bool,
    /// Whether clients may give input; a terminal's descriptor is there in any case.
    stdin: bool,
    stdin_once: bool,
}

/// A client that sees the output.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) connection: u64,
    pub(super) outputs: [Option<OwnedFd>; 2],
    pub(super) input: Option<OwnedFd>,
    pending: [Vec<u8>; 2],
    /// Streams that end once what is pending was taken.
    ending: [bool; 2],
}

/// Something of a container that poll waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Output(Stream),
    InputReady,
    ClientOutput(u64, Stream),
    ClientInput(u64),
}

const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

impl Streams {
    /// Returns streams that are not there yet.
    pub(super) fn new(tty: bool, stdin: bool, stdin_once: bool) -> Self {
        Self { tty, stdin, stdin_once, ..Self::default() }
    }

    /// Takes the shim's side of the terminal.
    pub(super) fn set_terminal(&mut self, terminal: OwnedFd) {
        if let Err(error) = set_nonblocking(&terminal) {
            complain(&format!("terminal: {error}"));
        }
        self.input = terminal.try_clone().ok();
        self.outputs = [Some(terminal), None];
    }

    /// Lists what to wait for: readable or writable.
    pub(super) fn interests(&self) -> Vec<(BorrowedFd<'_>, Part, bool)> {
        let mut all = Vec::new();
        for stream in STREAMS {
            if let Some(output) = &self.outputs[stream.index()] {
                all.push((output.as_fd(), Part::Output(stream), false));
            }
        }
        if let Some(input) = &self.input
            && !self.pending_input.is_empty()
        {
            all.push((input.as_fd(), Part::InputReady, true));
        }
        for client in &self.attached {
            for stream in STREAMS {
                if let Some(output) = &client.outputs[stream.index()]
                    && !client.pending[stream.index()].is_empty()
                {
                    all.push((output.as_fd(), Part::ClientOutput(client.connection, stream), true));
                }
            }
            if let Some(input) = &client.input
                && self.pending_input.is_empty()
            {
                all.push((input.as_fd(), Part::ClientInput(client.connection), false));
            }
        }
        all
    }

    /// Does what a ready part permits.
    pub(super) fn ready(&mut self, part: Part) {
        match part {
            Part::Output(stream) => {
                self.pump(stream);
            }
            Part::InputReady => self.push_input(),
            Part::ClientOutput(connection, stream) => {
                if let Some(client) = self.attached.iter_mut().find(|client| client.connection == connection) {
                    client.flush(stream);
                }
            }
            Part::ClientInput(connection) => self.take_input(connection),
        }
    }

    /// Moves what can be read at once; false when the stream gave nothing or ended.
    fn pump(&mut self, stream: Stream) -> bool {
        let Some(output) = &self.outputs[stream.index()] else { return false };
        let mut buffer = [0; READ_BYTES];
        match read(output, &mut buffer) {
            Err(Errno::EAGAIN | Errno::EINTR) => false,
            // A terminal without a program answers EIO.
            Ok(0) | Err(_) => {
                self.end(stream);
                false
            }
            Ok(count) => {
                let bytes = buffer.get(..count).unwrap_or(&buffer);
                if let Some(log) = &mut self.log
                    && let Err(error) = log.feed(stream, bytes, SystemClock.now())
                {
                    complain(&format!("log output is lost: {error}"));
                }
                for client in &mut self.attached {
                    client.send(stream, bytes);
                }
                true
            }
        }
    }

    /// Moves everything that is there: the container's processes are gone.
    pub(super) fn drain(&mut self) {
        for stream in STREAMS {
            while self.pump(stream) {}
        }
    }

    fn end(&mut self, stream: Stream) {
        self.outputs[stream.index()] = None;
        if let Some(log) = &mut self.log
            && let Err(error) = log.finish(stream, SystemClock.now())
        {
            complain(&format!("log output is lost: {error}"));
        }
        for client in &mut self.attached {
            client.finish(stream);
        }
    }

    /// Adds a client: descriptors for output and errors, and maybe one for input.
    pub(super) fn attach(&mut self, connection: u64, descriptors: Vec<OwnedFd>) -> Result<bool, String> {
        for descriptor in &descriptors {
            set_nonblocking(descriptor).map_err(|error| error.to_string())?;
        }
        let mut descriptors = descriptors.into_iter();
        let outputs = [descriptors.next(), descriptors.next()];
        if outputs.iter().any(Option::is_none) {
            return Err("two descriptors for the output are missing".to_owned());
        }
        let input = descriptors.next().filter(|_| self.stdin && self.input.is_some());
        let has_input = input.is_some();
        self.attached.push(Attached {
            connection,
            outputs,
            input,
            pending: [Vec::new(), Vec::new()],
            ending: [false, false],
        });
        Ok(has_input)
    }

    /// Lets a client go.
    pub(super) fn detach(&mut self, connection: u64) {
        let Some(place) = self.attached.iter().position(|client| client.connection == connection) else { return };
        let had_input = self.attached.remove(place).input.is_some();
        if had_input && self.stdin_once {
            self.close_input();
        }
    }

    fn take_input(&mut self, connection: u64) {
        let Some(client) = self.attached.iter_mut().find(|client| client.connection == connection) else { return };
        let Some(input) = &client.input else { return };
        let mut buffer = [0; INPUT_BYTES];
        match read(input, &mut buffer) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Ok(0) | Err(_) => {
                client.input = None;
                if self.stdin_once {
                    self.close_input();
                }
            }
            Ok(count) => {
                self.pending_input.extend_from_slice(buffer.get(..count).unwrap_or(&buffer));
                self.push_input();
            }
        }
    }

    fn push_input(&mut self) {
        let Some(input) = &self.input else {
            self.pending_input.clear();
            return;
        };
        match write(input, &self.pending_input) {
            Ok(count) => drop(self.pending_input.drain(..count)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.close_input(),
        }
    }

    /// Closes standard input for good. A terminal stays open: its end of file is a character.
    fn close_input(&mut self) {
        self.pending_input.clear();
        if !self.tty {
            self.input = None;
        }
    }
}

impl Attached {
    fn send(&mut self, stream: Stream, bytes: &[u8]) {
        let pending = &mut self.pending[stream.index()];
        if self.outputs[stream.index()].is_none() {
            return;
        }
        if pending.len() + bytes.len() > ATTACH_BYTES_MAX {
            complain("an attached client is too slow and is let go");
            self.outputs = [None, None];
            return;
        }
        pending.extend_from_slice(bytes);
        self.flush(stream);
    }

    fn flush(&mut self, stream: Stream) {
        let Some(output) = &self.outputs[stream.index()] else { return };
        match write(output, &self.pending[stream.index()]) {
            Ok(count) => drop(self.pending[stream.index()].drain(..count)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.outputs[stream.index()] = None,
        }
        if self.ending[stream.index()] && self.pending[stream.index()].is_empty() {
            self.outputs[stream.index()] = None;
        }
    }

    /// Closes the stream once the client has taken what is pending.
    fn finish(&mut self, stream: Stream) {
        self.ending[stream.index()] = true;
        self.flush(stream);
    }
}

/// Makes reads and writes return at once.
pub(super) fn set_nonblocking(descriptor: &OwnedFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(descriptor, FcntlArg::F_GETFL)?);
    fcntl(descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
