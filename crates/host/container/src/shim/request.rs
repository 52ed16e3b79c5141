//! What clients ask of the shim.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::ending::Removal;
use super::operation::{Console, Operation, Pipes, Purpose};
use super::server::{ConnectionPurpose, Container, Server, container_directory, kill};
use super::streams::Streams;
use crate::client::RuntimeKind;
use crate::helper::External;
use crate::log::LogWriter;
use crate::program::TerminalSize;
use crate::protocol::{HelperTask, RUNTIME_ROOT, Request, Response, StartOrder};
use crate::status::{ContainerId, ContainerPhase};

impl Server {
    pub(super) fn request(&mut self, key: u64, request: Request, descriptors: Vec<OwnedFd>) {
        if self.ending.is_some() && !matches!(request, Request::States) {
            return self.refuse(key, "the pod is being shut down".to_owned());
        }
        let result = match request {
            Request::Start(order) => self.start(key, order, descriptors),
            Request::States => {
                self.send_states(key);
                Ok(())
            }
            Request::Wait { generation } => {
                self.wait_for_change(key, generation);
                Ok(())
            }
            Request::Signal { id, signal } => self.signal(key, &id, signal),
            Request::Remove { id } => {
                self.remove(key, &id);
                Ok(())
            }
            Request::Exec { id, process, tty, kill_on_close } => {
                self.exec(key, &id, ExecOrder { process, tty, kill_on_close }, descriptors)
            }
            Request::Attach { id } => self.attach(key, &id, descriptors),
            Request::Resize { id, size } => self.resize(key, &id, size),
            Request::Shutdown => {
                self.end(Some(key));
                Ok(())
            }
        };
        if let Err(message) = result {
            self.refuse(key, message);
        }
    }

    fn start(&mut self, connection: u64, order: StartOrder, descriptors: Vec<OwnedFd>) -> Result<(), String> {
        if self.find(&order.id).is_some() {
            return Err(format!("container {} was started before", order.id));
        }
        let key = self.next_serial();
        let mut streams = Streams::new(order.tty, order.stdin, order.stdin_once);
        if let Some(log) = order.log {
            let name = log.path.display().to_string();
            streams.log =
                Some(LogWriter::open(log).map_err(|error| format!("could not open the log {name}: {error}"))?);
        }
        let (stdio, console) = self.make_stdio(key, &mut streams, order.tty, order.stdin, descriptors)?;
        let task = self.task(&order.id, None)?;
        let purpose = Purpose::Start { container: key, connection };
        let operation = Operation::spawn(task, stdio, console, purpose);
        let operation = operation.map_err(|error| format!("could not start the container helper: {error}"))?;
        self.operations.insert(key, operation);
        let holder = order.hold.then_some(connection);
        let container =
            Container { id: order.id, phase: ContainerPhase::Creating, streams, own_pids: order.own_pids, holder };
        self.containers.insert(key, container);
        if let Some(connection) = self.connections.get_mut(&connection).filter(|_| order.hold) {
            connection.purpose = ConnectionPurpose::Lifeline;
        }
        self.changed(key);
        Ok(())
    }

    /// Makes a container's streams: a terminal, those passed by the client, or pipes.
    fn make_stdio(
        &self,
        key: u64,
        streams: &mut Streams,
        tty: bool,
        stdin: bool,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(Option<[OwnedFd; 3]>, Option<Console>), String> {
        if tty {
            return Ok((None, Some(self.console(key)?)));
        }
        if !descriptors.is_empty() {
            let passed =
                <[OwnedFd; 3]>::try_from(descriptors).map_err(|_| "three descriptors are needed".to_owned())?;
            return Ok((Some(passed), None));
        }
        let pipes = Pipes::make(stdin).map_err(|error| format!("could not make pipes: {error}"))?;
        streams.outputs = pipes.outputs.map(Some);
        streams.input = pipes.input;
        Ok((Some(pipes.container), None))
    }

    fn console(&self, key: u64) -> Result<Console, String> {
        let path = self.setup.directory.join(format!("tty-{key}"));
        Console::listen(path).map_err(|error| format!("could not listen for the terminal: {error}"))
    }

    fn task(&self, id: &ContainerId, process: Option<PathBuf>) -> Result<HelperTask, String> {
        let bundle = self.setup.directory.join(container_directory(id));
        if !bundle.join("config.json").is_file() {
            return Err(format!("container {id} has no bundle"));
        }
        Ok(HelperTask {
            runtime: self.setup.runtime.clone(),
            root: self.setup.directory.join(RUNTIME_ROOT),
            container: id.to_string(),
            bundle,
            process,
            console: None,
            stdio: None,
            report: -1,
        })
    }

    fn wait_for_change(&mut self, key: u64, generation: u64) {
        if self.generation > generation {
            self.send_states(key);
        } else if let Some(connection) = self.connections.get_mut(&key) {
            connection.purpose = ConnectionPurpose::Wait(generation);
        }
    }

    fn signal(&mut self, key: u64, id: &ContainerId, signal: i32) -> Result<(), String> {
        let container = self.container(id)?;
        if let Some(pid) = container.pid() {
            maru_sys::send_signal(pid, signal).map_err(|error| format!("could not signal container {id}: {error}"))?;
        }
        self.send(key, &Response::Done);
        Ok(())
    }

    fn remove(&mut self, connection: u64, id: &ContainerId) {
        match self.find(id) {
            None => self.send(connection, &Response::Done),
            Some(container) => self.removals.push(Removal { container, connection: Some(connection), tries: 0 }),
        }
    }

    /// Does what can be done now to remove a container; an error says what is left.
    pub(super) fn try_remove(&mut self, key: u64) -> Result<(), String> {
        let pod = self.pod_cgroup();
        let Some(container) = self.containers.get(&key) else { return Ok(()) };
        let name = container.id.to_string();
        let cgroup = pod.child(&name);
        match &container.phase {
            ContainerPhase::Creating => {
                // Ends the helper and what it made; its report then ends the phase.
                if let Some(operation) = self.operations.get(&key) {
                    kill(operation.pid);
                }
                cgroup.kill_all();
                return Err(format!("container {name} is still being created"));
            }
            ContainerPhase::Running(started) => {
                kill(started.pid);
                cgroup.kill_all();
                return Err(format!("the processes of container {name} do not end"));
            }
            ContainerPhase::Exited(_) | ContainerPhase::Failed { .. } | ContainerPhase::Lost { .. } => {}
        }
        if let RuntimeKind::External(program) = &self.setup.runtime {
            External { program: program.clone() }.delete(Path::new(RUNTIME_ROOT), &name);
        }
        cgroup.try_remove().map_err(|error| format!("{error}: {}", error.source))?;
        for directory in [Path::new(RUNTIME_ROOT).join(&name), container_directory(&container.id)] {
            match std::fs::remove_dir_all(&directory) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(format!("could not delete {}: {error}", directory.display()));
                }
                Ok(()) | Err(_) => {}
            }
        }
        self.containers.remove(&key);
        self.changed(key);
        Ok(())
    }

    fn exec(&mut self, key: u64, id: &ContainerId, order: ExecOrder, descriptors: Vec<OwnedFd>) -> Result<(), String> {
        let container = self.container(id)?;
        if container.pid().is_none() {
            return Err(format!("container {id} is not running"));
        }
        let serial = self.next_serial();
        let (stdio, console) = if order.tty {
            (None, Some(self.console(serial)?))
        } else {
            let passed =
                <[OwnedFd; 3]>::try_from(descriptors).map_err(|_| "three descriptors are needed".to_owned())?;
            (Some(passed), None)
        };
        let process = self.setup.directory.join(&order.process);
        let task = self.task(id, Some(process.clone()))?;
        let purpose = Purpose::Exec { connection: key, process, kill_on_close: order.kill_on_close };
        let operation = Operation::spawn(task, stdio, console, purpose);
        let operation = operation.map_err(|error| format!("could not start the container helper: {error}"))?;
        self.operations.insert(serial, operation);
        if let Some(connection) = self.connections.get_mut(&key) {
            connection.purpose = ConnectionPurpose::Program { pid: None, kill_on_close: order.kill_on_close };
        }
        Ok(())
    }

    fn attach(&mut self, connection: u64, id: &ContainerId, descriptors: Vec<OwnedFd>) -> Result<(), String> {
        let key = self.find(id).ok_or_else(|| format!("the pod has no container {id}"))?;
        let container = self.containers.get_mut(&key).filter(|container| container.pid().is_some());
        let container = container.ok_or_else(|| format!("container {id} is not running"))?;
        let stdin = container.streams.attach(connection, descriptors)?;
        if let Some(connection) = self.connections.get_mut(&connection) {
            connection.purpose = ConnectionPurpose::Attached(key);
        }
        self.send(connection, &Response::Attached { stdin });
        Ok(())
    }

    fn resize(&mut self, key: u64, id: &ContainerId, size: TerminalSize) -> Result<(), String> {
        let container = self.container(id)?;
        let terminal = container.streams.input.as_ref().filter(|_| container.streams.tty);
        let terminal = terminal.ok_or_else(|| format!("container {id} has no terminal"))?;
        maru_sys::set_terminal_size(terminal, size.width, size.height).map_err(|error| error.to_string())?;
        self.send(key, &Response::Done);
        Ok(())
    }

    fn find(&self, id: &ContainerId) -> Option<u64> {
        self.containers.iter().find(|(_, container)| container.id == *id).map(|(key, _)| *key)
    }

    fn container(&self, id: &ContainerId) -> Result<&Container, String> {
        let found = self.containers.values().find(|container| container.id == *id);
        found.ok_or_else(|| format!("the pod has no container {id}"))
    }
}

/// A program to run in a container.
struct ExecOrder {
    process: PathBuf,
    tty: bool,
    kill_on_close: bool,
}
