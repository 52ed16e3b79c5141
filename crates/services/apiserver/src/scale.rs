//! The scale subresource: `autoscaling/v1` Scale over whatever counts replicas.

use std::sync::Arc;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{Response, StatusCode};
use maru_http::Body;
use maru_kube::selector::LabelSelector;
use serde_json::{Value, json};

use crate::body;
use crate::errors::{ApiError, issue};
use crate::formats::{Ownership, PatchType};
use crate::kinds::{ScalePaths, Served};
use crate::meta;
use crate::options::WriteOptions;
use crate::read;
use crate::respond;
use crate::state::{Call, State};
use crate::write::{Part, Writer, invalid};
use crate::writes::Patch;

/// Answers a `get`.
pub(crate) fn get(state: &State, call: &Call) -> Result<Response<Body>, ApiError> {
    let stored = state.read(&call.served, read::namespace_of(call).unwrap_or_default(), &call.path.name)?;
    Ok(respond::json(StatusCode::OK, &scale_of(&call.served, paths(call)?, &stored.object)))
}

fn paths(call: &Call) -> Result<&ScalePaths, ApiError> {
    call.served.version().scale.as_ref().ok_or(ApiError::NoSuchPath)
}

fn keys(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

fn scale_of(served: &Served, paths: &ScalePaths, object: &Value) -> Value {
    let number = |path: &[String]| meta::at(object, &keys(path)).and_then(Value::as_i64).unwrap_or_default();
    let selector = match &paths.selector {
        Some(path) => meta::text(object, &keys(path)).to_owned(),
        None if served.kind.is_custom => String::new(),
        None => {
            let selector = meta::at(object, &["spec", "selector"]);
            let parsed = if served.kind.group.is_empty() {
                selector.map(LabelSelector::from_map)
            } else {
                selector.map(LabelSelector::from_object)
            };
            parsed.and_then(Result::ok).map(|selector| selector.to_string()).unwrap_or_default()
        }
    };
    let mut status = json!({"replicas": number(&paths.status_replicas)});
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    let mut metadata = json!({});
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = meta::at(object, &["metadata", key]) {
            metadata[key] = value.clone();
        }
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": number(&paths.spec_replicas)},
        "status": status,
    })
}

/// Answers an `update` or `patch`.
pub(crate) async fn write(
    state: &Arc<State>,
    call: &Call,
    verb: &str,
    content: &Bytes,
) -> Result<Response<Body>, ApiError> {
    let options = WriteOptions::read(&call.query, call.header(USER_AGENT))?;
    let paths = paths(call)?;
    let wanted = match verb {
        "update" => Wanted::Whole(body::parse(&call.headers, content)?.value),
        _ => match Patch::read(call, content, &options)? {
            Patch::Change(kind, change) => Wanted::Patched(kind, change),
            Patch::Apply(..) => return Err(ApiError::NotSupported("server-side apply of a scale".to_owned())),
        },
    };
    let writer = Writer::new(state, call, Part::Other("scale"), &options);
    let written = writer
        .update(&call.path.name, Ownership::Update, |current| {
            let scale = wanted.on(&scale_of(&call.served, paths, current))?;
            let mut object = current.clone();
            let replicas = replicas_of(call, &scale)?;
            meta::set_at(&mut object, &keys(&paths.spec_replicas), Some(replicas.into()));
            let version = meta::resource_version(&scale).to_owned();
            meta::metadata(&mut object).insert("resourceVersion".to_owned(), version.into());
            Ok(object)
        })
        .await?;
    Ok(respond::json(StatusCode::OK, &scale_of(&call.served, paths, &written.object)))
}

enum Wanted {
    Whole(Value),
    Patched(PatchType, Value),
}

impl Wanted {
    fn on(&self, scale: &Value) -> Result<Value, ApiError> {
        let result = match self {
            Self::Whole(whole) => return Ok(whole.clone()),
            Self::Patched(PatchType::Json, change) => maru_kube::patch::json(scale, change),
            // A scale has no lists: strategic and merge patch are the same.
            Self::Patched(PatchType::Merge | PatchType::Strategic, change) => maru_kube::patch::merge(scale, change),
        };
        result.map_err(|error| ApiError::bad_request(error.to_string()))
    }
}

fn replicas_of(call: &Call, scale: &Value) -> Result<i64, ApiError> {
    let replicas = meta::at(scale, &["spec", "replicas"]).filter(|value| !value.is_null());
    let Some(replicas) = replicas else { return Ok(0) };
    match replicas.as_i64() {
        Some(number) if (0..=i64::from(i32::MAX)).contains(&number) => Ok(number),
        _ => {
            let issue = issue::invalid("spec.replicas", replicas.clone(), "must be greater than or equal to 0");
            Err(invalid(&call.served, &call.path.name, vec![issue]))
        }
    }
}
