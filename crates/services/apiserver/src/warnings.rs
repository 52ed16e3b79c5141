//! The warnings that a response carries in its `Warning` headers.

use std::sync::{Arc, Mutex, PoisonError};

/// Warnings at most, and bytes of each, so that headers stay small.
const WARNINGS_MAX: usize = 20;
const WARNING_BYTES_MAX: usize = 256;

/// Collects the warnings of one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    pub(crate) fn add(&self, text: impl Into<String>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = text.into();
        if all.len() < WARNINGS_MAX && !all.contains(&text) {
            all.push(text);
        }
    }

    /// Appends the `Warning: 299 - "…"` headers (RFC 7234 §5.5).
    pub(crate) fn write(&self, headers: &mut http::HeaderMap) {
        for text in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let mut quoted = String::with_capacity(text.len() + 8);
            for character in text.chars().take(WARNING_BYTES_MAX) {
                match character {
                    '"' | '\\' => {
                        quoted.push('\\');
                        quoted.push(character);
                    }
                    ' '..='~' => quoted.push(character),
                    _ => quoted.push('?'),
                }
            }
            if let Ok(value) = http::HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
                headers.append(http::header::WARNING, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_escaped_and_doubles_dropped() {
        let warnings = Warnings::default();
        warnings.add("unknown field \"spec.x\"");
        warnings.add("unknown field \"spec.x\"");
        let mut headers = http::HeaderMap::new();
        warnings.write(&mut headers);
        let all: Vec<_> = headers.get_all("warning").iter().collect();
        assert_eq!(all, ["299 - \"unknown field \\\"spec.x\\\"\""]);
    }
}
