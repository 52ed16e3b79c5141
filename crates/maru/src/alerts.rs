//! `maru alerts`: Alertmanager alone or inside of `maru up`, and what people ask it.

mod ask;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use maru_alerts::{Alerts, AlertsOptions, ConfigSource, Gate, Need, WatchConfig};
use maru_client::Client;
use maru_http::{Server, TlsSource};
use maru_metrics::{Access, AccessScope, Doorkeeper, TokenFile};
use maru_task::Scope;
use maru_telemetry::Registry;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::arguments::{GlobalArguments, MetricsTokenCommand};
use crate::report::Report;
use crate::settings::{Paths, Settings};
use crate::up::Signals;

/// How long requests and messages under way get to end.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);
/// How often the configuration's Secret is looked at.
const SECRET_LOOK_INTERVAL: Duration = Duration::from_secs(15);
/// Where `maru up` takes its configuration from.
const SECRET_PATH: &str = "/api/v1/namespaces/maru-system/secrets/alertmanager-main";
/// The path that roles name to give access to alerts (`nonResourceURLs`).
pub(crate) const ROLE_PATH: &str = "/maru/alerts";
/// The key of the configuration in it; all others are templates.
const SECRET_KEY: &str = "alertmanager.yaml";

/// What `maru alerts` can be told.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  maru alerts --data /var/lib/alerts --config alertmanager.yml --no-authentication\n  maru alerts check-config alertmanager.yml\n  maru alerts routes alertmanager.yml team=db severity=page\n  maru alerts why alertname=DiskFull\n  maru alerts drill ops\n  maru alerts rehearse alertmanager.yml timeline.json"
)]
pub(crate) struct AlertsArguments {
    #[command(subcommand)]
    pub(crate) command: Option<AlertsCommand>,
    #[command(flatten)]
    pub(crate) serve: AlertsServeArguments,
}

/// How the server runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct AlertsServeArguments {
    /// The address to listen on; port 0 takes any that is free
    #[arg(long, default_value = "127.0.0.1:9093", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Who is told what: an alertmanager.yml as it is; without one alerts are shown and nobody is told
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Dead-man switches and daily fire drills
    #[arg(long, value_name = "FILE")]
    watch: Option<PathBuf>,
    /// The address by which people reach this server, for links in messages
    #[arg(long, value_name = "URL")]
    external_url: Option<String>,
    /// Let everybody in who reaches the server; for loopback addresses only
    #[arg(long)]
    no_authentication: bool,
    /// The certificate chain to speak TLS with (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// A web origin that may read answers in browsers (* for all); may be given several times
    #[arg(long, value_name = "ORIGIN")]
    cors_origin: Vec<String>,
    /// Write log lines as JSON
    #[arg(long)]
    pub(crate) log_json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Manage the tokens that clients show
    #[command(subcommand)]
    Token(MetricsTokenCommand),
    /// Check an alertmanager.yml and its templates; all that is wrong is told at once
    CheckConfig {
        /// The file
        file: PathBuf,
    },
    /// Tell which receivers an alert with these labels goes to
    Routes {
        /// The alertmanager.yml
        file: PathBuf,
        /// Labels: name=value
        #[arg(required = true, value_parser = ask::label)]
        labels: Vec<(String, String)>,
    },
    /// Tell who would have been told what and when, over a timeline of alerts
    Rehearse {
        /// The alertmanager.yml
        file: PathBuf,
        /// JSON: {"events": [{"at": time, "labels": {…}, "endsAt": time}], "until": time}
        timeline: PathBuf,
    },
    /// Tell why somebody was, or was not, told of an alert
    Why {
        /// Conditions on the alert's labels: alertname=DiskFull, or severity=~"page|critical"
        #[arg(required = true)]
        matchers: Vec<String>,
        #[command(flatten)]
        server: ask::ServerArguments,
    },
    /// Send a test alert the whole way, and tell what the receiver answered
    Drill {
        /// The receiver; without one the routing tree decides by the labels
        #[arg(required_unless_present = "label")]
        receiver: Option<String>,
        /// A label of the test alert: name=value; may be given several times
        #[arg(short, long, value_parser = ask::label)]
        label: Vec<(String, String)>,
        /// How long to wait for the answer, such as 2m
        #[arg(long, default_value = "2m", value_name = "TIME")]
        wait: String,
        #[command(flatten)]
        server: ask::ServerArguments,
    },
}

pub(crate) async fn run(global: &GlobalArguments, arguments: AlertsArguments, report: Report) -> anyhow::Result<u8> {
    let paths = Paths::new(&global.data);
    match arguments.command {
        Some(AlertsCommand::Token(command)) => crate::metrics::tokens(&token_file(&paths), command, report),
        Some(AlertsCommand::CheckConfig { file }) => ask::check(&file, report),
        Some(AlertsCommand::Routes { file, labels }) => ask::routes(&file, &labels, report),
        Some(AlertsCommand::Rehearse { file, timeline }) => ask::rehearse(&file, &timeline, report),
        Some(AlertsCommand::Why { matchers, server }) => ask::why(&server, &matchers, report).await,
        Some(AlertsCommand::Drill { receiver, label, wait, server }) => {
            ask::drill(&server, receiver.as_deref(), &label, &wait, report).await
        }
        None => serve(&paths, &arguments.serve, report).await,
    }
}

fn token_file(paths: &Paths) -> TokenFile {
    TokenFile::new(paths.alerts().join("tokens.json"))
}

/// Lets in who shows a token that reaches far enough.
fn gate(access: Access) -> Gate {
    let keeper = Arc::new(Doorkeeper::new(access));
    Gate::new(move |headers, need| {
        let keeper = Arc::clone(&keeper);
        async move {
            let scope = match need {
                Need::Read => AccessScope::Read,
                Need::Write => AccessScope::Write,
                Need::Admin => AccessScope::Admin,
            };
            keeper.admit(&headers, scope).await
        }
    })
}

fn watch_config(file: Option<&PathBuf>) -> anyhow::Result<WatchConfig> {
    let Some(path) = file else { return Ok(WatchConfig::default()) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read \"{}\"", path.display()))?;
    WatchConfig::read(&text)
        .map_err(|problems| anyhow::anyhow!("\"{}\" cannot be used:\n  {}", path.display(), problems.join("\n  ")))
}

async fn serve(paths: &Paths, arguments: &AlertsServeArguments, report: Report) -> anyhow::Result<u8> {
    let started = Instant::now();
    anyhow::ensure!(
        !arguments.no_authentication || arguments.listen.ip().is_loopback(),
        "--no-authentication lets everybody in, and {} is no loopback address; listen on 127.0.0.1, or make tokens with \"maru alerts token create\"",
        arguments.listen.ip()
    );
    let tls = match (&arguments.tls_certificate, &arguments.tls_key) {
        (Some(certificate), Some(key)) => Some(crate::metrics::tls_source(certificate, key)?),
        _ => None,
    };
    let mut options = AlertsOptions::new(paths.alerts());
    options.config = arguments.config.clone().map_or(ConfigSource::None, ConfigSource::File);
    options.watch = watch_config(arguments.watch.as_ref())?;
    options.cors_origins.clone_from(&arguments.cors_origin);
    if !arguments.no_authentication {
        options.gate = gate(Access::Tokens { file: token_file(paths), delegate: None });
        if token_file(paths).list()?.is_empty() {
            tracing::warn!(
                "there are no tokens, so every request will be refused; make one with \"maru alerts token create\", or start with --no-authentication on loopback"
            );
        }
    }
    let mut signals = Signals::listen()?;
    let mut hang_ups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    let listener = TcpListener::bind(arguments.listen).await;
    let listener = listener
        .with_context(|| format!("cannot listen on {}; choose another address with --listen", arguments.listen))?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", listener.local_addr()?);
    options.external_url = arguments.external_url.clone().unwrap_or_else(|| url.clone());
    let scope = Scope::root("alerts");
    let alerts = Alerts::open(&scope, options)?;
    let http_scope = Scope::root("http");
    let server =
        Server { name: "alerts", listener, tls, handler: alerts.handler(), limits: maru_http::Limits::default() };
    drop(http_scope.spawn("accept", maru_http::serve(http_scope.clone(), server)));
    let elapsed = started.elapsed().as_secs_f64();
    report.line(format_args!("alerts on {url}, ready in {elapsed:.2} s, data in {}", paths.alerts().display()));
    report.value(&json!({"url": url, "ready_seconds": elapsed, "data": paths.alerts()}));
    loop {
        tokio::select! {
            () = signals.next() => break,
            // What is wrong is logged, and the old configuration stays.
            _ = hang_ups.recv() => drop(alerts.reload()),
        }
    }
    report.progress("stopping; a second Ctrl-C stops at once");
    alerts.set_stopping();
    let stop = async {
        for scope in [&http_scope, &scope] {
            if let Err(still) = scope.shutdown(DRAIN_TIME_MAX).await {
                tracing::warn!(scope = scope.name(), tasks = still.tasks, "tasks did not end in time");
            }
        }
    };
    tokio::select! {
        () = stop => Ok(0),
        () = signals.next() => anyhow::bail!("stopped at once"),
    }
}

/// Starts the service inside `maru up`: its configuration is a Secret, or a file in the data folder.
pub(crate) async fn start(
    scope: &Scope,
    settings: &Settings,
    tls: &TlsSource,
    client: Client,
    registry: &Registry,
) -> anyhow::Result<Alerts> {
    let folder = settings.paths.alerts();
    let mut options = AlertsOptions::new(folder.clone());
    let delegate = crate::metrics::delegate(client.clone(), ROLE_PATH);
    options.gate = gate(Access::Tokens { file: token_file(&settings.paths), delegate: Some(delegate) });
    options.registry = registry.clone();
    options.external_url = format!("https://{}", settings.alerts);
    let file = folder.join("alertmanager.yml");
    if file.exists() {
        options.config = ConfigSource::File(file);
    }
    let watch = folder.join("watch.yml");
    options.watch = watch_config(watch.exists().then_some(&watch))?;
    let alerts = Alerts::open(scope, options)?;
    let mut addresses = vec![settings.alerts];
    if !settings.alerts.ip().is_unspecified() {
        addresses.push(SocketAddr::new(settings.node_address.into(), settings.alerts.port()));
    }
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        let listener = listener
            .with_context(|| format!("the alerts API cannot listen on {address}; choose another with --alerts-port"))?;
        let tls = Some(Arc::clone(tls));
        let server =
            Server { name: "alerts", listener, tls, handler: alerts.handler(), limits: maru_http::Limits::default() };
        drop(scope.spawn("accept", maru_http::serve(scope.clone(), server)));
    }
    drop(scope.spawn_until_cancelled("configuration", follow_secret(alerts.clone(), client)));
    Ok(alerts)
}

/// Takes the configuration from the Secret whenever it has changed.
async fn follow_secret(alerts: Alerts, client: Client) {
    let mut known = String::new();
    loop {
        let request = http::Request::get(SECRET_PATH).body(Vec::new());
        let secret: Option<Value> = match request {
            Ok(request) => client.request(request).await.ok(),
            Err(_) => None,
        };
        let version = secret.as_ref().and_then(|secret| secret["metadata"]["resourceVersion"].as_str());
        if let (Some(version), Some(secret)) = (version, &secret)
            && version != known
        {
            version.clone_into(&mut known);
            match source(secret) {
                // What is wrong is logged, and the old configuration stays.
                Some(source) => drop(alerts.configure(source)),
                None => tracing::error!("the Secret maru-system/alertmanager-main has no text \"{SECRET_KEY}\""),
            }
        }
        tokio::time::sleep(SECRET_LOOK_INTERVAL).await;
    }
}

fn source(secret: &Value) -> Option<ConfigSource> {
    use base64::Engine as _;
    let decode = |value: &Value| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(value.as_str()?).ok()?;
        String::from_utf8(bytes).ok()
    };
    let data = secret["data"].as_object()?;
    Some(ConfigSource::Given {
        name: "Secret maru-system/alertmanager-main".to_owned(),
        text: decode(data.get(SECRET_KEY)?)?,
        templates: data
            .iter()
            .filter(|(name, _)| *name != SECRET_KEY)
            .filter_map(|(name, value)| Some((name.clone(), decode(value)?)))
            .collect(),
    })
}
