//! JSON text into values, with repeated keys reported.

use serde::de::DeserializeSeed as _;

use crate::documents::{NoteDuplicates, Parsed};

/// A text that is not JSON.
#[derive(Debug, thiserror::Error)]
#[error("the body is not JSON: {0}")]
pub struct JsonError(#[from] serde_json::Error);

/// Parses one JSON value; nesting is limited to 128 levels.
///
/// # Errors
/// Fails when the bytes are not one JSON value.
pub fn parse(bytes: &[u8]) -> Result<Parsed, JsonError> {
    let mut duplicates = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = NoteDuplicates { path: String::new(), duplicates: &mut duplicates }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(Parsed { value, duplicates })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn repeated_keys_are_told_and_the_last_counts() {
        let parsed = super::parse(br#"{"a":1,"spec":{"x":[{"y":1,"y":2}]},"a":3}"#).unwrap();
        assert_eq!(parsed.value, json!({"a":3,"spec":{"x":[{"y":2}]}}));
        assert_eq!(parsed.duplicates, ["spec.x[0].y", "a"]);
    }

    #[test]
    fn trailing_text_and_deep_nesting_are_refused() {
        assert!(super::parse(b"{} x").is_err());
        assert!(super::parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
