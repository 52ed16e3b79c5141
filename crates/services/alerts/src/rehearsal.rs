//! Who would have been told what and when: a timeline of alerts through the same engine, with a clock that is only counted.

use std::sync::Arc;
use std::time::Duration;

use maru_time::Timestamp;
use serde_json::{Value as Json, json};

use crate::alert::Alert;
use crate::engine::{Dispatch, Engine, EngineLimits, Outcome};
use crate::message::labels_json;
use crate::plan::Plan;
use crate::silence::Silence;
use crate::trace::Attempt;

/// Most events of a timeline, and most messages that are told.
const EVENTS_MAX: usize = 1_000_000;
const MESSAGES_MAX: usize = 100_000;

/// What is rehearsed.
#[derive(Debug, Clone, Default)]
pub struct Rehearsal {
    /// Alerts as they come in, with the time of it.
    pub events: Vec<(Timestamp, Alert)>,
    /// Silences that hold from the start.
    pub silences: Vec<Silence>,
    /// Until when; the last event and a repeat interval later when absent.
    pub until: Option<Timestamp>,
}

/// A message that would have been sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsed {
    /// When.
    pub at: Timestamp,
    /// To whom.
    pub receiver: String,
    /// In which way.
    pub integration: &'static str,
    /// About which group.
    pub group_key: String,
    /// `firing` or `resolved`.
    pub status: &'static str,
    /// Why.
    pub reason: &'static str,
    /// The labels of the alerts that fire, and of those that are over.
    pub firing: Vec<Json>,
    /// Those that are over.
    pub resolved: Vec<Json>,
}

impl Rehearsed {
    /// Returns the message as JSON.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "at": self.at.to_string(),
            "receiver": self.receiver,
            "integration": self.integration,
            "groupKey": self.group_key,
            "status": self.status,
            "reason": self.reason,
            "firing": self.firing,
            "resolved": self.resolved,
        })
    }
}

/// What is wrong with a timeline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RehearsalError(String);

impl Rehearsal {
    /// Reads a timeline: `{"events": [{"at": time, "labels": {…}, "annotations": {…}, "startsAt", "endsAt"}], "until": time}`.
    /// An alert without `endsAt` fires until an event with its labels ends it.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn from_json(json: &Json) -> Result<Self, RehearsalError> {
        let wrong = |why: String| RehearsalError(why);
        let list = json["events"].as_array().ok_or_else(|| wrong("\"events\" is no list".to_owned()))?;
        if list.len() > EVENTS_MAX {
            return Err(wrong(format!("there are more than {EVENTS_MAX} events")));
        }
        let mut rehearsal = Self::default();
        for (index, event) in list.iter().enumerate() {
            let at = event["at"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
            let at = at.ok_or_else(|| wrong(format!("events[{index}].at is no time such as 2026-11-22T09:00:00Z")))?;
            // Without an end it fires until it is told to be over.
            let never = Duration::from_secs(10 * 365 * 86_400);
            let body = json!([event]).to_string();
            let (mut alerts, problems) = crate::api::read_posted(body.as_bytes(), never, at)
                .map_err(|(.., why)| wrong(format!("events[{index}]: {why}")))?;
            if let Some(problem) = problems.first() {
                return Err(wrong(format!("events[{index}]: {problem}")));
            }
            rehearsal.events.extend(alerts.pop().map(|alert| (at, alert)));
        }
        if let Some(text) = json["until"].as_str() {
            let until =
                text.parse().map_err(|_| wrong("\"until\" is no time such as 2026-11-22T09:00:00Z".to_owned()))?;
            rehearsal.until = Some(until);
        }
        Ok(rehearsal)
    }
}

/// Runs a timeline. Every message arrives at once.
#[must_use]
pub fn rehearse(plan: &Arc<Plan>, rehearsal: Rehearsal) -> Vec<Rehearsed> {
    let mut events = rehearsal.events;
    events.sort_by_key(|(at, _)| *at);
    let (Some(start), Some(last)) = (events.first().map(|(at, _)| *at), events.last().map(|(at, _)| *at)) else {
        return Vec::new();
    };
    let longest = plan.routes.iter().map(|route| route.repeat_interval).max().unwrap_or_default();
    let until = rehearsal.until.unwrap_or_else(|| last.checked_add(longest).unwrap_or(Timestamp::MAX));
    let mut engine = Engine::new(Arc::clone(plan), EngineLimits::default());
    for silence in rehearsal.silences {
        engine.restore(crate::engine::Record::Silence(silence), start);
    }
    let mut messages = Vec::new();
    let mut coming = events.into_iter().peekable();
    loop {
        let next_event = coming.peek().map(|(at, _)| *at);
        let next = match (next_event, engine.next_wake()) {
            (Some(event), Some(wake)) => event.min(wake),
            (Some(event), None) => event,
            (None, Some(wake)) => wake,
            (None, None) => break,
        };
        if next > until || messages.len() >= MESSAGES_MAX {
            break;
        }
        while let Some((at, alert)) = coming.next_if(|(at, _)| *at <= next) {
            engine.post(alert, at);
        }
        let mut waiting = engine.advance(next);
        while let Some(dispatch) = waiting.pop() {
            messages.push(told(&dispatch));
            let attempts = vec![Attempt { at: next, answer: "rehearsed".to_owned() }];
            waiting.extend(engine.sent(&dispatch, &Outcome { delivered: true, attempts }, next));
        }
        // Nothing is written down.
        drop(engine.take_records());
    }
    messages
}

fn told(dispatch: &Dispatch) -> Rehearsed {
    let labels = |resolved: bool| -> Vec<Json> {
        let alerts = dispatch.alerts.iter().filter(|alert| alert.is_resolved(dispatch.now) == resolved);
        alerts.map(|alert| labels_json(&alert.labels)).collect()
    };
    let firing = labels(false);
    Rehearsed {
        at: dispatch.now,
        receiver: dispatch.receiver_name().to_owned(),
        integration: dispatch.plan.receivers[dispatch.receiver].integrations[dispatch.integration].kind.name(),
        group_key: dispatch.group_key.to_string(),
        status: if firing.is_empty() { "resolved" } else { "firing" },
        reason: dispatch.reason.text(),
        firing,
        resolved: labels(true),
    }
}
