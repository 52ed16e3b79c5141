//! Measured numbers in the place of estimates.
//!
//! A measurement counts where a requirement's verdict counts on it: valid, and about what runs. It is about the option that
//! runs now. Of a service that waits for others, what was measured is the whole request: then the service's own number
//! becomes what the measurement leaves beside the others' numbers, when that is worse than what was thought. It is never
//! made better by that: a sum says little about its parts.

use std::collections::BTreeMap;

use jiff::Timestamp;
use maru_api::{
    ArchitectureSpec, Criterion, Digest, EvidenceSpec, Measured, MeasuredNumber, Origin, Outcome, Rate, Ratio,
    RequirementSpec, RequirementStatus, ServiceOption, Span,
};
use maru_evidence::EvidenceKind;

use super::availability::unavailability_nano;
use super::bounds::{NANO, decimal_percent, latency_nanos, quantile_tail};
use super::calls::{Calls, Follow};

/// How many copies of a component run in an environment.
pub type Copies = BTreeMap<(String, String), u32>;

/// What a verdict counts on.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The requirement.
    pub requirement: String,
    /// The envelope.
    pub evidence: Digest,
    /// Whether it is a window of an objective: of two measurements of one number that one counts.
    pub is_slo: bool,
    /// Where it was measured.
    pub environment: Option<String>,
    /// When.
    pub until: Timestamp,
    /// What the requirement's check came to.
    pub outcome: Outcome,
    /// What was measured.
    pub result: Measured,
}

/// Returns what the verdicts of requirements count on, of load and of objectives.
#[must_use]
pub fn readings<'a>(
    statuses: impl IntoIterator<Item = (&'a str, &'a RequirementStatus)>,
    evidence: impl Fn(Digest) -> Option<EvidenceSpec>,
) -> Vec<Reading> {
    let mut found = Vec::new();
    for (name, status) in statuses {
        for check in status.checks.iter().filter(|check| check.outcome != Outcome::Insufficient) {
            let Some(spec) = check.evidence.and_then(&evidence) else { continue };
            let kind = EvidenceKind::of_predicate(&spec.predicate_type);
            if !matches!(kind, Some(EvidenceKind::SloWindow | EvidenceKind::Load)) {
                continue;
            }
            found.push(Reading {
                requirement: name.to_owned(),
                evidence: spec.envelope,
                is_slo: kind == Some(EvidenceKind::SloWindow),
                environment: spec.environment,
                until: spec.window.to,
                outcome: check.outcome,
                result: spec.result,
            });
        }
    }
    found
}

/// What one measurement comes to.
enum Told {
    /// The number that was measured, and what stood there.
    Number { number: String, value: String, estimate: Option<String> },
    /// Why it was not used.
    Unused(String),
    /// It tells nothing new.
    Nothing,
}

/// Puts measurements into an architecture; returns what was done with each.
pub(super) fn apply(
    architecture: &mut ArchitectureSpec,
    requirements: &[(String, RequirementSpec)],
    readings: &[Reading],
    copies: &Copies,
) -> Vec<MeasuredNumber> {
    let mut order: Vec<(usize, &Reading, &RequirementSpec, usize)> = Vec::new();
    {
        let Ok(calls) = Calls::new(architecture) else { return Vec::new() };
        for reading in readings {
            let Some((_, spec)) = requirements.iter().find(|(name, _)| *name == reading.requirement) else { continue };
            let Some(place) = spec.criterion.as_ref().and_then(|criterion| entry(&calls, spec, criterion)) else {
                continue;
            };
            let Ok(visits) = calls.visits(place, Follow::Needed) else { continue };
            order.push((visits.len(), reading, spec, place));
        }
    }
    // Those that need few others come first: the others' numbers are then measured already. The last one counts.
    order.sort_by(|a, b| {
        let key = |one: &(usize, &Reading, &RequirementSpec, usize)| {
            (one.0, one.1.is_slo, one.1.until, one.1.requirement.clone(), one.1.evidence)
        };
        key(a).cmp(&key(b))
    });
    let mut told: BTreeMap<(String, String), MeasuredNumber> = BTreeMap::new();
    for (_, reading, spec, place) in order {
        let service = architecture.services[place].name.clone();
        let running = running(architecture, place, reading, copies);
        let (option, found) = match running {
            Ok(at) => {
                let found = put(architecture, place, at, reading, spec, copies);
                (architecture.services[place].options[at].name.clone(), found)
            }
            Err(why) => (String::new(), Told::Unused(why)),
        };
        let (number, value, estimate, evidence) = match found {
            Told::Number { number, value, estimate } => {
                if let Some(option) = architecture.services[place].options.iter_mut().find(|one| one.name == option) {
                    option.from = Origin::Measured;
                    option.evidence = Some(reading.evidence);
                }
                (number, value, estimate, Some(reading.evidence))
            }
            Told::Unused(why) => {
                let what = spec.criterion.as_ref().map_or("", Criterion::indicator);
                (what.to_owned(), why, None, None)
            }
            Told::Nothing => continue,
        };
        let key = (service.clone(), number.clone());
        // The estimate is what the person wrote, also where a second measurement took the place of a first.
        let estimate = told.get(&key).and_then(|before| before.estimate.clone()).or(estimate);
        let requirement = reading.requirement.clone();
        told.insert(key, MeasuredNumber { service, option, number, value, estimate, requirement, evidence });
    }
    told.into_values().collect()
}

fn entry(calls: &Calls<'_>, spec: &RequirementSpec, criterion: &Criterion) -> Option<usize> {
    let of = criterion.of()?;
    let named = of.service.as_deref().or(of.component.as_deref());
    match (named, spec.allocated_to.as_slice()) {
        (Some(name), _) => calls.place(name),
        (None, [only]) => calls.place(only),
        (None, _) => None,
    }
}

/// Returns the place of the option that runs.
fn running(architecture: &ArchitectureSpec, place: usize, reading: &Reading, copies: &Copies) -> Result<usize, String> {
    let service = &architecture.services[place];
    if let Some(runs) = &service.runs {
        let at = service.options.iter().position(|option| option.name == *runs);
        return at
            .ok_or_else(|| format!("not used: \"{}\" runs \"{runs}\", which is none of its options", service.name));
    }
    if service.options.len() == 1 {
        return Ok(0);
    }
    let environment = reading.environment.clone().unwrap_or_default();
    let count = copies.get(&(environment, service.name.clone())).copied();
    let fits = |option: &ServiceOption| count.is_some() && option.replicas == count;
    let mut fitting = service.options.iter().enumerate().filter(|(_, option)| fits(option));
    match (fitting.next(), fitting.next()) {
        (Some((at, _)), None) => Ok(at),
        _ => Err(format!("not used: which option of \"{}\" runs is not known; write it into its runs", service.name)),
    }
}

fn put(
    architecture: &mut ArchitectureSpec,
    place: usize,
    at: usize,
    reading: &Reading,
    spec: &RequirementSpec,
    copies: &Copies,
) -> Told {
    let result = &reading.result;
    match &spec.criterion {
        Some(Criterion::Latency { quantile, .. }) => {
            let tail = quantile.complement().as_nano();
            match latency_of(result, *quantile, reading.outcome) {
                Some(latency) => put_latency(architecture, place, at, tail, latency, (reading, copies)),
                None => Told::Unused("not used: the measurement says nothing about this quantile".to_owned()),
            }
        }
        Some(Criterion::Availability { .. }) => match (result.unit.as_str(), result.low) {
            ("ratio", Some(low)) => put_availability(architecture, place, at, down_nano(low), (reading, copies)),
            _ => Told::Unused("not used: the measurement has no ratio with an interval".to_owned()),
        },
        Some(Criterion::Throughput { .. }) => put_capacity(&mut architecture.services[place].options[at], reading),
        _ => Told::Nothing,
    }
}

/// What is known of a quantile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Latency {
    /// It is at most this, and near to it.
    Near(u64),
    /// It is at most this, and may be much less.
    Within(u64),
    /// It is later than what was asked; nobody knows how late.
    Later,
}

/// Returns what a measurement says about a quantile, with its confidence.
fn latency_of(result: &Measured, quantile: Ratio, outcome: Outcome) -> Option<Latency> {
    let share = quantile.as_f64();
    match (result.unit.as_str(), result.threshold) {
        ("ratio", Some(threshold)) => match (result.low, result.high) {
            (Some(low), _) if low >= share => Some(Latency::Within(nanos_up(threshold))),
            (_, Some(high)) if high < share => Some(Latency::Later),
            _ => None,
        },
        ("seconds", _) if result.quantile.is_none_or(|measured| (measured - share).abs() < 1e-9) => match result.high {
            Some(high) => Some(Latency::Near(nanos_up(high))),
            None => (outcome == Outcome::Violated).then_some(Latency::Later),
        },
        _ => None,
    }
}

fn put_latency(
    architecture: &mut ArchitectureSpec,
    place: usize,
    at: usize,
    tail: u64,
    measured: Latency,
    (reading, copies): (&Reading, &Copies),
) -> Told {
    let (hops, others) = {
        let Ok(calls) = Calls::new(architecture) else { return Told::Nothing };
        let Ok(visits) = calls.visits(place, Follow::Waiting) else { return Told::Nothing };
        let hops: u64 = visits.values().sum::<u64>().max(1);
        let mut others = 0_u64;
        for (other, times) in visits.iter().filter(|(other, _)| **other != place) {
            let running = running(architecture, *other, reading, copies);
            let latency = running.map(|at| latency_nanos(&architecture.services[*other].options[at], tail, hops));
            match latency {
                Ok(Some(latency)) => others = others.saturating_add(latency.saturating_mul(*times)),
                Ok(None) | Err(_) => {
                    let name = &architecture.services[*other].name;
                    return Told::Unused(format!(
                        "not used: the number of \"{name}\", which it waits for, is not known"
                    ));
                }
            }
        }
        (hops, others)
    };
    let option = &mut architecture.services[place].options[at];
    let before = latency_nanos(option, tail, hops);
    let (own, may_raise) = match measured {
        Latency::Near(nanos) => (nanos.saturating_sub(others), true),
        Latency::Within(nanos) => (nanos.saturating_sub(others), false),
        Latency::Later => (u64::MAX, true),
    };
    let tells = match before {
        Some(before) => {
            if own > before {
                may_raise
            } else {
                hops == 1 && own < before
            }
        }
        None => hops == 1,
    };
    if !tells {
        return Told::Nothing;
    }
    let quantile = format!("p{}", decimal_percent(NANO - tail / hops));
    let share = tail / hops;
    // What was thought of this quantile and of higher ones cannot be less; of an unknown time nothing is left.
    option.latency.retain(|name, span| match quantile_tail(name) {
        Some(other) if other == share => false,
        Some(other) if other < share => span.as_nanos() > own,
        _ => true,
    });
    option.latency.insert(quantile.clone(), Span::from_nanos(own));
    let value = if own == u64::MAX { "later than was asked".to_owned() } else { Span::from_nanos(own).to_string() };
    let estimate = before.map(|before| Span::from_nanos(before).to_string());
    Told::Number { number: format!("latency {quantile}"), value, estimate }
}

fn put_availability(
    architecture: &mut ArchitectureSpec,
    place: usize,
    at: usize,
    down: u64,
    (reading, copies): (&Reading, &Copies),
) -> Told {
    let (needed, others) = {
        let Ok(calls) = Calls::new(architecture) else { return Told::Nothing };
        let Ok(visits) = calls.visits(place, Follow::Needed) else { return Told::Nothing };
        let mut others = 0_u64;
        for other in visits.keys().filter(|other| **other != place) {
            let running = running(architecture, *other, reading, copies);
            match running.map(|at| unavailability_nano(&architecture.services[*other].options[at])) {
                Ok(Some(down)) => others = others.saturating_add(down),
                Ok(None) | Err(_) => {
                    let name = &architecture.services[*other].name;
                    return Told::Unused(format!(
                        "not used: the availability of \"{name}\", which it needs, is not known"
                    ));
                }
            }
        }
        (visits.len(), others)
    };
    let option = &mut architecture.services[place].options[at];
    let before = unavailability_nano(option);
    let own = down.saturating_sub(others);
    if needed > 1 && before.is_some_and(|before| own <= before) {
        return Told::Nothing;
    }
    // What was measured is the availability of all copies together.
    option.replicas = None;
    option.needed = None;
    option.common_cause = None;
    option.availability = Some(Ratio::from_nano(NANO - own.min(NANO)));
    let percent = |down: u64| format!("{}%", decimal_percent(NANO - down.min(NANO)));
    Told::Number { number: "availability".to_owned(), value: percent(own), estimate: before.map(percent) }
}

/// A load that was carried can be carried; one that was not cannot.
fn put_capacity(option: &mut ServiceOption, reading: &Reading) -> Told {
    let result = &reading.result;
    let measured = match (result.unit.as_str(), reading.outcome) {
        ("perSecond", Outcome::Met) => result.low.map(f64::floor),
        ("perSecond", Outcome::Violated) => result.high.map(f64::floor),
        _ => None,
    };
    let Some(measured) = measured.filter(|value| value.is_finite() && *value >= 0.0) else {
        return Told::Unused("not used: the measurement has no rate with an interval".to_owned());
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate from 0, cut at 2^53")]
    let measured = Rate::per_second(measured.min(9e15) as u64);
    let before = option.capacity;
    let tells = before.is_none_or(|before| match reading.outcome {
        Outcome::Met => measured.as_micro_per_second() > before.as_micro_per_second(),
        Outcome::Violated | Outcome::Insufficient => measured.as_micro_per_second() < before.as_micro_per_second(),
    });
    if !tells {
        return Told::Nothing;
    }
    option.capacity = Some(measured);
    Told::Number {
        number: "capacity".to_owned(),
        value: measured.to_string(),
        estimate: before.map(|rate| rate.to_string()),
    }
}

/// Seconds in nanoseconds, rounded up.
fn nanos_up(seconds: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
    let nanos = (seconds * 1e9 - 1e-3).ceil().clamp(0.0, 9e18) as u64;
    nanos
}

/// The share that is not up, in billionths, rounded up.
fn down_nano(up: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a share")]
    let down = ((1.0 - up) * 1e9 - 1e-6).ceil().clamp(0.0, 1e9) as u64;
    down
}
