//! What a proxy does to headers: hop-by-hop rules, forwarding headers, trace context.

use std::net::{IpAddr, SocketAddr};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Version};

use crate::compile::Place;

/// RFC 9110 §7.6.1, with older ones that are still seen.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHORIZATION,
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");

/// Removes what is meant for the next hop alone, also what `Connection` names. Returns whether `TE: trailers` was there.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) -> bool {
    // Most messages have none of them: a glance at the names is cheaper than looking up each.
    if !headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        return false;
    }
    let trailers = headers.get_all(header::TE).iter().any(|value| has_token(value, "trailers"));
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| HeaderName::try_from(name.trim()).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    trailers
}

/// What the names of the console's session cookies begin with, after a prefix that browsers know.
const CONSOLE_SESSION: &str = "maru-session-";

/// Removes the console's session cookies: browsers send a host's cookies to all of its ports, and an application behind the
/// gateway could take the session of whoever looks at it under the console's name.
pub(crate) fn strip_console_sessions(headers: &mut HeaderMap) {
    let has_one = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains(CONSOLE_SESSION));
    if !headers.get_all(header::COOKIE).iter().any(has_one) {
        return;
    }
    let is_session = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default().trim();
        name.strip_prefix("__Host-").unwrap_or(name).starts_with(CONSOLE_SESSION)
    };
    let kept: Vec<String> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'))
        .filter(|pair| !is_session(pair))
        .map(|pair| pair.trim().to_owned())
        .collect();
    headers.remove(header::COOKIE);
    if let Ok(value) = HeaderValue::from_str(&kept.join("; "))
        && !kept.is_empty()
    {
        headers.insert(header::COOKIE, value);
    }
}

fn has_token(value: &HeaderValue, token: &str) -> bool {
    value.to_str().is_ok_and(|text| {
        text.split(',').any(|one| one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(token))
    })
}

/// Returns the protocol that a client wants to change to, if it asks properly (RFC 9110 §7.8). HTTP/2 and TLS are not
/// passed on: requests inside such a tunnel would go round the routes.
pub(crate) fn wanted_upgrade<B>(request: &Request<B>) -> Option<HeaderValue> {
    let asks = request.version() == Version::HTTP_11
        && request.headers().get_all(header::CONNECTION).iter().any(|value| has_token(value, "upgrade"));
    let protocol = request.headers().get(header::UPGRADE).filter(|_| asks)?;
    let hides = |token| has_token(protocol, token);
    if hides("h2c") || hides("h2") || protocol.as_bytes().to_ascii_lowercase().starts_with(b"tls") {
        return None;
    }
    Some(protocol.clone())
}

/// The host of a request as it was sent and as it is matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// With the port, as the client said it.
    pub authority: HeaderValue,
    /// Lowercase, without the port and a trailing dot.
    pub name: String,
    /// The port that the client said.
    pub port: Option<u16>,
}

impl Host {
    /// Returns that of a request that is not read yet.
    pub(crate) fn none() -> Self {
        Self { authority: HeaderValue::from_static(""), name: String::new(), port: None }
    }
}

/// Returns the host, or why the request is refused (RFC 9112 §3.2).
pub(crate) fn host_of<B>(request: &Request<B>) -> Result<Host, &'static str> {
    let mut lines = request.headers().get_all(header::HOST).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err("more than one Host header");
    }
    match (request.uri().authority(), line) {
        (Some(authority), _) => parse_host(authority.as_str(), None),
        (None, Some(line)) => {
            let text = line.to_str().map_err(|_| "a Host header that is not text")?;
            parse_host(text, Some(line))
        }
        (None, None) if request.version() == Version::HTTP_11 => return Err("no Host header"),
        (None, None) => parse_host("", None),
    }
    .ok_or("a Host header that is not a host")
}

fn parse_host(authority: &str, line: Option<&HeaderValue>) -> Option<Host> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]%".contains(&byte);
    if !authority.bytes().all(allowed) {
        return None;
    }
    let (name, port) = match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => {
            let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
            (name, port)
        }
        _ => (authority, None),
    };
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let authority = match line {
        Some(line) => line.clone(),
        None => HeaderValue::try_from(authority).ok()?,
    };
    Some(Host { authority, name, port })
}

/// What is known of the client's connection.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub remote: SocketAddr,
    pub tls: bool,
    /// Where it came in.
    pub place: Place,
    /// Its address, for `X-Forwarded-For`.
    address: HeaderValue,
    /// The port that the socket has.
    port: HeaderValue,
    /// It may speak of others.
    believed: bool,
}

impl Client {
    pub(crate) fn new(remote: SocketAddr, tls: bool, place: Place, local_port: u16, trusted: &[IpAddr]) -> Self {
        let address = remote.ip().to_canonical();
        let text = HeaderValue::try_from(address.to_string()).expect("an address is made of digits and separators");
        let (port, believed) = (HeaderValue::from(local_port), trusted.contains(&address));
        Self { remote, tls, place, address: text, port, believed }
    }
}

/// Says who asks. What an untrusted peer says of others is not passed on.
pub(crate) fn set_forwarded(headers: &mut HeaderMap, client: &Client, host: &Host) {
    let earlier = if client.believed { chain_of(headers) } else { None };
    headers.insert(FORWARDED_FOR, earlier.map_or_else(|| client.address.clone(), |chain| joined(&chain, client)));
    if client.believed && headers.contains_key(&FORWARDED_PROTO) {
        return;
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(if client.tls { "https" } else { "http" }));
    headers.insert(FORWARDED_HOST, host.authority.clone());
    headers.insert(FORWARDED_PORT, host.port.map_or_else(|| client.port.clone(), HeaderValue::from));
}

/// Returns what earlier proxies said of those before them.
fn chain_of(headers: &HeaderMap) -> Option<String> {
    let said: Vec<&str> = headers.get_all(&FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn joined(chain: &str, client: &Client) -> HeaderValue {
    let all = format!("{chain}, {}", client.address.to_str().unwrap_or_default());
    HeaderValue::try_from(all).unwrap_or_else(|_| client.address.clone())
}

/// The id of a trace: 32 hexadecimal digits, or none yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TraceId(Option<[u8; 32]>);

impl TraceId {
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_ref().and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default()
    }
}

/// Continues the client's trace with a span of our own, or starts one (W3C Trace Context §3.2).
pub(crate) fn continue_trace(headers: &mut HeaderMap, mut random: impl FnMut() -> u64) -> TraceId {
    let mut parents = headers.get_all(&TRACE_PARENT).iter();
    let parent = match (parents.next(), parents.next()) {
        (Some(one), None) => one.to_str().ok().and_then(parse_trace_parent),
        _ => None,
    };
    let mut line = *b"00-00000000000000000000000000000000-0000000000000000-01";
    match parent {
        Some((id, flags)) => {
            line[3..35].copy_from_slice(id.as_bytes());
            line[53..].copy_from_slice(flags.as_bytes());
        }
        None => {
            headers.remove(&TRACE_STATE);
            write_hex(&mut line[3..19], random());
            write_hex(&mut line[19..35], random() | 1);
        }
    }
    write_hex(&mut line[36..52], random() | 1);
    if let Ok(value) = HeaderValue::from_bytes(&line) {
        headers.insert(TRACE_PARENT, value);
    }
    let mut id = [0; 32];
    id.copy_from_slice(&line[3..35]);
    TraceId(Some(id))
}

/// Fills 16 bytes with the digits of a number.
fn write_hex(to: &mut [u8], number: u64) {
    for (byte, digits) in number.to_be_bytes().iter().zip(to.chunks_exact_mut(2)) {
        for (digit, nibble) in digits.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        }
    }
}

fn parse_trace_parent(text: &str) -> Option<(&str, &str)> {
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut parts = text.trim().split('-');
    let (version, id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let whole = hex(version, 2) && hex(id, 32) && hex(span, 16) && hex(flags, 2);
    // Later versions may have more parts; version 00 has not.
    let known = version != "ff" && (version != "00" || parts.next().is_none());
    let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    (whole && known && !zero(id) && !zero(span)).then_some((id, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn headers_of_one_hop_end_here() {
        let mut headers = map(&[
            ("connection", "close, X-Secret"),
            ("connection", "upgrade"),
            ("x-secret", "1"),
            ("te", "trailers;q=1"),
            ("upgrade", "websocket"),
            ("keep-alive", "5"),
            ("transfer-encoding", "chunked"),
            ("accept", "*/*"),
        ]);
        assert!(strip_hop_by_hop(&mut headers));
        assert_eq!(headers, map(&[("accept", "*/*")]));
        assert!(!strip_hop_by_hop(&mut headers));
    }

    #[test]
    fn sessions_of_the_console_stay_here() {
        let mut headers = map(&[("cookie", "a=1; maru-session-x=s; b=maru-session-y"), ("accept", "*/*")]);
        strip_console_sessions(&mut headers);
        assert_eq!(headers, map(&[("accept", "*/*"), ("cookie", "a=1; b=maru-session-y")]));
        let mut headers = map(&[("cookie", "__Host-maru-session-x=s")]);
        strip_console_sessions(&mut headers);
        assert_eq!(headers, map(&[]));
        let mut headers = map(&[("cookie", "a=1;b=2")]);
        strip_console_sessions(&mut headers);
        assert_eq!(headers, map(&[("cookie", "a=1;b=2")]));
    }

    #[test]
    fn hosts_are_read_or_refused() {
        let ask = |uri: &str, hosts: &[&str], version| {
            let mut request = Request::builder().uri(uri).version(version);
            for host in hosts {
                request = request.header("host", *host);
            }
            host_of(&request.body(()).unwrap()).map(|host| (host.name, host.port))
        };
        let v11 = Version::HTTP_11;
        assert_eq!(ask("/", &["Shop.Example:8080"], v11), Ok(("shop.example".to_owned(), Some(8080))));
        assert_eq!(ask("/", &["shop.example."], v11), Ok(("shop.example".to_owned(), None)));
        assert_eq!(ask("/", &["[::1]:80"], v11), Ok(("[::1]".to_owned(), Some(80))));
        assert_eq!(ask("/", &["[::1]"], v11), Ok(("[::1]".to_owned(), None)));
        assert_eq!(ask("http://a.example/", &["b.example"], v11), Ok(("a.example".to_owned(), None)));
        assert_eq!(ask("/", &[], Version::HTTP_10), Ok((String::new(), None)));
        assert!(ask("/", &[], v11).is_err());
        assert!(ask("/", &["a", "a"], v11).is_err());
        assert!(ask("/", &["user@a"], v11).is_err());
        assert!(ask("/", &["a/b"], v11).is_err());
        assert!(ask("/", &["a:b"], v11).is_err());
    }

    #[test]
    fn only_trusted_peers_are_believed() {
        let client =
            |trusted: &[IpAddr]| Client::new("10.0.0.9:5".parse().unwrap(), true, Place::shared(443), 8443, trusted);
        let host = parse_host("shop.example", None).unwrap();
        let said = map(&[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "http")]);
        let mut headers = said.clone();
        set_forwarded(&mut headers, &client(&[]), &host);
        assert_eq!(headers["x-forwarded-for"], "10.0.0.9");
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-port"], "8443");
        let mut headers = said;
        set_forwarded(&mut headers, &client(&["10.0.0.9".parse().unwrap()]), &host);
        assert_eq!(headers["x-forwarded-for"], "1.2.3.4, 10.0.0.9");
        assert_eq!(headers["x-forwarded-proto"], "http");
    }

    #[test]
    fn only_tunnels_that_hide_no_requests_are_asked_for() {
        let ask = |protocol: &'static str, connection: &'static str| {
            let request = Request::get("/").header("upgrade", protocol).header("connection", connection);
            wanted_upgrade(&request.body(()).unwrap()).is_some()
        };
        assert!(ask("websocket", "keep-alive, Upgrade"));
        assert!(ask("SPDY/3.1", "upgrade"));
        assert!(!ask("websocket", "keep-alive"));
        assert!(
            !ask("h2c", "upgrade, http2-settings") && !ask("websocket, h2c", "upgrade") && !ask("TLS/1.2", "upgrade")
        );
    }

    #[test]
    fn traces_are_continued_or_started() {
        let id = "0af7651916cd43dd8448eb211c80319c";
        let table = [
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true),
            ("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", true),
            ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", false),
            ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", false),
            ("00-00000000000000000000000000000000-b7ad6b7169203331-01", false),
            ("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", false),
            ("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", false),
            ("nonsense", false),
        ];
        for (parent, continued) in table {
            let mut headers = map(&[("tracestate", "a=1")]);
            headers.insert("traceparent", HeaderValue::from_static(parent));
            let trace = continue_trace(&mut headers, || 7);
            assert_eq!(trace.as_str() == id, continued, "{parent}");
            assert_eq!(headers.contains_key("tracestate"), continued, "{parent}");
            let sent = headers["traceparent"].to_str().unwrap();
            assert!(sent.contains("-0000000000000007-") && parse_trace_parent(sent).is_some(), "{sent}");
        }
    }
}
