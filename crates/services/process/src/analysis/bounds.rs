//! From services, calls and criteria to choices and bounds.
//!
//! Tail latency: a request that visits services n times is late only if one visit is later than its quantile; with
//! quantiles at 1 − ε/n the chance of that is at most ε (Boole), whether or not the visits depend on each other.
//! Availability: a request fails only if a service that it needs is down; the chance is at most the sum.

use std::collections::BTreeMap;

use maru_api::{ArchitectureSpec, Criterion, Priority, Rate, RequirementSpec, ServiceOption, Target};
use maru_solver::{Bound, Candidate, Choice, Limit, Model, Quantity, Scope};

use super::{AnalysisError, rank};

/// More visits of one service by one request are an error of the model.
const VISITS_MAX: u64 = 1_000_000;
const NANO: u64 = 1_000_000_000;

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
    pub why: String,
}

pub(super) struct Built {
    pub(super) model: Model,
    pub(super) asked: Vec<Asked>,
    pub(super) not_analysed: Vec<NotAnalysed>,
    pub(super) currency: String,
}

struct Builder<'a> {
    architecture: &'a ArchitectureSpec,
    places: BTreeMap<&'a str, usize>,
    built: Built,
}

pub(super) fn build(
    architecture: &ArchitectureSpec,
    requirements: &[(String, RequirementSpec)],
) -> Result<Built, AnalysisError> {
    let mut places = BTreeMap::new();
    for (place, service) in architecture.services.iter().enumerate() {
        if places.insert(service.name.as_str(), place).is_some() {
            return Err(AnalysisError::Twice { service: service.name.clone() });
        }
    }
    for service in &architecture.services {
        if let Some(call) = service.calls.iter().find(|call| !places.contains_key(call.to.as_str())) {
            return Err(AnalysisError::Nowhere { from: service.name.clone(), to: call.to.clone() });
        }
    }
    let (choices, currency) = choices(architecture)?;
    let model = Model { metrics: Vec::new(), choices, bounds: Vec::new() };
    let built = Built { model, asked: Vec::new(), not_analysed: Vec::new(), currency };
    let mut builder = Builder { architecture, places, built };
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
    let currency = first.map_or_else(String::new, |money| match money.per() {
        Some(per) => format!("{}/{}", money.currency(), per.name()),
        None => money.currency().to_owned(),
    });
    Ok((choices, currency))
}

/// Why a requirement adds no bound.
enum Refusal {
    Left(String),
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

/// Which calls are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follow {
    /// Those that the caller waits for and needs.
    Waiting,
    /// Those that the caller needs.
    Needed,
    /// All: load arrives by each.
    All,
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
                let first = self.architecture.services.iter().flat_map(|service| &service.options).find_map(|o| o.cost);
                if first.is_some_and(|cost| !cost.is_comparable(*at_most)) {
                    let currency = &self.built.currency;
                    return Err(Refusal::Left(format!("it is not in {currency}, as the options' costs are")));
                }
                let limit = i64::try_from(at_most.millionths()).unwrap_or(i64::MAX).min(1 << 60);
                self.bound(&wish("cost"), None, Quantity::Cost, scope, Limit::AtMost(limit));
            }
            Criterion::RecoveryPoint { of, at_most } => {
                let entry = entry(of)?;
                let values = self.values(entry, "recovery point", |option| Some(option.recovery_point?.as_nanos()))?;
                self.alone(&wish("recoveryPoint"), entry, values, at_most.as_nanos())?;
            }
            Criterion::RecoveryTime { of, at_most } => {
                let entry = entry(of)?;
                for place in self.visits(entry, Follow::Needed)?.into_keys() {
                    let values =
                        self.values(place, "recovery time", |option| Some(option.recovery_time?.as_nanos()))?;
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
            (None, _) => return Err(Refusal::Left("it names no service; write criterion.of.service".to_owned())),
        };
        let place = self.places.get(name).copied();
        place.ok_or_else(|| Refusal::Left(format!("the architecture has no service \"{name}\"")))
    }

    /// Returns how often one request visits each service.
    fn visits(&self, entry: usize, follow: Follow) -> Result<BTreeMap<usize, u64>, AnalysisError> {
        // Callers before callees, by finishing times; a service that is met while it is open is on a circle.
        let mut state = vec![0_u8; self.architecture.services.len()];
        let mut order = Vec::new();
        let mut open = vec![(entry, false)];
        let circle = |place: usize| AnalysisError::Circle { service: self.architecture.services[place].name.clone() };
        while let Some((place, done)) = open.pop() {
            if done {
                state[place] = 2;
                order.push(place);
                continue;
            }
            match state[place] {
                0 => state[place] = 1,
                1 => return Err(circle(place)),
                _ => continue,
            }
            open.push((place, true));
            for (callee, _) in self.callees(place, follow) {
                match state[callee] {
                    0 => open.push((callee, false)),
                    1 => return Err(circle(callee)),
                    _ => {}
                }
            }
        }
        let mut visits: BTreeMap<usize, u64> = BTreeMap::from([(entry, 1)]);
        for place in order.into_iter().rev() {
            let mine = visits.get(&place).copied().unwrap_or(0);
            for (callee, times) in self.callees(place, follow) {
                let sum = visits.entry(callee).or_insert(0);
                *sum = sum.saturating_add(mine.saturating_mul(times)).min(VISITS_MAX);
            }
        }
        Ok(visits)
    }

    fn callees(&self, place: usize, follow: Follow) -> Vec<(usize, u64)> {
        let calls = self.architecture.services[place].calls.iter();
        let followed = calls.filter(|call| match follow {
            Follow::Waiting => call.critical && call.per != "event",
            Follow::Needed => call.critical,
            Follow::All => true,
        });
        followed
            .filter_map(|call| Some((*self.places.get(call.to.as_str())?, u64::from(call.times.unwrap_or(1)))))
            .collect()
    }

    fn latency(&mut self, wish: &Wish<'_>, entry: usize, tail_nano: u64, at_most: u64) -> Result<(), Refusal> {
        let visits = self.visits(entry, Follow::Waiting)?;
        let hops: u64 = visits.values().sum::<u64>().max(1);
        let mut columns = BTreeMap::new();
        for (place, times) in &visits {
            // The tail is split evenly; an option's nearest quantile that is high enough serves.
            let enough = |(quantile, span): (&String, &maru_api::Span)| {
                let tail = quantile_tail(quantile)?;
                (u128::from(tail) * u128::from(hops) <= u128::from(tail_nano)).then_some(span.as_nanos())
            };
            let share = tail_nano / hops;
            let need = format!("latency at p{} or higher", decimal_percent(NANO - share));
            let values = self.values(*place, &need, |option| option.latency.iter().filter_map(enough).min())?;
            columns.insert(*place, values.into_iter().map(|value| value.saturating_mul(*times)).collect());
        }
        self.sum(wish, columns, at_most)
    }

    fn availability(&mut self, wish: &Wish<'_>, entry: usize, tail_nano: u64) -> Result<(), Refusal> {
        let mut columns = BTreeMap::new();
        for place in self.visits(entry, Follow::Needed)?.into_keys() {
            columns.insert(place, self.values(place, "availability", unavailability_nano)?);
        }
        self.sum(wish, columns, tail_nano)
    }

    fn load(&mut self, wish: &Wish<'_>, entry: usize, load: Rate) -> Result<(), Refusal> {
        for (place, times) in self.visits(entry, Follow::All)? {
            let values = self.values(place, "capacity", |option| Some(option.capacity?.as_micro_per_second()))?;
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
        need: &str,
        value: impl Fn(&ServiceOption) -> Option<u64>,
    ) -> Result<Vec<u64>, Refusal> {
        let service = &self.architecture.services[place];
        if service.options.is_empty() {
            return Err(Refusal::Left(format!("service \"{}\" has no options", service.name)));
        }
        let read = |option: &ServiceOption| {
            let missing = || format!("option \"{}\" of \"{}\" has no {need}", option.name, service.name);
            value(option).ok_or_else(|| Refusal::Left(missing()))
        };
        service.options.iter().map(read).collect()
    }

    fn alone(&mut self, wish: &Wish<'_>, place: usize, values: Vec<u64>, at_most: u64) -> Result<(), Refusal> {
        let values = values.into_iter().map(whole).collect();
        let metric = self.metric(wish, &BTreeMap::from([(place, values)]));
        let (quantity, scope) = (Quantity::Metric(metric), Scope::Only(vec![place]));
        self.bound(wish, Some(place), quantity, scope, Limit::AtMost(whole(at_most)));
        Ok(())
    }

    fn sum(&mut self, wish: &Wish<'_>, columns: BTreeMap<usize, Vec<u64>>, at_most: u64) -> Result<(), Refusal> {
        let places = columns.keys().copied().collect();
        let columns = columns
            .into_iter()
            .map(|(place, values)| (place, values.into_iter().map(whole).collect()))
            .collect::<BTreeMap<usize, Vec<i64>>>();
        let metric = self.metric(wish, &columns);
        self.bound(wish, None, Quantity::Metric(metric), Scope::Only(places), Limit::AtMost(whole(at_most)));
        Ok(())
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
        let service = place.map(|place| self.architecture.services[place].name.clone());
        let name = match &service {
            Some(service) => format!("{} ({} of {service})", wish.requirement, wish.what),
            None => format!("{} ({})", wish.requirement, wish.what),
        };
        self.built.model.bounds.push(Bound { name, quantity, scope, limit });
        let (requirement, what) = (wish.requirement.to_owned(), wish.what);
        self.built.asked.push(Asked { requirement, what, service, priority: wish.priority });
    }
}

/// Beyond a year of nanoseconds one value is as good as another.
fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX).min(1 << 55)
}

/// Reads `p99`, `p999`, `p99.95`: returns the share that is later, in billionths.
fn quantile_tail(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('p')?;
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

fn decimal_percent(nano: u64) -> String {
    let text = format!("{}.{:07}", nano / 10_000_000, nano % 10_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns the chance in billionths that fewer copies are up than are needed, rounded up.
///
/// A share of each copy's failures takes all copies down (common cause); the others are independent.
pub(super) fn unavailability_nano(option: &ServiceOption) -> Option<u64> {
    let down = option.availability?.complement().as_f64();
    let Some(copies) = option.replicas else { return Some(option.availability?.complement().as_nano()) };
    let needed = option.needed.unwrap_or(1);
    if needed > copies || copies > 10_000 {
        return Some(NANO);
    }
    let common = option.common_cause.map_or(0.0, maru_api::Ratio::as_f64) * down;
    let alone = down - common;
    // Too few are up when more than copies − needed are down.
    let mut chance = 0.0;
    let mut ways = 1.0;
    for failed in 0..=copies {
        if failed > 0 {
            ways *= f64::from(copies - failed + 1) / f64::from(failed);
        }
        if failed > copies - needed {
            let (failed, working) = (f64::from(failed), f64::from(copies - failed));
            chance += ways * alone.powf(failed) * (1.0 - alone).powf(working);
        }
    }
    let total = (common + (1.0 - common) * chance).clamp(0.0, 1.0) * 1e9;
    // Rounded up, but for what floating point may have added: a value that is whole stays so.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1e9")]
    let nano = (total - 1e-6).ceil().max(0.0) as u64;
    Some(nano.min(NANO))
}
