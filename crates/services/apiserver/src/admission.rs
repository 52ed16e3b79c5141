//! Checks of a creation that hold for every kind.

use serde_json::Value;

use crate::errors::ApiError;
use crate::hooks::Context;
use crate::kinds::GroupResource;
use crate::meta;
use crate::write::namespace_terminating;

/// Refuses to create something in a namespace that is missing or going away.
pub(crate) fn namespace_is_open(context: &Context<'_>, object: &Value) -> Result<(), ApiError> {
    if !context.served.kind.namespaced {
        return Ok(());
    }
    let namespace = context.namespace;
    if namespace.is_empty() {
        return Err(ApiError::bad_request("an empty namespace may not be set during creation"));
    }
    let Some(found) = context.state.read_raw("namespaces", "", namespace) else {
        let resource = GroupResource { group: String::new(), resource: "namespaces".to_owned() };
        return Err(ApiError::not_found(&resource, namespace));
    };
    if meta::is_being_deleted(&found) || meta::text(&found, &["status", "phase"]) == "Terminating" {
        return Err(namespace_terminating(context.served, meta::name(object), namespace));
    }
    Ok(())
}
