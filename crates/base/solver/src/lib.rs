//! Chooses one option for each of many places, cheapest first, under bounds: exactly, or not at all.
//!
//! Owns: the model of choices and bounds, the search, minimal conflicts, certificates and the checker that trusts nobody.
//! Never: knows what a choice means; takes an aborted search for an answer.
//! Source: ours; the certificate is a Farkas combination of the bounds (docs/guide/analysis.md).

mod branch;
mod certificate;
mod check;
mod conflict;
mod incumbent;
mod model;
mod narrow;
mod negotiate;
mod relaxation;
mod rows;
mod search;
mod solve;
mod table;

pub use certificate::{Beaten, Certificate, Claim, End, Multiplier, Node, Part, Proof, Step, Term};
pub use check::{Doubt, check};
pub use model::{Bound, Candidate, Choice, Limit, Model, ModelError, Quantity, Scope};
pub use negotiate::{Agreement, Change, Curve, Point, Relaxation, curve, relax, relax_by_priority};
pub use solve::{Conflict, Conflicts, Limits, Outcome, Solution, Stop, Why, solve};
