//! `maru get`: tables as the server lays them out, or the objects themselves.

use futures::AsyncBufReadExt as _;
use futures::TryStreamExt as _;
use serde_json::{Value, json};

use crate::resources::{Kind, Kinds, list, split_arguments};
use crate::{CliError, Context, table};

/// List objects, or show one
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  maru get pods -A\n  maru get deployment/web -o yaml\n  maru get pods -l app=web -w\n  maru get all -n shop"
)]
pub struct GetCommand {
    /// A resource type and names: pods, pod/web-1, deploy web api, all
    #[arg(required = true, value_name = "TYPE [NAME…] | TYPE/NAME")]
    what: Vec<String>,
    /// Objects of all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only objects with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Only objects with these fields, for example status.phase=Running
    #[arg(long)]
    field_selector: Option<String>,
    /// How to show them
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Go on showing changes
    #[arg(short, long)]
    watch: bool,
}

/// How objects are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Output {
    /// A table
    #[default]
    Table,
    /// A table with all columns
    Wide,
    /// The objects as YAML
    Yaml,
    /// The objects as JSON
    Json,
    /// TYPE/NAME, a line each
    Name,
}

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

pub(crate) async fn run(command: &GetCommand, context: &Context) -> Result<u8, CliError> {
    let kinds = Kinds::discover(&context.client).await?;
    let (kind_names, names) = split_arguments(&command.what)?;
    let mut selected: Vec<&Kind> = Vec::new();
    for word in kind_names.split(',') {
        match kinds.category(word) {
            members if members.is_empty() => selected.push(kinds.named(word)?),
            members => selected.extend(members),
        }
    }
    if command.watch && (selected.len() > 1 || names.len() > 1) {
        return Err(CliError::Usage("--watch takes one resource type and at most one name".to_owned()));
    }
    let output = if context.printer.json && matches!(command.output, Output::Table | Output::Wide) {
        Output::Json
    } else {
        command.output
    };
    let several = selected.len() > 1;
    let mut shown = 0;
    for kind in selected {
        shown += show_kind(command, context, kind, &names, output, several).await?;
    }
    if shown == 0 && !context.printer.json {
        let place =
            if command.all_namespaces { String::new() } else { format!(" in namespace \"{}\"", context.namespace) };
        context.printer.note(format_args!("nothing found{place}"));
    }
    Ok(0)
}

async fn show_kind(
    command: &GetCommand,
    context: &Context,
    kind: &Kind,
    names: &[String],
    output: Output,
    several: bool,
) -> Result<usize, CliError> {
    let namespace = (!command.all_namespaces).then_some(context.namespace.as_str());
    let accept = if matches!(output, Output::Table | Output::Wide) { TABLE } else { "application/json" };
    let mut answers = Vec::new();
    if names.is_empty() {
        answers.push(ask(context, &format!("{}?{}", kind.path(namespace, None), selectors(command)), accept).await?);
    }
    for name in names {
        answers.push(ask(context, &kind.path(namespace, Some(name)), accept).await?);
    }
    let mut shown = 0;
    let mut revision = String::new();
    for answer in &answers {
        revision = answer.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default().to_owned();
        shown += show(answer, kind, output, command.all_namespaces && kind.namespaced, several, context);
    }
    if command.watch {
        watch(command, context, kind, namespace, names, (output, accept), &revision).await?;
    }
    Ok(shown)
}

fn selectors(command: &GetCommand) -> String {
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let mut query = Vec::new();
    if let Some(selector) = &command.selector {
        query.push(format!("labelSelector={}", encode(selector)));
    }
    if let Some(selector) = &command.field_selector {
        query.push(format!("fieldSelector={}", encode(selector)));
    }
    query.join("&")
}

pub(crate) async fn ask(context: &Context, uri: &str, accept: &str) -> Result<Value, CliError> {
    let request = http::Request::get(uri)
        .header("accept", accept)
        .body(Vec::new())
        .map_err(|source| CliError::Answer { request: uri.to_owned(), source: Box::new(source) })?;
    Ok(context.client.request(request).await?)
}

/// Prints one answer and returns how many objects it held.
fn show(answer: &Value, kind: &Kind, output: Output, with_namespace: bool, several: bool, context: &Context) -> usize {
    let objects: Vec<&Value> = match answer.get("kind").and_then(Value::as_str) {
        Some("Table") => {
            let rows = list(answer, "rows");
            if !rows.is_empty() {
                let prefix = several.then(|| format!("{}/", kind.title()));
                context.printer.raw(lay_out(answer, output == Output::Wide, with_namespace, prefix.as_deref(), true));
                if several {
                    context.printer.raw("");
                }
            }
            return rows.len();
        }
        Some(name) if name.ends_with("List") => list(answer, "items").iter().collect(),
        _ => vec![answer],
    };
    match output {
        Output::Json => context.printer.raw(format_args!("{answer:#}")),
        Output::Yaml => context.printer.raw(maru_kube::yaml::to_text(&without_managed_fields(answer)).trim_end()),
        Output::Name | Output::Table | Output::Wide => {
            for object in &objects {
                let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
                context.printer.raw(format_args!("{}/{name}", kind.title()));
            }
        }
    }
    objects.len()
}

pub(crate) fn without_managed_fields(value: &Value) -> Value {
    let mut value = value.clone();
    let strip = |object: &mut Value| {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
    };
    strip(&mut value);
    if let Some(items) = value.get_mut("items").and_then(Value::as_array_mut) {
        items.iter_mut().for_each(strip);
    }
    value
}

/// Lays out a `Table` of `meta.k8s.io/v1`.
fn lay_out(answer: &Value, wide: bool, with_namespace: bool, prefix: Option<&str>, with_header: bool) -> String {
    let columns = list(answer, "columnDefinitions");
    let kept: Vec<usize> = (0..columns.len())
        .filter(|index| wide || columns[*index].get("priority").and_then(Value::as_i64).unwrap_or(0) == 0)
        .collect();
    let mut header: Vec<String> = kept
        .iter()
        .map(|index| columns[*index].get("name").and_then(Value::as_str).unwrap_or_default().to_uppercase())
        .collect();
    if with_namespace {
        header.insert(0, "NAMESPACE".to_owned());
    }
    let rows: Vec<Vec<String>> = list(answer, "rows")
        .iter()
        .map(|row| {
            let cells = list(row, "cells");
            let mut line: Vec<String> = kept.iter().map(|index| cell(cells.get(*index))).collect();
            if let (Some(prefix), Some(first)) = (prefix, line.first_mut()) {
                first.insert_str(0, prefix);
            }
            if with_namespace {
                line.insert(0, cell(row.pointer("/object/metadata/namespace")));
            }
            line
        })
        .collect();
    let text = table(&header.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
    if with_header { text } else { text.split_once('\n').map_or(String::new(), |(_, rows)| rows.to_owned()) }
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

async fn watch(
    command: &GetCommand,
    context: &Context,
    kind: &Kind,
    namespace: Option<&str>,
    names: &[String],
    (output, accept): (Output, &str),
    revision: &str,
) -> Result<(), CliError> {
    let mut query = selectors(command);
    if let Some(name) = names.first() {
        query = format!("fieldSelector=metadata.name%3D{name}");
    }
    let uri = format!("{}?watch=true&resourceVersion={revision}&{query}", kind.path(namespace, None));
    let request = http::Request::get(&uri)
        .header("accept", accept)
        .body(Vec::new())
        .map_err(|source| CliError::Answer { request: uri.clone(), source: Box::new(source) })?;
    let mut lines = std::pin::pin!(context.client.request_stream(request).await?.lines());
    let mut columns = Value::Null;
    while let Some(line) = lines.try_next().await.map_err(CliError::Terminal)? {
        let mut event: Value = serde_json::from_str(&line)
            .map_err(|source| CliError::Answer { request: uri.clone(), source: Box::new(source) })?;
        let mut object = event.get_mut("object").map(Value::take).unwrap_or_default();
        if event["type"] == "ERROR" {
            let message = object.get("message").and_then(Value::as_str).unwrap_or("the watch ended").to_owned();
            return Err(CliError::Refused { message, code: 410, reason: "Expired".to_owned() });
        }
        if object["kind"] == "Table" {
            // Only the first Table of a watch names its columns.
            if list(&object, "columnDefinitions").is_empty() {
                object["columnDefinitions"] = columns.clone();
            } else {
                columns = object["columnDefinitions"].clone();
            }
            let with_namespace = command.all_namespaces && kind.namespaced;
            context.printer.raw(lay_out(&object, output == Output::Wide, with_namespace, None, false));
        } else {
            context.printer.raw(json!({"type": event["type"], "object": object}));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Value {
        json!({"kind": "Table",
            "columnDefinitions": [{"name": "Name", "priority": 0}, {"name": "Ready", "priority": 0}, {"name": "IP", "priority": 1}],
            "rows": [{"cells": ["web", "1/1", "10.42.0.2"], "object": {"metadata": {"namespace": "shop"}}}]})
    }

    #[test]
    fn wide_shows_all_columns_and_all_namespaces_say_which() {
        assert_eq!(lay_out(&answer(), false, false, None, true), "NAME   READY\nweb    1/1");
        assert_eq!(
            lay_out(&answer(), true, true, None, true),
            "NAMESPACE   NAME   READY   IP\nshop        web    1/1     10.42.0.2"
        );
        assert_eq!(lay_out(&answer(), false, false, Some("pod/"), false), "pod/web   1/1");
    }
}
