//! Who owns which field: managedFields and server-side apply.
//!
//! Source: KEP-555; Kubernetes "Server-Side Apply".

mod managers;
mod set;
mod walk;

use maru_time::{Timestamp, rfc3339_seconds};
use serde_json::{Map, Value};

use crate::Schema;
use crate::schema::Node;
use managers::{Manager, Managers, Operation};
pub use set::{FieldSet, PathElement};
use walk::{Comparison, Emptied};

/// The annotation in which client-side apply keeps what it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The manager that may take over from client-side apply.
const KUBECTL: &str = "kubectl";
/// The manager of all fields of an object that had no managers before its first apply.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// Metadata that the server sets and nobody owns.
const UNOWNED: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "metadata.name",
    "metadata.namespace",
    "metadata.creationTimestamp",
    "metadata.selfLink",
    "metadata.uid",
    "metadata.clusterName",
    "metadata.generation",
    "metadata.managedFields",
    "metadata.resourceVersion",
];

/// A fieldsV1 or managedFields value that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("managed fields are malformed: {0}")]
pub struct FieldsError(pub(crate) String);

/// Who writes, and how.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// The field manager (`fieldManager`, or the user agent's first word).
    pub manager: &'a str,
    /// The object's `apiVersion` in this request.
    pub api_version: &'a str,
    /// The subresource written (`status`, `scale`), or `""`.
    pub subresource: &'a str,
    /// The time that a changed entry gets.
    pub now: Timestamp,
    /// Fields that this write resets and that its manager thus never owns: `status` for a write of the main resource, `spec`
    /// for one of the status subresource. Dotted names.
    pub ignored: &'a [&'a str],
}

impl Writer<'_> {
    fn manager(&self, operation: Operation) -> Manager {
        Manager {
            name: self.manager.to_owned(),
            operation,
            api_version: self.api_version.to_owned(),
            subresource: self.subresource.to_owned(),
            time: Some(rfc3339_seconds(self.now)),
            fields: FieldSet::default(),
        }
    }
}

/// Whether an apply takes fields that others own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Fail and tell the conflicts.
    Fail,
    /// Take the fields (`force=true`).
    Force,
}

/// One field that an apply would change and another manager owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The manager as clients print it: `"kubectl" using apps/v1`.
    pub manager: String,
    /// The field's path: `.spec.containers[name="web"].image`.
    pub field: String,
}

/// The conflicts of an apply, sorted by manager; `Display` is the message of the Status (409, reason Conflict).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflicts(pub Vec<Conflict>);

impl std::fmt::Display for Conflicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let [only] = self.0.as_slice() {
            return write!(f, "Apply failed with 1 conflict: conflict with {}: {}", only.manager, only.field);
        }
        write!(f, "Apply failed with {} conflicts: ", self.0.len())?;
        let mut last = None;
        for (index, conflict) in self.0.iter().enumerate() {
            if last != Some(&conflict.manager) {
                write!(f, "{}conflicts with {}:", if index > 0 { "\n" } else { "" }, conflict.manager)?;
                last = Some(&conflict.manager);
            }
            write!(f, "\n- {}", conflict.field)?;
        }
        Ok(())
    }
}

/// Why an apply failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// Others own fields that would change: answer 409, one cause of reason `FieldManagerConflict` for each.
    #[error("{0}")]
    Conflicts(Conflicts),
    /// The applied object or the managed fields are malformed: answer 400.
    #[error("{0}")]
    Malformed(String),
}

impl From<FieldsError> for ApplyError {
    fn from(error: FieldsError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Sets `metadata.managedFields` of `new` after a create (`live` absent), update or patch.
///
/// Fields that differ from `live` become the writer's; when nothing but managed fields would change, they stay as they were,
/// times included. A client that sends `managedFields: [{}]` resets them.
///
/// # Errors
/// Fails when managed fields cannot be read.
pub fn update(schema: &Schema, live: Option<&Value>, new: &mut Value, writer: &Writer<'_>) -> Result<(), FieldsError> {
    let sent = take_managed_fields(new);
    let (before, kept) = match live {
        Some(live) => {
            let mut before = live.clone();
            let kept = take_managed_fields(&mut before);
            (before, kept)
        }
        None => (Value::Object(Map::new()), Value::Null),
    };
    let mut managers = if is_reset(&sent) && writer.subresource.is_empty() {
        Managers::default()
    } else {
        // A client that does not know of managed fields must not delete them by leaving them out.
        let sent = Managers::decode(&sent).ok().filter(|m| !m.0.is_empty() && writer.subresource.is_empty());
        match sent {
            Some(sent) => sent,
            None => Managers::decode(&kept)?,
        }
    };
    if managers.0.is_empty() && live.is_some() {
        return Ok(());
    }
    let node = Some(schema.root());
    let comparison = Comparison::of(node, &before, new).without(&FieldSet::of_names(writer.ignored));
    track_update(&mut managers, &comparison, writer.manager(Operation::Update));
    managers.cap(writer.now);
    // A write that changes nothing must not even change a time.
    let former = Managers::decode(&kept).unwrap_or_default();
    if live.is_some() && managers.have_same_fields(&former) && is_unchanged(&comparison) {
        set_managed_fields(new, kept);
    } else {
        set_managed_fields(new, managers.encode());
    }
    Ok(())
}

/// Merges an applied configuration into the live object (server-side apply) and returns the new object with managed fields set.
///
/// With no live object, creates it. When nothing changed the live object is returned as it is.
///
/// # Errors
/// Fails on conflicts with other managers unless forced, and when `applied` or the managed fields are malformed.
pub fn apply(
    schema: &Schema,
    live: Option<&Value>,
    applied: &Value,
    writer: &Writer<'_>,
    on_conflict: OnConflict,
) -> Result<Value, ApplyError> {
    let mut applied = applied.clone();
    if !applied.is_object() {
        return Err(ApplyError::Malformed("the applied configuration must be an object".to_owned()));
    }
    if !take_managed_fields(&mut applied).is_null() {
        return Err(ApplyError::Malformed("metadata.managedFields must be nil".to_owned()));
    }
    schema.prune(&mut applied);
    let node = Some(schema.root());
    if let Some(broken) = walk::broken_list(node, &applied, &mut Vec::new()) {
        return Err(ApplyError::Malformed(broken));
    }
    let mut before = live.cloned().unwrap_or_else(|| Value::Object(Map::new()));
    let kept = take_managed_fields(&mut before);
    let mut managers = Managers::decode(&kept)?;
    let former = managers.clone();
    if managers.0.is_empty() && live.is_some() {
        adopt(node, &mut managers, &before, writer);
    }
    let attempt = |force| merge_applied(node, &before, &applied, &managers, writer, force);
    let outcome = match attempt(on_conflict) {
        Err(conflicts) if writer.manager == KUBECTL && taken_from_client_side(node, &before, &conflicts) => {
            attempt(OnConflict::Force)
        }
        outcome => outcome,
    };
    let (mut object, mut managers, is_same) = outcome.map_err(|found| ApplyError::Conflicts(conflicts_of(found)))?;
    managers.cap(writer.now);
    if is_same && live.is_some() {
        // Neither another order of items nor fields that this write resets are a change.
        object.clone_from(&before);
    }
    refresh_last_applied(&mut object, &applied, writer);
    if is_same && managers.have_same_fields(&former) && object == before {
        return Ok(live.cloned().unwrap_or(object));
    }
    set_managed_fields(&mut object, managers.encode());
    Ok(object)
}

/// Fields that conflict, with the manager that owns them.
type Found = Vec<(Manager, FieldSet)>;

/// Moves changed fields to the writer, by update.
fn track_update(managers: &mut Managers, comparison: &Comparison, mut writer: Manager) {
    let changed = comparison.changed();
    for manager in &mut managers.0 {
        manager.fields = manager.fields.difference(&changed).difference(&comparison.removed);
    }
    let taken = changed.difference(&FieldSet::of_names(UNOWNED));
    if !taken.is_empty() {
        match managers.find(&writer) {
            Some(previous) => {
                previous.fields = previous.fields.union(&taken);
                previous.time = writer.time;
            }
            None => {
                writer.fields = taken;
                managers.0.push(writer);
            }
        }
    }
    managers.drop_empty();
}

/// Makes all fields of an object without managers those of one manager, so that an apply conflicts with what it changes.
fn adopt(node: Option<&Node>, managers: &mut Managers, object: &Value, writer: &Writer<'_>) {
    let comparison = Comparison::of(node, &Value::Object(Map::new()), object);
    let mut manager = writer.manager(Operation::Update);
    BEFORE_FIRST_APPLY.clone_into(&mut manager.name);
    manager.subresource = String::new();
    track_update(managers, &comparison, manager);
}

/// Merges an applied configuration; returns the object, its managers, and whether the object stayed the same.
fn merge_applied(
    node: Option<&Node>,
    live: &Value,
    applied: &Value,
    managers: &Managers,
    writer: &Writer<'_>,
    on_conflict: OnConflict,
) -> Result<(Value, Managers, bool), Found> {
    let ignored = FieldSet::of_names(writer.ignored);
    let mut managers = managers.clone();
    let mut applier = writer.manager(Operation::Apply);
    let wanted = walk::fields_of(node, applied).recursive_difference(&ignored);
    applier.fields = wanted.difference(&FieldSet::of_names(UNOWNED));
    let last = managers.find(&applier).map(|entry| entry.clone());

    let merged = walk::merge(node, live, applied);
    let (compared, object) = match &last {
        Some(last) if !last.fields.is_empty() => {
            let others: Vec<&FieldSet> =
                managers.0.iter().filter(|m| !m.is_same(&applier)).map(|m| &m.fields).chain([&wanted]).collect();
            drop_unwanted(node, &merged, &last.fields, &others)
        }
        _ => (merged.clone(), merged),
    };

    let comparison = Comparison::of_apply(node, live, &compared).without(&ignored);
    let changed = comparison.changed();
    let mut found = Found::new();
    for manager in managers.0.iter_mut().filter(|m| !m.is_same(&applier)) {
        let conflicting = manager.fields.intersection(&changed);
        if !conflicting.is_empty() {
            found.push((manager.clone(), conflicting.clone()));
        }
        manager.fields = manager.fields.difference(&conflicting).difference(&comparison.removed);
    }
    if on_conflict == OnConflict::Fail && !found.is_empty() {
        return Err(found);
    }
    match managers.find(&applier) {
        Some(entry) => {
            let stays =
                comparison.is_same() && entry.fields == applier.fields && entry.api_version == applier.api_version;
            if stays {
                applier.time.clone_from(&entry.time);
            }
            *entry = applier;
        }
        None => managers.0.push(applier),
    }
    managers.drop_empty();
    Ok((object, managers, comparison.is_same()))
}

/// Removes what the applier owned and applies no more, unless another manager, or what is applied now, owns it.
///
/// Returns the object twice: with nulls where maps and lists became empty, for the comparison with what was, and without.
fn drop_unwanted(node: Option<&Node>, merged: &Value, last: &FieldSet, others: &[&FieldSet]) -> (Value, Value) {
    let named = |set: &FieldSet| walk::with_named_fields(node, set);
    let remove = |set: &FieldSet, emptied| walk::remove(node, merged, set, emptied);
    let owned = others.iter().fold(FieldSet::default(), |all, set| all.union(set));
    let pruned = remove(&named(last), Emptied::Null);
    let all = named(&walk::fields_of(node, merged));
    // What vanished only because it stood below an unwanted field comes back when somebody owns it …
    let kept = named(&walk::fields_of(node, &pruned)).union(&named(&owned));
    let pruned = remove(&all.difference(&kept), Emptied::Null);
    // … or when the applier never owned it.
    let kept = named(&walk::fields_of(node, &pruned));
    let unwanted = all.difference(&kept).intersection(&named(last));
    (remove(&unwanted, Emptied::Null), remove(&unwanted, Emptied::Removed))
}

fn conflicts_of(mut found: Found) -> Conflicts {
    found.sort_by_key(|(manager, _)| manager.text());
    let each = |(manager, fields): (Manager, FieldSet)| {
        let text = manager.text();
        let paths = fields.paths();
        paths.into_iter().map(move |path| Conflict { manager: text.clone(), field: set::path_text(&path) })
    };
    Conflicts(found.into_iter().flat_map(each).collect())
}

/// Tells whether all conflicts are on fields that client-side apply set to the values that are still there.
fn taken_from_client_side(node: Option<&Node>, live: &Value, found: &Found) -> bool {
    let annotation = live["metadata"]["annotations"][LAST_APPLIED].as_str();
    let Some(last) = annotation.and_then(|text| serde_json::from_str::<Value>(text).ok()) else { return false };
    let comparison = Comparison::of(node, &last, live);
    let unchanged = walk::fields_of(node, &last).difference(&comparison.modified).difference(&comparison.removed);
    found.iter().all(|(_, fields)| fields.difference(&unchanged).is_empty())
}

/// Keeps client-side apply's annotation in step, so that a user can go back to it.
fn refresh_last_applied(object: &mut Value, applied: &Value, writer: &Writer<'_>) {
    if writer.manager != KUBECTL {
        return;
    }
    let Some(annotation) = object.pointer_mut("/metadata/annotations").and_then(|a| a.get_mut(LAST_APPLIED)) else {
        return;
    };
    let mut configuration = applied.clone();
    if let Some(annotations) = configuration.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    let is_same =
        annotation.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok()).as_ref() == Some(&configuration);
    if !is_same {
        *annotation = Value::String(configuration.to_string());
    }
}

/// Tells whether nothing changed but what nobody owns.
fn is_unchanged(comparison: &Comparison) -> bool {
    comparison.without(&FieldSet::of_names(&["metadata.resourceVersion", "metadata.generation"])).is_same()
}

fn is_reset(managed_fields: &Value) -> bool {
    managed_fields
        .as_array()
        .is_some_and(|entries| matches!(entries.as_slice(), [Value::Object(entry)] if entry.is_empty()))
}

fn take_managed_fields(object: &mut Value) -> Value {
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    metadata.and_then(|metadata| metadata.remove("managedFields")).unwrap_or_default()
}

fn set_managed_fields(object: &mut Value, managed_fields: Value) {
    let is_empty = managed_fields.as_array().is_none_or(Vec::is_empty);
    if let (false, Some(metadata)) = (is_empty, object.get_mut("metadata").and_then(Value::as_object_mut)) {
        metadata.insert("managedFields".to_owned(), managed_fields);
    }
}

#[cfg(test)]
mod tests;
