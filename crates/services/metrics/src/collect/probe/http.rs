//! A request of HTTP, in its phases.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use maru_monitoring::probe::{HeaderCondition, HttpProbe};
use maru_monitoring::scrape::Authentication;
use tokio::time::Instant;

use super::line::{self, Talk};
use super::{Findings, resolve};
use crate::collect::client::redirection;
use crate::collect::state::float;
use crate::collect::tls::read_secret;

const REDIRECTS_MAX: usize = 10;
/// Bytes of a body that patterns are looked for in, where the module sets no limit.
const BODY_BYTES_MAX: u64 = 10 << 20;

/// How long each phase took, over all redirections.
#[derive(Debug, Default)]
struct Phases {
    resolve: Duration,
    connect: Duration,
    tls: Duration,
    processing: Duration,
    transfer: Duration,
}

/// What a server answered.
struct Answer {
    status: StatusCode,
    version: Version,
    headers: HeaderMap,
    body: Vec<u8>,
    is_secure: bool,
}

pub(super) async fn run(probe: &HttpProbe, target: &str, folder: &Path, found: &mut Findings) -> Result<(), String> {
    let whole = if target.starts_with("http://") || target.starts_with("https://") {
        target.to_owned()
    } else {
        format!("http://{target}")
    };
    let mut url: Uri = whole.parse().map_err(|error| format!("\"{whole}\" is no address: {error}"))?;
    let (mut phases, mut redirects) = (Phases::default(), 0_usize);
    let origin = url.host().unwrap_or_default().to_owned();
    let answer = loop {
        // What is found on the way is told of the last server alone.
        let mut own = Findings::default();
        let is_own = url.host() == Some(origin.as_str());
        let asked = ask(probe, &url, is_own, folder, &mut phases, &mut own).await;
        let location =
            asked.as_ref().ok().filter(|answer| answer.status.is_redirection() && probe.client.follow_redirects);
        let location = location.and_then(|answer| answer.headers.get(header::LOCATION)?.to_str().ok());
        let next = location.and_then(|location| redirection(&url, location));
        match next {
            Some(next) if redirects < REDIRECTS_MAX => {
                redirects += 1;
                url = next;
            }
            _ => {
                found.out.append(own.out);
                break asked;
            }
        }
    };
    let help = "Duration of http request by phase, summed over all redirects";
    found.phases(
        "probe_http_duration_seconds",
        help,
        &[
            ("connect", phases.connect),
            ("processing", phases.processing),
            ("resolve", phases.resolve),
            ("tls", phases.tls),
            ("transfer", phases.transfer),
        ],
    );
    found.gauge("probe_http_redirects", "The number of redirects", float(redirects as u64));
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => {
            found.gauge("probe_http_status_code", "Response HTTP status code", 0.0);
            return Err(why);
        }
    };
    tell(&answer, found);
    judge(probe, &answer, found);
    Ok(())
}

fn tell(answer: &Answer, found: &mut Findings) {
    found.gauge("probe_http_status_code", "Response HTTP status code", f64::from(answer.status.as_u16()));
    let length = answer.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
    found.gauge("probe_http_content_length", "Length of http content response", length.unwrap_or(-1.0));
    found.gauge(
        "probe_http_uncompressed_body_length",
        "Length of uncompressed response body",
        float(answer.body.len() as u64),
    );
    let version = match answer.version {
        Version::HTTP_10 => 1.0,
        Version::HTTP_2 => 2.0,
        _ => 1.1,
    };
    found.gauge("probe_http_version", "Returns the version of HTTP of the probe response", version);
    found.gauge(
        "probe_http_ssl",
        "Indicates if SSL was used for the final redirect",
        f64::from(u8::from(answer.is_secure)),
    );
}

fn judge(probe: &HttpProbe, answer: &Answer, found: &mut Findings) {
    let code = answer.status.as_u16();
    let is_valid = if probe.valid_status_codes.is_empty() {
        answer.status.is_success()
    } else {
        probe.valid_status_codes.contains(&code)
    };
    if !is_valid {
        found.fail(format!("the status is {}", answer.status));
    }
    let version = format!("{:?}", answer.version);
    if !probe.valid_http_versions.is_empty() && !probe.valid_http_versions.contains(&version) {
        found.fail(format!("the version is {version}"));
    }
    if answer.is_secure && probe.fail_if_ssl {
        found.fail("TLS is spoken");
    }
    if !answer.is_secure && probe.fail_if_not_ssl {
        found.fail("TLS is not spoken");
    }
    let body = String::from_utf8_lossy(&answer.body);
    let by_body = probe.fail_if_body_matches.iter().any(|pattern| pattern.is_match(&body))
        || probe.fail_if_body_not_matches.iter().any(|pattern| !pattern.is_match(&body));
    let holds = |condition: &HeaderCondition, wanted: bool| {
        let mut values = answer.headers.get_all(condition.header.as_str()).iter().peekable();
        if values.peek().is_none() {
            return condition.allow_missing;
        }
        values.any(|value| value.to_str().is_ok_and(|value| condition.pattern.is_match(value))) == wanted
    };
    let by_header = probe.fail_if_header_matches.iter().any(|condition| !holds(condition, false))
        || probe.fail_if_header_not_matches.iter().any(|condition| !holds(condition, true));
    let is_failed = by_body || by_header;
    found.gauge("probe_failed_due_to_regex", "Indicates if probe failed due to regex", f64::from(u8::from(is_failed)));
    if is_failed {
        found.fail("a pattern of the module does not hold");
    }
}

fn request(probe: &HttpProbe, url: &Uri, is_own: bool, folder: &Path) -> Result<Request<Full<Bytes>>, String> {
    let mut request = Request::new(Full::new(Bytes::from(probe.body.clone())));
    if !probe.method.is_empty() {
        *request.method_mut() =
            Method::from_bytes(probe.method.as_bytes()).map_err(|_| format!("\"{}\" is no method", probe.method))?;
    }
    let headers = request.headers_mut();
    let authority = url.authority().map(|one| one.as_str()).unwrap_or_default();
    let mut set = |name: &str, value: &str| -> Result<(), String> {
        let wrong = || format!("the header \"{name}\" cannot be sent");
        headers.insert(
            HeaderName::try_from(name).map_err(|_| wrong())?,
            HeaderValue::try_from(value).map_err(|_| wrong())?,
        );
        Ok(())
    };
    set("host", authority.rsplit('@').next().unwrap_or_default())?;
    set("user-agent", crate::collect::USER_AGENT)?;
    for (name, value) in &probe.headers {
        set(&name.to_ascii_lowercase(), value)?;
    }
    for (name, source) in probe.client.headers.iter().filter(|_| is_own) {
        set(&name.to_ascii_lowercase(), &read_secret(source, folder)?)?;
    }
    match &probe.client.authentication {
        Authentication::Basic { username, password } if is_own => {
            let pair = format!("{}:{}", read_secret(username, folder)?, read_secret(password, folder)?);
            set("authorization", &format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))?;
        }
        Authentication::Header { kind, credentials } if is_own => {
            set("authorization", &format!("{kind} {}", read_secret(credentials, folder)?))?;
        }
        Authentication::None | Authentication::Basic { .. } | Authentication::Header { .. } => {}
    }
    Ok(request)
}

async fn ask(
    probe: &HttpProbe,
    url: &Uri,
    is_own: bool,
    folder: &Path,
    phases: &mut Phases,
    found: &mut Findings,
) -> Result<Answer, String> {
    let is_secure = url.scheme_str() == Some("https");
    let host = url.host().unwrap_or_default();
    let port = url.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
    let (address, elapsed) = resolve(host, port, probe.ip, found).await?;
    phases.resolve += elapsed;
    let started = Instant::now();
    let stream = line::connect(address).await?;
    phases.connect += started.elapsed();
    let mut is_http2 = false;
    let stream: Box<dyn Talk> = if is_secure {
        let started = Instant::now();
        let protocols: &[&[u8]] = if probe.client.enable_http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        let secured = line::secure(stream, &probe.client.tls, host, protocols, folder, found).await?;
        phases.tls += started.elapsed();
        is_http2 = secured.get_ref().1.alpn_protocol() == Some(b"h2");
        Box::new(secured)
    } else {
        Box::new(stream)
    };
    let mut request = request(probe, url, is_own, folder)?;
    let started = Instant::now();
    let failed = |error: hyper::Error| format!("the server broke off: {error}");
    let exchange = async {
        let response = if is_http2 {
            *request.uri_mut() = url.clone();
            request.headers_mut().remove(header::HOST);
            let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
            let (mut sender, connection) = shaken.map_err(failed)?;
            let mut driver = Box::pin(connection);
            tokio::select! {
                biased;
                response = sender.send_request(request) => (response.map_err(failed)?, Driver::Two(driver)),
                ended = &mut driver => return Err(format!("the connection ended: {:?}", ended.err())),
            }
        } else {
            let path = url.path_and_query().map_or("/", |path| path.as_str());
            *request.uri_mut() = path.parse().map_err(|_| format!("\"{path}\" is no path"))?;
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
            let mut driver = Box::pin(connection);
            tokio::select! {
                biased;
                response = sender.send_request(request) => (response.map_err(failed)?, Driver::One(driver)),
                ended = &mut driver => return Err(format!("the connection ended: {:?}", ended.err())),
            }
        };
        Ok(response)
    };
    let (response, driver) = exchange.await?;
    phases.processing += started.elapsed();
    let started = Instant::now();
    let (parts, mut incoming) = response.into_parts();
    let limit = probe.body_bytes_max.unwrap_or(BODY_BYTES_MAX);
    let mut body = Vec::new();
    let reading = async {
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(failed)?;
            if let Some(data) = frame.data_ref() {
                body.extend_from_slice(data);
                if body.len() as u64 > limit {
                    return Err(format!("the body is longer than {limit} bytes"));
                }
            }
        }
        Ok(())
    };
    let read = driver.drive(reading).await;
    phases.transfer += started.elapsed();
    read?;
    Ok(Answer { status: parts.status, version: parts.version, headers: parts.headers, body, is_secure })
}

type Line = TokioIo<Box<dyn Talk>>;

/// What moves the bytes of a connection while a body is read.
enum Driver {
    One(std::pin::Pin<Box<hyper::client::conn::http1::Connection<Line, Full<Bytes>>>>),
    Two(std::pin::Pin<Box<hyper::client::conn::http2::Connection<Line, Full<Bytes>, TokioExecutor>>>),
}

impl Driver {
    async fn drive<F: std::future::Future>(self, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        let done = async {
            match self {
                Self::One(driver) => drop(driver.await),
                Self::Two(driver) => drop(driver.await),
            }
        };
        tokio::select! {
            biased;
            output = &mut work => output,
            () = done => work.await,
        }
    }
}
