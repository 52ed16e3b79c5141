//! `/exec` and `/attach` over SPDY: a stream for each of the program's, and one for how it ended (`v4.channel.k8s.io`).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use maru_container::{ContainerStream, ExecConfig, ExitStatus, ShimError};
use maru_http::Body;
use maru_spdy::ResetStatus;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;

use super::output::{Blocks, Ended, until_end};
use super::spdy::{Input, Output, Stream, Upgrade};
use super::streams::{Resize, Streams, Wanted, outcome, terminal_size};
use super::{Refusal, query::Query, running};
use crate::context::Context;
use crate::worker::PodHandle;

/// Both forms are the same over SPDY: what is new in v5 is how a WebSocket closes a channel.
const PROTOCOLS: [&str; 2] = ["v4.channel.k8s.io", "v5.channel.k8s.io"];
/// How long a client may take to open its streams.
const STREAMS_WAIT: Duration = Duration::from_secs(30);
/// Bytes of one size of a terminal.
const SIZE_BYTES_MAX: usize = 1024;
/// What a terminal takes for the end of input.
const END_OF_TRANSMISSION: u8 = 4;

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
    let response = upgrade.response();
    let config = ExecConfig { args, tty: wanted.tty, stdin: wanted.stdin, kill_on_drop: true, ..ExecConfig::default() };
    let work = async move |incoming| {
        let Some(channels) = Channels::collect(incoming, wanted).await else { return };
        match shim.exec(&id, config).await {
            Ok(mut program) => {
                let streams = Streams {
                    stdin: program.stdin.take(),
                    stdout: program.stdout.take().filter(|_| wanted.stdout || wanted.tty),
                    stderr: program.stderr.take().filter(|_| wanted.stderr),
                    tty: wanted.tty,
                };
                let resizer = program.resizer().map(Resize::Program);
                channels.run(streams, resizer, Some(program.exit())).await;
            }
            Err(error) => channels.finish(Some(Err(error))).await,
        }
    };
    drop(context.scope.spawn_until_cancelled("exec", upgrade.serve(work)));
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
    let work = async move |incoming| {
        let Some(channels) = Channels::collect(incoming, wanted).await else { return };
        match shim.attach(&id, wanted.stdin).await {
            Ok(attached) => {
                let streams = Streams {
                    stdin: attached.stdin,
                    stdout: Some(attached.stdout).filter(|_| wanted.stdout || wanted.tty),
                    stderr: Some(attached.stderr).filter(|_| wanted.stderr && !wanted.tty),
                    tty: wanted.tty,
                };
                let resizer = wanted.tty.then(|| Resize::Container(shim.clone(), id));
                channels.run(streams, resizer, None::<std::future::Pending<_>>).await;
            }
            Err(error) => channels.finish(Some(Err(error))).await,
        }
    };
    drop(context.scope.spawn_until_cancelled("attach", upgrade.serve(work)));
    Ok(response)
}

/// The streams of a client, by what they are for.
struct Channels {
    error: Stream,
    stdin: Option<Stream>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    resize: Option<Stream>,
}

impl Channels {
    /// Waits for the streams that the request has announced; `None` when they do not come.
    async fn collect(mut incoming: mpsc::Receiver<Stream>, wanted: Wanted) -> Option<Self> {
        let mut missing = vec!["error"];
        let announced = [
            ("stdin", wanted.stdin),
            ("stdout", wanted.stdout),
            // A terminal has one output.
            ("stderr", wanted.stderr && !wanted.tty),
            ("resize", wanted.tty),
        ];
        missing.extend(announced.iter().filter(|(_, is_wanted)| *is_wanted).map(|(name, _)| *name));
        let mut found: Vec<(&'static str, Stream)> = Vec::new();
        let collect = async {
            while !missing.is_empty() {
                let stream = incoming.recv().await?;
                let kind = stream.headers.get("streamtype").unwrap_or_default();
                if let Some(index) = missing.iter().position(|name| *name == kind) {
                    found.push((missing.swap_remove(index), stream));
                } else {
                    tracing::debug!(kind, "a client opened a stream that it had not announced");
                    stream.output.reset(ResetStatus::ProtocolError).await;
                }
            }
            Some(())
        };
        tokio::time::timeout(STREAMS_WAIT, collect).await.ok()??;
        let mut take = |name| found.iter().position(|(kind, _)| *kind == name).map(|index| found.swap_remove(index).1);
        Some(Self {
            error: take("error")?,
            stdin: take("stdin"),
            stdout: take("stdout"),
            stderr: take("stderr"),
            resize: take("resize"),
        })
    }

    /// Carries the streams until the program and its output have ended, then tells how.
    async fn run(
        mut self,
        streams: Streams,
        resizer: Option<Resize>,
        exit: Option<impl Future<Output = Result<ExitStatus, ShimError>>>,
    ) {
        let (stdout, stderr) = (output(self.stdout.as_ref()), output(self.stderr.as_ref()));
        let program = until_end(exit, |ended| async move {
            let stdout = carry(streams.stdout, stdout, ended.clone());
            let stderr = carry(streams.stderr, stderr, ended);
            tokio::join!(stdout, stderr);
        });
        let stdin = self.stdin.as_mut().map(|stream| &mut stream.input);
        let sizes = self.resize.as_mut().map(|stream| &mut stream.input);
        let input = async {
            tokio::join!(feed(stdin, streams.stdin, streams.tty), resize(sizes, resizer));
            // The client's side may end long before the program does.
            std::future::pending::<()>().await;
        };
        let (mut program, mut input) = (Box::pin(program), Box::pin(input));
        let ended = tokio::select! {
            ended = &mut program => ended,
            () = &mut input => None,
        };
        drop((program, input));
        self.finish(ended).await;
    }

    /// Tells how it ended and closes all streams.
    async fn finish(self, ended: Option<Result<ExitStatus, ShimError>>) {
        let status = ended.map_or_else(|| json!({"metadata": {}, "status": "Success"}), |ended| outcome(&ended));
        // A client that has reset it does not want to know.
        drop(self.error.output.write(Bytes::from(status.to_string())).await);
        for stream in [Some(self.error), self.stdin, self.resize].into_iter().flatten() {
            stream.output.finish().await;
        }
        for stream in [self.stdout, self.stderr].into_iter().flatten() {
            stream.output.finish().await;
        }
    }
}

fn output(stream: Option<&Stream>) -> Option<Output> {
    stream.map(|stream| stream.output.clone())
}

/// Passes a program's output on until it ends, or nobody wants it.
async fn carry(stream: Option<ContainerStream>, output: Option<Output>, ended: Ended) {
    let (Some(stream), Some(output)) = (stream, output) else { return };
    let mut blocks = Blocks::new(stream, ended);
    while let Some(block) = blocks.next().await {
        if output.write(block).await.is_err() {
            return;
        }
    }
}

/// Gives a program what the client sends; the end as well.
async fn feed(input: Option<&mut Input>, stdin: Option<ContainerStream>, tty: bool) {
    let Some(input) = input else { return };
    let mut stdin = stdin;
    while let Some(data) = input.read().await {
        if let Some(open) = &mut stdin
            && open.write_all(&data).await.is_err()
        {
            // The program does not read any more; its output still counts.
            stdin = None;
        }
    }
    if let (true, Some(open)) = (tty, &mut stdin) {
        // A terminal has no end but the one that is typed.
        drop(open.write_all(&[END_OF_TRANSMISSION]).await);
    }
}

/// Follows the size of the client's terminal: a JSON object a line.
async fn resize(sizes: Option<&mut Input>, resizer: Option<Resize>) {
    let (Some(sizes), Some(resizer)) = (sizes, resizer) else { return };
    let mut rest: Vec<u8> = Vec::new();
    while let Some(data) = sizes.read().await {
        rest.extend_from_slice(&data);
        while let Some(end) = rest.iter().position(|byte| *byte == b'}') {
            let after = rest.split_off(end + 1);
            if let Some(size) = terminal_size(&rest) {
                resizer.resize(size).await;
            }
            rest = after;
        }
        if rest.len() > SIZE_BYTES_MAX {
            rest.clear();
        }
    }
}
