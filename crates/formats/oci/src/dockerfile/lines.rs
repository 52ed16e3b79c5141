//! Logical lines: continuations joined, comments dropped, heredocs attached.

use super::DockerfileError;
use super::instruction::Heredoc;

/// What the first lines say about the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directives {
    pub(super) escape: char,
    pub(super) syntax: Option<String>,
}

/// One instruction's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogicalLine {
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) heredocs: Vec<Heredoc>,
}

/// Reads `# key=value` lines until the first other line.
pub(super) fn directives(text: &str) -> Result<Directives, DockerfileError> {
    let mut found = Directives { escape: '\\', syntax: None };
    let mut seen: Vec<String> = Vec::new();
    for (number, line) in physical_lines(text).enumerate() {
        let Some((key, value)) = line.trim().strip_prefix('#').and_then(|rest| rest.split_once('=')) else { break };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        if !matches!(key.as_str(), "escape" | "syntax" | "check") {
            break;
        }
        let error = |problem: String| DockerfileError { line: number + 1, problem };
        if seen.contains(&key) {
            return Err(error(format!("the directive \"{key}\" is there twice")));
        }
        match (key.as_str(), value) {
            ("escape", "\\") => found.escape = '\\',
            ("escape", "`") => found.escape = '`',
            ("escape", other) => return Err(error(format!("the escape character is \\ or `, not \"{other}\""))),
            ("syntax", value) => found.syntax = Some(value.to_owned()),
            _ => {}
        }
        seen.push(key);
    }
    Ok(found)
}

fn physical_lines(text: &str) -> impl Iterator<Item = &str> {
    text.strip_prefix('\u{feff}').unwrap_or(text).lines()
}

pub(super) fn logical_lines(text: &str, escape: char) -> Result<Vec<LogicalLine>, DockerfileError> {
    let mut all = Vec::new();
    let mut lines = physical_lines(text).enumerate();
    while let Some((start, line)) = lines.next() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (mut joined, mut continues) = continuation(line, escape);
        while continues {
            let Some((_, line)) = lines.next() else { break };
            // Comments and empty lines do not end a continuation.
            if line.trim_start().starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let (part, more) = continuation(line, escape);
            joined.push_str(&part);
            continues = more;
        }
        if joined.trim().is_empty() {
            continue;
        }
        let mut heredocs = Vec::new();
        for mark in marks(&joined) {
            let mut content = String::new();
            let mut ended = false;
            for (_, line) in lines.by_ref() {
                let compared = if mark.strip_tabs { line.trim_start_matches('\t') } else { line };
                if compared == mark.name {
                    ended = true;
                    break;
                }
                content.push_str(compared);
                content.push('\n');
            }
            if !ended {
                return Err(DockerfileError {
                    line: start + 1,
                    problem: format!("the heredoc \"{}\" does not end", mark.name),
                });
            }
            heredocs.push(Heredoc { name: mark.name, content, expand: mark.expand, strip_tabs: mark.strip_tabs });
        }
        all.push(LogicalLine { number: start + 1, text: joined, heredocs });
    }
    Ok(all)
}

/// Takes the escape character off a line's end.
fn continuation(line: &str, escape: char) -> (String, bool) {
    let trimmed = line.trim_end_matches([' ', '\t']);
    match trimmed.strip_suffix(escape) {
        Some(before) => (before.to_owned(), true),
        None => (line.to_owned(), false),
    }
}

struct Mark {
    name: String,
    expand: bool,
    strip_tabs: bool,
}

/// Finds `<<NAME`, `<<-NAME`, `<<"NAME"` and `<<'NAME'` outside of quotes, in instructions that may have heredocs.
fn marks(line: &str) -> Vec<Mark> {
    let keyword = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    let keyword = if keyword == "ONBUILD" {
        line.split_whitespace().nth(1).unwrap_or_default().to_ascii_uppercase()
    } else {
        keyword
    };
    let mut found = Vec::new();
    if !matches!(keyword.as_str(), "RUN" | "COPY" | "ADD") {
        return found;
    }
    let chars: Vec<char> = line.chars().collect();
    let mut quote = None;
    let mut at = 0;
    while at < chars.len() {
        match (chars[at], quote) {
            ('\\', None | Some('"')) => at += 1,
            ('"' | '\'', None) => quote = Some(chars[at]),
            (same, Some(open)) if same == open => quote = None,
            ('<', None) if chars.get(at + 1) == Some(&'<') => {
                // `<<<` is a here-string of the shell.
                if chars.get(at + 2) == Some(&'<') {
                    at += 3;
                    continue;
                }
                let (mark, next) = mark(&chars, at + 2);
                found.extend(mark);
                at = next;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn mark(chars: &[char], mut at: usize) -> (Option<Mark>, usize) {
    let strip_tabs = chars.get(at) == Some(&'-');
    at += usize::from(strip_tabs);
    let quote = chars.get(at).copied().filter(|next| matches!(next, '"' | '\''));
    at += usize::from(quote.is_some());
    let mut name = String::new();
    while let Some(next) = chars.get(at).filter(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | '.' | '-'))
    {
        name.push(*next);
        at += 1;
    }
    if quote.is_some() {
        if chars.get(at).copied() != quote {
            return (None, at);
        }
        at += 1;
    }
    let starts_right = name.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    (starts_right.then_some(Mark { name, expand: quote.is_none(), strip_tabs }), at)
}
