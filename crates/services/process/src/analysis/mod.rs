//! Asks whether an architecture can keep its requirements, before anything is built.
//!
//! Owns: the way from an `Architecture` and typed criteria to bounds of `maru-solver`, and back to words.
//! Never: guesses a number that an option does not have: the requirement is then told as not analysed, with the reason.

mod bounds;
mod report;

use maru_api::{ArchitectureSpec, Digest, Origin, Priority, Rate, Ratio, RequirementSpec, Span};
use maru_solver::{Agreement, Limits, Model, ModelError, Outcome, Relaxation, relax, relax_by_priority, solve};

pub use bounds::{Asked, NotAnalysed};

/// How much dearer than the cheapest a choice may be when the cheapest takes too long to prove: the report says so.
const WITHIN_MILLIONTHS: u32 = 10_000;
/// So many members of conflicts are tried for a relaxation of their own.
const RELAXED_MAX: usize = 24;

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
    /// What all agree on when the less important gives way.
    pub agreement: Option<Agreement>,
    /// Requirements that the architecture has no numbers for, and why.
    pub not_analysed: Vec<NotAnalysed>,
    /// Options whose numbers are measured, and all options.
    pub measured: (usize, usize),
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

/// Analyses named requirements against an architecture.
///
/// # Errors
/// Says what is wrong with the architecture.
pub fn analyse(
    architecture: &ArchitectureSpec,
    requirements: &[(String, RequirementSpec)],
) -> Result<Analysis, AnalysisError> {
    let built = bounds::build(architecture, requirements)?;
    let limits = Limits { nodes: 500, within_millionths: WITHIN_MILLIONTHS, ..Limits::default() };
    let outcome = solve(&built.model, &limits)?;
    let mut relaxations = Vec::new();
    let mut agreement = None;
    if let Outcome::Infeasible(found) = &outcome {
        let mut members: Vec<usize> = found.conflicts.iter().flat_map(|conflict| conflict.bounds.clone()).collect();
        members.sort_unstable();
        members.dedup();
        for bound in members.into_iter().take(RELAXED_MAX) {
            relaxations.push((bound, relax(&built.model, bound, &limits)?));
        }
        let mut order: Vec<usize> = (0..built.asked.len()).collect();
        order.sort_by_key(|bound| built.asked[*bound].priority);
        agreement = relax_by_priority(&built.model, &order, &limits)?.ok();
    }
    let options = || architecture.services.iter().flat_map(|service| &service.options);
    let measured = options().filter(|option| option.from == Origin::Measured).count();
    Ok(Analysis {
        model: built.model,
        asked: built.asked,
        outcome,
        relaxations,
        agreement,
        not_analysed: built.not_analysed,
        measured: (measured, options().count()),
        currency: built.currency,
    })
}

/// Numbers that were measured for one option of a service.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// The service.
    pub service: String,
    /// The option that runs.
    pub option: String,
    /// The availability of one copy, when that was measured.
    pub availability: Option<Ratio>,
    /// Latencies by quantile (`p99`), those that were measured.
    pub latency: std::collections::BTreeMap<String, Span>,
    /// The load that it carried, when that was measured.
    pub capacity: Option<Rate>,
    /// The evidence.
    pub evidence: Digest,
}

/// Puts measured numbers in the place of estimates and stamps them; returns whether the option was found.
pub fn replace_estimates(architecture: &mut ArchitectureSpec, measurement: &Measurement) -> bool {
    let services = architecture.services.iter_mut().filter(|service| service.name == measurement.service);
    let mut options = services.flat_map(|service| &mut service.options);
    let Some(option) = options.find(|option| option.name == measurement.option) else { return false };
    option.availability = measurement.availability.or(option.availability);
    option.capacity = measurement.capacity.or(option.capacity);
    option.latency.extend(measurement.latency.iter().map(|(quantile, span)| (quantile.clone(), *span)));
    option.from = Origin::Measured;
    option.evidence = Some(measurement.evidence);
    true
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

    #[test]
    fn the_cheapest_choice_keeps_the_split_tail() {
        let analysis = analyse(&shop(), &[latency("0.999", "100ms")]).unwrap();
        let Outcome::Feasible(solution) = &analysis.outcome else { panic!("{}", analysis.text()) };
        assert_eq!((solution.cost, solution.within), (400_000_000, 0), "{}", analysis.text());
        assert!(analysis.text().starts_with("feasible"), "{}", analysis.text());
    }

    #[test]
    fn a_conflict_names_its_requirements_and_what_would_help() {
        let analysis = analyse(&shop(), &[latency("0.999", "100ms"), cost("250 KRW/month")]).unwrap();
        assert_eq!(analysis.conflicts(), [["cheap", "fast"]]);
        let text = analysis.text();
        assert!(text.contains("cheap (cost): at most 250 KRW/month → at most 400 KRW/month"), "{text}");
        assert!(text.contains("fast (latency): at most 100 ms → at most 120 ms"), "{text}");
        let agreement = analysis.agreement.as_ref().unwrap();
        assert_eq!(agreement.changes.len(), 1);
        assert_eq!(analysis.asked[agreement.changes[0].bound].requirement, "cheap");
        // Another program has all that it needs.
        let json: serde_json::Value = serde_json::from_str(&analysis.json().to_string()).unwrap();
        let model: Model = serde_json::from_value(json["model"].clone()).unwrap();
        let certificates: Vec<Certificate> = serde_json::from_value(json["certificates"].clone()).unwrap();
        assert!(!certificates.is_empty() && certificates.iter().all(|certificate| check(&model, certificate).is_ok()));
    }

    #[test]
    fn a_measurement_takes_the_place_of_an_estimate_and_can_end_feasibility() {
        let mut shop = shop();
        let latency_at = |span: &str| [("p9995".to_owned(), span.parse().unwrap())].into();
        for service in ["orders", "payments"] {
            let measurement = Measurement {
                service: service.to_owned(),
                option: "large".to_owned(),
                availability: None,
                latency: latency_at("70ms"),
                capacity: None,
                evidence: Digest::of(b"report"),
            };
            assert!(replace_estimates(&mut shop, &measurement));
        }
        let analysis = analyse(&shop, &[latency("0.999", "100ms")]).unwrap();
        assert_eq!(analysis.conflicts(), [["fast"]]);
        assert_eq!(analysis.measured, (2, 4));
    }

    #[test]
    fn missing_numbers_are_told_and_not_guessed() {
        let analysis = analyse(&shop(), &[latency("0.9999", "100ms")]).unwrap();
        let why = "option \"small\" of \"orders\" has no latency at p99.995 or higher";
        assert_eq!(analysis.not_analysed[0].why, why);
        assert!(analysis.model.bounds.is_empty());
    }

    #[test]
    fn circles_are_refused() {
        let mut shop = shop();
        shop.services[1].calls = shop.services[0].calls.clone();
        shop.services[1].calls[0].to = "orders".to_owned();
        assert!(matches!(analyse(&shop, &[latency("0.99", "1s")]), Err(AnalysisError::Circle { .. })));
    }

    #[test]
    fn copies_with_a_common_cause() {
        let mut option = shop().services[0].options[0].clone();
        // 1 % down, of that 1 % together: 100,000 nano and about 0.0099².
        assert_eq!(bounds::unavailability_nano(&option), Some(198_001));
        option.needed = Some(2);
        assert!(bounds::unavailability_nano(&option).unwrap() > 19_000_000);
        option.replicas = None;
        assert_eq!(bounds::unavailability_nano(&option), Some(10_000_000));
    }
}
