//! Alerts: brought, listed, grouped.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use maru_prom::Labels;
use maru_time::Timestamp;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::requests::{Query, millis};
use super::{Answer, Reply};
use crate::alert::{Alert, Fingerprint};
use crate::engine::Engine;
use crate::service::Shared;

/// Most labels of an alert, and most bytes of all of them.
const LABELS_MAX: usize = 256;
const LABEL_BYTES_MAX: usize = 64 << 10;
const ANNOTATION_BYTES_MAX: usize = 256 << 10;

/// Labels as they come, in any order.
#[derive(Debug, Default)]
struct Pairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::with_capacity(16);
                while let Some((name, value)) = access.next_entry::<Text<'de>, Text<'de>>()? {
                    pairs.push((name.0, value.0));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Debug, Deserialize)]
struct Posted<'a> {
    #[serde(borrow)]
    labels: Option<Pairs<'a>>,
    #[serde(borrow)]
    annotations: Option<Pairs<'a>>,
    #[serde(borrow, rename = "startsAt")]
    starts_at: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "endsAt")]
    ends_at: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "generatorURL")]
    generator_url: Option<Cow<'a, str>>,
}

/// Alerts that are right, and what is wrong with others.
pub(crate) type ReadAlerts = (Vec<Alert>, Vec<String>);
/// A status, the API's code, and why.
pub(crate) type Malformed = (StatusCode, u32, String);

/// Reads a body of alerts: those that are right, and what is wrong with the others.
///
/// # Errors
/// When the body is no list of alerts.
pub(crate) fn read_posted(
    body: &[u8],
    resolve_timeout: std::time::Duration,
    now: Timestamp,
) -> Result<ReadAlerts, Malformed> {
    let posted: Vec<Posted<'_>> = serde_json::from_slice(body).map_err(|error| {
        (StatusCode::BAD_REQUEST, 400, format!("parsing alerts body from \"\" failed, because {error}"))
    })?;
    let mut alerts = Vec::with_capacity(posted.len());
    let mut wrong = Vec::new();
    let mut generators: BTreeMap<String, Arc<str>> = BTreeMap::new();
    for (index, one) in posted.into_iter().enumerate() {
        let malformed = |why: String| (StatusCode::UNPROCESSABLE_ENTITY, 602, why);
        let Some(labels) = one.labels else { return Err(malformed(format!("{index}.labels in body is required"))) };
        let time = |name: &str, text: Option<Cow<'_, str>>| -> Result<Option<Timestamp>, Malformed> {
            let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
            let parsed: Result<Timestamp, _> = text.parse();
            let parsed = parsed.map_err(|_| {
                (
                    StatusCode::BAD_REQUEST,
                    400,
                    format!("parsing alerts body from \"\" failed, because {index}.{name} {text:?} is no time"),
                )
            })?;
            // Go's zero time is none.
            Ok((parsed.as_second() != -62_135_596_800).then_some(parsed))
        };
        let (starts_at, ends_at) = (time("startsAt", one.starts_at)?, time("endsAt", one.ends_at)?);
        let url = one.generator_url.unwrap_or_default();
        let generator_url = match generators.get(url.as_ref()) {
            Some(known) => Arc::clone(known),
            None => {
                let shared: Arc<str> = Arc::from(url.as_ref());
                generators.insert(url.into_owned(), Arc::clone(&shared));
                shared
            }
        };
        let alert = Alert {
            labels: Labels::empty(),
            annotations: Labels::empty(),
            starts_at: starts_at.or(ends_at).unwrap_or(now),
            ends_at: ends_at.unwrap_or_else(|| now.checked_add(resolve_timeout).unwrap_or(Timestamp::MAX)),
            updated_at: now,
            generator_url,
            timeout: ends_at.is_none(),
        };
        match with_texts(alert, &labels, one.annotations.as_ref()) {
            Ok(alert) => alerts.push(alert),
            Err(why) => wrong.push(why),
        }
    }
    Ok((alerts, wrong))
}

fn with_texts(mut alert: Alert, labels: &Pairs<'_>, annotations: Option<&Pairs<'_>>) -> Result<Alert, String> {
    let bytes = |pairs: &Pairs<'_>| pairs.0.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    if labels.0.len() > LABELS_MAX || bytes(labels) > LABEL_BYTES_MAX {
        return Err(format!("invalid label set: more than {LABELS_MAX} labels or {LABEL_BYTES_MAX} bytes"));
    }
    if labels.0.iter().any(|(name, value)| name.is_empty() && !value.is_empty()) {
        return Err("invalid label set: invalid name \"\"".to_owned());
    }
    alert.labels = Labels::from_pairs(labels.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
    if alert.labels.is_empty() {
        return Err("at least one label pair required".to_owned());
    }
    if alert.ends_at < alert.starts_at {
        return Err("start time must be before end time".to_owned());
    }
    if let Some(annotations) = annotations {
        if annotations.0.len() > LABELS_MAX || bytes(annotations) > ANNOTATION_BYTES_MAX {
            return Err(format!("invalid annotations: more than {LABELS_MAX}, or {ANNOTATION_BYTES_MAX} bytes"));
        }
        alert.annotations =
            Labels::from_pairs(annotations.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref())));
    }
    Ok(alert)
}

/// Takes alerts.
pub(super) async fn post(shared: &Arc<Shared>, body: &[u8]) -> Answer {
    let now = shared.now();
    let timeout = shared.engine().plan.resolve_timeout;
    let (alerts, wrong) =
        read_posted(body, timeout, now).map_err(|(status, code, why)| Reply::malformed(status, code, why))?;
    let resolved = alerts.iter().filter(|alert| alert.is_resolved(now)).count();
    shared.telemetry.received(alerts.len() - resolved, resolved);
    {
        let mut engine = shared.engine();
        for alert in alerts {
            engine.post(alert, now);
        }
    }
    shared.wake();
    // An alert that cannot be written down is known all the same, and its sender says it again.
    drop(shared.remember().await);
    if wrong.is_empty() {
        return Ok(Reply::empty());
    }
    shared.telemetry.invalid(wrong.len());
    Err(Reply::refuse(StatusCode::BAD_REQUEST, wrong.join("; ")))
}

/// What the lists show.
struct Shown {
    active: bool,
    silenced: bool,
    inhibited: bool,
    unprocessed: bool,
    muted: bool,
}

impl Shown {
    fn read(query: &Query) -> Result<Self, Reply> {
        Ok(Self {
            active: query.flag("active")?,
            silenced: query.flag("silenced")?,
            inhibited: query.flag("inhibited")?,
            unprocessed: query.flag("unprocessed")?,
            muted: query.flag("muted")?,
        })
    }
}

/// What keeps an alert from being told.
struct Quiet {
    inhibited_by: Vec<String>,
    silenced_by: Vec<String>,
    muted_by: Vec<String>,
}

impl Quiet {
    fn of(engine: &Engine, alert: &Alert, routes: &[usize], now: Timestamp) -> Self {
        let inhibited = engine.inhibited(&alert.labels, now);
        // Only times that hold for all of its routes keep the alert quiet.
        let muted: Vec<Vec<String>> = routes.iter().map(|route| engine.plan.muted_by(*route, now)).collect();
        let is_muted = !muted.is_empty() && muted.iter().all(|names| !names.is_empty());
        Self {
            inhibited_by: inhibited.map(|inhibited| inhibited.by.to_string()).into_iter().collect(),
            silenced_by: engine.silenced_by(&alert.labels, now).into_iter().map(str::to_owned).collect(),
            muted_by: if is_muted { muted.concat() } else { Vec::new() },
        }
    }

    fn is_quiet(&self) -> bool {
        !self.inhibited_by.is_empty() || !self.silenced_by.is_empty() || !self.muted_by.is_empty()
    }

    fn is_shown(&self, shown: &Shown) -> bool {
        (shown.active || self.is_quiet())
            && (shown.silenced || self.silenced_by.is_empty())
            && (shown.inhibited || self.inhibited_by.is_empty())
            && (shown.muted || self.muted_by.is_empty())
    }
}

/// An alert as it is told. It borrows what it can: lists are long.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    annotations: Pairwise<'a>,
    ends_at: String,
    fingerprint: String,
    receivers: Vec<Receiver<'a>>,
    starts_at: String,
    status: Status,
    updated_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    labels: Pairwise<'a>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Receiver<'a> {
    name: &'a str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    inhibited_by: Vec<String>,
    muted_by: Vec<String>,
    silenced_by: Vec<String>,
    state: &'static str,
}

#[derive(Debug, Serialize)]
struct ToldGroup<'a> {
    alerts: Vec<Told<'a>>,
    labels: Pairwise<'a>,
    receiver: Receiver<'a>,
}

/// Labels as an object.
#[derive(Debug)]
struct Pairwise<'a>(&'a Labels);

impl Serialize for Pairwise<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

fn told<'a>(fingerprint: Fingerprint, alert: &'a Alert, receivers: &[&'a str], quiet: Quiet) -> Told<'a> {
    Told {
        annotations: Pairwise(&alert.annotations),
        ends_at: millis(alert.ends_at),
        fingerprint: fingerprint.to_string(),
        receivers: receivers.iter().map(|name| Receiver { name }).collect(),
        starts_at: millis(alert.starts_at),
        updated_at: millis(alert.updated_at),
        generator_url: &alert.generator_url,
        labels: Pairwise(&alert.labels),
        status: Status {
            state: if quiet.is_quiet() { "suppressed" } else { "active" },
            inhibited_by: quiet.inhibited_by,
            muted_by: quiet.muted_by,
            silenced_by: quiet.silenced_by,
        },
    }
}

/// Lists the alerts that fire.
pub(super) fn list(shared: &Arc<Shared>, query: &Query) -> Answer {
    let (shown, filter, receiver) = (Shown::read(query)?, query.filter()?, query.receiver()?);
    let now = shared.now();
    let engine = shared.engine();
    let plan = &engine.plan;
    let mut list = Vec::new();
    for (fingerprint, alert) in engine.alerts() {
        if alert.is_resolved(now) || !filter.takes(&alert.labels) {
            continue;
        }
        let routes = plan.routes_of(&alert.labels);
        let receivers: Vec<&str> =
            routes.iter().map(|route| plan.receivers[plan.routes[*route].receiver].name.as_str()).collect();
        if receiver.as_ref().is_some_and(|wanted| !receivers.iter().any(|name| wanted.matches(name))) {
            continue;
        }
        let quiet = Quiet::of(&engine, alert, &routes, now);
        if quiet.is_shown(&shown) && (shown.unprocessed || shown.active || quiet.is_quiet()) {
            list.push(told(fingerprint, alert, &receivers, quiet));
        }
    }
    Ok(Reply::serialized(&list))
}

/// Lists the groups with their alerts.
pub(super) fn groups(shared: &Arc<Shared>, query: &Query) -> Answer {
    let (shown, filter, receiver) = (Shown::read(query)?, query.filter()?, query.receiver()?);
    let now = shared.now();
    let engine = shared.engine();
    let plan = &engine.plan;
    let mut found: BTreeMap<(&Labels, &str), Vec<Told<'_>>> = BTreeMap::new();
    for group in engine.groups() {
        let name = plan.receivers[plan.routes[group.route].receiver].name.as_str();
        if receiver.as_ref().is_some_and(|wanted| !wanted.matches(name)) {
            continue;
        }
        for fingerprint in &group.alerts {
            let Some(alert) = engine.alert(*fingerprint) else { continue };
            if alert.is_resolved(now) || !filter.takes(&alert.labels) {
                continue;
            }
            let quiet = Quiet::of(&engine, alert, &[group.route], now);
            if !quiet.is_shown(&shown) {
                continue;
            }
            let routes = plan.routes_of(&alert.labels);
            let receivers: Vec<&str> =
                routes.iter().map(|route| plan.receivers[plan.routes[*route].receiver].name.as_str()).collect();
            let alert = told(*fingerprint, alert, &receivers, quiet);
            found.entry((&group.labels, name)).or_default().push(alert);
        }
    }
    let list: Vec<ToldGroup<'_>> = found
        .into_iter()
        .map(|((labels, name), alerts)| ToldGroup { alerts, labels: Pairwise(labels), receiver: Receiver { name } })
        .collect();
    Ok(Reply::serialized(&list))
}
