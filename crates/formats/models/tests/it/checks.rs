//! What is found, and what is not.

use maru_models::{check, read_models};

fn found(text: &str) -> Vec<(&'static str, usize, String)> {
    let text = format!("---\nrequirements: [fr-1]\n---\n{text}");
    let models = read_models("a.mmd", &text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
    let findings = check(&models[0], None);
    findings.into_iter().map(|one| (one.rule, one.place.line - 3, one.phrase)).collect()
}

fn one(text: &str, rule: &str, line: usize, phrase: &str) {
    let all = found(text);
    let wanted = (rule, line, phrase.to_owned());
    assert!(all.iter().any(|one| (one.0, one.1, one.2.clone()) == wanted), "{text}\nno {wanted:?} in {all:?}");
}

#[test]
fn states_are_reachable_left_and_decided() {
    let good = "stateDiagram-v2\n  [*] --> a\n  a --> b : go [x]\n  a --> c : go [not x]\n  b --> [*]\n  c --> a";
    assert_eq!(found(good), []);
    let head = "stateDiagram-v2\n  [*] --> a\n  a --> [*] : stop\n";
    one(&format!("{head}  lost --> a"), "model-state-unreachable", 4, "lost");
    one(&format!("{head}  a --> sink : go"), "model-state-dead-end", 4, "sink");
    one(&format!("{head}  a --> b : stop\n  b --> a"), "model-state-ambiguous", 4, "a");
    one(&format!("{head}  a --> b : go\n  b --> c\n  c --> b"), "model-state-trap", 4, "b");
    one("stateDiagram-v2\n  a --> b\n  b --> a", "model-state-no-start", 2, "");
    one(&format!("{head}  state c <<choice>>\n  a --> c : go\n  c --> a"), "model-state-choice", 4, "c");
    let composite =
        "stateDiagram-v2\n  [*] --> a\n  state a {\n    [*] --> in\n    in --> out : x\n  }\n  a --> [*] : done";
    assert_eq!(found(composite), [], "what leaves the composite leaves its states");
    one(&composite.replace("a --> [*] : done", "b --> a"), "model-state-unreachable", 7, "b");
}

#[test]
fn participants_are_declared_and_activations_end() {
    assert_eq!(found("sequenceDiagram\n  A->>+B: x\n  B-->>-A: y"), []);
    let head = "sequenceDiagram\n  participant A\n  participant B\n  A->>B: x\n";
    one(&format!("{head}  A->>C: x"), "model-sequence-undefined", 5, "C");
    one(&format!("{head}  participant D"), "model-sequence-alone", 5, "D");
    one(&format!("{head}  activate B"), "model-sequence-activation", 5, "B");
    one(&format!("{head}  deactivate B"), "model-sequence-activation", 5, "B");
}

#[test]
fn entities_have_keys_and_classes_a_line_of_descent() {
    one("erDiagram\n  A {\n    int x\n  }", "model-entity-no-key", 2, "A");
    one("erDiagram\n  A ||--|| B : x\n  A {\n    int x PK\n  }", "model-entity-no-attributes", 2, "B");
    one("erDiagram\n  A {\n    int x PK\n  }\n  B {\n    int y PK\n  }", "model-entity-alone", 2, "A");
    one("classDiagram\n  class A\n  class B\n  A <|-- B\n  B <|-- A", "model-class-cycle", 2, "A");
    one("classDiagram\n  class A\n  A --> B", "model-class-undefined", 3, "B");
    one("classDiagram\n  class A {\n    x\n    x\n  }", "model-class-duplicate-member", 4, "x");
}

#[test]
fn flows_end_and_decisions_are_named() {
    assert_eq!(found("flowchart TD\n  A --> B{ok?}\n  B -->|yes| C\n  B -->|no| A"), []);
    one("flowchart TD\n  A --> B{ok?}\n  B --> C\n  B --> D", "model-flow-decision", 2, "B");
    one("flowchart TD\n  A --> B\n  B --> A", "model-flow-no-end", 2, "A");
    one("flowchart TD\n  A --> B\n  C", "model-flow-alone", 3, "C");
    one("flowchart TD\n  A --> B\n  C --> D\n  D --> C\n  D --> B", "model-flow-unreachable", 3, "C");
}

#[test]
fn use_cases_have_actors_and_goals_requirements() {
    let head = "usecaseDiagram\n  actor a\n  usecase u\n  a --> u\n";
    assert_eq!(found(head), []);
    one(&format!("{head}  usecase v"), "model-use-case-alone", 5, "v");
    one(&format!("{head}  actor b"), "model-use-case-actor-alone", 5, "b");
    one(&format!("{head}  a --> w"), "model-use-case-undefined", 5, "w");
    one(&format!("{head}  usecase v\n  u ..> v : include\n  v ..> u : include"), "model-use-case-cycle", 3, "u");
    one("goalTree\n  goal g", "model-goal-unrefined", 2, "g");
    one("goalTree\n  goal g\n  goal h\n  g --> and: h\n  h --> g", "model-goal-cycle", 2, "g");
    one("goalTree\n  goal g\n  requirement r\n  agent a\n  g --> r", "model-goal-responsible", 3, "r");
    one("goalTree\n  goal g\n  requirement r\n  g --> r\n  obstacle o", "model-goal-obstacle", 5, "o");
}

#[test]
fn models_name_requirements_that_exist() {
    let models = read_models("a.mmd", "---\nrequirements: [fr-1, fr-2]\n---\nflowchart TD\n  A --> B").unwrap();
    let known = ["fr-1".to_owned()].into();
    let findings = check(&models[0], Some(&known));
    assert_eq!(findings.len(), 1);
    assert_eq!(
        (findings[0].rule, findings[0].place.line, findings[0].place.column),
        ("model-requirement-unknown", 2, 22)
    );
    let lonely = read_models("a.mmd", "flowchart TD\n  A --> B").unwrap();
    assert_eq!(check(&lonely[0], None)[0].rule, "model-unlinked");
}
