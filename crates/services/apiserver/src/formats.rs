//! How the server uses Kubernetes' formats: schemas, field ownership, patches, protobuf bodies.

use maru_kube::fields::{self, ApplyError, OnConflict};
use maru_kube::{FieldError, FieldErrorKind, Schema, patch, protobuf};
use maru_time::Timestamp;
use serde_json::Value;

use crate::errors::{ApiError, Cause};
use crate::kinds::Served;
use crate::meta;
use crate::options::{FieldValidation, WriteOptions};
use crate::warnings::Warnings;

/// A schema as versions of kinds hold it.
pub(crate) type SharedSchema = Schema;

/// Returns the schema of a version, or that of objects about which nothing is known.
pub(crate) fn schema_of(served: &Served) -> Schema {
    served.schema().cloned().unwrap_or_else(Schema::untyped)
}

/// How a write changes the ownership of fields.
#[derive(Debug, Clone)]
pub(crate) enum Ownership {
    /// What differs becomes the writer's.
    Update,
    /// The object comes out of an apply, which has set the managed fields itself.
    Apply,
}

/// Who writes what, for the managed fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnershipRequest<'a> {
    pub(crate) served: &'a Served,
    pub(crate) manager: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) now: Timestamp,
}

impl OwnershipRequest<'_> {
    fn with_writer<R>(&self, run: impl FnOnce(&fields::Writer<'_>) -> R) -> R {
        let api_version = self.served.api_version();
        let ignored: &[&str] = match self.subresource {
            "" if self.served.has_subresource("status") => &["status"],
            "status" => &["spec"],
            _ => &[],
        };
        run(&fields::Writer {
            manager: self.manager,
            api_version: &api_version,
            subresource: self.subresource,
            now: self.now,
            ignored,
        })
    }
}

/// Sets the managed fields of an object that is about to be stored.
pub(crate) fn own_fields(
    request: &OwnershipRequest<'_>,
    old: Option<&Value>,
    new: &mut Value,
    ownership: &Ownership,
) -> Result<(), ApiError> {
    match ownership {
        Ownership::Apply => Ok(()),
        Ownership::Update => {
            let schema = schema_of(request.served);
            request
                .with_writer(|writer| fields::update(&schema, old, new, writer))
                .map_err(|error| ApiError::bad_request(error.to_string()))
        }
    }
}

/// Merges an applied configuration into the current object.
pub(crate) fn apply(
    request: &OwnershipRequest<'_>,
    live: Option<&Value>,
    applied: &Value,
    is_forced: bool,
) -> Result<Value, ApiError> {
    let schema = schema_of(request.served);
    let on_conflict = if is_forced { OnConflict::Force } else { OnConflict::Fail };
    request.with_writer(|writer| fields::apply(&schema, live, applied, writer, on_conflict)).map_err(
        |error| match error {
            ApplyError::Conflicts(conflicts) => ApiError::ApplyConflict {
                message: conflicts.to_string(),
                causes: conflicts
                    .0
                    .into_iter()
                    .map(|one| Cause {
                        reason: "FieldManagerConflict".to_owned(),
                        message: format!("conflict with {}", one.manager),
                        field: one.field,
                    })
                    .collect(),
            },
            ApplyError::Malformed(message) => ApiError::bad_request(message),
            _ => ApiError::internal("the apply failed"),
        },
    )
}

/// Tells whether two versions of an object differ in nothing, or in nothing but the times of managed fields.
pub(crate) fn same_but_times(old: &Value, new: &Value) -> bool {
    if old == new {
        return true;
    }
    let (Some(old_map), Some(new_map)) = (old.as_object(), new.as_object()) else { return false };
    if old_map.len() != new_map.len() {
        return false;
    }
    // Cheap first: most changes are not in the metadata.
    let same_outside = old_map.iter().all(|(key, value)| key == "metadata" || new_map.get(key) == Some(value));
    same_outside && without_times(old) == without_times(new)
}

fn without_times(object: &Value) -> Value {
    let mut metadata = object.get("metadata").cloned().unwrap_or_default();
    if let Some(entries) = metadata.get_mut("managedFields").and_then(Value::as_array_mut) {
        for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
            entry.remove("time");
        }
    }
    metadata
}

/// Sets the defaults of a CustomResourceDefinition's schema.
pub(crate) fn apply_schema_defaults(served: &Served, object: &mut Value) {
    if served.kind.is_custom
        && let Some(schema) = served.schema()
    {
        schema.default(object);
    }
}

/// Checks an object of a CustomResourceDefinition, whose schema is the whole truth. Types of built-in kinds were
/// checked when the request was read.
pub(crate) fn validate_schema(served: &Served, object: &Value) -> Vec<FieldError> {
    match served.schema() {
        Some(schema) if served.kind.is_custom => schema.validate(object),
        _ => Vec::new(),
    }
}

/// Removes what the schema does not know and refuses or warns about it; refuses values of the wrong type.
pub(crate) fn check_fields(
    served: &Served,
    object: &mut Value,
    duplicates: &[String],
    options: &WriteOptions,
    warnings: &Warnings,
) -> Result<(), ApiError> {
    let mut complaints: Vec<String> = Vec::new();
    if let Some(schema) = served.schema() {
        complaints.extend(schema.prune(object).into_iter().map(|path| format!("unknown field \"{path}\"")));
    }
    if !served.kind.is_custom {
        meta::drop_nulls(object);
    }
    complaints.extend(duplicates.iter().map(|path| format!("duplicate field \"{path}\"")));
    let prefix = || {
        let (kind, version) = (&served.kind.kind, &served.version().name);
        format!("{kind} in version \"{version}\" cannot be handled as a {kind}")
    };
    if !complaints.is_empty() {
        match options.field_validation {
            FieldValidation::Ignore => {}
            FieldValidation::Warn => complaints.into_iter().for_each(|text| warnings.add(text)),
            FieldValidation::Strict => {
                let text = complaints.join(", ");
                return Err(ApiError::bad_request(format!("{}: strict decoding error: {text}", prefix())));
            }
        }
    }
    if !served.kind.is_custom
        && let Some(schema) = served.schema()
    {
        // Only what could not be decoded; what is missing or out of range is the hooks' matter.
        let wrong: Vec<String> = schema
            .validate(object)
            .into_iter()
            .filter(|issue| issue.kind == FieldErrorKind::TypeInvalid)
            .map(|issue| issue.to_string())
            .collect();
        if !wrong.is_empty() {
            return Err(ApiError::bad_request(format!("{}: {}", prefix(), wrong.join(", "))));
        }
    }
    Ok(())
}

/// The types of patches besides apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchType {
    Json,
    Merge,
    Strategic,
}

/// Applies a patch.
pub(crate) fn patched(served: &Served, kind: PatchType, object: &Value, change: &Value) -> Result<Value, ApiError> {
    let result = match kind {
        PatchType::Json => patch::json(object, change),
        PatchType::Merge => patch::merge(object, change),
        PatchType::Strategic => match served.schema() {
            Some(schema) if !served.kind.is_custom => patch::strategic(schema, object, change),
            _ => {
                return Err(ApiError::UnsupportedMediaType(
                    "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
                        .to_owned(),
                ));
            }
        },
    };
    result.map_err(|error| match error {
        patch::PatchError::DoesNotApply(_) => crate::write::invalid(
            served,
            meta::name(object),
            vec![FieldError {
                field: "patch".to_owned(),
                kind: FieldErrorKind::Invalid,
                value: None,
                detail: error.to_string(),
            }],
        ),
        other => ApiError::bad_request(other.to_string()),
    })
}

/// Decodes a protobuf body.
pub(crate) fn decode_protobuf(bytes: &[u8]) -> Result<Value, ApiError> {
    protobuf::decode(bytes).map_err(|error| match error {
        protobuf::ProtobufError::NotSupported { .. } => {
            ApiError::UnsupportedMediaType(format!("application/json ({error})"))
        }
        other => ApiError::bad_request(other.to_string()),
    })
}
