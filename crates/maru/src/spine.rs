//! `maru req`, `maru evidence`, `maru project`: requirements, what was measured, and what follows from it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use maru_api::{Digest, Evidence, Language, Requirement, Subject, SubjectKind, Verdict, WorkItem, WorkItemSpec};
use maru_cli::table;
use maru_evidence::readers::Format;
use maru_process::{Attestation, BLOB_BYTES_MAX, Checked, Desk, Ledger, Need};
use maru_time::system_clock;
use serde_json::json;

use crate::arguments::{AttestArguments, EvidenceCommand, GlobalArguments, KeyCommand, RequirementCommand};
use crate::report::Report;
use crate::settings::Paths;

/// Letters of a reason in a table.
const REASON_LETTERS: usize = 96;

pub(crate) async fn desk(global: &GlobalArguments, report: Report) -> anyhow::Result<Desk> {
    let context = crate::client::connect(global, report).await?;
    let ledger = Ledger::open_or_absent(&Paths::new(&global.data).evidence());
    Ok(Desk::new(context.client, ledger, &global.namespace))
}

pub(crate) async fn requirements(
    global: &GlobalArguments,
    command: RequirementCommand,
    report: Report,
) -> anyhow::Result<u8> {
    let desk = desk(global, report).await?;
    let all = desk.requirements().await?;
    match command {
        RequirementCommand::List => {
            let rows: Vec<Vec<String>> = all.iter().map(list_row).collect();
            report.line(table(&["NAME", "VERDICT", "PRIORITY", "CLASS", "TITLE", "REASON"], &rows));
            report.value(&json!({"requirements": all}));
        }
        RequirementCommand::Show { name } => {
            let one = all.iter().find(|one| one.metadata.name == name).with_context(|| {
                format!(
                    "project \"{}\" has no requirement \"{name}\"; \"maru req list\" shows what there is",
                    desk.name()
                )
            })?;
            report.line(show(one, &all));
            report.value(&serde_json::to_value(one)?);
        }
        RequirementCommand::Approve { name, word } => {
            return crate::project::approve(global, "Requirement", &name, &word, report).await;
        }
        RequirementCommand::Trace { language } => {
            let language = if language == "en" { Language::En } else { Language::Ko };
            let work = desk.list::<WorkItemSpec>().await?;
            report.line(trace(&all, &work, language));
            report.value(&json!({"requirements": all, "workItems": work}));
        }
    }
    Ok(0)
}

fn verdict_word(one: &Requirement) -> &'static str {
    let status = one.status.as_ref();
    match status.map(|status| status.verdict) {
        Some(Some(verdict)) => verdict.name(),
        Some(None) => "-",
        None => "?",
    }
}

fn reason_of(one: &Requirement, language: Option<Language>) -> String {
    let Some(status) = &one.status else { return "not judged yet".to_owned() };
    let text = match (language, &status.reason_text) {
        (Some(language), Some(text)) => text.get(language),
        _ => &status.reason,
    };
    shorten(text, REASON_LETTERS)
}

fn shorten(text: &str, letters: usize) -> String {
    if text.chars().count() <= letters {
        return text.to_owned();
    }
    let kept: String = text.chars().take(letters.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn list_row(one: &Requirement) -> Vec<String> {
    let status = one.status.as_ref();
    let class = status.and_then(|status| status.class.as_ref());
    let class = class.map(|class| class.category.clone().unwrap_or_else(|| class.kind.clone())).unwrap_or_default();
    vec![
        one.metadata.name.clone(),
        verdict_word(one).to_owned(),
        format!("{:?}", one.spec.priority).to_lowercase(),
        class,
        shorten(one.spec.title.get(Language::Ko), 32),
        reason_of(one, None),
    ]
}

fn show(one: &Requirement, all: &[Requirement]) -> String {
    let mut lines = vec![format!("{}  {}", one.metadata.name, one.spec.title.get(Language::Ko))];
    for language in [Language::Ko, Language::En] {
        let text = one.spec.statement.get(language);
        if lines.last().is_none_or(|last| last.trim() != text) {
            lines.push(format!("  {text}"));
        }
    }
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name:<13}{value}"));
        }
    };
    let status = one.status.clone().unwrap_or_default();
    field("verdict", format!("{}  {}", verdict_word(one), status.reason));
    field("fingerprint", status.fingerprint.map(|digest| digest.to_string()).unwrap_or_default());
    field("class", status.class.as_ref().map(class_line).unwrap_or_default());
    field("derived from", one.spec.derived_from.iter().map(|link| link.name.as_str()).collect::<Vec<_>>().join(", "));
    let children = all.iter().filter(|child| child.spec.derived_from.iter().any(|link| link.name == one.metadata.name));
    field("parent of", children.map(|child| child.metadata.name.as_str()).collect::<Vec<_>>().join(", "));
    field("allocated to", one.spec.allocated_to.join(", "));
    let findings = status.lint.iter().map(|one| {
        let fix = one.fix.as_ref().map(|fix| format!(" → {}", fix.get(Language::Ko))).unwrap_or_default();
        format!("{}[{}] {}{fix}", one.severity, one.rule, one.message.get(Language::Ko))
    });
    for finding in findings {
        field("lint", finding);
    }
    field("suspect", status.suspect.iter().map(|link| link.name.as_str()).collect::<Vec<_>>().join(", "));
    for (index, check) in one.spec.verify.iter().enumerate() {
        let place = check.environment.as_ref().map(|name| format!(" in {name}")).unwrap_or_default();
        let found = status.checks.iter().find(|found| found.check == index);
        let outcome = found.map(|found| format!("{:?}", found.outcome)).unwrap_or_default();
        field(&format!("check {index}"), format!("{}{place}: {outcome}", check.by));
        if let Some(found) = found {
            field("", format!("  {}", found.reason.get(Language::Ko)));
            field("", found.evidence.map(|digest| format!("  evidence {digest}")).unwrap_or_default());
            field("", found.expires.map(|at| format!("  counts until {at}")).unwrap_or_default());
        }
    }
    lines.join("\n")
}

fn class_line(class: &maru_api::Class) -> String {
    let known = [class.category.as_deref(), class.origin.as_deref(), class.volatility.as_deref()];
    let words: Vec<&str> = [Some(class.kind.as_str())].into_iter().chain(known).flatten().collect();
    let reached = if class.impact == 0 { String::new() } else { format!("; {} derive from it", class.impact) };
    format!("{} ({}{reached})", words.join(", "), class.why.get(Language::Ko))
}

/// Returns the traceability table: a goal, what derives from it, where it is done, how it is checked, what came out.
pub(crate) fn trace(all: &[Requirement], work: &[WorkItem], language: Language) -> String {
    let mut children: BTreeMap<&str, Vec<&Requirement>> = BTreeMap::new();
    let names: BTreeMap<&str, &Requirement> = all.iter().map(|one| (one.metadata.name.as_str(), one)).collect();
    let mut roots = Vec::new();
    for one in all {
        match one.spec.derived_from.iter().find(|link| names.contains_key(link.name.as_str())) {
            Some(link) => children.entry(link.name.as_str()).or_default().push(one),
            None => roots.push(one),
        }
    }
    let mut rows = Vec::new();
    let mut open: Vec<(usize, &Requirement)> = roots.into_iter().rev().map(|one| (0, one)).collect();
    // Each has one place, below its first parent; what only derives from itself has none.
    while let Some((depth, one)) = open.pop() {
        rows.push(trace_row(depth, one, work, language));
        let below = children.remove(one.metadata.name.as_str()).unwrap_or_default();
        open.extend(below.into_iter().rev().map(|child| (depth + 1, child)));
    }
    for one in children.into_values().flatten() {
        rows.push(trace_row(0, one, work, language));
    }
    let header = match language {
        Language::Ko => ["요구사항", "제목", "작업", "구성요소", "검증", "증거", "판정", "근거"],
        Language::En => ["REQUIREMENT", "TITLE", "WORK", "COMPONENTS", "CHECK", "EVIDENCE", "VERDICT", "REASON"],
    };
    table(&header, &rows)
}

fn trace_row(depth: usize, one: &Requirement, work: &[WorkItem], language: Language) -> Vec<String> {
    let items = work.iter().filter(|item| item.serves(&one.metadata.name)).map(|item| {
        let commits = item.spec.commits.iter().map(|id| format!(" {}", id.chars().take(8).collect::<String>()));
        format!("{}{}", item.metadata.name, commits.collect::<String>())
    });
    let items = items.collect::<Vec<_>>().join("; ");
    let checks: Vec<String> = one.spec.verify.iter().map(|check| check.by.to_string()).collect();
    let found = one.status.iter().flat_map(|status| &status.checks);
    let evidence: Vec<String> =
        found.filter_map(|check| check.evidence).map(|digest| digest.hex().chars().take(8).collect()).collect();
    let verdict = one.status.as_ref().and_then(|status| status.verdict);
    let verdict = match language {
        Language::Ko => verdict.map(Verdict::korean),
        Language::En => verdict.map(Verdict::name),
    };
    vec![
        format!("{}{}", "  ".repeat(depth), one.metadata.name),
        shorten(one.spec.title.get(language), 28),
        shorten(&items, 32),
        shorten(&one.spec.allocated_to.join(","), 24),
        shorten(&checks.join("; "), 36),
        evidence.join(","),
        verdict.unwrap_or("-").to_owned(),
        reason_of(one, Some(language)),
    ]
}

pub(crate) async fn evidence(global: &GlobalArguments, command: EvidenceCommand, report: Report) -> anyhow::Result<u8> {
    match command {
        EvidenceCommand::Attest(arguments) => attest(global, *arguments, report).await,
        EvidenceCommand::Time(arguments) => crate::install::time(&arguments, report).await,
        EvidenceCommand::Verify { folder: Some(folder), key } => {
            let trusted = key.map(|path| read_key(&path)).transpose()?;
            let checked = maru_process::verify_folder(&folder, trusted)?;
            Ok(tell_checked(&checked, report))
        }
        EvidenceCommand::Verify { folder: None, .. } => {
            let desk = desk(global, report).await?.with_evidence(&Need::All).await?;
            let checked = maru_process::verify(&desk).await?;
            Ok(tell_checked(&checked, report))
        }
        EvidenceCommand::List => {
            let all = desk(global, report).await?.evidence().await?;
            let rows: Vec<Vec<String>> = all.iter().map(evidence_row).collect();
            report.line(table(&["NAME", "CHECK", "OUTCOME", "ENVIRONMENT", "ABOUT", "MEASURED", "STANDS"], &rows));
            report.value(&json!({"evidence": all}));
            Ok(0)
        }
        EvidenceCommand::Key(command) => keys(&desk(global, report).await?, &command, report).await,
        EvidenceCommand::Export { folder } => {
            let desk = desk(global, report).await?.with_evidence(&Need::All).await?;
            let records = maru_process::export(&desk, &folder).await?;
            report.line(format_args!(
                "{records} records of \"{}\" are in \"{}\"; check them with: maru evidence verify {}",
                desk.name(),
                folder.display(),
                folder.display()
            ));
            report.value(&json!({"records": records, "folder": folder}));
            Ok(0)
        }
    }
}

async fn keys(desk: &Desk, command: &KeyCommand, report: Report) -> anyhow::Result<u8> {
    if let KeyCommand::Rotate = command {
        let recorded = desk.rotate_key(system_clock().now()).await?;
        report.line(format_args!("recorded {}: another key signs from now on; hand its id over", recorded.envelope));
    }
    let desk = desk.clone().with_evidence(&Need::Records).await?;
    let keys = desk.keys()?;
    let rows: Vec<Vec<String>> = keys
        .iter()
        .enumerate()
        .map(|(index, one)| {
            let until = keys.get(index + 1).map(|next| next.since.saturating_sub(1).to_string());
            vec![one.key.id(), one.since.to_string(), until.unwrap_or_else(|| "signs now".to_owned())]
        })
        .collect();
    report.line(table(&["KEY", "FROM RECORD", "TO RECORD"], &rows));
    let all: Vec<_> =
        keys.iter().map(|one| json!({"keyid": one.key.id(), "pem": one.key.to_pem(), "since": one.since})).collect();
    report.value(&json!({"keys": all}));
    Ok(0)
}

fn read_key(path: &Path) -> anyhow::Result<maru_evidence::PublicKey> {
    let pem = std::fs::read_to_string(path).with_context(|| format!("cannot read \"{}\"", path.display()))?;
    maru_evidence::PublicKey::from_pem(&pem).with_context(|| format!("\"{}\" is no public key", path.display()))
}

fn read_foreign_key(path: &Path) -> anyhow::Result<maru_evidence::ForeignKey> {
    let pem = std::fs::read_to_string(path).with_context(|| format!("cannot read \"{}\"", path.display()))?;
    maru_evidence::ForeignKey::from_pem(&pem).with_context(|| format!("\"{}\" is no public key", path.display()))
}

fn tell_checked(checked: &Checked, report: Report) -> u8 {
    for problem in &checked.problems {
        report.line(format_args!("bad   {}: {}", problem.what, problem.why));
    }
    let head = checked.head.map_or_else(|| "nothing".to_owned(), |digest| digest.to_string());
    let count = checked.problems.len();
    let end = if count == 0 { "all stand".to_owned() } else { format!("{count} problems") };
    report.line(format_args!(
        "project {}: {} records, {end}; the chain ends with {head}, signed by key {}",
        checked.project, checked.records, checked.key_id
    ));
    report.value(&json!(checked));
    u8::from(count > 0)
}

fn evidence_row(one: &Evidence) -> Vec<String> {
    let spec = &one.spec;
    let about: Vec<&str> = spec
        .subjects
        .iter()
        .filter(|subject| subject.kind == SubjectKind::Requirement)
        .map(|subject| subject.name.as_str())
        .collect();
    let stands = match &one.status {
        None => "?".to_owned(),
        Some(status) if status.verified => "yes".to_owned(),
        Some(status) => shorten(&format!("no: {}", status.reason), REASON_LETTERS),
    };
    vec![
        one.metadata.name.clone(),
        spec.name.clone(),
        format!("{:?}", spec.result.outcome),
        spec.environment.clone().unwrap_or_default(),
        shorten(&about.join(","), 40),
        maru_time::rfc3339_seconds(spec.window.to),
        stands,
    ]
}

async fn attest(global: &GlobalArguments, arguments: AttestArguments, report: Report) -> anyhow::Result<u8> {
    let content = read_report(&arguments.report)?;
    let images = arguments.image.iter().map(|text| read_image(text)).collect::<anyhow::Result<_>>()?;
    let valid_for = arguments.valid_for.as_deref().map(str::parse).transpose()?;
    let parameters = arguments.parameters.as_deref().map(read_report).transpose()?;
    let commit = arguments.commit.map(|id| id.to_lowercase());
    anyhow::ensure!(
        commit
            .as_ref()
            .is_none_or(|id| (7..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_hexdigit())),
        "--commit wants an id of git, as \"git rev-parse HEAD\" prints it"
    );
    let keys = arguments.key.iter().map(|path| read_foreign_key(path)).collect::<anyhow::Result<_>>()?;
    let wanted = Attestation {
        requirements: arguments.requirement,
        environment: arguments.environment,
        images,
        name: arguments.name,
        valid_for,
        commit,
        parameters: parameters.map(|content| Digest::of(&content)),
        keys,
        ..Attestation::new(format_of(arguments.kind.as_deref(), &content)?, content)
    };
    let desk = desk(global, report).await?;
    let recorded = desk.attest(&wanted, system_clock().now()).await?;
    for one in &recorded {
        let (subjects, record) = (&one.statement.subjects, &one.statement.record);
        let of = |kind: SubjectKind| -> Vec<&str> {
            subjects.iter().filter(|subject| subject.kind == kind).map(|subject| subject.name.as_str()).collect()
        };
        let images = of(SubjectKind::Image);
        let images = if images.is_empty() { String::new() } else { format!(", measured on {}", images.join(", ")) };
        let about = of(SubjectKind::Requirement).join(", ");
        let about = match (about.as_str(), record.result.notes.first()) {
            ("", None) => String::new(),
            ("", Some(note)) => format!(": {note}"),
            (about, _) => format!(" about {about}"),
        };
        report.line(format_args!(
            "recorded {}: {} {:?}{about}{images}",
            one.envelope, record.name, record.result.outcome,
        ));
    }
    let digests: Vec<String> = recorded.iter().map(|one| one.envelope.to_string()).collect();
    report.value(&json!({"recorded": digests}));
    Ok(0)
}

fn read_report(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    let limit = BLOB_BYTES_MAX as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().take(limit).read_to_end(&mut content).context("standard input cannot be read")?;
    } else {
        let file = std::fs::File::open(path).with_context(|| format!("cannot read \"{}\"", path.display()))?;
        file.take(limit).read_to_end(&mut content).with_context(|| format!("cannot read \"{}\"", path.display()))?;
    }
    anyhow::ensure!(content.len() <= BLOB_BYTES_MAX, "the report is longer than {BLOB_BYTES_MAX} bytes");
    Ok(content)
}

fn format_of(kind: Option<&str>, content: &[u8]) -> anyhow::Result<Format> {
    const KINDS: &str =
        "junit, sarif, cyclonedx, k6, wrk, load, slo, drill, approval, survey, install, experiment or provenance";
    match kind {
        Some("slo") => Ok(Format::SloWindow),
        Some(kind) => Format::of_name(kind).with_context(|| format!("\"{kind}\" is no kind of report: write {KINDS}")),
        None => Format::guess(content)
            .with_context(|| format!("what wrote the report is not clear: say it with --kind {KINDS}")),
    }
}

fn read_image(text: &str) -> anyhow::Result<Subject> {
    let (name, digest) = text
        .split_once('=')
        .with_context(|| format!("\"{text}\" is no image: write COMPONENT=sha256:…, as in orders=sha256:9f2c…"))?;
    let digest = digest.rsplit('@').next().unwrap_or(digest).parse()?;
    Ok(Subject { kind: SubjectKind::Image, name: name.to_owned(), digest })
}
