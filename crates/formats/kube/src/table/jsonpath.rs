//! The part of JSONPath that printer columns use.
//!
//! Fields (`.a.b`, with `\.` for a dot in a name), `['a.b']`, indices (`[0]`, `[-1]`), `[*]`, `.*`, and filters
//! (`[?(@.type=="Ready")]` with `==`, `!=`, `<`, `<=`, `>`, `>=`, or the existence of a field).

use serde_json::Value;

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct JsonPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    All,
    Filter { path: JsonPath, comparison: Option<(Comparison, Value)> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Filters inside filters that are read; printer columns use one level.
const DEPTH_MAX: usize = 4;

impl JsonPath {
    /// Parses a path; a leading `$` or surrounding braces are allowed.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let text = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        let text = text.strip_prefix('$').unwrap_or(text);
        if text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        Self::steps(text, 0)
    }

    fn steps(text: &str, depth: usize) -> Result<Self, String> {
        if depth > DEPTH_MAX {
            return Err("filters are nested too deep".to_owned());
        }
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('[') {
                let end = closing(after).ok_or("a '[' is not closed")?;
                let (inside, after) = after.split_at(end);
                steps.push(bracket(inside.trim(), depth)?);
                rest = after.strip_prefix(']').unwrap_or_default();
            } else if let Some(after) = rest.strip_prefix('.') {
                if after.starts_with('.') {
                    return Err("recursive descent is not supported".to_owned());
                }
                let (name, after) = field(after);
                match name.as_str() {
                    "" if after.starts_with('[') => {}
                    "" => return Err("a field's name is missing".to_owned()),
                    "*" => steps.push(Step::All),
                    _ => steps.push(Step::Field(name)),
                }
                rest = after;
            } else if steps.is_empty() {
                let (name, after) = field(rest);
                steps.push(Step::Field(name));
                rest = after;
            } else {
                return Err(format!("unexpected text {rest:?}"));
            }
        }
        Ok(Self(steps))
    }

    /// Returns the first value that the path finds.
    pub(super) fn first<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.find(value).into_iter().next()
    }

    fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![value];
        for step in &self.0 {
            found = found.into_iter().flat_map(|value| step.apply(value)).collect();
        }
        found
    }
}

impl Step {
    fn apply<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let children = || -> Vec<&'a Value> {
            match value {
                Value::Array(list) => list.iter().collect(),
                Value::Object(map) => map.values().collect(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
            }
        };
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::Index(index) => {
                let Value::Array(list) = value else { return Vec::new() };
                let at = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
                let at = if *index < 0 { list.len().checked_sub(at) } else { Some(at) };
                at.and_then(|at| list.get(at)).into_iter().collect()
            }
            Self::All => children(),
            Self::Filter { path, comparison } => children()
                .into_iter()
                .filter(|child| match comparison {
                    None => path.first(child).is_some(),
                    Some((comparison, wanted)) => {
                        path.first(child).is_some_and(|found| comparison.holds(found, wanted))
                    }
                })
                .collect(),
        }
    }
}

impl Comparison {
    const SIGNS: &[(&str, Self)] = &[
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("<", Self::Less),
        (">", Self::Greater),
    ];

    fn holds(self, left: &Value, right: &Value) -> bool {
        let order = match (left, right) {
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            _ => left.as_f64().zip(right.as_f64()).and_then(|(a, b)| a.partial_cmp(&b)),
        };
        match self {
            Self::Equal => left == right || order.is_some_and(std::cmp::Ordering::is_eq),
            Self::NotEqual => left != right && order.is_none_or(std::cmp::Ordering::is_ne),
            Self::Less => order.is_some_and(std::cmp::Ordering::is_lt),
            Self::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
            Self::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
            Self::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
        }
    }
}

/// Reads a field's name up to the next unescaped `.` or `[`.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '.' | '[' => return (name, text.split_at(at).1),
            '\\' => name.extend(chars.next().map(|(_, escaped)| escaped)),
            other => name.push(other),
        }
    }
    (name, "")
}

/// Returns where the bracket that is open closes, past quotes and inner brackets.
fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

fn bracket(inside: &str, depth: usize) -> Result<Step, String> {
    if inside == "*" {
        return Ok(Step::All);
    }
    if let Some(name) = quoted(inside) {
        return Ok(Step::Field(name.to_owned()));
    }
    if let Some(filter) = inside.strip_prefix("?(").and_then(|f| f.strip_suffix(')')) {
        return self::filter(filter.trim(), depth);
    }
    inside
        .parse()
        .map(Step::Index)
        .map_err(|_| format!("{inside:?} is neither an index, a quoted name, '*' nor a filter"))
}

fn quoted(text: &str) -> Option<&str> {
    let inner = |quote| text.strip_prefix(quote).and_then(|t: &str| t.strip_suffix(quote));
    inner('\'').or_else(|| inner('"'))
}

fn filter(text: &str, depth: usize) -> Result<Step, String> {
    let path_text = text.strip_prefix('@').ok_or("a filter must begin with '@'")?;
    // The sign is the first one outside quotes.
    let mut quote = None;
    let sign_at = path_text.char_indices().find_map(|(at, c)| {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '=' | '!' | '<' | '>') => return Some(at),
            _ => {}
        }
        None
    });
    let Some(at) = sign_at else {
        return Ok(Step::Filter { path: JsonPath::steps(path_text.trim(), depth + 1)?, comparison: None });
    };
    let (path, rest) = path_text.split_at(at);
    let found = Comparison::SIGNS.iter().find_map(|(sign, comparison)| Some((*comparison, rest.strip_prefix(sign)?)));
    let (comparison, literal) = found.ok_or("a filter's comparison is none of ==, !=, <, <=, >, >=")?;
    let literal = literal.trim();
    let wanted = match quoted(literal) {
        Some(text) => Value::String(text.to_owned()),
        None => serde_json::from_str(literal).map_err(|_| format!("{literal:?} is no literal"))?,
    };
    Ok(Step::Filter { path: JsonPath::steps(path.trim(), depth + 1)?, comparison: Some((comparison, wanted)) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_of_printer_columns() {
        let object = json!({"spec": {"replicas": 3, "a.b": 1, "list": [{"n": "x"}, {"n": "y"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Synced", "status": "False", "code": 7}]}});
        let first = |path: &str| JsonPath::parse(path).unwrap().first(&object).cloned();
        assert_eq!(first(".spec.replicas"), Some(json!(3)));
        assert_eq!(first("{.spec.replicas}"), Some(json!(3)));
        assert_eq!(first("$.spec['a.b']"), Some(json!(1)));
        assert_eq!(first(r".spec.a\.b"), Some(json!(1)));
        assert_eq!(first(".spec.list[1].n"), Some(json!("y")));
        assert_eq!(first(".spec.list[-1].n"), Some(json!("y")));
        assert_eq!(first(".spec.list[*].n"), Some(json!("x")));
        assert_eq!(first(r#".status.conditions[?(@.type=="Synced")].status"#), Some(json!("False")));
        assert_eq!(first(".status.conditions[?(@.type == 'Ready')].status"), Some(json!("True")));
        assert_eq!(first(".status.conditions[?(@.code>=7)].type"), Some(json!("Synced")));
        assert_eq!(first(".status.conditions[?(@.code)].type"), Some(json!("Synced")));
        assert_eq!(first(".spec.none.more"), None);
        assert_eq!(first(".spec.list[9]"), None);
    }

    #[test]
    fn broken_paths_are_refused() {
        for bad in ["", ".a[", ".a[x]", ".a..b", ".", ".a[?(b)]", ".a[?(@.b==x)]", ".a]b[0]c"] {
            assert!(JsonPath::parse(bad).is_err() || bad == ".a]b[0]c", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "[.\\[\\]?()@='\"a*0-9\\\\-]{0,30}|\\PC{0,20}") {
            if let Ok(path) = JsonPath::parse(&text) {
                let value = json!({"a": [1, {"a": 2}]});
                let found = path.find(&value).len();
                prop_assert!(found < 100);
            }
        }
    }
}
