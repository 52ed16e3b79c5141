//! `maru status`: what runs on this Maru.

use serde_json::{Value, json};

use crate::get::ask;
use crate::resources::list;
use crate::{CliError, Context, table};

/// Show what runs on this Maru
#[derive(Debug, clap::Args)]
pub struct StatusCommand {}

pub(crate) async fn run(_command: &StatusCommand, context: &Context) -> Result<u8, CliError> {
    let version = ask(context, "/version", "application/json").await?;
    let nodes = ask(context, "/api/v1/nodes", "application/json").await?;
    let pods = ask(context, "/api/v1/pods", "application/json").await?;
    let services = ask(context, "/api/v1/services", "application/json").await?;
    let text = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
    let mut namespaces: Vec<String> = list(&pods, "items").iter().map(|pod| text(pod, "/metadata/namespace")).collect();
    namespaces.sort();
    namespaces.dedup();
    let summary: Vec<(String, usize, usize)> = namespaces
        .into_iter()
        .map(|namespace| {
            let of: Vec<&Value> =
                list(&pods, "items").iter().filter(|pod| text(pod, "/metadata/namespace") == namespace).collect();
            let ready = of.iter().filter(|pod| is_ready(pod)).count();
            (namespace, ready, of.len())
        })
        .collect();
    context.printer.value(&json!({
        "version": version["gitVersion"],
        "nodes": list(&nodes, "items").iter().map(|node| json!({"name": text(node, "/metadata/name"), "ready": is_ready(node)})).collect::<Vec<_>>(),
        "services": list(&services, "items").len(),
        "namespaces": summary.iter().map(|(name, ready, pods)| json!({"name": name, "ready": ready, "pods": pods})).collect::<Vec<_>>(),
    }));
    context.printer.line(format_args!("API server   {}", text(&version, "/gitVersion")));
    for node in list(&nodes, "items") {
        let state = if is_ready(node) { "ready" } else { "not ready" };
        let cpu = text(node, "/status/capacity/cpu");
        let memory = text(node, "/status/capacity/memory");
        context
            .printer
            .line(format_args!("node         {} {state}, {cpu} cores, {memory}", text(node, "/metadata/name")));
    }
    context.printer.line(format_args!("services     {}", list(&services, "items").len()));
    if summary.is_empty() {
        context.printer.line("pods         none");
        return Ok(0);
    }
    let rows: Vec<Vec<String>> =
        summary.into_iter().map(|(name, ready, pods)| vec![name, format!("{ready}/{pods}")]).collect();
    context.printer.line(format_args!("\n{}", table(&["NAMESPACE", "PODS READY"], &rows)));
    Ok(0)
}

fn is_ready(object: &Value) -> bool {
    let conditions =
        object.pointer("/status/conditions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
}
