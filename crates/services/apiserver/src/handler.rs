//! The way of every request: who, what, allowed, answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use http::{Method, Request, Response};
use maru_auth::Identity;
use maru_http::Body;

use crate::errors::ApiError;
use crate::kinds::KindTable;
use crate::metrics::Held;
use crate::query::Query;
use crate::routes::{RequestInfo, ResourcePath, parse};
use crate::state::{Call, REQUEST_TIME_MAX, State};
use crate::warnings::Warnings;
use crate::write::Part;
use crate::{
    authn, authz, body, delete, discovery, documents, proxy, read, respond, reviews, subresources, watch, writes,
};

/// Answers one request.
pub(crate) async fn handle(state: Arc<State>, request: Request<Body>) -> Response<Body> {
    let started = tokio::time::Instant::now();
    let query = Query::parse(request.uri().query());
    let info = parse(request.method(), request.uri().path(), &query);
    let warnings = Warnings::default();
    let table = state.table();
    let known =
        info.resource.as_ref().is_some_and(|path| table.served(&path.group, &path.version, &path.resource).is_some());
    let is_inside = request.extensions().get::<Identity>().is_some();
    let is_long = info.verb == "watch" || info.resource.as_ref().is_some_and(proxy::is_stream);
    // A mistake in the code of one kind must look like a mistake, not like a broken network.
    let answer = AssertUnwindSafe(Box::pin(answer(&state, &table, &info, query, request, &warnings)))
        .catch_unwind()
        .map(|result| {
            result.unwrap_or_else(|_| {
                tracing::error!(verb = info.verb, path = %info.path, "the answer to a request panicked");
                Err(ApiError::internal("this is a mistake in Maru; its log says more"))
            })
        });
    let result = if is_long {
        answer.await
    } else {
        let _held = Held::new(state.metrics.in_flight(!matches!(info.verb, "get" | "list")));
        // Our own controllers bound themselves; to refuse them would only make them ask again.
        let permit = if is_inside { None } else { Some(state.requests.try_acquire()) };
        if matches!(permit, Some(Err(_))) {
            let message = "the server is answering as many requests as it can; try again".to_owned();
            return respond::error(&ApiError::TooManyRequests { message, retry_after_seconds: 1, causes: Vec::new() });
        }
        tokio::time::timeout(REQUEST_TIME_MAX, answer)
            .await
            .unwrap_or_else(|_| Err(ApiError::Timeout("the request did not finish within 60 s".to_owned())))
    };
    let mut response = result.unwrap_or_else(|error| {
        tracing::debug!(verb = info.verb, path = %info.path, %error, "request refused");
        respond::error(&error)
    });
    warnings.write(response.headers_mut());
    state.metrics.answered(&info, known, response.status(), started.elapsed());
    response
}

async fn answer(
    state: &Arc<State>,
    table: &Arc<KindTable>,
    info: &RequestInfo,
    query: Query,
    request: Request<Body>,
    warnings: &Warnings,
) -> Result<Response<Body>, ApiError> {
    let caller = authn::authenticate(state, request.extensions(), request.headers())?;
    let identity = authn::impersonate(state, caller, request.headers())?;
    authz::authorize(state, &identity, info)?;
    match &info.resource {
        None => other_path(state, table, &query, &request),
        Some(path) => resource(state, table, info, path.clone(), query, identity, request, warnings.clone()).await,
    }
}

/// Paths that are no resources: discovery, OpenAPI, health, metrics, version.
fn other_path(
    state: &Arc<State>,
    table: &Arc<KindTable>,
    query: &Query,
    request: &Request<Body>,
) -> Result<Response<Body>, ApiError> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(ApiError::MethodNotAllowed);
    }
    let path = request.uri().path().trim_end_matches('/');
    if let Some(response) = discovery::answer(state, table, path, request.headers()) {
        return Ok(response);
    }
    documents::answer(state, table, path, query, request.headers())
}

#[expect(clippy::too_many_arguments, reason = "the parts of one request, taken apart once")]
async fn resource(
    state: &Arc<State>,
    table: &Arc<KindTable>,
    info: &RequestInfo,
    path: ResourcePath,
    query: Query,
    identity: Identity,
    request: Request<Body>,
    warnings: Warnings,
) -> Result<Response<Body>, ApiError> {
    let served = table.served(&path.group, &path.version, &path.resource).ok_or(ApiError::NoSuchPath)?;
    if !path.namespace.is_empty() && !served.kind.namespaced && served.kind.plural != "namespaces" {
        return Err(ApiError::NoSuchPath);
    }
    if let Some(text) = &served.version().deprecation {
        warnings.add(text.clone());
    }
    let (parts, content) = request.into_parts();
    let call = Call { identity, served, path, query, headers: parts.headers.clone(), warnings };
    if !call.path.subresource.is_empty() {
        let request = Request::from_parts(parts, content);
        return subresources::answer(state, &call, info.verb, request).await;
    }
    if !call.served.kind.allows(info.verb) {
        return Err(ApiError::MethodNotAllowed);
    }
    if call.path.name.is_empty() && matches!(info.verb, "update" | "patch") {
        return Err(ApiError::MethodNotAllowed);
    }
    match info.verb {
        "get" => read::get(state, &call),
        "list" => read::list(state, &call),
        "watch" => watch::watch(state, &call),
        verb => {
            let content = body::read(content, &call.headers).await?;
            match verb {
                "create" if !call.path.name.is_empty() => Err(ApiError::MethodNotAllowed),
                "create" if call.served.kind.is_virtual => reviews::answer(state, &call, &content).await,
                "create" => writes::create(state, &call, &content).await,
                "update" => writes::update(state, &call, Part::Main, &content).await,
                "patch" => writes::patch(state, &call, Part::Main, &content).await,
                "delete" => delete::delete(state, &call, &body::parse_options(&call.headers, &content)?).await,
                "deletecollection" => {
                    delete::delete_collection(state, &call, &body::parse_options(&call.headers, &content)?).await
                }
                _ => Err(ApiError::MethodNotAllowed),
            }
        }
    }
}
