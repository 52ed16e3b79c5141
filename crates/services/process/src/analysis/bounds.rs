//! From services, calls and criteria to choices and bounds.
//!
//! Tail latency: a request that visits services n times is late only if one visit is later than its quantile; with
//! quantiles at 1 − ε/n the chance of that is at most ε (Boole), whether or not the visits depend on each other.
//! Availability: a request fails only if a service that it needs is down; the chance is at most the sum.

use std::collections::BTreeMap;

use maru_api::{ArchitectureSpec, Criterion, LocalText, Money, Priority, Rate, RequirementSpec, ServiceOption, Target};
use maru_solver::{Bound, Candidate, Choice, Limit, Model, Quantity, Scope};

use super::availability::unavailability_nano;
use super::calls::{Calls, Follow};
use super::{AnalysisError, rank};

pub(super) const NANO: u64 = 1_000_000_000;

/// Where a bound comes from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// The requirement.
    pub requirement: String,
    /// What is bounded: `latency`, `availability`, `capacity`, `cost`, `recoveryPoint`, `recoveryTime`.
    pub what: &'static str,
    /// The service, when the bound is about one alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// 0 for must, 1 for should, 2 for could.
    pub priority: u8,
}

/// A requirement that was left out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct NotAnalysed {
    /// The requirement.
    pub requirement: String,
    /// Why.
    pub why: LocalText,
}

pub(super) struct Built {
    pub(super) model: Model,
    pub(super) asked: Vec<Asked>,
    pub(super) not_analysed: Vec<NotAnalysed>,
    pub(super) currency: String,
}

struct Builder<'a> {
    calls: Calls<'a>,
    /// No latency is read as longer than this: that of an option of which nothing better is known.
    never: i64,
    built: Built,
}

pub(super) fn build(
    architecture: &ArchitectureSpec,
    requirements: &[(String, RequirementSpec)],
) -> Result<Built, AnalysisError> {
    let calls = Calls::new(architecture)?;
    let (choices, currency) = choices(architecture)?;
    let model = Model { metrics: Vec::new(), choices, bounds: Vec::new() };
    let built = Built { model, asked: Vec::new(), not_analysed: Vec::new(), currency };
    let never = never(architecture.services.len());
    let mut builder = Builder { calls, never, built };
    for (name, requirement) in requirements {
        let Some(criterion) = requirement.criterion.as_ref().filter(|_| requirement.priority != Priority::Wont) else {
            continue;
        };
        if let Err(Refusal::Left(why)) = builder.add(name, requirement, criterion).or_else(Refusal::only_left)? {
            builder.built.not_analysed.push(NotAnalysed { requirement: name.clone(), why });
        }
    }
    Ok(builder.built)
}

/// Returns one choice for each service; one without options has a single one that adds nothing.
fn choices(architecture: &ArchitectureSpec) -> Result<(Vec<Choice>, String), AnalysisError> {
    let mut first = None;
    let mut choices = Vec::new();
    for service in &architecture.services {
        let mut options = Vec::new();
        for option in &service.options {
            let wrong =
                |problem| AnalysisError::Cost { service: service.name.clone(), option: option.name.clone(), problem };
            let cost = option.cost.ok_or_else(|| wrong("has no cost"))?;
            if !cost.is_comparable(*first.get_or_insert(cost)) {
                return Err(wrong("has a cost in another currency or for another time than the first option"));
            }
            let cost = i64::try_from(cost.millionths()).map_err(|_| wrong("costs too much to be added up"))?;
            options.push(Candidate { name: option.name.clone(), cost, metrics: Vec::new() });
        }
        if options.is_empty() {
            options.push(Candidate { name: "(no options)".to_owned(), cost: 0, metrics: Vec::new() });
        }
        choices.push(Choice { name: service.name.clone(), options });
    }
    Ok((choices, first.map_or_else(String::new, currency_of)))
}

fn currency_of(money: Money) -> String {
    match money.per() {
        Some(per) => format!("{}/{}", money.currency(), per.name()),
        None => money.currency().to_owned(),
    }
}

/// Why a requirement adds no bound.
enum Refusal {
    Left(LocalText),
    Error(AnalysisError),
}

impl Refusal {
    fn only_left(self) -> Result<Result<(), Self>, AnalysisError> {
        match self {
            Self::Left(_) => Ok(Err(self)),
            Self::Error(error) => Err(error),
        }
    }
}

impl From<AnalysisError> for Refusal {
    fn from(error: AnalysisError) -> Self {
        Self::Error(error)
    }
}

/// A bound on one requirement's behalf.
struct Wish<'a> {
    requirement: &'a str,
    priority: u8,
    what: &'static str,
}

impl Builder<'_> {
    fn add(
        &mut self,
        name: &str,
        requirement: &RequirementSpec,
        criterion: &Criterion,
    ) -> Result<Result<(), Refusal>, Refusal> {
        let priority = rank(requirement.priority);
        let wish = |what| Wish { requirement: name, priority, what };
        let entry = |of: &Target| self.entry(of, requirement);
        match criterion {
            Criterion::Latency { of, quantile, at_most, at_load, .. } => {
                let entry = entry(of)?;
                self.latency(&wish("latency"), entry, quantile.complement().as_nano(), at_most.as_nanos())?;
                if let Some(load) = at_load {
                    self.load(&wish("capacity"), entry, *load)?;
                }
            }
            Criterion::Availability { of, at_least, .. } => {
                let entry = entry(of)?;
                self.availability(&wish("availability"), entry, at_least.complement().as_nano())?;
            }
            Criterion::Throughput { of, at_least, .. } => {
                let entry = entry(of)?;
                self.load(&wish("capacity"), entry, *at_least)?;
            }
            Criterion::Cost { of, at_most } => {
                let scope = if *of == Target::default() { Scope::All } else { Scope::Only(vec![entry(of)?]) };
                let first =
                    self.calls.architecture.services.iter().flat_map(|service| &service.options).find_map(|o| o.cost);
                if first.is_some_and(|cost| !cost.is_comparable(*at_most)) {
                    let currency = &self.built.currency;
                    return Err(left(
                        format!("선택지의 비용은 {currency}인데 다른 단위다"),
                        format!("it is not in {currency}, as the options' costs are"),
                    ));
                }
                // Where no option says what it costs, what is asked does.
                if first.is_none() {
                    self.built.currency = currency_of(*at_most);
                }
                let limit = i64::try_from(at_most.millionths()).unwrap_or(i64::MAX).min(1 << 60);
                self.bound(&wish("cost"), None, Quantity::Cost, scope, Limit::AtMost(limit));
            }
            Criterion::RecoveryPoint { of, at_most } => {
                let entry = entry(of)?;
                let values = self.values(entry, ("복구 시점(RPO)", "recovery point"), |option| {
                    Some(option.recovery_point?.as_nanos())
                })?;
                self.alone(&wish("recoveryPoint"), entry, values, at_most.as_nanos())?;
            }
            Criterion::RecoveryTime { of, at_most } => {
                let entry = entry(of)?;
                for place in self.calls.visits(entry, Follow::Needed)?.into_keys() {
                    let values = self.values(place, ("복구 시간(RTO)", "recovery time"), |option| {
                        Some(option.recovery_time?.as_nanos())
                    })?;
                    self.alone(&wish("recoveryTime"), place, values, at_most.as_nanos())?;
                }
            }
            // Checks and tests answer these; an architecture has no numbers for them.
            Criterion::ErrorRatio { .. }
            | Criterion::Capacity { .. }
            | Criterion::Licence { .. }
            | Criterion::Control { .. }
            | Criterion::Behaviour { .. }
            | Criterion::Acceptance { .. } => {}
        }
        Ok(Ok(()))
    }

    fn entry(&self, of: &Target, requirement: &RequirementSpec) -> Result<usize, Refusal> {
        let named = of.service.as_deref().or(of.component.as_deref());
        let name = match (named, requirement.allocated_to.as_slice()) {
            (Some(name), _) => name,
            (None, [only]) => only,
            (None, _) => {
                return Err(left(
                    "서비스를 말하지 않는다; criterion.of.service를 쓴다",
                    "it names no service; write criterion.of.service",
                ));
            }
        };
        let place = self.calls.place(name);
        place.ok_or_else(|| {
            let (ko, en) = ("아키텍처에 서비스가 없다", "the architecture has no service");
            left(format!("{ko}: \"{name}\""), format!("{en} \"{name}\""))
        })
    }

    fn latency(&mut self, wish: &Wish<'_>, entry: usize, tail_nano: u64, at_most: u64) -> Result<(), Refusal> {
        let visits = self.calls.visits(entry, Follow::Waiting)?;
        let hops: u64 = visits.values().sum::<u64>().max(1);
        let quantile = format!("p{}", decimal_percent(NANO - tail_nano / hops));
        let need = (format!("{quantile} 이상의 지연 시간"), format!("latency at {quantile} or higher"));
        let mut columns = BTreeMap::new();
        for (place, times) in &visits {
            let latency = |option: &ServiceOption| latency_nanos(option, tail_nano, hops);
            let values = self.values(*place, (&need.0, &need.1), latency)?;
            columns.insert(*place, values.into_iter().map(|value| value.saturating_mul(*times)).collect());
        }
        self.sum(wish, columns, at_most)
    }

    fn availability(&mut self, wish: &Wish<'_>, entry: usize, tail_nano: u64) -> Result<(), Refusal> {
        let mut columns = BTreeMap::new();
        for place in self.calls.visits(entry, Follow::Needed)?.into_keys() {
            columns.insert(place, self.values(place, ("가용성", "availability"), unavailability_nano)?);
        }
        self.sum(wish, columns, tail_nano)
    }

    fn load(&mut self, wish: &Wish<'_>, entry: usize, load: Rate) -> Result<(), Refusal> {
        for (place, times) in self.calls.visits(entry, Follow::All)? {
            let values = self
                .values(place, ("처리 용량", "capacity"), |option| Some(option.capacity?.as_micro_per_second()))?;
            let values = values.into_iter().map(whole).collect::<Vec<i64>>();
            let metric = self.metric(wish, &BTreeMap::from([(place, values)]));
            let limit = Limit::AtLeast(whole(load.as_micro_per_second_ceil().saturating_mul(times)));
            self.bound(wish, Some(place), Quantity::Metric(metric), Scope::Only(vec![place]), limit);
        }
        Ok(())
    }

    /// Returns a number of each option of a service.
    fn values(
        &self,
        place: usize,
        need: (&str, &str),
        value: impl Fn(&ServiceOption) -> Option<u64>,
    ) -> Result<Vec<u64>, Refusal> {
        let service = &self.calls.architecture.services[place];
        let name = &service.name;
        if service.options.is_empty() {
            let (ko, en) = (format!("서비스 \"{name}\"에 선택지가 없다"), format!("service \"{name}\" has no options"));
            return Err(left(ko, en));
        }
        let read = |option: &ServiceOption| {
            value(option).ok_or_else(|| {
                let option = &option.name;
                left(
                    format!("\"{name}\"의 선택지 \"{option}\"에 {}이(가) 없다", need.0),
                    format!("option \"{option}\" of \"{name}\" has no {}", need.1),
                )
            })
        };
        service.options.iter().map(read).collect()
    }

    fn alone(&mut self, wish: &Wish<'_>, place: usize, values: Vec<u64>, at_most: u64) -> Result<(), Refusal> {
        let values = values.into_iter().map(|value| self.short(value)).collect();
        let metric = self.metric(wish, &BTreeMap::from([(place, values)]));
        let (quantity, scope) = (Quantity::Metric(metric), Scope::Only(vec![place]));
        self.bound(wish, Some(place), quantity, scope, Limit::AtMost(self.short(at_most)));
        Ok(())
    }

    fn sum(&mut self, wish: &Wish<'_>, columns: BTreeMap<usize, Vec<u64>>, at_most: u64) -> Result<(), Refusal> {
        let places = columns.keys().copied().collect();
        let columns = columns
            .into_iter()
            .map(|(place, values)| (place, values.into_iter().map(|value| self.short(value)).collect()))
            .collect::<BTreeMap<usize, Vec<i64>>>();
        let metric = self.metric(wish, &columns);
        // What is never may not pass as what is asked.
        let limit = self.short(at_most).min(self.never - 1);
        self.bound(wish, None, Quantity::Metric(metric), Scope::Only(places), Limit::AtMost(limit));
        Ok(())
    }

    fn short(&self, value: u64) -> i64 {
        whole(value).min(self.never)
    }

    fn metric(&mut self, wish: &Wish<'_>, columns: &BTreeMap<usize, Vec<i64>>) -> usize {
        let model = &mut self.built.model;
        model.metrics.push(format!("{} of {}", wish.what, wish.requirement));
        for (place, choice) in model.choices.iter_mut().enumerate() {
            let values = columns.get(&place);
            for (at, option) in choice.options.iter_mut().enumerate() {
                option.metrics.push(values.and_then(|values| values.get(at)).copied().unwrap_or(0));
            }
        }
        model.metrics.len() - 1
    }

    fn bound(&mut self, wish: &Wish<'_>, place: Option<usize>, quantity: Quantity, scope: Scope, limit: Limit) {
        let service = place.map(|place| self.calls.architecture.services[place].name.clone());
        let name = match &service {
            Some(service) => format!("{} ({} of {service})", wish.requirement, wish.what),
            None => format!("{} ({})", wish.requirement, wish.what),
        };
        self.built.model.bounds.push(Bound { name, quantity, scope, limit });
        let (requirement, what) = (wish.requirement.to_owned(), wish.what);
        self.built.asked.push(Asked { requirement, what, service, priority: wish.priority });
    }
}

fn left(ko: impl Into<String>, en: impl Into<String>) -> Refusal {
    Refusal::Left(LocalText::both(ko, en))
}

/// The longest time that a model of so many services can add up: 13 days for 1,000 services.
pub(super) fn never(services: usize) -> i64 {
    (1 << 60) / i64::try_from(services.max(1)).unwrap_or(i64::MAX)
}

/// Larger values are refused by the model, never cut.
fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Returns a time that one visit takes longer than with a chance of at most `tail_nano / hops`: the least that an
/// option's quantiles prove. The tail is split evenly, which is valid however visits depend on each other.
pub(super) fn latency_nanos(option: &ServiceOption, tail_nano: u64, hops: u64) -> Option<u64> {
    let enough = |(quantile, span): (&String, &maru_api::Span)| {
        let tail = quantile_tail(quantile)?;
        (u128::from(tail) * u128::from(hops) <= u128::from(tail_nano)).then_some(span.as_nanos())
    };
    option.latency.iter().filter_map(enough).min()
}

/// Reads `p99`, `p999`, `p99.95`: returns the share that is later, in billionths. `p100` is the longest of all.
pub(super) fn quantile_tail(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('p')?;
    if digits == "100" {
        return Some(0);
    }
    let (whole, rest) = match digits.split_once('.') {
        Some(parts) => parts,
        None => digits.split_at_checked(2)?,
    };
    let decimals = format!("{whole:0>2}{rest}");
    if decimals.len() > 9 || !decimals.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    NANO.checked_sub(format!("{decimals:0<9}").parse::<u64>().ok()?)
}

pub(super) fn decimal_percent(nano: u64) -> String {
    let text = format!("{}.{:07}", nano / 10_000_000, nano % 10_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
