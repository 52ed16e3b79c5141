//! What could be given up: smallest relaxations, relaxation by priority, what a metric costs.

use crate::certificate::{Certificate, Claim};
use crate::check::check;
use crate::model::{Bound, Limit, Model, ModelError, Quantity, Scope};
use crate::search::{Ended, Search, Wanted};
use crate::solve::{Limits, Outcome, Solution, Why, solve, within_tolerance};
use crate::table::{Aim, Table};

/// No sum is greater: the model was validated.
const LIMIT_MAX: i64 = 1 << 60;

/// What relaxing one bound alone can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relaxation {
    /// With this limit all bounds can be kept, with no stricter one they can.
    To {
        /// The limit.
        limit: Limit,
        /// None does that is stricter by more than this; zero: none that is stricter.
        within: i64,
        /// Why no stricter one does.
        certificate: Certificate,
        /// A selection that keeps to all.
        options: Vec<usize>,
    },
    /// The others cannot all be kept, whatever becomes of this one.
    NoUse,
    /// The search was given up.
    Unknown(Why),
}

/// Finds the smallest relaxation of one bound that lets all be kept.
///
/// # Errors
/// Says why the model cannot be computed exactly.
pub fn relax(model: &Model, bound: usize, limits: &Limits) -> Result<Relaxation, ModelError> {
    let under: Vec<usize> = (0..model.bounds.len()).filter(|other| *other != bound).collect();
    nearest(model, bound, under, limits)
}

fn nearest(model: &Model, bound: usize, under: Vec<usize>, limits: &Limits) -> Result<Relaxation, ModelError> {
    model.validate()?;
    let Some(line) = model.bounds.get(bound) else {
        return Err(ModelError::Missing { bound: String::new(), what: "bound", index: bound });
    };
    let table = Table::new(model, Aim::Bound(bound));
    let mut active = vec![false; table.limits.len()];
    under.iter().for_each(|bound| active[bound + 1] = true);
    let ended = Search::new(&table, &active, Wanted::Best).run(&mut limits.budget(), None, None);
    let signed =
        |selection: &[usize]| line.limit.sign() * model.sum(line.quantity, &line.scope, &table.selection(selection));
    let (ended, within) = within_tolerance(ended, limits, table.step, signed);
    Ok(match ended {
        Ended::Refuted(..) => Relaxation::NoUse,
        Ended::Spent { .. } => Relaxation::Unknown(limits.why()),
        Ended::Found(selection, proof) => {
            let options = table.selection(&selection);
            let reached = model.sum(line.quantity, &line.scope, &options);
            let claim = Claim::Nearest { bound, under, options: options.clone(), within: within.unsigned_abs() };
            let certificate = Certificate { claim, proof: proof.unwrap_or_default() };
            match check(model, &certificate) {
                // A bound that can be kept needs no relaxation.
                Ok(()) if line.limit.holds(reached) => {
                    Relaxation::To { limit: line.limit, within: 0, certificate, options }
                }
                Ok(()) => Relaxation::To { limit: line.limit.with_value(reached), within, certificate, options },
                Err(doubt) => Relaxation::Unknown(Why::Refused { doubt: doubt.to_string() }),
            }
        }
    })
}

/// A bound that had to give way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The bound.
    pub bound: usize,
    /// Its new limit.
    pub limit: Limit,
}

/// What all agree on when the less important gives way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// The bounds that gave way, and how far, in the order of priority.
    pub changes: Vec<Change>,
    /// The cheapest selection under the new limits.
    pub options: Vec<usize>,
    /// What it costs.
    pub cost: i64,
    /// None is cheaper by more than this; zero: none is cheaper.
    pub within: i64,
    /// Why none is cheaper, for the model with the new limits.
    pub certificate: Certificate,
}

/// Takes bounds in the order given and relaxes each only as far as those before it demand.
///
/// Bounds that `order` does not name come last, in the model's order.
///
/// # Errors
/// Says why the model cannot be computed exactly.
pub fn relax_by_priority(
    model: &Model,
    order: &[usize],
    limits: &Limits,
) -> Result<Result<Agreement, Why>, ModelError> {
    model.validate()?;
    let mut order: Vec<usize> = order.iter().copied().filter(|bound| *bound < model.bounds.len()).collect();
    order.extend(0..model.bounds.len());
    let mut seen = vec![false; model.bounds.len()];
    order.retain(|bound| !std::mem::replace(&mut seen[*bound], true));
    let mut relaxed = model.clone();
    let mut changes = Vec::new();
    // Most bounds cost one look: as many as can be are taken together, by halves.
    let mut kept: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < order.len() {
        let mut take = order.len() - at;
        loop {
            let mut tried = kept.clone();
            tried.extend(&order[at..at + take]);
            match can_keep(&relaxed, &tried, limits) {
                Ok(true) => {
                    kept = tried;
                    at += take;
                    break;
                }
                Ok(false) if take > 1 => take = take.div_ceil(2),
                Ok(false) => {
                    let bound = order[at];
                    match nearest(&relaxed, bound, kept.clone(), limits)? {
                        Relaxation::To { limit, .. } => {
                            relaxed.bounds[bound].limit = limit;
                            changes.push(Change { bound, limit });
                        }
                        Relaxation::NoUse => {
                            let doubt = "bounds that were kept are not".to_owned();
                            return Ok(Err(Why::Refused { doubt }));
                        }
                        Relaxation::Unknown(why) => return Ok(Err(why)),
                    }
                    kept.push(bound);
                    at += 1;
                    break;
                }
                Err(why) => return Ok(Err(why)),
            }
        }
    }
    Ok(match solve(&relaxed, limits)? {
        Outcome::Feasible(solution) => {
            let Solution { options, cost, within, certificate } = solution;
            Ok(Agreement { changes, options, cost, within, certificate })
        }
        Outcome::Infeasible(_) => Err(Why::Refused { doubt: "relaxed bounds are still in conflict".to_owned() }),
        Outcome::Unknown { why, .. } => Err(why),
    })
}

fn can_keep(model: &Model, bounds: &[usize], limits: &Limits) -> Result<bool, Why> {
    let table = Table::new(model, Aim::Cost);
    let mut active = vec![false; table.limits.len()];
    bounds.iter().for_each(|bound| active[bound + 1] = true);
    let mut budget = limits.budget();
    match Search::new(&table, &active, Wanted::Any).run(&mut budget, None, None) {
        Ended::Found(..) => Ok(true),
        Ended::Refuted(..) => Ok(false),
        Ended::Spent { .. } => Err(limits.why()),
    }
}

/// A selection that no other beats in both cost and metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// What it costs.
    pub cost: i64,
    /// The sum of the metric.
    pub metric: i64,
    /// The option of each choice.
    pub options: Vec<usize>,
}

/// What a metric costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curve {
    /// From the cheapest to the best.
    pub points: Vec<Point>,
    /// Whether there are no others.
    pub complete: bool,
    /// Why the curve ends early, when a search was given up.
    pub unknown: Option<Why>,
}

/// Finds selections that keep to all bounds and that none beats in both cost and the sum of a quantity; less of it is
/// better, or more with [`Limit::AtLeast`]. `along` gives quantity, scope and side; its value does not matter.
///
/// With more than `points_max` of them, the points are spread evenly over the metric.
///
/// # Errors
/// Says why the model cannot be computed exactly.
pub fn curve(model: &Model, along: &Bound, points_max: usize, limits: &Limits) -> Result<Curve, ModelError> {
    let mut all = walk(model, along, 1, points_max, limits)?;
    if all.complete || all.unknown.is_some() || points_max < 3 {
        return Ok(all);
    }
    let Some(first) = all.points.first().map(|point| point.metric) else { return Ok(all) };
    let mut free = model.clone();
    free.bounds.push(Bound { limit: along.limit.with_value(first), ..along.clone() });
    let Relaxation::To { certificate, options, .. } = relax(&free, model.bounds.len(), limits)? else { return Ok(all) };
    drop(certificate);
    let best = free.sum(along.quantity, &along.scope, &options);
    let parts = i64::try_from(points_max - 1).unwrap_or(i64::MAX);
    let stride = first.abs_diff(best).div_ceil(parts.unsigned_abs());
    all = walk(model, along, i64::try_from(stride).unwrap_or(i64::MAX).max(1), points_max + 1, limits)?;
    all.complete = false;
    let last = all.points.last().map(|point| point.metric);
    if all.unknown.is_none()
        && last.is_some_and(|last| last != best)
        && let Ok(point) = point_at(model, along, best, limits)?
    {
        all.points.extend(point);
    }
    Ok(all)
}

/// Goes along the curve from its cheap end, each point better by `stride` or more.
fn walk(model: &Model, along: &Bound, stride: i64, points_max: usize, limits: &Limits) -> Result<Curve, ModelError> {
    let mut curve = Curve { points: Vec::new(), complete: false, unknown: None };
    let sign = along.limit.sign();
    let mut limit = sign * LIMIT_MAX;
    while curve.points.len() < points_max {
        match point_at(model, along, limit, limits)? {
            Ok(Some(point)) => {
                let next = point.metric.saturating_sub(sign * stride);
                curve.points.push(point);
                // Beyond the greatest sum that a model may have there is nothing.
                if next.unsigned_abs() > LIMIT_MAX.unsigned_abs() {
                    curve.complete = stride == 1;
                    break;
                }
                limit = next;
            }
            Ok(None) => {
                curve.complete = true;
                break;
            }
            Err(why) => {
                curve.unknown = Some(why);
                break;
            }
        }
    }
    Ok(curve)
}

/// Finds the cheapest selection within a limit, and of those the best in the metric.
fn point_at(
    model: &Model,
    along: &Bound,
    limit: i64,
    limits: &Limits,
) -> Result<Result<Option<Point>, Why>, ModelError> {
    let mut model = model.clone();
    let place = model.bounds.len();
    model.bounds.push(Bound { limit: along.limit.with_value(limit), ..along.clone() });
    let quick = Limits { within_millionths: 0, conflicts: 1, searches: 0, ..limits.clone() };
    let cost = match solve(&model, &quick)? {
        Outcome::Feasible(solution) => solution.cost,
        Outcome::Infeasible(_) => return Ok(Ok(None)),
        Outcome::Unknown { why, .. } => return Ok(Err(why)),
    };
    let name = "the cost of this point".to_owned();
    model.bounds.push(Bound { name, quantity: Quantity::Cost, scope: Scope::All, limit: Limit::AtMost(cost) });
    let under: Vec<usize> = (0..model.bounds.len()).filter(|bound| *bound != place).collect();
    Ok(match nearest(&model, place, under, limits)? {
        Relaxation::To { options, .. } => {
            let metric = model.sum(along.quantity, &along.scope, &options);
            Ok(Some(Point { cost, metric, options }))
        }
        Relaxation::NoUse => Ok(None),
        Relaxation::Unknown(why) => Err(why),
    })
}
