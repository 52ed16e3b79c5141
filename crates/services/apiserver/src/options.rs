//! The options of reads, writes and deletions, from query and body.

use serde_json::Value;

use crate::errors::ApiError;
use crate::meta;
use crate::query::Query;

/// What happens with fields that the schema does not know and keys that occur twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

/// How a write is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct WriteOptions {
    /// Everything but the write itself.
    pub(crate) is_dry_run: bool,
    pub(crate) field_validation: FieldValidation,
    /// Who owns the fields; from the user agent when not named.
    pub(crate) manager: String,
    /// Whether the manager was named.
    pub(crate) is_manager_named: bool,
    /// Takes fields from other managers (apply).
    pub(crate) is_forced: bool,
}

const MANAGER_BYTES_MAX: usize = 128;

impl WriteOptions {
    pub(crate) fn read(query: &Query, user_agent: &str) -> Result<Self, ApiError> {
        let is_dry_run = is_dry_run(query.all("dryRun"))?;
        let field_validation = match query.text("fieldValidation") {
            "" | "Warn" => FieldValidation::Warn,
            "Strict" => FieldValidation::Strict,
            "Ignore" => FieldValidation::Ignore,
            other => {
                return Err(ApiError::bad_request(format!(
                    "fieldValidation: Unsupported value: \"{other}\": supported values: \"Ignore\", \"Strict\", \"Warn\""
                )));
            }
        };
        let named = query.text("fieldManager");
        if named.len() > MANAGER_BYTES_MAX || named.chars().any(char::is_control) {
            return Err(ApiError::bad_request("fieldManager: must be at most 128 printable characters"));
        }
        let from_agent =
            || user_agent.split(['/', ' ']).next().filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned();
        Ok(Self {
            is_dry_run,
            field_validation,
            manager: if named.is_empty() { from_agent() } else { named.to_owned() },
            is_manager_named: !named.is_empty(),
            is_forced: query.flag("force"),
        })
    }

    /// The options of a write that the server does by itself.
    pub(crate) fn own() -> Self {
        Self { manager: "maru-apiserver".to_owned(), field_validation: FieldValidation::Ignore, ..Self::default() }
    }
}

fn is_dry_run<'a>(values: impl Iterator<Item = &'a str>) -> Result<bool, ApiError> {
    let mut found = false;
    for value in values {
        match value {
            "All" => found = true,
            "" => {}
            other => {
                return Err(ApiError::bad_request(format!(
                    "dryRun: Unsupported value: \"{other}\": supported values: \"All\""
                )));
            }
        }
    }
    Ok(found)
}

/// What happens to the objects that a deleted object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// How a deletion is done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) is_dry_run: bool,
    pub(crate) grace_period_seconds: Option<i64>,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

impl DeleteOptions {
    /// Reads them from the body where it has them, else from the query.
    pub(crate) fn read(query: &Query, body: &Value) -> Result<Self, ApiError> {
        let in_body = meta::list(body, &["dryRun"]).iter().filter_map(Value::as_str);
        let is_dry_run = is_dry_run(query.all("dryRun").chain(in_body))?;
        let grace_period_seconds = match body.get("gracePeriodSeconds").and_then(Value::as_i64) {
            Some(seconds) => Some(seconds),
            None => query.number("gracePeriodSeconds")?,
        };
        if grace_period_seconds.is_some_and(|seconds| seconds < 0) {
            return Err(ApiError::bad_request("gracePeriodSeconds: must not be negative"));
        }
        let named = match meta::text(body, &["propagationPolicy"]) {
            "" => query.text("propagationPolicy"),
            named => named,
        };
        let orphans = body
            .get("orphanDependents")
            .and_then(Value::as_bool)
            .or_else(|| query.get("orphanDependents").map(|_| query.flag("orphanDependents")));
        let propagation = match (named, orphans) {
            ("", None) => None,
            ("", Some(true)) | ("Orphan", None) => Some(Propagation::Orphan),
            ("", Some(false)) | ("Background", None) => Some(Propagation::Background),
            ("Foreground", None) => Some(Propagation::Foreground),
            (other, None) => {
                return Err(ApiError::bad_request(format!(
                    "propagationPolicy: Unsupported value: \"{other}\": supported values: \"Background\", \"Foreground\", \"Orphan\""
                )));
            }
            (_, Some(_)) => {
                return Err(ApiError::bad_request("orphanDependents and propagationPolicy cannot be both set"));
            }
        };
        let precondition = |key: &str| match meta::text(body, &["preconditions", key]) {
            "" => None,
            text => Some(text.to_owned()),
        };
        Ok(Self {
            is_dry_run,
            grace_period_seconds,
            propagation,
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_manager_comes_from_the_user_agent_when_not_named() {
        let options =
            WriteOptions::read(&Query::parse(Some("fieldManager=")), "kubectl/v1.32.4 (linux/amd64)").unwrap();
        assert_eq!(options.manager, "kubectl");
        let options =
            WriteOptions::read(&Query::parse(Some("fieldManager=me&dryRun=All&fieldValidation=Strict")), "x").unwrap();
        assert_eq!(options.manager, "me");
        assert!(options.is_dry_run && options.is_manager_named);
        assert_eq!(options.field_validation, FieldValidation::Strict);
        assert!(WriteOptions::read(&Query::parse(Some("dryRun=some")), "").is_err());
    }

    #[test]
    fn the_body_of_a_deletion_wins_over_the_query() {
        let body = json!({"gracePeriodSeconds": 5, "propagationPolicy": "Foreground", "preconditions": {"uid": "u"}});
        let options = DeleteOptions::read(&Query::parse(Some("gracePeriodSeconds=9")), &body).unwrap();
        assert_eq!(options.grace_period_seconds, Some(5));
        assert_eq!(options.propagation, Some(Propagation::Foreground));
        assert_eq!(options.uid.as_deref(), Some("u"));
        let options = DeleteOptions::read(&Query::parse(Some("orphanDependents=true")), &json!({})).unwrap();
        assert_eq!(options.propagation, Some(Propagation::Orphan));
        assert!(DeleteOptions::read(&Query::parse(Some("propagationPolicy=Nope")), &json!({})).is_err());
    }
}
