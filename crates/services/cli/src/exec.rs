//! `maru exec`: a command in a container, over a WebSocket.

use std::os::fd::AsFd as _;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::AttachParams;
use nix::sys::termios::{self, SetArg, Termios};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{CliError, Context};

/// Run a command in a container
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  maru exec web-1 -- ls /\n  maru exec -it deploy/web -- sh")]
pub struct ExecCommand {
    /// A pod, or TYPE/NAME of a workload (one of its pods)
    target: String,
    /// The container, where the pod has several
    #[arg(short, long)]
    container: Option<String>,
    /// Pass on what is typed
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Give the command a terminal
    #[arg(short, long)]
    tty: bool,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(crate) async fn run(command: &ExecCommand, context: &Context) -> Result<u8, CliError> {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), &context.namespace);
    let pod = crate::logs::pod_of(&command.target, &api, context).await?;
    let mut parameters =
        AttachParams::default().stdin(command.stdin).stdout(true).stderr(!command.tty).tty(command.tty);
    parameters.container.clone_from(&command.container);
    let mut process = api.exec(&pod, command.command.clone(), &parameters).await?;
    let raw = if command.tty { RawTerminal::enter() } else { None };
    if let (Some(mut sizes), Some((width, height))) = (process.terminal_size(), terminal_size()) {
        drop(futures::SinkExt::send(&mut sizes, kube::api::TerminalSize { width, height }).await);
    }
    let status = process.take_status();
    let (stdin, stdout, stderr) = (process.stdin(), process.stdout(), process.stderr());
    let output = async {
        tokio::try_join!(copy_out(stdout, tokio::io::stdout()), copy_out(stderr, tokio::io::stderr())).map(|_| ())
    };
    tokio::select! {
        result = output => result.map_err(CliError::Terminal)?,
        // Ends only with an error: at the end of input the command still runs.
        result = copy_in(stdin) => result.map_err(CliError::Terminal)?,
    }
    let status = match status {
        Some(status) => status.await,
        None => None,
    };
    drop(raw);
    let Some(status) = status else { return Ok(0) };
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let code = status
        .details
        .as_ref()
        .and_then(|details| details.causes.as_ref())
        .and_then(|causes| causes.iter().find(|cause| cause.reason.as_deref() == Some("ExitCode")))
        .and_then(|cause| cause.message.as_deref())
        .and_then(|code| code.parse::<u8>().ok());
    match code {
        Some(code) => Ok(code),
        None => Err(CliError::Refused {
            message: status.message.unwrap_or_else(|| "the command could not be run".to_owned()),
            code: 500,
            reason: status.reason.unwrap_or_default(),
        }),
    }
}

async fn copy_out(
    from: Option<impl tokio::io::AsyncRead + Unpin>,
    mut to: impl tokio::io::AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let Some(mut from) = from else { return Ok(()) };
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        to.write_all(buffer.get(..read).unwrap_or_default()).await?;
        to.flush().await?;
    }
}

async fn copy_in(to: Option<impl tokio::io::AsyncWrite + Unpin>) -> std::io::Result<()> {
    if let Some(mut to) = to {
        let mut from = tokio::io::stdin();
        let mut buffer = vec![0; 4096];
        loop {
            let read = from.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            to.write_all(buffer.get(..read).unwrap_or_default()).await?;
            to.flush().await?;
        }
        to.shutdown().await?;
    }
    std::future::pending().await
}

/// The terminal passes keys on as they are typed, until this is dropped.
struct RawTerminal(Termios);

impl RawTerminal {
    fn enter() -> Option<Self> {
        let stdin = std::io::stdin();
        let before = termios::tcgetattr(stdin.as_fd()).ok()?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Fails only when the terminal is gone, and then there is nothing to restore.
        termios::tcsetattr(std::io::stdin().as_fd(), SetArg::TCSANOW, &self.0).unwrap_or_default();
    }
}

fn terminal_size() -> Option<(u16, u16)> {
    maru_sys::terminal_size(std::io::stdout().as_fd())
}
