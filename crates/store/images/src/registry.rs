//! The OCI distribution protocol, as far as pulling needs it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use maru_oci::{Digest, Document, Reference, media_type};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;

use crate::credentials::{Challenge, Secret, challenge};
use crate::error::ImageError;
use crate::pull::RegistryOptions;

/// Where distributions keep the certificates that the host trusts.
const HOST_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];
/// Longest that a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest silence of a server.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns a client with the certificates and proxies of the options, and none of the process's environment.
///
/// # Errors
/// When the certificates cannot be read or a proxy is not a URL.
pub fn http_client(options: &RegistryOptions) -> Result<reqwest::Client, ImageError> {
    let wrong = |what: &str, problem: String| ImageError::Malformed { what: what.to_owned(), problem };
    let mut roots = rustls::RootCertStore::empty();
    let bundle = match &options.ca_bundle {
        Some(path) => Some(path.as_path()),
        None => HOST_BUNDLES.iter().map(Path::new).find(|path| path.exists()),
    };
    if let Some(path) = bundle {
        let certificates = CertificateDer::pem_file_iter(path)
            .map_err(|error| wrong(&path.display().to_string(), error.to_string()))?
            // A bundle may hold what this library does not read.
            .flatten();
        roots.add_parsable_certificates(certificates);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS", error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .user_agent(concat!("maru/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT);
    let exceptions = options.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
    if let Some(url) = &options.http_proxy {
        let proxy = reqwest::Proxy::http(url).map_err(|error| wrong("the HTTP proxy", error.to_string()))?;
        builder = builder.proxy(proxy.no_proxy(exceptions.clone()));
    }
    if let Some(url) = &options.https_proxy {
        let proxy = reqwest::Proxy::https(url).map_err(|error| wrong("the HTTPS proxy", error.to_string()))?;
        builder = builder.proxy(proxy.no_proxy(exceptions));
    }
    builder.build().map_err(|error| wrong("the HTTP client", error.to_string()))
}

/// Where docker.io's images really are.
const DOCKER_HUB: &str = "registry-1.docker.io";
/// Longest error body that is read.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// How often a request is sent when the network or the server fails.
const ATTEMPTS: u32 = 4;

/// One registry, for one pull.
pub(crate) struct Registry {
    client: reqwest::Client,
    reference: Reference,
    /// Scheme and host.
    base: String,
    secret: Option<Secret>,
    /// The header that was last accepted.
    authorization: tokio::sync::Mutex<Option<String>>,
}

/// A manifest as the registry sent it, with its digest computed.
pub(crate) struct FetchedManifest {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
}

#[derive(Deserialize)]
struct TokenAnswer {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

/// Returns the base URLs to ask for a reference, in order.
pub(crate) fn endpoints(reference: &Reference, options: &RegistryOptions) -> Vec<String> {
    let registry = reference.registry();
    let host = if registry == "docker.io" { DOCKER_HUB } else { registry };
    let plain = options.insecure.iter().any(|insecure| insecure == registry) || is_loopback(registry);
    let mut all: Vec<String> =
        options.mirrors.get(registry).map(|mirror| mirror.trim_end_matches('/').to_owned()).into_iter().collect();
    all.push(format!("{}://{host}", if plain { "http" } else { "https" }));
    all
}

fn is_loopback(registry: &str) -> bool {
    let host = registry
        .strip_prefix('[')
        .map_or_else(|| registry.split(':').next().unwrap_or(registry), |rest| rest.split(']').next().unwrap_or(rest));
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Registry {
    pub(crate) fn new(client: reqwest::Client, reference: Reference, base: String, secret: Option<Secret>) -> Self {
        let authorization = match &secret {
            Some(Secret::Bearer(token)) => Some(format!("Bearer {token}")),
            _ => None,
        };
        Self { client, reference, base, secret, authorization: tokio::sync::Mutex::new(authorization) }
    }

    pub(crate) fn name(&self) -> String {
        self.base.split_once("://").map_or(self.base.as_str(), |(_, host)| host).to_owned()
    }

    pub(crate) fn protocol(&self, problem: impl Into<String>) -> ImageError {
        ImageError::Protocol { reference: self.reference.clone(), registry: self.name(), problem: problem.into() }
    }

    /// Fetches a manifest by tag or digest.
    pub(crate) async fn manifest(
        &self,
        tag_or_digest: &str,
        expected: Option<&Digest>,
    ) -> Result<FetchedManifest, ImageError> {
        let accepted =
            [media_type::MANIFEST, media_type::INDEX, media_type::DOCKER_MANIFEST, media_type::DOCKER_INDEX].join(", ");
        let mut headers = HeaderMap::new();
        if let Ok(value) = accepted.parse() {
            headers.insert(header::ACCEPT, value);
        }
        let what = "the manifest";
        let path = format!("manifests/{tag_or_digest}");
        let mut response = self.get(&path, what, &headers).await?;
        if !response.status().is_success() {
            return Err(self.refusal(response, what).await);
        }
        let claimed =
            response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(what, error))? {
            if bytes.len() + chunk.len() > Document::BYTES_MAX {
                return Err(self.protocol(format!("its manifest is larger than {} bytes", Document::BYTES_MAX)));
            }
            bytes.extend_from_slice(&chunk);
        }
        let digest = match expected {
            Some(expected) => {
                expected
                    .verify(&bytes)
                    .map_err(|error| self.protocol(format!("the manifest is not what was asked for: {error}")))?;
                expected.clone()
            }
            None => match claimed.map(|claimed| claimed.parse::<Digest>()) {
                // The digest is computed here; what the registry claims only tells which hash it uses.
                Some(Ok(claimed)) => {
                    claimed
                        .verify(&bytes)
                        .map_err(|error| self.protocol(format!("the manifest is not what it says: {error}")))?;
                    claimed
                }
                _ => Digest::sha256(&bytes),
            },
        };
        Ok(FetchedManifest { bytes, digest })
    }

    /// Asks for a blob from an offset on. The status is 200 (all of it) or 206 (the rest); anything else is an error, but
    /// 416 (nothing there).
    pub(crate) async fn blob(&self, digest: &Digest, offset: u64) -> Result<reqwest::Response, ImageError> {
        let mut headers = HeaderMap::new();
        if offset > 0 {
            headers.insert(
                header::RANGE,
                header::HeaderValue::try_from(format!("bytes={offset}-"))
                    .unwrap_or_else(|_| header::HeaderValue::from_static("bytes=0-")),
            );
        }
        let what = format!("blob {}", digest.short());
        let response = self.get(&format!("blobs/{digest}"), &what, &headers).await?;
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
            _ => Err(self.refusal(response, &what).await),
        }
    }

    /// Sends a request, with a token when one is wanted, again when the server fails.
    async fn get(&self, path: &str, what: &str, headers: &HeaderMap) -> Result<reqwest::Response, ImageError> {
        let url = format!("{}/v2/{}/{path}", self.base, self.reference.repository());
        let mut challenged = false;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut request = self.client.get(&url).headers(headers.clone());
            let authorization = self.authorization.lock().await.clone();
            if let Some(value) = &authorization {
                request = request.header(header::AUTHORIZATION, value);
            }
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) if attempt < ATTEMPTS && !error.is_builder() => {
                    pause(attempt, None).await;
                    continue;
                }
                Err(error) => return Err(self.unreachable(what, error)),
            };
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && !challenged {
                challenged = true;
                self.authorize(&response, what, authorization.as_deref()).await?;
                continue;
            }
            if (status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()) && attempt < ATTEMPTS {
                let wanted =
                    response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
                pause(attempt, wanted).await;
                continue;
            }
            return Ok(response);
        }
    }

    /// Gets what a challenge asks for, unless another request has meanwhile.
    async fn authorize(
        &self,
        response: &reqwest::Response,
        what: &str,
        refused: Option<&str>,
    ) -> Result<(), ImageError> {
        let mut authorization = self.authorization.lock().await;
        if authorization.is_some() && authorization.as_deref() != refused {
            return Ok(());
        }
        let headers = response.headers().get_all(header::WWW_AUTHENTICATE);
        let found = headers.iter().filter_map(|value| challenge(value.to_str().ok()?)).next();
        *authorization = match (found, &self.secret) {
            (Some(Challenge::Basic), Some(Secret::Basic { username, password })) => {
                use base64::Engine as _;
                Some(format!(
                    "Basic {}",
                    base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"))
                ))
            }
            (Some(Challenge::Bearer { realm, service, scope }), secret) => {
                Some(format!("Bearer {}", self.token(&realm, service.as_deref(), scope, secret.as_ref(), what).await?))
            }
            _ => None,
        };
        Ok(())
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: Option<String>,
        secret: Option<&Secret>,
        what: &str,
    ) -> Result<String, ImageError> {
        // Credentials that were meant for TLS must not leave without it.
        if self.base.starts_with("https://") && !realm.starts_with("https://") {
            return Err(self.protocol(format!("its token service {realm} is not https")));
        }
        let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.reference.repository()));
        let mut fields = vec![("scope", scope.as_str())];
        fields.extend(service.map(|service| ("service", service)));
        let request = match secret {
            Some(Secret::Identity(token)) => {
                fields.extend([("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "maru")]);
                self.client
                    .post(realm)
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(form(&fields))
            }
            Some(Secret::Basic { username, password }) => {
                self.client.get(with_query(realm, &fields)).basic_auth(username, Some(password))
            }
            Some(Secret::Bearer(_)) | None => self.client.get(with_query(realm, &fields)),
        };
        let what = format!("a token for {what}");
        let response = request.send().await.map_err(|error| self.unreachable(&what, error))?;
        if !response.status().is_success() {
            return Err(self.refusal(response, &what).await);
        }
        let bytes = self.read_limited(response, &what, 1 << 20).await?;
        let answer: TokenAnswer = serde_json::from_slice(&bytes)
            .map_err(|error| self.protocol(format!("its token service sent no token: {error}")))?;
        let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
        if token.is_empty() { Err(self.protocol("its token service sent an empty token")) } else { Ok(token) }
    }

    async fn read_limited(
        &self,
        mut response: reqwest::Response,
        what: &str,
        limit: usize,
    ) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(what, error))? {
            let room = limit.saturating_sub(bytes.len());
            bytes.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
            if bytes.len() >= limit {
                break;
            }
        }
        Ok(bytes)
    }

    pub(crate) fn unreachable(&self, what: &str, error: reqwest::Error) -> ImageError {
        ImageError::Unreachable {
            reference: self.reference.clone(),
            registry: self.name(),
            what: what.to_owned(),
            // The URL may hold a token.
            source: Box::new(error.without_url()),
        }
    }

    /// Makes an error of an answer that is no success.
    async fn refusal(&self, response: reqwest::Response, what: &str) -> ImageError {
        let status = response.status();
        let body = self.read_limited(response, what, ERROR_BYTES_MAX).await.unwrap_or_default();
        let (reference, registry, message) = (self.reference.clone(), self.name(), message(&body));
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                ImageError::Unauthorized { reference, registry, status: status.as_u16(), message }
            }
            StatusCode::NOT_FOUND => ImageError::NotFound { reference, registry, message },
            _ => ImageError::Refused { reference, registry, what: what.to_owned(), status: status.as_u16(), message },
        }
    }
}

/// Waits before the next attempt: what the server asks for within reason, else longer each time.
async fn pause(attempt: u32, wanted_seconds: Option<u64>) {
    let wanted = wanted_seconds.map(|seconds| Duration::from_secs(seconds.min(30)));
    tokio::time::sleep(wanted.unwrap_or(Duration::from_millis(200) * 2u32.saturating_pow(attempt))).await;
}

/// Reads the registry's own words (Distribution Specification, "Error codes").
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    match serde_json::from_slice::<Body>(body) {
        Ok(body) => body
            .errors
            .iter()
            .map(|item| format!("{} {}", item.code, item.message).trim().to_owned())
            .collect::<Vec<_>>()
            .join("; "),
        Err(_) => String::from_utf8_lossy(body).lines().next().unwrap_or_default().chars().take(200).collect(),
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let escape =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    fields.iter().map(|(key, value)| format!("{}={}", escape(key), escape(value))).collect::<Vec<_>>().join("&")
}

fn with_query(url: &str, fields: &[(&str, &str)]) -> String {
    format!("{url}{}{}", if url.contains('?') { "&" } else { "?" }, form(fields))
}
