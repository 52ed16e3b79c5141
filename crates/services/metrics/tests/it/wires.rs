//! What comes over other wires than text: protobuf and OpenMetrics of real clients, DNS, gRPC.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, SRV};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};
use maru_testkit::free_port;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;

use super::scrape::{Target, scraping, scraping_with};
use super::*;

/// A field of a protobuf message: bytes.
fn bytes(number: u64, value: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

/// A field of a protobuf message: a whole number.
fn count(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

/// A field of a protobuf message: a double.
fn double(number: u64, value: f64) -> Vec<u8> {
    [varint(number << 3 | 1), value.to_le_bytes().to_vec()].concat()
}

fn zigzag(value: i64) -> u64 {
    u64::from_le_bytes(((value << 1) ^ (value >> 63)).to_le_bytes())
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut all = Vec::new();
    while value >= 0x80 {
        all.push(u8::try_from(value & 0x7f | 0x80).unwrap());
        value >>= 7;
    }
    all.push(u8::try_from(value).unwrap());
    all
}

/// A family with its length in front, as io.prometheus.client.MetricFamily is sent.
fn family(name: &str, kind: u64, metrics: &[Vec<u8>]) -> Vec<u8> {
    let mut body = [bytes(1, name.as_bytes()), bytes(2, b"Help."), count(3, kind)].concat();
    metrics.iter().for_each(|metric| body.extend(bytes(4, metric)));
    [varint(body.len() as u64), body].concat()
}

const DELIMITED: &str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protobuf_is_scraped_with_native_histograms() {
    let label = [bytes(1, b"path"), bytes(2, b"/a")].concat();
    let counter = [bytes(1, &label), bytes(3, &double(1, 7.0))].concat();
    // Schema 0: buckets double. Two positive buckets, 3 and 2 observations, beside 1 at zero.
    let span = [count(1, zigzag(1)), count(2, 2)].concat();
    let histogram = [
        count(1, 6),
        double(2, 12.5),
        count(5, zigzag(0)),
        double(6, 0.001),
        count(7, 1),
        bytes(12, &span),
        count(13, zigzag(3)),
        count(13, zigzag(-1)),
    ]
    .concat();
    let classic = [count(1, 6), double(2, 12.5), bytes(3, &[count(1, 4), double(2, 2.0)].concat())].concat();
    let body = [
        family("requests_total", 0, &[counter]),
        family("latency", 4, &[bytes(7, &histogram)]),
        family("classic", 4, &[bytes(7, &classic)]),
    ]
    .concat();
    let target = Target::start().await;
    target.show("/metrics", DELIMITED, &body);
    let running = scraping(&format!(
        "global: {{scrape_interval: 300ms, scrape_timeout: 300ms}}\nscrape_configs:\n- job_name: p\n  scrape_native_histograms: true\n  \
         scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0]\n  static_configs: [{{targets: ['{}']}}]\n",
        target.address
    ))
    .await;
    running.wait_for("requests_total{job=\"p\",path=\"/a\"}", "7").await;
    running.wait_for("histogram_count(latency)", "6").await;
    running.wait_for("histogram_sum(latency)", "12.5").await;
    running.wait_for("round(histogram_fraction(1.0, 4.0, latency) * 6)", "5").await;
    running.wait_for("classic_bucket{le=\"2.0\"}", "4").await;
    running.wait_for("classic_bucket{le=\"+Inf\"}", "6").await;
    let metadata = running.data("/api/v1/targets/metadata", &[("metric", "latency")]).await;
    assert_eq!(metadata[0]["type"], "histogram");
    assert!(target.asked.lock().unwrap()[0].contains("accept: application/vnd.google.protobuf"));
    // Cut in the middle it is refused whole.
    target.show("/metrics", DELIMITED, &body[..body.len() - 3]);
    running.wait_for("up", "0").await;
    running.stop().await;
    target.scope.shutdown(Duration::from_secs(60)).await.unwrap();
}

/// A program of somebody else; ends with this.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_exporter_is_scraped_in_all_its_formats() {
    if !Path::new("/usr/bin/prometheus-node-exporter").exists() {
        eprintln!("skipped: prometheus-node-exporter is not installed");
        return;
    }
    let port = free_port();
    let peer = Command::new("/usr/bin/prometheus-node-exporter")
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let peer = Peer(peer);
    let job = |protocol: &str| {
        format!(
            "- {{job_name: {protocol}, scrape_protocols: [{protocol}], static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}\n"
        )
    };
    let protocols = ["PrometheusProto", "OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText0.0.4"];
    let jobs: String = protocols.iter().map(|protocol| job(protocol)).collect();
    let running =
        scraping(&format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{jobs}")).await;
    for protocol in protocols {
        running.wait_for(&format!("up{{job=\"{protocol}\"}}"), "1").await;
        running.wait_for(&format!("count(node_uname_info{{job=\"{protocol}\"}})"), "1").await;
        running.wait_for(&format!("count(go_gc_duration_seconds{{job=\"{protocol}\"}})"), "5").await;
    }
    // Each format tells the same series.
    let counts = "count(count_values(\"n\", count by (job) ({__name__=~\"node_cpu.*|node_memory.*\"})))";
    running.wait_for(counts, "1").await;
    running.stop().await;
    drop(peer);
}

/// Metrics of Python's own client in OpenMetrics, with an exemplar.
const PYTHON: &str = r#"
import sys
from wsgiref.simple_server import make_server, WSGIRequestHandler
from prometheus_client import Counter, Enum, Histogram, Info, make_wsgi_app
Counter("jobs", "Jobs done.", ["kind"]).labels("a\"b\\c\nd").inc(3)
Histogram("took_seconds", "How long.", buckets=[0.5, 2]).observe(1.5, {"trace_id": "abc"})
Info("build", "The build.").info({"version": "1.2"})
Enum("state", "The state.", states=["on", "off"]).state("off")
class Quiet(WSGIRequestHandler):
    def log_message(self, *_): pass
server = make_server("127.0.0.1", 0, make_wsgi_app(), handler_class=Quiet)
print(server.server_port, flush=True)
server.serve_forever()
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pythons_client_is_scraped_in_open_metrics() {
    let Some(python) = python() else {
        eprintln!("skipped: no Python with prometheus_client; set MARU_PYTHON");
        return;
    };
    let mut child = Command::new(python).args(["-c", PYTHON]).stdout(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    let peer = Peer(child);
    let mut port = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut port).unwrap();
    let running = scraping(&format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs: [{{job_name: py, static_configs: [{{targets: ['127.0.0.1:{}']}}]}}]\n",
        port.trim()
    ))
    .await;
    running.wait_for("jobs_total{kind=\"a\\\"b\\\\c\\nd\"}", "3").await;
    running.wait_for("took_seconds_bucket{le=\"2.0\"}", "1").await;
    running.wait_for("build_info{version=\"1.2\"}", "1").await;
    running.wait_for("state{state=\"off\"}", "1").await;
    let metadata = running.data("/api/v1/targets/metadata", &[("metric", "state")]).await;
    assert_eq!(metadata[0]["type"], "stateset");
    let now = maru_time::system_clock().now().as_second();
    let (start, end) = ((now - 600).to_string(), (now + 60).to_string());
    let range = [("query", "took_seconds_bucket"), ("start", start.as_str()), ("end", end.as_str())];
    let exemplars = running.data("/api/v1/query_exemplars", &range).await;
    assert_eq!(exemplars[0]["exemplars"][0]["labels"]["trace_id"], "abc", "{exemplars}");
    running.stop().await;
    drop(peer);
}

/// Returns a Python that has the client.
fn python() -> Option<String> {
    let named = std::env::var_os("MARU_PYTHON").and_then(|path| path.into_string().ok());
    let has = |python: &String| {
        let asked = Command::new(python).args(["-c", "import prometheus_client"]).stderr(Stdio::null()).status();
        asked.is_ok_and(|status| status.success())
    };
    named.into_iter().chain(["python3".to_owned()]).find(has)
}

/// A DNS server with a few names, by UDP and TCP. What it answers by UDP for `long.` is cut off.
struct Names {
    address: SocketAddr,
    scope: Scope,
    targets: Arc<std::sync::Mutex<Vec<u16>>>,
}

impl Names {
    async fn start() -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let udp = UdpSocket::bind(address).await.unwrap();
        let scope = Scope::root("names");
        let targets = Arc::<std::sync::Mutex<Vec<u16>>>::default();
        let own = Arc::clone(&targets);
        drop(scope.spawn_until_cancelled("udp", async move {
            let mut buffer = [0; 2000];
            loop {
                let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
                let answer = Self::answer(&buffer[..length], &own, true);
                udp.send_to(&answer, from).await.unwrap();
            }
        }));
        let own = Arc::clone(&targets);
        drop(scope.spawn_until_cancelled("tcp", async move {
            loop {
                let (mut socket, _) = tcp.accept().await.unwrap();
                let mut question = vec![0; usize::from(socket.read_u16().await.unwrap())];
                socket.read_exact(&mut question).await.unwrap();
                let answer = Self::answer(&question, &own, false);
                socket.write_u16(u16::try_from(answer.len()).unwrap()).await.unwrap();
                socket.write_all(&answer).await.unwrap();
            }
        }));
        Self { address, scope, targets }
    }

    fn answer(question: &[u8], targets: &std::sync::Mutex<Vec<u16>>, is_udp: bool) -> Vec<u8> {
        let asked = Message::from_vec(question).unwrap();
        let query = asked.queries[0].clone();
        let mut answer = Message::new(asked.metadata.id, MessageType::Response, OpCode::Query);
        let name = query.name().clone();
        let local = || Name::from_ascii("localhost.").unwrap();
        let data: Vec<RData> = match (name.to_ascii().as_str(), query.query_type()) {
            ("_http._tcp.shop.", RecordType::SRV) | ("long.", RecordType::SRV) => {
                let ports = targets.lock().unwrap().clone();
                ports.into_iter().map(|port| RData::SRV(SRV::new(1, 1, port, local()))).collect()
            }
            ("web.shop.", RecordType::A) => vec![RData::A(A::new(127, 0, 0, 1))],
            ("web.shop.", RecordType::AAAA) => vec![RData::AAAA(AAAA::new(0, 0, 0, 0, 0, 0, 0, 1))],
            ("broken.", _) => {
                answer.metadata.response_code = ResponseCode::ServFail;
                Vec::new()
            }
            _ => {
                answer.metadata.response_code = ResponseCode::NXDomain;
                Vec::new()
            }
        };
        answer.add_query(query);
        if is_udp && name.to_ascii() == "long." {
            answer.metadata.truncation = true;
        } else {
            for one in data {
                answer.add_answer(Record::from_rdata(name.clone(), 60, one));
            }
        }
        answer.to_vec().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_are_found_in_the_dns() {
    let (names, target) = (Names::start().await, Target::start().await);
    target.show("/metrics", "text/plain; version=0.0.4", b"a 1\n");
    let port: u16 = target.address.rsplit_once(':').unwrap().1.parse().unwrap();
    names.targets.lock().unwrap().push(port);
    let sd = |job: &str, name: &str, more: &str| {
        format!(
            "- job_name: {job}\n  dns_sd_configs: [{{names: ['{name}'], refresh_interval: 200ms{more}}}]\n  \
             relabel_configs: [{{source_labels: [__meta_dns_name], target_label: by}}]\n"
        )
    };
    let configuration = format!(
        "global: {{scrape_interval: 300ms, scrape_timeout: 300ms}}\nscrape_configs:\n{}{}{}{}{}",
        sd("srv", "_http._tcp.shop", ""),
        sd("a", "web.shop", &format!(", type: A, port: {port}")),
        sd("aaaa", "web.shop", &format!(", type: AAAA, port: {port}")),
        sd("long", "long", ""),
        sd("none", "nobody.shop", ""),
    );
    let address = names.address;
    let running = scraping_with(&configuration, |options| options.collect.dns_servers = vec![address]).await;
    running.wait_for("up{job=\"srv\",by=\"_http._tcp.shop\"}", "1").await;
    running.wait_for(&format!("up{{job=\"a\",instance=\"127.0.0.1:{port}\"}}"), "1").await;
    running.wait_for(&format!("count(up{{job=\"aaaa\",instance=\"[::1]:{port}\"}})"), "1").await;
    running.wait_for("up{job=\"long\"}", "1").await;
    assert_eq!(running.now("count(up{job=\"none\"})").await, None);
    let labels = running.data("/api/v1/targets", &[("scrapePool", "srv")]).await;
    let found = &labels["activeTargets"][0]["discoveredLabels"];
    assert_eq!(found["__meta_dns_srv_record_target"], "localhost.", "{found}");
    // A second one comes, then both go.
    let other = Target::start().await;
    other.show("/metrics", "text/plain; version=0.0.4", b"a 2\n");
    names.targets.lock().unwrap().push(other.address.rsplit_once(':').unwrap().1.parse().unwrap());
    running.wait_for("count(up{job=\"srv\"} == 1)", "2").await;
    names.targets.lock().unwrap().clear();
    maru_testkit::wait_until(Duration::from_secs(60), "the targets to go", || async {
        running.now("count(up{job=\"srv\"})").await.is_none()
    })
    .await;
    running.stop().await;
    for scope in [names.scope, target.scope, other.scope] {
        scope.shutdown(Duration::from_secs(60)).await.unwrap();
    }
}

/// A gRPC server whose health is what it is given for each service; `None` is not known.
async fn health(scope: &Scope) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let own = scope.clone();
    drop(scope.spawn_until_cancelled("health", async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let service = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                let asked = http_body_util::BodyExt::collect(request.into_body()).await.unwrap().to_bytes();
                let (status, code): (u8, &str) = match asked.get(7..).unwrap_or_default() {
                    b"" => (1, "0"),
                    b"sick" => (2, "0"),
                    _ => (0, "5"),
                };
                let data = if code == "0" { vec![0, 0, 0, 0, 2, 8, status] } else { Vec::new() };
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_str(code).unwrap());
                let frames = [Frame::data(Bytes::from(data)), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
                let body = StreamBody::new(futures::stream::iter(frames));
                Ok::<_, Infallible>(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(socket), service);
            drop(own.spawn_until_cancelled("connection", async move { drop(connection.await) }));
        }
    }));
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dns_and_grpc_are_probed() {
    let folder = TempDir::new();
    let names = Names::start().await;
    names.targets.lock().unwrap().push(80);
    let modules = folder.write(
        "blackbox.yml",
        "modules:\n  \
         a: {prober: dns, dns: {query_name: web.shop, query_type: A, preferred_ip_protocol: ip4, validate_answer_rrs: {fail_if_not_matches_regexp: ['.*127\\.0\\.0\\.1']}}}\n  \
         other: {prober: dns, dns: {query_name: web.shop, query_type: A, validate_answer_rrs: {fail_if_matches_regexp: ['.*127\\.0\\.0\\.1']}}}\n  \
         none: {prober: dns, dns: {query_name: nobody.shop, query_type: A}}\n  \
         expected: {prober: dns, dns: {query_name: nobody.shop, query_type: A, valid_rcodes: [NXDOMAIN]}}\n  \
         tcp: {prober: dns, dns: {query_name: long, query_type: SRV, transport_protocol: tcp}}\n  \
         grpc: {prober: grpc, grpc: {}}\n  sick: {prober: grpc, grpc: {service: sick}}\n  unknown: {prober: grpc, grpc: {service: other}}\n",
    );
    let running = Running::with(|options| options.collect.probe_file = Some(modules)).await;
    let grpc = health(&running.scope).await.to_string();
    let dns = names.address.to_string();
    for (module, target, lines) in [
        ("a", &dns, &["probe_success 1", "probe_dns_answer_rrs 1", "probe_dns_query_succeeded 1"][..]),
        ("other", &dns, &["probe_success 0", "probe_dns_answer_rrs 1"]),
        ("none", &dns, &["probe_success 0", "probe_dns_answer_rrs 0"]),
        ("expected", &dns, &["probe_success 1"]),
        ("tcp", &dns, &["probe_success 1", "probe_dns_answer_rrs 1"]),
        (
            "grpc",
            &grpc,
            &[
                "probe_success 1",
                "probe_grpc_status_code 0",
                "probe_grpc_healthcheck_response{serving_status=\"SERVING\"} 1",
            ],
        ),
        ("sick", &grpc, &["probe_success 0", "probe_grpc_healthcheck_response{serving_status=\"NOT_SERVING\"} 1"]),
        ("unknown", &grpc, &["probe_success 0", "probe_grpc_status_code 5"]),
        ("grpc", &dns, &["probe_success 0"]),
    ] {
        let (status, text) = running.ask("/probe", &[("module", module), ("target", target)]).await;
        assert_eq!(status, 200, "{module}: {text}");
        let text = text.as_str().unwrap();
        for line in lines {
            assert!(text.lines().any(|one| one == *line), "{module}: {line}\n{text}");
        }
    }
    running.stop().await;
    names.scope.shutdown(Duration::from_secs(60)).await.unwrap();
}
