//! `maru apply`: server-side apply of files.

use std::path::PathBuf;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::manifests::{Manifest, by_dependency, read_manifests};
use crate::resources::Kinds;
use crate::{CliError, Context};

/// Create or change objects from files
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  maru apply -f shop/manifests\n  cat web.yaml | maru apply -f -\n  maru apply -f web.yaml --dry-run"
)]
pub struct ApplyCommand {
    /// Files, folders, or - for standard input
    #[arg(short, long, required = true, value_name = "PATH")]
    filename: Vec<PathBuf>,
    /// Take over fields that another manager owns
    #[arg(long)]
    force_conflicts: bool,
    /// Let the server check everything and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// `deployment.apps/web`.
    pub object: String,
    /// The namespace, empty for cluster-wide objects.
    pub namespace: String,
    /// `created`, `configured` or `unchanged`.
    pub change: &'static str,
}

pub(crate) async fn run(command: &ApplyCommand, context: &Context) -> Result<u8, CliError> {
    let manifests = read_manifests(&command.filename)?;
    let query = Query { force: command.force_conflicts, dry_run: command.dry_run };
    let mut failed = None;
    let mut done = Vec::new();
    for result in apply_all(manifests, context, &query).await? {
        match result {
            Ok(applied) => {
                let suffix = if command.dry_run { " (dry run)" } else { "" };
                context.printer.line(format_args!("{} {}{suffix}", applied.object, applied.change));
                done.push(json!({"object": applied.object, "namespace": applied.namespace, "change": applied.change}));
            }
            Err(error) => {
                context.printer.note(format_args!("error: {error}"));
                failed = Some(error);
            }
        }
    }
    context.printer.value(&Value::Array(done));
    // Each error was told beside its object; the last one gives the exit code.
    Ok(u8::from(failed.is_some()))
}

/// Applies manifests in the order of their needs; stops at the first that is refused.
///
/// # Errors
/// When a manifest's kind is not served, or the server refuses an object.
pub async fn apply_documents(manifests: Vec<Manifest>, context: &Context) -> Result<Vec<Applied>, CliError> {
    apply_all(manifests, context, &Query { force: true, dry_run: false }).await?.into_iter().collect()
}

struct Query {
    force: bool,
    dry_run: bool,
}

async fn apply_all(
    mut manifests: Vec<Manifest>,
    context: &Context,
    query: &Query,
) -> Result<Vec<Result<Applied, CliError>>, CliError> {
    by_dependency(&mut manifests);
    let mut kinds = Kinds::discover(&context.client).await?;
    let mut results = Vec::with_capacity(manifests.len());
    for manifest in &manifests {
        let result = match apply_one(manifest, &kinds, context, query).await {
            // A CustomResourceDefinition before it in the files may have added the kind.
            Err(CliError::NoSuchKind { .. }) => {
                kinds = Kinds::discover(&context.client).await?;
                apply_one(manifest, &kinds, context, query).await
            }
            other => other,
        };
        results.push(result);
    }
    Ok(results)
}

async fn apply_one(manifest: &Manifest, kinds: &Kinds, context: &Context, query: &Query) -> Result<Applied, CliError> {
    let wrong =
        |message: String| CliError::Manifest { path: manifest.path.clone(), document: manifest.document, message };
    let kind = kinds.of_manifest(manifest.text("/apiVersion"), manifest.text("/kind"))?;
    let name = manifest.text("/metadata/name");
    if name.is_empty() {
        return Err(wrong(format!("this {} has no metadata.name; apply needs one", kind.kind)));
    }
    let mut object = manifest.object.clone();
    let mut namespace = String::new();
    if kind.namespaced {
        namespace = match manifest.text("/metadata/namespace") {
            "" => context.namespace.clone(),
            named => named.to_owned(),
        };
        object["metadata"]["namespace"] = json!(namespace);
    }
    let path = kind.path(Some(&namespace), Some(&utf8_percent_encode(name, NON_ALPHANUMERIC_BUT_NAMES).to_string()));
    let before = resource_version(context, &path).await?;
    let mut uri = format!("{path}?fieldManager=maru&fieldValidation=Strict&force={}", query.force);
    if query.dry_run {
        uri.push_str("&dryRun=All");
    }
    let request = http::Request::patch(&uri)
        .header("content-type", "application/apply-patch+yaml")
        .header("accept", "application/json")
        .body(object.to_string().into_bytes())
        .map_err(|source| CliError::Answer { request: uri.clone(), source: Box::new(source) })?;
    let answer: Value = context.client.request(request).await.map_err(|error| match CliError::from(error) {
        CliError::Refused { message, code, reason } => {
            CliError::Refused { message: format!("{}/{name}: {message}", kind.title()), code, reason }
        }
        other => other,
    })?;
    let after = answer.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned);
    let change = match before {
        None => "created",
        Some(_) if query.dry_run => "configured",
        before if before == after => "unchanged",
        Some(_) => "configured",
    };
    Ok(Applied { object: format!("{}/{name}", kind.title()), namespace, change })
}

/// What stays as it is in a name within a path.
const NON_ALPHANUMERIC_BUT_NAMES: &percent_encoding::AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

async fn resource_version(context: &Context, path: &str) -> Result<Option<String>, CliError> {
    let request = http::Request::get(path)
        .header("accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json")
        .body(Vec::new())
        .map_err(|source| CliError::Answer { request: path.to_owned(), source: Box::new(source) })?;
    match context.client.request::<Value>(request).await.map_err(CliError::from) {
        Ok(object) => Ok(object.pointer("/metadata/resourceVersion").and_then(Value::as_str).map(str::to_owned)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}
