//! Discovery: which groups, versions and resources there are, in the legacy and the aggregated form.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use maru_http::Body;
use serde_json::{Value, json};

use crate::kinds::{KindTable, Served, api_version};
use crate::respond;
use crate::state::State;

/// A document that was made once from a table of kinds.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) content: Bytes,
    /// Its SHA-256 in capitals.
    pub(crate) hash: String,
}

impl KindTable {
    /// Returns the JSON document of a path, made when first asked for.
    pub(crate) fn document(&self, path: &str, make: impl FnOnce() -> Value) -> Document {
        self.bytes(path, || make().to_string().into_bytes())
    }

    /// Returns the document of a path, made when first asked for.
    pub(crate) fn bytes(&self, path: &str, make: impl FnOnce() -> Vec<u8>) -> Document {
        let lock = || self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(path) {
            return known.clone();
        }
        // Made outside the lock: two callers at once make it twice, nobody waits for long.
        let content = Bytes::from(make());
        let digest = ring::digest::digest(&ring::digest::SHA256, &content);
        let document = Document { hash: maru_ids::to_hex(digest.as_ref()).to_uppercase(), content };
        lock().insert(path.to_owned(), document.clone());
        document
    }
}

/// The verbs of the subresources that are not like the object itself, and the kind they speak of.
const SPECIAL_SUBRESOURCES: &[(&str, &str, &str, &str, &[&str])] = &[
    ("log", "", "v1", "Pod", &["get"]),
    ("exec", "", "v1", "PodExecOptions", &["create", "get"]),
    ("attach", "", "v1", "PodAttachOptions", &["create", "get"]),
    ("portforward", "", "v1", "PodPortForwardOptions", &["create", "get"]),
    ("eviction", "policy", "v1", "Eviction", &["create"]),
    ("binding", "", "v1", "Binding", &["create"]),
    ("token", "authentication.k8s.io", "v1", "TokenRequest", &["create"]),
    ("scale", "autoscaling", "v1", "Scale", &["get", "patch", "update"]),
    ("finalize", "", "v1", "Namespace", &["update"]),
    ("proxy", "", "v1", "NodeProxyOptions", &["create", "delete", "get", "patch", "update"]),
    ("envelope", "maru.dev", "v1alpha1", "Evidence", &["get"]),
    ("report", "maru.dev", "v1alpha1", "Evidence", &["get"]),
    ("key", "maru.dev", "v1alpha1", "Evidence", &["get"]),
    ("content", "maru.dev", "v1alpha1", "Baseline", &["get"]),
    ("file", "maru.dev", "v1alpha1", "Document", &["get"]),
];

/// The verbs, and group, version and kind where they differ from the resource's own.
pub(crate) fn subresource_of(
    name: &str,
) -> (Option<(&'static str, &'static str, &'static str)>, &'static [&'static str]) {
    match SPECIAL_SUBRESOURCES.iter().find(|row| row.0 == name) {
        Some((_, group, version, kind, verbs)) => (Some((group, version, kind)), verbs),
        None => (None, &["get", "patch", "update"]),
    }
}

/// Answers a path of discovery, or nothing when it is none.
pub(crate) fn answer(state: &State, table: &Arc<KindTable>, path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let aggregated = aggregated_type(headers);
    match (parts.as_slice(), aggregated) {
        (["api"], Some(media_type)) => {
            let name = format!("/api;{media_type}");
            Some(tagged(headers, media_type, &table.document(&name, || aggregated_document(table, true, media_type))))
        }
        (["apis"], Some(media_type)) => {
            let name = format!("/apis;{media_type}");
            Some(tagged(headers, media_type, &table.document(&name, || aggregated_document(table, false, media_type))))
        }
        (["api"], None) => {
            let address = state
                .addresses
                .advertise
                .map_or_else(String::new, |(ip, port)| std::net::SocketAddr::new(ip, port).to_string());
            Some(respond::json(
                StatusCode::OK,
                &json!({
                    "kind": "APIVersions",
                    "versions": ["v1"],
                    "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
                }),
            ))
        }
        (["apis"], None) => {
            let groups: Vec<Value> =
                table.groups().iter().map(|(group, versions)| group_json(group, versions)).collect();
            Some(respond::json(StatusCode::OK, &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})))
        }
        (["api", version], _) => resource_list(table, "", version),
        (["apis", group], _) => {
            let versions = table.groups().remove(*group)?;
            let mut json = group_json(group, &versions);
            json["kind"] = "APIGroup".into();
            json["apiVersion"] = "v1".into();
            Some(respond::json(StatusCode::OK, &json))
        }
        (["apis", group, version], _) => resource_list(table, group, version),
        _ => None,
    }
}

const AGGREGATED_V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const AGGREGATED_V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

fn aggregated_type(headers: &HeaderMap) -> Option<&'static str> {
    let accept = headers.get(ACCEPT)?.to_str().ok()?;
    accept.split(',').find_map(|alternative| {
        let mut parts: Vec<&str> = alternative.split(';').map(str::trim).collect();
        if parts.remove(0) != "application/json" || !parts.contains(&"as=APIGroupDiscoveryList") {
            return None;
        }
        if parts.contains(&"v=v2") {
            return Some(AGGREGATED_V2);
        }
        parts.contains(&"v=v2beta1").then_some(AGGREGATED_V2BETA1)
    })
}

fn tagged(request: &HeaderMap, media_type: &'static str, document: &Document) -> Response<Body> {
    let tag = format!("\"{}\"", document.hash);
    let is_known = request.get(IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut response = if is_known {
        let mut response = Response::new(maru_http::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        respond::compressible(request, StatusCode::OK, document.content.clone())
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(VARY, HeaderValue::from_static("Accept"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

fn group_json(group: &str, versions: &[String]) -> Value {
    let one = |version: &String| json!({"groupVersion": api_version(group, version), "version": version});
    json!({
        "name": group,
        "versions": versions.iter().map(one).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(one),
    })
}

fn resource_list(table: &KindTable, group: &str, version: &str) -> Option<Response<Body>> {
    let found = table.of_version(group, version);
    if found.is_empty() {
        return None;
    }
    let resources: Vec<Value> = found.iter().flat_map(resources_of).collect();
    Some(respond::json(
        StatusCode::OK,
        &json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": api_version(group, version),
            "resources": resources,
        }),
    ))
}

/// The resource and its subresources as entries of an `APIResourceList`.
fn resources_of(served: &Served) -> Vec<Value> {
    let kind = &served.kind;
    let mut main = json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        main["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        main["categories"] = json!(kind.categories);
    }
    if !kind.is_virtual {
        main["storageVersionHash"] =
            maru_ids::short_hash(&format!("{}/{}/{}", kind.group, kind.storage_version, kind.kind), 12).into();
    }
    let mut all = vec![main];
    for name in &served.version().subresources {
        let (special, verbs) = subresource_of(name);
        let mut json = json!({
            "name": format!("{}/{name}", kind.plural),
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": special.map_or(kind.kind.as_str(), |(_, _, kind)| kind),
            "verbs": verbs,
        });
        if let Some((group, version, _)) = special {
            json["group"] = group.into();
            json["version"] = version.into();
        }
        all.push(json);
    }
    all
}

fn aggregated_document(table: &KindTable, is_core: bool, media_type: &str) -> Value {
    let groups: BTreeMap<String, Vec<String>> = match is_core {
        true => BTreeMap::from([(String::new(), vec!["v1".to_owned()])]),
        false => table.groups(),
    };
    let items: Vec<Value> = groups
        .iter()
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> =
                        table.of_version(group, version).iter().map(aggregated_resource).collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if group.is_empty() {
                json!({"creationTimestamp": null})
            } else {
                json!({"name": group, "creationTimestamp": null})
            };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    let version = if media_type == AGGREGATED_V2 { "apidiscovery.k8s.io/v2" } else { "apidiscovery.k8s.io/v2beta1" };
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": version, "metadata": {}, "items": items})
}

fn aggregated_resource(served: &Served) -> Value {
    let kind = &served.kind;
    let subresources: Vec<Value> = served
        .version()
        .subresources
        .iter()
        .map(|name| {
            let (special, verbs) = subresource_of(name);
            let (group, version, kind) = special.unwrap_or((&kind.group, &served.version().name, &kind.kind));
            json!({"subresource": name, "responseKind": {"group": group, "version": version, "kind": kind}, "verbs": verbs})
        })
        .collect();
    let mut json = json!({
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": served.version().name, "kind": kind.kind},
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        json["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        json["categories"] = json!(kind.categories);
    }
    if !subresources.is_empty() {
        json["subresources"] = subresources.into();
    }
    json
}
