//! A lean HTTP/1.1 client: one connection a target, kept between requests and driven by the request itself.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use maru_monitoring::scrape::{Authentication, HttpClientConfig};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::tls::{TlsSource, read_secret};

/// Redirects that are followed one after the other.
const REDIRECTS_MAX: usize = 10;
/// Bytes of an answer's head, and of the buffers of a connection.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How servers of one job are reached.
#[derive(Debug)]
pub(crate) struct HttpClient {
    config: HttpClientConfig,
    folder: PathBuf,
    tls: TlsSource,
}

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What came back; the body is in the caller's buffer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// An open connection.
struct Connection {
    to: (bool, String),
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Option<Driver>,
}

/// A line to one server, or to several by turns.
pub(crate) struct Session {
    client: Arc<HttpClient>,
    connection: Option<Connection>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Session").field("is_open", &self.connection.is_some()).finish_non_exhaustive()
    }
}

impl HttpClient {
    /// Makes a client; relative paths of files start at `folder`.
    pub(crate) fn new(config: &HttpClientConfig, folder: PathBuf) -> Arc<Self> {
        let tls = TlsSource::new(config.tls.clone(), folder.clone());
        Arc::new(Self { config: config.clone(), folder, tls })
    }

    pub(crate) fn session(self: &Arc<Self>) -> Session {
        Session { client: Arc::clone(self), connection: None }
    }

    /// Returns the headers that say who we are.
    fn own_headers(&self) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        let authorization = match &self.config.authentication {
            Authentication::None => None,
            Authentication::Basic { username, password } => {
                let pair = format!("{}:{}", read_secret(username, &self.folder)?, read_secret(password, &self.folder)?);
                Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
            }
            Authentication::Header { kind, credentials } => {
                Some(format!("{kind} {}", read_secret(credentials, &self.folder)?))
            }
        };
        if let Some(text) = authorization {
            let mut value =
                HeaderValue::from_str(&text).map_err(|_| "the credentials have characters that no header may have")?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        for (name, source) in &self.config.headers {
            let value = read_secret(source, &self.folder)?;
            let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else {
                return Err(format!("the header \"{name}\" cannot be sent as it is"));
            };
            headers.append(name, value);
        }
        Ok(headers)
    }

    async fn connect(&self, is_tls: bool, authority: &str) -> Result<Connection, String> {
        let (host, address) = split_authority(authority, is_tls)?;
        let failed = |error: std::io::Error| format!("cannot connect to \"{authority}\": {error}");
        let stream = TcpStream::connect((host, address)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let stream: Box<dyn Stream> = if is_tls {
            let name = self.tls.server_name().unwrap_or(host).to_owned();
            let name = ServerName::try_from(name.clone())
                .map_err(|_| format!("\"{name}\" is no name that a certificate can have"))?;
            let connector = tokio_rustls::TlsConnector::from(self.tls.get()?);
            let stream = connector.connect(name, stream).await;
            Box::new(stream.map_err(|error| format!("no TLS with \"{authority}\": {error}"))?)
        } else {
            Box::new(stream)
        };
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD_BYTES_MAX);
        let (sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("no HTTP with \"{authority}\": {error}"))?;
        let driver: Driver = Box::pin(async move {
            // What goes wrong is told by the request that is under way.
            drop(connection.await);
        });
        Ok(Connection { to: (is_tls, authority.to_owned()), sender, driver: Some(driver) })
    }
}

/// Splits `host:port`; brackets around an IPv6 address are taken off.
fn split_authority(authority: &str, is_tls: bool) -> Result<(&str, u16), String> {
    let default = if is_tls { 443 } else { 80 };
    let wrong = || format!("\"{authority}\" is no host and port");
    if let Some(inside) = authority.strip_prefix('[') {
        let (host, rest) = inside.split_once(']').ok_or_else(wrong)?;
        let port = rest.strip_prefix(':').map_or(Ok(default), |port| port.parse().map_err(|_| wrong()))?;
        return Ok((host, port));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) => Ok((host, port.parse().map_err(|_| wrong())?)),
        None => Ok((authority, default)),
    }
}

/// Polls the connection while something waits for it.
async fn drive<F: Future>(driver: &mut Option<Driver>, work: F) -> F::Output {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| {
        if driver.as_mut().is_some_and(|driver| driver.as_mut().poll(context).is_ready()) {
            *driver = None;
        }
        work.as_mut().poll(context)
    })
    .await
}

impl Session {
    /// Sends a request and reads the answer's body into `body`, which is emptied first. A body longer than `limit` is an error.
    ///
    /// # Cancel safety
    /// When dropped, the connection must not be used again: call [`Session::close`].
    pub(crate) async fn send(
        &mut self,
        outgoing: &Outgoing,
        body: &mut Vec<u8>,
        limit: usize,
    ) -> Result<Answer, String> {
        let mut outgoing = outgoing.clone();
        let mut carries_secrets = true;
        for _ in 0..=REDIRECTS_MAX {
            let answer = self.exchange(&outgoing, carries_secrets, body, limit).await?;
            let location = answer.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
            let (true, true, Some(location)) =
                (answer.status.is_redirection(), self.client.config.follow_redirects, location)
            else {
                return Ok(answer);
            };
            let url = redirection(&outgoing.url, location)
                .ok_or_else(|| format!("the redirection to \"{location}\" cannot be followed"))?;
            // Credentials are for the server that they were given for.
            carries_secrets &= url.host() == outgoing.url.host();
            outgoing.url = url;
            if answer.status == StatusCode::SEE_OTHER {
                outgoing.method = Method::GET;
                outgoing.body = Bytes::new();
            }
        }
        Err(format!("more than {REDIRECTS_MAX} redirections"))
    }

    /// Forgets the connection.
    pub(crate) fn close(&mut self) {
        self.connection = None;
    }

    async fn exchange(
        &mut self,
        outgoing: &Outgoing,
        carries_secrets: bool,
        body: &mut Vec<u8>,
        limit: usize,
    ) -> Result<Answer, String> {
        let is_tls = outgoing.url.scheme_str() == Some("https");
        let authority = outgoing.url.authority().map(|one| one.as_str()).unwrap_or_default();
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let own = if carries_secrets { self.client.own_headers()? } else { HeaderMap::new() };
        let kept = self.connection.take();
        let mut kept = kept.filter(|one| one.driver.is_some() && one.to.0 == is_tls && one.to.1 == authority);
        loop {
            let is_kept = kept.is_some();
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => self.client.connect(is_tls, authority).await?,
            };
            let request = build(outgoing, &own, authority)?;
            let Connection { sender, driver, .. } = &mut connection;
            let sent = drive(driver, async {
                sender.ready().await?;
                sender.send_request(request).await
            })
            .await;
            let response = match sent {
                Ok(response) => response,
                // The server may have closed it meanwhile.
                Err(_) if is_kept => continue,
                Err(error) => return Err(format!("\"{authority}\" broke off: {}", with_cause(&error))),
            };
            let (parts, mut incoming) = response.into_parts();
            body.clear();
            let read = drive(driver, async {
                while let Some(frame) = incoming.frame().await {
                    let frame = frame.map_err(|error| format!("the body broke off: {}", with_cause(&error)))?;
                    if let Some(data) = frame.data_ref() {
                        if body.len() + data.len() > limit {
                            return Err(format!("body size limit exceeded: it is longer than {limit} bytes"));
                        }
                        body.extend_from_slice(data);
                    }
                }
                Ok(())
            })
            .await;
            read?;
            self.connection = Some(connection);
            return Ok(Answer { status: parts.status, headers: parts.headers });
        }
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

fn build(outgoing: &Outgoing, own: &HeaderMap, authority: &str) -> Result<Request<Full<Bytes>>, String> {
    let path = outgoing.url.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::new(Full::new(outgoing.body.clone()));
    *request.method_mut() = outgoing.method.clone();
    *request.uri_mut() = path.parse().map_err(|_| format!("\"{path}\" is no path"))?;
    *request.headers_mut() = outgoing.headers.clone();
    let host = HeaderValue::from_str(authority).map_err(|_| format!("\"{authority}\" is no host and port"))?;
    request.headers_mut().insert(header::HOST, host);
    for (name, value) in own {
        request.headers_mut().append(name.clone(), value.clone());
    }
    Ok(request)
}

/// Returns the address that a redirection means.
pub(crate) fn redirection(from: &Uri, location: &str) -> Option<Uri> {
    let location = location.split('#').next().unwrap_or_default();
    if location.starts_with("http://") || location.starts_with("https://") {
        return location.parse().ok();
    }
    let origin = format!("{}://{}", from.scheme_str()?, from.authority()?);
    if let Some(rest) = location.strip_prefix("//") {
        return format!("{}://{rest}", from.scheme_str()?).parse().ok();
    }
    if location.starts_with('/') {
        return format!("{origin}{location}").parse().ok();
    }
    let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{origin}{folder}/{location}").parse().ok()
}
