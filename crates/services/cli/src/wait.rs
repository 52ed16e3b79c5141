//! `maru wait`: until workloads are ready, or objects are gone.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::get::ask;
use crate::resources::{Kinds, split_arguments};
use crate::{CliError, Context};

/// Wait until workloads are ready or objects are gone
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  maru wait deploy/web\n  maru wait pod/web-1 --gone --timeout 30")]
pub struct WaitCommand {
    /// A resource type and names
    #[arg(required = true, value_name = "TYPE NAME… | TYPE/NAME")]
    what: Vec<String>,
    /// Until they are gone
    #[arg(long)]
    gone: bool,
    /// Give up after this many seconds
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    timeout: u64,
}

pub(crate) async fn run(command: &WaitCommand, context: &Context) -> Result<u8, CliError> {
    let (word, names) = split_arguments(&command.what)?;
    let limit = Duration::from_secs(command.timeout);
    for name in &names {
        if command.gone {
            let kinds = Kinds::discover(&context.client).await?;
            let path = kinds.named(&word)?.path(Some(&context.namespace), Some(name));
            crate::delete::wait_gone(&format!("{word}/{name}"), &path, None, context, limit).await?;
            context.printer.line(format_args!("{word}/{name} is gone"));
        } else {
            wait_until_ready(context, &word, name, limit).await?;
            context.printer.line(format_args!("{word}/{name} is ready"));
        }
    }
    Ok(0)
}

/// Waits until an object is ready by the measure of its kind.
///
/// # Errors
/// When the object does not exist, cannot become ready any more, or is not ready in time.
pub async fn wait_until_ready(context: &Context, word: &str, name: &str, limit: Duration) -> Result<(), CliError> {
    let kinds = Kinds::discover(&context.client).await?;
    let kind = kinds.named(word)?;
    let path = kind.path(Some(&context.namespace), Some(name));
    let deadline = Instant::now() + limit;
    loop {
        let object = ask(context, &path, "application/json").await?;
        match readiness(&object) {
            Readiness::Ready => return Ok(()),
            Readiness::Never(why) => {
                return Err(CliError::Usage(format!("{}/{name} does not become ready: {why}", kind.title())));
            }
            Readiness::NotYet(state) if Instant::now() >= deadline => {
                let what = format!("{}/{name} to be ready ({state})", kind.title());
                return Err(CliError::Timeout { what, seconds: limit.as_secs() });
            }
            Readiness::NotYet(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Readiness {
    Ready,
    NotYet(String),
    Never(String),
}

/// Judges an object by the status that its kind writes.
fn readiness(object: &Value) -> Readiness {
    let number = |pointer: &str| object.pointer(pointer).and_then(Value::as_i64);
    let observed = number("/status/observedGeneration").unwrap_or(0) >= number("/metadata/generation").unwrap_or(0);
    let wanted = number("/spec/replicas").unwrap_or(1);
    let counts = |updated: &str, ready: &str| {
        let (updated, ready) = (number(updated).unwrap_or(0), number(ready).unwrap_or(0));
        let total = number("/status/replicas").unwrap_or(ready);
        if observed && updated >= wanted && ready >= wanted && total <= wanted {
            Readiness::Ready
        } else {
            Readiness::NotYet(format!("{ready} of {wanted} ready, {updated} updated"))
        }
    };
    match object.get("kind").and_then(Value::as_str).unwrap_or_default() {
        "Deployment" => match condition(object, "Progressing") {
            Some(("False", reason)) => Readiness::Never(reason.to_owned()),
            _ => counts("/status/updatedReplicas", "/status/availableReplicas"),
        },
        "StatefulSet" => counts("/status/updatedReplicas", "/status/readyReplicas"),
        "ReplicaSet" => counts("/status/replicas", "/status/readyReplicas"),
        "DaemonSet" => {
            let (ready, wanted) = (number("/status/numberReady"), number("/status/desiredNumberScheduled"));
            if observed && wanted.is_some() && ready >= wanted {
                Readiness::Ready
            } else {
                Readiness::NotYet(format!("{} ready", ready.unwrap_or(0)))
            }
        }
        "Job" => match (condition(object, "Complete"), condition(object, "Failed")) {
            (Some(("True", _)), _) => Readiness::Ready,
            (_, Some(("True", reason))) => Readiness::Never(reason.to_owned()),
            _ => Readiness::NotYet("still running".to_owned()),
        },
        "PersistentVolumeClaim" => match object.pointer("/status/phase").and_then(Value::as_str) {
            Some("Bound") => Readiness::Ready,
            other => Readiness::NotYet(other.unwrap_or("Pending").to_owned()),
        },
        _ => by_conditions(object),
    }
}

fn by_conditions(object: &Value) -> Readiness {
    let wanted = ["Ready", "Available", "Programmed", "Established", "Accepted"];
    match wanted.iter().find_map(|kind| condition(object, kind)) {
        Some(("True", _)) => Readiness::Ready,
        Some((_, reason)) => Readiness::NotYet(reason.to_owned()),
        None if object.get("status").is_none() => Readiness::Ready,
        None => Readiness::NotYet("no Ready condition yet".to_owned()),
    }
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<(&'a str, &'a str)> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let found = conditions.iter().find(|one| one["type"] == kind)?;
    Some((found["status"].as_str()?, found["reason"].as_str().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_deployment_is_ready_when_the_new_pods_are_and_the_old_are_gone() {
        let deployment = |status: Value| json!({"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status});
        let ready = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2});
        assert_eq!(readiness(&deployment(ready.clone())), Readiness::Ready);
        for (key, value) in
            [("observedGeneration", 1), ("replicas", 3), ("updatedReplicas", 1), ("availableReplicas", 1)]
        {
            let mut status = ready.clone();
            status[key] = json!(value);
            assert!(matches!(readiness(&deployment(status)), Readiness::NotYet(_)), "{key}");
        }
        let stuck =
            json!({"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]});
        assert_eq!(readiness(&deployment(stuck)), Readiness::Never("ProgressDeadlineExceeded".to_owned()));
    }

    #[test]
    fn a_failed_job_never_becomes_ready() {
        let job = json!({"kind": "Job", "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}});
        assert_eq!(readiness(&job), Readiness::Never("BackoffLimitExceeded".to_owned()));
    }
}
