//! State diagrams in Mermaid's text, checked: states that are never reached, states that are never left.
//!
//! The subset: `stateDiagram-v2`, `[*] --> a`, `a --> b: event`, `state "Title" as a`, `a: Title`, comments. Anything else is refused.

use std::collections::{BTreeMap, BTreeSet};

use crate::read::ItemError;

const LINES_MAX: usize = 5_000;
const EDGE: &str = "[*]";

/// A state model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateModel {
    /// The states with the lines where they first occur.
    pub states: BTreeMap<String, usize>,
    /// Transitions: from, to, event. `[*]` is the beginning as the first, the end as the second.
    pub transitions: Vec<(String, String, String)>,
    /// States that no path from the beginning reaches.
    pub unreachable: BTreeSet<String>,
    /// States that are reached and never left, without being connected to the end.
    pub dead_ends: BTreeSet<String>,
    /// States with two transitions for one event: the state and the event.
    pub ambiguous: BTreeSet<(String, String)>,
}

/// Reads a state diagram and checks it.
///
/// # Errors
/// Every line that is not of the subset, with its number. Nothing is included and nothing runs.
pub fn check_state_diagram(file: &str, text: &str) -> Result<StateModel, Vec<ItemError>> {
    let mut model = StateModel::default();
    let mut errors = Vec::new();
    let mut error = |line: usize, message: String| {
        errors.push(ItemError { file: file.to_owned(), line, column: 1, message });
    };
    let mut head = false;
    for (index, line) in text.lines().enumerate() {
        let (number, line) = (index + 1, line.trim());
        if number > LINES_MAX {
            error(number, format!("the diagram has more than {LINES_MAX} lines; split it"));
            break;
        }
        if line.is_empty() || (line.starts_with("%%") && !line.starts_with("%%{")) {
            continue;
        }
        if !head {
            head = matches!(line, "stateDiagram" | "stateDiagram-v2");
            if !head {
                error(number, "the diagram must begin with stateDiagram-v2".to_owned());
                break;
            }
            continue;
        }
        if let Err(message) = read_line(&mut model, line, number) {
            error(number, message);
        }
    }
    if !head && errors.is_empty() {
        errors.push(ItemError {
            file: file.to_owned(),
            line: 1,
            column: 1,
            message: "the diagram is empty; begin it with stateDiagram-v2".to_owned(),
        });
    }
    if errors.is_empty() && !model.states.is_empty() && !model.transitions.iter().any(|(from, ..)| from == EDGE) {
        errors.push(ItemError {
            file: file.to_owned(),
            line: 1,
            column: 1,
            message: "no state is the first; write [*] --> state".to_owned(),
        });
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    judge(&mut model);
    Ok(model)
}

fn read_line(model: &mut StateModel, line: &str, number: usize) -> Result<(), String> {
    if let Some((from, rest)) = line.split_once("-->") {
        let (to, event) = rest.split_once(':').unwrap_or((rest, ""));
        let (from, to) = (name(from)?, name(to)?);
        for state in [&from, &to] {
            if state != EDGE {
                model.states.entry(state.clone()).or_insert(number);
            }
        }
        model.transitions.push((from, to, event.trim().to_owned()));
        return Ok(());
    }
    if let Some(title) = line.strip_prefix("state ") {
        let id = title.rsplit_once(" as ").map_or(title, |(_, id)| id);
        if id.contains('{') {
            return Err("states inside of states are not supported; write one diagram for each".to_owned());
        }
        model.states.entry(name(id)?).or_insert(number);
        return Ok(());
    }
    if let Some((id, _)) = line.split_once(':') {
        model.states.entry(name(id)?).or_insert(number);
        return Ok(());
    }
    if line.starts_with("direction ") {
        return Ok(());
    }
    name(line).map(|id| {
        model.states.entry(id).or_insert(number);
    })
}

fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    let good = text == EDGE
        || (!text.is_empty()
            && text.chars().count() <= 80
            && text.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.')));
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "\"{}\" is no state; only a --> b: event, state \"Title\" as a, and a: Title are supported",
            text.chars().take(60).collect::<String>()
        ))
    }
}

fn judge(model: &mut StateModel) {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut events: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for (from, to, event) in &model.transitions {
        next.entry(from).or_default().push(to);
        events.entry((from, event)).or_default().insert(to);
    }
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = next.get(EDGE).cloned().unwrap_or_default();
    while let Some(state) = open.pop() {
        if state != EDGE && reached.insert(state) {
            open.extend(next.get(state).into_iter().flatten());
        }
    }
    let unreachable = model.states.keys().filter(|state| !reached.contains(state.as_str())).cloned().collect();
    let leaves = |state: &&str| next.get(*state).is_some_and(|others| others.iter().any(|other| other != state));
    let dead_ends = reached.iter().filter(|state| !leaves(state)).map(|state| (*state).to_owned()).collect();
    let ambiguous = events
        .iter()
        .filter(|((from, event), to)| *from != EDGE && !event.is_empty() && to.len() > 1)
        .map(|((from, event), _)| ((*from).to_owned(), (*event).to_owned()))
        .collect();
    (model.unreachable, model.dead_ends, model.ambiguous) = (unreachable, dead_ends, ambiguous);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreachable_states_dead_ends_and_doubts_are_found() {
        let text = "stateDiagram-v2\n%% orders\n[*] --> 접수\n접수 --> paid: pay\n접수 --> lost: pay\npaid --> [*]\nghost --> paid\n";
        let model = check_state_diagram("a.mmd", text).unwrap();
        assert_eq!(model.unreachable, BTreeSet::from(["ghost".to_owned()]));
        assert_eq!(model.dead_ends, BTreeSet::from(["lost".to_owned()]));
        assert_eq!(model.ambiguous, BTreeSet::from([("접수".to_owned(), "pay".to_owned())]));
    }

    #[test]
    fn hostile_diagrams_are_refused_with_their_lines() {
        for (text, line) in [
            ("%%{init: {}}%%\nstateDiagram", 1),
            ("stateDiagram\n!include http://x", 2),
            ("stateDiagram\na --> b\n<script>", 3),
            ("flowchart", 1),
            ("", 1),
            ("stateDiagram\na --> b", 1),
        ] {
            assert_eq!(check_state_diagram("a.mmd", text).unwrap_err()[0].line, line, "{text}");
        }
    }
}
