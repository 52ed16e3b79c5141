//! `maru describe`: an object in full, with what happened to it.

use serde_json::Value;

use crate::get::{ask, without_managed_fields};
use crate::resources::{Kinds, list, split_arguments};
use crate::{CliError, Context, table};

/// Show an object in full, with its events
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  maru describe pod/web-1\n  maru describe deploy web -n shop")]
pub struct DescribeCommand {
    /// A resource type and names
    #[arg(required = true, value_name = "TYPE NAME… | TYPE/NAME")]
    what: Vec<String>,
}

pub(crate) async fn run(command: &DescribeCommand, context: &Context) -> Result<u8, CliError> {
    let kinds = Kinds::discover(&context.client).await?;
    let (word, names) = split_arguments(&command.what)?;
    let kind = kinds.named(&word)?;
    if names.is_empty() {
        return Err(CliError::Usage(format!("name the {} to describe; \"maru get {word}\" lists them", kind.title())));
    }
    for name in &names {
        let object = ask(context, &kind.path(Some(&context.namespace), Some(name)), "application/json").await?;
        let uid = object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
        let namespace = object.pointer("/metadata/namespace").and_then(Value::as_str).unwrap_or("default");
        let uri = format!("/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.uid%3D{uid}");
        let events = ask(context, &uri, "application/json").await?;
        if context.printer.json {
            context.printer.value(&serde_json::json!({"object": object, "events": events["items"]}));
            continue;
        }
        context.printer.raw(maru_kube::yaml::to_text(&without_managed_fields(&object)).trim_end());
        context.printer.raw(format_args!("\n{}", show_events(list(&events, "items"))));
    }
    Ok(0)
}

fn show_events(events: &[Value]) -> String {
    if events.is_empty() {
        return "Events: none".to_owned();
    }
    let text = |event: &Value, key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let last = |event: &Value| {
        ["lastTimestamp", "eventTime", "firstTimestamp"]
            .iter()
            .map(|key| text(event, key))
            .find(|at| !at.is_empty())
            .unwrap_or_default()
    };
    let mut sorted: Vec<&Value> = events.iter().collect();
    sorted.sort_by_key(|event| last(event));
    let rows: Vec<Vec<String>> = sorted
        .into_iter()
        .map(|event| {
            let count = event.get("count").and_then(Value::as_i64).unwrap_or(1);
            let reporter = event
                .pointer("/source/component")
                .or_else(|| event.get("reportingComponent"))
                .and_then(Value::as_str)
                .unwrap_or_default();
            vec![
                text(event, "type"),
                text(event, "reason"),
                last(event),
                count.to_string(),
                reporter.to_owned(),
                text(event, "message").replace('\n', " "),
            ]
        })
        .collect();
    format!("Events:\n{}", table(&["TYPE", "REASON", "LAST", "COUNT", "FROM", "MESSAGE"], &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_shown_oldest_first() {
        let event = |reason: &str, at: &str| serde_json::json!({"type": "Normal", "reason": reason, "lastTimestamp": at, "message": "m"});
        let text = show_events(&[event("Started", "2026-01-01T00:00:02Z"), event("Pulled", "2026-01-01T00:00:01Z")]);
        let (pulled, started) = (text.find("Pulled").unwrap(), text.find("Started").unwrap());
        assert!(pulled < started, "{text}");
        assert_eq!(show_events(&[]), "Events: none");
    }
}
