//! Rules about the criterion, and whether it says what the statement says.

use serde_json::{Map, Value};

use super::{Finding, Hit, finding, hit};
use crate::item::Item;
use crate::numbers::{Found, Quantity, find};
use crate::quantity::{Rate, Ratio, Span};
use crate::text::{LocalText, saying_particle};

/// What the criterion lacks.
pub(crate) fn gaps(item: &Item, findings: &mut Vec<Finding>) {
    for gap in &item.gaps {
        let field = format!("criterion.{}", gap.field);
        let (rule, ko, en) = match (gap.unit, gap.field) {
            (true, _) => ("missing-unit", format!("{field}에 단위가 없다"), format!("{field} has no unit")),
            (false, "quantile") => (
                "missing-percentile",
                "지연 시간의 판단 기준에 백분위가 없다".to_owned(),
                "the criterion of a latency has no quantile".to_owned(),
            ),
            (false, _) => ("missing-bound", format!("{field}가 없다"), format!("{field} is missing")),
        };
        let fix = LocalText::both(format!("{}처럼 쓴다", gap.fix), format!("write it like {}", gap.fix));
        findings.push(finding(rule, item, item.place_of(&field), String::new(), LocalText::both(ko, en), fix));
    }
    let Some(criterion) = &item.criterion else { return };
    let indicator = item.indicator().unwrap_or_default();
    let lacks = |field: &str| !criterion.contains_key(field);
    let place = item.place_of("criterion");
    if matches!(indicator, "latency" | "availability" | "errorRatio") && lacks("window") {
        findings.push(finding(
            "missing-window",
            item,
            place.clone(),
            String::new(),
            LocalText::both("판단 기준에 기간이 없다", "the criterion does not say over which time it is judged"),
            LocalText::both("window: 1d처럼 쓴다", "write it like window: 1d"),
        ));
    }
    if indicator == "latency" && lacks("atLoad") {
        findings.push(finding(
            "missing-load",
            item,
            place,
            String::new(),
            LocalText::both("판단 기준에 부하가 없다", "the criterion does not say under which load"),
            LocalText::both("atLoad: 50/s처럼 쓴다", "write it like atLoad: 50/s"),
        ));
    }
}

/// What is said of a statement and a criterion that disagree.
fn disagreement(phrase: &str, name: &str, value: &str) -> (String, String) {
    let (says, asks) = (saying_particle(phrase), saying_particle(value));
    (
        format!("문장은 \"{phrase}\"{says} 하고 criterion.{name}은(는) \"{value}\"{asks} 한다"),
        format!("the statement says \"{phrase}\", criterion.{name} says \"{value}\""),
    )
}

/// Numbers of the statement that are not those of the criterion.
pub(crate) fn mismatches(text: &str, criterion: &Map<String, Value>) -> Vec<Hit> {
    let found = find(text);
    let mut hits = Vec::new();
    let field = |name: &str| criterion.get(name);
    let text_of = |name: &str| field(name).and_then(Value::as_str);
    let nanos = |name: &str| Some(u128::from(text_of(name)?.parse::<Span>().ok()?.as_nanos()));
    let per_day = |name: &str| Some(text_of(name)?.parse::<Rate>().ok()?.as_nano_per_day());
    let share = |name: &str| field(name).and_then(billionths);
    let written = |name: &str| field(name).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let mut compare = |name: &str, wanted: Option<u128>, among: Vec<(&Found, u128)>| {
        let Some(wanted) = wanted else { return };
        let agrees = among.iter().any(|(_, value)| *value == wanted);
        if let (false, Some((first, _))) = (agrees, among.first()) {
            let phrase = text.get(first.start..first.end).unwrap_or_default();
            let value = written(name).unwrap_or_default();
            hits.push(hit(
                "criterion-mismatch",
                first.start,
                first.end,
                disagreement(phrase, name, &value),
                ("둘 중 하나를 고친다", "correct one of the two"),
            ));
        }
    };
    let window = nanos("window");
    let times = |bound: bool| -> Vec<(&Found, u128)> {
        let time = |one: &Found| match one.quantity {
            Quantity::Time(nanos) if one.bound == bound => Some(nanos),
            _ => None,
        };
        found.iter().filter_map(|one| Some((one, time(one)?))).collect()
    };
    let shares: Vec<(&Found, u128)> = found
        .iter()
        .filter_map(|one| match one.quantity {
            Quantity::Share(nano) => Some((one, nano)),
            _ => None,
        })
        .collect();
    let rate = |one: &Found| match one.quantity {
        Quantity::Rate(rate) => Some(rate),
        _ => None,
    };
    let rates: Vec<(&Found, u128)> = found.iter().filter_map(|one| Some((one, rate(one)?))).collect();
    match criterion.get("indicator").and_then(Value::as_str).unwrap_or_default() {
        "latency" => {
            compare("atMost", nanos("atMost"), times(true));
            compare("quantile", share("quantile"), shares);
            compare("atLoad", per_day("atLoad"), rates);
        }
        "recoveryPoint" | "recoveryTime" => compare("atMost", nanos("atMost"), times(true)),
        "availability" => compare("atLeast", share("atLeast"), shares),
        "errorRatio" => {
            // "99.9 % succeed" and "0.1 % fail" say the same.
            let wanted = share("atMost");
            let other = wanted.map(|wanted| 1_000_000_000_u128.saturating_sub(wanted));
            if !shares.iter().any(|(_, value)| Some(*value) == other) {
                compare("atMost", wanted, shares);
            }
            compare("atLoad", per_day("atLoad"), rates);
        }
        "throughput" => compare("atLeast", per_day("atLeast"), rates),
        "capacity" | "cost" => {
            let bound = if criterion.contains_key("atLeast") { "atLeast" } else { "atMost" };
            let digits = field(bound).and_then(Value::as_str).and_then(leading);
            let counts = found.iter().filter_map(|one| match &one.quantity {
                Quantity::Count(nano, _) if one.bound => Some((one, *nano)),
                _ => None,
            });
            compare(bound, digits, counts.collect());
        }
        _ => {}
    }
    // Months have no one length; only windows that are written in days or less are compared.
    let spans: Vec<(&Found, u128)> = times(false).into_iter().filter(|(one, _)| !is_month(text, one)).collect();
    if !spans.is_empty() && window.is_some() && is_window_word(text, &spans) {
        compare("window", window, spans);
    }
    hits
}

fn is_month(text: &str, found: &Found) -> bool {
    let phrase = text.get(found.start..found.end).unwrap_or_default();
    ["month", "year", "개월", "달", "년", "quarter"].iter().any(|unit| phrase.contains(unit))
}

/// Only a time that stands as a window is one: "over 30 days", "30일 동안".
fn is_window_word(text: &str, spans: &[(&Found, u128)]) -> bool {
    spans.first().is_some_and(|(first, _)| {
        let before = text.get(..first.start).unwrap_or_default().trim_end().to_lowercase();
        let after = text.get(first.end..).unwrap_or_default().trim_start();
        ["over", "over any", "per", "in any", "window of", "every", "each", "rolling"]
            .iter()
            .any(|word| before.ends_with(word))
            || ["동안", "간", "기준", "단위", "window"].iter().any(|word| after.starts_with(word))
    })
}

fn leading(text: &str) -> Option<u128> {
    find(text).into_iter().find_map(|found| match found.quantity {
        Quantity::Count(nano, _) | Quantity::Bare(nano) | Quantity::Rate(nano) => Some(nano),
        Quantity::Time(_) | Quantity::Share(_) => None,
    })
}

fn billionths(share: &Value) -> Option<u128> {
    let ratio: Ratio = serde_json::from_value(share.clone()).ok()?;
    Some(u128::from(ratio.as_nano()))
}
