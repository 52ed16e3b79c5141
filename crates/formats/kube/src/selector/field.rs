//! Field selectors.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::SelectorError;

/// One requirement on one field: equal, or not equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRequirement {
    /// The field's path, such as `status.phase`.
    pub field: String,
    /// Whether the field must have the value (`=`) or must not (`!=`).
    pub is_equal: bool,
    /// The value compared with, unescaped.
    pub value: String,
}

/// Selects objects by the values of some of their fields.
///
/// Which fields a resource can be selected by is the server's choice; see [`FieldSelector::requirements`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSelector {
    requirements: Vec<FieldRequirement>,
}

impl FieldSelector {
    /// Returns the selector that every object matches.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Parses the text form, such as `metadata.name=web,status.phase!=Running`; the empty text matches everything.
    ///
    /// Commas, equals signs and backslashes in values are escaped by a backslash.
    ///
    /// # Errors
    /// Fails when a part is not a comparison or an escape is broken.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut requirements = Vec::new();
        for part in split_unescaped(text) {
            if part.is_empty() {
                continue;
            }
            requirements.push(requirement(part)?);
        }
        Ok(Self { requirements })
    }

    /// Returns the requirements in the order of the text.
    #[must_use]
    pub fn requirements(&self) -> &[FieldRequirement] {
        &self.requirements
    }

    /// Tells whether every object matches.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Returns the value that a field must have, if the selector asks for exactly one.
    #[must_use]
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.requirements.iter().find(|r| r.is_equal && r.field == field).map(|r| r.value.as_str())
    }

    /// Tells whether an object's fields match; an absent field is the empty text.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        self.requirements.iter().all(|r| (field_text(object, &r.field) == r.value) == r.is_equal)
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.requirements.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            let sign = if requirement.is_equal { "=" } else { "!=" };
            write!(f, "{}{sign}", requirement.field)?;
            for c in requirement.value.chars() {
                if matches!(c, '\\' | ',' | '=') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// Returns the text of a field by its path: strings as they are, other scalars as printed, absent ones empty.
fn field_text<'a>(object: &'a Value, path: &str) -> Cow<'a, str> {
    let found = path.split('.').try_fold(object, |value, name| value.get(name));
    match found {
        None | Some(Value::Null | Value::Array(_) | Value::Object(_)) => Cow::Borrowed(""),
        Some(Value::String(text)) => Cow::Borrowed(text),
        Some(scalar @ (Value::Bool(_) | Value::Number(_))) => Cow::Owned(scalar.to_string()),
    }
}

/// Splits at commas that no backslash precedes.
fn split_unescaped(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    let mut is_escaped = false;
    let mut start = 0;
    for (index, c) in text.char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if c == '\\' {
            is_escaped = true;
        } else if c == ',' {
            let (part, after) = rest.split_at(index - start);
            parts.push(part);
            rest = after.strip_prefix(',').unwrap_or(after);
            start = index + 1;
        }
    }
    parts.push(rest);
    parts
}

fn requirement(part: &str) -> Result<FieldRequirement, SelectorError> {
    let malformed = || SelectorError::Syntax(format!("invalid selector: '{part}'; can't understand '{part}'"));
    let (left, right) = part.split_once('=').ok_or_else(malformed)?;
    let (field, is_equal) = left.strip_suffix('!').map_or((left, true), |field| (field, false));
    let right = if is_equal { right.strip_prefix('=').unwrap_or(right) } else { right };
    if field.is_empty() || field.contains('\\') {
        return Err(malformed());
    }
    let mut value = String::new();
    let mut chars = right.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => value.push(escaped),
                _ => return Err(malformed()),
            },
            '=' | ',' => return Err(malformed()),
            other => value.push(other),
        }
    }
    Ok(FieldRequirement { field: field.to_owned(), is_equal, value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_compared_as_text() {
        let pod = json!({"metadata": {"name": "web"}, "spec": {"hostNetwork": true}, "status": {"phase": "Running"}});
        let matches = |text: &str| FieldSelector::parse(text).unwrap().matches(&pod);
        assert!(matches(""));
        assert!(matches("metadata.name=web,status.phase!=Pending"));
        assert!(matches("metadata.name==web"));
        assert!(matches("spec.hostNetwork=true"));
        assert!(matches("spec.nodeName="));
        assert!(!matches("spec.nodeName!="));
        assert!(!matches("metadata.name=other"));
        assert_eq!(FieldSelector::parse("metadata.name=web").unwrap().exact("metadata.name"), Some("web"));
    }

    #[test]
    fn escapes_are_read_and_broken_ones_refused() {
        let selector = FieldSelector::parse(r"a=x\,y\=z\\,b=2").unwrap();
        assert_eq!(selector.requirements()[0].value, r"x,y=z\");
        assert_eq!(selector.requirements().len(), 2);
        for bad in ["a", "a=b=c", r"a=\x", "=b", r"a=\"] {
            assert!(FieldSelector::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(values in proptest::collection::vec("[a-z\\\\,=]{0,6}", 1..4)) {
            let requirements: Vec<_> = values
                .into_iter()
                .map(|value| FieldRequirement { field: "a.b".to_owned(), is_equal: value.len() % 2 == 0, value })
                .collect();
            let selector = FieldSelector { requirements };
            prop_assert_eq!(FieldSelector::parse(&selector.to_string()).unwrap(), selector);
        }

        #[test]
        fn any_text_parses_or_fails(text in "\\PC{0,40}") {
            drop(FieldSelector::parse(&text));
        }
    }
}
