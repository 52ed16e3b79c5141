//! Checks certificates. Shares nothing with the search but the types, computes in checked 128-bit integers,
//! and believes nothing that it has not added up itself.

use std::rc::Rc;

use crate::certificate::{Beaten, Certificate, Claim, End, Multiplier, Part, Proof, Term};
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
            divisor = greatest_divisor(divisor, model.value(quantity, place, option).unsigned_abs());
        }
    }
    divisor.max(1)
}

/// "So many of these options are chosen or fewer", or "more are", below the node that says so.
#[derive(Clone)]
struct Case {
    node: usize,
    /// Whether an option is counted, by choice; a choice that has none may be short.
    counted: Rc<Vec<Vec<bool>>>,
    sign: i128,
    limit: i128,
}

/// What is left to refute.
struct Open {
    node: usize,
    left: Left,
    cases: Vec<Case>,
}

fn refute(given: &Given<'_>, proof: &Proof) -> Result<(), Doubt> {
    let left: Left = given.model.choices.iter().map(|choice| (0..choice.options.len()).collect()).collect();
    let mut open = vec![Open { node: 0, left, cases: Vec::new() }];
    while let Some(Open { node: index, mut left, mut cases }) = open.pop() {
        let node = proof.nodes.get(index).ok_or(Doubt::Reference { node: index })?;
        set_aside(given, &cases, &node.beaten, index, &mut left)?;
        for step in &node.steps {
            strike_out(&Sum::new(given, &cases, &left, &step.multipliers, index)?, &step.options, &mut left)?;
        }
        // Later nodes only: the tree has an end.
        let later = |child: usize| if child > index { Ok(child) } else { Err(Doubt::Reference { node: index }) };
        match &node.end {
            End::Combination(multipliers) => {
                let (mins, excess) = Sum::new(given, &cases, &left, multipliers, index)?.smallest(&left)?;
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
                    let mut part = left.clone();
                    part[*choice].retain(|option| options.contains(option));
                    open.push(Open { node: later(*child)?, left: part, cases: cases.clone() });
                }
            }
            End::Count { options, at_most, few, many } => {
                let counted = Rc::new(counted(given.model, options).ok_or(Doubt::Reference { node: index })?);
                let at_most = i128::from(*at_most);
                let case = |sign, limit| Case { node: index, counted: Rc::clone(&counted), sign, limit };
                let mut other = cases.clone();
                other.push(case(-1, -(at_most + 1)));
                cases.push(case(1, at_most));
                open.push(Open { node: later(*many)?, left: left.clone(), cases: other });
                open.push(Open { node: later(*few)?, left, cases });
            }
        }
    }
    Ok(())
}

/// Marks options; nothing when the model does not have one of them.
fn counted(model: &Model, parts: &[Part]) -> Option<Vec<Vec<bool>>> {
    let mut counted = vec![Vec::new(); model.choices.len()];
    for part in parts {
        let marks: &mut Vec<bool> = counted.get_mut(part.choice)?;
        marks.resize(model.choices[part.choice].options.len(), false);
        for option in &part.options {
            *marks.get_mut(*option)? = true;
        }
    }
    Some(counted)
}

/// Sets options aside after seeing that another one, which stays, does for each of them.
fn set_aside(given: &Given<'_>, cases: &[Case], all: &[Beaten], node: usize, left: &mut Left) -> Result<(), Doubt> {
    for same in all.chunk_by(|a, b| a.choice == b.choice) {
        let choice = same[0].choice;
        let options = given.model.choices.get(choice).ok_or(Doubt::Reference { node })?.options.len();
        let mut stays = vec![false; options];
        left[choice].iter().for_each(|option| stays[*option] = true);
        let rows = given.under.iter().filter_map(|bound| row(given, Term::Bound(*bound))).chain(given.better.clone());
        let rows: Vec<Row<'_>> = rows.filter(|row| row.scope.has(choice)).collect();
        for Beaten { by, options, .. } in same {
            // One after the other: what was set aside beats nothing any more.
            if options.iter().any(|option| *option >= stays.len() || option == by) || stays.get(*by) != Some(&true) {
                return Err(Doubt::Reference { node });
            }
            if !options.iter().all(|option| is_as_good(given.model, &rows, cases, choice, *by, *option)) {
                return Err(Doubt::Combination { node });
            }
            options.iter().for_each(|option| stays[*option] = false);
        }
        left[choice].retain(|option| stays[*option]);
    }
    Ok(())
}

/// Tells whether one option does for another, whatever else is chosen.
fn is_as_good(model: &Model, rows: &[Row<'_>], cases: &[Case], choice: usize, by: usize, option: usize) -> bool {
    let counts = |case: &Case, option: usize| if is_counted(&case.counted, choice, option) { case.sign } else { 0 };
    rows.iter().all(|row| {
        let value = |option: usize| row.sign * i128::from(model.value(row.quantity, choice, option));
        let alone = || matches!(row.scope, Scope::Only(choices) if choices.as_slice() == [choice]);
        let (mine, other) = (value(by), value(option));
        mine <= other || ((mine <= row.limit || other > row.limit) && alone())
    }) && cases.iter().all(|case| counts(case, by) <= counts(case, option))
}

/// Returns the greatest sum that the options that are left can have within a row's limit.
fn rounded(model: &Model, row: &Row<'_>, left: &Left) -> i128 {
    let (mut base, mut divisor) = (0_i128, 0_u64);
    for (choice, options) in left.iter().enumerate().filter(|(choice, _)| row.scope.has(*choice)) {
        let value = |option: usize| model.value(row.quantity, choice, option);
        // Without options nothing can be selected, whatever the limit.
        let Some(first) = options.first().map(|first| value(*first)) else { return row.limit };
        base += row.sign * i128::from(first);
        divisor =
            options.iter().fold(divisor, |divisor, option| greatest_divisor(divisor, first.abs_diff(value(*option))));
    }
    let over = row.limit - base;
    match i128::from(divisor) {
        0 if over < 0 => row.limit,
        0 => base,
        divisor => base + over.div_euclid(divisor) * divisor,
    }
}

fn greatest_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
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
        let mut struck = vec![false; options];
        part.options.iter().for_each(|option| struck[*option] = true);
        left[part.choice].retain(|kept| !struck[*kept]);
    }
    Ok(())
}

/// A sum of bounds times numbers.
struct Sum<'a> {
    model: &'a Model,
    node: usize,
    /// Quantity, factor, and which choices are in scope (none: all).
    parts: Vec<(Quantity, i128, Option<Vec<bool>>)>,
    /// What is counted, and its factor.
    counts: Vec<(Rc<Vec<Vec<bool>>>, i128)>,
    limit: i128,
}

impl<'a> Sum<'a> {
    fn new(
        given: &Given<'a>,
        cases: &[Case],
        left: &Left,
        multipliers: &[Multiplier],
        node: usize,
    ) -> Result<Self, Doubt> {
        let mut sum = Self { model: given.model, node, parts: Vec::new(), counts: Vec::new(), limit: 0 };
        for multiplier in multipliers {
            let times = i128::from(multiplier.times);
            let mut add = |limit: i128| {
                let limit = limit.checked_mul(times).and_then(|limit| sum.limit.checked_add(limit));
                limit.map(|limit| sum.limit = limit).ok_or(Doubt::Overflow { node })
            };
            if let Term::Count(of) = multiplier.of {
                let case = cases.iter().find(|case| case.node == of).ok_or(Doubt::Reference { node })?;
                add(case.limit)?;
                sum.counts.push((Rc::clone(&case.counted), case.sign * times));
                continue;
            }
            let mut row = row(given, multiplier.of).ok_or(Doubt::Reference { node })?;
            if multiplier.of == Term::Rounded {
                row.limit = rounded(given.model, &row, left);
            }
            add(row.limit)?;
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
            .chain(
                self.counts
                    .iter()
                    .filter(|(counted, _)| is_counted(counted, choice, option))
                    .map(|count| Some(count.1)),
            )
            .try_fold(0_i128, |sum, part| sum.checked_add(part?))
            .ok_or(Doubt::Overflow { node: self.node })
    }

    /// Returns the smallest value of each choice, and by how much the sum of these exceeds the limit.
    fn smallest(&self, left: &Left) -> Result<(Vec<Option<i128>>, i128), Doubt> {
        let mut mins = Vec::with_capacity(left.len());
        let mut excess = 0_i128.checked_sub(self.limit).ok_or(Doubt::Overflow { node: self.node })?;
        for (choice, options) in left.iter().enumerate() {
            let touched = self.parts.iter().any(|(_, _, members)| members.as_ref().is_none_or(|all| all[choice]))
                || self.counts.iter().any(|(counted, _)| !counted[choice].is_empty());
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
        Term::Better | Term::Rounded => given.better.clone(),
        Term::Bound(bound) if given.under.contains(&bound) => {
            let bound = &given.model.bounds[bound];
            let sign = i128::from(bound.limit.sign());
            let limit = sign * i128::from(bound.limit.value());
            Some(Row { quantity: bound.quantity, scope: &bound.scope, sign, limit })
        }
        Term::Bound(_) | Term::Count(_) => None,
    }
}

fn is_counted(counted: &[Vec<bool>], choice: usize, option: usize) -> bool {
    counted[choice].get(option).copied().unwrap_or(false)
}
