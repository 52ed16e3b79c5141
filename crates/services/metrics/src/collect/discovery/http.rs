//! Targets that a server tells.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use maru_monitoring::scrape::{HttpClientConfig, TargetGroup, read_target_groups};

use super::Output;
use crate::collect::client::{HttpClient, Outgoing, Session};

/// Bytes of an answer.
const BODY_BYTES_MAX: usize = 64 << 20;
/// How long an answer may take, at most as long as the time between two.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(super) async fn run(
    url: String,
    refresh: Duration,
    client: Box<HttpClientConfig>,
    folder: PathBuf,
    mut output: Output,
) {
    let mut session = HttpClient::new(&client, folder).session();
    let mut ticks = tokio::time::interval(refresh);
    loop {
        ticks.tick().await;
        let asked = tokio::time::timeout(TIMEOUT.min(refresh), ask(&mut session, &url, refresh)).await;
        match asked.unwrap_or_else(|_| Err("it took too long".to_owned())) {
            Ok(groups) => output.tell(groups).await,
            Err(why) => {
                session.close();
                tracing::warn!(url, error = why, "a server of targets cannot be used; its targets stay as they are");
            }
        }
    }
}

async fn ask(session: &mut Session, url: &str, refresh: Duration) -> Result<Vec<TargetGroup>, String> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(crate::collect::USER_AGENT));
    if let Ok(value) = HeaderValue::from_str(&refresh.as_secs_f64().to_string()) {
        headers.insert("x-prometheus-refresh-interval-seconds", value);
    }
    let parsed = url.parse().map_err(|error| format!("it is no address: {error}"))?;
    let outgoing = Outgoing { method: Method::GET, url: parsed, headers, body: Bytes::new() };
    let mut body = Vec::new();
    let answer = session.send(&outgoing, &mut body, BODY_BYTES_MAX).await?;
    if answer.status != StatusCode::OK {
        return Err(format!("server returned HTTP status {}", answer.status));
    }
    let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.trim().to_ascii_lowercase().starts_with("application/json") {
        return Err(format!("the content type is {kind:?}, and application/json is expected"));
    }
    let text = std::str::from_utf8(&body).map_err(|_| "the answer is not UTF-8")?;
    let mut groups = read_target_groups(text, url)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))?;
    for group in &mut groups {
        let mut labels = group.labels.to_builder();
        labels.set("__meta_url", url);
        group.labels = labels.build();
    }
    Ok(groups)
}
