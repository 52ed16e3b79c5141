//! Reads a request's path: which verb on which resource, or which other document.

use http::Method;
use maru_kube::selector::FieldSelector;

use crate::query::Query;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestInfo {
    /// As RBAC names it: `get list watch create update patch delete deletecollection`; the lowercase method otherwise.
    pub(crate) verb: &'static str,
    pub(crate) path: String,
    pub(crate) resource: Option<ResourcePath>,
    /// The one name that the field selector of a list, watch or deletecollection asks for: permissions for single
    /// names hold for it.
    pub(crate) selected_name: Option<String>,
}

/// The parts of a resource's path; empty where absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct ResourcePath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    /// What follows the subresource, for `proxy`.
    pub(crate) rest: String,
}

/// Reads method, path and query.
pub(crate) fn parse(method: &Method, path: &str, query: &Query) -> RequestInfo {
    let resource = parse_resource(path);
    let verb = match &resource {
        Some(resource) => resource_verb(method, resource, query),
        None => path_verb(method),
    };
    let selects = resource.as_ref().is_some_and(|one| one.name.is_empty())
        && matches!(verb, "list" | "watch" | "deletecollection");
    let selected_name = if selects { selected_name(query) } else { None };
    RequestInfo { verb, path: path.to_owned(), resource, selected_name }
}

fn selected_name(query: &Query) -> Option<String> {
    FieldSelector::parse(query.text("fieldSelector")).ok()?.exact("metadata.name").map(str::to_owned)
}

fn parse_resource(path: &str) -> Option<ResourcePath> {
    let decoded: Vec<String> = path
        .split('/')
        .filter(|part| !part.is_empty())
        .map(|part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned())
        .collect();
    let mut parts = decoded.into_iter();
    let (group, version) = match parts.next()?.as_str() {
        "api" => (String::new(), parts.next()?),
        "apis" => (parts.next()?, parts.next()?),
        _ => return None,
    };
    let mut found = ResourcePath { group, version, ..ResourcePath::default() };
    let rest: Vec<String> = parts.collect();
    let mut parts = rest.as_slice();
    let [first, ..] = parts else { return None };
    // /namespaces/{name}/{status|finalize} is the namespace itself; with anything else it is what lies within.
    if let [namespaces, namespace, next, ..] = parts
        && namespaces == "namespaces"
        && !(found.group.is_empty() && matches!(next.as_str(), "status" | "finalize"))
    {
        found.namespace.clone_from(namespace);
        parts = &parts[2..];
    } else if first == "namespaces" && found.group.is_empty() {
        // A namespace is within itself, for RBAC.
        found.namespace = parts.get(1).cloned().unwrap_or_default();
    }
    found.resource = parts.first().cloned().unwrap_or_default();
    found.name = parts.get(1).cloned().unwrap_or_default();
    found.subresource = parts.get(2).cloned().unwrap_or_default();
    found.rest = parts.get(3..).map(|rest| rest.join("/")).unwrap_or_default();
    Some(found)
}

fn resource_verb(method: &Method, resource: &ResourcePath, query: &Query) -> &'static str {
    let named = !resource.name.is_empty();
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        Method::GET | Method::HEAD if resource.subresource.is_empty() && query.flag("watch") => "watch",
        Method::GET | Method::HEAD if named => "get",
        Method::GET | Method::HEAD => "list",
        _ => path_verb(method),
    }
}

fn path_verb(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &Method, uri: &str) -> (String, String) {
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let info = parse(method, path, &Query::parse(Some(query)));
        let text = info.resource.map_or_else(String::new, |one| {
            format!(
                "{}|{}|{}|{}|{}|{}|{}",
                one.group, one.version, one.namespace, one.resource, one.name, one.subresource, one.rest
            )
        });
        (info.verb.to_owned(), text)
    }

    #[test]
    fn paths_are_split_as_rbac_sees_them() {
        let cases = [
            (Method::GET, "/api/v1/namespaces", "list", "|v1||namespaces|||"),
            (Method::GET, "/api/v1/namespaces/a", "get", "|v1|a|namespaces|a||"),
            (Method::PUT, "/api/v1/namespaces/a/finalize", "update", "|v1|a|namespaces|a|finalize|"),
            (Method::GET, "/api/v1/namespaces/a/pods", "list", "|v1|a|pods|||"),
            (Method::GET, "/api/v1/namespaces/a/pods/b/log", "get", "|v1|a|pods|b|log|"),
            (Method::DELETE, "/apis/apps/v1/namespaces/a/deployments", "deletecollection", "apps|v1|a|deployments|||"),
            (Method::GET, "/apis/apps/v1/deployments?watch=true", "watch", "apps|v1||deployments|||"),
            (Method::GET, "/api/v1/nodes/n/proxy/a/b", "get", "|v1||nodes|n|proxy|a/b"),
            (Method::GET, "/apis/apps/v1", "get", ""),
            (Method::GET, "/healthz", "get", ""),
            (Method::POST, "/apis/apps/v1/namespaces/a%2Fb/deployments", "create", "apps|v1|a/b|deployments|||"),
        ];
        for (method, uri, verb, text) in cases {
            assert_eq!(read(&method, uri), (verb.to_owned(), text.to_owned()), "{method} {uri}");
        }
    }
}
