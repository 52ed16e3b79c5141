//! Decides which gates are open, and what blocks the others. Pure: the same objects give the same answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use maru_api::{
    BaselineSpec, Blocker, Culprit, GATE_VARIABLES, GateResult, GateSide, GateSpec, Language, LocalText, MethodSpec,
    ProjectStatus, RequirementSpec, Spec as _, Stage, Term, WorkItemSpec,
};
use maru_cel::{Expression, Limits, List, Map, Value as Cel, Variables};
use maru_time::Timestamp;
use serde_json::{Value, json};

use super::world::{Room, name_of};

/// Steps that one term may take: some tens of milliseconds.
const STEPS_MAX: u64 = 3_000_000;
/// Bytes that one term may make.
const BYTES_MAX: u64 = 32 << 20;
/// Objects that a blocker names.
const NAMED_MAX: usize = 20;
/// Commands that a blocker tells.
const COMMANDS_MAX: usize = 5;
/// Names in the line that says what is missing.
const SHOWN_MAX: usize = 3;
/// The stage of a project whose gates are all open.
const DONE: &str = "done";

/// What terms of gates see.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    requirements: Vec<Arc<Value>>,
    evidence: Vec<Arc<Value>>,
    approvals: Vec<Arc<Value>>,
    objects: BTreeMap<String, Vec<Arc<Value>>>,
    now: Timestamp,
}

impl Inputs {
    pub(super) fn new(
        room: &Room,
        status: &ProjectStatus,
        approvals: Vec<Arc<Value>>,
        links: &mut Links,
        now: Timestamp,
    ) -> Self {
        let mut objects = room.objects.clone();
        // A baseline counts when it is signed; the last one is the last.
        let baselines = objects.entry(BaselineSpec::KIND.to_owned()).or_default();
        baselines.retain(|one| one.pointer("/status/envelope").is_some());
        baselines.sort_by_key(|one| one.pointer("/status/at").and_then(Value::as_str).unwrap_or_default().to_owned());
        // What this look found out, not what the last one wrote.
        for project in objects.entry(maru_api::ProjectSpec::KIND.to_owned()).or_default() {
            let mut seen = (**project).clone();
            if let Some(fields) = seen.get_mut("status").and_then(Value::as_object_mut) {
                fields.insert("baseline".to_owned(), json!(status.baseline));
                fields.insert("changeCount".to_owned(), json!(status.change_count));
                fields.insert("changes".to_owned(), json!(status.changes));
            }
            *project = Arc::new(seen);
        }
        let requirements = links.add(room);
        objects.insert(RequirementSpec::KIND.to_owned(), requirements.clone());
        Self { requirements, evidence: room.newest(now), approvals, objects, now }
    }

    fn variables(&self) -> Variables<'_> {
        Variables::default()
            .with("requirements", Cel::List(List::Shared(&self.requirements)))
            .with("evidence", Cel::List(List::Shared(&self.evidence)))
            .with("approvals", Cel::List(List::Shared(&self.approvals)))
            .with("objects", Cel::Map(Map::Lists(&self.objects)))
            .with("now", Cel::Timestamp(self.now))
    }
}

/// Requirements with their links in both directions, so that terms need not look for them: `links.children` and
/// `links.workItems`. Kept from look to look.
#[derive(Debug, Default)]
pub(super) struct Links(BTreeMap<String, (Arc<Value>, Value, Arc<Value>)>);

impl Links {
    fn add(&mut self, room: &Room) -> Vec<Arc<Value>> {
        let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut items: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let all = room.of_kind(RequirementSpec::KIND);
        for one in all {
            for link in one.pointer("/spec/derivedFrom").and_then(Value::as_array).into_iter().flatten() {
                let parent = link.get("name").and_then(Value::as_str).unwrap_or_default();
                children.entry(parent).or_default().push(name_of(one));
            }
        }
        for one in room.of_kind(WorkItemSpec::KIND) {
            for name in one.pointer("/spec/requirements").and_then(Value::as_array).into_iter().flatten() {
                items.entry(name.as_str().unwrap_or_default()).or_default().push(name_of(one));
            }
        }
        let mut before = std::mem::take(&mut self.0);
        let mut linked = Vec::with_capacity(all.len());
        for one in all {
            let name = name_of(one);
            let of = |links: &BTreeMap<&str, Vec<&str>>| json!(links.get(name).cloned().unwrap_or_default());
            let links = json!({"children": of(&children), "workItems": of(&items)});
            let view = match before.remove(name) {
                Some((source, known, view)) if Arc::ptr_eq(&source, one) && known == links => view,
                _ => {
                    let mut view = (**one).clone();
                    if let Some(fields) = view.as_object_mut() {
                        fields.insert("links".to_owned(), links.clone());
                    }
                    Arc::new(view)
                }
            };
            self.0.insert(name.to_owned(), (Arc::clone(one), links, Arc::clone(&view)));
            linked.push(view);
        }
        linked
    }
}

/// What gates came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Judged {
    /// The first stage whose exit gate is closed.
    pub(super) stage: String,
    /// The gates of all stages.
    pub(super) gates: Vec<GateResult>,
    /// The results of `Gate` objects, by name.
    pub(super) objects: BTreeMap<String, GateResult>,
}

/// Terms that were read, by their text: nobody reads the same text at every look.
#[derive(Debug, Default)]
pub(super) struct Terms(BTreeMap<String, Result<Arc<Expression>, String>>);

impl Terms {
    fn read(&mut self, text: &str) -> Result<Arc<Expression>, String> {
        const KEPT_MAX: usize = 10_000;
        if self.0.len() >= KEPT_MAX {
            self.0.clear();
        }
        let read = || Expression::parse(text, &GATE_VARIABLES).map(Arc::new).map_err(|error| error.to_string());
        self.0.entry(text.to_owned()).or_insert_with(read).clone()
    }
}

/// Judges all gates of a project.
pub(super) fn judge(room: &Room, method: &Result<MethodSpec, LocalText>, inputs: &Inputs, terms: &mut Terms) -> Judged {
    let language = room.project_spec().language;
    let variables = inputs.variables();
    let mut judge = Judge { project: &room.project, language, variables, terms };
    let mut judged = Judged::default();
    let mut own: BTreeMap<(String, bool), Vec<Blocker>> = BTreeMap::new();
    for gate in room.of_kind(GateSpec::KIND) {
        let name = name_of(gate).to_owned();
        let spec = gate.get("spec").cloned().unwrap_or_default();
        let (place, blocked) = match serde_json::from_value::<GateSpec>(spec) {
            Ok(spec) => {
                let known = method.as_ref().ok().map(|method| method.stage(&spec.stage).is_some());
                let mut blocked = judge.blockers(&spec.terms, Some(&name));
                if known == Some(false) {
                    blocked.push(unknown_stage(&spec.stage, &name, method.as_ref().ok()));
                }
                ((spec.stage, spec.side == GateSide::Exit), blocked)
            }
            Err(error) => {
                let message = LocalText::both("게이트를 읽을 수 없습니다", "the gate cannot be read");
                ((String::new(), true), vec![broken(&message, Some(&name), &error.to_string())])
            }
        };
        let gate = place_name(&place.0, place.1);
        judged.objects.insert(name, result(gate, blocked.clone(), language));
        own.entry(place).or_default().extend(blocked);
    }
    match method {
        Ok(method) => {
            for stage in method.stages() {
                for is_exit in [false, true] {
                    let more = own.remove(&(stage.id.clone(), is_exit));
                    judged.gates.extend(judge.gate(stage, is_exit, more));
                }
            }
            let closed = |stage: &&Stage| {
                let name = place_name(&stage.id, true);
                judged.gates.iter().any(|gate| gate.gate == name && !gate.open)
            };
            judged.stage = method.stages().find(closed).map_or_else(|| DONE.to_owned(), |stage| stage.id.clone());
        }
        Err(reason) => {
            let blocked = vec![broken(reason, None, "")];
            judged.gates.push(result("method".to_owned(), blocked, language));
        }
    }
    judged
}

fn place_name(stage: &str, is_exit: bool) -> String {
    format!("{stage}/{}", if is_exit { "exit" } else { "entry" })
}

fn unknown_stage(stage: &str, gate: &str, method: Option<&MethodSpec>) -> Blocker {
    let known: Vec<&str> = method.iter().flat_map(|method| method.stages()).map(|stage| stage.id.as_str()).collect();
    let known = known.join(", ");
    let message = LocalText::both(
        format!("\"{stage}\" 단계가 방법에 없습니다: {known}"),
        format!("the method has no stage \"{stage}\"; there are {known}"),
    );
    broken(&message, Some(gate), "")
}

fn broken(message: &LocalText, from: Option<&str>, error: &str) -> Blocker {
    Blocker { from: from.map(str::to_owned), message: message.clone(), error: error.to_owned(), ..Blocker::default() }
}

fn result(gate: String, blocked: Vec<Blocker>, language: Language) -> GateResult {
    let line: Vec<String> = blocked.iter().map(|one| line(one, language)).collect();
    GateResult { gate, open: blocked.is_empty(), reason: line.join("; "), blocked }
}

/// Says in some words what a blocker is about.
fn line(blocker: &Blocker, language: Language) -> String {
    let message = blocker.message.get(language);
    if !blocker.error.is_empty() {
        return format!("{message} ({})", blocker.error);
    }
    let mut names: Vec<String> = blocker.objects.iter().take(SHOWN_MAX).map(|one| one.name.clone()).collect();
    if names.is_empty() {
        return message.to_owned();
    }
    let more = blocker.count.saturating_sub(names.len() as u64);
    if more > 0 {
        names.push(match language {
            Language::Ko => format!("외 {more}건"),
            Language::En => format!("{more} more"),
        });
    }
    format!("{message} ({})", names.join(", "))
}

struct Judge<'a> {
    project: &'a str,
    language: Language,
    variables: Variables<'a>,
    terms: &'a mut Terms,
}

impl Judge<'_> {
    /// Judges one side of a stage; none when nothing guards it.
    fn gate(&mut self, stage: &Stage, is_exit: bool, more: Option<Vec<Blocker>>) -> Option<GateResult> {
        let terms = if is_exit { &stage.exit } else { &stage.entry };
        if terms.is_empty() && more.is_none() && !is_exit {
            return None;
        }
        let mut blocked = self.blockers(terms, None);
        blocked.extend(more.into_iter().flatten());
        Some(result(place_name(&stage.id, is_exit), blocked, self.language))
    }

    fn blockers(&mut self, terms: &[Term], from: Option<&str>) -> Vec<Blocker> {
        terms.iter().filter_map(|term| self.blocker(term, from)).collect()
    }

    /// Returns what a term has against passing. Whatever has no answer keeps the gate closed.
    fn blocker(&mut self, term: &Term, from: Option<&str>) -> Option<Blocker> {
        let limits = Limits { steps_max: STEPS_MAX, bytes_max: BYTES_MAX };
        let mut blocker = Blocker {
            from: from.map(str::to_owned),
            expression: term.expression.clone(),
            message: term.message.clone(),
            ..Blocker::default()
        };
        let expression = match self.terms.read(&term.expression) {
            Ok(expression) => expression,
            Err(error) => {
                blocker.error = error;
                return Some(blocker);
            }
        };
        match expression.holds(&self.variables, limits) {
            Ok(true) => return None,
            Ok(false) => {}
            Err(error) => {
                blocker.error = error.to_string();
                return Some(blocker);
            }
        }
        let culprits = expression.culprits(&self.variables, limits);
        blocker.count = culprits.len() as u64;
        blocker.objects = culprits
            .into_iter()
            .take(NAMED_MAX)
            .map(|object| Culprit {
                kind: text(object.get("kind")),
                name: text(object.get("metadata").and_then(|metadata| metadata.get("name"))),
            })
            .collect();
        blocker.unblock = self.commands(term, &expression, &blocker.objects);
        Some(blocker)
    }

    fn commands(&self, term: &Term, expression: &Expression, objects: &[Culprit]) -> Vec<String> {
        let project = self.project;
        let mut commands = Vec::new();
        for command in &term.unblock {
            let command = command.replace("{project}", project);
            if command.contains("{name}") {
                commands.extend(objects.iter().map(|one| command.replace("{name}", &one.name)));
            } else {
                commands.push(command);
            }
        }
        if term.unblock.is_empty() {
            commands.extend(objects.iter().map(|one| match one.kind.as_str() {
                RequirementSpec::KIND => format!("maru -n {project} req show {}", one.name),
                kind => format!("kubectl get -n {project} {}.maru.dev {} -o yaml", kind.to_lowercase(), one.name),
            }));
            if objects.is_empty() && expression.uses("approvals") {
                commands.push(format!("maru -n {project} project approve KIND/NAME --role ROLE"));
            } else if objects.is_empty() && expression.uses("evidence") {
                commands.push(format!("sudo maru -n {project} evidence attest REPORT"));
            }
        }
        commands.truncate(COMMANDS_MAX);
        commands
    }
}

fn text(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-22T08:00:00Z".parse().unwrap()
    }

    fn room(objects: &[Value]) -> Room {
        let mut room = Room { project: "shop".to_owned(), ..Room::default() };
        for kind in ["Requirement", "WorkItem", "Baseline", "Architecture", "Environment", "Gate", "Project"] {
            room.objects.entry(kind.to_owned()).or_default();
        }
        for object in objects {
            let mut object = object.clone();
            for part in ["spec", "status"] {
                if object[part].is_null() {
                    object[part] = json!({});
                }
            }
            let kind = object["kind"].as_str().unwrap().to_owned();
            room.objects.entry(kind).or_default().push(Arc::new(object));
        }
        room
    }

    fn judged(objects: &[Value]) -> Judged {
        let room = room(objects);
        let inputs = Inputs::new(&room, &ProjectStatus::default(), Vec::new(), &mut Links::default(), now());
        judge(&room, &Ok(MethodSpec::maru().unwrap()), &inputs, &mut Terms::default())
    }

    fn requirement(name: &str, spec: Value, status: Value) -> Value {
        json!({"kind": "Requirement", "metadata": {"name": name}, "spec": spec, "status": status})
    }

    fn gate(expression: &str) -> Value {
        json!({"kind": "Gate", "metadata": {"name": "own"}, "spec": {"stage": "requirements", "terms": [
            {"expression": expression, "message": {"ko": "안 됩니다", "en": "it is not so"}}]}})
    }

    fn english() -> Value {
        json!({"kind": "Project", "metadata": {"name": "shop"}, "spec": {"language": "en"}})
    }

    #[test]
    fn every_term_of_the_method_has_an_answer_in_an_empty_project() {
        let method = MethodSpec::maru().unwrap();
        let judged = judged(&[english()]);
        assert_eq!(judged.stage, "requirements");
        assert_eq!(judged.gates.iter().filter(|gate| gate.gate.ends_with("/exit")).count(), method.stages().count());
        for gate in &judged.gates {
            for blocked in &gate.blocked {
                assert_eq!(blocked.error, "", "{blocked:?}");
                assert!(!blocked.message.is_empty() && !blocked.unblock.is_empty(), "{blocked:?}");
            }
        }
        // With objects that lack every field that need not be there.
        let bare = ["Requirement", "WorkItem", "Baseline", "Architecture", "Environment"]
            .map(|kind| json!({"kind": kind, "metadata": {"name": "x"}, "spec": {"priority": "must"}}));
        for gate in self::judged(&bare).gates {
            assert!(gate.blocked.iter().all(|blocked| blocked.error.is_empty()), "{gate:?}");
        }
    }

    #[test]
    fn blockers_name_objects_and_commands_in_the_language_of_the_project() {
        let lint = json!({"lint": [{"rule": "missing-unit", "severity": "error"}], "suspect": []});
        let verified = json!([{"test": {"suite": "s"}}]);
        let judged = judged(&[
            english(),
            requirement("fr-1", json!({"priority": "must", "verify": verified}), lint),
            requirement("fr-2", json!({"priority": "must", "verify": verified}), json!({"lint": []})),
            requirement("fr-3", json!({"priority": "wont"}), json!({})),
            requirement("goal", json!({"priority": "must"}), json!({"lint": []})),
            requirement("leaf", json!({"priority": "must", "derivedFrom": [{"name": "goal"}]}), json!({"lint": []})),
        ]);
        let exit = judged.gates.iter().find(|gate| gate.gate == "requirements/exit").unwrap();
        let names = |at: usize| exit.blocked[at].objects.iter().map(|one| one.name.as_str()).collect::<Vec<_>>();
        assert_eq!((names(0), names(1)), (vec!["fr-1"], vec!["leaf"]), "{exit:?}");
        assert_eq!(exit.blocked[0].message.get(Language::En), "a requirement's text has errors");
        assert_eq!(exit.blocked[0].message.get(Language::Ko), "오류가 있는 요구사항 문장이 있습니다");
        assert!(exit.blocked[0].unblock.contains(&"maru -n shop req show fr-1".to_owned()), "{exit:?}");
        assert!(exit.reason.starts_with("a requirement's text has errors (fr-1); "), "{}", exit.reason);
    }

    #[test]
    fn what_has_no_answer_keeps_a_gate_closed() {
        let all: Vec<String> = ('a'..='l').map(|name| format!("requirements.all({name}, ")).collect();
        let endless = format!("{}true{}", all.concat(), ")".repeat(all.len()));
        for (expression, error) in [
            ("size(requirements) >", "line 1, column 21"),
            ("nobody == 1", "\"nobody\" is not known"),
            ("requirements[9].spec.x", "has no place 9"),
            ("requirements[0].spec.x", "there is no \"x\""),
            ("size(requirements)", "this is int"),
            (endless.as_str(), "it takes more than 3000000 steps"),
        ] {
            let mut objects = vec![english(), gate(expression)];
            objects.extend((0..8).map(|one| requirement(&format!("fr-{one}"), json!({"priority": "wont"}), json!({}))));
            let judged = judged(&objects);
            let own = &judged.objects["own"];
            assert!(!own.open && own.blocked[0].error.contains(error), "{expression}: {own:?}");
            let exit = judged.gates.iter().find(|gate| gate.gate == "requirements/exit").unwrap();
            assert_eq!(exit.blocked.last().unwrap().from.as_deref(), Some("own"));
        }
    }

    #[test]
    fn gates_of_a_stage_that_there_is_not_are_closed() {
        let mut lost = gate("true");
        lost["spec"]["stage"] = json!("cooking");
        let judged = judged(&[english(), lost]);
        let own = &judged.objects["own"];
        assert!(
            !own.open && own.reason.contains("the method has no stage \"cooking\"; there are requirements, as-is"),
            "{own:?}"
        );
    }

    #[test]
    fn a_project_whose_gates_are_open_is_done() {
        let room = room(&[english()]);
        let method = MethodSpec {
            title: LocalText::default(),
            phases: serde_json::from_value(json!([{"id": "p", "stages": [{"id": "a"}, {"id": "b", "exit": [
                {"expression": "objects['Project'].exists(p, p.spec.language == 'en')", "message": "x"}]}]}]))
            .unwrap(),
        };
        let inputs = Inputs::new(&room, &ProjectStatus::default(), Vec::new(), &mut Links::default(), now());
        let judged = judge(&room, &Ok(method), &inputs, &mut Terms::default());
        assert_eq!(judged.stage, "done");
        assert!(judged.gates.iter().all(|gate| gate.open), "{judged:?}");
        let lost = judge(&room, &Err("there is no Method".into()), &inputs, &mut Terms::default());
        assert_eq!((lost.stage.as_str(), lost.gates.len(), lost.gates[0].open), ("", 1, false));
    }
}
