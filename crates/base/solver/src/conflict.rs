//! Enumerates minimal conflicts: sets of bounds that cannot all be kept while any proper part can.
//!
//! Source: MARCO (Liffiton, Previti, Malik, Marques-Silva 2016): a map remembers which sets are explained; a greatest
//! set that is not is either kept (then its parts are explained) or shrunk to a minimal conflict (then its supersets are).

use std::rc::Rc;

use crate::certificate::{Certificate, Claim, Proof};
use crate::model::Model;
use crate::search::{Budget, Ended, Search, Wanted};
use crate::solve::{Conflict, Conflicts, Limits};
use crate::table::Table;

/// How many nodes are looked at to answer one question, unless all that is left may be spent on it.
const QUESTION_NODES: u64 = 1_000;
/// The part of the nodes of a search that all questions about conflicts may cost together.
const CONFLICTS_PART: u64 = 4;
/// How many steps one look into the map may take.
const MAP_STEPS_MAX: u64 = 200_000;

pub(crate) struct Explorer<'a> {
    model: &'a Model,
    table: &'a Table,
    limits: &'a Limits,
    searches: u64,
    nodes: u64,
    /// How many of them one question may cost.
    question: u64,
    multipliers: Rc<Vec<u64>>,
    /// The last selection that kept to a set.
    witness: Option<Vec<usize>>,
    map: Map,
}

enum Answer {
    Kept,
    Broken(Proof),
    Unknown,
}

impl<'a> Explorer<'a> {
    pub(crate) fn new(model: &'a Model, table: &'a Table, limits: &'a Limits, multipliers: Rc<Vec<u64>>) -> Self {
        let map = Map { size: model.bounds.len(), clauses: Vec::new() };
        Self {
            model,
            table,
            limits,
            searches: limits.searches,
            nodes: limits.nodes / CONFLICTS_PART,
            question: QUESTION_NODES,
            multipliers,
            witness: None,
            map,
        }
    }

    /// Explores from a proof that all bounds cannot be kept.
    pub(crate) fn explore(mut self, proof: Proof) -> Conflicts {
        let first = self.shrink(proof);
        let mut conflicts = Vec::new();
        self.remember(first, &mut conflicts);
        let complete = self.explore_rest(&mut conflicts);
        conflicts.sort_by(|a, b| (a.bounds.len(), &a.bounds).cmp(&(b.bounds.len(), &b.bounds)));
        Conflicts { conflicts, complete }
    }

    /// Returns whether everything is explained.
    fn explore_rest(&mut self, conflicts: &mut Vec<Conflict>) -> bool {
        loop {
            let set = match self.map.greatest_unexplained() {
                Look::Nothing => return conflicts.iter().all(|conflict| conflict.minimal),
                Look::Unknown => return false,
                Look::Set(set) => set,
            };
            if conflicts.len() >= self.limits.conflicts {
                return false;
            }
            match self.ask(&set) {
                Answer::Unknown => return false,
                Answer::Kept => {
                    let grown = self.kept_by_witness();
                    let outside = (0..set.len()).filter(|bound| !set[*bound] && !grown[*bound]);
                    self.map.clauses.push(outside.map(|bound| (bound, true)).collect());
                }
                Answer::Broken(proof) => {
                    let conflict = self.shrink(proof);
                    self.remember(conflict, conflicts);
                }
            }
        }
    }

    fn remember(&mut self, conflict: Conflict, conflicts: &mut Vec<Conflict>) {
        self.map.clauses.push(conflict.bounds.iter().map(|bound| (*bound, false)).collect());
        conflicts.push(conflict);
    }

    /// Removes members that the proof does not need, then those whose removal leaves a conflict.
    fn shrink(&mut self, proof: Proof) -> Conflict {
        let mut proof = proof;
        let mut members = proof.support();
        let mut doubtful = Vec::new();
        let mut needed = vec![false; self.model.bounds.len()];
        // Bounds on one choice are many and tell little: they go first.
        let size = |bound: usize| match &self.model.bounds[bound].scope {
            crate::Scope::All => usize::MAX,
            crate::Scope::Only(choices) => choices.len(),
        };
        // Many can go at once where few are needed: twice as many after each success, half as many after each failure.
        let mut together = members.len().div_ceil(2);
        loop {
            let mut candidates: Vec<usize> = members.iter().copied().filter(|bound| !needed[*bound]).collect();
            if candidates.is_empty() {
                doubtful.retain(|bound| members.contains(bound));
                if doubtful.is_empty() || self.question > QUESTION_NODES || self.nodes == 0 {
                    break;
                }
                // Hard questions are asked again when what is left can be spent on them.
                self.question = (self.nodes / 2).max(QUESTION_NODES + 1);
                doubtful.drain(..).for_each(|bound: usize| needed[bound] = false);
                together = 1;
                continue;
            }
            candidates.sort_by_key(|bound| (size(*bound), usize::MAX - bound));
            candidates.truncate(together.max(1));
            let mut set = vec![false; self.model.bounds.len()];
            members.iter().filter(|bound| !candidates.contains(bound)).for_each(|bound| set[*bound] = true);
            let answer = self.ask(&set);
            match (answer, candidates.as_slice()) {
                (Answer::Broken(smaller), _) => {
                    members = smaller.support();
                    proof = smaller;
                    together *= 2;
                }
                (Answer::Kept, [candidate]) => {
                    needed[*candidate] = true;
                    // Whatever single member the witness breaks is needed as well.
                    let kept = self.kept_by_witness();
                    let broken: Vec<usize> = members.iter().copied().filter(|bound| !kept[*bound]).collect();
                    if let [only] = broken.as_slice() {
                        needed[*only] = true;
                    }
                }
                (Answer::Unknown, [candidate]) => {
                    needed[*candidate] = true;
                    doubtful.push(*candidate);
                }
                (Answer::Kept | Answer::Unknown, _) => together = candidates.len() / 2,
            }
        }
        self.question = QUESTION_NODES;
        let minimal = doubtful.is_empty();
        let certificate = Certificate { claim: Claim::Conflict { bounds: members.clone() }, proof };
        Conflict { bounds: members, minimal, certificate }
    }

    fn kept_by_witness(&self) -> Vec<bool> {
        let options = self.witness.as_ref().map(|witness| self.table.selection(witness));
        let keeps = |bound| options.as_ref().is_some_and(|options| self.model.keeps(bound, options));
        (0..self.model.bounds.len()).map(keeps).collect()
    }

    fn ask(&mut self, set: &[bool]) -> Answer {
        let Some(searches) = self.searches.checked_sub(1).filter(|_| !self.limits.stop.is_stopped()) else {
            return Answer::Unknown;
        };
        self.searches = searches;
        let active: Vec<bool> = std::iter::once(false).chain(set.iter().copied()).collect();
        let nodes = self.nodes.min(self.question);
        let mut budget = Budget { nodes, stop: self.limits.stop.clone() };
        let search = Search::new(self.table, &active, Wanted::Any);
        let ended = search.run(&mut budget, Some(&self.multipliers), self.witness.as_deref());
        self.nodes -= nodes - budget.nodes;
        match ended {
            Ended::Found(selection, _) => {
                self.witness = Some(selection);
                Answer::Kept
            }
            Ended::Refuted(proof, multipliers) => {
                self.multipliers = multipliers;
                Answer::Broken(proof)
            }
            Ended::Spent { .. } => Answer::Unknown,
        }
    }
}

/// Which sets are explained: each clause must have one member that is in (true) or out (false) of the set.
struct Map {
    size: usize,
    clauses: Vec<Vec<(usize, bool)>>,
}

enum Look {
    Set(Vec<bool>),
    Nothing,
    Unknown,
}

impl Map {
    /// Finds a set that keeps to all clauses and is no part of another that does.
    fn greatest_unexplained(&self) -> Look {
        // Only what some clause wants out may have to be out; whatever else is in harms nothing.
        let mut decided: Vec<usize> =
            self.clauses.iter().flatten().filter(|(_, wanted)| !wanted).map(|(at, _)| *at).collect();
        decided.sort_unstable();
        decided.dedup();
        let mut set: Vec<Option<bool>> = vec![Some(true); self.size];
        decided.iter().for_each(|at| set[*at] = None);
        // Decisions in their order, each "in" until that was given up.
        let mut trail: Vec<bool> = Vec::new();
        for _ in 0..MAP_STEPS_MAX {
            let wrong = self.clauses.iter().any(|clause| clause.iter().all(|(at, wanted)| set[*at] == Some(!wanted)));
            if wrong {
                loop {
                    match trail.pop() {
                        None => return Look::Nothing,
                        Some(false) => set[decided[trail.len()]] = None,
                        Some(true) => {
                            set[decided[trail.len()]] = Some(false);
                            trail.push(false);
                            break;
                        }
                    }
                }
            } else if trail.len() == decided.len() {
                return Look::Set(set.into_iter().map(|member| member == Some(true)).collect());
            } else {
                set[decided[trail.len()]] = Some(true);
                trail.push(true);
            }
        }
        Look::Unknown
    }
}
