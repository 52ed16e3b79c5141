//! Integers that may be written as a percentage, and ports that may be names.

use std::fmt;

use serde_json::Value;

/// A value that is an integer or a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntOrString {
    /// An integer.
    Int(i32),
    /// A text: a percentage such as `25%`, or a name.
    Text(String),
}

/// A value that is neither, or a text that is not a percentage where one is needed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid value for IntOrString: {0}")]
pub struct IntOrStringError(String);

/// Which way a scaled percentage is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Towards more (`maxSurge`).
    Up,
    /// Towards less (`maxUnavailable`).
    Down,
}

impl IntOrString {
    /// Reads the JSON form.
    ///
    /// # Errors
    /// Fails when the value is neither a 32-bit integer nor a string.
    pub fn from_json(value: &Value) -> Result<Self, IntOrStringError> {
        match value {
            Value::String(text) => Ok(Self::Text(text.clone())),
            Value::Number(number) => number
                .as_i64()
                .and_then(|n| i32::try_from(n).ok())
                .map(Self::Int)
                .ok_or_else(|| IntOrStringError(format!("{number} is not a 32-bit integer"))),
            other => Err(IntOrStringError(format!("{other} is neither an integer nor a string"))),
        }
    }

    /// Returns the integer, or the percentage of `total`.
    ///
    /// # Errors
    /// Fails when the text is not a percentage.
    pub fn scaled(&self, total: i32, rounding: Rounding) -> Result<i32, IntOrStringError> {
        match self {
            Self::Int(value) => Ok(*value),
            Self::Text(text) => {
                let percent =
                    text.strip_suffix('%').ok_or_else(|| IntOrStringError("string is not a percentage".to_owned()))?;
                let percent: i32 = percent
                    .parse()
                    .map_err(|_| IntOrStringError(format!("invalid value {text:?}: not a whole percentage")))?;
                let product = i64::from(percent) * i64::from(total);
                let scaled = match rounding {
                    Rounding::Up => product.div_euclid(100) + i64::from(product.rem_euclid(100) != 0),
                    Rounding::Down => product.div_euclid(100),
                };
                i32::try_from(scaled).map_err(|_| IntOrStringError(format!("{text} of {total} is out of range")))
            }
        }
    }
}

impl fmt::Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn percentages_scale_up_and_down() {
        let quarter = IntOrString::from_json(&json!("25%")).unwrap();
        assert_eq!(quarter.scaled(3, Rounding::Up).unwrap(), 1);
        assert_eq!(quarter.scaled(3, Rounding::Down).unwrap(), 0);
        assert_eq!(quarter.scaled(8, Rounding::Up).unwrap(), 2);
        assert_eq!(IntOrString::from_json(&json!(5)).unwrap().scaled(1, Rounding::Up).unwrap(), 5);
        assert!(IntOrString::Text("http".to_owned()).scaled(1, Rounding::Up).is_err());
        assert!(IntOrString::from_json(&json!(1.5)).is_err());
        assert!(IntOrString::from_json(&json!(3_000_000_000_u64)).is_err());
    }
}
