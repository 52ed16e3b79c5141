//! Objectives that nobody wrote: a requirement names one in `verify`, and its criterion says all that it needs.

use std::collections::BTreeMap;

use maru_api::{Criterion, Means, RequirementSpec};
use maru_requirements::Span;
use serde_json::{Value, json};

/// The objective that a requirement asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) environment: Option<String>,
    pub(crate) spec: Value,
}

/// Returns the objectives that a requirement names and whose measurement follows from what the gateway counts.
///
/// `namespaces` tells where each environment is. A route of a service is not told apart by the gateway's counters, so that a
/// criterion about one gives nothing: a person writes that objective.
pub(crate) fn wanted(requirement: &RequirementSpec, namespaces: &BTreeMap<String, String>) -> Vec<Wanted> {
    let Some(criterion) = &requirement.criterion else { return Vec::new() };
    requirement
        .verify
        .iter()
        .filter_map(|check| {
            let Means::Slo(name) = &check.by else { return None };
            let environment = check.environment.clone()?;
            let spec = spec(criterion, namespaces.get(&environment)?)?;
            Some(Wanted { name: name.clone(), environment: Some(environment), spec })
        })
        .collect()
}

fn spec(criterion: &Criterion, namespace: &str) -> Option<Value> {
    let (of, window) = match criterion {
        Criterion::Latency { of, window, .. }
        | Criterion::Availability { of, window, .. }
        | Criterion::ErrorRatio { of, window, .. } => (of, window),
        _ => return None,
    };
    let service = of.service.as_ref().filter(|_| of.route.is_none() && of.component.is_none())?;
    let selector = format!("service=~\"{}/{}:.*\"", regex_text(namespace), regex_text(service));
    let source = |query: String| json!({"metricSource": {"type": "Prometheus", "spec": {"query": query}}});
    let requests = |more: &str| source(format!("maru_gateway_requests_total{{{selector}{more}}}"));
    let answered = json!({"ratioMetric": {"counter": true, "good": requests(",code!~\"5..\""), "total": requests("")}});
    let (indicator, objective) = match criterion {
        Criterion::Latency { quantile, at_most, .. } => {
            let buckets = source(format!("maru_gateway_request_duration_seconds_bucket{{{selector}}}"));
            let value = at_most.as_secs_f64();
            (json!({"thresholdMetric": buckets}), json!({"target": quantile.as_f64(), "op": "lte", "value": value}))
        }
        Criterion::Availability { at_least, .. } => (answered, json!({"target": at_least.as_f64()})),
        Criterion::ErrorRatio { at_most, .. } => (answered, json!({"target": at_most.complement().as_f64()})),
        _ => return None,
    };
    Some(json!({
        "service": service,
        "indicator": {"spec": indicator},
        "timeWindow": [{"duration": duration(window.as_ref())?, "isRolling": true}],
        "budgetingMethod": "Occurrences",
        "objectives": [objective],
    }))
}

/// Writes a window in OpenSLO's units; without one, the customary four weeks.
fn duration(window: Option<&Span>) -> Option<String> {
    let Some(window) = window else { return Some("28d".to_owned()) };
    let seconds = window.to_std().as_secs();
    let whole = |unit: u64| (seconds >= unit && seconds.is_multiple_of(unit)).then(|| seconds / unit);
    let text = whole(86_400).map(|days| format!("{days}d"));
    text.or_else(|| whole(3600).map(|hours| format!("{hours}h")))
}

fn regex_text(name: &str) -> String {
    // Names of services and namespaces have letters, digits, hyphens and dots.
    name.replace('.', "[.]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requirement(criterion: &Value) -> RequirementSpec {
        serde_json::from_value(json!({
            "title": "t", "statement": "s", "priority": "must", "source": {"document": "d"},
            "criterion": criterion, "verify": [{"slo": "answered", "in": "prod"}],
        }))
        .unwrap()
    }

    fn of(criterion: &Value) -> Vec<Wanted> {
        let namespaces = BTreeMap::from([("prod".to_owned(), "shop-prod".to_owned())]);
        wanted(&requirement(criterion), &namespaces)
    }

    #[test]
    fn availability_and_latency_become_objectives_that_openslo_accepts() {
        for criterion in [
            json!({"indicator": "availability", "of": {"service": "a"}, "atLeast": "99.9%", "window": "30d"}),
            json!({"indicator": "latency", "of": {"service": "a"}, "quantile": 0.999, "atMost": "100ms", "window": "1d"}),
            json!({"indicator": "errorRatio", "of": {"service": "a"}, "atMost": "1%", "window": "6h"}),
        ] {
            let found = of(&criterion);
            assert_eq!((found.len(), found[0].name.as_str()), (1, "answered"), "{criterion}");
            let objective = maru_monitoring::openslo::read_spec(&found[0].spec).unwrap();
            let names = maru_monitoring::openslo::Names { namespace: "n".into(), name: "a".into(), bounds: vec![] };
            maru_monitoring::openslo::compile(&objective, &names).unwrap();
        }
    }

    #[test]
    fn a_route_is_not_told_apart_and_gives_nothing() {
        let route = json!({"indicator": "latency", "of": {"service": "a", "route": "POST /x"}, "quantile": 0.999,
            "atMost": "100ms"});
        assert!(of(&route).is_empty());
        assert!(of(&json!({"indicator": "recoveryTime", "of": {"service": "a"}, "atMost": "1h"})).is_empty());
    }
}
