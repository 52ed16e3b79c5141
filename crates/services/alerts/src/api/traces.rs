//! "Why was I (not) paged?": the way of one alert from its arrival to the answer of the receiver.

use std::sync::Arc;

use http::StatusCode;
use maru_time::Timestamp;
use serde_json::{Value as Json, json};

use super::requests::{Query, millis};
use super::{Answer, Reply};
use crate::alert::{Alert, Fingerprint};
use crate::engine::Engine;
use crate::message::labels_json;
use crate::service::Shared;
use crate::trace::{FlushRecord, Suppressed};

/// Most alerts that one request asks about.
const TRACES_MAX: usize = 100;
/// Most decisions that are told about one alert: the newest.
const DECISIONS_MAX: usize = 50;

/// Tells the way of one alert.
pub(super) fn one(shared: &Arc<Shared>, text: &str) -> Answer {
    let Some(fingerprint) = Fingerprint::parse(text) else {
        return Err(Reply::refuse(
            StatusCode::BAD_REQUEST,
            format!("{text:?} is no fingerprint: 16 hexadecimal digits"),
        ));
    };
    let now = shared.now();
    let engine = shared.engine();
    match engine.alert(fingerprint) {
        Some(alert) => Ok(Reply::json(&trace(&engine, fingerprint, alert, now))),
        None => {
            Err(Reply::refuse(StatusCode::NOT_FOUND, format!("no alert {fingerprint} came in, or it is forgotten")))
        }
    }
}

/// Tells the ways of all alerts that fit a filter, the newest first.
pub(super) fn by_labels(shared: &Arc<Shared>, query: &Query) -> Answer {
    let filter = query.filter()?;
    let now = shared.now();
    let engine = shared.engine();
    let mut found: Vec<(Fingerprint, &Alert)> =
        engine.alerts().filter(|(_, alert)| filter.takes(&alert.labels)).collect();
    found.sort_by_key(|(_, alert)| std::cmp::Reverse(alert.updated_at));
    found.truncate(TRACES_MAX);
    Ok(Reply::json(&found.into_iter().map(|(fingerprint, alert)| trace(&engine, fingerprint, alert, now)).collect()))
}

fn trace(engine: &Engine, fingerprint: Fingerprint, alert: &Alert, now: Timestamp) -> Json {
    let plan = &engine.plan;
    let is_resolved = alert.is_resolved(now);
    let routes: Vec<Json> = plan
        .routes_of(&alert.labels)
        .into_iter()
        .map(|route| {
            let node = &plan.routes[route];
            let labels = plan.group_labels(route, &alert.labels);
            let key = crate::engine::group_key(&node.key, &labels);
            let told: Vec<Json> = engine
                .log_of(&key)
                .map(|(log, entry)| {
                    json!({
                        "integration": &*log.integration,
                        "at": millis(entry.at),
                        "asFiring": entry.firing.binary_search(&fingerprint).is_ok(),
                        "asResolved": entry.resolved.binary_search(&fingerprint).is_ok(),
                    })
                })
                .collect();
            json!({
                "path": node.key,
                "receiver": plan.receivers[node.receiver].name,
                "integrations": plan.receivers[node.receiver].integrations.iter().map(|one| one.kind.name()).collect::<Vec<_>>(),
                "groupKey": &*key,
                "groupLabels": labels_json(&labels),
                "mutedBy": plan.muted_by(route, now),
                "isWaiting": engine.groups_of(fingerprint).iter().any(|group| group.key == key && group.is_new()),
                "nextFlush": engine.groups_of(fingerprint).iter().find(|group| group.key == key).map(|group| millis(group.next_flush())),
                "told": told,
            })
        })
        .collect();
    let decisions: Vec<&FlushRecord> = engine.history.of(fingerprint).collect();
    let skipped = decisions.len().saturating_sub(DECISIONS_MAX);
    let decisions: Vec<Json> =
        decisions.into_iter().skip(skipped).map(|record| decision(record, fingerprint)).collect();
    let inhibited = engine.inhibited(&alert.labels, now).map(|inhibited| {
        json!({
            "by": inhibited.by.to_string(),
            "labels": engine.alert(inhibited.by).map(|source| labels_json(&source.labels)),
            "rule": plan.inhibit_rules[inhibited.rule].name,
            "ruleNumber": inhibited.rule,
        })
    });
    let silences: Vec<Json> = engine
        .silenced_by(&alert.labels, now)
        .into_iter()
        .filter_map(|id| engine.silence(id))
        .map(|silence| {
            json!({"id": silence.id, "createdBy": silence.created_by, "comment": silence.comment, "endsAt": millis(silence.ends_at)})
        })
        .collect();
    json!({
        "fingerprint": fingerprint.to_string(),
        "labels": labels_json(&alert.labels),
        "annotations": labels_json(&alert.annotations),
        "status": if is_resolved { "resolved" } else { "firing" },
        "startsAt": millis(alert.starts_at),
        "endsAt": millis(alert.ends_at),
        "updatedAt": millis(alert.updated_at),
        "endIsGuessed": alert.timeout,
        "inhibitedBy": inhibited,
        "silencedBy": silences,
        "routes": routes,
        "decisions": decisions,
    })
}

/// Tells one decision as far as it is about the alert.
fn decision(record: &FlushRecord, fingerprint: Fingerprint) -> Json {
    let suppressed = record.suppressed.iter().find(|(one, _)| *one == fingerprint).map(|(_, why)| why);
    let (inhibited_by, silenced_by) = match suppressed {
        Some(Suppressed::InhibitedBy(by)) => (Some(by.to_string()), Vec::new()),
        Some(Suppressed::SilencedBy(ids)) => (None, ids.clone()),
        None => (None, Vec::new()),
    };
    let integrations: Vec<Json> = record
        .integrations
        .iter()
        .map(|one| {
            let attempts: Vec<Json> = one
                .attempts
                .iter()
                .map(|attempt| json!({"at": millis(attempt.at), "answer": attempt.answer}))
                .collect();
            json!({
                "integration": format!("{}/{}/{}", record.receiver, one.kind, one.index),
                "sends": one.decision.sends(),
                "reason": one.decision.text(),
                "delivered": one.delivered,
                "isUnderWay": one.under_way,
                "attemptCount": one.attempt_count,
                "attempts": attempts,
                "endedAt": one.ended_at.map(millis),
            })
        })
        .collect();
    json!({
        "at": millis(record.at),
        "lastAt": millis(record.last_at),
        "times": record.times,
        "groupKey": &*record.group,
        "receiver": record.receiver,
        "mutedBy": record.muted_by,
        "inhibitedBy": inhibited_by,
        "silencedBy": silenced_by,
        "integrations": integrations,
    })
}
