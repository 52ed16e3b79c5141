//! `maru delete`: by name, selector or file.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::manifests::{by_dependency, read_manifests};
use crate::resources::{Kinds, list, split_arguments};
use crate::{CliError, Context};

/// Delete objects by name, selector or file
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  maru delete pod/web-1\n  maru delete -f shop/manifests\n  maru delete pods -l app=web"
)]
pub struct DeleteCommand {
    /// A resource type and names
    #[arg(value_name = "TYPE NAME… | TYPE/NAME", required_unless_present = "filename")]
    what: Vec<String>,
    /// The objects in these files
    #[arg(short, long, value_name = "PATH", conflicts_with = "what")]
    filename: Vec<PathBuf>,
    /// All objects with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Do not wait until they are gone
    #[arg(long)]
    no_wait: bool,
    /// Seconds that a pod is given to stop
    #[arg(long, value_name = "SECONDS")]
    grace_period: Option<u32>,
}

pub(crate) async fn run(command: &DeleteCommand, context: &Context) -> Result<u8, CliError> {
    let mut paths = Vec::new();
    let kinds = Kinds::discover(&context.client).await?;
    if command.filename.is_empty() {
        let (word, mut names) = split_arguments(&command.what)?;
        let kind = kinds.named(&word)?;
        if let Some(selector) = &command.selector {
            let query = percent_encoding::utf8_percent_encode(selector, percent_encoding::NON_ALPHANUMERIC);
            let uri = format!("{}?labelSelector={query}", kind.path(Some(&context.namespace), None));
            let found = crate::get::ask(context, &uri, "application/json").await?;
            let name = |object: &Value| object.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned);
            names.extend(list(&found, "items").iter().filter_map(name));
        } else if names.is_empty() {
            return Err(CliError::Usage("name what to delete, or select it with --selector".to_owned()));
        }
        paths.extend(
            names
                .iter()
                .map(|name| (format!("{}/{name}", kind.title()), kind.path(Some(&context.namespace), Some(name)))),
        );
    } else {
        let mut manifests = read_manifests(&command.filename)?;
        by_dependency(&mut manifests);
        for manifest in manifests.iter().rev() {
            let Ok(kind) = kinds.of_manifest(manifest.text("/apiVersion"), manifest.text("/kind")) else { continue };
            let namespace = match manifest.text("/metadata/namespace") {
                "" => &context.namespace,
                named => named,
            };
            let name = manifest.text("/metadata/name");
            paths.push((format!("{}/{name}", kind.title()), kind.path(Some(namespace), Some(name))));
        }
    }
    let mut missing = false;
    let mut waiting = Vec::new();
    for (title, path) in paths {
        match delete_one(&path, command.grace_period, context).await {
            Ok(uid) => {
                context.printer.line(format_args!("{title} deleted"));
                waiting.push((title, path, uid));
            }
            Err(error) if error.is_not_found() => {
                context.printer.note(format_args!("{title} not found"));
                missing = command.filename.is_empty();
            }
            Err(error) => return Err(error),
        }
    }
    context.printer.value(&json!(waiting.iter().map(|(title, ..)| title).collect::<Vec<_>>()));
    if !command.no_wait {
        for (title, path, uid) in &waiting {
            wait_gone(title, path, uid.as_deref(), context, Duration::from_secs(300)).await?;
        }
    }
    Ok(u8::from(missing))
}

/// Deletes an object and returns its uid, where the server tells it.
async fn delete_one(path: &str, grace_period: Option<u32>, context: &Context) -> Result<Option<String>, CliError> {
    let mut options = json!({"propagationPolicy": "Background"});
    if let Some(seconds) = grace_period {
        options["gracePeriodSeconds"] = json!(seconds);
    }
    let request = http::Request::delete(path)
        .header("content-type", "application/json")
        .body(options.to_string().into_bytes())
        .map_err(|source| CliError::Answer { request: path.to_owned(), source: Box::new(source) })?;
    let answer = context.client.request::<Value>(request).await?;
    // A Status when it is gone already, else the object that is going.
    let uid = answer.pointer("/details/uid").or_else(|| answer.pointer("/metadata/uid"));
    Ok(uid.and_then(Value::as_str).map(str::to_owned))
}

/// Waits until the object at `path` is gone, or another of the same name has taken its place.
pub(crate) async fn wait_gone(
    title: &str,
    path: &str,
    uid: Option<&str>,
    context: &Context,
    limit: Duration,
) -> Result<(), CliError> {
    let deadline = tokio::time::Instant::now() + limit;
    loop {
        match crate::get::ask(context, path, "application/json").await {
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
            Ok(found) if uid.is_some_and(|uid| found["metadata"]["uid"] != uid) => return Ok(()),
            Ok(_) if tokio::time::Instant::now() >= deadline => {
                return Err(CliError::Timeout { what: format!("{title} to be gone"), seconds: limit.as_secs() });
            }
            Ok(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}
