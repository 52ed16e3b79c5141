//! The stages that a project goes through, as data.

use serde::{Deserialize, Serialize};

use serde_json::Value;

use crate::kinds::Term;
use crate::object::{Object, Spec};
use maru_requirements::LocalText;

/// A way of working: phases of stages with gates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodSpec {
    /// Its name for people.
    #[serde(default)]
    pub title: LocalText,
    /// The phases in order.
    pub phases: Vec<Phase>,
}

/// A way of working that a project brings with it: `Project.spec.method` names it.
pub type Method = Object<MethodSpec>;

impl Spec for MethodSpec {
    const KIND: &'static str = "Method";
    const PLURAL: &'static str = "methods";
    type Status = Value;
}

/// Some stages with one purpose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub title: LocalText,
    /// Its stages in order.
    pub stages: Vec<Stage>,
}

/// A stage: what comes out of it, and what must be true before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub title: LocalText,
    /// What comes out of it.
    #[serde(default)]
    pub outputs: Vec<LocalText>,
    /// What must be true before it begins.
    #[serde(default)]
    pub entry: Vec<Term>,
    /// What must be true before it ends.
    #[serde(default)]
    pub exit: Vec<Term>,
}

/// The names that the terms of gates may use.
pub const GATE_VARIABLES: [&str; 5] = ["requirements", "evidence", "approvals", "objects", "now"];

const DEFAULT: &str = include_str!("../data/method.json");

impl MethodSpec {
    /// Returns the method that Maru has: four phases, eleven stages.
    ///
    /// # Errors
    /// Never: the data is checked by this room's tests.
    pub fn maru() -> Result<Self, serde_json::Error> {
        serde_json::from_str(DEFAULT)
    }

    /// Returns all stages in order.
    pub fn stages(&self) -> impl Iterator<Item = &Stage> {
        self.phases.iter().flat_map(|phase| &phase.stages)
    }

    /// Returns the stage with this id.
    #[must_use]
    pub fn stage(&self, id: &str) -> Option<&Stage> {
        self.stages().find(|stage| stage.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maru_requirements::Language;

    #[test]
    fn the_method_has_four_phases_and_eleven_stages_in_both_languages() {
        let method = MethodSpec::maru().unwrap();
        assert_eq!(method.phases.len(), 4);
        assert_eq!(method.stages().count(), 11);
        let mut ids: Vec<&str> = method.stages().map(|stage| stage.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 11);
        for stage in method.stages() {
            assert!(!stage.exit.is_empty() && !stage.outputs.is_empty(), "{}", stage.id);
            let texts = stage.exit.iter().chain(&stage.entry).map(|term| &term.message).chain(&stage.outputs);
            for text in texts.chain([&stage.title]) {
                assert_ne!(text.get(Language::Ko), text.get(Language::En), "{}", stage.id);
            }
        }
    }
}
