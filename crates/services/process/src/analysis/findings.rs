//! What is wrong with an architecture itself, before anything is added up.

use std::collections::{BTreeMap, BTreeSet};

use maru_api::{ArchitectureFinding, ArchitectureSpec, LocalText, Service};

use super::bounds::quantile_tail;

/// So many names are told in one message.
const NAMES_MAX: usize = 8;

/// Looks for what is wrong with an architecture; in the order of its services.
#[must_use]
pub fn findings(architecture: &ArchitectureSpec) -> Vec<ArchitectureFinding> {
    let mut found = Vec::new();
    names(architecture, &mut found);
    databases(architecture, &mut found);
    for service in &architecture.services {
        calls(architecture, service, &mut found);
        options(service, &mut found);
    }
    circles(architecture, &mut found);
    found
}

fn finding<'a>(
    rule: &str,
    is_error: bool,
    services: impl IntoIterator<Item = &'a str>,
    message: (String, String),
    fix: (&str, &str),
) -> ArchitectureFinding {
    ArchitectureFinding {
        rule: rule.to_owned(),
        severity: if is_error { "error" } else { "warning" }.to_owned(),
        services: services.into_iter().map(str::to_owned).collect(),
        message: LocalText::both(message.0, message.1),
        fix: LocalText::both(fix.0.to_owned(), fix.1.to_owned()),
    }
}

/// Names in quotes; of many the first.
fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let more = if names.len() > NAMES_MAX { ", …" } else { "" };
    let shown: Vec<String> = names.iter().take(NAMES_MAX).map(|name| format!("\"{name}\"")).collect();
    format!("{}{more}", shown.join(", "))
}

fn names(architecture: &ArchitectureSpec, found: &mut Vec<ArchitectureFinding>) {
    let mut seen = BTreeSet::new();
    let contexts: BTreeSet<&str> = architecture.contexts.iter().map(|context| context.name.as_str()).collect();
    for service in &architecture.services {
        let name = service.name.as_str();
        if !seen.insert(name) {
            found.push(finding(
                "same-name",
                true,
                [name],
                (format!("서비스 \"{name}\"이(가) 두 번 있다"), format!("two services are named \"{name}\"")),
                ("하나의 이름을 바꾼다", "rename one of them"),
            ));
        }
        if let Some(context) = service.context.as_deref()
            && !contexts.contains(context)
        {
            found.push(finding(
                "unknown-context",
                false,
                [name],
                (
                    format!("서비스 \"{name}\"의 컨텍스트 \"{context}\"이(가) 없다"),
                    format!("service \"{name}\" is of the context \"{context}\", which is not listed"),
                ),
                ("contexts에 추가하거나 이름을 고친다", "add it to contexts, or mend its name"),
            ));
        }
    }
}

fn databases(architecture: &ArchitectureSpec, found: &mut Vec<ArchitectureFinding>) {
    let mut owners: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for service in &architecture.services {
        if let Some(database) = service.database.as_deref() {
            owners.entry(database).or_default().push(&service.name);
        }
    }
    for (database, services) in owners.into_iter().filter(|(_, services)| services.len() > 1) {
        let names = quoted(services.iter().copied());
        found.push(finding(
            "shared-database",
            false,
            services,
            (
                format!("서비스 {names}이(가) 데이터베이스 \"{database}\"을(를) 함께 쓴다"),
                format!("the services {names} use one database, \"{database}\""),
            ),
            (
                "한 서비스만 소유하게 하고 다른 서비스는 호출하게 한다",
                "let one of them own it, and the others call that one",
            ),
        ));
    }
}

fn calls(architecture: &ArchitectureSpec, service: &Service, found: &mut Vec<ArchitectureFinding>) {
    let name = service.name.as_str();
    for call in &service.calls {
        let to = call.to.as_str();
        if !architecture.services.iter().any(|other| other.name == to) {
            found.push(finding(
                "unknown-service",
                true,
                [name],
                (
                    format!("서비스 \"{name}\"이(가) 없는 서비스 \"{to}\"을(를) 호출한다"),
                    format!("service \"{name}\" calls \"{to}\", which the architecture does not have"),
                ),
                ("그 서비스를 추가하거나 호출을 지운다", "add that service, or remove the call"),
            ));
        }
        if !matches!(call.per.as_str(), "" | "request" | "event") {
            found.push(finding(
                "unknown-call",
                false,
                [name],
                (
                    format!("\"{name}\"에서 \"{to}\"(으)로 가는 호출의 per \"{}\"은(는) 뜻이 없다", call.per),
                    format!("the call from \"{name}\" to \"{to}\" is per \"{}\", which means nothing", call.per),
                ),
                ("request 또는 event라고 쓴다", "write request or event"),
            ));
        }
    }
}

fn options(service: &Service, found: &mut Vec<ArchitectureFinding>) {
    let name = service.name.as_str();
    if service.options.is_empty() {
        found.push(finding(
            "no-options",
            false,
            [name],
            (
                format!("서비스 \"{name}\"에 선택지가 없다: 비용도 성능도 더해지지 않는다"),
                format!("service \"{name}\" has no options: it adds neither cost nor latency"),
            ),
            ("options에 하나 이상 쓴다", "write at least one into options"),
        ));
    }
    let mut seen = BTreeSet::new();
    for option in &service.options {
        let called = option.name.as_str();
        if !seen.insert(called) {
            found.push(finding(
                "same-name",
                true,
                [name],
                (
                    format!("\"{name}\"의 선택지 \"{called}\"이(가) 두 번 있다"),
                    format!("two options of \"{name}\" are named \"{called}\""),
                ),
                ("하나의 이름을 바꾼다", "rename one of them"),
            ));
        }
        for quantile in option.latency.keys().filter(|quantile| quantile_tail(quantile).is_none()) {
            found.push(finding(
                "unknown-quantile",
                true,
                [name],
                (
                    format!("\"{name}\"의 선택지 \"{called}\"에서 \"{quantile}\"은(는) 백분위가 아니다"),
                    format!("\"{quantile}\" of option \"{called}\" of \"{name}\" is no quantile"),
                ),
                ("p99, p999, p99.95처럼 쓴다", "write it like p99, p999 or p99.95"),
            ));
        }
        if let (Some(needed), Some(copies)) = (option.needed, option.replicas)
            && needed > copies
        {
            found.push(finding(
                "too-few-copies",
                true,
                [name],
                (
                    format!("\"{name}\"의 선택지 \"{called}\"은(는) {needed}개가 필요한데 {copies}개뿐이다"),
                    format!("option \"{called}\" of \"{name}\" needs {needed} copies and has {copies}"),
                ),
                ("replicas를 늘리거나 needed를 줄인다", "raise replicas, or lower needed"),
            ));
        }
    }
    if let Some(runs) = service.runs.as_deref()
        && !seen.contains(runs)
    {
        found.push(finding(
            "unknown-option",
            true,
            [name],
            (
                format!("\"{name}\"의 runs \"{runs}\"은(는) 선택지에 없다"),
                format!("\"{name}\" runs \"{runs}\", which is none of its options"),
            ),
            ("선택지의 이름을 쓴다", "write the name of an option"),
        ));
    }
}

/// Circles of critical calls, each once.
fn circles(architecture: &ArchitectureSpec, found: &mut Vec<ArchitectureFinding>) {
    let mut callees: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for service in &architecture.services {
        let critical = service.calls.iter().filter(|call| call.critical).map(|call| call.to.as_str());
        callees.entry(&service.name).or_default().extend(critical);
    }
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in callees.keys().copied().collect::<Vec<_>>() {
        // The way that is open, with how many callees of each were followed.
        let mut way: Vec<(&str, usize)> = Vec::new();
        if !done.contains(start) {
            way.push((start, 0));
        }
        while let Some((service, followed)) = way.last_mut() {
            let next = callees.get(service).and_then(|callees| callees.get(*followed)).copied();
            *followed += 1;
            let Some(next) = next else {
                done.insert(service);
                way.pop();
                continue;
            };
            if let Some(begin) = way.iter().position(|(open, _)| *open == next) {
                let circle: Vec<&str> = way[begin..].iter().map(|(service, _)| *service).collect();
                let path = format!("{} → {next}", circle.join(" → "));
                found.push(finding(
                    "cycle",
                    true,
                    circle,
                    (
                        format!("꼭 필요한 호출이 돌고 돈다: {path}"),
                        format!("critical calls go round in a circle: {path}"),
                    ),
                    ("하나를 critical: false로 하거나 이벤트로 바꾼다", "make one of them not critical, or an event"),
                ));
            } else if !done.contains(next) && callees.contains_key(next) {
                way.push((next, 0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_architecture_is_told_what_is_wrong_with_it() {
        let call = |to: &str| json!([{"to": to, "per": "request", "critical": true}]);
        let option = json!([{"name": "one", "replicas": 1, "needed": 2, "latency": {"p9x": "1ms"}}, {"name": "one"}]);
        let spec: ArchitectureSpec = serde_json::from_value(json!({"services": [
            {"name": "a", "database": "db", "calls": call("b"), "context": "x"},
            {"name": "b", "database": "db", "calls": call("c"), "options": option, "runs": "two"},
            {"name": "c", "calls": call("a"), "options": [{"name": "one"}]},
            {"name": "d", "calls": [{"to": "nobody", "per": "day"}], "options": [{"name": "one"}]},
            {"name": "d", "options": [{"name": "one"}]},
        ]}))
        .unwrap();
        let found = findings(&spec);
        let rules: Vec<&str> = found.iter().map(|one| one.rule.as_str()).collect();
        let expected = [
            "unknown-context",
            "same-name",
            "shared-database",
            "no-options",
            "unknown-quantile",
            "too-few-copies",
            "same-name",
            "unknown-option",
            "unknown-service",
            "unknown-call",
            "cycle",
        ];
        for rule in expected {
            assert!(rules.contains(&rule), "{rule}: {rules:?}");
        }
        assert_eq!(rules.iter().filter(|rule| **rule == "cycle").count(), 1);
        let cycle = found.iter().find(|one| one.rule == "cycle").unwrap();
        assert_eq!(cycle.message.get(maru_api::Language::En), "critical calls go round in a circle: a → b → c → a");
    }

    #[test]
    fn a_sound_architecture_has_no_findings_and_circles_of_events_are_none() {
        let spec: ArchitectureSpec = serde_json::from_value(json!({"services": [
            {"name": "a", "calls": [{"to": "b", "per": "request", "critical": true}], "options": [{"name": "one"}]},
            {"name": "b", "calls": [{"to": "a", "per": "event"}], "options": [{"name": "one"}]},
        ]}))
        .unwrap();
        assert_eq!(findings(&spec), []);
    }
}
