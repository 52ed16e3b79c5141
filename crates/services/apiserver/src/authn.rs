//! Finds out who a request is from: in-process identity, client certificate, bearer token; then impersonation.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use maru_auth::{Identity, TokenClaims, identity_from_certificate};
use maru_http::ConnectionInfo;

use crate::authz;
use crate::errors::ApiError;
use crate::kinds::GroupResource;
use crate::meta;
use crate::routes::ResourcePath;
use crate::state::State;

/// Users that exist in this process only.
const ROOMS: &str = "system:maru:";

/// Returns who the request is from, before impersonation.
pub(crate) fn authenticate(
    state: &State,
    extensions: &http::Extensions,
    headers: &HeaderMap,
) -> Result<Identity, ApiError> {
    // Only callers in this process can have put it there: the listener removes it from what comes in.
    if let Some(identity) = extensions.get::<Identity>() {
        return Ok(identity.clone());
    }
    if let Some(certificate) = extensions.get::<ConnectionInfo>().and_then(|info| info.client_certificates.first()) {
        return identity_from_certificate(certificate).map_err(|error| {
            tracing::debug!(%error, "client certificate refused");
            ApiError::Unauthorized
        });
    }
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(Identity::anonymous());
    };
    let token = value.to_str().ok().and_then(bearer_token).ok_or(ApiError::Unauthorized)?;
    identify_token(state, token, &[]).map(|(identity, _)| identity).ok_or(ApiError::Unauthorized)
}

fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

/// Returns whose token it is and for which of the wanted audiences (those of the API server when none are named).
pub(crate) fn identify_token(state: &State, token: &str, audiences: &[&str]) -> Option<(Identity, Vec<String>)> {
    let issuer = state.tokens.issuer();
    let wanted: Vec<&str> = if audiences.is_empty() { vec![issuer] } else { audiences.to_vec() };
    if let Some(identity) = state.bearer.as_ref().and_then(|bearer| bearer.identity(token)) {
        return wanted.contains(&issuer).then(|| (identity, vec![issuer.to_owned()]));
    }
    let claims = match state.tokens.verify(token, state.now()) {
        Ok(claims) => claims,
        Err(error) => {
            tracing::debug!(%error, "bearer token refused");
            return None;
        }
    };
    if !claims.is_for(&wanted) || !still_holds(state, &claims) {
        return None;
    }
    let matched = claims.audiences.iter().filter(|one| wanted.contains(&one.as_str())).cloned().collect();
    Some((claims.identity(), matched))
}

/// A token ends with its account and with the object that it is bound to.
fn still_holds(state: &State, claims: &TokenClaims) -> bool {
    let account = state.read_raw("serviceaccounts", &claims.namespace, &claims.service_account);
    if account.is_none_or(|account| meta::uid(&account) != claims.uid) {
        return false;
    }
    let Some(bound) = &claims.bound else { return true };
    let found = match bound.kind.as_str() {
        "Pod" => state.read_raw("pods", &claims.namespace, &bound.name),
        "Secret" => state.read_raw("secrets", &claims.namespace, &bound.name),
        "Node" => state.read_raw("nodes", "", &bound.name),
        _ => None,
    };
    found.is_some_and(|object| meta::uid(&object) == bound.uid)
}

/// Returns whom the request acts as: the caller, or the one named in the impersonation headers if that is allowed.
pub(crate) fn impersonate(state: &State, caller: Identity, headers: &HeaderMap) -> Result<Identity, ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let user = text("impersonate-user");
    let groups: Vec<String> = headers
        .get_all("impersonate-group")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(str::to_owned)
        .collect();
    if user.is_empty() {
        if groups.is_empty() && text("impersonate-uid").is_empty() {
            return Ok(caller);
        }
        return Err(ApiError::bad_request("requested impersonation of groups or a uid without a user"));
    }
    if user.starts_with(ROOMS) {
        let resource = GroupResource { group: String::new(), resource: "users".to_owned() };
        let message = format!("\"{user}\" is a part of Maru itself, which nobody acts as");
        return Err(ApiError::forbidden(&resource, &user, message));
    }
    let mut target = match user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
        Some((namespace, name)) => {
            require(state, &caller, "serviceaccounts", namespace, name)?;
            Identity::service_account(namespace, name, None)
        }
        None => {
            require(state, &caller, "users", "", &user)?;
            if user == Identity::anonymous().user { Identity::anonymous() } else { Identity::new(&user, &[]) }
        }
    };
    for group in &groups {
        require(state, &caller, "groups", "", group)?;
    }
    if !groups.is_empty() {
        target.groups.retain(|group| group == Identity::AUTHENTICATED || group == Identity::UNAUTHENTICATED);
        for group in groups {
            if !target.groups.contains(&group) {
                target.groups.push(group);
            }
        }
    }
    let uid = text("impersonate-uid");
    if !uid.is_empty() {
        require(state, &caller, "uids", "", &uid)?;
        target.uid = Some(uid);
    }
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix("impersonate-extra-") else { continue };
        let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy().into_owned();
        let value = value.to_str().map_err(|_| ApiError::bad_request("an impersonation header is not text"))?;
        let path = ResourcePath {
            group: "authentication.k8s.io".to_owned(),
            version: "v1".to_owned(),
            resource: "userextras".to_owned(),
            subresource: key.clone(),
            name: value.to_owned(),
            ..ResourcePath::default()
        };
        authz::require(state, &caller, "impersonate", &path)?;
        target.extra.entry(key).or_default().push(value.to_owned());
    }
    Ok(target)
}

fn require(state: &State, caller: &Identity, resource: &str, namespace: &str, name: &str) -> Result<(), ApiError> {
    let group = if resource == "uids" { "authentication.k8s.io" } else { "" };
    let path = ResourcePath {
        group: group.to_owned(),
        version: "v1".to_owned(),
        namespace: namespace.to_owned(),
        resource: resource.to_owned(),
        name: name.to_owned(),
        ..ResourcePath::default()
    };
    authz::require(state, caller, "impersonate", &path)
}
