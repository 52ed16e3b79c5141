//! Claims with their proofs, as data that a reader or another program can follow.

use serde::{Deserialize, Serialize};

/// A claim about a model and why it is true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// What is claimed.
    pub claim: Claim,
    /// Why.
    pub proof: Proof,
}

/// What is claimed about a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Claim {
    /// These options keep to all bounds and no selection that does is cheaper by more than `within`.
    /// The proof refutes "cheaper by more".
    Cheapest {
        /// The option of each choice.
        options: Vec<usize>,
        /// Zero when none is cheaper at all.
        within: u64,
    },
    /// These options keep to the bounds `under`, and no selection that does comes nearer to the limit of `bound` by more
    /// than `within`.
    Nearest {
        /// The bound whose sum is made as small (at least: as large) as can be.
        bound: usize,
        /// The bounds that are kept.
        under: Vec<usize>,
        /// The option of each choice.
        options: Vec<usize>,
        /// Zero when none comes nearer at all.
        #[serde(default)]
        within: u64,
    },
    /// No selection keeps to all of these bounds.
    Conflict {
        /// The bounds.
        bounds: Vec<usize>,
    },
}

/// A tree of refutations; the first node is the root, and children come after their parents.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The nodes.
    pub nodes: Vec<Node>,
}

/// One node: options that cannot be chosen are struck out, then what is left is refuted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Sets options aside that others beat, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beaten: Vec<Beaten>,
    /// Strikes options out, one step after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// Refutes what is left.
    pub end: End,
}

/// Options of which another one of the same choice is as good: whatever can be selected with them can be with that one.
/// It is no worse in any bound, or keeps to a bound that speaks of this choice alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beaten {
    /// The choice.
    pub choice: usize,
    /// The option that is as good; still left.
    pub by: usize,
    /// The options that are set aside.
    pub options: Vec<usize>,
}

/// Strikes out options: with any one of them, the combination is broken whatever else is chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The combination.
    pub multipliers: Vec<Multiplier>,
    /// The options, by choice.
    pub options: Vec<Part>,
}

/// Options of one choice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The choice.
    pub choice: usize,
    /// Its options.
    pub options: Vec<usize>,
}

/// How a node is refuted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum End {
    /// The sum of the bounds times these numbers is broken by every selection that is left.
    Combination(Vec<Multiplier>),
    /// The options of a choice are split; each part is refuted by a later node.
    Split {
        /// The choice.
        choice: usize,
        /// Options and the node that refutes them. Together they hold all options that are left.
        branches: Vec<(Vec<usize>, usize)>,
    },
    /// Of some options so many are chosen or fewer, or else more are: each case is refuted by a later node.
    /// Below that node the case counts as one more bound ([`Term::Count`]).
    Count {
        /// The options that are counted, by choice.
        options: Vec<Part>,
        /// How many of them are "few".
        at_most: u64,
        /// The node that refutes so many or fewer.
        few: usize,
        /// The node that refutes more.
        many: usize,
    },
}

impl Default for End {
    fn default() -> Self {
        Self::Combination(Vec::new())
    }
}

/// A bound times a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Multiplier {
    /// Which bound.
    pub of: Term,
    /// The number.
    pub times: u64,
}

/// What is multiplied. Each is read as "at most": an "at least" with both sides times −1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Term {
    /// "Better than claimed": by more than `within`, and by at least the greatest number that divides all values.
    Better,
    /// The same with as much less as the options that are left allow: their sums all differ by multiples of the greatest
    /// number that divides the differences within each choice.
    Rounded,
    /// A bound of the model.
    Bound(usize),
    /// What was assumed at this node above, which ends in [`End::Count`].
    Count(usize),
}

impl Proof {
    /// Returns the bounds that the proof uses, in order.
    #[must_use]
    pub fn support(&self) -> Vec<usize> {
        let combinations = self.nodes.iter().flat_map(|node| {
            let last = match &node.end {
                End::Combination(multipliers) => multipliers.as_slice(),
                End::Split { .. } | End::Count { .. } => &[],
            };
            node.steps.iter().map(|step| step.multipliers.as_slice()).chain(std::iter::once(last))
        });
        let mut bounds: Vec<usize> = combinations
            .flatten()
            .filter_map(|multiplier| match multiplier.of {
                Term::Bound(bound) if multiplier.times > 0 => Some(bound),
                Term::Bound(_) | Term::Count(_) | Term::Better | Term::Rounded => None,
            })
            .collect();
        bounds.sort_unstable();
        bounds.dedup();
        bounds
    }

    /// Tells whether one combination refutes all: no option struck out, nothing split.
    #[must_use]
    pub fn is_single(&self) -> bool {
        matches!(self.nodes.as_slice(), [node] if node.steps.is_empty() && node.beaten.is_empty())
    }
}
