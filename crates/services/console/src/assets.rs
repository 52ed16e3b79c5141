//! The built page: in the binary, or from a folder at a desk.

use std::io::Read as _;
use std::path::PathBuf;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use maru_http::{Body, full};

use crate::answer::{self, Refusal};
use crate::guard::{self, Site};
use crate::records::random_secret;

/// One file of the page.
struct File {
    path: &'static str,
    /// Whether `content` is compressed.
    is_packed: bool,
    etag: &'static str,
    content: &'static [u8],
}

static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// Where this answer's nonce belongs in `index.html`.
const NONCE_MARK: &str = "__MARU_NONCE__";
const INDEX: &str = "/index.html";
/// Names of files in here have a hash of their content.
const HASHED: &str = "/assets/";

/// Where the page is taken from.
#[derive(Debug, Clone)]
pub(crate) enum Assets {
    Built,
    Folder(PathBuf),
}

struct Found {
    content: Bytes,
    is_packed: bool,
    etag: Option<&'static str>,
}

impl Assets {
    fn find(&self, path: &str) -> Option<Found> {
        match self {
            Self::Built => FILES.iter().find(|file| file.path == path).map(|file| Found {
                content: Bytes::from_static(file.content),
                is_packed: file.is_packed,
                etag: Some(file.etag),
            }),
            Self::Folder(folder) => {
                let mut file = folder.clone();
                for part in path.split('/').filter(|part| !part.is_empty()) {
                    // Names alone: no way out of the folder, nothing hidden.
                    if part.starts_with('.') || part.contains(['\\', '\0']) {
                        return None;
                    }
                    file.push(part);
                }
                let content = file.is_file().then(|| std::fs::read(file).ok()).flatten()?;
                Some(Found { content: content.into(), is_packed: false, etag: None })
            }
        }
    }

    /// Answers for a file of the page, or with the page itself for a path inside of it.
    pub(crate) fn answer(&self, path: &str, headers: &HeaderMap, site: &Site) -> Response<Body> {
        let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
        if path != "/"
            && path != INDEX
            && let Some(found) = self.find(&path)
        {
            return file(&path, found, headers);
        }
        let wants_page =
            headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|one| one.contains("text/html"));
        if path != "/" && path != INDEX && (path.starts_with(HASHED) || !wants_page) {
            let refusal = Refusal::new(StatusCode::NOT_FOUND, format!("there is nothing at \"{path}\""));
            let mut response = refusal.response();
            guard::seal(response.headers_mut(), None);
            return response;
        }
        self.page(site)
    }

    fn page(&self, site: &Site) -> Response<Body> {
        let nonce = random_secret().reveal().to_owned();
        let mut response = match self.find(INDEX) {
            Some(index) => {
                let text = String::from_utf8_lossy(&index.content).replace(NONCE_MARK, &nonce);
                answer::content(StatusCode::OK, "text/html; charset=utf-8", text)
            }
            None => answer::page(
                StatusCode::OK,
                &nonce,
                "This build has no console",
                &[
                    "The server runs; only the page is missing. Build it in the checkout, then build Maru again: \
                     <code>make console &amp;&amp; cargo build --release -p maru</code>",
                    "<span lang=\"ko\">서버는 동작하지만 이 빌드에는 콘솔 화면이 들어 있지 않습니다. 소스 폴더에서 \
                     <code>make console</code>을 실행한 뒤 Maru를 다시 빌드하세요.</span>",
                ],
            ),
        };
        guard::seal(response.headers_mut(), Some(&guard::page_policy(site, &nonce)));
        response
    }
}

fn file(path: &str, found: Found, headers: &HeaderMap) -> Response<Body> {
    let is_known = found.etag.is_some_and(|etag| {
        headers
            .get_all(IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|one| one.trim().trim_start_matches("W/") == etag)
    });
    let mut response =
        if is_known { answer::empty(StatusCode::NOT_MODIFIED) } else { Response::new(maru_http::empty()) };
    let said = response.headers_mut();
    let keep = if path.starts_with(HASHED) && found.etag.is_some() {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    said.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    if let Some(etag) = found.etag {
        said.insert(ETAG, HeaderValue::from_static(etag));
    }
    if found.is_packed {
        said.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    said.insert(CONTENT_TYPE, HeaderValue::from_static(kind(path)));
    if !is_known {
        let mut content = found.content;
        if found.is_packed && accepts_gzip(headers) {
            said.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        } else if found.is_packed {
            content = unpack(&content);
        }
        *response.body_mut() = full(content);
    }
    guard::seal(response.headers_mut(), None);
    response
}

pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|one| {
            let (coding, quality) = one.split_once(';').unwrap_or((one, ""));
            matches!(coding.trim(), "gzip" | "*") && !matches!(quality.trim(), "q=0" | "q=0.0")
        })
}

fn unpack(content: &[u8]) -> Bytes {
    let mut plain = Vec::new();
    match GzDecoder::new(content).read_to_end(&mut plain) {
        Ok(_) => plain.into(),
        Err(error) => {
            tracing::error!(%error, "a file of the console cannot be unpacked");
            Bytes::new()
        }
    }
}

fn kind(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("woff") => "font/woff",
        Some("ttf") => "font/ttf",
        Some("wasm") => "application/wasm",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_files_and_nothing_above_it() {
        let folder = tempfile::tempdir().unwrap();
        let dist = folder.path().join("dist");
        std::fs::create_dir_all(dist.join("assets")).unwrap();
        std::fs::write(folder.path().join("secret"), "s").unwrap();
        std::fs::write(dist.join("assets/a.js"), "a").unwrap();
        std::fs::write(dist.join(".env"), "e").unwrap();
        let assets = Assets::Folder(dist);
        assert!(assets.find("/assets/a.js").is_some() && assets.find("//assets//a.js").is_some());
        for path in ["/../secret", "/assets/../../secret", "/assets/..\\..\\secret", "/.env", "/assets", "/a\0b"] {
            assert!(assets.find(path).is_none(), "{path}");
        }
    }

    #[test]
    fn a_client_that_cannot_unpack_gets_plain_text() {
        let mut headers = HeaderMap::new();
        assert!(!accepts_gzip(&headers));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("br, gzip;q=0"));
        assert!(!accepts_gzip(&headers));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("deflate, gzip"));
        assert!(accepts_gzip(&headers));
    }
}
