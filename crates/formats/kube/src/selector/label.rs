//! Label selectors.

use std::fmt;

use serde_json::{Map, Value};

use super::SelectorError;
use crate::names;

/// Longest selector text that is read, in bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// How a requirement compares a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operator {
    /// `=` or `==`: the label has the one value.
    Equals,
    /// `!=`: the label is absent or has another value.
    NotEquals,
    /// `in (…)`: the label has one of the values.
    In,
    /// `notin (…)`: the label is absent or has none of the values.
    NotIn,
    /// `key`: the label is there.
    Exists,
    /// `!key`: the label is absent.
    DoesNotExist,
    /// `key>1`: the label is a greater integer.
    GreaterThan,
    /// `key<1`: the label is a smaller integer.
    LessThan,
}

/// One requirement on one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelRequirement {
    key: String,
    operator: Operator,
    values: Vec<String>,
}

impl LabelRequirement {
    /// Creates a requirement; values are kept sorted.
    ///
    /// # Errors
    /// Fails when the key or a value breaks the rules for labels, or their number does not fit the operator.
    pub fn new(key: &str, operator: Operator, values: Vec<String>) -> Result<Self, SelectorError> {
        let invalid =
            |field: String, value: &str, why: String| SelectorError::Invalid { field, value: value.to_owned(), why };
        if let Some(why) = names::check_qualified_name(key).into_iter().next() {
            return Err(invalid("key".to_owned(), key, why));
        }
        let fits = match operator {
            Operator::In | Operator::NotIn => !values.is_empty(),
            Operator::Equals | Operator::NotEquals | Operator::GreaterThan | Operator::LessThan => values.len() == 1,
            Operator::Exists | Operator::DoesNotExist => values.is_empty(),
        };
        if !fits {
            let why = match operator {
                Operator::In | Operator::NotIn => "for 'in', 'notin' operators, values set can't be empty",
                Operator::Equals | Operator::NotEquals => "exact-match compatibility requires one single value",
                Operator::GreaterThan | Operator::LessThan => "for 'Gt', 'Lt' operators, exactly one value is required",
                Operator::Exists | Operator::DoesNotExist => "values set must be empty for exists and does not exist",
            };
            return Err(invalid("values".to_owned(), &values.join(","), why.to_owned()));
        }
        for (index, value) in values.iter().enumerate() {
            if matches!(operator, Operator::GreaterThan | Operator::LessThan) && value.parse::<i64>().is_err() {
                let why = "for 'Gt', 'Lt' operators, the value must be an integer".to_owned();
                return Err(invalid(format!("values[{index}]"), value, why));
            }
            if let Some(why) = names::check_label_value(value).into_iter().next() {
                return Err(invalid(format!("values[{index}][{key}]"), value, why));
            }
        }
        let mut values = values;
        values.sort_unstable();
        values.dedup();
        Ok(Self { key: key.to_owned(), operator, values })
    }

    /// Returns the label's key.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns how the label is compared.
    #[must_use]
    pub fn operator(&self) -> Operator {
        self.operator
    }

    /// Returns the values, sorted.
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.values
    }

    fn matches(&self, label: Option<&str>) -> bool {
        let has = |value: &str| self.values.iter().any(|v| v == value);
        let compare = |accept: fn(i64, i64) -> bool| {
            let pair = label.and_then(|l| l.parse().ok()).zip(self.values.first().and_then(|v| v.parse().ok()));
            pair.is_some_and(|(left, right)| accept(left, right))
        };
        match self.operator {
            Operator::Equals | Operator::In => label.is_some_and(has),
            Operator::NotEquals | Operator::NotIn => !label.is_some_and(has),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan => compare(|left, right| left > right),
            Operator::LessThan => compare(|left, right| left < right),
        }
    }
}

impl fmt::Display for LabelRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

/// Selects objects by their labels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelSelector {
    requirements: Vec<LabelRequirement>,
    matches_nothing: bool,
}

impl LabelSelector {
    /// Returns the selector that every object matches.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Returns the selector that no object matches.
    #[must_use]
    pub fn nothing() -> Self {
        Self { requirements: Vec::new(), matches_nothing: true }
    }

    /// Creates a selector from requirements, all of which must hold.
    #[must_use]
    pub fn new(mut requirements: Vec<LabelRequirement>) -> Self {
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { requirements, matches_nothing: false }
    }

    /// Parses the text form, such as `app=web,tier in (a,b),!canary`; the empty text matches everything.
    ///
    /// # Errors
    /// Fails when the text breaks the grammar or a key or value breaks the rules for labels.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(SelectorError::Syntax(format!("a selector has at most {TEXT_BYTES_MAX} bytes")));
        }
        let mut parser = Parser { tokens: tokens(text), at: 0 };
        let mut requirements = Vec::new();
        if parser.peek() == &Token::End {
            return Ok(Self::everything());
        }
        loop {
            if !matches!(parser.peek(), Token::Word(_) | Token::Not) {
                return Err(syntax(parser.peek(), "!, identifier, or 'end of string'"));
            }
            requirements.push(parser.requirement().map_err(within_requirement)?);
            match parser.next() {
                Token::End => break,
                Token::Comma => match parser.peek() {
                    Token::Word(_) | Token::Not => {}
                    other => return Err(syntax(other, "identifier after ','")),
                },
                other => return Err(syntax(&other, "',' or 'end of string'")),
            }
        }
        Ok(Self::new(requirements))
    }

    /// Reads a LabelSelector object (`matchLabels`, `matchExpressions`).
    ///
    /// As in Kubernetes an absent (null) selector matches nothing and an empty one matches everything.
    ///
    /// # Errors
    /// Fails when the object does not have that shape or breaks the rules for labels.
    pub fn from_object(selector: &Value) -> Result<Self, SelectorError> {
        let shape = |field: &str, why: &str| SelectorError::Shape { field: field.to_owned(), why: why.to_owned() };
        let map = match selector {
            Value::Null => return Ok(Self::nothing()),
            Value::Object(map) => map,
            _ => return Err(shape("selector", "must be an object")),
        };
        let mut requirements = match map.get("matchLabels") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(labels)) => equalities(labels, "matchLabels")?,
            Some(_) => return Err(shape("matchLabels", "must be a map of strings")),
        };
        let expressions = match map.get("matchExpressions") {
            None | Some(Value::Null) => &Vec::new(),
            Some(Value::Array(expressions)) => expressions,
            Some(_) => return Err(shape("matchExpressions", "must be a list")),
        };
        for (index, expression) in expressions.iter().enumerate() {
            let field = format!("matchExpressions[{index}]");
            let key = expression["key"].as_str().ok_or_else(|| shape(&field, "key: Required value"))?;
            let operator = match expression["operator"].as_str() {
                Some("In") => Operator::In,
                Some("NotIn") => Operator::NotIn,
                Some("Exists") => Operator::Exists,
                Some("DoesNotExist") => Operator::DoesNotExist,
                Some(other) => return Err(shape(&field, &format!("{other:?} is not a valid label selector operator"))),
                None => return Err(shape(&field, "operator: Required value")),
            };
            let values = expression["values"].as_array().into_iter().flatten();
            let values: Option<Vec<String>> = values.map(|v| v.as_str().map(str::to_owned)).collect();
            let values = values.ok_or_else(|| shape(&field, "values must be strings"))?;
            requirements.push(LabelRequirement::new(key, operator, values)?);
        }
        Ok(Self::new(requirements))
    }

    /// Reads a plain map of labels, as a Service's `spec.selector`; an absent or empty map matches nothing.
    ///
    /// # Errors
    /// Fails when the value is not a map of label values.
    pub fn from_map(labels: &Value) -> Result<Self, SelectorError> {
        match labels {
            Value::Null => Ok(Self::nothing()),
            Value::Object(labels) if labels.is_empty() => Ok(Self::nothing()),
            Value::Object(labels) => Ok(Self::new(equalities(labels, "selector")?)),
            _ => Err(SelectorError::Shape { field: "selector".to_owned(), why: "must be a map of strings".to_owned() }),
        }
    }

    /// Returns the requirements, sorted by key.
    #[must_use]
    pub fn requirements(&self) -> &[LabelRequirement] {
        &self.requirements
    }

    /// Tells whether every object matches.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty() && !self.matches_nothing
    }

    /// Tells whether labels match, given by a look-up.
    pub fn matches_with<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.matches_nothing && self.requirements.iter().all(|r| r.matches(label(&r.key)))
    }

    /// Tells whether a map of labels matches (`null` is the empty map).
    #[must_use]
    pub fn matches(&self, labels: &Value) -> bool {
        self.matches_with(|key| labels.get(key).and_then(Value::as_str))
    }

    /// Tells whether an object matches by its `metadata.labels`.
    #[must_use]
    pub fn matches_object(&self, object: &Value) -> bool {
        self.matches(&object["metadata"]["labels"])
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

fn equalities(labels: &Map<String, Value>, field: &str) -> Result<Vec<LabelRequirement>, SelectorError> {
    let requirement = |(key, value): (&String, &Value)| {
        let value = value.as_str().ok_or_else(|| SelectorError::Shape {
            field: format!("{field}[{key}]"),
            why: "must be a string".to_owned(),
        })?;
        LabelRequirement::new(key, Operator::Equals, vec![value.to_owned()])
    };
    labels.iter().map(requirement).collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Comma,
    Open,
    Close,
    Not,
    Equals,
    NotEquals,
    Greater,
    Less,
    End,
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Comma => ",",
            Self::Open => "(",
            Self::Close => ")",
            Self::Not => "!",
            Self::Equals => "=",
            Self::NotEquals => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::End => "",
        }
    }
}

fn syntax(found: &Token, expected: &str) -> SelectorError {
    SelectorError::Syntax(format!("found '{}', expected: {expected}", found.text()))
}

/// Says of an error that it is inside a requirement, as Kubernetes does.
fn within_requirement(error: SelectorError) -> SelectorError {
    match error {
        SelectorError::Syntax(why) => SelectorError::Syntax(format!("unable to parse requirement: {why}")),
        other => other,
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let token = match c {
            ' ' | '\t' | '\r' | '\n' => continue,
            ',' => Token::Comma,
            '(' => Token::Open,
            ')' => Token::Close,
            '>' => Token::Greater,
            '<' => Token::Less,
            '=' => {
                chars.next_if_eq(&'=');
                Token::Equals
            }
            '!' if chars.next_if_eq(&'=').is_some() => Token::NotEquals,
            '!' => Token::Not,
            first => {
                let mut word = String::from(first);
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !",()=!<>".contains(*c)) {
                    word.push(c);
                }
                Token::Word(word)
            }
        };
        tokens.push(token);
    }
    tokens.push(Token::End);
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn requirement(&mut self) -> Result<LabelRequirement, SelectorError> {
        let absent = self.peek() == &Token::Not;
        if absent {
            self.next();
        }
        let key = match self.next() {
            Token::Word(key) => key,
            other => return Err(syntax(&other, "identifier")),
        };
        if absent {
            return LabelRequirement::new(&key, Operator::DoesNotExist, Vec::new());
        }
        let operator = match self.peek() {
            Token::End | Token::Comma => return LabelRequirement::new(&key, Operator::Exists, Vec::new()),
            Token::Equals => Operator::Equals,
            Token::NotEquals => Operator::NotEquals,
            Token::Greater => Operator::GreaterThan,
            Token::Less => Operator::LessThan,
            Token::Word(word) if word == "in" => Operator::In,
            Token::Word(word) if word == "notin" => Operator::NotIn,
            other => return Err(syntax(other, "in, notin, =, ==, !=, gt, lt")),
        };
        self.next();
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            Operator::Equals
            | Operator::NotEquals
            | Operator::GreaterThan
            | Operator::LessThan
            | Operator::Exists
            | Operator::DoesNotExist => vec![self.value()?],
        };
        LabelRequirement::new(&key, operator, values)
    }

    /// Reads the value after `=`; nothing there is the empty value.
    fn value(&mut self) -> Result<String, SelectorError> {
        match self.peek() {
            Token::End | Token::Comma => Ok(String::new()),
            Token::Word(_) => Ok(self.next().text().to_owned()),
            other => Err(syntax(other, "identifier")),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, SelectorError> {
        match self.next() {
            Token::Open => {}
            // Kubernetes writes no comma here.
            other => return Err(SelectorError::Syntax(format!("found '{}' expected: '('", other.text()))),
        }
        let mut values = Vec::new();
        loop {
            let value = match self.peek() {
                Token::Word(_) => self.next().text().to_owned(),
                // Nothing is the empty value.
                Token::Comma | Token::Close => String::new(),
                other if values.is_empty() => return Err(syntax(other, "',', ')' or identifier")),
                other => return Err(syntax(other, "',', or identifier")),
            };
            values.push(value);
            match self.next() {
                Token::Comma => {}
                Token::Close => return Ok(values),
                other => return Err(syntax(&other, "',' or ')'")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn matches(selector: &str, labels: &Value) -> bool {
        LabelSelector::parse(selector).unwrap().matches(labels)
    }

    #[test]
    fn the_documented_examples_match() {
        let labels = json!({"environment": "production", "tier": "frontend", "n": "5"});
        for selector in [
            "",
            "environment = production",
            "environment==production,tier != backend",
            "environment in (production, qa),tier notin (backend)",
            "tier",
            "!partition",
            "partition!=x",
            "partition notin (a)",
            "n>4,n<6",
        ] {
            assert!(matches(selector, &labels), "{selector}");
        }
        for selector in
            ["environment=qa", "!tier", "partition", "partition in (a)", "tier in (backend,)", "n>5", "tier>1"]
        {
            assert!(!matches(selector, &labels), "{selector}");
        }
        assert!(matches("a=", &json!({"a": ""})));
        assert!(matches("in in (in)", &json!({"in": "in"})));
    }

    #[test]
    fn broken_texts_say_what_was_expected() {
        let message = |text: &str| LabelSelector::parse(text).unwrap_err().to_string();
        assert_eq!(message("a=b,"), "found '', expected: identifier after ','");
        assert_eq!(message("a b"), "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt");
        assert_eq!(message("a in b"), "unable to parse requirement: found 'b' expected: '('");
        assert_eq!(message("a in (b"), "unable to parse requirement: found '', expected: ',' or ')'");
        assert!(message("-a=b").starts_with("key: Invalid value: \"-a\": name part must consist of"));
        for bad in ["a=(b)", ",", "!", "a==b=c", "x in ()y", "a!", "a>b"] {
            assert!(LabelSelector::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn objects_absent_match_nothing_and_empty_match_all() {
        let labels = json!({"app": "web"});
        assert!(!LabelSelector::from_object(&Value::Null).unwrap().matches(&labels));
        assert!(LabelSelector::from_object(&json!({})).unwrap().matches(&labels));
        let selector = json!({"matchLabels": {"app": "web"}, "matchExpressions": [
            {"key": "app", "operator": "In", "values": ["web", "api"]},
            {"key": "canary", "operator": "DoesNotExist"}]});
        let selector = LabelSelector::from_object(&selector).unwrap();
        assert!(selector.matches(&labels));
        assert_eq!(selector.to_string(), "app=web,app in (api,web),!canary");
        assert!(LabelSelector::from_object(&json!({"matchExpressions": [{"key": "a", "operator": "Near"}]})).is_err());
        assert!(LabelSelector::from_object(&json!({"matchExpressions": [{"key": "a", "operator": "In"}]})).is_err());
        assert!(!LabelSelector::from_map(&json!({})).unwrap().matches(&labels));
    }

    fn requirement() -> impl Strategy<Value = String> {
        let word = "[a-z0-9]([a-z0-9._-]{0,6}[a-z0-9])?";
        prop_oneof![
            (word, word).prop_map(|(k, v)| format!("{k}={v}")),
            (word, word).prop_map(|(k, v)| format!("{k}!={v}")),
            (word, proptest::collection::vec(word, 1..4)).prop_map(|(k, v)| format!("{k} in ({})", v.join(","))),
            (word, proptest::collection::vec(word, 1..4)).prop_map(|(k, v)| format!("{k} notin ({})", v.join(","))),
            word.prop_map(|k| k),
            word.prop_map(|k| format!("!{k}")),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(parts in proptest::collection::vec(requirement(), 0..5)) {
            let selector = LabelSelector::parse(&parts.join(",")).unwrap();
            prop_assert_eq!(LabelSelector::parse(&selector.to_string()).unwrap(), selector);
        }

        #[test]
        fn any_text_parses_or_fails(text in "[a-z=!<>(), \\n-]{0,40}|\\PC{0,40}") {
            drop(LabelSelector::parse(&text));
        }
    }
}
