//! The question and its three answers.

use crate::certificate::{Certificate, Claim};
use crate::check::check;
use crate::conflict::Explorer;
use crate::model::{Model, ModelError};
use crate::search::{Budget, Ended, Search, Wanted};
use crate::table::{Aim, Table};

/// How much work is done before the answer is [`Outcome::Unknown`]. Counts, so that answers do not depend on a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many nodes one search looks at.
    pub nodes: u64,
    /// How many conflicts are told.
    pub conflicts: usize,
    /// How many searches are made for conflicts.
    pub searches: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { nodes: 200_000, conflicts: 8, searches: 5_000 }
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
    },
}

/// A selection and the proof that none is better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    /// The option of each choice.
    pub options: Vec<usize>,
    /// What they cost.
    pub cost: i64,
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
    /// The checker does not believe the search: a fault of ours.
    #[error("the search's own proof was refused by the checker ({doubt}); please report the model")]
    Refused {
        /// What the checker said.
        doubt: String,
    },
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
    let mut budget = Budget { nodes: limits.nodes };
    match Search::new(&table, &active, Wanted::Best).run(&mut budget, None, None) {
        Ended::Found(selection, proof) => {
            let options = table.selection(&selection);
            let cost = model.sum(crate::Quantity::Cost, &crate::Scope::All, &options);
            let claim = Claim::Cheapest { options: options.clone() };
            let certificate = Certificate { claim, proof: proof.unwrap_or_default() };
            if let Err(doubt) = check(model, &certificate) {
                return Ok(Outcome::Unknown { why: Why::Refused { doubt: doubt.to_string() }, found: Some(options) });
            }
            Ok(Outcome::Feasible(Solution { options, cost, certificate }))
        }
        Ended::Refuted(proof, multipliers) => {
            let conflicts = Explorer::new(model, &table, limits, multipliers).explore(proof);
            let doubt = conflicts.conflicts.iter().find_map(|conflict| check(model, &conflict.certificate).err());
            Ok(match doubt {
                Some(doubt) => Outcome::Unknown { why: Why::Refused { doubt: doubt.to_string() }, found: None },
                None => Outcome::Infeasible(conflicts),
            })
        }
        Ended::Spent(found) => Ok(Outcome::Unknown {
            why: Why::Nodes { nodes: limits.nodes },
            found: found.map(|selection| table.selection(&selection)),
        }),
    }
}
