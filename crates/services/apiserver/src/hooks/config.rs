//! Config maps, secrets, controller revisions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maru_kube::{FieldError, FieldErrorKind, names};
use serde_json::Value;

use super::{Context, check_immutable, immutable};
use crate::errors::issue;
use crate::meta::{self, default_at};

/// Bytes of all values of a config map or secret.
const DATA_BYTES_MAX: usize = 1024 * 1024;

pub(crate) fn secret_defaults(object: &mut Value) {
    default_at(object, &["type"], "Opaque");
    let Some(plain) = meta::root(object).remove("stringData") else { return };
    let Some(plain) = plain.as_object().filter(|plain| !plain.is_empty()) else { return };
    let data = meta::map_at(object, &["data"]);
    for (key, value) in plain {
        data.insert(key.clone(), STANDARD.encode(value.as_str().unwrap_or_default()).into());
    }
}

/// Upstream fills such a Secret with a token that never ends; here it stays as it is.
pub(crate) fn note_unfilled_token(context: &Context<'_>, object: &Value) {
    if meta::text(object, &["type"]) == "kubernetes.io/service-account-token" && object.get("data").is_none() {
        context.warnings.add("no token is put into this Secret: use \"kubectl create token\" or a projected volume");
    }
}

pub(crate) fn validate_config_map(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut issues = Vec::new();
    let mut total = 0;
    for field in ["data", "binaryData"] {
        for (key, value) in object.get(field).and_then(Value::as_object).into_iter().flatten() {
            let path = format!("{field}[{key}]");
            issues.extend(
                names::check_config_key(key).into_iter().map(|why| issue::invalid(path.as_str(), key.as_str(), why)),
            );
            total += value.as_str().map_or(0, str::len);
        }
    }
    for key in object.get("binaryData").and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key) {
        if object.get("data").and_then(|data| data.get(key)).is_some() {
            issues.push(issue::invalid("data", key.as_str(), "duplicate of key present in binaryData"));
        }
    }
    issues.extend(too_large(total, ""));
    issues.extend(check_sealed(object, old, &["data", "binaryData"]));
    issues
}

pub(crate) fn validate_secret(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut issues = check_immutable(object, old, &["type"]);
    let mut total = 0;
    for (key, value) in object.get("data").and_then(Value::as_object).into_iter().flatten() {
        let path = format!("data[{key}]");
        issues.extend(
            names::check_config_key(key).into_iter().map(|why| issue::invalid(path.as_str(), key.as_str(), why)),
        );
        match STANDARD.decode(value.as_str().unwrap_or_default()) {
            Ok(bytes) => total += bytes.len(),
            Err(_) => issues.push(FieldError {
                field: path,
                kind: FieldErrorKind::Invalid,
                // The value itself is secret.
                value: None,
                detail: "must be base64".to_owned(),
            }),
        }
    }
    let required: &[&str] = match meta::text(object, &["type"]) {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    };
    for key in required {
        if object.get("data").and_then(|data| data.get(*key)).is_none() {
            issues.push(issue::required(format!("data[{key}]"), ""));
        }
    }
    issues.extend(too_large(total, "data"));
    issues.extend(check_sealed(object, old, &["data"]));
    issues
}

fn too_large(total: usize, field: &str) -> Option<FieldError> {
    (total > DATA_BYTES_MAX).then(|| FieldError {
        field: field.to_owned(),
        kind: FieldErrorKind::TooLong,
        value: None,
        detail: format!("may not be more than {DATA_BYTES_MAX} bytes"),
    })
}

/// What is marked immutable stays, and stays so.
fn check_sealed(object: &Value, old: Option<&Value>, fields: &[&str]) -> Vec<FieldError> {
    let is_immutable = |object: &Value| object.get("immutable").and_then(Value::as_bool) == Some(true);
    let Some(old) = old.filter(|old| is_immutable(old)) else { return Vec::new() };
    let mut issues = Vec::new();
    if !is_immutable(object) {
        issues.push(issue::forbidden("immutable", "field is immutable when `immutable` is set"));
    }
    for field in fields {
        if object.get(*field) != old.get(*field) {
            issues.push(issue::forbidden(*field, "field is immutable when `immutable` is set"));
        }
    }
    issues
}

pub(crate) fn validate_revision(object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    match old {
        Some(old) if old.get("data") != object.get("data") => {
            vec![immutable("data", object.get("data").unwrap_or(&Value::Null))]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_secrets_are_encoded() {
        let mut secret = json!({"stringData": {"a": "b"}, "data": {"a": "eA==", "c": "ZA=="}});
        secret_defaults(&mut secret);
        assert_eq!(secret, json!({"type": "Opaque", "data": {"a": "Yg==", "c": "ZA=="}}));
        assert_eq!(validate_secret(&secret, None), []);
    }

    #[test]
    fn a_bad_value_is_not_repeated() {
        let issues = validate_secret(&json!({"type": "Opaque", "data": {"a": "geheim!"}}), None);
        assert!(!issues[0].to_string().contains("geheim"), "{}", issues[0]);
    }

    #[test]
    fn an_immutable_map_stays() {
        let old = json!({"immutable": true, "data": {"a": "1"}});
        let issues = validate_config_map(&json!({"data": {"a": "2"}}), Some(&old));
        assert_eq!(issues.iter().map(|issue| issue.field.as_str()).collect::<Vec<_>>(), ["immutable", "data"]);
        assert_eq!(validate_config_map(&json!({"data": {"a/b": "2"}}), None).len(), 1);
    }
}
