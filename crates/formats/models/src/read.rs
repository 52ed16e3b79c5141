//! Files with models: a diagram with front matter, or Markdown with diagrams in fences.

use maru_requirements::LocalText;
use maru_yaml::{Cursor, Data, Document, ParseLimits};

use crate::model::{Body, Kind, Model, Reference};
use crate::scan::{Problem, Scan, TEXT_BYTES_MAX, lines};

/// How many diagrams a Markdown file may hold.
const DIAGRAMS_MAX: usize = 200;
/// Kinds of Mermaid that we lack, and words that look like ours.
const OTHERS: [(&str, &str); 21] = [
    ("stateDiagram", "write stateDiagram-v2"),
    ("mindmap", "a tree of goals is a goalTree"),
    ("gantt", "plans are no models"),
    ("pie", "it is a chart"),
    ("journey", "write a usecaseDiagram or a sequenceDiagram"),
    ("gitGraph", "the history is in the repository"),
    ("quadrantChart", "it is a chart"),
    ("requirementDiagram", "requirements are items with links"),
    ("C4Context", "write a flowchart with subgraphs"),
    ("C4Container", "write a flowchart with subgraphs"),
    ("C4Component", "write a flowchart with subgraphs"),
    ("timeline", "plans are no models"),
    ("zenuml", "write a sequenceDiagram"),
    ("sankey-beta", "it is a chart"),
    ("xychart-beta", "it is a chart"),
    ("block-beta", "write a flowchart"),
    ("packet-beta", "it is a table"),
    ("kanban", "plans are no models"),
    ("architecture-beta", "write a flowchart with subgraphs"),
    ("@startuml", "PlantUML is not read, as its includes run programs; write Mermaid"),
    ("workspace", "Structurizr is not read, as its scripts run programs; write Mermaid"),
];

/// Reads the models of a file: all of a Markdown file's fences, or the one diagram that it is. The file's name tells which.
///
/// # Errors
/// All that cannot be read, with lines and columns.
pub fn read_models(file: &str, text: &str) -> Result<Vec<Model>, Vec<Problem>> {
    let base = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let (stem, ending) = base.rsplit_once('.').unwrap_or((base, ""));
    if !matches!(ending, "md" | "markdown") {
        return read_model(file, stem, text, 1).map(|model| vec![model]);
    }
    let mut models = Vec::new();
    let mut problems = Vec::new();
    for (index, (line, body)) in fences(text).into_iter().enumerate() {
        if index >= DIAGRAMS_MAX {
            let message = format!("the file has more than {DIAGRAMS_MAX} diagrams; split it");
            problems.push(Problem { line, column: 1, message });
            break;
        }
        let name = if index == 0 { stem.to_owned() } else { format!("{stem}-{}", index + 1) };
        match read_model(file, &name, &body, line) {
            Ok(model) => models.push(model),
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok(models) } else { Err(problems) }
}

/// The fences of Markdown that hold diagrams, with the lines that they begin at.
fn fences(text: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut open: Option<(char, usize, bool)> = None;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        let first = trimmed.chars().next().unwrap_or(' ');
        let count = trimmed.chars().take_while(|one| *one == first).count();
        let is_fence = matches!(first, '`' | '~') && count >= 3;
        match open {
            None if is_fence => {
                let word = trimmed.trim_start_matches(first).split_whitespace().next().unwrap_or_default();
                let is_ours = matches!(word, "mermaid" | "maru-model");
                open = Some((first, count, is_ours));
                if is_ours {
                    found.push((index + 2, String::new()));
                }
            }
            Some((mark, least, _)) if is_fence && first == mark && count >= least && trimmed.len() == count => {
                open = None;
            }
            Some((.., true)) => {
                if let Some((_, body)) = found.last_mut() {
                    body.push_str(line);
                    body.push('\n');
                }
            }
            _ => {}
        }
    }
    found
}

fn read_model(file: &str, name: &str, text: &str, first: usize) -> Result<Model, Vec<Problem>> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("the diagram has more than {TEXT_BYTES_MAX} bytes; split it");
        return Err(vec![Problem { line: first, column: 1, message }]);
    }
    if let Some(place) = text.find(|one: char| one.is_control() && !matches!(one, '\n' | '\r' | '\t')) {
        let before = text.get(..place).unwrap_or_default();
        let line = first + before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        return Err(vec![Problem { line, column, message: "a control character stands in the text".to_owned() }]);
    }
    let (front, body, body_first) = split(text, first)?;
    let mut model = Model {
        file: file.to_owned(),
        name: name.to_owned(),
        line: body_first,
        kind: Kind::Flowchart,
        title: LocalText::default(),
        description: LocalText::default(),
        requirements: Vec::new(),
        body: Body::Flow(crate::flow::Flow::default()),
    };
    let mut problems = match front {
        Some((yaml, line)) => front_matter(&mut model, yaml, line),
        None => Vec::new(),
    };
    let Some(head) = lines(body, body_first).next() else {
        let message = "there is no diagram; it begins with a word such as flowchart or sequenceDiagram".to_owned();
        return Err(vec![Problem { line: body_first, column: 1, message }]);
    };
    model.line = head.spot().line;
    let mut rest = head;
    match kind(&mut rest) {
        Ok(kind) => {
            model.kind = kind;
            let skipped = head.spot().line - body_first + 1;
            let after = body.split_inclusive('\n').skip(skipped).map(str::len).sum::<usize>();
            let text = body.get(body.len() - after..).unwrap_or_default();
            match Body::read(kind, rest, text, body_first + skipped) {
                Ok(read) => model.body = read,
                Err(more) => problems.extend(more),
            }
        }
        Err(problem) => problems.push(problem),
    }
    if problems.is_empty() { Ok(model) } else { Err(problems) }
}

/// Splits front matter from the diagram.
#[expect(clippy::type_complexity, reason = "front matter with its line, the diagram with its line")]
fn split(text: &str, first: usize) -> Result<(Option<(&str, usize)>, &str, usize), Vec<Problem>> {
    let blank = text.len() - text.trim_start().len();
    let before = text.get(..blank).unwrap_or_default().matches('\n').count();
    let trimmed = text.get(blank..).unwrap_or_default();
    let Some(rest) = trimmed.strip_prefix("---") else { return Ok((None, text, first)) };
    let Some((_, yaml)) = rest.split_once('\n') else { return Ok((None, text, first)) };
    let mut length = 0;
    for (count, line) in yaml.split_inclusive('\n').enumerate() {
        if line.trim_end() == "---" {
            let front = yaml.get(..length).unwrap_or_default();
            let body = yaml.get(length + line.len()..).unwrap_or_default();
            let at = first + before + 1;
            return Ok((Some((front, at)), body, at + count + 1));
        }
        length += line.len();
    }
    let message = "the front matter does not end with a line \"---\"".to_owned();
    Err(vec![Problem { line: first + before, column: 1, message }])
}

fn front_matter(model: &mut Model, yaml: &str, first: usize) -> Vec<Problem> {
    let document = Document::parse(yaml, ParseLimits::default());
    let top = document.top();
    model.title = local(&top.field("title"));
    model.description = local(&top.field("description"));
    let requirements = top.field("requirements");
    for item in requirements.list() {
        if let Some(name) = item.string() {
            let at = item.at();
            model.requirements.push(Reference { name, line: first + at.line.saturating_sub(1), column: at.column });
        }
    }
    if top.field("config").is_present() {
        top.field("config").problem("is not supported: looks come from the theme");
    }
    top.finish();
    let place = |problem: maru_yaml::Problem| Problem {
        line: first + problem.at.line.saturating_sub(1),
        column: problem.at.column.max(1),
        message: if problem.path.is_empty() {
            problem.message
        } else {
            format!("{}: {}", problem.path, problem.message)
        },
    };
    document.problems().into_iter().map(place).collect()
}

/// A text, or `{ko: …, en: …}`.
fn local(cursor: &Cursor<'_>) -> LocalText {
    match cursor.data() {
        None | Some(Data::Null) => LocalText::default(),
        Some(Data::Map(_)) => {
            let (ko, en) = (cursor.field("ko").string(), cursor.field("en").string());
            cursor.finish();
            LocalText::Local { ko, en }
        }
        Some(_) => LocalText::Plain(cursor.string().unwrap_or_default()),
    }
}

fn kind(scan: &mut Scan<'_>) -> Result<Kind, Problem> {
    for (word, why) in OTHERS {
        let mut copy = *scan;
        if copy.word(word) {
            return Err(scan.problem(format!("\"{word}\" is not supported: {why}")));
        }
    }
    for (word, kind) in Kind::HEADS {
        if scan.word(word) {
            return Ok(kind);
        }
    }
    let names: Vec<&str> = Kind::HEADS.iter().map(|(word, _)| *word).collect();
    Err(scan.wanted(&format!("the kind of the diagram ({})", names.join(", "))))
}
