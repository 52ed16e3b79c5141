//! `maru project`: how far a project is, what blocks its gates, its baselines, and what people approve.
//!
//! Long because each of its commands is a few lines of asking and a table of answers, which are read together.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use maru_api::{
    API_VERSION, Approval, ApprovalSpec, Approved, Baseline, BaselineSpec, BaselineStatus, Change, ChangeKind,
    Decision, GROUP, GateResult, Language, Object, Priority, Project, ProjectSpec, ProjectStatus, Requirement, Spec,
    VERSION, Verdict, WorkItemSpec, fingerprint_of,
};
use maru_cli::table;
use maru_process::{Content, Need};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::arguments::GlobalArguments;
use crate::report::Report;

/// How long Maru may take to look at what was made.
const LOOK_TIME_MAX: Duration = Duration::from_secs(20);

/// What can be done with a project.
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectCommand {
    /// Write a new project's folder: goal, requirements, glossary, a gate
    #[command(
        after_help = "Example:\n  maru project init bank --language en && maru req lint bank && maru apply -f bank/.maru -f bank/.maru/requirements"
    )]
    Init(crate::init::InitArguments),
    /// Show the stage, the numbers of verdicts, the last baseline, the state of the chain, and what runs where
    Status,
    /// Show what keeps gates closed, and what would open them
    #[command(
        after_help = "Examples:\n  maru -n shop project gate\n  maru -n shop project gate requirements\n\nEnds with 1 when a gate of the stage that is named is closed."
    )]
    Gate {
        /// A stage: its gates alone; without it, those of the stage that the project is in, after a line for each gate
        stage: Option<String>,
    },
    /// Freeze and sign what a project is, and compare
    #[command(subcommand)]
    Baseline(BaselineCommand),
    /// Approve or reject an object, in a role
    #[command(
        after_help = "Examples:\n  maru -n shop project approve Baseline/v1 --role customer\n  maru -n shop project approve Project/shop --role customer --reject --comment 'the plan is too tight'"
    )]
    Approve(ApproveArguments),
}

/// What `maru project approve` can be told.
#[derive(Debug, Args)]
pub(crate) struct ApproveArguments {
    /// The object: its kind and name
    #[arg(value_name = "KIND/NAME")]
    pub(crate) object: String,
    #[command(flatten)]
    pub(crate) word: WordArguments,
}

/// A person's word.
#[derive(Debug, Args)]
pub(crate) struct WordArguments {
    /// The role in which it is said; the cluster's RBAC says who holds it
    #[arg(long)]
    pub(crate) role: String,
    /// Reject it instead
    #[arg(long)]
    pub(crate) reject: bool,
    /// Why
    #[arg(long, default_value = "")]
    pub(crate) comment: String,
}

/// What can be done with baselines.
#[derive(Debug, Subcommand)]
pub(crate) enum BaselineCommand {
    /// Freeze and sign requirements, architecture, glossary, method and the end of the evidence
    #[command(
        after_help = "Examples:\n  maru -n shop project baseline create v1 --title 'as ordered'\n  maru -n shop project baseline create v2 --change 'faster orders, asked for on 3 May'\n\nEnds with 1 when something is missing before it can be signed, and says what."
    )]
    Create {
        /// Its name
        name: String,
        /// Its name for people
        #[arg(long, default_value = "")]
        title: String,
        /// Why it differs from the one before it
        #[arg(long, default_value = "")]
        change: String,
    },
    /// List baselines
    #[command(visible_alias = "list")]
    Ls,
    /// Show a baseline: what it holds, and what changed with it
    Show {
        /// The baseline
        name: String,
    },
    /// Compare a baseline (the last one) with another one (with now)
    #[command(
        after_help = "Examples:\n  sudo maru -n shop project baseline diff\n  sudo maru -n shop project baseline diff v1\n  sudo maru -n shop project baseline diff v1 v2"
    )]
    Diff {
        /// The earlier one; without it, the last
        earlier: Option<String>,
        /// The later one; without it, the project as it is
        later: Option<String>,
    },
}

pub(crate) async fn run(global: &GlobalArguments, command: ProjectCommand, report: Report) -> anyhow::Result<u8> {
    match command {
        ProjectCommand::Init(arguments) => crate::init::run(&arguments, report),
        ProjectCommand::Status => status(global, report).await,
        ProjectCommand::Gate { stage } => gate(global, stage.as_deref(), report).await,
        ProjectCommand::Baseline(command) => baseline(global, command, report).await,
        ProjectCommand::Approve(arguments) => {
            let (kind, name) = arguments.object.split_once('/').with_context(|| {
                format!("\"{}\" is no object: write KIND/NAME, as in Baseline/v1", arguments.object)
            })?;
            approve(global, kind, name, &arguments.word, report).await
        }
    }
}

fn api<S: Spec>(client: &maru_client::Client, namespace: &str) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, VERSION, S::KIND), S::PLURAL);
    Api::namespaced_with(client.clone(), namespace, &kind)
}

fn read<S: Spec>(object: DynamicObject) -> anyhow::Result<Object<S>> {
    let name = object.metadata.name.clone().unwrap_or_default();
    let read = serde_json::to_value(object).and_then(serde_json::from_value);
    read.with_context(|| format!("{} \"{name}\" cannot be read", S::KIND))
}

async fn list<S: Spec>(context: &maru_cli::Context) -> anyhow::Result<Vec<Object<S>>> {
    let found = api::<S>(&context.client, &context.namespace).list(&ListParams::default()).await;
    let found = found.with_context(|| format!("cannot list the {} of \"{}\"", S::PLURAL, context.namespace))?;
    found.items.into_iter().map(read).collect()
}

async fn project_of(context: &maru_cli::Context) -> anyhow::Result<Project> {
    let found = list::<ProjectSpec>(context).await?.into_iter().next();
    found.with_context(|| {
        format!(
            "namespace \"{}\" has no Project; \"maru project init\" writes one, -n names another namespace",
            context.namespace
        )
    })
}

async fn status(global: &GlobalArguments, report: Report) -> anyhow::Result<u8> {
    let desk = crate::spine::desk(global, report).await?;
    let requirements = desk.requirements().await?;
    let count = |verdict: Option<Verdict>| {
        requirements.iter().filter(|one| one.status.as_ref().is_some_and(|status| status.verdict == verdict)).count()
    };
    let project = desk.project().await?;
    let title = project.as_ref().map(|one| one.spec.title.get(one.spec.language).to_owned()).unwrap_or_default();
    let found = project.as_ref().and_then(|one| one.status.clone()).unwrap_or_default();
    let checked = maru_process::summary(&desk).await?;
    let running = desk.runs().await?;
    let work = desk.list::<WorkItemSpec>().await?;
    report.line(format_args!("project {}  {title}", desk.name()));
    if let Some(project) = &project {
        report.line(stage_line(project));
    }
    for verdict in [Verdict::Conforming, Verdict::Nonconforming, Verdict::NotMeasured] {
        report.line(format_args!("  {:<14} {:>5}  {}", verdict.name(), count(Some(verdict)), verdict.korean()));
    }
    if !found.baseline.is_empty() {
        let changes = counted(found.change_count, "change");
        report.line(format_args!("baseline  {}, {changes} since", found.baseline));
    }
    if !work.is_empty() {
        let of = |state: &str| work.iter().filter(|one| one.spec.state == state).count();
        let is_bare = |one: &&Requirement| {
            one.spec.priority == Priority::Must && !work.iter().any(|item| item.serves(&one.metadata.name))
        };
        report.line(format_args!(
            "work  {} items: {} done, {} doing; {} requirements that must be met have none",
            work.len(),
            of("done"),
            of("doing"),
            requirements.iter().filter(is_bare).count()
        ));
    }
    report.line(format_args!("evidence  {} records stand, {} problems", checked.records, checked.problems.len()));
    for problem in &checked.problems {
        report.line(format_args!("  bad  {}: {}", problem.what, problem.why));
    }
    for (environment, images) in &running {
        report.line(format_args!("environment {environment}  {} images run", images.len()));
    }
    report.value(&json!({
        "project": desk.name(),
        "stage": found.stage,
        "gates": found.gates,
        "baseline": found.baseline,
        "changes": found.change_count,
        "conforming": count(Some(Verdict::Conforming)),
        "nonconforming": count(Some(Verdict::Nonconforming)),
        "notMeasured": count(Some(Verdict::NotMeasured)),
        "evidence": checked,
        "environments": running,
        "workItems": work.len(),
    }));
    Ok(0)
}

fn exit_gate(status: &ProjectStatus) -> Option<&GateResult> {
    status.gates.iter().find(|gate| gate.gate == format!("{}/exit", status.stage))
}

/// Says in one line where a project is and what keeps it there.
pub(crate) fn stage_line(project: &Project) -> String {
    let status = project.status.clone().unwrap_or_default();
    let is_korean = project.spec.language == Language::Ko;
    let word = if is_korean { "단계" } else { "stage" };
    let blocked = exit_gate(&status).map(|gate| gate.reason.clone()).unwrap_or_default();
    match status.stage.as_str() {
        "" => format!("{word}  -"),
        "done" if is_korean => format!("{word}  모든 단계를 마쳤습니다"),
        "done" => format!("{word}  all gates are open"),
        stage if is_korean => format!("{word}  {stage}; 막는 것: {blocked}"),
        stage => format!("{word}  {stage}; blocked by: {blocked}"),
    }
}

/// Says where a project is, and what would open the gate that it stands at.
pub(crate) fn where_it_is(project: &Project) -> String {
    let status = project.status.clone().unwrap_or_default();
    let stage = match project.spec.language {
        Language::Ko => format!("단계  {}", status.stage),
        Language::En => format!("stage  {}", status.stage),
    };
    let mut lines = vec![String::new(), stage];
    lines.extend(exit_gate(&status).into_iter().flat_map(|gate| gate_lines(gate, project.spec.language)));
    lines.join("\n")
}

/// Returns what blocks a gate and what helps, for people.
pub(crate) fn gate_lines(gate: &GateResult, language: Language) -> Vec<String> {
    let mut lines = vec![format!("{}  {}", gate.gate, if gate.open { "open" } else { "closed" })];
    for one in &gate.blocked {
        let from = one.from.as_ref().map(|name| format!(" (gate {name})")).unwrap_or_default();
        lines.push(format!("  - {}{from}", one.message.get(language)));
        if !one.error.is_empty() {
            lines.push(format!("      the term itself: {}", one.error));
        }
        let names: Vec<String> = one.objects.iter().map(|object| format!("{}/{}", object.kind, object.name)).collect();
        if !names.is_empty() {
            let more = one.count.saturating_sub(names.len() as u64);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            lines.push(format!("      {}{more}", names.join(", ")));
        }
        lines.extend(one.unblock.iter().map(|command| format!("      → {command}")));
    }
    lines
}

async fn gate(global: &GlobalArguments, stage: Option<&str>, report: Report) -> anyhow::Result<u8> {
    let context = crate::client::connect(global, report).await?;
    let project = project_of(&context).await?;
    let status = project.status.clone().unwrap_or_default();
    let name = &project.metadata.name;
    anyhow::ensure!(!status.gates.is_empty(), "project \"{name}\" was not looked at yet; try again in a moment");
    let of = |stage: &str| -> Vec<&GateResult> {
        let is_own =
            |gate: &&GateResult| gate.gate.rsplit_once('/').map_or(gate.gate.as_str(), |(own, _)| own) == stage;
        status.gates.iter().filter(is_own).collect()
    };
    let wanted = match stage {
        Some(stage) => {
            let wanted = of(stage);
            if wanted.is_empty() {
                let mut stages: Vec<&str> =
                    status.gates.iter().filter_map(|gate| gate.gate.rsplit_once('/')).map(|(stage, _)| stage).collect();
                stages.dedup();
                bail!("project \"{name}\" has no stage \"{stage}\"; there are {}", stages.join(", "));
            }
            wanted
        }
        None => {
            let rows: Vec<Vec<String>> = status
                .gates
                .iter()
                .map(|gate| {
                    let mark = if gate.gate == format!("{}/exit", status.stage) { "→" } else { "" };
                    let open = if gate.open { "open" } else { "closed" };
                    vec![mark.to_owned(), gate.gate.clone(), open.to_owned(), shorten(&gate.reason)]
                })
                .collect();
            report.line(table(&["", "GATE", "STATE", "REASON"], &rows));
            report.line("");
            let stage = if status.stage.is_empty() { "method" } else { status.stage.as_str() };
            of(stage).into_iter().filter(|gate| !gate.open).collect()
        }
    };
    for gate in &wanted {
        report.line(gate_lines(gate, project.spec.language).join("\n"));
    }
    let gates: Vec<&GateResult> = if stage.is_some() { wanted.clone() } else { status.gates.iter().collect() };
    report.value(&json!({"project": name, "stage": status.stage, "gates": gates}));
    Ok(u8::from(stage.is_some() && wanted.iter().any(|gate| !gate.open)))
}

fn shorten(text: &str) -> String {
    const LETTERS_MAX: usize = 90;
    if text.chars().count() <= LETTERS_MAX {
        return text.to_owned();
    }
    let kept: String = text.chars().take(LETTERS_MAX - 1).collect();
    format!("{kept}…")
}

/// Says a person's word about an object as it is now, and waits until it is evidence.
pub(crate) async fn approve(
    global: &GlobalArguments,
    kind: &str,
    name: &str,
    word: &WordArguments,
    report: Report,
) -> anyhow::Result<u8> {
    let context = crate::client::connect(global, report).await?;
    let resource = maru_api::crds().into_iter().find_map(|one| {
        let names = one.pointer("/spec/names")?.clone();
        let is_named =
            |field: &str| names.get(field).and_then(Value::as_str).is_some_and(|own| own.eq_ignore_ascii_case(kind));
        let short =
            names.get("shortNames").and_then(Value::as_array).is_some_and(|all| all.iter().any(|own| own == kind));
        (is_named("kind") || is_named("plural") || short).then_some(names)
    });
    let names = resource.with_context(|| format!("{API_VERSION} has no kind \"{kind}\""))?;
    let text = |field: &str| names.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (kind, plural) = (text("kind"), text("plural"));
    let gvk = GroupVersionKind::gvk(GROUP, VERSION, &kind);
    let objects: Api<DynamicObject> = Api::namespaced_with(
        context.client.clone(),
        &context.namespace,
        &ApiResource::from_gvk_with_plural(&gvk, &plural),
    );
    let found = objects.get(name).await.with_context(|| format!("cannot read {kind} \"{name}\""))?;
    let mut seen = serde_json::to_value(found)?;
    seen["kind"] = kind.clone().into();
    let fingerprint = fingerprint_of(&seen).with_context(|| format!("{kind} \"{name}\" cannot be approved"))?;
    let decision = if word.reject { Decision::Rejected } else { Decision::Approved };
    let spec = ApprovalSpec {
        role: word.role.clone(),
        by: String::new(),
        of: vec![Approved { kind: kind.clone(), name: name.to_owned(), fingerprint: Some(fingerprint) }],
        decision,
        comment: word.comment.clone(),
        at: None,
    };
    let mut approval = serde_json::to_value(Approval::new(context.namespace.as_str(), "", spec))?;
    approval["metadata"] = json!({"generateName": format!("{}-{}-", name.to_lowercase(), word.role.to_lowercase())});
    if let Some(spec) = approval["spec"].as_object_mut() {
        spec.remove("by");
    }
    let approvals = api::<ApprovalSpec>(&context.client, &context.namespace);
    let made = approvals.create(&PostParams::default(), &serde_json::from_value(approval)?).await?;
    let own = made.metadata.name.clone().unwrap_or_default();
    let by = made.data.pointer("/spec/by").and_then(Value::as_str).unwrap_or_default().to_owned();
    let deadline = Instant::now() + LOOK_TIME_MAX;
    let evidence = loop {
        let now: Approval = read(approvals.get(&own).await?)?;
        let status = now.status.unwrap_or_default();
        if let Some(evidence) = status.evidence {
            break Some(evidence);
        }
        anyhow::ensure!(status.reason.is_empty(), "approval \"{own}\" is no evidence: {}", status.reason);
        if Instant::now() >= deadline {
            break None;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let said = if word.reject { "rejected" } else { "approved" };
    let recorded = evidence.map_or_else(|| "is not recorded yet".to_owned(), |digest| format!("recorded as {digest}"));
    report.line(format_args!("{kind} {name} ({fingerprint}) {said} by {by} as {}; {recorded}", word.role));
    report.value(&json!({"approval": own, "kind": kind, "name": name, "fingerprint": fingerprint, "by": by,
        "role": word.role, "decision": decision, "evidence": evidence}));
    Ok(u8::from(evidence.is_none()))
}

async fn baseline(global: &GlobalArguments, command: BaselineCommand, report: Report) -> anyhow::Result<u8> {
    match command {
        BaselineCommand::Create { name, title, change } => create(global, &name, &title, &change, report).await,
        BaselineCommand::Ls => {
            let context = crate::client::connect(global, report).await?;
            let mut all: Vec<Baseline> = list(&context).await?;
            all.sort_by_key(|one| one.status.as_ref().map(|status| (status.at.is_none(), status.at)));
            let rows: Vec<Vec<String>> = all.iter().map(baseline_row).collect();
            report.line(table(&["NAME", "TAKEN", "REQUIREMENTS", "CHANGES", "TITLE", "REASON"], &rows));
            report.value(&json!({"baselines": all}));
            Ok(0)
        }
        BaselineCommand::Show { name } => show(global, &name, report).await,
        BaselineCommand::Diff { earlier, later } => diff(global, earlier.as_deref(), later.as_deref(), report).await,
    }
}

async fn create(global: &GlobalArguments, name: &str, title: &str, change: &str, report: Report) -> anyhow::Result<u8> {
    let context = crate::client::connect(global, report).await?;
    let spec = BaselineSpec { title: title.into(), change: change.into(), ..BaselineSpec::default() };
    let object = serde_json::to_value(Baseline::new(context.namespace.as_str(), name, spec))?;
    let baselines = api::<BaselineSpec>(&context.client, &context.namespace);
    let made = baselines.create(&PostParams::default(), &serde_json::from_value(object)?).await;
    made.with_context(|| format!("baseline \"{name}\" cannot be made"))?;
    let deadline = Instant::now() + LOOK_TIME_MAX;
    loop {
        let now: Baseline = read(baselines.get(name).await?)?;
        let status = now.status.clone().unwrap_or_default();
        if let Some(envelope) = status.envelope {
            report.line(format_args!(
                "baseline {name} is signed: {}, {}; envelope {envelope}",
                counted(status.requirements, "requirement"),
                since_the_one_before(&status)
            ));
            report.value(&serde_json::to_value(&now)?);
            return Ok(0);
        }
        if !status.reason.is_empty() || Instant::now() >= deadline {
            let reason = if status.reason.is_empty() { "Maru has not looked at it yet" } else { &status.reason };
            report.line(format_args!("baseline {name} is not signed: {reason}"));
            report.value(&serde_json::to_value(&now)?);
            return Ok(1);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn since_the_one_before(status: &BaselineStatus) -> String {
    match &status.previous {
        Some(previous) => format!("{} since {previous}", counted(status.change_count, "change")),
        None => "the first one of the project".to_owned(),
    }
}

fn baseline_row(one: &Baseline) -> Vec<String> {
    let status = one.status.clone().unwrap_or_default();
    vec![
        one.metadata.name.clone(),
        status.at.map_or_else(|| "-".to_owned(), maru_time::rfc3339_seconds),
        status.requirements.to_string(),
        status.change_count.to_string(),
        shorten(one.spec.title.get(Language::Ko)),
        shorten(&status.reason),
    ]
}

fn change_rows(changes: &[Change]) -> Vec<Vec<String>> {
    let digits = |digest: Option<maru_api::Digest>| {
        digest.map_or_else(|| "-".to_owned(), |digest| digest.hex().chars().take(12).collect())
    };
    let row = |one: &Change| {
        let change = match one.change {
            ChangeKind::Added => "added",
            ChangeKind::Changed => "changed",
            ChangeKind::Removed => "removed",
        };
        let object = format!("{}/{}", one.kind, one.name);
        vec![change.to_owned(), object, digits(one.from), digits(one.to), shorten(&one.impacts.join(", "))]
    };
    changes.iter().map(row).collect()
}

const CHANGE_HEADS: [&str; 5] = ["CHANGE", "OBJECT", "FROM", "TO", "IMPACTS"];

async fn show(global: &GlobalArguments, name: &str, report: Report) -> anyhow::Result<u8> {
    let context = crate::client::connect(global, report).await?;
    let found = api::<BaselineSpec>(&context.client, &context.namespace).get(name).await;
    let one: Baseline = read(found.with_context(|| format!("cannot read baseline \"{name}\""))?)?;
    let status: BaselineStatus = one.status.clone().unwrap_or_default();
    let digest = |digest: Option<maru_api::Digest>| digest.map_or_else(|| "-".to_owned(), |digest| digest.to_string());
    let field = |name: &str, value: String| report.line(format_args!("{name:<13}{value}"));
    field("baseline", format!("{name}  {}", one.spec.title.get(Language::Ko)));
    field("taken", status.at.map_or_else(|| format!("no: {}", status.reason), maru_time::rfc3339_seconds));
    field("requirements", status.requirements.to_string());
    field("fingerprint", digest(status.fingerprint));
    field("content", digest(status.content));
    field("envelope", digest(status.envelope));
    field("follows on", status.previous.clone().unwrap_or_else(|| "-".to_owned()));
    field("because", one.spec.change.get(Language::Ko).to_owned());
    if !status.changes.is_empty() {
        report.line(format_args!("\n{} changes", status.change_count));
        report.line(table(&CHANGE_HEADS, &change_rows(&status.changes)));
    }
    report.value(&serde_json::to_value(&one)?);
    Ok(0)
}

/// Reads what a signed baseline holds.
pub(crate) async fn content_of(desk: &maru_process::Desk, name: &str) -> anyhow::Result<Content> {
    let all = desk.list::<BaselineSpec>().await?;
    let names: Vec<&str> = all.iter().map(|one| one.metadata.name.as_str()).collect();
    let found = all.iter().find(|one| one.metadata.name == name);
    let found = found.with_context(|| {
        format!("project \"{}\" has no baseline \"{name}\"; there are {}", desk.name(), names.join(", "))
    })?;
    let status = found.status.clone().unwrap_or_default();
    let digest = status.content.with_context(|| format!("baseline \"{name}\" is not signed: {}", status.reason))?;
    desk.content(digest).with_context(|| format!("what baseline \"{name}\" holds cannot be read"))
}

async fn diff(
    global: &GlobalArguments,
    earlier: Option<&str>,
    later: Option<&str>,
    report: Report,
) -> anyhow::Result<u8> {
    let desk = crate::spine::desk(global, report).await?.with_evidence(&Need::Baselines).await?;
    let earlier = match earlier {
        Some(name) => name.to_owned(),
        None => {
            let last = desk.project().await?.and_then(|project| project.status).map(|status| status.baseline);
            last.filter(|name| !name.is_empty())
                .with_context(|| format!("project \"{}\" has no signed baseline", desk.name()))?
        }
    };
    let before = content_of(&desk, &earlier).await?.snapshot();
    let (name, after) = match later {
        Some(later) => (later.to_owned(), content_of(&desk, later).await?.snapshot()),
        None => ("now".to_owned(), desk.snapshot().await?),
    };
    let changes = before.changes_to(&after);
    if changes.is_empty() {
        report.line(format_args!("nothing changed from {earlier} to {name}"));
    } else {
        report.line(format_args!("{} changes from {earlier} to {name}", changes.len()));
        report.line(table(&CHANGE_HEADS, &change_rows(&changes)));
    }
    report.value(&json!({"from": earlier, "to": name, "changes": changes}));
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_says_what_it_follows_on() {
        let first = BaselineStatus { requirements: 3, ..BaselineStatus::default() };
        assert_eq!(since_the_one_before(&first), "the first one of the project");
        let next = BaselineStatus { previous: Some("v1".to_owned()), change_count: 1, ..first };
        assert_eq!(since_the_one_before(&next), "1 change since v1");
        assert_eq!(counted(0, "change"), "0 changes");
    }
}
