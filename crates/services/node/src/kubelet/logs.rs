//! `/containerLogs/{namespace}/{pod}/{container}`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, header};
use maru_http::{Body, BoxError};

use super::{Refusal, query::Query};
use crate::context::Context;
use crate::logs::{LogOptions, LogReader};
use crate::pod;
use crate::worker::PodHandle;

/// How often a followed log is looked at.
const POLL: Duration = Duration::from_millis(150);

pub(super) async fn answer(
    context: &Arc<Context>,
    handle: &PodHandle,
    container: &str,
    query: &Query,
) -> Result<Response<Body>, Refusal> {
    let options = options(context, query)?;
    let view = handle.view.borrow().clone();
    let name = pod::name(&view.pod).to_owned();
    if pod::member(&view.pod, container).is_none() {
        return Err(Refusal::Bad(format!("container {container} is not valid for pod {name}")));
    }
    let attempts = view.containers.get(container).map_or(0, |one| one.attempts);
    let attempt = if query.flag(&["previous"]) {
        attempts.checked_sub(2).ok_or_else(|| {
            Refusal::Bad(format!("previous terminated container \"{container}\" in pod \"{name}\" not found"))
        })?
    } else {
        attempts.checked_sub(1).ok_or_else(|| {
            let reason = waiting_reason(&view.pod, container).unwrap_or_else(|| "ContainerCreating".to_owned());
            Refusal::Bad(format!("container \"{container}\" in pod \"{name}\" is waiting to start: {reason}"))
        })?
    };
    let path = context.layout.log(pod::uid(&view.pod), container, attempt);
    let follow =
        query.flag(&["follow"]).then(|| Follow { handle: handle.clone(), container: container.to_owned(), attempt });
    let reader = open(path, options, follow.as_ref())
        .await
        .map_err(|error| Refusal::Failed(format!("the log of container \"{container}\" could not be read: {error}")))?;
    let body = match reader {
        Some(reader) => maru_http::stream(chunks(reader, follow)),
        None => maru_http::empty(),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
    Ok(response)
}

fn waiting_reason(pod: &k8s_openapi::api::core::v1::Pod, container: &str) -> Option<String> {
    let status = pod.status.as_ref()?;
    let mut all = status.container_statuses.iter().chain(&status.init_container_statuses).flatten();
    all.find(|one| one.name == container)?.state.as_ref()?.waiting.as_ref()?.reason.clone()
}

fn options(context: &Context, query: &Query) -> Result<LogOptions, Refusal> {
    let number = |name: &str| match query.get(name) {
        None | Some("") => Ok(None),
        Some(text) => text
            .parse::<u64>()
            .map(Some)
            .map_err(|_| Refusal::Bad(format!("{name} \"{text}\" is not a number of at least 0"))),
    };
    let since = match (number("sinceSeconds")?, query.get("sinceTime").filter(|text| !text.is_empty())) {
        (Some(seconds), _) => {
            let ago = jiff::SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
            Some(context.now().saturating_sub(ago).unwrap_or(maru_time::Timestamp::MIN))
        }
        (None, Some(text)) => {
            Some(text.parse().map_err(|_| Refusal::Bad(format!("sinceTime \"{text}\" is not a time as in RFC 3339")))?)
        }
        (None, None) => None,
    };
    let stream = match query.get("stream") {
        Some("Stdout") => Some("stdout".to_owned()),
        Some("Stderr") => Some("stderr".to_owned()),
        _ => None,
    };
    Ok(LogOptions {
        tail_lines: number("tailLines")?,
        limit_bytes: number("limitBytes")?,
        since,
        timestamps: query.flag(&["timestamps"]),
        stream,
    })
}

/// Opens a log; `None` when the container has not written anything and nobody waits until it does.
async fn open(path: PathBuf, options: LogOptions, follow: Option<&Follow>) -> std::io::Result<Option<LogReader>> {
    loop {
        let is_over = follow.is_none_or(Follow::is_over);
        let (path, options) = (path.clone(), options.clone());
        let opened = tokio::task::spawn_blocking(move || LogReader::open(&path, options)).await;
        match opened.map_err(std::io::Error::other)? {
            Ok(reader) => return Ok(Some(reader)),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            Err(_) if is_over => return Ok(None),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// Whose log is followed: until the attempt has ended.
struct Follow {
    handle: PodHandle,
    container: String,
    attempt: u32,
}

impl Follow {
    fn is_over(&self) -> bool {
        if self.handle.orders.is_closed() {
            return true;
        }
        let view = self.handle.view.borrow();
        let container = view.containers.get(&self.container);
        let runs = container.and_then(|one| one.running).is_some_and(|(attempt, _)| attempt == self.attempt);
        let is_starting =
            container.is_some_and(|one| one.attempts == self.attempt + 1 && one.running.is_none() && !one.ended);
        !runs && !is_starting
    }
}

fn chunks(reader: LogReader, follow: Option<Follow>) -> impl futures::Stream<Item = Result<Bytes, BoxError>> + Send {
    futures::stream::unfold(Some((reader, follow)), |state| async move {
        let (mut reader, follow) = state?;
        loop {
            // Looked at before reading: what was written until its end is then read as well.
            let is_over = follow.as_ref().is_none_or(Follow::is_over);
            let read = move || {
                let mut out = Vec::new();
                let mut more = true;
                while more && out.is_empty() {
                    more = reader.read_some(&mut out)?;
                }
                Ok::<_, std::io::Error>((reader, out, more))
            };
            let (back, out, more) = match tokio::task::spawn_blocking(read).await {
                Ok(Ok(read)) => read,
                Ok(Err(error)) => return Some((Err(error.into()), None)),
                Err(error) => return Some((Err(error.into()), None)),
            };
            reader = back;
            let is_full = reader.is_full();
            if !out.is_empty() {
                let next = (!is_full).then_some((reader, follow));
                return Some((Ok(Bytes::from(out)), next));
            }
            if is_full || (is_over && !more) {
                return None;
            }
            if !more {
                tokio::time::sleep(POLL).await;
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt as _;

    #[tokio::test]
    async fn a_log_that_is_not_followed_ends() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("0.log");
        std::fs::write(&path, "2026-11-22T09:00:00Z stdout F a\n2026-11-22T09:00:00Z stdout F b\n").unwrap();
        let reader = LogReader::open(&path, LogOptions::default()).unwrap();
        let parts: Vec<Bytes> = chunks(reader, None).map(Result::unwrap).collect().await;
        assert_eq!(parts.concat(), b"a\nb\n");
    }
}
