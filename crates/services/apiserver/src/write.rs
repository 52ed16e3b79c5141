//! Creates and updates objects: the one path that every write of every kind takes.

use std::sync::Arc;

use maru_auth::Identity;
use maru_kube::FieldError;
use maru_objects::{Change, Expected, Key, Record, Write};
use maru_time::{Timestamp, rfc3339_seconds};
use serde_json::Value;

use crate::admission;
use crate::errors::{ApiError, Cause};
use crate::formats::{self, Ownership};
use crate::hooks::{self, Context};
use crate::kinds::Served;
use crate::meta;
use crate::options::WriteOptions;
use crate::state::{Call, State, Stored, commit_error, decode, encode};
use crate::validation;
use crate::warnings::Warnings;

/// How often an unconditional write is tried again when others write between.
const CONFLICT_RETRIES: usize = 20;
/// How many generated names are tried.
const NAME_TRIES: usize = 8;
/// Random characters at the end of a generated name, and the bytes that are kept before them.
const SUFFIX_LENGTH: usize = 5;
const GENERATED_BASE_BYTES_MAX: usize = 58;

/// Which part of an object a write is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All but the status, where status is apart.
    Main,
    Status,
    /// The hook of the kind decides what may change: `scale`, `finalize`, `binding`, `approval`, `ephemeralcontainers`, `resize`.
    Other(&'static str),
}

impl Part {
    pub(crate) fn subresource(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::Status => "status",
            Self::Other(name) => name,
        }
    }
}

/// One write in one namespace, by one caller.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    pub(crate) state: &'a Arc<State>,
    pub(crate) served: &'a Served,
    pub(crate) namespace: &'a str,
    pub(crate) part: Part,
    pub(crate) identity: &'a Identity,
    pub(crate) options: &'a WriteOptions,
    pub(crate) warnings: &'a Warnings,
}

/// Who writes when the server does so by itself.
#[derive(Debug)]
pub(crate) struct OwnWrites {
    identity: Identity,
    options: WriteOptions,
    warnings: Warnings,
}

impl OwnWrites {
    pub(crate) fn new() -> Self {
        Self { identity: hooks::own_identity(), options: WriteOptions::own(), warnings: Warnings::default() }
    }

    pub(crate) fn writer<'a>(&'a self, state: &'a Arc<State>, served: &'a Served, namespace: &'a str) -> Writer<'a> {
        Writer {
            state,
            served,
            namespace,
            part: Part::Main,
            identity: &self.identity,
            options: &self.options,
            warnings: &self.warnings,
        }
    }
}

/// What a write did.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) object: Value,
    pub(crate) is_new: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(state: &'a Arc<State>, call: &'a Call, part: Part, options: &'a WriteOptions) -> Self {
        Self {
            state,
            served: &call.served,
            namespace: &call.path.namespace,
            part,
            identity: &call.identity,
            options,
            warnings: &call.warnings,
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context {
            state: self.state,
            served: self.served,
            namespace: self.namespace(),
            part: self.part,
            identity: self.identity,
            warnings: self.warnings,
            now: self.state.now(),
        }
    }

    /// The namespace of the object in the store; a namespace itself has none.
    fn namespace(&self) -> &str {
        if self.served.kind.namespaced { self.namespace } else { "" }
    }

    fn key(&self, name: &str) -> Key {
        Key::new(&self.served.kind.store, self.namespace(), name)
    }

    /// Creates an object that was decoded and pruned.
    pub(crate) async fn create(&self, object: Value, ownership: Ownership) -> Result<Written, ApiError> {
        let _serial = hooks::serialize_writes(self.state, self.served).await;
        let mut object = object;
        let base = self.generate_name(&mut object);
        for attempt in 1.. {
            let prepared = self.prepare_create(object.clone(), &ownership)?;
            match (self.commit_new(prepared).await, &base) {
                (Err(ApiError::AlreadyExists { .. }), Some(base)) if attempt < NAME_TRIES => {
                    meta::metadata(&mut object).insert("name".to_owned(), generated(base).into());
                }
                (Err(ApiError::AlreadyExists { resource, name }), Some(_)) => {
                    let message = format!(
                        "{resource} \"{name}\" already exists, the server was not able to generate a unique name for the object"
                    );
                    return Err(ApiError::NameNotGenerated { resource, name, message });
                }
                (result, _) => return result,
            }
        }
        unreachable!("the loop returns at the last try")
    }

    fn generate_name(&self, object: &mut Value) -> Option<String> {
        let base = meta::text(object, &["metadata", "generateName"]).to_owned();
        if base.is_empty() || !meta::name(object).is_empty() {
            return None;
        }
        meta::metadata(object).insert("name".to_owned(), generated(&base).into());
        Some(base)
    }

    fn prepare_create(&self, mut object: Value, ownership: &Ownership) -> Result<Value, ApiError> {
        let context = self.context();
        if let Some(note) = &self.served.kind.note {
            self.warnings.add(note.as_str());
        }
        self.set_new_metadata(&mut object, context.now)?;
        admission::namespace_is_open(&context, &object)?;
        hooks::admit(&context, None, &object)?;
        if self.served.has_subresource("status") && !hooks::keeps_status_on_create(self.served) {
            meta::root(&mut object).remove("status");
        }
        formats::apply_schema_defaults(self.served, &mut object);
        hooks::defaults(self.served, &mut object);
        hooks::prepare_create(&context, &mut object)?;
        self.validate(&object, None)?;
        formats::own_fields(&self.ownership_request(context.now), None, &mut object, ownership)?;
        Ok(object)
    }

    fn set_new_metadata(&self, object: &mut Value, now: Timestamp) -> Result<(), ApiError> {
        let served = self.served;
        let root = meta::root(object);
        root.insert("apiVersion".to_owned(), served.api_version().into());
        root.insert("kind".to_owned(), served.kind.kind.clone().into());
        let metadata = meta::metadata(object);
        if metadata.get("resourceVersion").and_then(Value::as_str).is_some_and(|version| !version.is_empty()) {
            return Err(ApiError::bad_request("resourceVersion should not be set on objects to be created"));
        }
        for key in ["resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"] {
            metadata.remove(key);
        }
        metadata.insert("uid".to_owned(), maru_ids::new_uid().into());
        metadata.insert("creationTimestamp".to_owned(), rfc3339_seconds(now).into());
        if served.kind.hook.counts_generations() || served.kind.is_custom {
            metadata.insert("generation".to_owned(), 1.into());
        } else {
            metadata.remove("generation");
        }
        if served.kind.namespaced {
            metadata.insert("namespace".to_owned(), self.namespace.into());
        } else {
            metadata.remove("namespace");
        }
        Ok(())
    }

    async fn commit_new(&self, object: Value) -> Result<Written, ApiError> {
        let name = meta::name(&object).to_owned();
        let resource = self.served.group_resource();
        if self.options.is_dry_run {
            if self.state.store.get(&self.key(&name)).is_some() {
                return Err(ApiError::AlreadyExists { resource, name });
            }
            return Ok(Written { object, is_new: true });
        }
        let record = self
            .state
            .store
            .commit(Write {
                key: self.key(&name),
                expected: Expected::Absent,
                change: Change::Put(encode(self.served, &object)),
                durability: self.served.kind.durability,
            })
            .await
            .map_err(|error| commit_error(&resource, &name, error))?;
        hooks::committed(&self.context(), None, Some(&object)).await;
        Ok(Written { object: decode(self.served, &record)?, is_new: true })
    }

    /// Changes an object: `change` is given the current one and returns the wanted one. It runs again when another
    /// writer was faster, unless the wanted one names the version that it was made from.
    pub(crate) async fn update<F>(&self, name: &str, ownership: Ownership, change: F) -> Result<Written, ApiError>
    where
        F: Fn(&Value) -> Result<Value, ApiError> + Send + Sync,
    {
        let _serial = hooks::serialize_writes(self.state, self.served).await;
        for attempt in 1.. {
            let stored = self.state.read(self.served, self.namespace(), name)?;
            let wanted = change(&stored.object)?;
            let demanded = meta::resource_version(&wanted).to_owned();
            if !demanded.is_empty() && demanded != meta::resource_version(&stored.object) {
                return Err(ApiError::modified(&self.served.group_resource(), name));
            }
            let Some(object) = self.prepare_update(&stored.object, wanted, &ownership)? else {
                return Ok(Written { object: stored.object, is_new: false });
            };
            match self.commit_update(&stored, object).await {
                Err(ApiError::Conflict { .. }) if attempt < CONFLICT_RETRIES => {}
                result => return result,
            }
        }
        unreachable!("the loop returns at the last try")
    }

    /// Returns the object to store, or nothing when nothing changes.
    fn prepare_update(&self, old: &Value, mut new: Value, ownership: &Ownership) -> Result<Option<Value>, ApiError> {
        let context = self.context();
        self.keep_system_metadata(old, &mut new)?;
        hooks::admit(&context, Some(old), &new)?;
        self.keep_other_part(old, &mut new);
        formats::apply_schema_defaults(self.served, &mut new);
        hooks::defaults(self.served, &mut new);
        hooks::prepare_update(&context, old, &mut new)?;
        self.count_generation(old, &mut new);
        self.validate(&new, Some(old))?;
        formats::own_fields(&self.ownership_request(context.now), Some(old), &mut new, ownership)?;
        if formats::same_but_times(old, &new) {
            return Ok(None);
        }
        Ok(Some(new))
    }

    fn keep_system_metadata(&self, old: &Value, new: &mut Value) -> Result<(), ApiError> {
        let resource = self.served.group_resource();
        let name = meta::name(old);
        let uid = meta::uid(new).to_owned();
        if !uid.is_empty() && uid != meta::uid(old) {
            return Err(ApiError::Conflict {
                resource,
                name: name.to_owned(),
                message: format!(
                    "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                    meta::uid(old)
                ),
            });
        }
        if meta::name(new) != name && !meta::name(new).is_empty() {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({name})",
                meta::name(new)
            )));
        }
        let root = meta::root(new);
        root.insert("apiVersion".to_owned(), self.served.api_version().into());
        root.insert("kind".to_owned(), self.served.kind.kind.clone().into());
        let kept = [
            "name",
            "namespace",
            "uid",
            "creationTimestamp",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "generation",
            "generateName",
        ];
        for key in kept {
            meta::set_at(new, &["metadata", key], meta::at(old, &["metadata", key]).cloned());
        }
        meta::metadata(new).remove("selfLink");
        meta::set_at(new, &["metadata", "resourceVersion"], meta::at(old, &["metadata", "resourceVersion"]).cloned());
        Ok(())
    }

    /// A write of the main part leaves the status as it is, and the other way round.
    fn keep_other_part(&self, old: &Value, new: &mut Value) {
        match self.part {
            Part::Main => {
                if self.served.has_subresource("status") {
                    meta::set_at(new, &["status"], old.get("status").cloned());
                }
            }
            Part::Status => {
                let status = new.get("status").cloned();
                let metadata = new.get("metadata").cloned().unwrap_or_default();
                let mut whole = old.clone();
                meta::set_at(&mut whole, &["status"], status);
                // Managed fields are carried so that an apply to the status keeps its own entry.
                let taken: &[&str] = if self.served.kind.is_custom {
                    &["managedFields"]
                } else {
                    &["managedFields", "labels", "annotations"]
                };
                for key in taken {
                    meta::set_at(&mut whole, &["metadata", key], metadata.get(*key).cloned());
                }
                *new = whole;
            }
            Part::Other(_) => {}
        }
    }

    fn count_generation(&self, old: &Value, new: &mut Value) {
        if !(self.served.kind.hook.counts_generations() || self.served.kind.is_custom) {
            return;
        }
        let separate_status = self.served.has_subresource("status");
        let differs = |left: &Value, right: &Value| {
            let skip =
                |key: &str| matches!(key, "metadata" | "apiVersion" | "kind") || (separate_status && key == "status");
            let (Some(left), Some(right)) = (left.as_object(), right.as_object()) else { return true };
            left.iter().any(|(key, value)| !skip(key) && right.get(key) != Some(value))
                || right.keys().any(|key| !skip(key) && !left.contains_key(key))
        };
        if differs(old, new) {
            let next = meta::generation(old) + 1;
            meta::metadata(new).insert("generation".to_owned(), next.into());
        }
    }

    fn validate(&self, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
        let context = self.context();
        let mut issues: Vec<FieldError> = validation::metadata(self.served, object);
        if let Some(old) = old {
            issues.extend(validation::metadata_update(object, old));
        }
        issues.extend(formats::validate_schema(self.served, object));
        issues.extend(hooks::validate(&context, object, old));
        if issues.is_empty() {
            return Ok(());
        }
        Err(invalid(self.served, meta::name(object), issues))
    }

    pub(crate) fn ownership_request(&self, now: Timestamp) -> formats::OwnershipRequest<'_> {
        formats::OwnershipRequest {
            served: self.served,
            manager: &self.options.manager,
            subresource: self.part.subresource(),
            now,
        }
    }

    async fn commit_update(&self, stored: &Stored, object: Value) -> Result<Written, ApiError> {
        let name = meta::name(&object).to_owned();
        let finishes_deletion = is_ready_to_go(self.served, &object);
        if self.options.is_dry_run {
            return Ok(Written { object, is_new: false });
        }
        let content = encode(self.served, &object);
        let change = if finishes_deletion { Change::DeleteWith(content) } else { Change::Put(content) };
        let record = self.commit(&name, stored, change).await?;
        let new = (!finishes_deletion).then_some(&object);
        hooks::committed(&self.context(), Some(&stored.object), new).await;
        Ok(Written { object: decode(self.served, &record)?, is_new: false })
    }

    /// Writes a change of exactly the version that was read.
    pub(crate) async fn commit(&self, name: &str, stored: &Stored, change: Change) -> Result<Arc<Record>, ApiError> {
        let write = Write {
            key: self.key(name),
            expected: Expected::Revision(stored.record.revision),
            change,
            durability: self.served.kind.durability,
        };
        self.state.store.commit(write).await.map_err(|error| match error {
            // Gone in between: the next read says so.
            maru_objects::CommitError::Missing { .. } => ApiError::modified(&self.served.group_resource(), name),
            other => commit_error(&self.served.group_resource(), name, other),
        })
    }
}

/// Tells whether an object that is being deleted has nothing left to wait for.
pub(crate) fn is_ready_to_go(served: &Served, object: &Value) -> bool {
    if !meta::is_being_deleted(object) || !meta::finalizers(object).is_empty() {
        return false;
    }
    let grace =
        meta::at(object, &["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64).unwrap_or_default();
    grace == 0 && hooks::may_vanish(served, object)
}

/// Returns the refusal of an object's content.
pub(crate) fn invalid(served: &Served, name: &str, issues: Vec<FieldError>) -> ApiError {
    ApiError::Invalid {
        group: served.kind.group.clone(),
        kind: served.kind.kind.clone(),
        name: name.to_owned(),
        issues,
    }
}

/// Returns the refusal of a creation in a namespace that is going away.
pub(crate) fn namespace_terminating(served: &Served, name: &str, namespace: &str) -> ApiError {
    ApiError::Forbidden {
        resource: served.group_resource(),
        name: name.to_owned(),
        message: format!("unable to create new content in namespace {namespace} because it is being terminated"),
        causes: vec![Cause {
            reason: "NamespaceTerminating".to_owned(),
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".to_owned(),
        }],
    }
}

fn generated(base: &str) -> String {
    let mut name = base.to_owned();
    while name.len() > GENERATED_BASE_BYTES_MAX {
        name.pop();
    }
    name.push_str(&maru_ids::random_suffix(SUFFIX_LENGTH));
    name
}
