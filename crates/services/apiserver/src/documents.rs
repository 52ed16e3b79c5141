//! OpenAPI, version, health, metrics and the keys of our tokens.

use std::sync::Arc;

use http::header::{ACCEPT, CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use maru_http::Body;
use maru_kube::openapi::{self, Resource, Subresource};
use serde_json::{Map, Value, json};

use crate::discovery::{Document, subresource_of};
use crate::errors::ApiError;
use crate::kinds::{KindTable, Served};
use crate::query::Query;
use crate::read;
use crate::respond;
use crate::state::State;

/// The version of Kubernetes whose API is served.
const KUBERNETES_VERSION: (&str, &str, &str) = ("1", "36", "v1.36.0");

/// Answers a path that is neither a resource nor discovery.
pub(crate) fn answer(
    state: &State,
    table: &Arc<KindTable>,
    path: &str,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Response<Body>, ApiError> {
    match path {
        "/version" => Ok(respond::json(StatusCode::OK, &version())),
        "/healthz" | "/livez" | "/readyz" => Ok(health(state, path, query)),
        "/metrics" => Ok(respond::bytes(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", metrics(state))),
        "/openapi/v2" => Ok(v2(table, headers)),
        "/openapi/v3" => Ok(respond::json(StatusCode::OK, &v3_index(table))),
        "/.well-known/openid-configuration" => Ok(respond::json(StatusCode::OK, &state.tokens.discovery())),
        "/openid/v1/jwks" => Ok(respond::json(StatusCode::OK, &state.tokens.jwks())),
        "" => Ok(respond::json(StatusCode::OK, &paths(table))),
        _ => match path.strip_prefix("/openapi/v3/") {
            Some(rest) => v3(table, rest, query, headers),
            None => Err(ApiError::NoSuchPath),
        },
    }
}

fn version() -> Value {
    let (major, minor, git) = KUBERNETES_VERSION;
    json!({
        "major": major,
        "minor": minor,
        "gitVersion": format!("{git}+maru-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "rustc",
        "platform": format!("linux/{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }),
    })
}

fn health(state: &State, path: &str, query: &Query) -> Response<Body> {
    let broken = state.store.broken();
    let stopping = path == "/readyz" && state.scope.is_cancelled();
    let checks = [("ping", true), ("store", broken.is_none()), ("shutdown", !stopping)];
    let is_well = checks.iter().all(|(_, is_well)| *is_well);
    let status = if is_well { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    if is_well && query.get("verbose").is_none() {
        return respond::bytes(status, "text/plain; charset=utf-8", "ok");
    }
    let mut text: String = checks
        .iter()
        .map(|(name, is_well)| {
            format!("[{}]{name} {}\n", if *is_well { '+' } else { '-' }, if *is_well { "ok" } else { "failed" })
        })
        .collect();
    let name = path.trim_start_matches('/');
    text.push_str(&format!("{name} check {}\n", if is_well { "passed" } else { "failed" }));
    respond::bytes(status, "text/plain; charset=utf-8", text)
}

fn metrics(state: &State) -> String {
    let mut text = state.registry.render();
    text.push_str("# HELP apiserver_storage_objects Objects by resource.\n# TYPE apiserver_storage_objects gauge\n");
    for (resource, count) in read::counts(state) {
        text.push_str(&format!("apiserver_storage_objects{{resource=\"{resource}\"}} {count}\n"));
    }
    text
}

fn paths(table: &KindTable) -> Value {
    let mut paths: Vec<String> = [
        "/api",
        "/api/v1",
        "/apis",
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ]
    .iter()
    .map(|path| (*path).to_owned())
    .collect();
    for (group, versions) in table.groups() {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions.iter().map(|version| format!("/apis/{group}/{version}")));
    }
    paths.sort();
    json!({"paths": paths})
}

fn group_versions(table: &KindTable) -> Vec<(String, String, String)> {
    let mut all = vec![("api/v1".to_owned(), String::new(), "v1".to_owned())];
    for (group, versions) in table.groups() {
        for version in versions {
            all.push((format!("apis/{group}/{version}"), group.clone(), version));
        }
    }
    all
}

fn v3_document(table: &KindTable, path: &str, group: &str, version: &str) -> Document {
    table.document(&format!("/openapi/v3/{path}"), || {
        let resources: Vec<Resource> = table.of_version(group, version).iter().map(described).collect();
        openapi::v3_document(&resources)
    })
}

fn v3_index(table: &KindTable) -> Value {
    // The hash of the whole table would do, but then one new definition would make clients load all documents again.
    let mut paths = Map::new();
    for (path, group, version) in group_versions(table) {
        let hash = table.version_hash(&group, &version);
        paths.insert(path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}));
    }
    json!({"paths": paths})
}

impl KindTable {
    /// A text that changes with what a group's version serves; cheaper than making its document.
    fn version_hash(&self, group: &str, version: &str) -> String {
        let mut text = format!("{}\n", env!("CARGO_PKG_VERSION"));
        for served in self.of_version(group, version) {
            text.push_str(&format!("{} {}\n", served.kind.kind, served.kind.revision));
        }
        maru_ids::short_hash(&text, 32).to_uppercase()
    }
}

fn v3(table: &KindTable, path: &str, query: &Query, headers: &HeaderMap) -> Result<Response<Body>, ApiError> {
    let (_, group, version) =
        group_versions(table).into_iter().find(|(one, ..)| one == path).ok_or(ApiError::NoSuchPath)?;
    let document = v3_document(table, path, &group, &version);
    let hash = table.version_hash(&group, &version);
    let tag = format!("\"{hash}\"");
    if headers.get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes()) {
        let mut response = Response::new(maru_http::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let mut response = respond::compressible(headers, StatusCode::OK, document.content);
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    if query.get("hash").is_some_and(|asked| asked == hash) {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, immutable, max-age=31536000"));
    }
    Ok(response)
}

const V2_PROTOBUF_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
/// Answered without the `@`, which is not allowed in a media type and which Go's parser refuses.
const V2_PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Older clients take nothing but protobuf here.
fn v2(table: &KindTable, headers: &HeaderMap) -> Response<Body> {
    let make = || {
        let all = group_versions(table);
        let resources: Vec<Resource> = all
            .iter()
            .flat_map(|(_, group, version)| table.of_version(group, version))
            .map(|served| described(&served))
            .collect();
        openapi::v2_document(&resources)
    };
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.split(',').any(|one| one.trim().starts_with(V2_PROTOBUF_ASKED)) {
        let document = table.bytes("/openapi/v2;protobuf", || openapi::v2_protobuf(&make()));
        return respond::bytes(StatusCode::OK, V2_PROTOBUF, document.content);
    }
    respond::compressible(headers, StatusCode::OK, table.document("/openapi/v2", make).content)
}

fn described(served: &Served) -> Resource {
    let kind = &served.kind;
    let subresources = served.version().subresources.iter().map(|name| {
        let (special, verbs) = subresource_of(name);
        let own = (kind.group.as_str(), served.version().name.as_str(), kind.kind.as_str());
        let (group, version, kind) = special.unwrap_or(own);
        Subresource {
            name: name.clone(),
            kind: (group.to_owned(), version.to_owned(), kind.to_owned()),
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        }
    });
    Resource {
        group: served.kind.group.clone(),
        version: served.version().name.clone(),
        kind: served.kind.kind.clone(),
        plural: served.kind.plural.clone(),
        is_namespaced: served.kind.namespaced,
        verbs: served.kind.verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        subresources: subresources.collect(),
        schema: if served.kind.is_custom { served.schema().cloned() } else { None },
    }
}
