//! The OpenAPI document, made from the table of paths.

use serde_json::{Map, Value, json};

use crate::routes::{PARAMETERS, ROUTES, Route};

/// Returns the document.
pub(crate) fn document(version: &str) -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let operations: Map<String, Value> =
            route.methods.split(", ").map(|method| (method.to_lowercase(), operation(route, method))).collect();
        paths.insert(route.path.to_owned(), operations.into());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Maru metrics",
            "version": version,
            "description": "Prometheus' HTTP API over Maru's time-series store.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Success": {
                    "type": "object",
                    "required": ["status", "data"],
                    "properties": {
                        "status": {"const": "success"},
                        "data": {},
                        "warnings": {"type": "array", "items": {"type": "string"}},
                        "infos": {"type": "array", "items": {"type": "string"}}
                    }
                },
                "Error": {
                    "type": "object",
                    "required": ["status", "errorType", "error"],
                    "properties": {
                        "status": {"const": "error"},
                        "errorType": {"type": "string", "examples": ["bad_data", "execution", "timeout", "canceled", "internal", "unavailable", "not_found"]},
                        "error": {"type": "string"}
                    }
                }
            }
        }
    })
}

fn operation(route: &Route, method: &str) -> Value {
    let is_api = route.path.starts_with("/api/v1/");
    let success = if is_api {
        json!({"description": "The answer.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Success"}}}})
    } else {
        json!({"description": "The answer.", "content": {"text/plain": {"schema": {"type": "string"}}}})
    };
    let error = json!({"description": "Why there is none.", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}});
    let mut operation = json!({
        "summary": route.summary,
        "responses": {"2XX": success, "default": error},
    });
    let parameters: Vec<Value> = route.parameters.iter().filter_map(|name| parameter(name)).collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if method == "POST" && !route.parameters.is_empty() {
        operation["description"] =
            "The parameters may also be sent as a form (application/x-www-form-urlencoded).".into();
    }
    if let Some(scope) = route.scope {
        operation["security"] = json!([{"token": [scope.to_string()]}]);
    }
    operation
}

fn parameter(name: &str) -> Option<Value> {
    let (name, kind, description) = PARAMETERS.iter().find(|(own, ..)| *own == name)?;
    let (place, schema) = match *kind {
        "path" => ("path", json!({"type": "string"})),
        "array" => ("query", json!({"type": "array", "items": {"type": "string"}})),
        other => ("query", json!({"type": other})),
    };
    Some(json!({"name": name, "in": place, "required": place == "path", "description": description, "schema": schema}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_path_and_no_dangling_reference() {
        let document = document("1");
        assert_eq!(document["paths"].as_object().unwrap().len(), ROUTES.len());
        let text = document.to_string();
        assert!(!text.contains("\"$ref\":\"#/components/schemas/Missing"));
        assert_eq!(document["paths"]["/api/v1/label/{name}/values"]["get"]["parameters"][0]["in"], "path");
        assert_eq!(document["paths"]["/api/v1/write"]["post"]["security"][0]["token"][0], "write");
    }
}
