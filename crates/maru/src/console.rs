//! The console inside of `maru up`: its listener, and the links and sessions that root manages on the machine.

use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;
use maru_console::{Console, ConsoleOptions, LinkSpec, Links, Room, RoomAccess, SessionFiles};
use maru_http::{Handler, Limits, Server, TlsSource};
use maru_task::Scope;
use maru_telemetry::Registry;
use maru_time::system_clock;
use serde_json::json;
use tokio::net::TcpListener;

use crate::arguments::GlobalArguments;
use crate::instance::Instance;
use crate::report::Report;
use crate::settings::{Paths, Settings};

/// How long the link that a start prints can be used.
const GREETING_LIFETIME: Duration = Duration::from_secs(600);

#[derive(Debug, Subcommand)]
pub(crate) enum ConsoleCommand {
    /// Print a link that logs a browser in, once
    #[command(
        after_help = "Examples:\n  sudo maru console link\n  sudo maru console link --user kim --group viewers --expires 1h"
    )]
    Link {
        /// Who is logged in; by default the administrator
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// A group of the user; may be given several times
        #[arg(long, value_name = "GROUP", requires = "user")]
        group: Vec<String>,
        /// How long the link can be used, such as 10m
        #[arg(long, default_value = "10m", value_name = "TIME")]
        expires: String,
    },
    /// List who is logged in
    Sessions,
    /// End sessions everywhere, with all that is open in them
    Logout {
        /// A session, as "maru console sessions" names it
        #[arg(required_unless_present_any = ["user", "all"])]
        session: Option<String>,
        /// All sessions of a user
        #[arg(long, value_name = "USER", conflicts_with = "session")]
        user: Option<String>,
        /// All sessions
        #[arg(long, conflicts_with_all = ["session", "user"])]
        all: bool,
    },
}

pub(crate) fn run(global: &GlobalArguments, command: &ConsoleCommand, report: Report) -> anyhow::Result<u8> {
    let paths = Paths::new(&global.data);
    let sessions = SessionFiles::new(&paths.console());
    match command {
        ConsoleCommand::Link { user, group, expires } => {
            let lifetime = maru_metrics::parse_duration(expires)
                .map_err(|why| anyhow::anyhow!("--expires: {why}; write for example 10m or 1h"))?;
            let mut spec = LinkSpec::administrator(lifetime);
            if let Some(user) = user {
                anyhow::ensure!(!user.is_empty(), "--user: a user has a name");
                spec.user.clone_from(user);
                spec.groups.clone_from(group);
            }
            let running = Instance::running(&paths).with_context(|| {
                format!("Maru does not run on \"{}\"; start it with \"sudo maru up\"", paths.data.display())
            })?;
            let url = link(&paths, &running.console, &spec)?;
            report.line(&url);
            report.value(&json!({"url": url, "user": spec.user, "groups": spec.groups, "expires": expires}));
        }
        ConsoleCommand::Sessions => {
            let list = sessions.list()?;
            for one in &list {
                let (created, expires) =
                    (maru_time::rfc3339_seconds(one.created), maru_time::rfc3339_seconds(one.expires));
                report.line(format_args!(
                    "{:<12} {:<24} {created}  {expires}  {:<16} {}",
                    one.id, one.user, one.address, one.agent
                ));
            }
            report.value(&json!({"sessions": list}));
        }
        ConsoleCommand::Logout { session, user, all } => {
            let ended = sessions.end(|one| {
                *all || user.as_ref().is_some_and(|user| *user == one.user)
                    || session.as_ref().is_some_and(|session| *session == one.id)
            })?;
            anyhow::ensure!(ended > 0 || *all, "there is no such session; see \"maru console sessions\"");
            report.line(format_args!("{ended} sessions ended"));
            report.value(&json!({"ended": ended}));
        }
    }
    Ok(0)
}

/// Returns the page's address: the name that a browser takes for this machine, else what people were told.
pub(crate) fn address(settings: &Settings) -> String {
    let port = settings.console.port();
    let ip = settings.console.ip();
    if ip.is_loopback() {
        return format!("http://console.localhost:{port}");
    }
    match settings.console_hosts.first() {
        Some(name) => format!("https://{name}:{port}"),
        None if ip.is_unspecified() => format!("https://{}:{port}", settings.node_name),
        None => format!("https://{}", settings.console),
    }
}

/// Returns a link for the administrator, for whoever has just started Maru.
pub(crate) fn greeting_link(paths: &Paths, address: &str) -> anyhow::Result<String> {
    link(paths, address, &LinkSpec::administrator(GREETING_LIFETIME))
}

fn link(paths: &Paths, address: &str, spec: &LinkSpec) -> anyhow::Result<String> {
    let code = Links::new(&paths.console(), system_clock()).create(spec)?;
    Ok(format!("{address}/login?code={}", code.reveal()))
}

/// The rooms that the page speaks to.
pub(crate) struct ConsoleParts<'a> {
    pub(crate) api: Handler,
    pub(crate) client: maru_client::Client,
    pub(crate) metrics: &'a maru_metrics::Metrics,
    pub(crate) alerts: &'a maru_alerts::Alerts,
}

/// Starts the room with its listener.
pub(crate) async fn start(
    scope: &Scope,
    settings: &Settings,
    tls: TlsSource,
    parts: ConsoleParts<'_>,
    registry: &Registry,
) -> anyhow::Result<()> {
    let room = |name: &str, handler, role_path: &str, access| Room {
        name: name.to_owned(),
        prefix: format!("/{name}"),
        handler,
        role_path: role_path.to_owned(),
        access,
    };
    let is_local = settings.console.ip().is_loopback();
    let mut hosts = settings.console_hosts.clone();
    hosts.push(settings.node_name.clone());
    let console = Console::start(
        scope,
        ConsoleOptions {
            rooms: vec![
                room("process", maru_process::answers(parts.api.clone()), "", RoomAccess::Own),
                room("prometheus", parts.metrics.reader(), crate::metrics::ROLE_PATH, RoomAccess::Reads),
                room("alertmanager", parts.alerts.room_handler(), crate::alerts::ROLE_PATH, RoomAccess::ByMethod),
            ],
            api: parts.api,
            client: parts.client,
            clock: system_clock(),
            registry: registry.clone(),
            folder: settings.paths.console(),
            instance: settings.paths.instance(),
            machine: settings.node_name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            hosts,
            tls: !is_local,
            assets: settings.console_assets.clone(),
        },
    )?;
    let listener = TcpListener::bind(settings.console).await.with_context(|| {
        format!("the console cannot listen on {}; choose another address with --console-listen", settings.console)
    })?;
    let server = Server {
        name: "console",
        listener,
        tls: (!is_local).then_some(tls),
        handler: console.handler(),
        limits: Limits::default(),
    };
    drop(scope.spawn("accept", maru_http::serve(scope.clone(), server)));
    Ok(())
}
