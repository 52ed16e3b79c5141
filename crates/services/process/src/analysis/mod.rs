//! Asks whether an architecture can keep its requirements, before anything is built.
//!
//! Owns: the way from an `Architecture` and typed criteria to bounds of `maru-solver`, and back to words; the measured
//! numbers in the place of estimates; the statuses that follow; decisions.
//! Never: guesses a number that an option does not have: the requirement is then told as not analysed, with the reason.

mod answers;
mod availability;
mod bounds;
mod calls;
mod decision;
mod findings;
mod measured;
mod reader;
mod report;
#[cfg(test)]
mod simulation;
mod status;
mod watch;

use maru_api::{
    ArchitectureFinding, ArchitectureSpec, Digest, Language, LocalText, MeasuredNumber, Origin, Priority,
    RequirementSpec, canonical_json,
};
use maru_solver::{
    Agreement, Bound, Curve, Limits, Model, ModelError, Outcome, Relaxation, Stop, curve, relax, relax_by_priority,
    solve,
};
use serde_json::json;

pub use answers::answers;
pub use bounds::{Asked, NotAnalysed};
pub use decision::{Decided, DecisionError, Reasons, Wish, decide};
pub use findings::findings;
pub use measured::{Copies, Reading, readings};
pub use reader::questions;
pub use status::{status_of_error, what_word};
pub(crate) use watch::start;

/// Counts up whenever the same question may get another answer.
const ANALYSIS_VERSION: u32 = 2;
/// How much dearer than the cheapest a choice may be when the cheapest takes too long to prove: the report says so.
const WITHIN_MILLIONTHS: u32 = 10_000;
/// So many members of conflicts are tried for a relaxation of their own.
const RELAXED_MAX: usize = 24;
/// So many nodes are looked at for one answer, fewer where each costs more.
const NODES: (u64, u64) = (1_000, 15_000);
/// So many options are looked at for one answer.
const OPTIONS_LOOKED_AT: u64 = 180_000_000;

/// What is asked: whether an architecture can keep requirements.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Question {
    /// The architecture, with measured numbers where there are any.
    pub architecture: ArchitectureSpec,
    /// The requirements by name.
    pub requirements: Vec<(String, RequirementSpec)>,
    /// The numbers that were measured.
    pub measured: Vec<MeasuredNumber>,
}

impl Question {
    /// Asks about the numbers that are written.
    #[must_use]
    pub fn new(architecture: ArchitectureSpec, requirements: Vec<(String, RequirementSpec)>) -> Self {
        Self { architecture, requirements, measured: Vec::new() }
    }

    /// Puts what was measured in the place of what was thought.
    #[must_use]
    pub fn measured(mut self, readings: &[Reading], copies: &Copies) -> Self {
        self.measured = measured::apply(&mut self.architecture, &self.requirements, readings, copies);
        self
    }

    /// Returns the digest of all that the answer depends on.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let requirements = self.requirements.iter().filter(|(_, spec)| spec.criterion.is_some()).map(|(name, spec)| {
            json!({"name": name, "priority": spec.priority, "criterion": spec.criterion, "allocatedTo": spec.allocated_to})
        });
        let question = json!({
            "version": ANALYSIS_VERSION,
            "architecture": self.architecture,
            "requirements": requirements.collect::<Vec<_>>(),
            "measured": self.measured,
        });
        Digest::of(canonical_json(&question).as_bytes())
    }
}

/// How much is to be done.
#[derive(Debug, Clone, Default)]
pub struct Effort {
    /// Gives up early.
    pub stop: Stop,
    /// Looks for the cheapest until it is proven or somebody says stop.
    pub is_patient: bool,
    /// How many points of the curve of cost and availability are wanted.
    pub curve_points: usize,
}

/// What availability costs.
#[derive(Debug, Clone)]
pub struct Tradeoff {
    /// The requirement whose availability it is.
    pub requirement: String,
    /// The quantity that is added up, with the limit that is asked.
    pub along: Bound,
    /// The points.
    pub curve: Curve,
}

/// A question and its answer.
#[derive(Debug, Clone)]
pub struct Analysis {
    /// The architecture in numbers: costs in millionths, unavailability in billionths, times in nanoseconds.
    pub model: Model,
    /// For each bound of the model, where it comes from.
    pub asked: Vec<Asked>,
    /// The answer, with certificates for [`maru_solver::check`].
    pub outcome: Outcome,
    /// What relaxing one bound of a conflict alone can do.
    pub relaxations: Vec<(usize, Relaxation)>,
    /// How many more members of conflicts there are, which no relaxation was looked for.
    pub relaxations_left: usize,
    /// What all agree on when the less important gives way.
    pub agreement: Option<Agreement>,
    /// What availability costs, when that was wanted and some requirement asks for availability.
    pub tradeoff: Option<Tradeoff>,
    /// Requirements that the architecture has no numbers for, and why.
    pub not_analysed: Vec<NotAnalysed>,
    /// Options whose numbers are measured, and all options.
    pub measured: (usize, usize),
    /// The numbers that were measured.
    pub measured_numbers: Vec<MeasuredNumber>,
    /// What is wrong with the architecture itself.
    pub findings: Vec<ArchitectureFinding>,
    /// The currency that costs are in, with what it is per: `KRW/month`.
    pub currency: String,
}

/// Why there is no analysis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnalysisError {
    /// Calls go in a circle.
    #[error("critical calls go round through \"{service}\": nothing can be added up; make one of them not critical")]
    Circle {
        /// A service on it.
        service: String,
    },
    /// A call leads nowhere.
    #[error("service \"{from}\" calls \"{to}\", which the architecture does not have; add it or remove the call")]
    Nowhere {
        /// Who calls.
        from: String,
        /// Whom.
        to: String,
    },
    /// Two of one name.
    #[error("the architecture has two services named \"{service}\"; rename one")]
    Twice {
        /// The name.
        service: String,
    },
    /// One request comes by too often.
    #[error("one request visits \"{service}\" more than {max} times; look at the calls' times")]
    Visits {
        /// The service.
        service: String,
        /// How often it may.
        max: u64,
    },
    /// Costs cannot be added.
    #[error(
        "option \"{option}\" of \"{service}\" {problem}; give all options a cost in one currency for the same time"
    )]
    Cost {
        /// The service.
        service: String,
        /// The option.
        option: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The numbers are too large.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl AnalysisError {
    /// Says it for people.
    #[must_use]
    pub fn text(&self) -> LocalText {
        let ko = match self {
            Self::Circle { service } => format!("\"{service}\"을(를) 지나는 필수 호출이 돌고 돌아 더할 수 없다"),
            Self::Nowhere { from, to } => format!("\"{from}\"이(가) 없는 서비스 \"{to}\"을(를) 호출한다"),
            Self::Twice { service } => format!("서비스 \"{service}\"이(가) 두 번 있다"),
            Self::Visits { service, max } => format!("요청 하나가 \"{service}\"을(를) {max}번 넘게 지난다"),
            Self::Cost { service, option, .. } => {
                format!("\"{service}\"의 선택지 \"{option}\"에 같은 통화와 기간의 비용이 없다")
            }
            Self::Model(error) => format!("수가 너무 크다: {error}"),
        };
        LocalText::both(ko, self.to_string())
    }
}

/// Analyses a question.
///
/// # Errors
/// Says what is wrong with the architecture.
pub fn analyse(question: &Question, effort: &Effort) -> Result<Analysis, AnalysisError> {
    let built = bounds::build(&question.architecture, &question.requirements)?;
    let options: usize = built.model.choices.iter().map(|choice| choice.options.len()).sum();
    let nodes = OPTIONS_LOOKED_AT / u64::try_from(options).unwrap_or(u64::MAX).max(1);
    let limits = Limits {
        nodes: if effort.is_patient { u64::MAX } else { nodes.clamp(NODES.0, NODES.1) },
        within_millionths: WITHIN_MILLIONTHS,
        stop: effort.stop.clone(),
        ..Limits::default()
    };
    let outcome = solve(&built.model, &limits)?;
    let mut relaxations = Vec::new();
    let mut left = 0;
    let mut agreement = None;
    if let Outcome::Infeasible(found) = &outcome {
        let mut members: Vec<usize> = found.conflicts.iter().flat_map(|conflict| conflict.bounds.clone()).collect();
        members.sort_unstable();
        members.dedup();
        // Bounds of one requirement on many services come one after the other: the broad ones first.
        members.sort_by_key(|bound| built.asked[*bound].service.is_some());
        left = members.len().saturating_sub(RELAXED_MAX);
        for bound in members.into_iter().take(RELAXED_MAX) {
            relaxations.push((bound, relax(&built.model, bound, &limits)?));
        }
        let mut order: Vec<usize> = (0..built.asked.len()).collect();
        order.sort_by_key(|bound| built.asked[*bound].priority);
        agreement = relax_by_priority(&built.model, &order, &limits)?.ok();
    }
    let tradeoff = tradeoff(&built, effort, &limits)?;
    let options = || question.architecture.services.iter().flat_map(|service| &service.options);
    let measured = options().filter(|option| option.from == Origin::Measured).count();
    Ok(Analysis {
        model: built.model,
        asked: built.asked,
        outcome,
        relaxations,
        relaxations_left: left,
        agreement,
        tradeoff,
        not_analysed: built.not_analysed,
        measured: (measured, options().count()),
        measured_numbers: question.measured.clone(),
        findings: findings(&question.architecture),
        currency: built.currency,
    })
}

/// Finds what the availability of the most important requirement for it costs, whatever is asked of it and of the cost.
fn tradeoff(built: &bounds::Built, effort: &Effort, limits: &Limits) -> Result<Option<Tradeoff>, ModelError> {
    let availability = (0..built.asked.len()).filter(|bound| built.asked[*bound].what == "availability");
    let Some(bound) = availability.min_by_key(|bound| built.asked[*bound].priority) else { return Ok(None) };
    if effort.curve_points == 0 {
        return Ok(None);
    }
    let mut free = built.model.clone();
    let mut at = 0;
    free.bounds.retain(|_| {
        at += 1;
        at - 1 != bound && built.asked[at - 1].what != "cost"
    });
    let along = built.model.bounds[bound].clone();
    let curve = curve(&free, &along, effort.curve_points, limits)?;
    Ok(Some(Tradeoff { requirement: built.asked[bound].requirement.clone(), along, curve }))
}

/// The more important come first.
fn rank(priority: Priority) -> u8 {
    match priority {
        Priority::Must => 0,
        Priority::Should => 1,
        Priority::Could => 2,
        Priority::Wont => 3,
    }
}

/// Picks the language of a word.
fn word<'a>(language: Language, ko: &'a str, en: &'a str) -> &'a str {
    match language {
        Language::Ko => ko,
        Language::En => en,
    }
}

#[cfg(test)]
mod tests {
    use maru_solver::{Certificate, check};
    use serde_json::json;

    use super::*;

    fn shop() -> ArchitectureSpec {
        let option = |name: &str, cost: u32, p999: &str, capacity: &str| {
            json!({"name": name, "availability": "0.99", "replicas": 2, "commonCause": "0.01", "capacity": capacity,
                "latency": {"p99": "1ms", "p9995": p999}, "cost": format!("{cost} KRW/month")})
        };
        serde_json::from_value(json!({"services": [
            {"name": "orders", "calls": [{"to": "payments", "per": "request", "critical": true}],
             "options": [option("small", 100, "60ms", "50/s"), option("large", 300, "20ms", "200/s")]},
            {"name": "payments", "options": [option("small", 100, "60ms", "50/s"), option("large", 300, "20ms", "200/s")]},
        ]}))
        .unwrap()
    }

    fn requirement(name: &str, priority: &str, criterion: serde_json::Value) -> (String, RequirementSpec) {
        let spec = json!({"statement": "…", "priority": priority, "criterion": criterion});
        (name.to_owned(), serde_json::from_value(spec).unwrap())
    }

    fn latency(quantile: &str, at_most: &str) -> (String, RequirementSpec) {
        let of = json!({"service": "orders"});
        let criterion =
            json!({"indicator": "latency", "of": of, "quantile": quantile, "atMost": at_most, "window": "1d"});
        requirement("fast", "must", criterion)
    }

    fn cost(at_most: &str) -> (String, RequirementSpec) {
        requirement("cheap", "should", json!({"indicator": "cost", "atMost": at_most}))
    }

    fn ask(architecture: &ArchitectureSpec, requirements: &[(String, RequirementSpec)]) -> Analysis {
        analyse(&Question::new(architecture.clone(), requirements.to_vec()), &Effort::default()).unwrap()
    }

    fn english(status: &maru_api::ArchitectureStatus) -> String {
        status.reason_text.as_ref().unwrap().get(Language::En).to_owned()
    }

    #[test]
    fn the_cheapest_choice_keeps_the_split_tail() {
        let analysis = ask(&shop(), &[latency("0.999", "100ms")]);
        let Outcome::Feasible(solution) = &analysis.outcome else { panic!("{:?}", analysis.outcome) };
        let status = analysis.status();
        assert_eq!((solution.cost, solution.within), (400_000_000, 0), "{status:?}");
        assert_eq!(english(&status), "feasible: 2 services, the cheapest choice costs 400 KRW/month");
        assert_eq!(status.reason, "가능: 서비스 2개, 가장 싼 선택은 400 KRW/month");
        assert_eq!((status.numbers[0].asked.as_str(), status.numbers[0].reached.as_str()), ("≤ 100ms", "80ms"));
    }

    #[test]
    fn a_conflict_names_its_requirements_and_what_would_help() {
        let analysis = ask(&shop(), &[latency("0.999", "100ms"), cost("250 KRW/month")]);
        assert_eq!(analysis.conflicts(), [["cheap", "fast"]]);
        let status = analysis.status();
        assert_eq!(english(&status), "infeasible: cannot all hold: cheap, fast");
        let told: Vec<(&str, &str, Option<&str>)> = status
            .relaxations
            .iter()
            .map(|one| (one.requirement.as_str(), one.now.as_str(), one.to.as_deref()))
            .collect();
        let expected = [("fast", "≤ 100ms", Some("≤ 120ms")), ("cheap", "≤ 250 KRW/month", Some("≤ 400 KRW/month"))];
        assert_eq!(told, expected);
        let agreement = analysis.agreement.as_ref().unwrap();
        assert_eq!(agreement.changes.len(), 1);
        assert_eq!(analysis.asked[agreement.changes[0].bound].requirement, "cheap");
        // Another program has all that it needs.
        let json: serde_json::Value = serde_json::from_slice(&analysis.certificate_blob()).unwrap();
        let model: Model = serde_json::from_value(json["model"].clone()).unwrap();
        let certificates: Vec<Certificate> = serde_json::from_value(json["certificates"].clone()).unwrap();
        assert!(!certificates.is_empty() && certificates.iter().all(|certificate| check(&model, certificate).is_ok()));
    }

    #[test]
    fn loads_of_many_services_are_one_row() {
        let mut load = latency("0.999", "130ms");
        load.1 = serde_json::from_value(json!({"statement": "…", "criterion": {"indicator": "throughput",
            "of": {"service": "orders"}, "atLeast": "150/s"}}))
        .unwrap();
        let analysis = ask(&shop(), &[load, cost("250 KRW/month")]);
        let status = analysis.status();
        assert_eq!(status.conflicts.len(), 1);
        let rows: Vec<&str> = status.conflicts[0].rows.iter().map(|row| row.get(Language::En)).collect();
        assert_eq!(rows, ["cheap: cost ≤ 250 KRW/month (over 2 services)", "fast: capacity ≥ 150/s (orders)"]);
        let mut load = latency("0.999", "130ms");
        load.1 = serde_json::from_value(json!({"statement": "…", "criterion": {"indicator": "throughput",
            "of": {"service": "orders"}, "atLeast": "150/s"}}))
        .unwrap();
        let status = ask(&shop(), &[load, cost("450 KRW/month")]).status();
        let rows: Vec<&str> = status.conflicts[0].rows.iter().map(|row| row.get(Language::Ko)).collect();
        assert_eq!(
            rows,
            ["cheap: 비용 ≤ 450 KRW/month (서비스 2개의 합)", "fast: 서비스 2개의 처리 용량 150/s (orders, payments)"]
        );
        let analysis = ask(&shop(), &[latency("0.99", "1s"), cost("150 KRW/month")]);
        assert_eq!(analysis.status().conflicts[0].requirements, ["cheap"]);
    }

    #[test]
    fn missing_numbers_are_told_and_not_guessed() {
        let analysis = ask(&shop(), &[latency("0.9999", "100ms")]);
        let why = "option \"small\" of \"orders\" has no latency at p99.995 or higher";
        assert_eq!(analysis.not_analysed[0].why.get(Language::En), why);
        assert!(analysis.model.bounds.is_empty());
    }

    #[test]
    fn circles_are_refused() {
        let mut shop = shop();
        shop.services[1].calls = shop.services[0].calls.clone();
        shop.services[1].calls[0].to = "orders".to_owned();
        let question = Question::new(shop, vec![latency("0.99", "1s")]);
        let error = analyse(&question, &Effort::default()).unwrap_err();
        assert!(matches!(error, AnalysisError::Circle { .. }));
        assert_eq!(status_of_error(&question, &error).outcome, Some(maru_api::Feasibility::Unknown));
    }

    #[test]
    fn what_was_stopped_is_unknown() {
        let effort = Effort::default();
        effort.stop.stop();
        let question = Question::new(shop(), vec![latency("0.999", "100ms"), cost("250 KRW/month")]);
        let analysis = analyse(&question, &effort).unwrap();
        assert!(matches!(analysis.outcome, Outcome::Unknown { .. }));
        assert_eq!(analysis.status().outcome, Some(maru_api::Feasibility::Unknown));
    }

    fn reading(requirement: &str, result: serde_json::Value, outcome: maru_api::Outcome) -> Reading {
        Reading {
            requirement: requirement.to_owned(),
            evidence: Digest::of(b"envelope"),
            is_slo: true,
            environment: Some("prod".to_owned()),
            until: jiff::Timestamp::UNIX_EPOCH,
            outcome,
            result: serde_json::from_value(result).unwrap(),
        }
    }

    /// Payments alone is measured: 70 ms where 20 ms was thought. Then a choice that was feasible is none any more.
    #[test]
    fn a_measurement_takes_the_place_of_an_estimate_and_can_end_feasibility() {
        use maru_api::Outcome::Violated;
        let pays: (String, RequirementSpec) = {
            let criterion = json!({"indicator": "latency", "of": {"service": "payments"}, "quantile": "0.9995",
                "atMost": "65ms", "window": "1d"});
            requirement("pays", "must", criterion)
        };
        let requirements = vec![latency("0.999", "75ms"), pays];
        let question = Question::new(shop(), requirements);
        let analysis = analyse(&question, &Effort::default()).unwrap();
        assert_eq!(analysis.status().outcome, Some(maru_api::Feasibility::Feasible));
        let result = json!({"outcome": "Violated", "value": 0.069, "low": 0.068, "high": 0.07, "confidence": 0.95,
            "samples": 90_000, "unit": "seconds", "quantile": 0.9995});
        let readings = [reading("pays", result, Violated)];
        // Two copies run, as either option has: which of them is not said.
        let copies: Copies = [(("prod".to_owned(), "payments".to_owned()), 2)].into();
        let unclear = question.clone().measured(&readings, &copies);
        assert!(unclear.measured[0].evidence.is_none() && unclear.measured[0].value.contains("not known"));
        assert_eq!(unclear.architecture, question.architecture);
        let mut said = question;
        said.architecture.services[1].runs = Some("large".to_owned());
        let measured = said.measured(&readings, &copies);
        let number = &measured.measured[0];
        assert_eq!((number.value.as_str(), number.estimate.as_deref()), ("70ms", Some("20ms")));
        assert_eq!(number.evidence, Some(Digest::of(b"envelope")));
        let analysis = analyse(&measured, &Effort::default()).unwrap();
        assert_eq!(analysis.conflicts(), [["fast"]]);
        assert_eq!(analysis.measured, (1, 4));
        assert_eq!(english(&analysis.status()), "infeasible: cannot all hold: fast (with measured numbers)");
    }

    #[test]
    fn a_sum_that_was_measured_makes_no_part_better() {
        let mut shop = shop();
        for service in &mut shop.services {
            service.runs = Some("large".to_owned());
        }
        let question = Question::new(shop, vec![latency("0.999", "100ms")]);
        let result =
            |high: f64| json!({"outcome": "Met", "low": 0.001, "high": high, "unit": "seconds", "quantile": 0.999});
        let better = reading("fast", result(0.01), maru_api::Outcome::Met);
        let same = question.clone().measured(&[better], &Copies::new());
        assert_eq!(same.architecture, question.architecture);
        let worse = reading("fast", result(0.07), maru_api::Outcome::Met);
        let raised = question.clone().measured(&[worse], &Copies::new());
        // 70 ms less the 20 ms of payments.
        assert_eq!(raised.measured[0].value, "50ms");
        assert_eq!(raised.architecture.services[1], question.architecture.services[1]);
        // A share within a time that is too small says only "later".
        let late = json!({"outcome": "Violated", "low": 0.9, "high": 0.95, "unit": "ratio", "threshold": 0.1});
        let raised = question.measured(&[reading("fast", late, maru_api::Outcome::Violated)], &Copies::new());
        let analysis = analyse(&raised, &Effort::default()).unwrap();
        let status = analysis.status();
        assert_eq!(status.outcome, Some(maru_api::Feasibility::Feasible), "the small option may do");
        assert_eq!(status.choice[0].option, "small");
    }

    #[test]
    fn a_decision_changes_one_limit_and_says_what_follows() {
        let question = Question::new(shop(), vec![latency("0.999", "100ms"), cost("250 KRW/month")]);
        let analysis = analyse(&question, &Effort::default()).unwrap();
        let reasons = Reasons {
            who: Some("kim".to_owned()),
            why: "the customer agreed".to_owned(),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        let decide = |wish: Wish| decide(&question, &analysis, &wish, &reasons, &Effort::default());
        let decided = decide(Wish::Relaxation(2)).unwrap();
        assert_eq!((decided.before.as_str(), decided.after.as_str()), ("250 KRW/month", "400 KRW/month"));
        assert_eq!(decided.outcome, Some(maru_api::Feasibility::Feasible));
        assert_ne!(decided.fingerprint, decided.fingerprint_before);
        assert_eq!(decided.record["conflicts"][0]["requirements"], json!(["cheap", "fast"]));
        assert_eq!(decided.record["certificate"], json!(analysis.certificate_digest()));
        assert_eq!(decided.record["decidedBy"], "kim");
        let nobody = Reasons { who: None, ..reasons.clone() };
        let decided = super::decide(&question, &analysis, &Wish::Relaxation(2), &nobody, &Effort::default()).unwrap();
        assert_eq!(decided.record.get("decidedBy"), None);
        let limit = |requirement: &str, field, value: &str| {
            decide(Wish::Limit { requirement: requirement.to_owned(), field, value: value.to_owned() })
        };
        assert_eq!(limit("fast", "atMost", "120ms").unwrap().outcome, Some(maru_api::Feasibility::Feasible));
        assert_eq!(limit("fast", "atMost", "110ms").unwrap().outcome, Some(maru_api::Feasibility::Infeasible));
        for (result, expected) in [
            (limit("fast", "atLeast", "1s"), "has no atLeast; it has atMost"),
            (limit("fast", "atMost", "soon"), "\"soon\" cannot be the atMost of \"fast\""),
            (limit("fast", "atMost", "0.1s"), "asks for 100ms already"),
            (limit("slow", "atMost", "1s"), "no requirement \"slow\""),
            (decide(Wish::Relaxation(3)), "lists 2"),
        ] {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn availability_has_a_price() {
        let criterion = json!({"indicator": "availability", "of": {"service": "orders"}, "atLeast": "99%"});
        let mut shop = shop();
        for service in &mut shop.services {
            service.options[1].replicas = Some(3);
        }
        let question = Question::new(shop, vec![requirement("up", "must", criterion), cost("250 KRW/month")]);
        let analysis = analyse(&question, &Effort { curve_points: 8, ..Effort::default() }).unwrap();
        let rows = analysis.tradeoff_rows();
        assert_eq!(rows.len(), 3, "{rows:?}");
        assert_eq!(rows[0][1], "200 KRW/month");
        assert_eq!(rows[2][1], "600 KRW/month");
        assert!(rows[2][0] > rows[0][0], "{rows:?}");
    }
}
