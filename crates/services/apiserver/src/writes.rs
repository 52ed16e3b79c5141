//! Answers the requests that write one object: create, update, the four kinds of patch.

use std::sync::Arc;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{Response, StatusCode};
use maru_http::Body;
use maru_kube::Parsed;
use serde_json::Value;

use crate::authz;
use crate::body;
use crate::errors::{ApiError, issue};
use crate::formats::{self, Ownership, PatchType};
use crate::hooks;
use crate::kinds::split_api_version;
use crate::meta;
use crate::options::{FieldValidation, WriteOptions};
use crate::read;
use crate::routes::ResourcePath;
use crate::state::{Call, State};
use crate::write::{Part, Writer, Written, invalid};

/// Operations of a JSON patch at most.
const JSON_PATCH_OPERATIONS_MAX: usize = 10_000;

/// Answers a `create` of a stored kind.
pub(crate) async fn create(state: &Arc<State>, call: &Call, content: &[u8]) -> Result<Response<Body>, ApiError> {
    let options = WriteOptions::read(&call.query, call.header(USER_AGENT))?;
    let parsed = body::parse(&call.headers, content)?;
    let object = read_object(call, parsed, &options)?;
    let written = Writer::new(state, call, Part::Main, &options).create(object, Ownership::Update).await?;
    Ok(read::object(state, call, StatusCode::CREATED, written.object))
}

/// Checks and prunes the object in a request.
pub(crate) fn read_object(call: &Call, parsed: Parsed, options: &WriteOptions) -> Result<Value, ApiError> {
    let Parsed { value: mut object, duplicates } = parsed;
    check_type(call, &object)?;
    check_place(call, &object)?;
    // Own managed fields from outside are taken as they are; their shape is checked where they are used.
    formats::check_fields(&call.served, &mut object, &duplicates, options, &call.warnings)?;
    Ok(object)
}

fn check_type(call: &Call, object: &Value) -> Result<(), ApiError> {
    let served = &call.served;
    let kind = meta::kind(object);
    let found = meta::text(object, &["apiVersion"]);
    if !kind.is_empty() && kind != served.kind.kind {
        return Err(ApiError::bad_request(format!(
            "{found}, Kind={kind} cannot be handled as a {}: the kind of the object does not match the resource {}",
            served.kind.kind, served.kind.plural
        )));
    }
    if !found.is_empty() && found != served.api_version() {
        let (group, version) = split_api_version(found);
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({group}{}{version}) does not match the expected API version ({})",
            if group.is_empty() { "" } else { "/" },
            served.api_version()
        )));
    }
    Ok(())
}

fn check_place(call: &Call, object: &Value) -> Result<(), ApiError> {
    let namespace = meta::namespace(object);
    if call.served.kind.namespaced {
        if call.path.namespace.is_empty() {
            return Err(ApiError::MethodNotAllowed);
        }
        if !namespace.is_empty() && namespace != call.path.namespace {
            return Err(ApiError::bad_request(format!(
                "the namespace of the provided object does not match the namespace sent on the request ({namespace} is not {})",
                call.path.namespace
            )));
        }
    }
    let name = meta::name(object);
    if !call.path.name.is_empty() && !name.is_empty() && name != call.path.name {
        return Err(ApiError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            call.path.name
        )));
    }
    Ok(())
}

/// Answers an `update` of a part of an object.
pub(crate) async fn update(
    state: &Arc<State>,
    call: &Call,
    part: Part,
    content: &[u8],
) -> Result<Response<Body>, ApiError> {
    let options = WriteOptions::read(&call.query, call.header(USER_AGENT))?;
    let parsed = body::parse(&call.headers, content)?;
    let object = read_object(call, parsed, &options)?;
    if call.served.kind.is_custom && meta::resource_version(&object).is_empty() {
        let issue = issue::invalid("metadata.resourceVersion", 0, "must be specified for an update");
        return Err(invalid(&call.served, &call.path.name, vec![issue]));
    }
    let writer = Writer::new(state, call, part, &options);
    let written = writer.update(&call.path.name, Ownership::Update, |_| Ok(object.clone())).await?;
    Ok(read::object(state, call, StatusCode::OK, written.object))
}

/// What the body of a patch says.
#[derive(Debug, Clone)]
pub(crate) enum Patch {
    Change(PatchType, Value),
    Apply(Value, Vec<String>),
}

impl Patch {
    /// Reads a patch by its media type.
    pub(crate) fn read(call: &Call, content: &Bytes, options: &WriteOptions) -> Result<Self, ApiError> {
        let media_type = body::media_type(&call.headers);
        let kind = match media_type.as_str() {
            "application/json-patch+json" => PatchType::Json,
            "application/merge-patch+json" => PatchType::Merge,
            "application/strategic-merge-patch+json" => PatchType::Strategic,
            "application/apply-patch+yaml" | "application/apply-patch+json" => {
                if !options.is_manager_named {
                    return Err(ApiError::bad_request(
                        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch",
                    ));
                }
                let parsed = body::parse_yaml(content)?;
                return Ok(Self::Apply(parsed.value, parsed.duplicates));
            }
            _ => {
                return Err(ApiError::UnsupportedMediaType(
                    "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml"
                        .to_owned(),
                ));
            }
        };
        if options.is_forced {
            return Err(ApiError::bad_request(
                "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch",
            ));
        }
        let parsed = body::parse_json(content)?;
        if options.field_validation == FieldValidation::Strict && !parsed.duplicates.is_empty() {
            return Err(ApiError::bad_request(format!(
                "strict decoding error: duplicate field \"{}\"",
                parsed.duplicates.join("\", duplicate field \"")
            )));
        }
        if kind == PatchType::Json
            && parsed.value.as_array().is_some_and(|operations| operations.len() > JSON_PATCH_OPERATIONS_MAX)
        {
            return Err(ApiError::TooLarge { limit: JSON_PATCH_OPERATIONS_MAX });
        }
        Ok(Self::Change(kind, parsed.value))
    }
}

/// Answers a `patch` of a part of an object.
pub(crate) async fn patch(
    state: &Arc<State>,
    call: &Call,
    part: Part,
    content: &Bytes,
) -> Result<Response<Body>, ApiError> {
    let options = WriteOptions::read(&call.query, call.header(USER_AGENT))?;
    let written = match Patch::read(call, content, &options)? {
        Patch::Change(kind, change) => patch_existing(state, call, part, &options, kind, &change).await?,
        Patch::Apply(applied, duplicates) => {
            let object = read_object(call, Parsed { value: applied, duplicates }, &options)?;
            apply(state, call, part, &options, object).await?
        }
    };
    let status = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(read::object(state, call, status, written.object))
}

async fn patch_existing(
    state: &Arc<State>,
    call: &Call,
    part: Part,
    options: &WriteOptions,
    kind: PatchType,
    change: &Value,
) -> Result<Written, ApiError> {
    let writer = Writer::new(state, call, part, options);
    writer
        .update(&call.path.name, Ownership::Update, |current| {
            let mut object = formats::patched(&call.served, kind, current, change)?;
            check_type(call, &object)?;
            formats::check_fields(&call.served, &mut object, &[], options, &call.warnings)?;
            Ok(object)
        })
        .await
}

async fn apply(
    state: &Arc<State>,
    call: &Call,
    part: Part,
    options: &WriteOptions,
    mut applied: Value,
) -> Result<Written, ApiError> {
    if !meta::list(&applied, &["metadata", "managedFields"]).is_empty() {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let root = meta::root(&mut applied);
    root.insert("apiVersion".to_owned(), call.served.api_version().into());
    root.insert("kind".to_owned(), call.served.kind.kind.clone().into());
    meta::metadata(&mut applied).insert("name".to_owned(), call.path.name.clone().into());
    if call.served.kind.namespaced {
        meta::metadata(&mut applied).insert("namespace".to_owned(), call.path.namespace.clone().into());
    }
    let writer = Writer::new(state, call, part, options);
    let merge = |live: Option<&Value>| {
        hooks::admit_status(&writer.context(), live, &applied)?;
        formats::apply(&writer.ownership_request(state.now()), live, &applied, options.is_forced)
    };
    // Twice: what is missing may be created in between, and the other way round.
    for _ in 0..2 {
        match writer.update(&call.path.name, Ownership::Apply, |current| merge(Some(current))).await {
            Err(ApiError::NotFound { .. }) if part == Part::Main && is_missing(state, call) => {}
            result => return result,
        }
        if !meta::uid(&applied).is_empty() {
            return Err(ApiError::modified(&call.resource(), &call.path.name));
        }
        authz::require(state, &call.identity, "create", &ResourcePath { name: String::new(), ..call.path.clone() })?;
        match writer.create(merge(None)?, Ownership::Apply).await {
            Err(ApiError::AlreadyExists { .. }) => {}
            result => return result,
        }
    }
    Err(ApiError::modified(&call.resource(), &call.path.name))
}

fn is_missing(state: &State, call: &Call) -> bool {
    state.read(&call.served, read::namespace_of(call).unwrap_or_default(), &call.path.name).is_err()
}
