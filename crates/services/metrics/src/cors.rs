//! Which web pages may read answers.

use http::{HeaderMap, HeaderValue, header};

use crate::metrics::State;

/// Adds the headers of an answer to a request that a web page sent.
pub(crate) fn apply(state: &State, request: &HeaderMap, response: &mut HeaderMap) {
    let Some(origin) = request.get(header::ORIGIN) else { return };
    let text = origin.to_str().unwrap_or_default();
    // Without tokens any page that a person opens could read all: only pages of their own machine may.
    let allowed =
        if state.gate.is_open() && !is_loopback(text) { None } else { allowed(&state.cors_origins, text, origin) };
    response.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(allowed) = allowed else { return };
    response.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    response.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("Accept, Authorization, Content-Type, Origin"),
    );
    response.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST, OPTIONS"));
    response.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Date"));
}

fn allowed(origins: &[String], text: &str, origin: &HeaderValue) -> Option<HeaderValue> {
    if origins.iter().any(|own| own == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    origins.iter().any(|own| own == text).then(|| origin.clone())
}

/// Tells whether a page came from this machine itself.
fn is_loopback(origin: &str) -> bool {
    let Some((_, host)) = origin.split_once("://") else { return false };
    let host = if let Some(rest) = host.strip_prefix('[') {
        rest.split_once(']').map_or(rest, |(address, _)| address)
    } else {
        host.split_once(':').map_or(host, |(name, _)| name)
    };
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_exact() {
        let origin = HeaderValue::from_static("https://grafana.example");
        let own = ["https://grafana.example".to_owned()];
        assert_eq!(allowed(&own, "https://grafana.example", &origin), Some(origin.clone()));
        assert_eq!(allowed(&own, "https://grafana.example.evil", &origin), None);
        assert_eq!(allowed(&["*".to_owned()], "https://any", &origin).unwrap(), "*");
        for page in ["http://localhost:3000", "http://127.0.0.1", "http://[::1]:9090"] {
            assert!(is_loopback(page), "{page}");
        }
        for page in ["http://localhost.evil.example", "https://10.0.0.1", "null", "http://127.0.0.1.evil"] {
            assert!(!is_loopback(page), "{page}");
        }
    }
}
