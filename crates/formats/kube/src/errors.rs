//! What is wrong with a field of an object, in the words Kubernetes uses.

use std::fmt;

use serde_json::Value;

/// The class of a field's error; decides the words and the `reason` of a Status cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldErrorKind {
    /// A field that must be there is absent or empty.
    Required,
    /// The value has the right type and breaks a rule.
    Invalid,
    /// The value is none of an enumeration's.
    NotSupported,
    /// The value must be unique and is not.
    Duplicate,
    /// The field must not be set here.
    Forbidden,
    /// A string has too many bytes or characters.
    TooLong,
    /// A list has too many items or a map too many properties.
    TooMany,
    /// The value has the wrong JSON type.
    TypeInvalid,
    /// What the value refers to does not exist.
    NotFound,
}

impl FieldErrorKind {
    /// Returns the `reason` of a Status cause, such as `FieldValueRequired`.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotFound => "FieldValueNotFound",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Required => "Required value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Duplicate => "Duplicate value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::NotFound => "Not found",
        }
    }
}

/// One rule that one field breaks.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldError {
    /// The path of the field, such as `spec.containers[0].image`.
    pub field: String,
    /// The class of the error.
    pub kind: FieldErrorKind,
    /// The value that was found; shown for kinds that speak of a value.
    pub value: Option<Value>,
    /// What is asked for; may be empty.
    pub detail: String,
}

impl FieldError {
    /// Creates an error that shows the value found.
    #[must_use]
    pub fn new(field: impl Into<String>, kind: FieldErrorKind, value: &Value, detail: impl Into<String>) -> Self {
        Self { field: field.into(), kind, value: Some(value.clone()), detail: detail.into() }
    }

    /// Creates the error of a field that is missing.
    #[must_use]
    pub fn required(field: impl Into<String>) -> Self {
        Self { field: field.into(), kind: FieldErrorKind::Required, value: None, detail: String::new() }
    }

    /// Creates the error of a field that must not be set or changed.
    #[must_use]
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), kind: FieldErrorKind::Forbidden, value: None, detail: detail.into() }
    }

    /// Creates the error of a value that is none of `supported`.
    #[must_use]
    pub fn not_supported(field: impl Into<String>, value: &Value, supported: &[Value]) -> Self {
        let names: Vec<String> = supported.iter().map(Value::to_string).collect();
        Self::new(field, FieldErrorKind::NotSupported, value, format!("supported values: {}", names.join(", ")))
    }

    /// Returns the message without the field's path, as a Status cause carries it.
    #[must_use]
    pub fn message(&self) -> String {
        let mut text = self.kind.words().to_owned();
        let shows_value = match self.kind {
            FieldErrorKind::Required
            | FieldErrorKind::Forbidden
            | FieldErrorKind::TooLong
            | FieldErrorKind::TooMany => false,
            FieldErrorKind::Invalid
            | FieldErrorKind::NotSupported
            | FieldErrorKind::Duplicate
            | FieldErrorKind::TypeInvalid
            | FieldErrorKind::NotFound => true,
        };
        if let (true, Some(value)) = (shows_value, &self.value) {
            text.push_str(": ");
            text.push_str(&value.to_string());
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            return f.write_str(&self.message());
        }
        write!(f, "{}: {}", self.field, self.message())
    }
}

impl std::error::Error for FieldError {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn messages_have_kubernetes_words() {
        assert_eq!(
            FieldError::required("spec.containers[0].image").to_string(),
            "spec.containers[0].image: Required value"
        );
        assert_eq!(
            FieldError::new("spec.replicas", FieldErrorKind::Invalid, &json!(-1), "must be greater than or equal to 0")
                .to_string(),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
        );
        assert_eq!(
            FieldError::not_supported("spec.type", &json!("x"), &[json!("a"), json!("b")]).to_string(),
            "spec.type: Unsupported value: \"x\": supported values: \"a\", \"b\""
        );
    }
}
