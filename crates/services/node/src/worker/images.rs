//! The images of a pod's containers: looked for here, pulled when the policy says so, with back-off.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use maru_images::{Credentials, PullOptions};
use maru_oci::{Digest, Reference};
use serde_json::Value;

use super::{PulledImage, Report, Worker};
use crate::context::{Context, chain};
use crate::events::Severity;
use crate::objects::secret_data;
use crate::plan::{Image, after};
use crate::pod;

/// First wait after a failed pull; doubles up to the cap.
const RETRY_FIRST: Duration = Duration::from_secs(10);
const RETRY_CAP: Duration = Duration::from_secs(300);

/// An image could not be had.
#[derive(Debug, Clone)]
pub(crate) struct ImageFailure {
    /// As the status shows it.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Worker {
    pub(super) fn ensure_image(&mut self, name: &str) {
        let Some(member) = pod::member(&self.record.pod, name) else { return };
        self.memory.container(name).image = Image::Pulling;
        let (context, pod, container) = (Arc::clone(&self.context), self.record.pod.clone(), name.to_owned());
        let job = async move {
            let result = ensure(&context, &pod, &member.container).await;
            Report::Image { container, result }
        };
        drop(self.task("ensure image", job));
    }

    pub(super) fn take_image(&mut self, name: &str, result: Result<PulledImage, ImageFailure>) {
        let now = self.context.now();
        match result {
            Ok(pulled) => {
                let memory = self.memory.container(name);
                memory.pull_failures = 0;
                memory.image = Image::Present;
                memory.pulled = Some(pulled);
            }
            Err(failure) => {
                let message = format!("Error: {}", failure.reason);
                self.event(Some(name), Severity::Warning, "Failed", &message);
                let memory = self.memory.container(name);
                let wait = RETRY_FIRST.saturating_mul(1 << memory.pull_failures.min(10)).min(RETRY_CAP);
                memory.pull_failures = memory.pull_failures.saturating_add(1);
                memory.image = Image::Failed {
                    reason: failure.reason.to_owned(),
                    message: failure.message,
                    at: now,
                    retry_at: after(now, wait),
                };
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PullPolicy {
    Always,
    IfNotPresent,
    Never,
}

fn pull_policy(container: &Container, reference: &Reference) -> PullPolicy {
    match container.image_pull_policy.as_deref() {
        Some("Always") => PullPolicy::Always,
        Some("Never") => PullPolicy::Never,
        Some("IfNotPresent") => PullPolicy::IfNotPresent,
        _ if reference.digest().is_some() => PullPolicy::IfNotPresent,
        _ if matches!(reference.tag(), None | Some("latest")) => PullPolicy::Always,
        _ => PullPolicy::IfNotPresent,
    }
}

async fn ensure(context: &Context, pod: &Pod, container: &Container) -> Result<PulledImage, ImageFailure> {
    let image = container.image.as_deref().unwrap_or_default();
    let name = Some(container.name.as_str());
    let note = |severity, reason, message: &str| context.events.note(pod, name, severity, reason, message);
    let reference: Reference = image.parse().map_err(|error: maru_oci::ReferenceError| {
        let message =
            format!("Failed to apply default image tag \"{image}\": couldn't parse image name: {}", chain(&error));
        note(Severity::Warning, "InspectFailed", &message);
        ImageFailure { reason: "InvalidImageName", message }
    })?;
    let policy = pull_policy(container, &reference);
    let store = context.images.clone();
    let wanted = reference.clone();
    let resolve = move || store.resolve(&wanted).map_err(|error| chain(&error));
    let present = match tokio::task::spawn_blocking(resolve).await {
        Ok(Ok(present)) => present,
        Ok(Err(message)) => return Err(ImageFailure { reason: "ImageInspectError", message }),
        Err(error) => return Err(ImageFailure { reason: "ImageInspectError", message: error.to_string() }),
    };
    match (present, policy) {
        (Some(digest), PullPolicy::IfNotPresent | PullPolicy::Never) => {
            note(Severity::Normal, "Pulled", &format!("Container image \"{image}\" already present on machine"));
            Ok(pulled(&reference, digest))
        }
        (None, PullPolicy::Never) => {
            let message = format!("Container image \"{image}\" is not present with pull policy of Never");
            note(Severity::Warning, "ErrImageNeverPull", &message);
            Err(ImageFailure { reason: "ErrImageNeverPull", message })
        }
        (_, PullPolicy::Always) | (None, PullPolicy::IfNotPresent) => pull(context, pod, container, &reference).await,
    }
}

fn pulled(reference: &Reference, digest: Digest) -> PulledImage {
    let image_id = format!("{}@{digest}", reference.name());
    PulledImage { digest, image_id }
}

async fn pull(
    context: &Context,
    pod: &Pod,
    container: &Container,
    reference: &Reference,
) -> Result<PulledImage, ImageFailure> {
    let image = container.image.as_deref().unwrap_or_default();
    let name = Some(container.name.as_str());
    let permit = context.pulls.acquire().await;
    context.events.note(pod, name, Severity::Normal, "Pulling", &format!("Pulling image \"{image}\""));
    let began = tokio::time::Instant::now();
    let mut last = None;
    for credentials in credentials(context, pod, reference).await {
        let options = PullOptions { registries: Arc::clone(&context.options.registries), credentials, progress: None };
        match context.images.pull(reference, options).await {
            Ok(digest) => {
                drop(permit);
                context.metrics.pulls.with(&["success"]).inc();
                let text = format!("Successfully pulled image \"{image}\" in {:.3}s", began.elapsed().as_secs_f64());
                context.events.note(pod, name, Severity::Normal, "Pulled", &text);
                return Ok(pulled(reference, digest));
            }
            Err(error) => last = Some(chain(&error)),
        }
    }
    drop(permit);
    context.metrics.pulls.with(&["failure"]).inc();
    let message = last.unwrap_or_default();
    context.events.note(
        pod,
        name,
        Severity::Warning,
        "Failed",
        &format!("Failed to pull image \"{image}\": {message}"),
    );
    Err(ImageFailure { reason: "ErrImagePull", message })
}

/// Returns what to try, in order: the pod's pull secrets, its ServiceAccount's, the node's own configuration.
async fn credentials(context: &Context, pod: &Pod, reference: &Reference) -> Vec<Credentials> {
    let namespace = pod::namespace(pod);
    let mut names: Vec<String> =
        pod::spec(pod).image_pull_secrets.iter().flatten().map(|one| one.name.clone()).collect();
    if let Ok(account) = context.objects.service_account(namespace, pod::service_account(pod)).await {
        names.extend(account.image_pull_secrets.into_iter().flatten().map(|one| one.name));
    }
    let mut all = Vec::new();
    for name in names {
        match context.objects.secret(namespace, &name).await {
            Ok(secret) => {
                let data = secret_data(&secret);
                let config = data.get(".dockerconfigjson").or_else(|| data.get(".dockercfg"));
                let config = config.and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok()).unwrap_or_default();
                all.extend(registry_credentials(&config, reference.registry()));
            }
            Err(error) => {
                let text = format!("Unable to retrieve image pull secret {namespace}/{name}: {}", chain(&error));
                context.events.note(pod, None, Severity::Warning, "FailedToRetrieveImagePullSecret", &text);
            }
        }
    }
    all.push(Credentials::FromConfig);
    all
}

/// Finds the credentials of a registry in a docker configuration.
fn registry_credentials(config: &Value, registry: &str) -> Option<Credentials> {
    let auths = config.get("auths").unwrap_or(config).as_object()?;
    let fits = |key: &str| {
        let host = key.trim_start_matches("https://").trim_start_matches("http://");
        let host = host.split('/').next().unwrap_or_default();
        let is_hub = |name: &str| matches!(name, "docker.io" | "index.docker.io" | "registry-1.docker.io");
        host == registry || (is_hub(host) && is_hub(registry))
    };
    let (_, entry) = auths.iter().find(|(key, _)| fits(key))?;
    let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (mut username, mut password) = (text("username"), text("password"));
    if username.is_empty() {
        use base64::Engine as _;
        let decoded = base64::engine::general_purpose::STANDARD.decode(text("auth")).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (user, secret) = decoded.split_once(':')?;
        (username, password) = (user.to_owned(), secret.to_owned());
    }
    Some(Credentials::Basic { username, password })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_policy_defaults_by_tag() {
        for (image, policy, expected) in [
            ("shop/orders:1", None, PullPolicy::IfNotPresent),
            ("shop/orders", None, PullPolicy::Always),
            ("shop/orders:latest", None, PullPolicy::Always),
            ("shop/orders:latest", Some("Never"), PullPolicy::Never),
            ("shop/orders:1", Some("Always"), PullPolicy::Always),
        ] {
            let container: Container = serde_json::from_value(json!({"name": "c", "imagePullPolicy": policy})).unwrap();
            assert_eq!(pull_policy(&container, &image.parse().unwrap()), expected, "{image} {policy:?}");
        }
    }

    #[test]
    fn credentials_are_found_by_registry() {
        let config = json!({"auths": {
            "https://registry.example/v2/": {"auth": "dTpwOnE="},
            "index.docker.io/v1/": {"username": "n", "password": "s"},
        }});
        let basic = |username: &str, password: &str| Credentials::Basic {
            username: username.to_owned(),
            password: password.to_owned(),
        };
        assert_eq!(registry_credentials(&config, "registry.example"), Some(basic("u", "p:q")));
        assert_eq!(registry_credentials(&config, "docker.io"), Some(basic("n", "s")));
        assert_eq!(registry_credentials(&config, "other.example"), None);
        assert_eq!(registry_credentials(&json!({"a.example": {"auth": "dTpw"}}), "a.example"), Some(basic("u", "p")));
    }
}
