//! Kinds that are answered and never stored: reviews of tokens and permissions, bindings.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{Response, StatusCode};
use maru_auth::{Attributes, Decision, Identity, Request};
use maru_http::Body;
use serde_json::{Value, json};

use crate::authn;
use crate::body;
use crate::errors::ApiError;
use crate::hooks::Hook;
use crate::meta;
use crate::options::WriteOptions;
use crate::respond;
use crate::state::{Call, State};
use crate::subresources;
use crate::writes;

/// Answers the creation of a review.
pub(crate) async fn answer(state: &Arc<State>, call: &Call, content: &[u8]) -> Result<Response<Body>, ApiError> {
    let options = WriteOptions::read(&call.query, call.header(http::header::USER_AGENT))?;
    let parsed = body::parse(&call.headers, content)?;
    let mut review = writes::read_object(call, parsed, &options)?;
    let root = meta::root(&mut review);
    root.insert("apiVersion".to_owned(), call.served.api_version().into());
    root.insert("kind".to_owned(), call.served.kind.kind.clone().into());
    meta::metadata(&mut review);
    let status = match call.served.kind.hook {
        Hook::Binding => {
            let pod = meta::name(&review).to_owned();
            return subresources::bind(state, call, &pod, &review).await;
        }
        Hook::TokenReview => token_review(state, &review),
        Hook::SelfSubjectReview => json!({"userInfo": user_info(&call.identity)}),
        Hook::SubjectAccessReview | Hook::LocalSubjectAccessReview => {
            access_status(&review_subject(state, call, &review)?)
        }
        Hook::SelfSubjectAccessReview => access_status(&decide(state, &call.identity, &review)?),
        Hook::SelfSubjectRulesReview => rules(state, &call.identity, &review)?,
        _ => return Err(ApiError::MethodNotAllowed),
    };
    meta::set_at(&mut review, &["status"], Some(status));
    Ok(respond::json(StatusCode::CREATED, &review))
}

fn token_review(state: &State, review: &Value) -> Value {
    let token = meta::text(review, &["spec", "token"]);
    let audiences: Vec<&str> = meta::list(review, &["spec", "audiences"]).iter().filter_map(Value::as_str).collect();
    match authn::identify_token(state, token, &audiences) {
        Some((identity, matched)) => {
            json!({"authenticated": true, "user": user_info(&identity), "audiences": matched})
        }
        None => json!({"authenticated": false, "error": "[invalid bearer token, token lookup failed]", "user": {}}),
    }
}

fn user_info(identity: &Identity) -> Value {
    let mut info = json!({"username": identity.user, "groups": identity.groups});
    if let Some(uid) = &identity.uid {
        info["uid"] = uid.clone().into();
    }
    if !identity.extra.is_empty() {
        info["extra"] = json!(identity.extra);
    }
    info
}

fn review_subject(state: &State, call: &Call, review: &Value) -> Result<Decision, ApiError> {
    let spec = review.get("spec").cloned().unwrap_or_default();
    if call.served.kind.hook == Hook::LocalSubjectAccessReview {
        let namespace = meta::text(&spec, &["resourceAttributes", "namespace"]);
        if namespace != call.path.namespace {
            return Err(ApiError::bad_request(format!(
                "spec.resourceAttributes.namespace must match the namespace of the request ({})",
                call.path.namespace
            )));
        }
    }
    let texts = |key: &str| -> Vec<String> {
        meta::list(&spec, &[key]).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let user = meta::text(&spec, &["user"]);
    let groups = texts("groups");
    if user.is_empty() && groups.is_empty() {
        return Err(ApiError::bad_request("spec.user: at least one of user or group must be specified"));
    }
    let extra: BTreeMap<String, Vec<String>> =
        spec.get("extra").and_then(|extra| serde_json::from_value(extra.clone()).ok()).unwrap_or_default();
    let uid = Some(meta::text(&spec, &["uid"]).to_owned()).filter(|uid| !uid.is_empty());
    decide(state, &Identity { user: user.to_owned(), uid, groups, extra }, review)
}

fn decide(state: &State, identity: &Identity, review: &Value) -> Result<Decision, ApiError> {
    let spec = review.get("spec").cloned().unwrap_or_default();
    let resource = spec.get("resourceAttributes").filter(|value| value.is_object());
    let path = spec.get("nonResourceAttributes").filter(|value| value.is_object());
    let policy = state.policy.current(&state.store);
    match (resource, path) {
        (Some(resource), None) => {
            let text = |key: &str| meta::text(resource, &[key]);
            let request = Request::Resource {
                group: text("group"),
                resource: text("resource"),
                subresource: text("subresource"),
                namespace: text("namespace"),
                name: text("name"),
            };
            Ok(policy.authorize(identity, &Attributes { verb: text("verb"), request }))
        }
        (None, Some(path)) => {
            let request = Request::Path(meta::text(path, &["path"]));
            Ok(policy.authorize(identity, &Attributes { verb: meta::text(path, &["verb"]), request }))
        }
        _ => Err(ApiError::bad_request("exactly one of nonResourceAttributes or resourceAttributes must be specified")),
    }
}

fn access_status(decision: &Decision) -> Value {
    let mut status = json!({"allowed": decision.allowed});
    if !decision.reason.is_empty() {
        status["reason"] = decision.reason.clone().into();
    }
    status
}

fn rules(state: &State, identity: &Identity, review: &Value) -> Result<Value, ApiError> {
    let namespace = meta::text(review, &["spec", "namespace"]);
    if namespace.is_empty() {
        return Err(ApiError::bad_request("no namespace on request"));
    }
    let rules = state.policy.current(&state.store).rules_for(identity, namespace);
    let (paths, resources): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| !rule.non_resource_urls.is_empty());
    let json = |rules: Vec<&maru_auth::Rule>| {
        serde_json::to_value(rules).map_err(|error| ApiError::internal(error.to_string()))
    };
    Ok(json!({"resourceRules": json(resources)?, "nonResourceRules": json(paths)?, "incomplete": false}))
}
