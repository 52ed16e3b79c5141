//! An analysis in words and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maru_solver::{Certificate, Limit, Outcome, Quantity, Relaxation};
use serde_json::{Value, json};

use super::Analysis;

impl Analysis {
    /// Returns `feasible`, `infeasible` or `unknown`.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match self.outcome {
            Outcome::Feasible(_) => "feasible",
            Outcome::Infeasible(_) => "infeasible",
            Outcome::Unknown { .. } => "unknown",
        }
    }

    /// Returns the conflicts as names of requirements.
    #[must_use]
    pub fn conflicts(&self) -> Vec<Vec<String>> {
        let Outcome::Infeasible(found) = &self.outcome else { return Vec::new() };
        let names = |bounds: &[usize]| {
            let mut names: Vec<String> = bounds.iter().map(|bound| self.asked[*bound].requirement.clone()).collect();
            names.sort();
            names.dedup();
            names
        };
        let mut all: Vec<Vec<String>> = found.conflicts.iter().map(|conflict| names(&conflict.bounds)).collect();
        all.dedup();
        all
    }

    /// Returns the analysis as JSON: model, answer and certificates, enough to check it with another program.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut certificates: Vec<&Certificate> = Vec::new();
        let answer = match &self.outcome {
            Outcome::Feasible(solution) => {
                certificates.push(&solution.certificate);
                json!({
                    "choice": self.choice(&solution.options),
                    "cost": solution.cost,
                    "within": solution.within,
                })
            }
            Outcome::Infeasible(found) => {
                certificates.extend(found.conflicts.iter().map(|conflict| &conflict.certificate));
                let conflicts = found
                    .conflicts
                    .iter()
                    .map(|conflict| json!({"bounds": conflict.bounds, "minimal": conflict.minimal}));
                json!({
                    "conflicts": conflicts.collect::<Vec<_>>(),
                    "complete": found.complete,
                    "relaxations": self.relaxations.iter().map(|(bound, relaxation)| match relaxation {
                        Relaxation::To { limit, .. } => json!({"bound": bound, "limit": limit}),
                        Relaxation::NoUse => json!({"bound": bound, "limit": null}),
                        Relaxation::Unknown(why) => json!({"bound": bound, "unknown": why.to_string()}),
                    }).collect::<Vec<_>>(),
                    "byPriority": self.agreement.as_ref().map(|agreement| json!({
                        "changes": agreement.changes.iter()
                            .map(|change| json!({"bound": change.bound, "limit": change.limit}))
                            .collect::<Vec<_>>(),
                        "choice": self.choice(&agreement.options),
                        "cost": agreement.cost,
                    })),
                })
            }
            Outcome::Unknown { why, cost_at_least, .. } => {
                json!({"why": why.to_string(), "costAtLeast": cost_at_least})
            }
        };
        json!({
            "verdict": self.verdict(),
            "answer": answer,
            "asked": self.asked,
            "notAnalysed": self.not_analysed,
            "measuredOptions": self.measured.0,
            "options": self.measured.1,
            "currency": self.currency,
            "certificates": certificates,
            "model": self.model,
        })
    }

    /// Returns the analysis in words.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out).unwrap_or_default();
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        match &self.outcome {
            Outcome::Feasible(solution) => {
                writeln!(out, "feasible: all requirements that were analysed can be kept")?;
                let cost = self.value(Quantity::Cost, "cost", solution.cost);
                match solution.within {
                    0 => writeln!(out, "cheapest choice, {cost} (no other is cheaper; proof checked):")?,
                    within => {
                        let within = self.value(Quantity::Cost, "cost", within);
                        writeln!(out, "a choice for {cost} (none is cheaper by more than {within}; proof checked):")?;
                    }
                }
                self.write_choice(out, &solution.options)?;
            }
            Outcome::Infeasible(found) => {
                writeln!(
                    out,
                    "infeasible: these requirements cannot all be kept, whatever is chosen (proofs checked)"
                )?;
                for (at, conflict) in found.conflicts.iter().enumerate() {
                    let minimal = if conflict.minimal { "" } else { " (perhaps not the smallest set)" };
                    writeln!(out, "conflict {}{minimal}:", at + 1)?;
                    self.write_rows(out, &conflict.bounds)?;
                }
                if !found.complete {
                    writeln!(out, "there may be more conflicts")?;
                }
                self.write_negotiation(out)?;
            }
            Outcome::Unknown { why, found, cost_at_least } => {
                writeln!(out, "unknown: {why}")?;
                if let Some(least) = cost_at_least {
                    writeln!(out, "no choice costs less than {}", self.value(Quantity::Cost, "cost", *least))?;
                }
                if let Some(options) = found {
                    writeln!(out, "this choice keeps to all, and may not be the cheapest:")?;
                    self.write_choice(out, options)?;
                }
            }
        }
        for left in &self.not_analysed {
            writeln!(out, "not analysed: {}: {}", left.requirement, left.why)?;
        }
        writeln!(out, "numbers: {} of {} options measured, the others estimated", self.measured.0, self.measured.1)
    }

    fn choice(&self, options: &[usize]) -> BTreeMap<&str, &str> {
        let pairs = self.model.choices.iter().zip(options);
        pairs.map(|(choice, option)| (choice.name.as_str(), choice.options[*option].name.as_str())).collect()
    }

    fn write_choice(&self, out: &mut String, options: &[usize]) -> std::fmt::Result {
        self.choice(options).iter().try_for_each(|(service, option)| writeln!(out, "  {service}: {option}"))
    }

    /// One line a bound; bounds of one requirement on many services share a line.
    fn write_rows(&self, out: &mut String, bounds: &[usize]) -> std::fmt::Result {
        let mut rows: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for bound in bounds {
            let asked = &self.asked[*bound];
            rows.entry((&asked.requirement, asked.what)).or_default().push(*bound);
        }
        for ((requirement, what), bounds) in rows {
            match bounds.as_slice() {
                [only] => {
                    writeln!(out, "  {requirement}: {what} {}", self.limit(*only, self.model.bounds[*only].limit))?
                }
                several => {
                    let services: Vec<&str> =
                        several.iter().filter_map(|bound| self.asked[*bound].service.as_deref()).collect();
                    writeln!(out, "  {requirement}: {what} of {} services ({})", services.len(), services.join(", "))?;
                }
            }
        }
        Ok(())
    }

    fn write_negotiation(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "what one relaxation alone would do:")?;
        for (bound, relaxation) in &self.relaxations {
            let name = &self.model.bounds[*bound].name;
            let now = self.limit(*bound, self.model.bounds[*bound].limit);
            match relaxation {
                Relaxation::To { limit, .. } => writeln!(out, "  {name}: {now} → {}", self.limit(*bound, *limit))?,
                Relaxation::NoUse => writeln!(out, "  {name}: no relaxation of it alone is enough")?,
                Relaxation::Unknown(why) => writeln!(out, "  {name}: unknown, {why}")?,
            }
        }
        let Some(agreement) = &self.agreement else { return Ok(()) };
        writeln!(out, "when the less important gives way:")?;
        for change in &agreement.changes {
            let now = self.limit(change.bound, self.model.bounds[change.bound].limit);
            let name = &self.model.bounds[change.bound].name;
            writeln!(out, "  {name}: {now} → {}", self.limit(change.bound, change.limit))?;
        }
        writeln!(out, "  then a choice costs {}", self.value(Quantity::Cost, "cost", agreement.cost))
    }

    fn limit(&self, bound: usize, limit: Limit) -> String {
        let side = match limit {
            Limit::AtMost(_) => "at most",
            Limit::AtLeast(_) => "at least",
        };
        let value = self.value(self.model.bounds[bound].quantity, self.asked[bound].what, limit.value());
        if self.asked[bound].what == "availability" {
            format!("{side} {value} down")
        } else {
            format!("{side} {value}")
        }
    }

    /// Writes a value of the model in the unit that people read.
    fn value(&self, quantity: Quantity, what: &str, value: i64) -> String {
        let scaled = |unit: i64| {
            let (whole, rest) = (value.div_euclid(unit), value.rem_euclid(unit));
            let digits = unit.ilog10() as usize;
            let text = format!("{whole}.{rest:0digits$}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        match (quantity, what) {
            (Quantity::Cost, _) => format!("{} {}", scaled(1_000_000), self.currency),
            (Quantity::Metric(_), "capacity") => format!("{}/s", scaled(1_000_000)),
            (Quantity::Metric(_), "availability") => format!("{} %", scaled(10_000_000)),
            (Quantity::Metric(_), "latency") => format!("{} ms", scaled(1_000_000)),
            (Quantity::Metric(_), _) => format!("{} s", scaled(1_000_000_000)),
        }
    }
}
