//! The shim's state and its poll loop.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use maru_time::{Clock as _, SystemClock, Timestamp};
use nix::errno::Errno;
use nix::fcntl::Flock;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};

use super::complain;
use super::ending::{Ending, Removal};
use super::operation::{Operation, Purpose};
use super::streams::{Part, Streams};
use crate::cgroup::Cgroup;
use crate::protocol::{CONTAINERS, PACKET_BYTES_MAX, Response, STATE, ShimSetup, VERSION};
use crate::status::{ContainerId, ContainerPhase, ContainerState, ExitStatus, Started};

/// How long the loop sleeps while something has to be tried again.
const RETRY_MILLIS: u8 = 10;
/// How long the loop sleeps at most while helpers are under way, to see their deadlines.
const DEADLINE_MILLIS: u16 = 1000;
/// Most clients at once.
const CONNECTIONS_MAX: usize = 256;

/// What the shim works with.
#[derive(Debug)]
pub(super) struct Resources {
    pub(super) listener: UnixListener,
    pub(super) signals: SignalFd,
    /// Held for the shim's life.
    pub(super) _lock: Flock<File>,
}

/// The shim.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) setup: ShimSetup,
    pub(super) resources: Resources,
    pub(super) generation: u64,
    serial: u64,
    pub(super) containers: BTreeMap<u64, Container>,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) operations: BTreeMap<u64, Operation>,
    /// Programs in containers by process id.
    pub(super) programs: BTreeMap<i32, Program>,
    /// Ends of processes that a helper has not reported yet.
    unclaimed: BTreeMap<i32, Ended>,
    pub(super) removals: Vec<Removal>,
    pub(super) ending: Option<Ending>,
}

/// A container that was not removed yet.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) id: ContainerId,
    pub(super) phase: ContainerPhase,
    pub(super) streams: Streams,
    pub(super) own_pids: bool,
    /// The connection that is told its end.
    pub(super) holder: Option<u64>,
}

/// A program in a container.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) connection: u64,
    pub(super) started: Started,
}

/// A client.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: OwnedFd,
    pub(super) purpose: ConnectionPurpose,
}

/// What a connection is for, once it said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionPurpose {
    /// Nothing, or a request that is being answered.
    Request,
    /// To be told when the generation is newer.
    Wait(u64),
    /// A program in a container, which its end may end.
    Program { pid: Option<i32>, kill_on_close: bool },
    /// A client attached to the container with this key.
    Attached(u64),
    /// The life of the whole shim hangs on it.
    Lifeline,
}

/// How a process ended.
#[derive(Debug, Clone, Copy)]
struct Ended {
    code: i32,
    signal: Option<i32>,
    at: Timestamp,
}

#[derive(Debug, Clone, Copy)]
enum Token {
    Listener,
    Signals,
    Connection(u64),
    Report(u64),
    Streams(u64, Part),
}

impl Server {
    pub(super) fn new(setup: ShimSetup, resources: Resources) -> Self {
        let mut server = Self {
            setup,
            resources,
            generation: 1,
            serial: 0,
            containers: BTreeMap::new(),
            connections: BTreeMap::new(),
            operations: BTreeMap::new(),
            programs: BTreeMap::new(),
            unclaimed: BTreeMap::new(),
            removals: Vec::new(),
            ending: None,
        };
        server.adopt_stored();
        server
    }

    /// Takes over what a shim that died left in the directory: its containers are lost.
    fn adopt_stored(&mut self) {
        for state in crate::state::read_all(Path::new(".")) {
            self.pod_cgroup().child(&state.id.to_string()).kill_all();
            let key = self.next_serial();
            let streams = Streams::default();
            let container = Container { id: state.id, phase: state.phase, streams, own_pids: true, holder: None };
            self.containers.insert(key, container);
            self.persist(key);
        }
    }

    /// Serves until the pod is shut down.
    pub(super) fn run(mut self) -> io::Result<()> {
        loop {
            for token in self.wait()? {
                self.handle(token);
            }
            self.operations
                .values()
                .filter(|operation| operation.is_overdue())
                .for_each(|operation| kill(operation.pid));
            self.continue_removals();
            if self.continue_ending() {
                return Ok(());
            }
        }
    }

    pub(super) fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    pub(super) fn pod_cgroup(&self) -> Cgroup {
        Cgroup::at(&self.setup.cgroup)
    }

    fn wait(&self) -> io::Result<Vec<Token>> {
        let mut wanted: Vec<(BorrowedFd<'_>, Token, PollFlags)> =
            vec![(self.resources.signals.as_fd(), Token::Signals, PollFlags::POLLIN)];
        // Further clients wait in the socket's queue.
        if self.connections.len() < CONNECTIONS_MAX {
            wanted.push((self.resources.listener.as_fd(), Token::Listener, PollFlags::POLLIN));
        }
        for (key, connection) in &self.connections {
            wanted.push((connection.socket.as_fd(), Token::Connection(*key), PollFlags::POLLIN));
        }
        for (key, operation) in &self.operations {
            wanted.push((operation.report.as_fd(), Token::Report(*key), PollFlags::POLLIN));
        }
        for (key, container) in &self.containers {
            wanted.extend(container.streams.interests().into_iter().map(|(descriptor, part, write)| {
                let flags = if write { PollFlags::POLLOUT } else { PollFlags::POLLIN };
                (descriptor, Token::Streams(*key, part), flags)
            }));
        }
        let mut polled: Vec<PollFd<'_>> = wanted.iter().map(|(fd, _, flags)| PollFd::new(*fd, *flags)).collect();
        let timeout = if !self.removals.is_empty() || self.ending.is_some() {
            PollTimeout::from(RETRY_MILLIS)
        } else if !self.operations.is_empty() {
            PollTimeout::from(DEADLINE_MILLIS)
        } else {
            PollTimeout::NONE
        };
        match poll(&mut polled, timeout) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        let ready = |polled: &PollFd<'_>| polled.any().unwrap_or(true);
        Ok(polled.iter().zip(&wanted).filter(|(polled, _)| ready(polled)).map(|(_, (_, token, _))| *token).collect())
    }

    fn handle(&mut self, token: Token) {
        match token {
            Token::Listener => self.accept(),
            Token::Signals => self.reap(),
            Token::Connection(key) => self.receive(key),
            Token::Report(key) => self.report(key),
            Token::Streams(key, part) => {
                if let Some(container) = self.containers.get_mut(&key) {
                    container.streams.ready(part);
                }
            }
        }
    }

    fn accept(&mut self) {
        let Ok((socket, _)) = self.resources.listener.accept() else { return };
        let ours = nix::unistd::geteuid().as_raw();
        let trusted = getsockopt(&socket, PeerCredentials).is_ok_and(|peer| peer.uid() == 0 || peer.uid() == ours);
        if !trusted || socket.set_nonblocking(true).is_err() {
            return;
        }
        let key = self.next_serial();
        self.connections.insert(key, Connection { socket: socket.into(), purpose: ConnectionPurpose::Request });
        self.send(key, &Response::Hello { version: VERSION, pid: std::process::id().cast_signed() });
    }

    fn receive(&mut self, key: u64) {
        let Some(connection) = self.connections.get(&key) else { return };
        let mut buffer = vec![0; PACKET_BYTES_MAX];
        match maru_sys::receive_packet(&connection.socket, &mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok((0, _)) | Err(_) => self.close(key),
            Ok((count, descriptors)) => match serde_json::from_slice(buffer.get(..count).unwrap_or(&buffer)) {
                Ok(request) => self.request(key, request, descriptors),
                Err(error) => self.refuse(key, format!("the request makes no sense: {error}")),
            },
        }
    }

    /// Ends what hangs on a connection.
    pub(super) fn close(&mut self, key: u64) {
        let Some(connection) = self.connections.remove(&key) else { return };
        match connection.purpose {
            ConnectionPurpose::Request | ConnectionPurpose::Wait(_) => {}
            ConnectionPurpose::Program { pid, kill_on_close } => {
                if let Some(pid) = pid.filter(|pid| kill_on_close && self.programs.contains_key(pid)) {
                    kill(pid);
                }
            }
            ConnectionPurpose::Attached(container) => {
                if let Some(container) = self.containers.get_mut(&container) {
                    container.streams.detach(key);
                }
            }
            ConnectionPurpose::Lifeline => self.end(None),
        }
    }

    pub(super) fn refuse(&mut self, key: u64, message: String) {
        self.send(key, &Response::Refused { message });
    }

    pub(super) fn send(&mut self, key: u64, response: &Response) {
        self.send_with(key, response, &[]);
    }

    /// Sends a packet; a client that does not take it is let go.
    pub(super) fn send_with(&mut self, key: u64, response: &Response, descriptors: &[BorrowedFd<'_>]) {
        let Some(connection) = self.connections.get(&key) else { return };
        let packet = serde_json::to_vec(response).map_err(io::Error::other);
        if packet.and_then(|packet| maru_sys::send_packet(&connection.socket, &packet, descriptors)).is_err() {
            self.close(key);
        }
    }

    /// Takes note of every process that ended.
    fn reap(&mut self) {
        while let Ok(Some(_)) = self.resources.signals.read_signal() {}
        loop {
            let (pid, code, signal) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => (pid, code, None),
                Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32, Some(signal as i32)),
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => break,
                Ok(_) | Err(Errno::EINTR) => continue,
                Err(error) => {
                    complain(&format!("waitpid: {error}"));
                    break;
                }
            };
            self.ended(pid.as_raw(), Ended { code, signal, at: SystemClock.now() });
        }
        if self.operations.is_empty() {
            self.unclaimed.clear();
        }
    }

    fn ended(&mut self, pid: i32, ended: Ended) {
        let container = self.containers.iter().find(|(_, container)| container.pid() == Some(pid)).map(|(key, _)| *key);
        if let Some(key) = container {
            self.container_ended(key, ended);
        } else if let Some(program) = self.programs.remove(&pid) {
            let status = ended.status(program.started.at, false);
            self.send(program.connection, &Response::Exited(status));
        } else if !self.operations.values().any(|operation| operation.pid == pid) {
            self.unclaimed.insert(pid, ended);
        }
    }

    fn container_ended(&mut self, key: u64, ended: Ended) {
        let pod = self.pod_cgroup();
        let Some(container) = self.containers.get_mut(&key) else { return };
        let cgroup = pod.child(&container.id.to_string());
        let ContainerPhase::Running(started) = &container.phase else { return };
        let status = ended.status(started.at, cgroup.oom_kills() > 0);
        if !container.own_pids {
            cgroup.kill_all();
        }
        container.streams.drain();
        container.streams.input = None;
        container.phase = ContainerPhase::Exited(status.clone());
        let holder = container.holder;
        self.changed(key);
        if let Some(holder) = holder {
            self.send(holder, &Response::Exited(status));
        }
    }

    /// Finishes an operation whose helper has reported.
    fn report(&mut self, key: u64) {
        let Some(result) = self.operations.get_mut(&key).and_then(Operation::receive) else { return };
        let Some(operation) = self.operations.remove(&key) else { return };
        let terminal = match (&result, &operation.console) {
            (Ok(_), Some(console)) => Some(console.terminal()),
            _ => None,
        };
        let (result, terminal) = match (result, terminal) {
            (Ok(pid), Some(Err(error))) => {
                kill(pid);
                (Err(format!("the container's terminal was not handed over: {error}")), None)
            }
            (result, terminal) => (result, terminal.and_then(Result::ok)),
        };
        match operation.purpose {
            Purpose::Start { container, connection } => self.started(container, connection, result, terminal),
            Purpose::Exec { connection, process, kill_on_close } => {
                drop(std::fs::remove_file(process));
                self.program_started(connection, kill_on_close, result, terminal);
            }
        }
    }

    fn started(&mut self, key: u64, connection: u64, result: Result<i32, String>, terminal: Option<OwnedFd>) {
        let Some(container) = self.containers.get_mut(&key) else { return };
        let at = SystemClock.now();
        match result {
            Ok(pid) => {
                let started = Started { pid, at };
                container.phase = ContainerPhase::Running(started);
                if let Some(terminal) = terminal {
                    container.streams.set_terminal(terminal);
                }
                self.changed(key);
                self.send(connection, &Response::Started(started));
                if let Some(ended) = self.unclaimed.remove(&pid) {
                    self.container_ended(key, ended);
                }
            }
            Err(message) => {
                container.streams = Streams::default();
                container.phase = ContainerPhase::Failed { message: message.clone(), at };
                self.changed(key);
                self.send(connection, &Response::Failed { message });
            }
        }
    }

    fn program_started(&mut self, key: u64, kill: bool, result: Result<i32, String>, terminal: Option<OwnedFd>) {
        let pid = match result {
            Ok(pid) => pid,
            Err(message) => return self.send(key, &Response::Failed { message }),
        };
        let started = Started { pid, at: SystemClock.now() };
        match self.connections.get_mut(&key) {
            Some(connection) => {
                connection.purpose = ConnectionPurpose::Program { pid: Some(pid), kill_on_close: kill };
            }
            None if kill => self::kill(pid),
            None => {}
        }
        self.programs.insert(pid, Program { connection: key, started });
        let terminal = terminal.as_ref().map(|terminal| terminal.as_fd());
        self.send_with(key, &Response::Started(started), terminal.as_slice());
        if let Some(ended) = self.unclaimed.remove(&pid) {
            self.ended(pid, ended);
        }
    }

    /// Writes a container's new state down and tells those who wait.
    pub(super) fn changed(&mut self, key: u64) {
        self.persist(key);
        self.generation += 1;
        let waiting = |connection: &Connection| matches!(connection.purpose, ConnectionPurpose::Wait(_));
        let waiting: Vec<u64> =
            self.connections.iter().filter(|(_, connection)| waiting(connection)).map(|(key, _)| *key).collect();
        for connection in waiting {
            self.send_states(connection);
        }
    }

    fn persist(&self, key: u64) {
        let Some(container) = self.containers.get(&key) else { return };
        let directory = container_directory(&container.id);
        if let Err(error) = crate::state::write(&directory.join(STATE), &container.state()) {
            complain(&format!("could not write the state of {}: {error}", container.id));
        }
    }

    pub(super) fn send_states(&mut self, connection: u64) {
        let states: Vec<ContainerState> = {
            let mut states: Vec<_> = self.containers.values().map(Container::state).collect();
            states.sort_by(|first, second| first.id.cmp(&second.id));
            states
        };
        for state in states {
            self.send(connection, &Response::State(state));
        }
        self.send(connection, &Response::End { generation: self.generation });
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.purpose = ConnectionPurpose::Request;
        }
    }
}

impl Container {
    pub(super) fn pid(&self) -> Option<i32> {
        match &self.phase {
            ContainerPhase::Running(started) => Some(started.pid),
            ContainerPhase::Creating
            | ContainerPhase::Exited(_)
            | ContainerPhase::Failed { .. }
            | ContainerPhase::Lost { .. } => None,
        }
    }

    pub(super) fn state(&self) -> ContainerState {
        ContainerState { id: self.id.clone(), phase: self.phase.clone() }
    }
}

impl Ended {
    fn status(self, started_at: Timestamp, oom_killed: bool) -> ExitStatus {
        // The end of a short program is seen before the report of its start.
        let finished_at = self.at.max(started_at);
        ExitStatus { code: self.code, signal: self.signal, oom_killed, started_at, finished_at }
    }
}

/// Returns a container's directory below the pod's, which is the working directory.
pub(super) fn container_directory(id: &ContainerId) -> PathBuf {
    Path::new(CONTAINERS).join(id.to_string())
}

/// Ends a process; one that is gone is fine.
pub(super) fn kill(pid: i32) {
    if let Err(error) = maru_sys::send_signal(pid, libc::SIGKILL) {
        complain(&format!("could not kill {pid}: {error}"));
    }
}
