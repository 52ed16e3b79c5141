//! `metadata.managedFields` as a list of managers.

use std::cmp::Ordering;

use maru_time::Timestamp;
use serde_json::{Value, json};

use super::FieldsError;
use super::set::FieldSet;

/// Managers by update that an object keeps apart; the oldest beyond are kept as one.
const UPDATERS_MAX: usize = 10;
/// The manager that stands for the oldest updates.
const ANCIENT: &str = "ancient-changes";

/// How a manager came to own fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    /// By server-side apply: it also says which fields it wants no more.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// One entry of managedFields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manager {
    pub(super) name: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    pub(super) subresource: String,
    /// RFC 3339 in seconds and UTC; may be absent.
    pub(super) time: Option<String>,
    pub(super) fields: FieldSet,
}

impl Manager {
    /// Tells whether two entries are one manager: an applier is the same in every version.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// Prints the manager as conflicts do.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if self.operation == Operation::Update {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }

    fn order(&self, other: &Self) -> Ordering {
        let key =
            |m: &Self| (m.operation, m.time.clone(), m.name.clone(), m.api_version.clone(), m.subresource.clone());
        key(self).cmp(&key(other))
    }

    fn decode(entry: &Value) -> Result<Self, FieldsError> {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let operation = match entry["operation"].as_str() {
            Some("Apply") => Operation::Apply,
            Some("Update") => Operation::Update,
            _ => return Err(FieldsError("the operation must be Apply or Update".to_owned())),
        };
        if let Some(kind) = entry["fieldsType"].as_str().filter(|kind| *kind != "FieldsV1") {
            return Err(FieldsError(format!("fieldsType {kind:?} must be FieldsV1")));
        }
        let fields = match &entry["fieldsV1"] {
            Value::Null => FieldSet::default(),
            fields => FieldSet::decode(fields)?,
        };
        Ok(Self {
            name: text("manager"),
            operation,
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: entry["time"].as_str().map(str::to_owned),
            fields,
        })
    }

    fn encode(&self) -> Value {
        let mut entry = json!({
            "manager": self.name,
            "operation": self.operation.name(),
            "apiVersion": self.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.encode(),
        });
        if let Some(time) = &self.time {
            entry["time"] = json!(time);
        }
        if !self.subresource.is_empty() {
            entry["subresource"] = json!(self.subresource);
        }
        entry
    }
}

/// All managers of an object.
#[derive(Debug, Clone, Default)]
pub(super) struct Managers(pub(super) Vec<Manager>);

impl Managers {
    pub(super) fn decode(managed_fields: &Value) -> Result<Self, FieldsError> {
        match managed_fields {
            Value::Null => Ok(Self::default()),
            Value::Array(entries) => entries.iter().map(Manager::decode).collect::<Result<_, _>>().map(Self),
            _ => Err(FieldsError("managedFields must be a list".to_owned())),
        }
    }

    /// Encodes in Kubernetes' order: appliers first, then by time, name, version and subresource.
    pub(super) fn encode(&self) -> Value {
        let mut sorted: Vec<&Manager> = self.0.iter().collect();
        sorted.sort_by(|a, b| a.order(b));
        Value::Array(sorted.into_iter().map(Manager::encode).collect())
    }

    pub(super) fn find(&mut self, id: &Manager) -> Option<&mut Manager> {
        self.0.iter_mut().find(|manager| manager.is_same(id))
    }

    /// Tells whether both have the same managers with the same fields, whatever the times and the order.
    pub(super) fn have_same_fields(&self, other: &Self) -> bool {
        let has = |managers: &Self, wanted: &Manager| {
            managers
                .0
                .iter()
                .any(|m| m.is_same(wanted) && m.fields == wanted.fields && m.api_version == wanted.api_version)
        };
        self.0.len() == other.0.len() && self.0.iter().all(|manager| has(other, manager))
    }

    pub(super) fn drop_empty(&mut self) {
        self.0.retain(|manager| !manager.fields.is_empty());
    }

    /// Merges the oldest updaters into one a version, until there are few enough.
    pub(super) fn cap(&mut self, now: Timestamp) {
        let count = |managers: &[Manager]| managers.iter().filter(|m| m.operation == Operation::Update).count();
        if count(&self.0) <= UPDATERS_MAX {
            return;
        }
        self.0.sort_by(Manager::order);
        let mut at = 0;
        while count(&self.0) > UPDATERS_MAX && at < self.0.len() {
            let is_candidate = |m: &Manager| m.operation == Operation::Update && m.name != ANCIENT;
            if !self.0.get(at).is_some_and(is_candidate) {
                at += 1;
                continue;
            }
            let mut old = self.0.remove(at);
            old.name = ANCIENT.to_owned();
            old.subresource = String::new();
            match self.find(&old) {
                Some(bucket) => {
                    bucket.fields = bucket.fields.union(&old.fields);
                    bucket.time = old.time.or_else(|| Some(maru_time::rfc3339_seconds(now)));
                }
                None => {
                    self.0.insert(at, old);
                    at += 1;
                }
            }
        }
    }
}
