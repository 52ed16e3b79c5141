//! What a browser's request must look like, and what every answer says to the browser.
//!
//! A page of another site may send requests here with a person's cookie (CSRF), give its own name this machine's
//! address (DNS rebinding), or show this page in a frame (click-jacking). Each check is against one of these.

use std::net::IpAddr;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use crate::answer::Refusal;

/// The site as the browser sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Site {
    /// As in `Origin`.
    pub(crate) origin: String,
    /// Name and port.
    pub(crate) authority: String,
    pub(crate) tls: bool,
}

/// Returns the site that a request is for, when it is one of ours: this machine by its loopback names, by any address
/// (no name to rebind), or by a name that it was given.
pub(crate) fn site(parts: &Parts, tls: bool, names: &[String]) -> Result<Site, Refusal> {
    let mut said = parts.headers.get_all(HOST).iter().map(|value| value.to_str().unwrap_or_default());
    let header = said.next();
    let target = parts.uri.authority().map(http::uri::Authority::as_str);
    let authority = match (header, target) {
        _ if said.next().is_some() => None,
        (Some(header), Some(target)) => header.eq_ignore_ascii_case(target).then_some(target),
        (header, target) => target.or(header),
    };
    let authority = authority.and_then(|text| text.parse::<http::uri::Authority>().ok());
    let Some(authority) = authority.filter(|authority| !authority.as_str().contains('@')) else {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the request does not say for one host what it is for"));
    };
    let host = authority.host().to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_ours = host == "localhost"
        || host.ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok()
        || names.iter().any(|name| name.eq_ignore_ascii_case(host));
    if !is_ours {
        return Err(Refusal::new(
            StatusCode::MISDIRECTED_REQUEST,
            format!("the console does not answer for \"{host}\"; name it with --console-host if it is this machine"),
        ));
    }
    let authority = authority.as_str().to_ascii_lowercase();
    let scheme = if tls { "https" } else { "http" };
    Ok(Site { origin: format!("{scheme}://{authority}"), authority, tls })
}

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

/// Refuses what does not come from this site's own page: for all that changes something, and for WebSockets.
pub(crate) fn require_own_page(headers: &HeaderMap, site: &Site) -> Result<(), Refusal> {
    let fetch_site = text(headers, &FETCH_SITE);
    let origin = text(headers, &ORIGIN);
    let is_own = fetch_site.is_none_or(|from| from == "same-origin")
        && origin.is_none_or(|origin| origin.eq_ignore_ascii_case(&site.origin))
        && (fetch_site.is_some() || origin.is_some());
    if is_own {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::FORBIDDEN,
        format!(
            "the request does not come from the console's own page (Origin \"{}\", Sec-Fetch-Site \"{}\"; \"{}\" is this page's)",
            origin.unwrap_or_default(),
            fetch_site.unwrap_or_default(),
            site.origin
        ),
    ))
}

/// Refuses reads for pages of other sites, and data that a page would run or show as its own: only scripts fetch data,
/// and people open it in a window, where it is in a sandbox.
pub(crate) fn require_reader(headers: &HeaderMap) -> Result<(), Refusal> {
    let from = text(headers, &FETCH_SITE).is_none_or(|from| matches!(from, "same-origin" | "none"));
    let to = text(headers, &FETCH_DEST).is_none_or(|to| matches!(to, "empty" | "document" | "websocket" | ""));
    if from && to {
        return Ok(());
    }
    Err(Refusal::new(
        StatusCode::FORBIDDEN,
        "data is for the console's own page, and is no script, style, picture or frame",
    ))
}

/// Tells whether a method changes nothing.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Data that is opened in a window runs nothing, loads nothing and is of no origin.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

/// Says to the browser what holds for every answer. `policy` is the content security policy of a page.
pub(crate) fn seal(headers: &mut HeaderMap, policy: Option<&str>) {
    // Only this room sets cookies (after this), and no other origin reads its answers.
    for name in [
        SET_COOKIE,
        ACCESS_CONTROL_ALLOW_CREDENTIALS,
        ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN,
    ] {
        headers.remove(name);
    }
    let policy = policy.and_then(|policy| HeaderValue::from_str(policy).ok());
    headers.insert(CONTENT_SECURITY_POLICY, policy.unwrap_or(HeaderValue::from_static(DATA_POLICY)));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
}

/// The content security policy of the page: its own scripts, styles with this answer's nonce, connections to this site.
pub(crate) fn page_policy(site: &Site, nonce: &str) -> String {
    let socket = if site.tls { "wss" } else { "ws" };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data: blob:; font-src 'self' data:; \
         connect-src 'self' {socket}://{}; worker-src 'self'; manifest-src 'self'; frame-src blob:; frame-ancestors 'none'; \
         base-uri 'none'; form-action 'self'",
        site.authority
    )
}

/// Returns a path of this site from what somebody put into a link; `/` for everything else.
pub(crate) fn local_path(next: Option<&str>) -> &str {
    let Some(next) = next else { return "/" };
    let is_local = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_local { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_names_of_this_machine_are_answered_for() {
        let names = ["box.example".to_owned()];
        let ask = |host: &str| site(&parts("/", &[("host", host)]), false, &names).map(|site| site.origin);
        for host in [
            "console.localhost:7080",
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:7080",
            "[::1]:7080",
            "10.0.0.9:7080",
            "box.example:1",
            "console.localhost.:7080",
        ] {
            assert_eq!(ask(host).unwrap(), format!("http://{}", host.to_lowercase()), "{host}");
        }
        for host in ["evil.example:7080", "localhost.evil.example", "notlocalhost", "box.example.evil"] {
            assert_eq!(ask(host).unwrap_err().status, 421, "{host}");
        }
        for host in ["", "user@localhost", "a b"] {
            assert_eq!(ask(host).unwrap_err().status, 400, "{host}");
        }
        let two = site(&parts("/", &[("host", "localhost"), ("host", "evil.example")]), false, &names);
        assert_eq!(two.unwrap_err().status, 400);
        let differ = site(&parts("http://evil.example/", &[("host", "localhost")]), false, &names);
        assert_eq!(differ.unwrap_err().status, 400);
        assert_eq!(site(&parts("https://localhost:1/", &[]), true, &names).unwrap().origin, "https://localhost:1");
    }

    #[test]
    fn what_changes_something_comes_from_the_own_page() {
        let here = site(&parts("/", &[("host", "localhost:1")]), false, &[]).unwrap();
        let ask = |headers: &[(&str, &str)]| require_own_page(&parts("/", headers).headers, &here).is_ok();
        assert!(ask(&[("origin", "http://localhost:1")]));
        assert!(ask(&[("sec-fetch-site", "same-origin")]));
        assert!(ask(&[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:1")]));
        for foreign in ["http://localhost:2", "https://localhost:1", "http://evil.example", "null", ""] {
            assert!(!ask(&[("origin", foreign)]), "{foreign}");
            assert!(!ask(&[("origin", foreign), ("sec-fetch-site", "same-origin")]), "{foreign}");
        }
        for from in ["cross-site", "same-site", "none", ""] {
            assert!(!ask(&[("sec-fetch-site", from)]), "{from}");
            assert!(!ask(&[("sec-fetch-site", from), ("origin", "http://localhost:1")]), "{from}");
        }
        assert!(!ask(&[]));
    }

    #[test]
    fn links_lead_to_this_site_alone() {
        for good in ["/", "/workloads?kind=Pod#x", "/a/%2F%2Fevil"] {
            assert_eq!(local_path(Some(good)), good);
        }
        for bad in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:x",
            "",
            "/a\r\nset-cookie: x",
            "/ b",
        ] {
            assert_eq!(local_path(Some(bad)), "/", "{bad}");
        }
    }
}
