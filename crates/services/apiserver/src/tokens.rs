//! Tokens of service accounts on request (`authentication.k8s.io/v1` TokenRequest).

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use maru_auth::{BoundObject, TokenSpec};
use maru_http::Body;
use maru_time::rfc3339_seconds;
use serde_json::{Value, json};

use crate::body;
use crate::errors::{ApiError, issue};
use crate::meta;
use crate::respond;
use crate::state::{Call, State};

const SECONDS_MIN: i64 = 600;
const SECONDS_DEFAULT: i64 = 3600;
/// Longer wishes are cut to a year.
const SECONDS_MAX: i64 = 365 * 24 * 3600;

/// Answers a TokenRequest.
pub(crate) fn answer(state: &Arc<State>, call: &Call, content: &[u8]) -> Result<Response<Body>, ApiError> {
    let mut request = body::parse(&call.headers, content)?.value;
    let account = state.read(&call.served, &call.path.namespace, &call.path.name)?.object;
    let seconds = meta::at(&request, &["spec", "expirationSeconds"]).and_then(Value::as_i64).unwrap_or(SECONDS_DEFAULT);
    if seconds < SECONDS_MIN {
        let issues =
            vec![issue::invalid("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")];
        return Err(ApiError::Invalid {
            group: "authentication.k8s.io".to_owned(),
            kind: "TokenRequest".to_owned(),
            name: String::new(),
            issues,
        });
    }
    let seconds = seconds.min(SECONDS_MAX);
    let mut audiences: Vec<String> =
        meta::list(&request, &["spec", "audiences"]).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if audiences.is_empty() {
        audiences.push(state.tokens.issuer().to_owned());
    }
    let spec = TokenSpec {
        namespace: call.path.namespace.clone(),
        service_account: call.path.name.clone(),
        uid: meta::uid(&account).to_owned(),
        audiences: audiences.clone(),
        lifetime: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
        bound: bound_object(state, call, &request)?,
    };
    let (token, expires_at) = state.tokens.issue(&spec).map_err(|error| ApiError::internal(error.to_string()))?;
    let root = meta::root(&mut request);
    root.insert("apiVersion".to_owned(), "authentication.k8s.io/v1".into());
    root.insert("kind".to_owned(), "TokenRequest".into());
    let metadata = json!({
        "name": call.path.name,
        "namespace": call.path.namespace,
        "creationTimestamp": rfc3339_seconds(state.now()),
    });
    root.insert("metadata".to_owned(), metadata);
    let spec = meta::map_at(&mut request, &["spec"]);
    spec.insert("audiences".to_owned(), audiences.into());
    spec.insert("expirationSeconds".to_owned(), seconds.into());
    let status = json!({"token": token.reveal(), "expirationTimestamp": rfc3339_seconds(expires_at)});
    meta::set_at(&mut request, &["status"], Some(status));
    Ok(respond::json(StatusCode::CREATED, &request))
}

/// Checks what the token shall be bound to.
fn bound_object(state: &State, call: &Call, request: &Value) -> Result<Option<BoundObject>, ApiError> {
    let Some(reference) = meta::at(request, &["spec", "boundObjectRef"]).filter(|value| value.is_object()) else {
        return Ok(None);
    };
    let (kind, name) = (meta::text(reference, &["kind"]), meta::text(reference, &["name"]));
    let (store, namespace) = match kind {
        "Pod" => ("pods", call.path.namespace.as_str()),
        "Secret" => ("secrets", call.path.namespace.as_str()),
        "Node" => ("nodes", ""),
        other => {
            return Err(ApiError::bad_request(format!(
                "cannot bind token to object of type {other}; Pod, Secret and Node are possible"
            )));
        }
    };
    let resource = crate::kinds::GroupResource { group: String::new(), resource: store.to_owned() };
    let object = state.read_raw(store, namespace, name).ok_or_else(|| ApiError::not_found(&resource, name))?;
    if kind == "Pod" && meta::text(&object, &["spec", "serviceAccountName"]) != call.path.name {
        return Err(ApiError::bad_request(format!(
            "cannot bind token for serviceaccount \"{}\" to pod running with different serviceaccount name.",
            call.path.name
        )));
    }
    let uid = meta::text(reference, &["uid"]);
    if !uid.is_empty() && uid != meta::uid(&object) {
        return Err(ApiError::Conflict {
            resource,
            name: name.to_owned(),
            message: format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record ({})",
                meta::uid(&object)
            ),
        });
    }
    Ok(Some(BoundObject { kind: kind.to_owned(), name: name.to_owned(), uid: meta::uid(&object).to_owned() }))
}
