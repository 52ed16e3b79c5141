//! The question and its three answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::certificate::{Certificate, Claim};
use crate::check::check;
use crate::conflict::Explorer;
use crate::model::{Model, ModelError};
use crate::search::{Budget, Ended, Floor, Search, Wanted};
use crate::table::{Aim, Table};

/// Tells searches to give up: for callers who have a clock.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends all searches that hold this, soon.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Tells whether they are to end.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How much work is done before the answer is [`Outcome::Unknown`]. Counts, so that answers do not depend on a clock,
/// unless somebody with a clock says stop.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How many nodes a search looks at, those included that it only tries; all searches for conflicts
    /// together look at a quarter.
    pub nodes: u64,
    /// When the cheapest is not known after so many nodes, one that is at most this much dearer will do, in millionths
    /// of its cost, or else the cheapest that was found, with what is proven of it; the certificate says how near it is.
    /// Zero: only the cheapest will.
    pub within_millionths: u32,
    /// How many conflicts are told.
    pub conflicts: usize,
    /// How many searches are made for conflicts.
    pub searches: u64,
    /// Gives up early.
    pub stop: Stop,
}

impl Default for Limits {
    fn default() -> Self {
        Self { nodes: 20_000, within_millionths: 0, conflicts: 8, searches: 2_000, stop: Stop::default() }
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All bounds can be kept; this is the cheapest way.
    Feasible(Solution),
    /// They cannot; these are smallest sets that cannot.
    Infeasible(Conflicts),
    /// The search was given up.
    Unknown {
        /// Why.
        why: Why,
        /// A selection that keeps to all bounds, when one was found: perhaps not the cheapest.
        found: Option<Vec<usize>>,
        /// No selection costs less.
        cost_at_least: Option<i64>,
    },
}

/// A selection and the proof that none is better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    /// The option of each choice.
    pub options: Vec<usize>,
    /// What they cost.
    pub cost: i64,
    /// None is cheaper by more than this; zero: none is cheaper.
    pub within: i64,
    /// Why none is cheaper.
    pub certificate: Certificate,
}

/// Sets of bounds that cannot all be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts {
    /// At least one. Each is minimal, unless `minimal` says otherwise of it.
    pub conflicts: Vec<Conflict>,
    /// Whether there are no others.
    pub complete: bool,
}

/// Bounds that cannot all be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The bounds, by their places, in order.
    pub bounds: Vec<usize>,
    /// Whether without any one of them the rest can be kept: false where the work limit was met before that was known.
    pub minimal: bool,
    /// Why they cannot all be kept.
    pub certificate: Certificate,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// The work limit was met.
    #[error("the search was given up after {nodes} nodes")]
    Nodes {
        /// How many.
        nodes: u64,
    },
    /// Somebody said stop.
    #[error("the search was stopped, as its time was over")]
    Stopped,
    /// The checker does not believe the search: a fault of ours.
    #[error("the search's own proof was refused by the checker ({doubt}); please report the model")]
    Refused {
        /// What the checker said.
        doubt: String,
    },
}

impl Limits {
    pub(crate) fn budget(&self) -> Budget {
        Budget { nodes: self.nodes, stop: self.stop.clone() }
    }

    /// Returns why a search was given up.
    pub(crate) fn why(&self) -> Why {
        if self.stop.is_stopped() { Why::Stopped } else { Why::Nodes { nodes: self.nodes } }
    }
}

/// Finds the cheapest selection that keeps to all bounds, or smallest sets of bounds that cannot all be kept.
///
/// Every certificate was checked before it is returned.
///
/// # Errors
/// Says why the model cannot be computed exactly.
pub fn solve(model: &Model, limits: &Limits) -> Result<Outcome, ModelError> {
    model.validate()?;
    let table = Table::new(model, Aim::Cost);
    let active = vec![true; table.limits.len()];
    let cost_of =
        |selection: &[usize]| model.sum(crate::Quantity::Cost, &crate::Scope::All, &table.selection(selection));
    let ended = Search::new(&table, &active, Wanted::Best).run(&mut limits.budget(), None, None);
    let (ended, within) = match within_tolerance(ended, limits, table.step, cost_of) {
        // What is proven may be too little; then the search is told to look for what is much better only.
        (Ended::Spent { best: Some(best), floor }, _) if limits.within_millionths > 0 => {
            let within = tolerance(cost_of(&best), limits);
            let search = Search::new(&table, &active, Wanted::Best).within(within);
            match search.run(&mut limits.budget(), None, Some(&best)) {
                Ended::Spent { best: later, .. } => {
                    as_near_as_proven(later.unwrap_or(best), floor, table.step, cost_of)
                }
                ended => (ended, within),
            }
        }
        ended => ended,
    };
    match ended {
        Ended::Found(selection, proof) => {
            let options = table.selection(&selection);
            let cost = model.sum(crate::Quantity::Cost, &crate::Scope::All, &options);
            let claim = Claim::Cheapest { options: options.clone(), within: within.unsigned_abs() };
            let certificate = Certificate { claim, proof: proof.unwrap_or_default() };
            if let Err(doubt) = check(model, &certificate) {
                return Ok(Outcome::Unknown {
                    why: Why::Refused { doubt: doubt.to_string() },
                    found: Some(options),
                    cost_at_least: None,
                });
            }
            Ok(Outcome::Feasible(Solution { options, cost, within, certificate }))
        }
        Ended::Refuted(proof, multipliers) => {
            let conflicts = Explorer::new(model, &table, limits, multipliers).explore(proof);
            let doubt = conflicts.conflicts.iter().find_map(|conflict| check(model, &conflict.certificate).err());
            Ok(match doubt {
                Some(doubt) => Outcome::Unknown {
                    why: Why::Refused { doubt: doubt.to_string() },
                    found: None,
                    cost_at_least: None,
                },
                None => Outcome::Infeasible(conflicts),
            })
        }
        Ended::Spent { best: found, floor } => Ok(Outcome::Unknown {
            why: limits.why(),
            cost_at_least: floor.map(|floor| floor.at_least),
            found: found.map(|selection| table.selection(&selection)),
        }),
    }
}

/// Takes a selection with what is proven of how near it is to the best, whatever that is.
fn as_near_as_proven(best: Vec<usize>, floor: Option<Floor>, step: i64, sum: impl Fn(&[usize]) -> i64) -> (Ended, i64) {
    match floor {
        Some(floor) if floor.at_least != i64::MAX => {
            let within = sum(&best).saturating_sub(floor.at_least);
            (Ended::Found(best, Some(floor.proof)), if within >= step { within } else { 0 })
        }
        floor => (Ended::Spent { best: Some(best), floor }, 0),
    }
}

/// How much more than the best will do.
fn tolerance(sum: i64, limits: &Limits) -> i64 {
    let part = i128::from(sum).abs() * i128::from(limits.within_millionths) / 1_000_000;
    i64::try_from(part).unwrap_or(0)
}

/// Takes the best selection of a search that was given up, when it is near enough to what none undercuts; returns how near.
/// `sum` gives what was made small, with the sign of its side.
pub(crate) fn within_tolerance(
    ended: Ended,
    limits: &Limits,
    step: i64,
    sum: impl Fn(&[usize]) -> i64,
) -> (Ended, i64) {
    match ended {
        Ended::Spent { best: Some(best), floor: Some(floor) } => {
            let reached = sum(&best);
            // Sums differ by a step at least.
            let within = Some(reached.saturating_sub(floor.at_least)).filter(|within| *within >= step).unwrap_or(0);
            if within <= tolerance(reached, limits) {
                (Ended::Found(best, Some(floor.proof)), within)
            } else {
                (Ended::Spent { best: Some(best), floor: Some(floor) }, 0)
            }
        }
        ended => (ended, 0),
    }
}
