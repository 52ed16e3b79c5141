//! `maru metrics`: the time-series store alone, and its tokens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use maru_client::Client;
use maru_http::{Server, TlsSource};
use maru_metrics::rules::{AlertmanagerTarget, Alertmanagers, Transport};
use maru_metrics::{
    Access, AccessAnswer, AccessQuestion, AccessScope, Delegate, KubeApi, Limits, Metrics, MetricsOptions,
    NameTranslation, OtlpOptions, Promotion, TokenFile, TokenRecord, parse_duration,
};
use maru_task::Scope;
use maru_telemetry::Registry;
use maru_time::system_clock;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::arguments::{
    GlobalArguments, MetricsArguments, MetricsCommand, MetricsServeArguments, MetricsTokenCommand, OtlpArguments,
};
use crate::report::Report;
use crate::settings::{Paths, Settings};
use crate::up::Signals;

/// How long requests get to end.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

pub(crate) async fn run(global: &GlobalArguments, arguments: MetricsArguments, report: Report) -> anyhow::Result<u8> {
    let paths = Paths::new(&global.data);
    match arguments.command {
        Some(MetricsCommand::Token(command)) => tokens(&token_file(&paths), command, report),
        Some(MetricsCommand::Rules(command)) => crate::rules::run(&paths, command, report).await,
        Some(MetricsCommand::Board(command)) => crate::board::run(&global.namespace, command, report),
        None => serve(&paths, &arguments.serve, report).await,
    }
}

/// Returns where the tokens of a data folder are.
pub(crate) fn token_file(paths: &Paths) -> TokenFile {
    TokenFile::new(paths.metrics().join("tokens.json"))
}

pub(crate) fn tokens(file: &TokenFile, command: MetricsTokenCommand, report: Report) -> anyhow::Result<u8> {
    match command {
        MetricsTokenCommand::Create { name, scope, series_max } => {
            anyhow::ensure!(!name.is_empty() && name.len() <= 150, "a token's name has 1 to 150 bytes");
            let created = system_clock().now();
            let token = file.create(TokenRecord { name: name.clone(), scopes: scope, series_max, created })?;
            report.line(token.reveal());
            report.value(&json!({"name": name, "token": token.reveal()}));
        }
        MetricsTokenCommand::Ls => {
            let records = file.list()?;
            for record in &records {
                let scopes: Vec<String> = record.scopes.iter().map(ToString::to_string).collect();
                report.line(format_args!("{:<24} {:<18} {}", record.name, scopes.join(","), record.created));
            }
            report.value(&json!({"tokens": records}));
        }
        MetricsTokenCommand::Rm { name } => {
            anyhow::ensure!(file.delete(&name)?, "there is no token named \"{name}\"; see \"maru metrics token ls\"");
            report.line(format_args!("token \"{name}\" deleted"));
            report.value(&json!({"deleted": name}));
        }
    }
    Ok(0)
}

/// Reads what was typed; all that is wrong is told at once.
fn options(paths: &Paths, arguments: &MetricsServeArguments) -> anyhow::Result<MetricsOptions> {
    let mut wrong = Vec::new();
    let mut time = |flag: &str, text: &str| {
        parse_duration(text).unwrap_or_else(|why| {
            wrong.push(format!("{flag}: {why}; write for example 30s, 1h30m or 15d"));
            Duration::ZERO
        })
    };
    let retention = time("--retention", &arguments.retention);
    let out_of_order_window = time("--out-of-order-window", &arguments.out_of_order_window);
    let lookback = time("--lookback", &arguments.lookback);
    let evaluation_interval = time("--evaluation-interval", &arguments.evaluation_interval);
    let query_timeout = time("--query-timeout", &arguments.query_timeout);
    let mut size = |flag: &str, text: &str| {
        parse_size(text).unwrap_or_else(|| {
            wrong.push(format!("{flag}: \"{text}\" is no size; write for example 500MB or 10GiB"));
            0
        })
    };
    let retention_bytes = size("--retention-size", &arguments.retention_size);
    let query_memory_bytes_max = size("--query-memory-max", &arguments.query_memory_max);
    if arguments.no_authentication && !arguments.listen.ip().is_loopback() {
        wrong.push(format!(
            "--no-authentication lets everybody in, and {} is no loopback address; listen on 127.0.0.1, or make tokens with \
             \"maru metrics token create\"",
            arguments.listen.ip()
        ));
    }
    for (flag, is_zero) in [
        ("--lookback", lookback.is_zero()),
        ("--evaluation-interval", evaluation_interval.is_zero()),
        ("--query-timeout", query_timeout.is_zero()),
        ("--query-concurrency", arguments.query_concurrency == 0),
    ] {
        if is_zero && !wrong.iter().any(|one| one.starts_with(flag)) {
            wrong.push(format!("{flag}: it must be more than 0"));
        }
    }
    anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    let mut options = MetricsOptions::new(paths.metrics());
    options.access = if arguments.no_authentication {
        Access::Open
    } else {
        Access::Tokens { file: token_file(paths), delegate: None }
    };
    options.limits = Limits {
        queries_max: arguments.query_concurrency,
        query_timeout,
        query_samples_max: arguments.query_samples_max,
        query_memory_bytes_max,
        query_series_max: arguments.query_series_max,
        ..Limits::default()
    };
    options.registry = Registry::default();
    options.admin_api = arguments.enable_admin_api;
    options.cors_origins.clone_from(&arguments.cors_origin);
    options.lookback = lookback;
    options.evaluation_interval = evaluation_interval;
    options.experimental_promql = arguments.experimental_promql;
    options.retention = retention;
    options.retention_bytes = retention_bytes;
    options.out_of_order_window = out_of_order_window;
    options.series_max = arguments.series_max;
    options.scope_series_max = arguments.scope_series_max;
    options.otlp = otlp(&arguments.otlp);
    options.flags = flags(paths, arguments);
    options.collect.probe_file.clone_from(&arguments.probe_config);
    options.collect.variables = std::env::vars().collect();
    if let Some(file) = &arguments.config {
        let read = maru_metrics::read_configuration_file(file, &options.collect.variables);
        let configuration = read.map_err(|wrong| anyhow::anyhow!("{}", wrong.0.join("\n")))?;
        options.evaluation_interval = configuration.global.evaluation_interval;
        options.retention = configuration.retention.unwrap_or(options.retention);
        options.retention_bytes = configuration.retention_bytes.unwrap_or(options.retention_bytes);
        options.out_of_order_window = configuration.out_of_order_window.unwrap_or(options.out_of_order_window);
        options.collect.file = Some(file.clone());
    }
    Ok(options)
}

/// Returns how OTLP metrics become series.
fn otlp(arguments: &OtlpArguments) -> OtlpOptions {
    let names = |names: &[String]| names.iter().cloned().collect();
    let promotion = if arguments.otlp_promote_all_resource_attributes {
        Promotion::AllBut(names(&arguments.otlp_ignore_resource_attribute))
    } else {
        Promotion::Only(names(&arguments.otlp_promote_resource_attribute))
    };
    OtlpOptions {
        // The command line takes no others.
        names: NameTranslation::of_name(&arguments.otlp_translation_strategy).unwrap_or_default(),
        promotion,
        keeps_identifying_attributes: arguments.otlp_keep_identifying_resource_attributes,
        promotes_scope: arguments.otlp_promote_scope_metadata,
        histograms_become_native: arguments.otlp_convert_histograms_to_nhcb,
        ..OtlpOptions::default()
    }
}

/// Returns the flags as they hold, for the status page.
fn flags(paths: &Paths, arguments: &MetricsServeArguments) -> Vec<(String, String)> {
    [
        ("data", paths.data.display().to_string()),
        ("config", arguments.config.as_ref().map(|file| file.display().to_string()).unwrap_or_default()),
        ("listen", arguments.listen.to_string()),
        ("no-authentication", arguments.no_authentication.to_string()),
        ("retention", arguments.retention.clone()),
        ("retention-size", arguments.retention_size.clone()),
        ("out-of-order-window", arguments.out_of_order_window.clone()),
        ("lookback", arguments.lookback.clone()),
        ("evaluation-interval", arguments.evaluation_interval.clone()),
        ("query-timeout", arguments.query_timeout.clone()),
        ("query-concurrency", arguments.query_concurrency.to_string()),
        ("query-samples-max", arguments.query_samples_max.to_string()),
        ("query-memory-max", arguments.query_memory_max.clone()),
        ("query-series-max", arguments.query_series_max.to_string()),
        ("series-max", arguments.series_max.to_string()),
        ("scope-series-max", arguments.scope_series_max.to_string()),
        ("enable-admin-api", arguments.enable_admin_api.to_string()),
        ("experimental-promql", arguments.experimental_promql.to_string()),
        ("cors-origin", arguments.cors_origin.join(",")),
        ("otlp-translation-strategy", arguments.otlp.otlp_translation_strategy.clone()),
        ("otlp-promote-resource-attribute", arguments.otlp.otlp_promote_resource_attribute.join(",")),
        ("otlp-promote-all-resource-attributes", arguments.otlp.otlp_promote_all_resource_attributes.to_string()),
        ("otlp-ignore-resource-attribute", arguments.otlp.otlp_ignore_resource_attribute.join(",")),
        (
            "otlp-keep-identifying-resource-attributes",
            arguments.otlp.otlp_keep_identifying_resource_attributes.to_string(),
        ),
        ("otlp-promote-scope-metadata", arguments.otlp.otlp_promote_scope_metadata.to_string()),
        ("otlp-convert-histograms-to-nhcb", arguments.otlp.otlp_convert_histograms_to_nhcb.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Reads bytes: `500MB`, `10GiB`, `1024`.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KB" | "kB" => 1000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        "TB" => 1_000_000_000_000,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

async fn serve(paths: &Paths, arguments: &MetricsServeArguments, report: Report) -> anyhow::Result<u8> {
    let started = Instant::now();
    let options = options(paths, arguments)?;
    let tls = match (&arguments.tls_certificate, &arguments.tls_key) {
        (Some(certificate), Some(key)) => Some(tls_source(certificate, key)?),
        _ => None,
    };
    let mut signals = Signals::listen()?;
    let directory = options.directory.clone();
    std::fs::create_dir_all(&directory)
        .with_context(|| format!("cannot use the data folder \"{}\"", directory.display()))?;
    let listener = TcpListener::bind(arguments.listen).await;
    let listener = listener
        .with_context(|| format!("cannot listen on {}; choose another address with --listen", arguments.listen))?;
    let address = listener.local_addr()?;
    warn_of_exposure(arguments, &token_file(paths), tls.is_some())?;
    let store_scope = Scope::root("metrics");
    let metrics = tokio::select! {
        opened = Metrics::open(&store_scope, options) => opened?,
        () = signals.next() => anyhow::bail!("stopped while starting"),
    };
    if metrics.collector().has_file() {
        metrics.reload().map_err(|wrong| anyhow::anyhow!("{}", wrong.0.join("\n")))?;
        reload_on_hangup(&store_scope, &metrics)?;
    }
    let http_scope = Scope::root("http");
    let scheme = if tls.is_some() { "https" } else { "http" };
    let server =
        Server { name: "metrics", listener, tls, handler: metrics.handler(), limits: maru_http::Limits::default() };
    drop(http_scope.spawn("accept", maru_http::serve(http_scope.clone(), server)));
    let (url, elapsed) = (format!("{scheme}://{address}"), started.elapsed());
    report.line(format_args!(
        "metrics on {url}, ready in {:.2} s, data in {}",
        elapsed.as_secs_f64(),
        directory.display()
    ));
    report.value(&json!({"url": url, "ready_seconds": elapsed.as_secs_f64(), "data": directory}));
    signals.next().await;
    report.progress("stopping; a second Ctrl-C stops at once");
    metrics.set_stopping();
    tokio::select! {
        () = stop(&http_scope, &store_scope) => {}
        () = signals.next() => anyhow::bail!("stopped at once"),
    }
    Ok(0)
}

/// Reads the configuration again at each SIGHUP; one that is wrong is told and changes nothing.
fn reload_on_hangup(scope: &Scope, metrics: &Metrics) -> anyhow::Result<()> {
    let mut hangups = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    let metrics = metrics.clone();
    drop(scope.spawn_until_cancelled("reload", async move {
        while hangups.recv().await.is_some() {
            let own = metrics.clone();
            match tokio::task::spawn_blocking(move || own.reload()).await {
                Ok(Ok(())) => tracing::info!("the configuration was read again"),
                Ok(Err(wrong)) => {
                    for problem in wrong.0 {
                        tracing::error!(error = problem, "the new configuration is wrong; the old one stays");
                    }
                }
                Err(_) => tracing::error!("reading the configuration broke off"),
            }
        }
    }));
    Ok(())
}

/// Starts the service inside `maru up`: beside its own tokens it takes those of service accounts, as far as their roles reach.
pub(crate) async fn start(
    scope: &Scope,
    settings: &Settings,
    tls: &TlsSource,
    client: Client,
    registry: &Registry,
    alerts: &maru_alerts::Alerts,
) -> anyhow::Result<Metrics> {
    let mut options = MetricsOptions::new(settings.paths.metrics());
    options.alertmanagers = alertmanagers(settings, alerts);
    options.collect.in_process = maru_metrics::cluster_targets(scope, &client, &settings.node_name, registry);
    options.collect.kube = Some(KubeApi(client.clone()));
    options.collect.first_at_once = true;
    let delegate = delegate(client, ROLE_PATH);
    options.access = Access::Tokens { file: token_file(&settings.paths), delegate: Some(delegate) };
    options.registry = registry.clone();
    options.flags = vec![("data".to_owned(), settings.paths.data.display().to_string())];
    let metrics = Metrics::open(scope, options).await?;
    let mut addresses = vec![settings.metrics];
    if !settings.metrics.ip().is_unspecified() {
        addresses.push(SocketAddr::new(settings.node_address.into(), settings.metrics.port()));
    }
    for address in addresses {
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| {
            format!("the metrics API cannot listen on {address}; choose another with --metrics-port")
        })?;
        let tls = Some(Arc::clone(tls));
        let server =
            Server { name: "metrics", listener, tls, handler: metrics.handler(), limits: maru_http::Limits::default() };
        drop(scope.spawn("accept", maru_http::serve(scope.clone(), server)));
    }
    Ok(metrics)
}

/// Tells alerts to the room in the same process, without a socket.
fn alertmanagers(settings: &Settings, alerts: &maru_alerts::Alerts) -> watch::Receiver<Alertmanagers> {
    let target = AlertmanagerTarget {
        url: format!("https://{}/api/v2/alerts", settings.alerts),
        transport: Transport::Room(alerts.room_handler()),
        timeout: Duration::from_secs(10),
        alert_relabel_configs: Arc::from([]),
    };
    watch::channel(Alertmanagers { active: vec![target], dropped: Vec::new() }).1
}

/// The path that roles name to give access to metrics (`nonResourceURLs`).
pub(crate) const ROLE_PATH: &str = "/maru/metrics";

/// Asks about tokens that are not in the file: `path` is what roles name to give access.
pub(crate) fn delegate(client: Client, path: &'static str) -> Delegate {
    Delegate::new(move |question| review(client.clone(), path, question))
}

/// Asks the API server whose token it is and what that one may do.
async fn review(client: Client, path: &'static str, question: AccessQuestion) -> AccessAnswer {
    let verb = match question.scope {
        AccessScope::Read => "get",
        AccessScope::Write => "post",
        AccessScope::Admin => "delete",
    };
    let token = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": question.token.reveal()},
    });
    let Some(token) = create(&client, "/apis/authentication.k8s.io/v1/tokenreviews", &token).await else {
        return AccessAnswer::Unknown;
    };
    if token["status"]["authenticated"] != true {
        return AccessAnswer::Unknown;
    }
    let user = &token["status"]["user"];
    let access = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {
            "user": user["username"], "groups": user["groups"], "uid": user["uid"],
            "nonResourceAttributes": {"path": path, "verb": verb},
        },
    });
    let access = create(&client, "/apis/authorization.k8s.io/v1/subjectaccessreviews", &access).await;
    match access {
        Some(access) if access["status"]["allowed"] == true => AccessAnswer::Allowed,
        _ => AccessAnswer::Forbidden,
    }
}

async fn create(client: &Client, path: &str, object: &Value) -> Option<Value> {
    let request =
        http::Request::post(path).header("content-type", "application/json").body(object.to_string().into_bytes());
    let answered: Result<Value, _> = client.request(request.ok()?).await;
    answered.inspect_err(|error| tracing::warn!(path, %error, "a review failed")).ok()
}

/// Ends the requests, then the store's own work.
async fn stop(http: &Scope, store: &Scope) {
    for scope in [http, store] {
        if let Err(still) = scope.shutdown(DRAIN_TIME_MAX).await {
            tracing::warn!(scope = scope.name(), tasks = still.tasks, "tasks did not end in time");
        }
    }
}

/// Says what a person who opens the server to others should know.
fn warn_of_exposure(arguments: &MetricsServeArguments, file: &TokenFile, has_tls: bool) -> anyhow::Result<()> {
    if arguments.no_authentication {
        return Ok(());
    }
    if file.list()?.is_empty() {
        tracing::warn!(
            "there are no tokens, so every request will be refused; make one with \"maru metrics token create\", or start with --no-authentication on loopback"
        );
    }
    if !has_tls && !arguments.listen.ip().is_loopback() {
        tracing::warn!("tokens cross the network unencrypted; give --tls-certificate and --tls-key");
    }
    Ok(())
}

/// Reads the certificate, and reads it again when its file has changed: renewal needs no restart.
pub(crate) fn tls_source(certificate: &Path, key: &Path) -> anyhow::Result<TlsSource> {
    let (certificate, key) = (certificate.to_owned(), key.to_owned());
    let changed = move |path: &PathBuf| std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let first: (Option<SystemTime>, Arc<rustls::ServerConfig>) =
        (changed(&certificate), tls_config(&certificate, &key)?);
    let current = Mutex::new(first);
    Ok(Arc::new(move || {
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = changed(&certificate);
        if now != current.0 {
            current.0 = now;
            match tls_config(&certificate, &key) {
                Ok(config) => current.1 = config,
                Err(error) => {
                    tracing::error!(error = %format!("{error:#}"), "the new certificate cannot be used; the old one stays")
                }
            }
        }
        Arc::clone(&current.1)
    }))
}

fn tls_config(certificate: &Path, key: &Path) -> anyhow::Result<Arc<rustls::ServerConfig>> {
    let chain: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.with_context(|| format!("cannot read certificates from \"{}\"", certificate.display()))?;
    let key_der =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("cannot read a key from \"{}\"", key.display()))?;
    let mut config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .with_context(|| format!("\"{}\" and \"{}\" do not go together", certificate.display(), key.display()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn parsed(flags: &str) -> anyhow::Result<MetricsOptions> {
        let words = ["maru", "metrics"].into_iter().chain(flags.split_whitespace());
        let arguments = Arguments::parse_from(words);
        let Command::Metrics(metrics) = &arguments.command else { unreachable!("metrics was typed") };
        options(&Paths::new(&arguments.global.data), &metrics.serve)
    }

    #[test]
    fn flags_of_otlp_become_options() {
        let options = parsed("--otlp-translation-strategy NoTranslation --otlp-promote-resource-attribute k8s.pod.name --otlp-convert-histograms-to-nhcb").unwrap();
        assert_eq!(options.otlp.names, NameTranslation::NoTranslation);
        assert_eq!(options.otlp.promotion, Promotion::Only(["k8s.pod.name".to_owned()].into()));
        assert!(options.otlp.histograms_become_native);
        let all = "--otlp-promote-all-resource-attributes --otlp-ignore-resource-attribute host.id";
        assert_eq!(parsed(all).unwrap().otlp.promotion, Promotion::AllBut(["host.id".to_owned()].into()));
    }

    #[test]
    fn flags_become_options() {
        let options = parsed("--data /d --retention 1y --retention-size 10GiB --no-authentication").unwrap();
        assert_eq!(options.directory, Path::new("/d/metrics"));
        assert_eq!(options.retention, Duration::from_secs(365 * 86_400));
        assert_eq!(options.retention_bytes, 10 << 30);
        assert!(matches!(options.access, Access::Open));
        assert!(matches!(parsed("--listen 0.0.0.0:1").unwrap().access, Access::Tokens { .. }));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let wrong =
            parsed("--listen 0.0.0.0:9090 --no-authentication --retention 1x --retention-size 1XB --lookback 0");
        let text = wrong.unwrap_err().to_string();
        for part in ["--no-authentication", "--retention:", "--retention-size", "--lookback"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
