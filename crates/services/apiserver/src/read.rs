//! Gets and lists objects.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};
use maru_http::Body;
use maru_kube::selector::{FieldSelector, LabelSelector};
use maru_objects::{Key, PageRequest, Record, Revision};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::errors::ApiError;
use crate::kinds::Served;
use crate::meta;
use crate::respond::{self, View};
use crate::state::{Call, State, decode, write_json};
use crate::views;

/// Records that are looked at in one go while a page is filled.
const CHUNK: usize = 500;

/// Which objects of a resource are wanted.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
    /// The one name that a path or field selector asks for.
    pub(crate) name: Option<String>,
}

impl Selection {
    pub(crate) fn read(call: &Call) -> Result<Self, ApiError> {
        let labels = LabelSelector::parse(call.query.text("labelSelector"))
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        let fields = FieldSelector::parse(call.query.text("fieldSelector"))
            .map_err(|error| ApiError::bad_request(error.to_string()))?;
        check_fields(&call.served, &fields)?;
        let name = match call.path.name.as_str() {
            "" => fields.exact("metadata.name").map(str::to_owned),
            name => Some(name.to_owned()),
        };
        Ok(Self { labels, fields, name })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything() && self.name.is_none()
    }

    /// Tells by the key alone that an object is not wanted.
    pub(crate) fn excludes(&self, record: &Record) -> bool {
        self.name.as_deref().is_some_and(|name| name != &*record.key.name)
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.labels.matches_object(object)
            && self
                .fields
                .requirements()
                .iter()
                .all(|one| (field_text(object, &one.field) == one.value) == one.is_equal)
    }

    /// Tells whether a stored object is wanted; reads it only when the key does not tell.
    pub(crate) fn selects(&self, served: &Served, record: &Record) -> Result<bool, ApiError> {
        if self.excludes(record) {
            return Ok(false);
        }
        if self.labels.is_everything() && self.fields.is_everything() {
            return Ok(true);
        }
        Ok(self.matches(&decode(served, record)?))
    }
}

/// Returns a selectable field's value as text, as upstream's field labels define it.
fn field_text<'a>(object: &'a Value, field: &str) -> Cow<'a, str> {
    let path: Vec<&str> = match field {
        "source" => vec!["source", "component"],
        "status.successful" => vec!["status", "succeeded"],
        other => other.split('.').collect(),
    };
    match meta::at(object, &path) {
        Some(Value::String(text)) => Cow::Borrowed(text),
        None | Some(Value::Null) => match field {
            "spec.unschedulable" | "spec.hostNetwork" => Cow::Borrowed("false"),
            "status.successful" | "status.replicas" => Cow::Borrowed("0"),
            _ => Cow::Borrowed(""),
        },
        Some(other) => Cow::Owned(other.to_string()),
    }
}

fn check_fields(served: &Served, fields: &FieldSelector) -> Result<(), ApiError> {
    let known = &served.version().selectable_fields;
    for requirement in fields.requirements() {
        let field = requirement.field.as_str();
        if !matches!(field, "metadata.name" | "metadata.namespace") && !known.iter().any(|one| one == field) {
            let message = if served.kind.is_custom {
                format!("field label not supported: {field}")
            } else {
                format!("field label \"{field}\" not supported for {}", served.kind.kind)
            };
            return Err(ApiError::bad_request(message));
        }
    }
    Ok(())
}

/// Answers a `get`.
pub(crate) fn get(state: &State, call: &Call) -> Result<Response<Body>, ApiError> {
    wait_for_version(state, call.query.text("resourceVersion"))?;
    let namespace = namespace_of(call).unwrap_or_default();
    if respond::view(&call.headers) == View::Object {
        let key = Key::new(&call.served.kind.store, namespace, &call.path.name);
        let record = state.store.get(&key).ok_or_else(|| ApiError::not_found(&call.resource(), &call.path.name))?;
        let mut out = Vec::with_capacity(record.value.len() + 64);
        write_json(&call.served, &record, &mut out)?;
        return Ok(respond::compressible(&call.headers, StatusCode::OK, out.into()));
    }
    let stored = state.read(&call.served, namespace, &call.path.name)?;
    Ok(object(state, call, StatusCode::OK, stored.object))
}

/// The namespace to look in; a namespace itself is in none.
pub(crate) fn namespace_of(call: &Call) -> Option<&str> {
    if call.served.kind.namespaced && !call.path.namespace.is_empty() {
        return Some(&call.path.namespace);
    }
    None
}

/// Returns one object in the shape that the client wants.
pub(crate) fn object(state: &State, call: &Call, status: StatusCode, object: Value) -> Response<Body> {
    let shaped = match respond::view(&call.headers) {
        View::Object => object,
        View::Table => {
            let list_metadata = json!({"resourceVersion": meta::resource_version(&object)});
            views::columns(&call.served).table([&object], list_metadata, state.now(), views::include(&call.query))
        }
        View::Metadata => maru_kube::table::partial_object_metadata(&object),
    };
    respond::compressible(&call.headers, status, shaped.to_string().into())
}

/// What a continue token says: where the next page starts, in which version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Continue {
    #[serde(rename = "rv")]
    revision: u64,
    namespace: String,
    name: String,
}

impl Continue {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn decode(text: &str) -> Result<Self, ApiError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok();
        bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| ApiError::bad_request("the continue parameter is not one that this server has given out"))
    }
}

/// A list, or a page of it.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) records: Vec<Arc<Record>>,
    revision: Revision,
    next: Option<Continue>,
    remaining: Option<usize>,
}

/// Answers a `list`.
pub(crate) fn list(state: &State, call: &Call) -> Result<Response<Body>, ApiError> {
    let listed = collect(state, call)?;
    let mut metadata = json!({"resourceVersion": listed.revision.to_string()});
    if let Some(next) = &listed.next {
        metadata["continue"] = next.encode().into();
    }
    if let Some(remaining) = listed.remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    let decoded =
        || listed.records.iter().map(|record| decode(&call.served, record)).collect::<Result<Vec<Value>, _>>();
    let content = match respond::view(&call.headers) {
        View::Object => whole_list(&call.served, &metadata, &listed.records)?,
        View::Table => {
            let columns = views::columns(&call.served);
            columns.table(&decoded()?, metadata, state.now(), views::include(&call.query)).to_string().into_bytes()
        }
        View::Metadata => {
            let items: Vec<Value> = decoded()?.iter().map(maru_kube::table::partial_object_metadata).collect();
            let list = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "items": items});
            list.to_string().into_bytes()
        }
    };
    Ok(respond::compressible(&call.headers, StatusCode::OK, content.into()))
}

/// Writes a list of whole objects without parsing them.
fn whole_list(served: &Served, metadata: &Value, records: &[Arc<Record>]) -> Result<Vec<u8>, ApiError> {
    let bytes: usize = records.iter().map(|record| record.value.len() + 40).sum();
    let mut out = Vec::with_capacity(bytes + 256);
    let head = format!(
        "{{\"kind\":{},\"apiVersion\":{},\"metadata\":{metadata},\"items\":[",
        Value::from(served.kind.list_kind.as_str()),
        Value::from(served.api_version()),
    );
    out.extend_from_slice(head.as_bytes());
    for (index, record) in records.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_json(served, record, &mut out)?;
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

/// Refuses a version from the future.
pub(crate) fn wait_for_version(state: &State, text: &str) -> Result<(), ApiError> {
    let wanted = parse_version(text)?;
    let current = state.store.progress();
    match wanted {
        Some(wanted) if wanted > current => {
            Err(ApiError::ResourceVersionTooLarge { wanted: wanted.0, current: current.0 })
        }
        _ => Ok(()),
    }
}

/// Reads a resource version; empty is none.
pub(crate) fn parse_version(text: &str) -> Result<Option<Revision>, ApiError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse()
        .map(Some)
        .map_err(|_| ApiError::bad_request(format!("resourceVersion: Invalid value: \"{text}\": must be a number")))
}

/// Reads the objects that a list or deletecollection is about.
pub(crate) fn collect(state: &State, call: &Call) -> Result<Listed, ApiError> {
    let selection = Selection::read(call)?;
    let limit: usize = call.query.number("limit")?.unwrap_or_default();
    let token = call.query.text("continue");
    let version = call.query.text("resourceVersion");
    let matching = call.query.text("resourceVersionMatch");
    check_version_match(version, matching, token, limit)?;
    let (revision, after) = match token {
        "" => (exact_revision(state, version, matching, limit)?, None),
        token => {
            let token = Continue::decode(token)?;
            (Some(Revision(token.revision)), Some((token.namespace, token.name)))
        }
    };
    let namespace = namespace_of(call);
    if revision.is_none() && limit == 0 {
        return collect_all(state, call, &selection, namespace);
    }
    collect_page(state, call, &selection, PageRequest { revision, after, limit })
}

fn check_version_match(version: &str, matching: &str, token: &str, limit: usize) -> Result<(), ApiError> {
    if !token.is_empty() && !version.is_empty() && version != "0" {
        return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
    }
    match matching {
        "" => Ok(()),
        _ if version.is_empty() => {
            Err(ApiError::bad_request("resourceVersionMatch is forbidden unless resourceVersion is provided"))
        }
        "Exact" if version == "0" => {
            Err(ApiError::bad_request("resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\""))
        }
        "Exact" | "NotOlderThan" => Ok(()),
        other => Err(ApiError::bad_request(format!(
            "resourceVersionMatch: Unsupported value: \"{other}\": supported values: \"Exact\", \"NotOlderThan\" (limit {limit})"
        ))),
    }
}

fn exact_revision(state: &State, version: &str, matching: &str, limit: usize) -> Result<Option<Revision>, ApiError> {
    let wanted = parse_version(version)?.filter(|revision| *revision > Revision::ZERO);
    wait_for_version(state, version)?;
    // Without a match, a limit together with a version means exactly that version.
    let is_exact = matching == "Exact" || (matching.is_empty() && limit > 0);
    Ok(wanted.filter(|_| is_exact))
}

fn collect_all(state: &State, call: &Call, selection: &Selection, namespace: Option<&str>) -> Result<Listed, ApiError> {
    let snapshot = state.store.list(&call.served.kind.store, namespace);
    let mut records = snapshot.records;
    if !selection.is_everything() {
        let mut wanted = Vec::new();
        for record in records {
            if selection.selects(&call.served, &record)? {
                wanted.push(record);
            }
        }
        records = wanted;
    }
    Ok(Listed { records, revision: snapshot.revision, next: None, remaining: None })
}

fn collect_page(state: &State, call: &Call, selection: &Selection, first: PageRequest) -> Result<Listed, ApiError> {
    let limit = if first.limit == 0 { usize::MAX } else { first.limit };
    let chunk = if selection.is_everything() { first.limit } else { first.limit.max(CHUNK) };
    let mut request = PageRequest { limit: chunk, ..first };
    let mut records = Vec::new();
    loop {
        let page = state
            .store
            .list_page(&call.served.kind.store, namespace_of(call), &request)
            .map_err(|error| ApiError::Expired(format!("The provided continue parameter is too old or the requested version is gone: {error}. Start a new list without the continue parameter.")))?;
        let revision = page.revision;
        let total = page.records.len();
        for (index, record) in page.records.iter().enumerate() {
            if !selection.selects(&call.served, record)? {
                continue;
            }
            records.push(Arc::clone(record));
            let left = page.remaining + (total - index - 1);
            if records.len() == limit && left > 0 {
                let next = Continue {
                    revision: revision.0,
                    namespace: record.key.namespace.to_string(),
                    name: record.key.name.to_string(),
                };
                let remaining = selection.is_everything().then_some(left);
                return Ok(Listed { records, revision, next: Some(next), remaining });
            }
        }
        match page.records.last() {
            Some(last) if page.remaining > 0 => {
                request.revision = Some(revision);
                request.after = Some((last.key.namespace.to_string(), last.key.name.to_string()));
            }
            _ => return Ok(Listed { records, revision, next: None, remaining: None }),
        }
    }
}

/// Counts the objects of each resource, for `/metrics`.
pub(crate) fn counts(state: &State) -> BTreeMap<String, usize> {
    state.store.resources().iter().map(|resource| (resource.to_string(), state.store.count(resource))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continue_tokens_come_back_as_they_went() {
        let token = Continue { revision: 7, namespace: "a".to_owned(), name: "b".to_owned() };
        assert_eq!(Continue::decode(&token.encode()).unwrap(), token);
        assert!(Continue::decode("nonsense").is_err());
    }

    #[test]
    fn version_matches_are_checked() {
        assert!(check_version_match("", "Exact", "", 0).is_err());
        assert!(check_version_match("0", "Exact", "", 0).is_err());
        assert!(check_version_match("5", "Exact", "", 0).is_ok());
        assert!(check_version_match("5", "", "token", 0).is_err());
        assert!(check_version_match("5", "Sometime", "", 0).is_err());
    }
}
