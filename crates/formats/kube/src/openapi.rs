//! OpenAPI documents of what a server serves.
//!
//! Complete in what clients read: schemas with Kubernetes' extensions, and for each path its verbs with the kind they are
//! about and the query parameters that change what a write does. Descriptions are left out.
//! Source: OpenAPI 3.0 and 2.0; Kubernetes "The Kubernetes API", KEP-2896.

mod gnostic;
mod schemas;

use serde_json::{Map, Value, json};

use crate::Schema;
use schemas::{Dialect, Schemas};

/// The version told in `info`: the one that the schemas were made from.
const VERSION: &str = "v1.37.0";
const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1";
/// Content types of the four patches.
const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

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
    /// Subresources, such as `status` or `scale`.
    pub subresources: Vec<Subresource>,
    /// The schema of a CRD's objects; built-in kinds leave it empty.
    pub schema: Option<Schema>,
}

/// A subresource as the documents describe it.
#[derive(Debug, Clone)]
pub struct Subresource {
    /// The last segment of its path.
    pub name: String,
    /// Group, version and kind of what it serves: of `scale` autoscaling, v1, Scale; of most the resource's own.
    pub kind: (String, String, String),
    /// The verbs served: get, create, update, patch, delete.
    pub verbs: Vec<String>,
}

/// Returns the OpenAPI v3 document of the resources of one group version (`apis/apps/v1`, `api/v1`).
#[must_use]
pub fn v3_document(resources: &[Resource]) -> Value {
    let (paths, schemas) = describe(resources, Dialect::V3);
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

/// Returns the OpenAPI v2 document of all resources.
#[must_use]
pub fn v2_document(resources: &[Resource]) -> Value {
    let (paths, definitions) = describe(resources, Dialect::V2);
    json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": VERSION},
        "paths": paths,
        "definitions": definitions,
    })
}

/// Encodes an OpenAPI v2 document as the protobuf (`application/com.github.proto-openapi.spec.v2@v1.0+protobuf`) that older
/// clients ask for and take nothing else.
#[must_use]
pub fn v2_protobuf(document: &Value) -> Vec<u8> {
    gnostic::document(document)
}

fn describe(resources: &[Resource], dialect: Dialect) -> (Value, Value) {
    let mut schemas = Schemas::new(dialect);
    for name in ["DeleteOptions", "Patch", "Status", "WatchEvent"] {
        schemas.add(&format!("{META}.{name}"));
    }
    let mut paths = Map::new();
    for resource in resources {
        Paths { resource, dialect, schemas: &mut schemas, paths: &mut paths }.add();
    }
    (Value::Object(paths), schemas.finish())
}

/// What a request of an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    None,
    Object,
    Patch,
    DeleteOptions,
}

/// Adds the paths of one resource.
struct Paths<'a> {
    resource: &'a Resource,
    dialect: Dialect,
    schemas: &'a mut Schemas,
    paths: &'a mut Map<String, Value>,
}

impl Paths<'_> {
    fn add(&mut self) {
        let r = self.resource;
        let gvk = (r.group.clone(), r.version.clone(), r.kind.clone());
        let object = self.schemas.kind(&gvk, r.schema.as_ref());
        let list = self.schemas.list(&gvk, r.schema.as_ref());
        let base =
            if r.group.is_empty() { format!("/api/{}", r.version) } else { format!("/apis/{}/{}", r.group, r.version) };
        let collection = if r.is_namespaced {
            format!("{base}/namespaces/{{namespace}}/{}", r.plural)
        } else {
            format!("{base}/{}", r.plural)
        };
        let has = |verb: &str| r.verbs.iter().any(|v| v == verb);
        let mut operations = Map::new();
        for (verb, method, action, body, answer) in [
            ("list", "get", "list", Body::None, &list),
            ("create", "post", "post", Body::Object, &object),
            ("deletecollection", "delete", "deletecollection", Body::DeleteOptions, &object),
        ] {
            if has(verb) {
                let operation = self.operation(&gvk, action, body, &object, answer);
                operations.insert(method.to_owned(), operation);
            }
        }
        self.path(&collection, operations);
        if r.is_namespaced && has("list") {
            let operation = self.operation(&gvk, "list", Body::None, &object, &list);
            self.path(&format!("{base}/{}", r.plural), Map::from_iter([("get".to_owned(), operation)]));
        }
        let item = format!("{collection}/{{name}}");
        let operations = self.item_operations(&gvk, &r.verbs, &object);
        self.path(&item, operations);
        for subresource in &r.subresources {
            let schema = r.schema.as_ref().filter(|_| subresource.kind == gvk);
            let object = self.schemas.kind(&subresource.kind, schema);
            let operations = self.item_operations(&subresource.kind, &subresource.verbs, &object);
            self.path(&format!("{item}/{}", subresource.name), operations);
        }
    }

    fn item_operations(&self, gvk: &(String, String, String), verbs: &[String], object: &Value) -> Map<String, Value> {
        let mut operations = Map::new();
        for (verb, method, action, body) in [
            ("get", "get", "get", Body::None),
            ("create", "post", "post", Body::Object),
            ("update", "put", "put", Body::Object),
            ("patch", "patch", "patch", Body::Patch),
            ("delete", "delete", "delete", Body::DeleteOptions),
        ] {
            if verbs.iter().any(|v| v == verb) {
                operations.insert(method.to_owned(), self.operation(gvk, action, body, object, object));
            }
        }
        operations
    }

    fn path(&mut self, path: &str, operations: Map<String, Value>) {
        if operations.is_empty() {
            return;
        }
        let mut item = operations;
        let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameters: Vec<Value> = names.map(|name| self.parameter(name, "path", "string")).collect();
        if !parameters.is_empty() {
            item.insert("parameters".to_owned(), Value::Array(parameters));
        }
        self.paths.insert(path.to_owned(), Value::Object(item));
    }

    fn parameter(&self, name: &str, place: &str, kind: &str) -> Value {
        let mut parameter = json!({"name": name, "in": place, "uniqueItems": true});
        if place == "path" {
            parameter["required"] = json!(true);
        }
        match self.dialect {
            Dialect::V2 => parameter["type"] = json!(kind),
            Dialect::V3 => {
                parameter["schema"] = json!({"type": kind, "uniqueItems": true});
                if let Some(map) = parameter.as_object_mut() {
                    map.remove("uniqueItems");
                }
            }
        }
        parameter
    }

    fn operation(
        &self,
        (group, version, kind): &(String, String, String),
        action: &str,
        body: Body,
        object: &Value,
        answer: &Value,
    ) -> Value {
        let mut parameters: Vec<Value> =
            query_parameters(action).iter().map(|(name, kind)| self.parameter(name, "query", kind)).collect();
        let reference = |name: &str| self.dialect.reference(&format!("{META}.{name}"));
        let (schema, is_required) = match body {
            Body::None => (None, false),
            Body::Object => (Some(object.clone()), true),
            Body::Patch => (Some(reference("Patch")), true),
            Body::DeleteOptions => (Some(reference("DeleteOptions")), false),
        };
        let mut operation = json!({
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind},
        });
        let media = |schema: &Value, types: &[&str]| -> Value {
            types.iter().map(|kind| ((*kind).to_owned(), json!({"schema": schema}))).collect::<Map<_, _>>().into()
        };
        let types: &[&str] = if body == Body::Patch { PATCHES } else { &["*/*"] };
        match self.dialect {
            Dialect::V2 => {
                if let Some(schema) = schema {
                    parameters
                        .insert(0, json!({"name": "body", "in": "body", "required": is_required, "schema": schema}));
                    operation["consumes"] = json!(types);
                }
                operation["produces"] = json!(["application/json"]);
                operation["schemes"] = json!(["https"]);
                operation["responses"] = json!({"200": {"description": "OK", "schema": answer}});
            }
            Dialect::V3 => {
                if let Some(schema) = schema {
                    operation["requestBody"] = json!({"content": media(&schema, types), "required": is_required});
                }
                let content = media(answer, &["application/json"]);
                operation["responses"] = json!({"200": {"description": "OK", "content": content}});
            }
        }
        operation["parameters"] = Value::Array(parameters);
        operation
    }
}

/// Returns the query parameters of an operation.
fn query_parameters(action: &str) -> &'static [(&'static str, &'static str)] {
    match action {
        "list" => &[
            ("allowWatchBookmarks", "boolean"),
            ("continue", "string"),
            ("fieldSelector", "string"),
            ("labelSelector", "string"),
            ("limit", "integer"),
            ("resourceVersion", "string"),
            ("resourceVersionMatch", "string"),
            ("sendInitialEvents", "boolean"),
            ("timeoutSeconds", "integer"),
            ("watch", "boolean"),
        ],
        "post" | "put" => &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")],
        "patch" => {
            &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"), ("force", "boolean")]
        }
        "delete" => &[
            ("dryRun", "string"),
            ("gracePeriodSeconds", "integer"),
            ("orphanDependents", "boolean"),
            ("propagationPolicy", "string"),
        ],
        "deletecollection" => &[
            ("dryRun", "string"),
            ("fieldSelector", "string"),
            ("gracePeriodSeconds", "integer"),
            ("labelSelector", "string"),
            ("propagationPolicy", "string"),
        ],
        _ => &[],
    }
}

#[cfg(test)]
mod tests;
