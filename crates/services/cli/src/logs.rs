//! `maru logs`: what a container wrote.

use futures::AsyncBufReadExt as _;
use futures::TryStreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{ListParams, LogParams};

use crate::{CliError, Context};

/// Print what a container wrote
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  maru logs web-1 -f\n  maru logs deploy/web --tail 20\n  maru logs web-1 -c sidecar --previous"
)]
pub struct LogsCommand {
    /// A pod, or TYPE/NAME of a workload (its first pod)
    #[arg(value_name = "POD | TYPE/NAME", required_unless_present = "selector")]
    target: Option<String>,
    /// The pods with these labels
    #[arg(short = 'l', long, conflicts_with = "target")]
    selector: Option<String>,
    /// The container, where the pod has several
    #[arg(short, long)]
    container: Option<String>,
    /// Go on as more is written
    #[arg(short, long)]
    follow: bool,
    /// Of the container's run before this one
    #[arg(short, long)]
    previous: bool,
    /// Only the last lines
    #[arg(long)]
    tail: Option<i64>,
    /// Only lines of the last seconds
    #[arg(long, value_name = "SECONDS")]
    since: Option<i64>,
    /// Begin each line with its time
    #[arg(long)]
    timestamps: bool,
}

pub(crate) async fn run(command: &LogsCommand, context: &Context) -> Result<u8, CliError> {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), &context.namespace);
    let pods = match (&command.target, &command.selector) {
        (Some(target), _) => vec![pod_of(target, &api, context).await?],
        (None, Some(selector)) => names(&api, selector).await?,
        (None, None) => return Err(CliError::Usage("name a pod".to_owned())),
    };
    if command.follow && pods.len() > 1 {
        return Err(CliError::Usage(format!("--follow takes one pod, but {} match", pods.len())));
    }
    let parameters = LogParams {
        container: command.container.clone(),
        follow: command.follow,
        previous: command.previous,
        tail_lines: command.tail,
        since_seconds: command.since,
        timestamps: command.timestamps,
        ..LogParams::default()
    };
    let several = pods.len() > 1;
    for pod in &pods {
        let mut lines = std::pin::pin!(api.log_stream(pod, &parameters).await?.lines());
        while let Some(line) = lines.try_next().await.map_err(CliError::Terminal)? {
            if several {
                context.printer.raw(format_args!("[{pod}] {line}"));
            } else {
                context.printer.raw(line);
            }
        }
    }
    Ok(0)
}

async fn names(api: &Api<Pod>, selector: &str) -> Result<Vec<String>, CliError> {
    let pods = api.list(&ListParams::default().labels(selector)).await?;
    let names: Vec<String> = pods.items.into_iter().filter_map(|pod| pod.metadata.name).collect();
    if names.is_empty() {
        return Err(CliError::Usage(format!("no pod has the labels \"{selector}\"")));
    }
    Ok(names)
}

/// Returns the name of a pod, or of the newest running pod of a workload.
pub(crate) async fn pod_of(target: &str, api: &Api<Pod>, context: &Context) -> Result<String, CliError> {
    let Some((word, name)) = target.split_once('/') else { return Ok(target.to_owned()) };
    let kinds = crate::resources::Kinds::discover(&context.client).await?;
    let kind = kinds.named(word)?;
    if kind.kind == "Pod" {
        return Ok(name.to_owned());
    }
    let object = crate::get::ask(context, &kind.path(Some(&context.namespace), Some(name)), "application/json").await?;
    let pointer = if kind.kind == "Service" { "/spec/selector" } else { "/spec/selector/matchLabels" };
    let labels = object.pointer(pointer).and_then(serde_json::Value::as_object).ok_or_else(|| {
        CliError::Usage(format!("a {} selects no pods; name a pod, a workload or a service", kind.title()))
    })?;
    let selector: Vec<String> =
        labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    let mut pods = api.list(&ListParams::default().labels(&selector.join(","))).await?.items;
    pods.sort_by_key(|pod| {
        let running = pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running");
        (running, pod.metadata.creation_timestamp.as_ref().map(|time| time.0))
    });
    pods.pop()
        .and_then(|pod| pod.metadata.name)
        .ok_or_else(|| CliError::Usage(format!("{} \"{name}\" has no pods", kind.title())))
}
