//! The service: opens the store, and answers.
//! Long because the way of a request, from its path to what answers it, is proofread in one place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use maru_http::{Body, Handler};
use maru_prom::Labels;
use maru_prom::exposition::ScrapeProtocol;
use maru_prom::otlp::OtlpOptions;
use maru_promql::{Engine, EngineOptions, ParseOptions};
use maru_series::{OpenReport, SeriesStore, StoreOptions, WriteScope};
use maru_task::Scope;
use maru_telemetry::Registry;
use maru_time::{SharedClock, Timestamp};
use serde_json::{Value, json};

use crate::access::{AccessScope, Caller, Gate};
use crate::answer::{self, Sink, accepts_gzip};
use crate::collect::probe::{self, Modules};
use crate::collect::{Collector, ConfigurationError, process_metrics};
use crate::fault::Fault;
use crate::jobs::Jobs;
use crate::options::{Limits, MetricsOptions};
use crate::request::{Parameters, header_text, read_body};
use crate::routes::{self, Call, Route};
use crate::rules::{self, Manager, RulesOptions};
use crate::telemetry::Telemetry;
use crate::write::Buffers;
use crate::{admin, cors, federate, lookups, openapi, otlp, query, read, status, write};

/// The service did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The store cannot be opened.
    #[error("the time-series store cannot be opened")]
    Open(#[from] maru_series::OpenError),
    /// A file that was named is wrong.
    #[error("{0}")]
    Configuration(ConfigurationError),
    /// The thread that opened the store ended early.
    #[error("opening the time-series store broke off")]
    Crashed,
}

/// What all requests share.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: SeriesStore,
    pub(crate) engine: Engine,
    pub(crate) rules: Manager,
    pub(crate) collector: Collector,
    pub(crate) modules: Arc<Modules>,
    pub(crate) limits: Limits,
    pub(crate) clock: SharedClock,
    pub(crate) gate: Gate,
    pub(crate) queries: Jobs,
    pub(crate) writes: Jobs,
    pub(crate) buffers: Buffers,
    pub(crate) telemetry: Telemetry,
    pub(crate) registry: Registry,
    pub(crate) admin_api: bool,
    pub(crate) cors_origins: Vec<String>,
    pub(crate) otlp: Arc<OtlpOptions>,
    pub(crate) experimental_promql: bool,
    pub(crate) retention: Duration,
    pub(crate) retention_bytes: u64,
    pub(crate) out_of_order_window: Duration,
    pub(crate) series_max: u64,
    pub(crate) flags: Vec<(String, String)>,
    pub(crate) version: String,
    pub(crate) started: Timestamp,
    /// Pieces of files that were damaged when the store was opened.
    pub(crate) set_aside: usize,
    pub(crate) is_stopping: AtomicBool,
}

impl State {
    /// Returns the labels of all that leaves this server.
    pub(crate) fn external_labels(&self) -> Labels {
        self.collector.configurations().borrow().global.external_labels.clone()
    }

    /// Returns the time in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }
}

/// The metrics service. Clones are the same service.
#[derive(Debug, Clone)]
pub struct Metrics {
    state: Arc<State>,
}

impl Metrics {
    /// Opens the store and starts its upkeep as tasks of `scope`.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub async fn open(scope: &Scope, options: MetricsOptions) -> Result<Self, MetricsError> {
        let modules = Modules::load(options.collect.probe_file.as_ref())
            .map_err(|wrong| MetricsError::Configuration(ConfigurationError(wrong)))?;
        let store_options = store_options(&options);
        let opened = scope.spawn_blocking(move || SeriesStore::open(store_options)).await;
        let (store, report) = opened.map_err(|_| MetricsError::Crashed)??;
        tell(&report);
        store.maintain(scope);
        Ok(Self { state: Arc::new(state(scope, options, store, &report, modules)) })
    }

    /// Returns what answers the service's requests.
    #[must_use]
    pub fn handler(&self) -> Handler {
        let state = Arc::clone(&self.state);
        Handler::new(move |request| handle(Arc::clone(&state), request))
    }

    /// Returns the same for rooms of the same process, which need no token to read: no socket can bring in what tells them.
    #[must_use]
    pub fn reader(&self) -> Handler {
        let state = Arc::clone(&self.state);
        Handler::new(move |mut request: Request<Body>| {
            request.extensions_mut().insert(InProcessReader);
            handle(Arc::clone(&state), request)
        })
    }

    /// Tells load balancers that this server is about to end: it is not ready any more, and goes on answering.
    pub fn set_stopping(&self) {
        self.state.is_stopping.store(true, Ordering::Relaxed);
    }

    /// Returns what collects.
    #[must_use]
    pub fn collector(&self) -> &Collector {
        &self.state.collector
    }

    /// Reads the configuration file and the rule files that it names again. When anything is wrong, all stays as it is.
    ///
    /// # Errors
    /// All that is wrong, with files and lines.
    pub fn reload(&self) -> Result<(), ConfigurationError> {
        reload(&self.state)
    }

    /// Returns what evaluates rules.
    #[must_use]
    pub fn rules(&self) -> &Manager {
        &self.state.rules
    }

    /// Returns the store, for writers in the same process.
    #[must_use]
    pub fn store(&self) -> &SeriesStore {
        &self.state.store
    }
}

fn store_options(options: &MetricsOptions) -> StoreOptions {
    let mut store = StoreOptions::new(options.directory.clone(), Arc::clone(&options.clock));
    store.retention = Some(options.retention).filter(|retention| !retention.is_zero());
    store.retention_bytes = Some(options.retention_bytes).filter(|bytes| *bytes > 0);
    store.out_of_order_window = options.out_of_order_window;
    if options.series_max > 0 {
        store.limits.series_max = usize::try_from(options.series_max).unwrap_or(usize::MAX);
    }
    if options.scope_series_max > 0 {
        store.limits.scope_series_max = usize::try_from(options.scope_series_max).unwrap_or(usize::MAX);
    }
    store
}

fn tell(report: &OpenReport) {
    for piece in &report.set_aside {
        tracing::error!(
            file = %piece.file.display(),
            moved_to = piece.moved_to.as_ref().map(|path| path.display().to_string()),
            reason = piece.reason,
            "a damaged piece of the time-series store was set aside; the rest serves"
        );
    }
    tracing::info!(
        series = report.series,
        blocks = report.blocks,
        samples_replayed = report.samples_replayed,
        "time-series store opened"
    );
}

fn state(scope: &Scope, options: MetricsOptions, store: SeriesStore, report: &OpenReport, modules: Modules) -> State {
    let limits = options.limits.clone();
    let mut engine = EngineOptions::default();
    engine.lookback_ms = i64::try_from(options.lookback.as_millis()).unwrap_or(i64::MAX);
    engine.samples_max = limits.query_samples_max;
    engine.memory_bytes_max = limits.query_memory_bytes_max;
    engine.timeout = limits.query_timeout;
    engine.default_subquery_step_ms = i64::try_from(options.evaluation_interval.as_millis()).unwrap_or(i64::MAX);
    engine.threads = limits.query_threads;
    engine.delayed_name_removal = options.experimental_promql;
    engine.start_timestamps = options.experimental_promql;
    let engine_lookback_ms = engine.lookback_ms;
    let modules = Arc::new(modules);
    let mut collect = options.collect.clone();
    collect.in_process.insert("probe".to_owned(), probe::in_process(&modules));
    let collector = Collector::new(scope, &store, &options.clock, &options.registry, collect, &options.directory);
    let mut for_rules = rules_options(&options);
    for_rules.alertmanagers = collector.alertmanagers(for_rules.alertmanagers);
    let rules = Manager::start(scope, store.clone(), engine.clone(), for_rules);
    let telemetry = Telemetry::new(&options.registry);
    let jobs = |name, running, waiting| Jobs::new(scope.clone(), name, running, waiting, telemetry.work(name));
    let store_limits = store_options_series_max(options.series_max);
    State {
        queries: jobs("queries", limits.queries_max, limits.queries_waiting_max),
        writes: jobs("writes", limits.writes_max, limits.writes_waiting_max),
        store,
        engine: Engine::new(engine),
        rules,
        collector,
        modules,
        limits,
        gate: Gate::new(options.access),
        buffers: Buffers::default(),
        registry: options.registry,
        telemetry,
        admin_api: options.admin_api,
        cors_origins: options.cors_origins,
        otlp: Arc::new(OtlpOptions { lookback_ms: engine_lookback_ms, ..options.otlp }),
        experimental_promql: options.experimental_promql,
        retention: options.retention,
        retention_bytes: options.retention_bytes,
        out_of_order_window: options.out_of_order_window,
        series_max: store_limits,
        flags: options.flags,
        version: options.version,
        started: options.clock.now(),
        clock: options.clock,
        set_aside: report.set_aside.len(),
        is_stopping: AtomicBool::new(false),
    }
}

fn reload(state: &State) -> Result<(), ConfigurationError> {
    state.collector.reload(|configuration, folder| {
        let mut settings = state.rules.settings();
        settings.evaluation_interval = configuration.global.evaluation_interval;
        settings.query_offset = configuration.global.rule_query_offset;
        settings.external_labels = configuration.global.external_labels.clone();
        settings.alert_relabel_configs.clone_from(&configuration.alerting.relabel);
        let outcome = state.rules.reload(folder, &configuration.rule_files, settings);
        outcome.map_err(|problems| problems.iter().map(ToString::to_string).collect())
    })
}

/// Answers `/-/reload`.
async fn answer_reload(state: &Arc<State>) -> Result<Response<Body>, Fault> {
    let own = Arc::clone(state);
    let reloaded = tokio::task::spawn_blocking(move || reload(&own)).await;
    match reloaded.map_err(|_| Fault::Internal("reading the configuration broke off".to_owned()))? {
        Ok(()) => Ok(answer::empty(StatusCode::OK)),
        Err(error) => {
            let text = format!("failed to reload config: {}\n", error.0.join("\n"));
            Ok(answer::plain(StatusCode::INTERNAL_SERVER_ERROR, text))
        }
    }
}

fn rules_options(options: &MetricsOptions) -> RulesOptions {
    let mut rules = RulesOptions::new(Arc::clone(&options.clock));
    rules.registry = options.registry.clone();
    rules.external_url.clone_from(&options.external_url);
    rules.series_max = options.limits.query_series_max;
    rules.alertmanagers = options.alertmanagers.clone();
    if options.experimental_promql {
        rules.parse = ParseOptions::experimental();
    }
    rules
}

/// Returns the limit of series that holds.
fn store_options_series_max(wanted: u64) -> u64 {
    if wanted > 0 { wanted } else { u64::try_from(maru_series::Limits::default().series_max).unwrap_or(u64::MAX) }
}

/// On requests of rooms in the same process.
#[derive(Debug, Clone, Copy)]
struct InProcessReader;

async fn handle(state: Arc<State>, request: Request<Body>) -> Response<Body> {
    let started = tokio::time::Instant::now();
    let (parts, body) = request.into_parts();
    let path = decode_path(parts.uri.path());
    let found = routes::find(&path);
    let mut response = if parts.method == Method::OPTIONS {
        answer::empty(StatusCode::NO_CONTENT)
    } else {
        match found {
            None => answer::error(&Fault::NotFound(format!("there is nothing at {path:?}"))),
            Some((route, name)) => respond(&state, route, name, &parts, body).await,
        }
    };
    cors::apply(&state, &parts.headers, response.headers_mut());
    let pattern = found.map_or("other", |(route, _)| route.path);
    state.telemetry.requests.with(&[pattern, response.status().as_str()]).inc();
    state.telemetry.request_seconds.with(&[pattern]).observe(started.elapsed());
    response
}

/// Decodes `%41` in a path; `+` stays.
fn decode_path(path: &str) -> String {
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned()
}

async fn respond(state: &Arc<State>, route: &'static Route, name: &str, parts: &Parts, body: Body) -> Response<Body> {
    let result = async {
        if !route.allows(&parts.method) {
            let method = parts.method.as_str().to_owned();
            return Err(Fault::MethodNotAllowed { method, allowed: route.methods });
        }
        let caller = match route.scope {
            Some(AccessScope::Read) if parts.extensions.get::<InProcessReader>().is_some() => Caller::default(),
            Some(scope) => state.gate.admit(&parts.headers, scope).await?,
            None => Caller::default(),
        };
        dispatch(state, route.call, name, parts, body, caller).await
    };
    result.await.unwrap_or_else(|fault| answer::error(&fault))
}

/// The scope that samples of a request are counted in: that of its token, or the one that it names itself.
fn write_scope(headers: &HeaderMap, caller: &Caller) -> WriteScope {
    const NAME_BYTES_MAX: usize = 150;
    let labels = match &caller.token {
        Some(token) => Labels::from_pairs([("token", token.as_str())]),
        None => match headers.get("x-scope-orgid").and_then(|value| value.to_str().ok()) {
            Some(name) if !name.is_empty() && name.len() <= NAME_BYTES_MAX => Labels::from_pairs([("tenant", name)]),
            _ => Labels::empty(),
        },
    };
    WriteScope { labels, series_max: caller.series_max }
}

async fn dispatch(
    state: &Arc<State>,
    call: Call,
    name: &str,
    parts: &Parts,
    body: Body,
    caller: Caller,
) -> Result<Response<Body>, Fault> {
    match call {
        Call::RemoteWrite => {
            let scope = write_scope(&parts.headers, &caller);
            return Ok(write::remote_write(state, parts, body, scope).await);
        }
        Call::Otlp => {
            let scope = write_scope(&parts.headers, &caller);
            return Ok(otlp::receive(state, parts, body, scope).await);
        }
        Call::RemoteRead => {
            let body = remote_read_body(state, parts, body).await?;
            let own = Arc::clone(state);
            let work = move |sink: &mut Sink, cancel: &_| read::remote_read(&own, &body, sink, cancel);
            return Ok(state.queries.answer(state.limits.query_timeout, false, work).await);
        }
        Call::RulesRehearse => {
            let parameters = Parameters::of_address(parts)?;
            let body = read_body(body, state.limits.write_bytes_max).await?;
            let own = Arc::clone(state);
            let work = move |sink: &mut Sink, _: &_| {
                success(sink, &rules::answer_rehearsal(&own.rules, &parameters, &body)?);
                Ok(())
            };
            return Ok(state.queries.answer(state.limits.query_timeout, accepts_gzip(&parts.headers), work).await);
        }
        Call::Healthy => return Ok(answer::plain(StatusCode::OK, "Maru metrics is healthy.\n")),
        Call::Ready if state.is_stopping.load(Ordering::Relaxed) => {
            return Ok(answer::plain(StatusCode::SERVICE_UNAVAILABLE, "Maru metrics is stopping.\n"));
        }
        Call::Ready => return Ok(answer::plain(StatusCode::OK, "Maru metrics is ready.\n")),
        Call::Reload => return answer_reload(state).await,
        Call::Lifecycle => {
            return Ok(answer::plain(
                StatusCode::FORBIDDEN,
                "Lifecycle API is not enabled: the process ends by a signal.\n",
            ));
        }
        Call::Root => {
            return Ok(answer::plain(
                StatusCode::OK,
                "Maru metrics: Prometheus' HTTP API. The paths are described at /api/v1/openapi.json.\n",
            ));
        }
        _ => {}
    }
    let parameters = Parameters::read(parts, body).await?;
    if matches!(call, Call::DeleteSeries | Call::CleanTombstones | Call::Flush | Call::Snapshot) {
        admin::check_enabled(state)?;
    }
    if let Call::Probe = call {
        let patience = header_text(parts, "x-prometheus-scrape-timeout-seconds");
        return probe::answer(&state.modules, &parameters, patience).await;
    }
    let compress = accepts_gzip(&parts.headers);
    let own = Arc::clone(state);
    let name = name.to_owned();
    let scrape = ScrapeProtocol::negotiate(header_text(parts, header::ACCEPT));
    if let Call::Federate = call {
        let work = move |sink: &mut Sink, cancel: &_| federate::federate(&own, &parameters, scrape, sink, cancel);
        return Ok(state.queries.answer(state.limits.query_timeout, compress, work).await);
    }
    if let Call::Query | Call::QueryRange = call {
        let question = match call {
            Call::Query => query::Question::instant(state, &parameters)?,
            _ => query::Question::range(state, &parameters)?,
        };
        let patience = question.timeout;
        let work = move |sink: &mut Sink, cancel: &_| query::evaluate(&own, &question, sink, cancel);
        return Ok(state.queries.answer(patience, compress, work).await);
    }
    let work = move |sink: &mut Sink, _: &_| work(&own, call, &name, &parameters, sink);
    let mut response = state.queries.answer(state.limits.query_timeout, compress, work).await;
    if matches!(call, Call::DeleteSeries | Call::CleanTombstones | Call::Flush) && response.status() == StatusCode::OK {
        response = answer::empty(StatusCode::NO_CONTENT);
    }
    Ok(response)
}

async fn remote_read_body(state: &State, parts: &Parts, body: Body) -> Result<Bytes, Fault> {
    let encoding = header_text(parts, header::CONTENT_ENCODING);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("snappy") {
        return Err(Fault::UnsupportedMediaType(format!(
            "the content encoding {encoding:?} is not supported; send snappy"
        )));
    }
    read_body(body, state.limits.write_bytes_max).await
}

/// What is answered on a blocking thread besides queries.
fn work(state: &State, call: Call, name: &str, parameters: &Parameters, sink: &mut Sink) -> Result<(), Fault> {
    let data = match call {
        Call::Series => return lookups::series(state, parameters, sink),
        Call::Labels => return lookups::labels(state, parameters, sink),
        Call::LabelValues => return lookups::values(state, name, parameters, sink),
        Call::Metadata => return lookups::metadata(state, parameters, sink),
        Call::QueryExemplars => return lookups::exemplars(state, parameters, sink),
        Call::FormatQuery => return query::format(state, parameters, sink),
        Call::ParseQuery => return query::syntax(state, parameters, sink),
        Call::DeleteSeries => return admin::delete_series(state, parameters),
        Call::CleanTombstones => return admin::clean_tombstones(state),
        Call::Flush => return admin::flush(state),
        Call::Snapshot => return admin::snapshot(state, parameters, sink),
        Call::OpenApi => {
            sink.buffer().extend_from_slice(openapi::document(&state.version).to_string().as_bytes());
            return Ok(());
        }
        Call::OwnMetrics => {
            status::refresh_gauges(state);
            sink.set_kind("text/plain; version=0.0.4; charset=utf-8");
            sink.buffer().extend_from_slice(state.registry.render().as_bytes());
            sink.buffer().extend_from_slice(process_metrics().as_bytes());
            return Ok(());
        }
        Call::Targets => {
            let pool = parameters.get("scrapePool");
            state.collector.show_targets(parameters.get("state").unwrap_or_default(), pool)
        }
        Call::TargetsMetadata => collect_metadata(state, parameters)?,
        Call::RelabelSteps => relabel_steps(state, parameters)?,
        Call::ScrapePools => state.collector.show_pools(),
        Call::Notifications => json!([]),
        Call::Alertmanagers | Call::Rules | Call::Alerts | Call::AlertsExplain => {
            rules::answer(&state.rules, call, parameters)?
        }
        Call::StatusConfig => status::config(state),
        Call::StatusFlags => status::flags(state),
        Call::StatusRuntime => status::runtime(state),
        Call::StatusBuild => status::build(state),
        Call::StatusTsdb => status::tsdb(state, parameters)?,
        Call::StatusBlocks => status::blocks(state),
        Call::StatusReplay => status::replay(),
        Call::StatusCardinality => status::cardinality(state, parameters)?,
        Call::Features => status::features(state),
        Call::Query
        | Call::QueryRange
        | Call::RemoteRead
        | Call::RemoteWrite
        | Call::Otlp
        | Call::Federate
        | Call::RulesRehearse
        | Call::Healthy
        | Call::Ready
        | Call::Reload
        | Call::Probe
        | Call::Lifecycle
        | Call::Root => return Err(Fault::Internal("the request took a wrong turn".to_owned())),
    };
    success(sink, &data);
    Ok(())
}

fn collect_metadata(state: &State, parameters: &Parameters) -> Result<Value, Fault> {
    let matchers = match parameters.get("match_target") {
        None => Vec::new(),
        Some(text) => maru_promql::parse_selector(text).map_err(|errors| Fault::parameter("match_target", errors))?,
    };
    Ok(state.collector.show_metadata(&matchers, parameters.get("metric"), parameters.limit()?))
}

fn relabel_steps(state: &State, parameters: &Parameters) -> Result<Value, Fault> {
    let text = parameters.get("labels").unwrap_or("{}");
    let labels: std::collections::BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|error| Fault::parameter("labels", error))?;
    let pool = parameters.get("scrapePool").unwrap_or_default();
    state
        .collector
        .show_relabel_steps(pool, &Labels::from_pairs(labels))
        .map_err(|why| Fault::parameter("scrapePool", why))
}

fn success(sink: &mut Sink, data: &Value) {
    sink.buffer().extend_from_slice(b"{\"status\":\"success\",\"data\":");
    sink.buffer().extend_from_slice(data.to_string().as_bytes());
    sink.buffer().push(b'}');
}
