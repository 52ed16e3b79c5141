//! Why an alert fires, or does not: the rule's half of "why was I (not) paged".

use std::sync::Arc;

use maru_monitoring::rules::{humanize, humanize_duration};
use maru_prom::{Labels, Matcher};
use maru_promql::{BinaryOperator, Expression, Sample, Type, parse_selector};
use serde_json::{Value, json};

use super::alert::{Alert, AlertState, ms};
use super::api::{label_map, rule_object, scientific};
use super::backend::Backend;
use super::evaluate::{ALERT_NAME, ActiveRule, Health, float};
use super::group::ActiveGroup;
use super::manager::Manager;
use crate::fault::Fault;
use crate::request::{Parameters, rfc3339_millis};

/// Series of one condition that are shown.
const SERIES_MAX: usize = 100;

/// One text in the two languages of the product.
fn text(en: String, ko: String) -> Value {
    json!({"en": en, "ko": ko})
}

/// Answers `/api/v1/alerts/explain`.
pub(crate) fn explain(manager: &Manager, parameters: &Parameters) -> Result<Value, Fault> {
    let name = parameters
        .get("rule")
        .ok_or_else(|| Fault::parameter("rule", "it is missing; name the alerting rule"))?
        .to_owned();
    let labels = match parameters.get("labels") {
        None => Vec::new(),
        Some(text) => {
            let text = if text.trim_start().starts_with('{') { text.to_owned() } else { format!("{{{text}}}") };
            if text.trim() == "{}" {
                Vec::new()
            } else {
                parse_selector(&text).map_err(|errors| Fault::parameter("labels", errors))?
            }
        }
    };
    let now_ms = manager.options().clock.now().as_millisecond();
    let mut rules = Vec::new();
    for group in manager.groups() {
        for rule in group.rules.iter().filter(|rule| rule.rule.is_alerting() && rule.rule.name() == name) {
            rules.push(Question { manager, group: &group, rule, labels: &labels, now_ms }.answer());
        }
    }
    if rules.is_empty() {
        return Err(Fault::NotFound(format!("there is no alerting rule {name:?}")));
    }
    Ok(json!({"rules": rules}))
}

/// What is asked about one rule.
struct Question<'a> {
    manager: &'a Manager,
    group: &'a Arc<ActiveGroup>,
    rule: &'a ActiveRule,
    labels: &'a [Matcher],
    now_ms: i64,
}

impl Question<'_> {
    fn fits(&self, labels: &Labels) -> bool {
        let mut matchers = self.labels.iter().filter(|matcher| matcher.name() != ALERT_NAME);
        matchers.all(|matcher| {
            // Labels that the rule adds are not in the data.
            let added = self.rule.rule.labels.contains_key(matcher.name()) && labels.get(matcher.name()).is_none();
            added || matcher.matches(labels.get(matcher.name()).unwrap_or_default())
        })
    }

    fn answer(&self) -> Value {
        let state = self.rule.state().clone();
        let alerts: Vec<&Alert> = state.alerts.iter().filter(|alert| self.fits(&alert.labels)).collect();
        let at_ms = state.evaluated_at_ms.unwrap_or(self.now_ms) - ms(self.group.query_offset);
        let conditions = self.conditions(at_ms);
        let reasons = self.reasons(&state.health, state.evaluated_at_ms, &alerts, &conditions);
        json!({
            "file": self.group.key.0,
            "group": self.group.key.1,
            "rule": rule_object(&self.rule.rule, &state),
            "evaluatedAt": state.evaluated_at_ms.map(rfc3339_millis),
            "nextEvaluation": rfc3339_millis(self.group.moment(self.now_ms) + ms(self.group.interval)),
            "reasons": reasons,
            "conditions": conditions,
            "alerts": alerts.iter().map(|alert| self.alert(alert)).collect::<Vec<_>>(),
        })
    }

    /// Returns what an alert still needs, and what receivers were told.
    fn alert(&self, alert: &Alert) -> Value {
        let remaining_ms = match alert.state {
            AlertState::Pending => (self.rule.timing.hold_ms - (self.now_ms - alert.active_at_ms)).max(0),
            AlertState::Firing | AlertState::Inactive => 0,
        };
        let sends: Vec<Value> = self
            .manager
            .sender()
            .deliveries(&alert.labels)
            .into_iter()
            .map(|(url, delivery)| match delivery {
                None => json!({"alertmanager": url, "sent": false}),
                Some(delivery) => json!({
                    "alertmanager": url,
                    "sent": delivery.error.is_empty(),
                    "at": rfc3339_millis(delivery.at_ms),
                    "as": if delivery.is_resolved { "resolved" } else { "firing" },
                    "status": delivery.status,
                    "error": delivery.error,
                }),
            })
            .collect();
        json!({
            "labels": label_map(&alert.labels),
            "annotations": alert.annotations,
            "state": alert.state.word(),
            "value": scientific(alert.value),
            "activeAt": rfc3339_millis(alert.active_at_ms),
            "firedAt": alert.fired_at_ms.map(rfc3339_millis),
            "resolvedAt": alert.resolved_at_ms.map(rfc3339_millis),
            "keepFiringSince": alert.keep_firing_since_ms.map(rfc3339_millis),
            "remainingForSeconds": seconds(remaining_ms),
            "sends": sends,
        })
    }

    fn reasons(&self, health: &Health, evaluated: Option<i64>, alerts: &[&Alert], conditions: &[Value]) -> Vec<Value> {
        let mut reasons = Vec::new();
        match (health, evaluated) {
            (Health::Bad(why), _) => {
                reasons.push(text(
                    format!("the rule could not be evaluated: {why}"),
                    format!("규칙을 평가하지 못했습니다: {why}"),
                ));
            }
            (_, None) => reasons
                .push(text("the rule was not evaluated yet".to_owned(), "규칙이 아직 평가되지 않았습니다".to_owned())),
            (Health::Good | Health::Unknown, Some(_)) => {}
        }
        for alert in alerts {
            reasons.push(self.alert_reason(alert));
        }
        if alerts.is_empty() {
            reasons.extend(missing_reasons(conditions));
        }
        let (active, _) = self.manager.sender().addresses();
        if active.is_empty() {
            reasons.push(text(
                "nobody is told: there is no Alertmanager".to_owned(),
                "알림을 받을 Alertmanager가 없습니다".to_owned(),
            ));
        }
        reasons
    }

    fn alert_reason(&self, alert: &Alert) -> Value {
        let ago = |at_ms: i64| humanize_duration(seconds(self.now_ms - at_ms));
        let name = format!("{:?}", alert.labels);
        match alert.state {
            AlertState::Pending => {
                let remaining = (self.rule.timing.hold_ms - (self.now_ms - alert.active_at_ms)).max(0);
                let (since, left) = (ago(alert.active_at_ms), humanize_duration(seconds(remaining)));
                text(
                    format!("pending for {since}, fires in {left} when the condition goes on: {name}"),
                    format!("{since} 동안 대기 중이며, 조건이 이어지면 {left} 뒤에 발생합니다: {name}"),
                )
            }
            AlertState::Firing => {
                let since = ago(alert.fired_at_ms.unwrap_or(alert.active_at_ms));
                match alert.keep_firing_since_ms {
                    None => text(format!("fires for {since}: {name}"), format!("{since} 동안 발생 중입니다: {name}")),
                    Some(gone) => text(
                        format!("the condition ended {} ago, and keep_firing_for holds it: {name}", ago(gone)),
                        format!("조건은 {} 전에 끝났지만 keep_firing_for가 유지합니다: {name}", ago(gone)),
                    ),
                }
            }
            AlertState::Inactive => {
                let since = ago(alert.resolved_at_ms.unwrap_or(alert.active_at_ms));
                text(format!("it ended {since} ago: {name}"), format!("{since} 전에 끝났습니다: {name}"))
            }
        }
    }

    /// Evaluates both sides of each comparison that decides.
    fn conditions(&self, at_ms: i64) -> Vec<Value> {
        let mut comparisons = Vec::new();
        find_comparisons(&self.rule.rule.expression, &mut comparisons);
        if comparisons.is_empty() {
            let series = self.series(&self.rule.rule.expression, at_ms);
            let value = series.map_or_else(|error| json!({"error": error}), |series| shown(&series, None));
            return vec![json!({"expression": self.rule.rule.expression.to_string(), "series": value})];
        }
        let one = |(operator, left, right): &(BinaryOperator, &Expression, &Expression)| {
            let threshold = match right.value_type() {
                Type::Scalar => self.manager.backend().query(right, at_ms).ok(),
                Type::Vector | Type::Matrix | Type::String => None,
            };
            let threshold = threshold.and_then(|samples| samples.first().map(|sample| float(&sample.value)));
            let mut condition = json!({
                "expression": left.to_string(),
                "operator": operator.to_string(),
                "threshold": threshold.map_or_else(|| Value::from(right.to_string()), number),
            });
            match self.series(left, at_ms) {
                Err(error) => condition["error"] = error.into(),
                Ok(series) => condition["series"] = shown(&series, threshold.map(|threshold| (*operator, threshold))),
            }
            if threshold.is_none()
                && let Ok(series) = self.series(right, at_ms)
            {
                condition["against"] = shown(&series, None);
            }
            condition
        };
        comparisons.iter().map(one).collect()
    }

    fn series(&self, expression: &Expression, at_ms: i64) -> Result<Vec<Sample>, String> {
        let mut series = self.manager.backend().query(expression, at_ms)?;
        series.retain(|sample| self.fits(&sample.labels));
        Ok(series)
    }
}

fn number(value: f64) -> Value {
    if value.is_finite() { value.into() } else { maru_prom::number::format_float(value).into() }
}

#[expect(clippy::cast_precision_loss, reason = "lengths of time are below 2^53 ms")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// Says of series whether they fulfil a comparison.
fn shown(series: &[Sample], against: Option<(BinaryOperator, f64)>) -> Value {
    let one = |sample: &Sample| {
        let value = float(&sample.value);
        let mut shown = json!({"labels": label_map(&sample.labels), "value": number(value)});
        if let Some((operator, threshold)) = against {
            shown["holds"] = holds(operator, value, threshold).into();
        }
        shown
    };
    series.iter().take(SERIES_MAX).map(one).collect()
}

fn holds(operator: BinaryOperator, value: f64, threshold: f64) -> bool {
    #[expect(clippy::float_cmp, reason = "as the language compares")]
    match operator {
        BinaryOperator::Equal => value == threshold,
        BinaryOperator::NotEqual => value != threshold,
        BinaryOperator::Greater => value > threshold,
        BinaryOperator::GreaterOrEqual => value >= threshold,
        BinaryOperator::Less => value < threshold,
        BinaryOperator::LessOrEqual => value <= threshold,
        _ => false,
    }
}

/// Finds the comparisons that decide whether there is an alert: those joined by `and`, `or` and `unless`.
fn find_comparisons<'a>(expression: &'a Expression, found: &mut Vec<(BinaryOperator, &'a Expression, &'a Expression)>) {
    let Expression::Binary(binary) = expression.inner() else { return };
    match binary.operator {
        BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Unless => {
            find_comparisons(&binary.left, found);
            find_comparisons(&binary.right, found);
        }
        BinaryOperator::Equal
        | BinaryOperator::NotEqual
        | BinaryOperator::Greater
        | BinaryOperator::GreaterOrEqual
        | BinaryOperator::Less
        | BinaryOperator::LessOrEqual => found.push((binary.operator, &binary.left, &binary.right)),
        _ => {}
    }
}

/// Says which condition keeps a rule from making an alert.
fn missing_reasons(conditions: &[Value]) -> Vec<Value> {
    let mut reasons = Vec::new();
    for condition in conditions {
        let expression = condition["expression"].as_str().unwrap_or_default();
        let Some(series) = condition["series"].as_array() else { continue };
        if series.is_empty() {
            reasons.push(text(
                format!("no series: {expression} has no value for these labels"),
                format!("시계열 없음: {expression}에 해당 레이블의 값이 없습니다"),
            ));
            continue;
        }
        for one in series.iter().filter(|one| one["holds"] == false).take(5) {
            let value = one["value"].as_f64().map_or_else(|| one["value"].to_string(), humanize);
            let (operator, threshold) = (condition["operator"].as_str().unwrap_or_default(), &condition["threshold"]);
            reasons.push(text(
                format!("{expression} is {value}, which is not {operator} {threshold}: {}", one["labels"]),
                format!(
                    "{expression} 값은 {value}(으)로 {operator} {threshold} 조건에 맞지 않습니다: {}",
                    one["labels"]
                ),
            ));
        }
    }
    reasons
}
