//! What can be wrong with a model that was read, as rules with findings.

use maru_requirements::{Finding, LocalText, Place, Rule, Severity};

use crate::scan::Spot;

const fn rule(id: &'static str, severity: Severity, ko: &'static str, en: &'static str) -> Rule {
    Rule { id, severity, ko, en }
}

/// The rules, in the order of their ids.
pub const RULES: [Rule; 30] = [
    rule("model-class-cycle", Severity::Error, "상속이 순환한다", "Classes inherit from each other in a circle."),
    rule(
        "model-class-duplicate-member",
        Severity::Warning,
        "클래스의 구성원이 두 번 나온다",
        "A member of a class is written twice.",
    ),
    rule(
        "model-class-undefined",
        Severity::Warning,
        "관계에만 나오는 클래스이다",
        "A class appears in relations alone and is not described.",
    ),
    rule("model-entity-alone", Severity::Warning, "관계가 없는 개체이다", "An entity has no relation."),
    rule(
        "model-entity-foreign-key",
        Severity::Warning,
        "외래 키가 있으나 관계가 없다",
        "An entity has a foreign key and is on no \"many\" side of a relation.",
    ),
    rule("model-entity-no-attributes", Severity::Warning, "속성이 없는 개체이다", "An entity has no attributes."),
    rule("model-entity-no-key", Severity::Error, "기본 키가 없는 개체이다", "An entity has no primary key."),
    rule("model-flow-alone", Severity::Warning, "이어지지 않은 단계이다", "A node is linked to nothing."),
    rule(
        "model-flow-decision",
        Severity::Warning,
        "갈림에 나가는 길이 둘보다 적거나 이름이 없다",
        "A decision has fewer than two ways out, or ways without a text.",
    ),
    rule("model-flow-no-end", Severity::Warning, "끝나지 않는 흐름이다", "No way leads out of a loop."),
    rule(
        "model-flow-unreachable",
        Severity::Warning,
        "시작에서 닿지 않는 단계이다",
        "A node cannot be reached from any start.",
    ),
    rule("model-goal-cycle", Severity::Error, "목표가 순환한다", "Goals refine each other in a circle."),
    rule("model-goal-obstacle", Severity::Warning, "해소되지 않은 장애이다", "An obstacle that nothing resolves."),
    rule(
        "model-goal-responsible",
        Severity::Warning,
        "책임자가 없는 요구사항이다",
        "A requirement of the tree that no agent is responsible for.",
    ),
    rule(
        "model-goal-unrefined",
        Severity::Warning,
        "요구사항으로 나뉘지 않은 목표이다",
        "A goal that is refined into nothing.",
    ),
    rule(
        "model-requirement-unknown",
        Severity::Error,
        "모델이 없는 요구사항을 가리킨다",
        "A model names a requirement that does not exist.",
    ),
    rule("model-sequence-activation", Severity::Error, "활성 구간이 맞지 않는다", "Activations are not balanced."),
    rule(
        "model-sequence-alone",
        Severity::Warning,
        "메시지가 없는 참여자이다",
        "A participant neither sends nor receives.",
    ),
    rule(
        "model-sequence-undefined",
        Severity::Error,
        "선언되지 않은 참여자이다",
        "A participant is not declared, though others are.",
    ),
    rule(
        "model-state-ambiguous",
        Severity::Error,
        "같은 상태에서 같은 사건이 두 곳으로 간다",
        "The same trigger leaves a state twice.",
    ),
    rule(
        "model-state-choice",
        Severity::Warning,
        "선택에 조건 없는 길이 있다",
        "A choice has fewer than two ways out, or ways without a guard.",
    ),
    rule(
        "model-state-dead-end",
        Severity::Error,
        "나갈 수 없는 상태이다",
        "No transition leaves a state that is not final.",
    ),
    rule("model-state-no-start", Severity::Error, "시작 상태가 없다", "There is no initial state."),
    rule(
        "model-state-trap",
        Severity::Warning,
        "끝 상태에 닿을 수 없는 상태이다",
        "The final state cannot be reached from a state.",
    ),
    rule(
        "model-state-unreachable",
        Severity::Error,
        "닿을 수 없는 상태이다",
        "A state cannot be reached from the initial state.",
    ),
    rule("model-unlinked", Severity::Warning, "요구사항과 이어지지 않은 모델이다", "A model names no requirement."),
    rule(
        "model-use-case-actor-alone",
        Severity::Warning,
        "유스케이스가 없는 행위자이다",
        "An actor takes part in no use case.",
    ),
    rule("model-use-case-alone", Severity::Error, "행위자가 닿지 않는 유스케이스이다", "No actor reaches a use case."),
    rule("model-use-case-cycle", Severity::Error, "포함 관계가 순환한다", "Use cases include each other in a circle."),
    rule(
        "model-use-case-undefined",
        Severity::Error,
        "선언되지 않은 이름이다",
        "A name is not declared as an actor or a use case.",
    ),
];

/// Findings of one model being gathered.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) all: Vec<Finding>,
}

impl Findings {
    /// Adds a finding; its file is filled in later. `what` is the element it is about.
    pub(crate) fn add(
        &mut self,
        rule: &'static str,
        spot: Spot,
        what: &str,
        message: (String, String),
        fix: (&str, &str),
    ) {
        let severity = RULES.iter().find(|one| one.id == rule).map_or(Severity::Warning, |one| one.severity);
        let end_column = spot.column + what.chars().count();
        self.all.push(Finding {
            rule,
            severity,
            item: String::new(),
            place: Place {
                file: String::new(),
                line: spot.line,
                column: spot.column,
                end_line: spot.line,
                end_column,
                ..Place::default()
            },
            phrase: what.to_owned(),
            message: LocalText::both(message.0, message.1),
            fix: LocalText::both(fix.0, fix.1),
        });
    }
}

/// Returns the nodes that can be reached from some, over edges.
pub(crate) fn reachable(count: usize, from: &[usize], edges: &[(usize, usize)]) -> Vec<bool> {
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (start, end) in edges {
        if let Some(list) = next.get_mut(*start) {
            list.push(*end);
        }
    }
    let mut seen = vec![false; count];
    let mut open: Vec<usize> = from.to_vec();
    while let Some(node) = open.pop() {
        if let Some(mark) = seen.get_mut(node)
            && !*mark
        {
            *mark = true;
            open.extend(next.get(node).into_iter().flatten());
        }
    }
    seen
}

/// Returns the nodes that lie on a circle.
pub(crate) fn on_circle(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    (0..count)
        .filter(|node| {
            let after: Vec<usize> = edges.iter().filter(|(from, _)| from == node).map(|(_, to)| *to).collect();
            reachable(count, &after, edges).get(*node).copied().unwrap_or_default()
        })
        .collect()
}
