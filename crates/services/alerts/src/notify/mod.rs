//! Sends messages: one attempt, and attempts until the time is over.

mod email;
mod http;
mod mime;
mod smtp;
mod tls;

use std::time::Duration;

use maru_monitoring::alerting::{Integration, IntegrationKind};
use maru_monitoring::scrape::SecretSource;
use maru_template::{Escape, TemplateError};
use maru_time::SharedClock;
use serde_json::Value as Json;

use crate::engine::{Dispatch, Outcome};
use crate::message::Message;
use crate::trace::Attempt;

pub use http::Transport;

/// How long an attempt may take when the configuration does not say.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(30);
/// The first pause between two attempts, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// Most attempts whose answers are remembered while a message is under way.
const ATTEMPTS_REMEMBERED: usize = 200;

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What happened.
    pub(crate) message: String,
    /// Whether trying again may help.
    pub(crate) is_passing: bool,
}

impl Failure {
    pub(crate) fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_passing: true }
    }

    pub(crate) fn lasting(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_passing: false }
    }
}

impl From<TemplateError> for Failure {
    fn from(error: TemplateError) -> Self {
        Self::lasting(error.to_string())
    }
}

/// Sends messages.
#[derive(Debug, Clone)]
pub(crate) struct Notifier {
    pub(crate) transport: Transport,
    pub(crate) clock: SharedClock,
    pub(crate) external_url: String,
    pub(crate) telemetry: crate::telemetry::Telemetry,
    /// When it is cancelled, no further attempt begins.
    pub(crate) scope: maru_task::Scope,
}

impl Notifier {
    /// Sends until it arrived, cannot arrive, or the time is over.
    pub(crate) async fn deliver(&self, dispatch: &Dispatch) -> Outcome {
        let receiver = &dispatch.plan.receivers[dispatch.receiver];
        let integration = &receiver.integrations[dispatch.integration];
        let message = self.message(dispatch);
        let now = self.clock.now();
        let time = Duration::try_from(dispatch.deadline.duration_since(now)).unwrap_or_default();
        let deadline = tokio::time::Instant::now() + time;
        let mut attempts: Vec<Attempt> = Vec::new();
        let mut pause = PAUSES.0;
        loop {
            let at = self.clock.now();
            let allowed = integration.timeout.unwrap_or(ATTEMPT_TIME_MAX);
            let until = deadline.min(tokio::time::Instant::now() + allowed);
            let result = tokio::time::timeout_at(until, self.attempt(&message, integration, dispatch)).await;
            let result = result.unwrap_or_else(|_| Err(Failure::passing("no answer in time")));
            self.telemetry.attempted(integration.kind.name(), result.is_ok());
            let (answer, failure) = match result {
                Ok(answer) => (answer, None),
                Err(failure) => (failure.message.clone(), Some(failure)),
            };
            if attempts.len() >= ATTEMPTS_REMEMBERED {
                attempts.remove(ATTEMPTS_REMEMBERED / 2);
            }
            attempts.push(Attempt { at, answer: answer.chars().take(300).collect() });
            let Some(failure) = failure else { return Outcome { delivered: true, attempts } };
            let next = tokio::time::Instant::now() + pause;
            if !failure.is_passing || next >= deadline {
                self.telemetry.failed(integration.kind.name());
                tracing::warn!(
                    receiver = receiver.name,
                    integration = integration.kind.name(),
                    group = &*dispatch.group_key,
                    attempts = attempts.len(),
                    error = failure.message,
                    "a notification was not delivered"
                );
                return Outcome { delivered: false, attempts };
            }
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.scope.cancelled() => return Outcome { delivered: false, attempts },
            }
            pause = (pause * 3 / 2).min(PAUSES.1);
        }
    }

    fn message(&self, dispatch: &Dispatch) -> Message {
        Message {
            receiver: dispatch.receiver_name().to_owned(),
            group_key: std::sync::Arc::clone(&dispatch.group_key),
            group_labels: dispatch.group_labels.clone(),
            alerts: std::sync::Arc::clone(&dispatch.alerts),
            external_url: self.external_url.clone(),
            reason: dispatch.reason.text(),
            now: dispatch.now,
        }
    }

    /// Sends once; returns what the server answered.
    async fn attempt(
        &self,
        message: &Message,
        integration: &Integration,
        dispatch: &Dispatch,
    ) -> Result<String, Failure> {
        let library = &dispatch.plan.library;
        if let Some(email) = &integration.email {
            return email::send(message, email, library).await;
        }
        let render = |text: &str| message.render(text, library, Escape::None);
        let url = match &integration.url {
            Some(SecretSource::Text(secret)) => render(secret.reveal())?,
            Some(SecretSource::File(path)) => read_file(path)?,
            None => return Err(Failure::lasting("the receiver has no address")),
        };
        let token = integration.token.as_ref().map(reveal).transpose()?;
        let body = match integration.kind {
            IntegrationKind::Webhook if integration.body.is_null() => message.webhook(integration.max_alerts),
            _ => message.render_tree(&integration.body, library)?,
        };
        let (url, body) = finished(integration.kind, url, body, token.as_deref(), message)?;
        self.transport.post_json(&url, &body, &integration.http, integration.kind).await
    }
}

/// Returns a secret's text.
pub(crate) fn reveal(secret: &SecretSource) -> Result<String, Failure> {
    match secret {
        SecretSource::Text(text) => Ok(text.reveal().to_owned()),
        SecretSource::File(path) => read_file(path),
    }
}

pub(crate) fn read_file(path: &str) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path);
    text.map(|text| text.trim().to_owned())
        .map_err(|error| Failure::passing(format!("cannot read \"{path}\": {error}")))
}

/// Does what a service wants beyond texts: lengths, colours, keys.
fn finished(
    kind: IntegrationKind,
    mut url: String,
    mut body: Json,
    token: Option<&str>,
    message: &Message,
) -> Result<(String, Json), Failure> {
    let fires = message.status() == "firing";
    match kind {
        IntegrationKind::Webhook => return Ok((url, body)),
        IntegrationKind::Slack => {
            if let Some(attachment) = body["attachments"].get_mut(0) {
                shorten(&mut attachment["title"], 1024);
            }
            keep_booleans(&mut body);
        }
        IntegrationKind::Mattermost => shorten(&mut body["text"], 16_383),
        IntegrationKind::PagerDuty => {
            shorten(&mut body["payload"]["summary"], 1024);
            body["routing_key"] = token.unwrap_or_default().into();
            body["event_action"] = if fires { "trigger" } else { "resolve" }.into();
            body["dedup_key"] = crate::ids::hash_hex(message.group_key.as_bytes()).into();
            let details = body["payload"]["custom_details"].to_string();
            if details.len() > 400_000 {
                body["payload"]["custom_details"] =
                    serde_json::json!({"error": "the details were left out: the message was larger than 400 KB"});
            }
        }
        IntegrationKind::Telegram => {
            shorten(&mut body["text"], 4096);
            url = format!("{}/bot{}/sendMessage", url.trim_end_matches('/'), token.unwrap_or_default());
        }
        IntegrationKind::Discord => {
            shorten(&mut body["content"], 2000);
            if let Some(embed) = body["embeds"].get_mut(0) {
                shorten(&mut embed["title"], 256);
                shorten(&mut embed["description"], 2000);
                embed["color"] = if fires { 0x00b3_261e } else { 0x001b_7a3d }.into();
            }
        }
        IntegrationKind::MsTeamsV2 => {}
        IntegrationKind::Email => return Err(Failure::lasting("mail does not go by HTTP")),
    }
    drop_empty(&mut body);
    Ok((url, body))
}

/// Cuts a text after so many characters.
fn shorten(text: &mut Json, most: usize) {
    if let Json::String(text) = text
        && text.chars().count() > most
    {
        *text = text.chars().take(most - 1).chain(['…']).collect();
    }
}

/// Fields that are templates in the configuration and booleans on the wire.
fn keep_booleans(body: &mut Json) {
    if body["link_names"] == Json::Bool(false)
        && let Json::Object(map) = body
    {
        map.remove("link_names");
    }
}

/// Leaves out what is empty: services take a missing field for their default.
fn drop_empty(tree: &mut Json) {
    match tree {
        Json::Object(map) => {
            map.values_mut().for_each(drop_empty);
            map.retain(|_, value| match value {
                Json::String(text) => !text.is_empty(),
                Json::Array(list) => !list.is_empty(),
                Json::Object(map) => !map.is_empty(),
                Json::Null => false,
                Json::Bool(_) | Json::Number(_) => true,
            });
        }
        Json::Array(list) => list.iter_mut().for_each(drop_empty),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
