//! Compresses answers on their way to the browser. The API leaves what is below 128 KiB as it is, which suits clients beside
//! it; a page asks for a dozen lists at once, perhaps from afar.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use maru_http::Body;

use crate::assets::accepts_gzip;

/// Smaller answers fit into one packet anyway.
const BYTES_MIN: u64 = 1400;
/// Larger ones would be held in memory for too long: they go as they are.
const BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Returns the answer, compressed when it is JSON of a known length, not compressed yet, and the browser takes it.
pub(crate) async fn pack(request: &HeaderMap, response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    let is_json = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("application/") && value.contains("json"));
    let length = response.body().size_hint().exact();
    let is_fit = length.is_some_and(|bytes| (BYTES_MIN..=BYTES_MAX).contains(&bytes));
    if !is_json || !is_fit || headers.contains_key(CONTENT_ENCODING) || !accepts_gzip(request) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // A body of known length is in memory: reading it does not fail.
    let Ok(content) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Response::from_parts(parts, maru_http::empty());
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(4));
    let Ok(packed) = encoder.write_all(&content).and_then(|()| encoder.finish()) else {
        return Response::from_parts(parts, maru_http::full(content));
    };
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    Response::from_parts(parts, maru_http::full(packed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::ACCEPT_ENCODING;
    use std::io::Read as _;

    fn answer(content: &str, content_type: &'static str) -> Response<Body> {
        let mut response = Response::new(maru_http::full(content.to_owned()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response
    }

    fn browser() -> HeaderMap {
        HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("gzip, br"))])
    }

    #[tokio::test]
    async fn json_is_compressed_and_reads_the_same() {
        let content = r#"{"items":[]}"#.repeat(1000);
        let packed = pack(&browser(), answer(&content, "application/json;g=apidiscovery.k8s.io;v=v2")).await;
        assert_eq!(packed.headers()[CONTENT_ENCODING], "gzip");
        let bytes = packed.into_body().collect().await.unwrap().to_bytes();
        assert!(bytes.len() * 20 < content.len());
        let mut plain = String::new();
        flate2::read::GzDecoder::new(bytes.as_ref()).read_to_string(&mut plain).unwrap();
        assert_eq!(plain, content);
    }

    #[tokio::test]
    async fn what_is_small_or_no_json_or_not_asked_for_stays() {
        let long = "x".repeat(5000);
        for (headers, response) in [
            (browser(), answer("{}", "application/json")),
            (browser(), answer(&long, "application/pdf")),
            (HeaderMap::new(), answer(&long, "application/json")),
        ] {
            assert!(!pack(&headers, response).await.headers().contains_key(CONTENT_ENCODING));
        }
    }
}
