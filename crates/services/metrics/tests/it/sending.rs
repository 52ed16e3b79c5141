//! What is sent to other servers, byte by byte, by a receiver that answers as it is told; and what a kill leaves unsent.
//!
//! Source: Prometheus remote write 1.0 and 2.0 specifications; the behaviours that prometheus/compliance asks of senders.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Mutex;

use maru_prom::remote_write::{Entry, HistogramSample, Request};
use maru_prom::{Exemplar, Histogram, Metadata, MetricType, Span, stale_marker};
use maru_testkit::wait_until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::*;
use crate::child::Killed;

/// What a receiver answers once.
#[derive(Debug, Clone, Copy)]
enum Answer {
    Status(u16, &'static str),
    /// It reads the request and says nothing any more.
    Silence,
}

const GOOD: Answer = Answer::Status(200, "X-Prometheus-Remote-Write-Samples-Written: 1\r\n");

/// A request as it came.
#[derive(Debug, Clone)]
struct Got {
    at: Instant,
    head: BTreeMap<String, String>,
    line: String,
    packed: Vec<u8>,
    status: u16,
}

/// One series of a request.
#[derive(Debug, Clone)]
struct Sent {
    pairs: Vec<(String, String)>,
    samples: Vec<Sample>,
    histograms: Vec<HistogramSample>,
    exemplars: Vec<Exemplar>,
    metadata: Option<Metadata>,
}

impl Sent {
    fn name(&self) -> &str {
        self.label("__name__")
    }

    fn label(&self, name: &str) -> &str {
        self.pairs.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}

impl Got {
    fn version(&self) -> Version {
        Version::of_content_type(&self.head["content-type"]).unwrap()
    }

    fn body(&self) -> Vec<u8> {
        snappy::decompress(&self.packed, 100 << 20, &mut Vec::new()).unwrap().to_vec()
    }

    fn series(&self) -> Vec<Sent> {
        let body = self.body();
        let request = Request::new(self.version(), &body).unwrap();
        let mut all = Vec::new();
        for entry in request.entries() {
            let Entry::Series(series) = entry.unwrap() else { continue };
            let mut pairs = Vec::new();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            series.labels().visit(|name, value| pairs.push((text(name), text(value)))).unwrap();
            all.push(Sent {
                pairs,
                samples: series.samples().collect::<Result<_, _>>().unwrap(),
                histograms: series.histograms().collect::<Result<_, _>>().unwrap(),
                exemplars: series.exemplars().map(|one| one.unwrap().unwrap()).collect(),
                metadata: series.metadata().unwrap().unwrap(),
            });
        }
        all
    }

    fn families(&self) -> Vec<(String, Metadata)> {
        let body = self.body();
        let request = Request::new(self.version(), &body).unwrap();
        let told = request.entries().filter_map(|entry| match entry.unwrap() {
            Entry::Metadata { family, metadata } => Some((family, metadata)),
            Entry::Series(_) => None,
        });
        told.collect()
    }
}

/// A server for remote writes.
struct Receiver {
    url: String,
    scope: Scope,
    got: Arc<Mutex<Vec<Got>>>,
    /// The next answers; after them [`Receiver::always`].
    next: Arc<Mutex<VecDeque<Answer>>>,
    always: Arc<Mutex<Answer>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v1/write", listener.local_addr().unwrap());
        let receiver = Self {
            url,
            scope: Scope::root("receiver"),
            got: Arc::default(),
            next: Arc::default(),
            always: Arc::new(Mutex::new(GOOD)),
        };
        let (got, next, always) = (Arc::clone(&receiver.got), Arc::clone(&receiver.next), Arc::clone(&receiver.always));
        let scope = receiver.scope.clone();
        drop(receiver.scope.spawn_until_cancelled("accept", async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let serving = Self::serve(socket, Arc::clone(&got), Arc::clone(&next), Arc::clone(&always));
                drop(scope.spawn_until_cancelled("connection", serving));
            }
        }));
        receiver
    }

    async fn serve(
        mut socket: TcpStream,
        got: Arc<Mutex<Vec<Got>>>,
        next: Arc<Mutex<VecDeque<Answer>>>,
        always: Arc<Mutex<Answer>>,
    ) {
        let mut head = Vec::new();
        while let Ok(byte) = socket.read_u8().await {
            head.push(byte);
            if !head.ends_with(b"\r\n\r\n") {
                continue;
            }
            let text = String::from_utf8(std::mem::take(&mut head)).unwrap();
            let mut lines = text.lines();
            let line = lines.next().unwrap_or_default().to_owned();
            let head: BTreeMap<String, String> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let mut packed = vec![0; head["content-length"].parse().unwrap()];
            if socket.read_exact(&mut packed).await.is_err() {
                return;
            }
            let answer = next.lock().unwrap().pop_front().unwrap_or(*always.lock().unwrap());
            let status = if let Answer::Status(status, _) = answer { status } else { 0 };
            got.lock().unwrap().push(Got { at: Instant::now(), head, line, packed, status });
            let Answer::Status(status, more) = answer else { std::future::pending().await };
            let answer = format!("HTTP/1.1 {status} X\r\n{more}content-length: 0\r\n\r\n");
            if socket.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, answers: &[Answer]) {
        self.next.lock().unwrap().extend(answers);
    }

    fn requests(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Returns what was acknowledged, series by series.
    fn taken(&self) -> Vec<Sent> {
        self.requests().iter().filter(|got| got.status / 100 == 2).flat_map(Got::series).collect()
    }

    /// Returns the acknowledged samples of a metric in the order in which they came.
    fn samples(&self, metric: &str) -> Vec<Sample> {
        self.taken().into_iter().filter(|sent| sent.name() == metric).flat_map(|sent| sent.samples).collect()
    }

    async fn wait(&self, what: &str, is_there: impl Fn(&Self) -> bool) {
        wait_until(Duration::from_secs(90), what, || async { is_there(self) }).await;
    }

    async fn stop(self) {
        self.scope.shutdown(Duration::from_secs(60)).await.unwrap();
    }
}

fn now_ms() -> i64 {
    maru_time::system_clock().now().as_millisecond()
}

/// Starts a server that sends on as `queue` says, and takes samples that are an hour late.
async fn sender(receiver: &Receiver, more: &str) -> Running {
    let text = format!(
        "{}remote_write:\n- url: {}\n{}",
        more.split_once("===").map_or("", |(global, _)| global),
        receiver.url,
        more.split_once("===").map_or(more, |(_, own)| own)
    );
    let running = Running::with(|options| {
        options.clock = maru_time::system_clock();
        options.out_of_order_window = Duration::from_hours(1);
        let file = options.directory.parent().unwrap().join("prometheus.yml");
        std::fs::write(&file, text).unwrap();
        options.collect.file = Some(file);
    })
    .await;
    let (status, _, text) = running.post("/-/reload", &[], Vec::new()).await;
    assert_eq!(status, 200, "{text}");
    running
}

const QUICK: &str = "  queue_config: {batch_send_deadline: 100ms, min_backoff: 20ms, max_backoff: 200ms}\n";

fn one(name: &str, samples: &[(i64, f64)]) -> Vec<(Labels, Vec<(i64, f64)>)> {
    vec![(labels(&[("__name__", name)]), samples.to_vec())]
}

fn histogram(count: f64) -> Histogram {
    Histogram {
        count,
        sum: 3.5,
        zero_threshold: 0.001,
        positive_spans: vec![Span { offset: 0, length: 2 }],
        positive_buckets: vec![count - 1.0, 1.0],
        ..Histogram::empty(0)
    }
}

/// Writes one of everything into a server.
async fn write_all_kinds(sender: &Running, at: i64) {
    let mut writer = RequestWriter::new(Version::V2);
    let exemplar = Exemplar { labels: labels(&[("trace_id", "abc")]), value: 0.7, timestamp_ms: at };
    let sample = |timestamp_ms, value, start_timestamp_ms| Sample { timestamp_ms, value, start_timestamp_ms };
    let metadata = Metadata { metric_type: MetricType::Counter, help: "Requests.".to_owned(), unit: String::new() };
    writer.series(
        &labels(&[("__name__", "requests_total"), ("b", "2"), ("a", "1"), ("Z", "0"), ("zone", "own"), ("gone", "x")]),
        &SeriesParts {
            samples: &[sample(at - 10, 1.0, at - 5000), sample(at, 2.0, at - 5000)],
            exemplars: &[exemplar],
            metadata: Some(&metadata),
            ..SeriesParts::default()
        },
    );
    for (name, value) in
        [("ended", stale_marker()), ("nan", f64::NAN), ("large", f64::INFINITY), ("low", f64::NEG_INFINITY)]
    {
        let samples = [sample(at, value, 0)];
        writer.series(&labels(&[("__name__", name)]), &SeriesParts { samples: &samples, ..SeriesParts::default() });
    }
    let one = histogram(3.0);
    let histograms = [(at, at - 5000, &one)];
    let parts = SeriesParts { histograms: &histograms, ..SeriesParts::default() };
    writer.series(&labels(&[("__name__", "latency"), ("job", "é✓")]), &parts);
    let kind = Version::V2.content_type();
    let (status, _, text) =
        sender.post("/api/v1/write", &[("content-type", kind)], snappy::compress(&writer.finish())).await;
    assert_eq!(status, 204, "{text}");
}

/// What holds for every request.
fn check_shape(got: &Got, version: Version, told: &str) {
    assert!(got.line.starts_with("POST /api/v1/write HTTP/1.1"), "{}", got.line);
    let head = |name: &str| got.head.get(name).map(String::as_str);
    assert_eq!(head("content-encoding"), Some("snappy"));
    assert_eq!(head("content-type"), Some(version.content_type()));
    assert_eq!(head("x-prometheus-remote-write-version"), Some(told));
    assert!(head("user-agent").is_some_and(|agent| agent.to_lowercase().starts_with("maru")), "{got:?}");
    assert_eq!((head("x-tenant"), head("authorization")), (Some("shop"), Some("Basic dTpw")));
    assert_eq!(head("retry-attempt"), None);
    for sent in got.series() {
        let names: Vec<&str> = sent.pairs.iter().map(|(name, _)| name.as_str()).collect();
        // Strictly: no name twice.
        assert!(names.windows(2).all(|two| two[0] < two[1]), "{names:?}");
        assert!(sent.pairs.iter().all(|(_, value)| !value.is_empty()), "{sent:?}");
        assert!(sent.samples.windows(2).all(|two| two[0].timestamp_ms < two[1].timestamp_ms), "{sent:?}");
        assert!(sent.samples.is_empty() || sent.histograms.is_empty(), "{sent:?}");
        assert_eq!(sent.label("copy"), sent.name());
    }
}

/// Version 1 says what metrics mean in requests of its own.
async fn families_are_told(sender: &Running, receiver: &Receiver) {
    let is_told = |it: &Receiver| it.requests().iter().any(|got| !got.families().is_empty());
    wait_until(Duration::from_secs(60), "metadata", || async {
        sender.write(&one("tick", &[(now_ms(), 1.0)])).await;
        is_told(receiver)
    })
    .await;
    let families: Vec<(String, Metadata)> = receiver.requests().iter().flat_map(Got::families).collect();
    assert!(
        families.iter().any(|(name, said)| name.starts_with("requests")
            && said.metric_type == MetricType::Counter
            && said.help == "Requests."),
        "{families:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_as_the_specifications_say() {
    for (version, name, told) in
        [(Version::V1, "prometheus.WriteRequest", "0.1.0"), (Version::V2, "io.prometheus.write.v2.Request", "2.0.0")]
    {
        let receiver = Receiver::start().await;
        let sender = sender(
            &receiver,
            &format!(
                "global: {{external_labels: {{zone: seoul, gone: ''}}}}\n===  protobuf_message: {name}\n  send_exemplars: true\n  \
                 send_native_histograms: true\n  headers: {{x-tenant: shop}}\n  basic_auth: {{username: u, password: p}}\n  \
                 metadata_config: {{send_interval: 1s}}\n  \
                 write_relabel_configs: [{{target_label: gone, replacement: ''}}, {{source_labels: [__name__], target_label: copy}}]\n{QUICK}"
            ),
        )
        .await;
        let at = now_ms();
        write_all_kinds(&sender, at).await;
        receiver.wait("all kinds", |it| it.taken().iter().map(Sent::name).collect::<BTreeSet<_>>().len() == 6).await;
        receiver.requests().iter().for_each(|got| check_shape(got, version, told));
        let taken = receiver.taken();
        let find = |name: &str| taken.iter().find(|sent| sent.name() == name).unwrap();
        let requests = find("requests_total");
        // The series' own label wins over an external one; an emptied one is gone.
        let pairs: Vec<(&str, &str)> = requests.pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let expected = [
            ("Z", "0"),
            ("__name__", "requests_total"),
            ("a", "1"),
            ("b", "2"),
            ("copy", "requests_total"),
            ("zone", "own"),
        ];
        assert_eq!(pairs, expected);
        let start = |of: i64| if version == Version::V2 { of } else { 0 };
        let sample = |timestamp_ms, value| Sample { timestamp_ms, value, start_timestamp_ms: start(at - 5000) };
        assert_eq!(requests.samples, [sample(at - 10, 1.0), sample(at, 2.0)]);
        assert_eq!(requests.exemplars.len(), 1);
        assert_eq!(requests.exemplars[0].labels, labels(&[("trace_id", "abc")]));
        assert_eq!(find("ended").samples[0].value.to_bits(), stale_marker().to_bits());
        assert!(find("nan").samples[0].value.is_nan() && !maru_prom::is_stale_marker(find("nan").samples[0].value));
        assert_eq!(find("large").samples[0].value, f64::INFINITY);
        assert_eq!(find("low").samples[0].value, f64::NEG_INFINITY);
        assert_eq!(find("ended").label("zone"), "seoul");
        let latency = &find("latency");
        assert_eq!(latency.label("job"), "é✓");
        let sent = latency.histograms[0].histogram.as_ref().unwrap();
        assert_eq!((sent.count, sent.sum, latency.histograms[0].timestamp_ms), (3.0, 3.5, at));
        match version {
            Version::V1 => families_are_told(&sender, &receiver).await,
            Version::V2 => {
                assert_eq!(requests.metadata.as_ref().map(|said| said.metric_type), Some(MetricType::Counter));
                assert_eq!(latency.histograms[0].start_timestamp_ms, at - 5000);
                // The first symbol is the empty one: field 4, no bytes.
                assert!(receiver.requests().iter().all(|got| got.body().starts_with(&[4 << 3 | 2, 0])));
            }
        }
        sender.stop().await;
        receiver.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_are_retried_and_refusals_are_not() {
    let receiver = Receiver::start().await;
    let sender = sender(&receiver, &format!("  remote_timeout: 5s\n{QUICK}")).await;
    let status = |status| Answer::Status(status, "");
    // Each is tried until it works, with the same bytes.
    receiver.answer(&[
        status(500),
        status(503),
        Answer::Silence,
        Answer::Status(429, "Retry-After: 1\r\n"),
        Answer::Status(503, "Date: Mon, 23 Nov 2026 10:00:00 GMT\r\nRetry-After: Mon, 23 Nov 2026 10:00:02 GMT\r\n"),
        status(599),
    ]);
    sender.write(&one("first", &[(now_ms(), 1.0)])).await;
    receiver.wait("first", |it| !it.samples("first").is_empty()).await;
    let tried = receiver.requests();
    assert_eq!(tried.iter().map(|got| got.status).collect::<Vec<_>>(), [500, 503, 0, 429, 503, 599, 200]);
    assert!(tried.iter().all(|got| got.packed == tried[0].packed));
    let attempts: Vec<Option<&str>> =
        tried.iter().map(|got| got.head.get("retry-attempt").map(String::as_str)).collect();
    assert_eq!(attempts, [None, Some("1"), Some("2"), Some("3"), Some("4"), Some("5"), Some("6")]);
    let gap = |at: usize| tried[at + 1].at.duration_since(tried[at].at);
    assert!(gap(3) >= Duration::from_secs(1), "{:?}", gap(3));
    assert!(gap(4) >= Duration::from_secs(2), "{:?}", gap(4));
    // What is refused is refused for good; the next request goes on.
    for refused in [400, 404, 413, 409, 301] {
        let before = receiver.requests().len();
        receiver.answer(&[status(refused)]);
        sender.write(&one(&format!("refused_{refused}"), &[(now_ms(), 1.0)])).await;
        receiver.wait("the refused one", |it| it.requests().len() > before).await;
        let name = format!("after_{refused}");
        sender.write(&one(&name, &[(now_ms(), 1.0)])).await;
        receiver.wait(&name, |it| !it.samples(&name).is_empty()).await;
        let all: Vec<u16> = receiver.requests()[before..].iter().map(|got| got.status).collect();
        assert_eq!(all, [refused, 200]);
    }
    let (_, told) = sender.get("/metrics").await;
    let told = told.as_str().unwrap();
    let value = |name: &str| {
        let line = told.lines().find(|line| line.starts_with(&format!("{name}{{"))).unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert_eq!(value("prometheus_remote_storage_samples_failed_total"), 5.0);
    assert_eq!(value("prometheus_remote_storage_samples_retried_total"), 6.0);
    assert_eq!(value("prometheus_remote_storage_samples_total"), 6.0);
    sender.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_that_come_late_are_sent_too_and_each_once() {
    let receiver = Receiver::start().await;
    let sender = sender(&receiver, QUICK).await;
    let now = now_ms();
    sender.write(&one("a", &[(now, 1.0)])).await;
    receiver.wait("the first", |it| it.samples("a").len() == 1).await;
    // Half an hour late, in no order; the newest is there already.
    let late = [(now - 1_800_000, 0.1), (now - 60_000, 0.3), (now - 900_000, 0.2), (now, 1.0)];
    sender.write(&one("a", &late)).await;
    sender.write(&one("a", &[(now + 1000, 2.0)])).await;
    receiver.wait("what is late", |it| it.samples("a").len() == 5).await;
    sender.write(&one("a", &[(now + 2000, 3.0)])).await;
    receiver.wait("the last", |it| it.samples("a").len() == 6).await;
    let mut times: Vec<i64> = receiver.samples("a").iter().map(|sample| sample.timestamp_ms - now).collect();
    times.sort_unstable();
    assert_eq!(times, [-1_800_000, -900_000, -60_000, 0, 1000, 2000]);
    sender.stop().await;
    receiver.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_into_memory_during_an_outage_is_sent_from_the_store() {
    let receiver = Receiver::start().await;
    *receiver.always.lock().unwrap() = Answer::Status(503, "");
    let sender = sender(
        &receiver,
        "  queue_config: {batch_send_deadline: 100ms, min_backoff: 20ms, max_backoff: 200ms, max_samples_per_send: 5000}\n",
    )
    .await;
    // 50 series of 5000 samples, five in each second.
    let begin = now_ms() - 1_000_000;
    for part in 0..10 {
        let series = |number: i64| {
            let times =
                (0..500).map(|step| (begin + (part * 500 + step) * 200, f64::from(i32::try_from(number).unwrap())));
            (labels(&[("__name__", "many"), ("number", &number.to_string())]), times.collect())
        };
        sender.write(&(0..50).map(series).collect::<Vec<_>>()).await;
    }
    receiver.wait("a try", |it| !it.requests().is_empty()).await;
    *receiver.always.lock().unwrap() = GOOD;
    receiver.wait("all samples", |it| it.samples("many").len() >= 250_000).await;
    let mut by_series: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for sent in receiver.taken() {
        let of = by_series.entry(sent.label("number").to_owned()).or_default();
        of.extend(sent.samples.iter().map(|sample| sample.timestamp_ms));
    }
    let expected: Vec<i64> = (0..5000).map(|step| begin + step * 200).collect();
    assert_eq!(by_series.len(), 50);
    // In order, and each once.
    by_series.values().for_each(|times| assert!(*times == expected));
    sender.stop().await;
    receiver.stop().await;
}

/// The file that makes a test process the one that is killed.
const MARK: &str = "serves-until-killed";

/// No test: the process that is killed. It says where it listens.
#[test]
#[ignore = "runs as the child of another test"]
fn serves_until_it_is_killed() {
    if !Path::new(MARK).exists() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let running = Running::with(|options| {
            options.directory = "metrics".into();
            options.clock = maru_time::system_clock();
            options.out_of_order_window = Duration::from_hours(1);
            options.collect.file = Some("prometheus.yml".into());
        })
        .await;
        assert_eq!(running.post("/-/reload", &[], Vec::new()).await.0, 200);
        println!("listens {}", running.url);
        std::future::pending::<()>().await;
    });
}

/// Starts the process and returns it with the address that it listens at.
fn served(folder: &Path) -> (Killed, String) {
    let address = |line: String| line.split_once("listens ").map(|(_, url)| url.to_owned());
    Killed::start(folder, "sending::serves_until_it_is_killed", address)
}

/// The time up to which everything was sent, as it is on disk.
fn noted_ms(folder: &Path) -> Option<i64> {
    let file = folder.join("metrics/remote-write").read_dir().ok()?.next()?.ok()?.path();
    serde_json::from_slice::<Value>(&std::fs::read(file).ok()?).ok()?["position_ms"].as_i64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_under_full_sending_loses_nothing_and_sends_little_twice() {
    let folder = TempDir::new();
    let receiver = Receiver::start().await;
    let configuration = format!(
        "remote_write:\n- url: {}\n  remote_timeout: 10s\n  queue_config: {{batch_send_deadline: 50ms, min_backoff: 20ms, \
         max_backoff: 100ms, max_samples_per_send: 50}}\n",
        receiver.url
    );
    for (name, text) in [("prometheus.yml", configuration.as_str()), (MARK, "")] {
        std::fs::write(folder.join(name), text).unwrap();
    }
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let write = async |url: &str, series: &[(Labels, Vec<(i64, f64)>)]| -> bool {
        let sent = client.post(format!("{url}/api/v1/write")).body(request(Version::V1, series)).send().await;
        sent.is_ok_and(|answer| answer.status() == 204)
    };
    // What was sent long before the kill is not sent again.
    let (killed, url) = served(folder.path());
    let begin = now_ms();
    assert!(write(&url, &one("settled", &[(begin, 1.0)])).await);
    receiver.wait("the first", |it| it.samples("settled").len() == 1).await;
    wait_until(Duration::from_secs(60), "the note on disk", || async {
        assert!(write(&url, &one("tick", &[(now_ms(), 1.0)])).await);
        noted_ms(folder.path()).is_some_and(|noted| noted > begin)
    })
    .await;
    drop(killed);
    let (killed, url) = served(folder.path());
    assert!(write(&url, &one("again", &[(now_ms(), 1.0)])).await);
    receiver.wait("what comes after the kill", |it| !it.samples("again").is_empty()).await;
    assert_eq!(receiver.samples("settled").len(), 1);
    drop(killed);
    // Three kills: while the server takes all, while it fails now and then, while it says nothing.
    let mut stored: BTreeSet<(String, i64)> = BTreeSet::new();
    let mut number = 0_i32;
    for kind in [&[GOOD][..], &[Answer::Status(500, ""), GOOD, Answer::Silence], &[Answer::Silence]] {
        let (killed, url) = served(folder.path());
        let before = receiver.requests().len();
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until || receiver.requests().len() == before {
            receiver.next.lock().unwrap().truncate(3);
            receiver.answer(kind);
            number += 1;
            // In order, and one that is late.
            let at = now_ms();
            let mut series = Vec::new();
            for name in ["a", "b", "c"] {
                series.extend(one(name, &[(at, f64::from(number))]));
            }
            series.extend(one("late", &[(at - 600_000 - i64::from(number) * 1000, f64::from(number))]));
            if write(&url, &series).await {
                stored.extend(series.iter().map(|(labels, samples)| (labels.metric_name().to_owned(), samples[0].0)));
            }
        }
        drop(killed);
    }
    receiver.next.lock().unwrap().clear();
    assert!(stored.len() > 100, "{}", stored.len());
    let (killed, url) = served(folder.path());
    let missing = |it: &Receiver| {
        let taken: BTreeSet<(String, i64)> = it
            .taken()
            .iter()
            .flat_map(|sent| sent.samples.iter().map(|sample| (sent.name().to_owned(), sample.timestamp_ms)))
            .collect();
        stored.difference(&taken).count()
    };
    receiver.wait("all that was stored", |it| missing(it) == 0).await;
    // The position on disk ends up at the newest.
    let newest = stored.iter().map(|(_, at)| *at).max().unwrap();
    wait_until(Duration::from_secs(60), "the note on disk", || async {
        assert!(write(&url, &one("tick", &[(now_ms(), 1.0)])).await);
        noted_ms(folder.path()).is_some_and(|noted| noted > newest)
    })
    .await;
    drop(killed);
    receiver.stop().await;
}
