//! Messages by HTTP.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Request};
use maru_http::Handler;
use maru_monitoring::alerting::IntegrationKind;
use maru_monitoring::scrape::{Authentication, HttpClientConfig};
use serde_json::Value as Json;

use super::{Failure, reveal, tls};

/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Most clients with different settings that are kept open.
const CLIENTS_MAX: usize = 100;

/// How messages leave.
#[derive(Debug, Clone)]
pub enum Transport {
    /// By the network.
    Network(Clients),
    /// To a handler in the same process.
    Handler(Handler),
}

/// Open clients by their settings.
#[derive(Debug, Clone, Default)]
pub struct Clients(Arc<Mutex<HashMap<HttpClientConfig, reqwest::Client>>>);

impl Default for Transport {
    fn default() -> Self {
        Self::Network(Clients::default())
    }
}

impl Clients {
    fn client(&self, config: &HttpClientConfig) -> Result<reqwest::Client, Failure> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = open.get(config) {
            return Ok(client.clone());
        }
        let redirects = if config.follow_redirects {
            reqwest::redirect::Policy::limited(10)
        } else {
            reqwest::redirect::Policy::none()
        };
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(&config.tls)?)
            .no_proxy()
            .redirect(redirects)
            .user_agent(concat!("Maru/", env!("CARGO_PKG_VERSION")));
        if !config.enable_http2 {
            builder = builder.http1_only();
        }
        let client = builder.build().map_err(|error| Failure::lasting(format!("the HTTP client: {error}")))?;
        // Files may have other content the next time.
        if !tls::has_files(&config.tls) {
            if open.len() >= CLIENTS_MAX {
                open.clear();
            }
            open.insert(config.clone(), client.clone());
        }
        Ok(client)
    }
}

fn headers(config: &HttpClientConfig) -> Result<HeaderMap, Failure> {
    let wrong = |name: &str| Failure::lasting(format!("the value of the header \"{name}\" cannot be sent"));
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in &config.headers {
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong(name))?;
        headers.append(header, HeaderValue::from_str(&reveal(value)?).map_err(|_| wrong(name))?);
    }
    let authorization = match &config.authentication {
        Authentication::None => None,
        Authentication::Basic { username, password } => {
            let pair = format!("{}:{}", reveal(username)?, reveal(password)?);
            Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
        }
        Authentication::Header { kind, credentials } => Some(format!("{kind} {}", reveal(credentials)?)),
    };
    if let Some(text) = authorization {
        let mut value = HeaderValue::from_str(&text).map_err(|_| wrong("authorization"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    Ok(headers)
}

impl Transport {
    /// Posts JSON; returns what was answered.
    pub(super) async fn post_json(
        &self,
        url: &str,
        body: &Json,
        config: &HttpClientConfig,
        kind: IntegrationKind,
    ) -> Result<String, Failure> {
        let headers = headers(config)?;
        let body = body.to_string();
        let (status, answer) = match self {
            Self::Network(clients) => {
                let client = clients.client(config)?;
                let answered = client.post(url).headers(headers).body(body).send().await;
                // The address may hold a token.
                let mut response = answered.map_err(|error| Failure::passing(causes(&error.without_url())))?;
                let status = response.status();
                let mut answer = Vec::new();
                while let Ok(Some(chunk)) = response.chunk().await {
                    answer.extend_from_slice(&chunk);
                    if answer.len() > ANSWER_BYTES_MAX {
                        break;
                    }
                }
                (status, answer)
            }
            Self::Handler(handler) => {
                let mut request = Request::post(url)
                    .body(maru_http::full(body))
                    .map_err(|error| Failure::lasting(error.to_string()))?;
                *request.headers_mut() = headers;
                let response = handler.call(request).await;
                let status = response.status();
                let answer = maru_http::collect_limited(response.into_body(), ANSWER_BYTES_MAX).await;
                (status, answer.map(|bytes| bytes.to_vec()).unwrap_or_default())
            }
        };
        judge(status, &answer, kind)
    }
}

fn judge(status: http::StatusCode, answer: &[u8], kind: IntegrationKind) -> Result<String, Failure> {
    let text = String::from_utf8_lossy(answer);
    let said = format!("{} {}", status.as_u16(), text.trim().chars().take(200).collect::<String>());
    if !status.is_success() {
        let is_passing = status.is_server_error() || matches!(status.as_u16(), 408 | 429);
        return Err(Failure { message: said.trim().to_owned(), is_passing });
    }
    // Slack and Telegram answer 200 also when they refuse.
    let speaks_json = matches!(kind, IntegrationKind::Slack | IntegrationKind::Telegram);
    let refused = speaks_json && serde_json::from_slice::<Json>(answer).is_ok_and(|json| json["ok"] == false);
    if refused { Err(Failure::lasting(said.trim().to_owned())) } else { Ok(said.trim().to_owned()) }
}

/// Prints an error with what caused it.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}
