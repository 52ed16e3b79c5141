//! OpenAPI documents of what a server serves.

use serde_json::Value;

use crate::Schema;

/// One resource, in one version, as the documents describe it.
#[derive(Debug, Clone)]
pub struct Resource {
    /// The API group, `""` for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The kind of its objects.
    pub kind: String,
    /// The plural name in paths.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub is_namespaced: bool,
    /// The verbs served: get, list, create, update, patch, delete, deletecollection, watch.
    pub verbs: Vec<String>,
    /// Subresources and their verbs, such as `status` or `scale`.
    pub subresources: Vec<(String, Vec<String>)>,
    /// The schema of a CRD's objects; built-in kinds leave it empty.
    pub schema: Option<Schema>,
}

/// Returns the OpenAPI v3 document of one group version (`apis/apps/v1`, `api/v1`).
#[must_use]
pub fn v3_document(resources: &[Resource]) -> Value {
    unimplemented!("{resources:?}")
}

/// Returns the OpenAPI v2 document of all resources.
#[must_use]
pub fn v2_document(resources: &[Resource]) -> Value {
    unimplemented!("{resources:?}")
}
