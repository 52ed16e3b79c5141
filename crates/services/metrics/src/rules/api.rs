//! What the API tells about rules and alerts, as Prometheus 3 prints it.
//!
//! Source: Prometheus 3 documentation, "HTTP API": rules, alerts, alertmanagers.

use std::sync::Arc;
use std::time::Duration;

use maru_monitoring::rules::{Rule, RuleKind, read_rules_with};
use maru_prom::{Labels, Matcher};
use ring::digest;
use serde_json::{Map, Value, json};

use super::alert::Alert;
use super::evaluate::{ActiveRule, Health, RuleState};
use super::group::ActiveGroup;
use super::manager::Manager;
use super::rehearse::RehearsalRange;
use crate::fault::Fault;
use crate::request::{Parameters, rfc3339_millis};
use crate::routes::Call;
use crate::selectors;

/// How far back a rehearsal goes when its start is not said: a day.
const REHEARSAL_MS: i64 = 86_400_000;

/// A moment that never was, as Go prints its zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Answers what is asked about rules.
pub(crate) fn answer(manager: &Manager, call: Call, parameters: &Parameters) -> Result<Value, Fault> {
    match call {
        Call::Rules => rules(manager, parameters),
        Call::AlertsExplain => super::explain::explain(manager, parameters),
        Call::Alertmanagers => Ok(alertmanagers(manager)),
        _ => Ok(alerts(manager)),
    }
}

/// Answers `/api/v1/rules/rehearse`: the body is a rule file.
pub(crate) fn answer_rehearsal(manager: &Manager, parameters: &Parameters, body: &[u8]) -> Result<Value, Fault> {
    let text = std::str::from_utf8(body).map_err(|_| Fault::BadData("the rule file is not UTF-8".to_owned()))?;
    let file = read_rules_with(text, &manager.options().parse).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Fault::BadData(problems.join("\n"))
    })?;
    let now_ms = manager.options().clock.now().as_millisecond();
    let to_ms = parameters.time("end")?.unwrap_or(now_ms);
    let from_ms = parameters.time("start")?.unwrap_or(to_ms.saturating_sub(REHEARSAL_MS));
    let interval_ms = parameters.duration("step")?.unwrap_or(0);
    let range = RehearsalRange { from_ms, to_ms, interval_ms };
    manager.rehearse(&file, range).map(|rehearsal| rehearsal.to_json()).map_err(Fault::BadData)
}

fn moment(at_ms: Option<i64>) -> Value {
    at_ms.map_or_else(|| NEVER.to_owned(), rfc3339_millis).into()
}

fn alertmanagers(manager: &Manager) -> Value {
    let list = |urls: Vec<String>| -> Value { urls.into_iter().map(|url| json!({"url": url})).collect() };
    let (active, dropped) = manager.sender().addresses();
    json!({"activeAlertmanagers": list(active), "droppedAlertmanagers": list(dropped)})
}

fn alerts(manager: &Manager) -> Value {
    let mut all = Vec::new();
    for group in manager.groups() {
        for rule in &group.rules {
            all.extend(rule.state().alerts.active().map(alert));
        }
    }
    json!({"alerts": all})
}

/// One alert.
fn alert(alert: &Alert) -> Value {
    let mut object = json!({
        "labels": label_map(&alert.labels),
        "annotations": alert.annotations,
        "state": alert.state.word(),
        "activeAt": rfc3339_millis(alert.active_at_ms),
        "value": scientific(alert.value),
    });
    if let Some(since) = alert.keep_firing_since_ms {
        object["keepFiringSince"] = rfc3339_millis(since).into();
    }
    object
}

pub(crate) fn label_map(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// Writes a number as Go's `'e'` format with as many digits as it needs: `1e+00`.
pub(crate) fn scientific(value: f64) -> String {
    if !value.is_finite() {
        return maru_prom::number::format_float(value);
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, size) = exponent.strip_prefix('-').map_or(('+', exponent), |size| ('-', size));
    format!("{digits}e{sign}{size:0>2}")
}

/// What of the rules is wanted.
struct Wanted<'a> {
    kind: Option<bool>,
    names: Vec<&'a str>,
    groups: Vec<&'a str>,
    files: Vec<&'a str>,
    selectors: Vec<Vec<Matcher>>,
    shows_alerts: bool,
}

impl Wanted<'_> {
    fn has(&self, rule: &Rule) -> bool {
        let is_of = |list: &[&str], name: &str| list.is_empty() || list.contains(&name);
        let fits = |matchers: &Vec<Matcher>| {
            let mut matchers = matchers.iter();
            matchers
                .all(|matcher| matcher.matches(rule.labels.get(matcher.name()).map(String::as_str).unwrap_or_default()))
        };
        self.kind.is_none_or(|is_alerting| is_alerting == rule.is_alerting())
            && is_of(&self.names, rule.name())
            && (self.selectors.is_empty() || self.selectors.iter().any(fits))
    }
}

fn rules(manager: &Manager, parameters: &Parameters) -> Result<Value, Fault> {
    let kind = match parameters.get("type").map(str::to_ascii_lowercase).as_deref() {
        None => None,
        Some("alert") => Some(true),
        Some("record") => Some(false),
        Some(other) => return Err(Fault::parameter("type", format_args!("not supported value {other:?}"))),
    };
    let is_true = |name: &str| match parameters.get(name).map(str::to_ascii_lowercase).as_deref() {
        None | Some("false" | "0" | "f") => Ok(false),
        Some("true" | "1" | "t") => Ok(true),
        Some(other) => Err(Fault::parameter(name, format_args!("{other:?} is neither true nor false"))),
    };
    let wanted = Wanted {
        kind,
        names: parameters.all("rule_name[]").collect(),
        groups: parameters.all("rule_group[]").collect(),
        files: parameters.all("file[]").collect(),
        selectors: selectors::read(parameters)?,
        shows_alerts: !is_true("exclude_alerts")?,
    };
    let limit = parameters.count("group_limit")?;
    let token = parameters.get("group_next_token");
    if token.is_some() && limit.is_none() {
        return Err(Fault::parameter(
            "group_limit",
            "group_limit needs to be set in order to paginate over the groups",
        ));
    }
    let (mut groups, mut next) = (Vec::new(), None);
    let mut is_before = token.is_some();
    for group in manager.groups() {
        if is_before {
            is_before = token.is_some_and(|token| token != group_token(&group));
            if is_before {
                continue;
            }
        }
        let is_of = |list: &[&str], name: &str| list.is_empty() || list.contains(&name);
        if !is_of(&wanted.files, &group.key.0) || !is_of(&wanted.groups, &group.key.1) {
            continue;
        }
        let list: Vec<Value> =
            group.rules.iter().filter(|one| wanted.has(&one.rule)).map(|one| rule(one, wanted.shows_alerts)).collect();
        if list.is_empty() {
            continue;
        }
        if limit.is_some_and(|limit| groups.len() >= limit) {
            next = Some(group_token(&group));
            break;
        }
        let mut object = group_object(&group, list);
        if let Some(problem) = manager.problem(&group.key.0) {
            object["problem"] = problem.into();
        }
        groups.push(object);
    }
    if is_before {
        return Err(Fault::parameter("group_next_token", "no group has this token; the rules may have changed since"));
    }
    let mut data = json!({"groups": groups});
    if let Some(next) = next {
        data["groupNextToken"] = next.into();
    }
    Ok(data)
}

fn group_object(group: &Arc<ActiveGroup>, rules: Vec<Value>) -> Value {
    let progress = group.progress().clone();
    json!({
        "name": group.key.1,
        "file": group.key.0,
        "rules": rules,
        "interval": group.interval.as_secs_f64(),
        "queryOffset": group.query_offset.as_secs_f64(),
        "limit": group.limit,
        "evaluationTime": progress.duration.as_secs_f64(),
        "lastEvaluation": moment(progress.evaluated_at_ms),
    })
}

/// Returns what stands for a group when the list goes on with it.
fn group_token(group: &ActiveGroup) -> String {
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{};{}", group.key.0, group.key.1).as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn rule(active: &ActiveRule, shows_alerts: bool) -> Value {
    let state = active.state();
    let mut object = rule_object(&active.rule, &state);
    if let RuleKind::Alerting { .. } = active.rule.kind {
        let alerts: Vec<Value> = if shows_alerts { state.alerts.active().map(alert).collect() } else { Vec::new() };
        object["alerts"] = alerts.into();
    }
    object
}

/// A rule without its alerts.
pub(crate) fn rule_object(rule: &Rule, state: &RuleState) -> Value {
    let labels: Map<String, Value> =
        rule.labels.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    let mut object = json!({
        "name": rule.name(),
        "query": rule.expression.to_string(),
        "health": state.health.word(),
        "evaluationTime": state.duration.as_secs_f64(),
        "lastEvaluation": moment(state.evaluated_at_ms),
        "type": if rule.is_alerting() { "alerting" } else { "recording" },
    });
    if let Health::Bad(why) = &state.health {
        object["lastError"] = why.clone().into();
    }
    match &rule.kind {
        RuleKind::Recording { .. } => {
            if !labels.is_empty() {
                object["labels"] = labels.into();
            }
        }
        RuleKind::Alerting { hold, keep_firing, annotations, .. } => {
            object["state"] = state.alerts.state().word().into();
            object["duration"] = seconds(*hold);
            object["keepFiringFor"] = seconds(*keep_firing);
            object["labels"] = labels.into();
            object["annotations"] = json!(annotations);
        }
    }
    object
}

/// Whole seconds as a whole number, as Go prints them.
fn seconds(time: Duration) -> Value {
    if time.subsec_nanos() == 0 { time.as_secs().into() } else { time.as_secs_f64().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_go_does() {
        for (value, text) in
            [(1.0, "1e+00"), (0.0, "0e+00"), (1234.5, "1.2345e+03"), (1e-7, "1e-07"), (-2e100, "-2e+100")]
        {
            assert_eq!(scientific(value), text);
        }
        assert_eq!(scientific(f64::INFINITY), "+Inf");
    }
}
