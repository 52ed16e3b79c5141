//! The answer as an object carries it and people read it.

use std::collections::{BTreeMap, BTreeSet};

use maru_api::{
    ArchitectureStatus, ChosenOption, ConflictSet, Feasibility, Language, LeftOut, LocalText, RequirementNumber,
    SingleRelaxation,
};
use maru_solver::{Conflict, Limit, Outcome, Relaxation, Scope, Why};

use super::{Analysis, AnalysisError, Question, findings, word};

/// So many services are named in one row.
const NAMES_MAX: usize = 6;

impl Analysis {
    /// Returns the status that says all this.
    #[must_use]
    pub fn status(&self) -> ArchitectureStatus {
        let mut status = ArchitectureStatus {
            certificate: self.certificate_digest(),
            measured: self.measured_numbers.clone(),
            not_analysed: self
                .not_analysed
                .iter()
                .map(|left| LeftOut { requirement: left.requirement.clone(), why: left.why.clone() })
                .collect(),
            findings: self.findings.clone(),
            ..ArchitectureStatus::default()
        };
        match &self.outcome {
            Outcome::Feasible(solution) => {
                status.outcome = Some(Feasibility::Feasible);
                status.cost = self.value("cost", solution.cost);
                status.within = (solution.within > 0).then(|| self.value("cost", solution.within));
                status.choice = self.choice(&solution.options);
                status.numbers = self.numbers(&solution.options);
            }
            Outcome::Infeasible(found) => {
                status.outcome = Some(Feasibility::Infeasible);
                status.conflicts = self.conflict_sets(&found.conflicts);
                status.complete = Some(found.complete);
                status.relaxations = self.single_relaxations();
                if let Some(agreement) = &self.agreement {
                    let changes = agreement.changes.iter();
                    status.by_priority =
                        changes.map(|change| self.relaxation(change.bound, Some(change.limit))).collect();
                    status.cost_by_priority = self.value("cost", agreement.cost);
                }
            }
            Outcome::Unknown { found, .. } => {
                status.outcome = Some(Feasibility::Unknown);
                if let Some(options) = found {
                    status.choice = self.choice(options);
                    status.numbers = self.numbers(options);
                }
            }
        }
        let reason = LocalText::both(self.reason(Language::Ko, &status), self.reason(Language::En, &status));
        reason.get(Language::Ko).clone_into(&mut status.reason);
        status.reason_text = Some(reason);
        status
    }

    /// What is said in one line, with what it does not speak of.
    fn reason(&self, language: Language, status: &ArchitectureStatus) -> String {
        let said = self.said(language, status);
        match (language, self.not_analysed.len()) {
            (_, 0) => said,
            (Language::Ko, count) => format!("{said}; 요구사항 {count}개는 분석하지 않음"),
            (Language::En, 1) => format!("{said}; 1 requirement was not analysed"),
            (Language::En, count) => format!("{said}; {count} requirements were not analysed"),
        }
    }

    fn said(&self, language: Language, status: &ArchitectureStatus) -> String {
        let measured = match (language, self.measured_numbers.iter().any(|number| number.evidence.is_some())) {
            (_, false) => "",
            (Language::Ko, true) => " (측정값 포함)",
            (Language::En, true) => " (with measured numbers)",
        };
        match &self.outcome {
            Outcome::Feasible(_) if self.model.bounds.is_empty() => match language {
                Language::Ko => {
                    format!("가능: 분석할 요구사항이 없어 모든 선택이 된다; 가장 싼 선택은 {}", status.cost)
                }
                Language::En => {
                    format!(
                        "feasible: nothing that is asked can be analysed, so any choice will do; the cheapest costs {}",
                        status.cost
                    )
                }
            },
            Outcome::Feasible(_) => {
                let (cost, services) = (&status.cost, status.choice.len());
                match (language, &status.within) {
                    (Language::Ko, None) => format!("가능: 서비스 {services}개, 가장 싼 선택은 {cost}{measured}"),
                    (Language::En, None) => {
                        format!("feasible: {}, the cheapest choice costs {cost}{measured}", counted(services))
                    }
                    (Language::Ko, Some(within)) => {
                        format!("가능: 서비스 {services}개, {cost}; 이보다 {within} 넘게 싼 선택은 없음{measured}")
                    }
                    (Language::En, Some(within)) => {
                        format!(
                            "feasible: {} for {cost}; none is cheaper by more than {within}{measured}",
                            counted(services)
                        )
                    }
                }
            }
            Outcome::Infeasible(_) => {
                let first = status.conflicts.first().map(|set| set.requirements.join(", ")).unwrap_or_default();
                let more = match (status.conflicts.len(), language) {
                    (0 | 1, _) => String::new(),
                    (count, Language::Ko) => format!(" 외 {}개 묶음", count - 1),
                    (2, Language::En) => ", and 1 more set".to_owned(),
                    (count, Language::En) => format!(", and {} more sets", count - 1),
                };
                match language {
                    Language::Ko => format!("불가능: 함께 지킬 수 없음: {first}{more}{measured}"),
                    Language::En => format!("infeasible: cannot all hold: {first}{more}{measured}"),
                }
            }
            Outcome::Unknown { why, cost_at_least, .. } => {
                let least = cost_at_least.map(|least| self.value("cost", least));
                match (language, least) {
                    (Language::Ko, None) => format!("알 수 없음: 탐색을 마치지 못함 ({})", why_in_korean(why)),
                    (Language::Ko, Some(least)) => {
                        format!("알 수 없음: 탐색을 마치지 못함 ({}); {least}보다 싼 선택은 없음", why_in_korean(why))
                    }
                    (Language::En, None) => format!("unknown: {why}"),
                    (Language::En, Some(least)) => format!("unknown: {why}; no choice costs less than {least}"),
                }
            }
        }
    }

    fn choice(&self, options: &[usize]) -> Vec<ChosenOption> {
        let pairs = self.model.choices.iter().zip(options);
        pairs
            .map(|(choice, option)| ChosenOption {
                service: choice.name.clone(),
                option: choice.options[*option].name.clone(),
                cost: self.value("cost", choice.options[*option].cost),
            })
            .collect()
    }

    /// What a choice comes to; of a requirement on many services that which has least room.
    fn numbers(&self, options: &[usize]) -> Vec<RequirementNumber> {
        let mut tightest: BTreeMap<(&str, &str), (f64, RequirementNumber)> = BTreeMap::new();
        for (place, bound) in self.model.bounds.iter().enumerate() {
            let asked = &self.asked[place];
            let reached = self.model.sum(bound.quantity, &bound.scope, options);
            #[expect(clippy::cast_precision_loss, reason = "only compares how much room there is")]
            let ratio = (reached as f64) / (bound.limit.value() as f64).max(1.0);
            let room = if matches!(bound.limit, Limit::AtMost(_)) { -ratio } else { ratio };
            let number = RequirementNumber {
                requirement: asked.requirement.clone(),
                what: asked.what.to_owned(),
                service: asked.service.clone(),
                asked: self.limit(place, bound.limit),
                reached: self.value(asked.what, reached),
            };
            let key = (asked.requirement.as_str(), asked.what);
            if tightest.get(&key).is_none_or(|(least, _)| room < *least) {
                tightest.insert(key, (room, number));
            }
        }
        tightest.into_values().map(|(_, number)| number).collect()
    }

    /// Conflicts by requirements; a set that holds another one tells nothing more.
    fn conflict_sets(&self, conflicts: &[Conflict]) -> Vec<ConflictSet> {
        let names = |conflict: &Conflict| -> BTreeSet<&str> {
            conflict.bounds.iter().map(|bound| self.asked[*bound].requirement.as_str()).collect()
        };
        let sets: Vec<BTreeSet<&str>> = conflicts.iter().map(names).collect();
        let mut found: Vec<ConflictSet> = Vec::new();
        for (at, conflict) in conflicts.iter().enumerate() {
            let repeats = |(other, set): (usize, &BTreeSet<&str>)| {
                set.is_subset(&sets[at]) && (set.len() < sets[at].len() || other < at)
            };
            if !sets.iter().enumerate().any(|(other, set)| other != at && repeats((other, set))) {
                found.push(ConflictSet {
                    requirements: sets[at].iter().map(|name| (*name).to_owned()).collect(),
                    minimal: conflict.minimal,
                    rows: self.rows(&conflict.bounds),
                });
            }
        }
        found
    }

    /// One row a bound; bounds of one requirement on many services share a row.
    fn rows(&self, bounds: &[usize]) -> Vec<LocalText> {
        let mut groups: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for bound in bounds {
            let asked = &self.asked[*bound];
            groups.entry((&asked.requirement, asked.what)).or_default().push(*bound);
        }
        let groups = groups.into_iter();
        groups
            .map(|((requirement, what), bounds)| {
                let say = |language: Language| match bounds.as_slice() {
                    [only] => {
                        let over = self.over(*only, language);
                        let limit = self.limit(*only, self.model.bounds[*only].limit);
                        format!("{requirement}: {} {limit}{over}", what_word(what, language))
                    }
                    several => self.group(requirement, what, several, language),
                };
                LocalText::both(say(Language::Ko), say(Language::En))
            })
            .collect()
    }

    /// Says over which services a bound adds up.
    fn over(&self, bound: usize, language: Language) -> String {
        let services = match (&self.model.bounds[bound].scope, &self.asked[bound].service) {
            (_, Some(service)) => return format!(" ({service})"),
            (Scope::All, None) => self.model.choices.len(),
            (Scope::Only(choices), None) if choices.len() > NAMES_MAX => choices.len(),
            (Scope::Only(choices), None) => {
                let names: Vec<&str> = choices.iter().map(|choice| self.model.choices[*choice].name.as_str()).collect();
                return format!(" ({})", names.join(" + "));
            }
        };
        match language {
            Language::Ko => format!(" (서비스 {services}개의 합)"),
            Language::En => format!(" (over {})", counted(services)),
        }
    }

    fn group(&self, requirement: &str, what: &str, bounds: &[usize], language: Language) -> String {
        let mut services: Vec<&str> = bounds.iter().filter_map(|bound| self.asked[*bound].service.as_deref()).collect();
        services.sort_unstable();
        let count = services.len();
        let more = if count > NAMES_MAX { ", …" } else { "" };
        services.truncate(NAMES_MAX);
        let names = services.join(", ");
        let mut limits: Vec<Limit> = bounds.iter().map(|bound| self.model.bounds[*bound].limit).collect();
        limits.sort_by_key(|limit| limit.value());
        let value = |limit: &Limit| self.value(what, limit.value());
        let range = match (limits.first(), limits.last()) {
            (Some(least), Some(most)) if least != most => format!("{} … {}", value(least), value(most)),
            (Some(only), _) => value(only),
            (None, _) => String::new(),
        };
        match language {
            Language::Ko => {
                format!("{requirement}: 서비스 {count}개의 {} {range} ({names}{more})", what_word(what, language))
            }
            Language::En => {
                format!("{requirement}: {} of {count} services at {range} ({names}{more})", what_word(what, language))
            }
        }
    }

    fn single_relaxations(&self) -> Vec<SingleRelaxation> {
        let told = self.relaxations.iter().filter_map(|(bound, relaxation)| match relaxation {
            Relaxation::To { limit, .. } if self.is_never(*bound, limit.value()) => Some(self.relaxation(*bound, None)),
            Relaxation::To { limit, within, .. } => {
                let within = (*within > 0).then(|| self.difference(self.asked[*bound].what, *within));
                Some(SingleRelaxation { within, ..self.relaxation(*bound, Some(*limit)) })
            }
            Relaxation::NoUse => Some(self.relaxation(*bound, None)),
            Relaxation::Unknown(_) => None,
        });
        told.collect()
    }

    fn relaxation(&self, bound: usize, to: Option<Limit>) -> SingleRelaxation {
        let asked = &self.asked[bound];
        SingleRelaxation {
            requirement: asked.requirement.clone(),
            what: asked.what.to_owned(),
            service: asked.service.clone(),
            now: self.limit(bound, self.model.bounds[bound].limit),
            to: to.map(|limit| self.limit(bound, limit)),
            within: None,
        }
    }

    /// Returns the conflicts as names of requirements.
    #[must_use]
    pub fn conflicts(&self) -> Vec<Vec<String>> {
        self.status().conflicts.into_iter().map(|set| set.requirements).collect()
    }
}

fn counted(services: usize) -> String {
    if services == 1 { "1 service".to_owned() } else { format!("{services} services") }
}

fn why_in_korean(why: &Why) -> String {
    match why {
        Why::Nodes { nodes } => format!("{nodes}개 지점까지 찾아봄"),
        Why::Stopped => "시간이 다 됨".to_owned(),
        other => other.to_string(),
    }
}

/// Returns the word for what is bounded.
#[must_use]
pub fn what_word(what: &str, language: Language) -> &str {
    match what {
        "latency" => word(language, "지연 시간", "latency"),
        "availability" => word(language, "가용성", "availability"),
        "capacity" => word(language, "처리 용량", "capacity"),
        "cost" => word(language, "비용", "cost"),
        "recoveryPoint" => word(language, "복구 시점", "recovery point"),
        "recoveryTime" => word(language, "복구 시간", "recovery time"),
        other => other,
    }
}

/// Returns the status of an architecture that cannot be analysed.
#[must_use]
pub fn status_of_error(question: &Question, error: &AnalysisError) -> ArchitectureStatus {
    let cause = error.text();
    let reason = LocalText::both(
        format!("알 수 없음: {}", cause.get(Language::Ko)),
        format!("unknown: {}", cause.get(Language::En)),
    );
    ArchitectureStatus {
        outcome: Some(Feasibility::Unknown),
        reason: reason.get(Language::Ko).to_owned(),
        reason_text: Some(reason),
        measured: question.measured.clone(),
        findings: findings(&question.architecture),
        ..ArchitectureStatus::default()
    }
}
