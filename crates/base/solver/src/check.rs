//! Checks certificates. Shares nothing with the search but the types, computes in checked 128-bit integers,
//! and believes nothing that it has not added up itself.

use crate::certificate::{Certificate, Claim, End, Multiplier, Part, Proof, Term};
use crate::model::{Model, ModelError, Quantity, Scope};

/// Why a certificate was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Doubt {
    /// The model itself.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The selection is none, or it breaks a bound.
    #[error("the claimed selection does not keep to its bounds")]
    Selection,
    /// A place is not in the model or not in the claim.
    #[error("node {node} of the proof names something that the claim does not speak of")]
    Reference {
        /// The node.
        node: usize,
    },
    /// A combination does not refute.
    #[error("the combination of node {node} is not broken by every selection")]
    Combination {
        /// The node.
        node: usize,
    },
    /// A split leaves an option out.
    #[error("the split of node {node} does not cover all options")]
    Cover {
        /// The node.
        node: usize,
    },
    /// A number does not fit.
    #[error("a sum in node {node} does not fit 128 bits")]
    Overflow {
        /// The node.
        node: usize,
    },
}

/// A bound as "sum of sign × value ≤ limit".
#[derive(Clone)]
struct Row<'a> {
    quantity: Quantity,
    scope: &'a Scope,
    sign: i128,
    limit: i128,
}

/// What the claim allows a proof to use.
struct Given<'a> {
    model: &'a Model,
    under: Vec<usize>,
    better: Option<Row<'a>>,
}

/// Quantity, scope and sign of what is claimed to be best.
type Aim<'a> = (Quantity, &'a Scope, i64);

/// Options that are left, by choice.
type Left = Vec<Vec<usize>>;

/// Checks a certificate against its model.
///
/// # Errors
/// Says where the proof does not show what it claims.
pub fn check(model: &Model, certificate: &Certificate) -> Result<(), Doubt> {
    model.validate()?;
    let all = || (0..model.bounds.len()).collect();
    let mut within = 0;
    let (under, aim, options): (Vec<usize>, Option<Aim<'_>>, &[usize]) = match &certificate.claim {
        Claim::Conflict { bounds } => (bounds.clone(), None, &[]),
        Claim::Cheapest { options, within: claimed } => {
            within = *claimed;
            (all(), Some((Quantity::Cost, &Scope::All, 1)), options)
        }
        Claim::Nearest { bound, under, options, within: claimed } => {
            within = *claimed;
            let bound = model.bounds.get(*bound).ok_or(Doubt::Selection)?;
            (under.clone(), Some((bound.quantity, &bound.scope, bound.limit.sign())), options)
        }
    };
    if under.iter().any(|bound| *bound >= model.bounds.len()) {
        return Err(Doubt::Selection);
    }
    let better = match aim {
        None => None,
        Some((quantity, scope, sign)) => {
            let fits = options.len() == model.choices.len()
                && options.iter().zip(&model.choices).all(|(option, choice)| *option < choice.options.len());
            if !fits || !under.iter().all(|bound| model.keeps(*bound, options)) {
                return Err(Doubt::Selection);
            }
            let reached = i128::from(sign) * i128::from(model.sum(quantity, scope, options));
            let limit = reached - i128::from(step(model, quantity, scope)).max(i128::from(within) + 1);
            Some(Row { quantity, scope, sign: i128::from(sign), limit })
        }
    };
    refute(&Given { model, under, better }, &certificate.proof)
}

/// Returns the greatest number that divides every value, and so every sum: what is smaller is smaller by this much.
fn step(model: &Model, quantity: Quantity, scope: &Scope) -> u64 {
    let mut divisor = 0;
    for (place, choice) in model.choices.iter().enumerate().filter(|(place, _)| scope.has(*place)) {
        for option in 0..choice.options.len() {
            let (mut a, mut b) = (divisor, model.value(quantity, place, option).unsigned_abs());
            while b != 0 {
                (a, b) = (b, a % b);
            }
            divisor = a;
        }
    }
    divisor.max(1)
}

fn refute(given: &Given<'_>, proof: &Proof) -> Result<(), Doubt> {
    let left: Left = given.model.choices.iter().map(|choice| (0..choice.options.len()).collect()).collect();
    let mut open = vec![(0, left)];
    while let Some((index, mut left)) = open.pop() {
        let node = proof.nodes.get(index).ok_or(Doubt::Reference { node: index })?;
        for step in &node.steps {
            strike_out(&Sum::new(given, &step.multipliers, index)?, &step.options, &mut left)?;
        }
        match &node.end {
            End::Combination(multipliers) => {
                let (mins, excess) = Sum::new(given, multipliers, index)?.smallest(&left)?;
                if excess <= 0 && mins.iter().all(Option::is_some) {
                    return Err(Doubt::Combination { node: index });
                }
            }
            End::Split { choice, branches } => {
                let options = left.get(*choice).ok_or(Doubt::Reference { node: index })?;
                let covers = |option| branches.iter().any(|(options, _)| options.contains(option));
                if !options.iter().all(covers) {
                    return Err(Doubt::Cover { node: index });
                }
                for (options, child) in branches {
                    // Later nodes only: the tree has an end.
                    if *child <= index {
                        return Err(Doubt::Reference { node: index });
                    }
                    let mut part = left.clone();
                    part[*choice].retain(|option| options.contains(option));
                    open.push((*child, part));
                }
            }
        }
    }
    Ok(())
}

/// Strikes out options after seeing for each that nothing can be selected with it.
fn strike_out(sum: &Sum<'_>, parts: &[Part], left: &mut Left) -> Result<(), Doubt> {
    let (mins, excess) = sum.smallest(left)?;
    // A choice without options has no smallest value: nothing can be selected any more, whatever is struck out.
    let nothing_left = mins.iter().any(Option::is_none);
    for part in parts {
        let options = sum.model.choices.get(part.choice).map(|choice| choice.options.len());
        let (Some(options), Some(min)) = (options, mins.get(part.choice)) else {
            return Err(Doubt::Reference { node: sum.node });
        };
        for option in &part.options {
            if *option >= options {
                return Err(Doubt::Reference { node: sum.node });
            }
            let others = excess.checked_sub(min.unwrap_or(0));
            let with = sum.value(part.choice, *option)?;
            let with = others.and_then(|others| others.checked_add(with)).ok_or(Doubt::Overflow { node: sum.node })?;
            if with <= 0 && !nothing_left {
                return Err(Doubt::Combination { node: sum.node });
            }
        }
        left[part.choice].retain(|kept| !part.options.contains(kept));
    }
    Ok(())
}

/// A sum of bounds times numbers.
struct Sum<'a> {
    model: &'a Model,
    node: usize,
    /// Quantity, factor, and which choices are in scope (none: all).
    parts: Vec<(Quantity, i128, Option<Vec<bool>>)>,
    limit: i128,
}

impl<'a> Sum<'a> {
    fn new(given: &Given<'a>, multipliers: &[Multiplier], node: usize) -> Result<Self, Doubt> {
        let mut sum = Self { model: given.model, node, parts: Vec::new(), limit: 0 };
        for multiplier in multipliers {
            let row = row(given, multiplier.of).ok_or(Doubt::Reference { node })?;
            let times = i128::from(multiplier.times);
            let limit = row.limit.checked_mul(times).and_then(|limit| sum.limit.checked_add(limit));
            sum.limit = limit.ok_or(Doubt::Overflow { node })?;
            let members = match row.scope {
                Scope::All => None,
                Scope::Only(choices) => {
                    let mut members = vec![false; given.model.choices.len()];
                    choices.iter().for_each(|choice| members[*choice] = true);
                    Some(members)
                }
            };
            sum.parts.push((row.quantity, row.sign * times, members));
        }
        Ok(sum)
    }

    fn value(&self, choice: usize, option: usize) -> Result<i128, Doubt> {
        let parts = self.parts.iter().filter(|(_, _, members)| members.as_ref().is_none_or(|members| members[choice]));
        parts
            .map(|(quantity, factor, _)| factor.checked_mul(i128::from(self.model.value(*quantity, choice, option))))
            .try_fold(0_i128, |sum, part| sum.checked_add(part?))
            .ok_or(Doubt::Overflow { node: self.node })
    }

    /// Returns the smallest value of each choice, and by how much the sum of these exceeds the limit.
    fn smallest(&self, left: &Left) -> Result<(Vec<Option<i128>>, i128), Doubt> {
        let mut mins = Vec::with_capacity(left.len());
        let mut excess = 0_i128.checked_sub(self.limit).ok_or(Doubt::Overflow { node: self.node })?;
        for (choice, options) in left.iter().enumerate() {
            let touched = self.parts.iter().any(|(_, _, members)| members.as_ref().is_none_or(|all| all[choice]));
            let mut min = None;
            for option in options {
                let value = self.value(choice, *option)?;
                min = Some(min.map_or(value, |min: i128| min.min(value)));
                if !touched {
                    break;
                }
            }
            mins.push(min);
            excess = excess.checked_add(min.unwrap_or(0)).ok_or(Doubt::Overflow { node: self.node })?;
        }
        Ok((mins, excess))
    }
}

fn row<'a>(given: &Given<'a>, term: Term) -> Option<Row<'a>> {
    match term {
        Term::Better => given.better.clone(),
        Term::Bound(bound) if given.under.contains(&bound) => {
            let bound = &given.model.bounds[bound];
            let sign = i128::from(bound.limit.sign());
            let limit = sign * i128::from(bound.limit.value());
            Some(Row { quantity: bound.quantity, scope: &bound.scope, sign, limit })
        }
        Term::Bound(_) => None,
    }
}
