//! What is to be chosen, and under which bounds. Whole numbers only: the caller picks the unit.

use serde::{Deserialize, Serialize};

/// How large a sum of absolute values over all choices may be: sums and differences of two stay within `i64`.
const TOTAL_MAX: i128 = 1 << 60;
/// How many choices, bounds and options in all a model may have.
const CHOICES_MAX: usize = 1 << 14;
const BOUNDS_MAX: usize = 1 << 14;
const OPTIONS_MAX: usize = 1 << 21;

/// Choices and bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The names of the metrics, in the order of [`Candidate::metrics`].
    pub metrics: Vec<String>,
    /// For each of them one option is chosen.
    pub choices: Vec<Choice>,
    /// All must hold.
    pub bounds: Vec<Bound>,
}

/// One option of these is chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Its name, for messages.
    pub name: String,
    /// The options; at least one.
    pub options: Vec<Candidate>,
}

/// One option of a choice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name, for messages.
    pub name: String,
    /// What it adds to the cost.
    pub cost: i64,
    /// What it adds to each metric of the model.
    pub metrics: Vec<i64>,
}

/// What is added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Quantity {
    /// The cost.
    Cost,
    /// A metric, by its place in [`Model::metrics`].
    Metric(usize),
}

/// Over which choices it is added up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// All.
    All,
    /// These, by their places; a single one makes the bound a filter of its options.
    Only(Vec<usize>),
}

impl Scope {
    /// Tells whether the choice at this place is in.
    #[must_use]
    pub fn has(&self, choice: usize) -> bool {
        match self {
            Self::All => true,
            Self::Only(choices) => choices.contains(&choice),
        }
    }
}

/// On which side of a value a sum must stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Limit {
    /// The sum may be this or less.
    AtMost(i64),
    /// The sum must be this or more.
    AtLeast(i64),
}

impl Limit {
    /// Returns the value.
    #[must_use]
    pub const fn value(self) -> i64 {
        match self {
            Self::AtMost(value) | Self::AtLeast(value) => value,
        }
    }

    /// Returns the same side with another value.
    #[must_use]
    pub const fn with_value(self, value: i64) -> Self {
        match self {
            Self::AtMost(_) => Self::AtMost(value),
            Self::AtLeast(_) => Self::AtLeast(value),
        }
    }

    /// Tells whether a sum keeps to it.
    #[must_use]
    pub const fn holds(self, sum: i64) -> bool {
        match self {
            Self::AtMost(value) => sum <= value,
            Self::AtLeast(value) => sum >= value,
        }
    }

    /// Returns 1 for "at most" and −1 for "at least": times this, every bound is an "at most".
    #[must_use]
    pub const fn sign(self) -> i64 {
        match self {
            Self::AtMost(_) => 1,
            Self::AtLeast(_) => -1,
        }
    }
}

/// A sum with a limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Its name, for messages.
    pub name: String,
    /// What is added up.
    pub quantity: Quantity,
    /// Over which choices.
    pub scope: Scope,
    /// What the sum must keep to.
    pub limit: Limit,
}

/// A model that means nothing, or is too large to be computed exactly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Nothing can be chosen.
    #[error("choice \"{choice}\" has no options; give it at least one")]
    NoOptions {
        /// Its name.
        choice: String,
    },
    /// A number of metrics differs.
    #[error("option \"{option}\" of \"{choice}\" has {found} metrics where the model has {wanted}")]
    Metrics {
        /// The choice's name.
        choice: String,
        /// The option's name.
        option: String,
        /// How many it has.
        found: usize,
        /// How many the model has.
        wanted: usize,
    },
    /// A bound points to nothing.
    #[error("bound \"{bound}\" names {what} {index}, which the model does not have or the bound has already named")]
    Missing {
        /// The bound's name.
        bound: String,
        /// "metric" or "choice".
        what: &'static str,
        /// The place.
        index: usize,
    },
    /// Sums would not be exact.
    #[error("the values of {what} add up to more than 2^60; write them in a larger unit")]
    TooLarge {
        /// The quantity or bound.
        what: String,
    },
    /// There is too much of something.
    #[error("the model has {found} {what}; at most {max} are accepted")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: usize,
        /// How many are accepted.
        max: usize,
    },
}

impl Model {
    /// Returns what an option adds to a quantity.
    #[must_use]
    pub fn value(&self, quantity: Quantity, choice: usize, option: usize) -> i64 {
        let option = &self.choices[choice].options[option];
        match quantity {
            Quantity::Cost => option.cost,
            Quantity::Metric(metric) => option.metrics[metric],
        }
    }

    /// Returns the sum of a quantity over the choices in scope, with one option chosen for each.
    #[must_use]
    pub fn sum(&self, quantity: Quantity, scope: &Scope, options: &[usize]) -> i64 {
        let parts = options.iter().enumerate().filter(|(choice, _)| scope.has(*choice));
        parts.map(|(choice, option)| self.value(quantity, choice, *option)).sum()
    }

    /// Tells whether a selection keeps to a bound.
    #[must_use]
    pub fn keeps(&self, bound: usize, options: &[usize]) -> bool {
        let bound = &self.bounds[bound];
        bound.limit.holds(self.sum(bound.quantity, &bound.scope, options))
    }

    /// Checks that all can be computed exactly.
    ///
    /// # Errors
    /// Says which part is missing or too large.
    pub fn validate(&self) -> Result<(), ModelError> {
        let options = self.choices.iter().map(|choice| choice.options.len()).sum();
        for (what, found, max) in [
            ("choices", self.choices.len(), CHOICES_MAX),
            ("bounds", self.bounds.len(), BOUNDS_MAX),
            ("options", options, OPTIONS_MAX),
        ] {
            if found > max {
                return Err(ModelError::TooMany { what, found, max });
            }
        }
        for choice in &self.choices {
            if choice.options.is_empty() {
                return Err(ModelError::NoOptions { choice: choice.name.clone() });
            }
            if let Some(option) = choice.options.iter().find(|option| option.metrics.len() != self.metrics.len()) {
                return Err(ModelError::Metrics {
                    choice: choice.name.clone(),
                    option: option.name.clone(),
                    found: option.metrics.len(),
                    wanted: self.metrics.len(),
                });
            }
        }
        self.validate_bounds()?;
        self.validate_total("cost", Quantity::Cost)?;
        self.metrics
            .iter()
            .enumerate()
            .try_for_each(|(metric, name)| self.validate_total(&format!("metric \"{name}\""), Quantity::Metric(metric)))
    }

    fn validate_bounds(&self) -> Result<(), ModelError> {
        for bound in &self.bounds {
            let missing = |what, index| ModelError::Missing { bound: bound.name.clone(), what, index };
            match bound.quantity {
                Quantity::Metric(metric) if metric >= self.metrics.len() => return Err(missing("metric", metric)),
                Quantity::Cost | Quantity::Metric(_) => {}
            }
            if i128::from(bound.limit.value()).abs() > TOTAL_MAX {
                return Err(ModelError::TooLarge { what: format!("bound \"{}\"", bound.name) });
            }
            let Scope::Only(choices) = &bound.scope else { continue };
            let mut seen = vec![false; self.choices.len()];
            for choice in choices {
                if *choice >= seen.len() || std::mem::replace(&mut seen[*choice], true) {
                    return Err(missing("choice", *choice));
                }
            }
        }
        Ok(())
    }

    fn validate_total(&self, what: &str, quantity: Quantity) -> Result<(), ModelError> {
        let largest = |(index, choice): (usize, &Choice)| {
            let values = 0..choice.options.len();
            values.map(|option| i128::from(self.value(quantity, index, option)).abs()).max().unwrap_or(0)
        };
        match self.choices.iter().enumerate().map(largest).sum::<i128>() <= TOTAL_MAX {
            true => Ok(()),
            false => Err(ModelError::TooLarge { what: what.to_owned() }),
        }
    }
}
