//! `/exec` and `/attach`: a program's streams over a WebSocket, as Kubernetes' remote command protocols v4 and v5.
//!
//! Each binary message begins with the number of its channel. In v5 the client may close a channel with `255, number`.

use std::sync::Arc;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{Request, Response};
use maru_container::{ContainerStream, ExecConfig, ExitStatus, Resizer, Shim, ShimError, TerminalSize};
use maru_http::Body;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::output::{Blocks, Ended, until_end};
use super::websocket::{FromClient, Socket, ToClient, Upgrade};
use super::{Refusal, query::Query, running};
use crate::context::{Context, chain};
use crate::worker::PodHandle;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
const CLOSE: u8 = 255;
/// The newest protocol that the client offers is taken.
const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
/// Messages on their way to the client; a program with more to say waits.
const MESSAGES_MAX: usize = 16;

/// Runs a program in a container.
pub(super) async fn exec(
    request: Request<Body>,
    context: &Arc<Context>,
    handle: &PodHandle,
    container: &str,
    query: &Query,
) -> Result<Response<Body>, Refusal> {
    let (shim, id) = running(handle, container)?;
    let args = query.all("command");
    if args.is_empty() {
        return Err(Refusal::Bad("you must specify at least 1 command for the container".to_owned()));
    }
    let wanted = Wanted::new(query)?;
    let upgrade = Upgrade::accept(request, &PROTOCOLS)?;
    let config = ExecConfig { args, tty: wanted.tty, stdin: wanted.stdin, kill_on_drop: true, ..ExecConfig::default() };
    let response = upgrade.response();
    drop(context.scope.spawn_until_cancelled("exec", async move {
        let Some(socket) = upgrade.socket().await else { return };
        let mut session = Session::new(socket);
        let result = match shim.exec(&id, config).await {
            Ok(mut program) => {
                let streams = Streams {
                    stdin: program.stdin.take(),
                    stdout: program.stdout.take().filter(|_| wanted.stdout || wanted.tty),
                    stderr: program.stderr.take().filter(|_| wanted.stderr),
                    tty: wanted.tty,
                };
                let resizer = program.resizer().map(Resize::Program);
                session.run(streams, resizer, Some(program.exit())).await
            }
            Err(error) => Some(Err(error)),
        };
        if let Some(result) = result {
            session.finish(&outcome(&result)).await;
        }
    }));
    Ok(response)
}

/// Connects to the streams of a running container.
pub(super) async fn attach(
    request: Request<Body>,
    context: &Arc<Context>,
    handle: &PodHandle,
    container: &str,
    query: &Query,
) -> Result<Response<Body>, Refusal> {
    let (shim, id) = running(handle, container)?;
    let wanted = Wanted::new(query)?;
    let upgrade = Upgrade::accept(request, &PROTOCOLS)?;
    let response = upgrade.response();
    drop(context.scope.spawn_until_cancelled("attach", async move {
        let Some(socket) = upgrade.socket().await else { return };
        let mut session = Session::new(socket);
        let result = match shim.attach(&id, wanted.stdin).await {
            Ok(attached) => {
                let streams = Streams {
                    stdin: attached.stdin,
                    stdout: Some(attached.stdout).filter(|_| wanted.stdout || wanted.tty),
                    stderr: Some(attached.stderr).filter(|_| wanted.stderr && !wanted.tty),
                    tty: wanted.tty,
                };
                let resizer = wanted.tty.then(|| Resize::Container(shim.clone(), id));
                session.run(streams, resizer, None::<std::future::Pending<_>>).await
            }
            Err(error) => Some(Err(error)),
        };
        match result {
            Some(result) => session.finish(&outcome(&result)).await,
            None => session.finish(&json!({"metadata": {}, "status": "Success"})).await,
        }
    }));
    Ok(response)
}

/// Which streams the client wants; kubelets and API servers name the parameters differently.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) tty: bool,
}

impl Wanted {
    pub(super) fn new(query: &Query) -> Result<Self, Refusal> {
        let wanted = Self {
            stdin: query.flag(&["stdin", "input"]),
            stdout: query.flag(&["stdout", "output"]),
            stderr: query.flag(&["stderr", "error"]),
            tty: query.flag(&["tty"]),
        };
        if !wanted.stdin && !wanted.stdout && !wanted.stderr {
            return Err(Refusal::Bad("you must specify at least one of stdin, stdout, stderr".to_owned()));
        }
        Ok(wanted)
    }
}

/// A program's streams.
pub(super) struct Streams {
    pub(super) stdin: Option<ContainerStream>,
    pub(super) stdout: Option<ContainerStream>,
    pub(super) stderr: Option<ContainerStream>,
    pub(super) tty: bool,
}

/// Whose terminal follows the client's.
pub(super) enum Resize {
    Program(Resizer),
    Container(Shim, maru_container::ContainerId),
}

impl Resize {
    pub(super) async fn resize(&self, size: TerminalSize) {
        let result = match self {
            Self::Program(resizer) => resizer.resize(size).map_err(|error| error.to_string()),
            Self::Container(shim, id) => shim.resize(id, size).await.map_err(|error| chain(&error)),
        };
        if let Err(error) = result {
            tracing::debug!(%error, "the terminal was not resized");
        }
    }
}

/// A client's connection.
struct Session {
    to_client: ToClient,
    from_client: FromClient,
}

impl Session {
    fn new(socket: Socket) -> Self {
        let (to_client, from_client) = socket.split();
        Self { to_client, from_client }
    }

    /// Carries the streams until the program and its output have ended (`None` where nobody waits for a program), or the
    /// client has gone.
    async fn run(
        &mut self,
        streams: Streams,
        resizer: Option<Resize>,
        exit: Option<impl Future<Output = Result<ExitStatus, ShimError>>>,
    ) -> Option<Result<ExitStatus, ShimError>> {
        let (messages, mut outgoing) = mpsc::channel::<Message>(MESSAGES_MAX);
        let (out, err) = (messages.clone(), messages.clone());
        let program = until_end(exit, |ended| async move {
            let stdout = carry(STDOUT, streams.stdout, out, ended.clone());
            let stderr = carry(STDERR, streams.stderr, err, ended);
            tokio::join!(stdout, stderr);
        });
        let send = async {
            while let Some(message) = outgoing.recv().await {
                if self.to_client.send(message).await.is_err() {
                    return;
                }
            }
        };
        let mut program = Box::pin(program);
        let mut receive = Box::pin(receive(&mut self.from_client, streams.stdin, resizer, streams.tty, messages));
        let mut send = std::pin::pin!(send);
        let ended = tokio::select! {
            ended = &mut program => ended,
            () = &mut receive => return None,
            () = &mut send => return None,
        };
        // Without those who fill it, the queue ends when all of it is sent.
        drop((program, receive));
        send.await;
        ended
    }

    /// Tells how it ended and closes.
    async fn finish(&mut self, status: &Value) {
        if self.to_client.send(on_channel(ERROR, status.to_string().as_bytes())).await.is_ok() {
            // A close without a code reads as a failure to clients in Go (RFC 6455 §7.1.5: code 1005).
            let normal = CloseFrame { code: CloseCode::Normal, reason: "".into() };
            drop(self.to_client.send(Message::Close(Some(normal))).await);
            drop(self.to_client.close().await);
        }
    }
}

/// Passes a program's output on, each block in a message of its channel.
async fn carry(channel: u8, stream: Option<ContainerStream>, messages: mpsc::Sender<Message>, ended: Ended) {
    let Some(stream) = stream else { return };
    let mut blocks = Blocks::new(stream, ended);
    while let Some(block) = blocks.next().await {
        if messages.send(on_channel(channel, &block)).await.is_err() {
            return;
        }
    }
}

/// Puts a channel's number before a block.
fn on_channel(channel: u8, block: &[u8]) -> Message {
    let mut message = Vec::with_capacity(block.len() + 1);
    message.push(channel);
    message.extend_from_slice(block);
    Message::Binary(Bytes::from(message))
}

/// Takes what the client sends, until it closes the connection.
async fn receive(
    from_client: &mut FromClient,
    mut stdin: Option<ContainerStream>,
    resizer: Option<Resize>,
    tty: bool,
    messages: mpsc::Sender<Message>,
) {
    while let Some(Ok(message)) = from_client.next().await {
        let data = match message {
            Message::Binary(data) => data,
            Message::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            Message::Ping(data) => {
                if messages.send(Message::Pong(data)).await.is_err() {
                    return;
                }
                continue;
            }
            Message::Pong(_) | Message::Frame(_) => continue,
            Message::Close(_) => return,
        };
        let Some((channel, content)) = data.split_first() else { continue };
        match *channel {
            STDIN => {
                if let Some(input) = &mut stdin
                    && input.write_all(content).await.is_err()
                {
                    // The program does not read any more; its output still counts.
                    stdin = None;
                }
            }
            RESIZE => {
                if let (Some(resizer), Some(size)) = (&resizer, terminal_size(content)) {
                    resizer.resize(size).await;
                }
            }
            CLOSE if content == [STDIN] => {
                if let (true, Some(input)) = (tty, &mut stdin) {
                    // A terminal has no end but the one that is typed.
                    drop(input.write_all(&[4]).await);
                }
                stdin = None;
            }
            _ => {}
        }
    }
}

pub(super) fn terminal_size(content: &[u8]) -> Option<TerminalSize> {
    let size: Value = serde_json::from_slice(content).ok()?;
    let field = |name: &str| size.get(name)?.as_u64().and_then(|value| u16::try_from(value).ok());
    Some(TerminalSize { width: field("Width")?, height: field("Height")? })
}

/// Returns the Status that tells a client how its program ended.
pub(super) fn outcome(result: &Result<ExitStatus, ShimError>) -> Value {
    match result {
        Ok(status) if status.is_success() => json!({"metadata": {}, "status": "Success"}),
        Ok(status) => json!({
            "metadata": {},
            "status": "Failure",
            "message": format!("command terminated with non-zero exit code: exit status {}", status.code),
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": status.code.to_string()}]},
        }),
        Err(error) => json!({
            "metadata": {},
            "status": "Failure",
            "message": format!("error executing command in container: {}", chain(error)),
            "reason": "InternalError",
            "code": 500,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_the_statuses_that_clients_read() {
        let at = maru_time::Timestamp::UNIX_EPOCH;
        let status = |code| Ok(ExitStatus { code, signal: None, oom_killed: false, started_at: at, finished_at: at });
        assert_eq!(outcome(&status(0))["status"], "Success");
        let failed = outcome(&status(3));
        assert_eq!(failed["reason"], "NonZeroExitCode");
        assert_eq!(failed["details"]["causes"][0], json!({"reason": "ExitCode", "message": "3"}));
        let refused = outcome(&Err(ShimError::Exec { message: "executable \"x\" not found in $PATH".to_owned() }));
        assert_eq!(refused["message"], "error executing command in container: executable \"x\" not found in $PATH");
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(terminal_size(br#"{"Width":80,"Height":24}"#), Some(TerminalSize { width: 80, height: 24 }));
        assert_eq!(terminal_size(b"{}"), None);
    }
}
