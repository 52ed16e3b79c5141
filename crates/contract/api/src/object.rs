//! The shape that all objects share.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{API_VERSION, GROUP};

/// What the specification of a kind says about the kind.
pub trait Spec: Serialize + DeserializeOwned + Clone + std::fmt::Debug {
    /// The kind's name.
    const KIND: &'static str;
    /// The name in URLs.
    const PLURAL: &'static str;
    /// What the controller writes.
    type Status: Serialize + DeserializeOwned + Clone + std::fmt::Debug;
}

/// An object of a kind of ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound = "")]
pub struct Object<S: Spec> {
    /// The group and version; ours.
    #[serde(default = "api_version")]
    pub api_version: String,
    /// The kind's name.
    #[serde(default = "kind::<S>")]
    pub kind: String,
    /// Name, namespace, labels …
    #[serde(default)]
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: S,
    /// What the controller found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<S::Status>,
}

fn api_version() -> String {
    API_VERSION.to_owned()
}

fn kind<S: Spec>() -> String {
    S::KIND.to_owned()
}

impl<S: Spec> Object<S> {
    /// Returns an object without a status.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>, spec: S) -> Self {
        let metadata = Metadata { name: name.into(), namespace: Some(namespace.into()), ..Metadata::default() };
        Self { api_version: api_version(), kind: kind::<S>(), metadata, spec, status: None }
    }

    /// Returns the name of the kind's CustomResourceDefinition: `requirements.maru.dev`.
    #[must_use]
    pub fn definition_name() -> String {
        format!("{}.{GROUP}", S::PLURAL)
    }
}

/// The part of `metadata` that Maru's kinds look at; the rest is kept as it came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The name.
    #[serde(default)]
    pub name: String,
    /// The project's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The object's unique id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Counts changes of the specification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// The version for compare-and-swap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}
