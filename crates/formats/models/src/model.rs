//! A model: what it is, what it is about, and its diagram.

use maru_requirements::{Finding, LocalText};

use crate::class::Classes;
use crate::entity::Entities;
use crate::finding::Findings;
use crate::flow::Flow;
use crate::goal::Goals;
use crate::graph::Graph;
use crate::scan::{Problem, Scan, Spot};
use crate::scene::{Drawing, Scene, Theme, draw};
use crate::sequence::Sequence;
use crate::state::States;
use crate::usecase::UseCases;

/// How many boxes a diagram may have: more cannot be read by anybody.
const BOXES_MAX: usize = 500;
/// How many arrows or messages it may have.
const ARROWS_MAX: usize = 1500;

/// The kinds of models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Steps and decisions.
    Flowchart,
    /// Messages in time.
    Sequence,
    /// States and transitions.
    State,
    /// Classes and their relations.
    Class,
    /// Entities, keys and relations.
    EntityRelationship,
    /// Actors and what they do.
    UseCase,
    /// Goals and the requirements that fulfil them.
    GoalTree,
}

impl Kind {
    /// All kinds with the words that begin their diagrams.
    pub(crate) const HEADS: [(&str, Self); 8] = [
        ("flowchart", Self::Flowchart),
        ("graph", Self::Flowchart),
        ("sequenceDiagram", Self::Sequence),
        ("stateDiagram-v2", Self::State),
        ("classDiagram", Self::Class),
        ("erDiagram", Self::EntityRelationship),
        ("usecaseDiagram", Self::UseCase),
        ("goalTree", Self::GoalTree),
    ];

    /// Returns the kind's name in Korean and English.
    #[must_use]
    pub fn title(self) -> LocalText {
        let (ko, en) = match self {
            Self::Flowchart => ("흐름도", "Flowchart"),
            Self::Sequence => ("순차도", "Sequence diagram"),
            Self::State => ("상태도", "State diagram"),
            Self::Class => ("클래스도", "Class diagram"),
            Self::EntityRelationship => ("개체 관계도", "Entity-relationship diagram"),
            Self::UseCase => ("유스케이스도", "Use case diagram"),
            Self::GoalTree => ("목표 나무", "Goal tree"),
        };
        LocalText::both(ko, en)
    }
}

/// What each language of diagrams does.
pub(crate) trait Reader: Sized {
    /// Reads what follows the head: its line's rest, then the text from line `first`.
    fn read(rest: Scan<'_>, text: &str, first: usize) -> Result<Self, Vec<Problem>>;
    /// Looks for what is wrong with it.
    fn check(&self, findings: &mut Findings);
    /// Returns boxes and arrows, when it consists of them.
    fn graph(&self) -> Option<Graph>;
    /// Returns the words that stand for its elements, in order.
    fn names(&self) -> Vec<String>;
}

#[derive(Debug, Clone)]
pub(crate) enum Body {
    Flow(Flow),
    Sequence(Sequence),
    State(States),
    Class(Classes),
    Entity(Entities),
    UseCase(UseCases),
    Goal(Goals),
}

impl Body {
    pub(crate) fn read(kind: Kind, rest: Scan<'_>, text: &str, first: usize) -> Result<Self, Vec<Problem>> {
        Ok(match kind {
            Kind::Flowchart => Self::Flow(Flow::read(rest, text, first)?),
            Kind::Sequence => Self::Sequence(Sequence::read(rest, text, first)?),
            Kind::State => Self::State(States::read(rest, text, first)?),
            Kind::Class => Self::Class(Classes::read(rest, text, first)?),
            Kind::EntityRelationship => Self::Entity(Entities::read(rest, text, first)?),
            Kind::UseCase => Self::UseCase(UseCases::read(rest, text, first)?),
            Kind::GoalTree => Self::Goal(Goals::read(rest, text, first)?),
        })
    }

    fn check(&self, findings: &mut Findings) {
        match self {
            Self::Flow(one) => one.check(findings),
            Self::Sequence(one) => one.check(findings),
            Self::State(one) => one.check(findings),
            Self::Class(one) => one.check(findings),
            Self::Entity(one) => one.check(findings),
            Self::UseCase(one) => one.check(findings),
            Self::Goal(one) => one.check(findings),
        }
    }

    fn scene(&self) -> Scene {
        let graph = match self {
            Self::Sequence(one) => return one.scene(),
            Self::Flow(one) => one.graph(),
            Self::State(one) => one.graph(),
            Self::Class(one) => one.graph(),
            Self::Entity(one) => one.graph(),
            Self::UseCase(one) => one.graph(),
            Self::Goal(one) => one.graph(),
        };
        graph.unwrap_or_default().scene()
    }

    fn names(&self) -> Vec<String> {
        match self {
            Self::Flow(one) => one.names(),
            Self::Sequence(one) => one.names(),
            Self::State(one) => one.names(),
            Self::Class(one) => one.names(),
            Self::Entity(one) => one.names(),
            Self::UseCase(one) => one.names(),
            Self::Goal(one) => one.names(),
        }
    }
}

/// A name of a requirement, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The requirement's name.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
}

/// A model that was read.
#[derive(Debug, Clone)]
pub struct Model {
    /// The file it stands in, as it was named.
    pub file: String,
    /// Its name: the file's without its ending, and a number when the file holds several.
    pub name: String,
    /// The line of the diagram's head, from 1.
    pub line: usize,
    /// What kind it is.
    pub kind: Kind,
    /// Its title; empty when none is written.
    pub title: LocalText,
    /// What it shows; empty when nothing is written.
    pub description: LocalText,
    /// The requirements it is about.
    pub requirements: Vec<Reference>,
    pub(crate) body: Body,
}

impl Model {
    /// Returns the title, or the kind and the name where none is written.
    #[must_use]
    pub fn heading(&self) -> LocalText {
        if !self.title.is_empty() {
            return self.title.clone();
        }
        let word = |language| format!("{}: {}", self.kind.title().get(language), self.name);
        LocalText::both(word(maru_requirements::Language::Ko), word(maru_requirements::Language::En))
    }

    /// Returns what those are told who cannot see the picture: the description, or what it consists of.
    #[must_use]
    pub fn summary(&self) -> LocalText {
        if !self.description.is_empty() {
            return self.description.clone();
        }
        let names: Vec<String> = self.body.names().into_iter().map(|name| name.replace('\n', " ")).collect();
        let word = |language| format!("{}: {}", self.kind.title().get(language), names.join(", "));
        LocalText::both(word(maru_requirements::Language::Ko), word(maru_requirements::Language::En))
    }

    /// Draws the model. The same model gives the same text.
    #[must_use]
    pub fn render(&self, theme: Theme, language: maru_requirements::Language) -> Drawing {
        draw(&self.body.scene(), theme, self.heading().get(language), self.summary().get(language))
    }
}

/// Looks for what is wrong with a model. With `known`, requirements that it names must be among them.
#[must_use]
pub fn check(model: &Model, known: Option<&std::collections::BTreeSet<String>>) -> Vec<Finding> {
    let mut findings = Findings::default();
    model.body.check(&mut findings);
    for reference in &model.requirements {
        let name = &reference.name;
        if known.is_some_and(|known| !known.contains(name)) {
            let spot = Spot { line: reference.line, column: reference.column };
            let message = (format!("요구사항 \"{name}\"이 없다"), format!("there is no requirement \"{name}\""));
            let fix = ("이름을 고치거나 요구사항을 쓴다", "correct the name or write the requirement");
            findings.add("model-requirement-unknown", spot, name, message, fix);
        }
    }
    if model.requirements.is_empty() {
        let spot = Spot { line: model.line, column: 1 };
        let message = ("모델이 요구사항과 이어지지 않았다".to_owned(), "the model names no requirement".to_owned());
        let fix = ("머리말에 requirements: [fr-001]처럼 쓴다", "write requirements: [fr-001] in its front matter");
        findings.add("model-unlinked", spot, "", message, fix);
    }
    for finding in &mut findings.all {
        finding.item.clone_from(&model.name);
        finding.place.file.clone_from(&model.file);
    }
    findings.all.sort_by(|one, other| {
        let key = |finding: &Finding| (finding.place.line, finding.place.column, finding.rule);
        key(one).cmp(&key(other))
    });
    findings.all
}

/// Refuses what nobody could read.
pub(crate) fn size_limits(boxes: usize, arrows: usize, line: usize, problems: &mut Vec<Problem>) {
    for (count, most, what) in [(boxes, BOXES_MAX, "boxes"), (arrows, ARROWS_MAX, "arrows")] {
        if count > most {
            let message = format!("the diagram has {count} {what}, more than {most}; split it");
            problems.push(Problem { line, column: 1, message });
        }
    }
}
