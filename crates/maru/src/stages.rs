//! What the demo records for the stages of the method, beside what requirements ask for: what there was before, how long the
//! installation took, an experiment, and how the images came to be.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, ListParams};
use maru_evidence::ForeignKey;
use maru_evidence::readers::Format;
use maru_process::{Attestation, Desk};
use maru_time::{rfc3339_micros, system_clock};
use serde_json::json;
use tokio::time::Instant;

use crate::acceptance::{ENVIRONMENT, Shop};
use crate::demo::NAMESPACE;

/// The component whose pod the experiment takes away, and a page that needs it.
const VICTIM: &str = "catalog";
const NEEDS_VICTIM: &str = "/api/products";
/// How long it may be away.
const RECOVERY_SECONDS_MAX: u32 = 60;

/// What the demo saw while it set up the shop.
pub(crate) struct Setup {
    /// The report of the installation.
    pub(crate) install: String,
    /// The statements about the images, one a line, signed.
    pub(crate) provenance: Vec<u8>,
    /// The public key of who signed them (PEM).
    pub(crate) builder: String,
}

/// Records it.
pub(crate) async fn record(
    desk: &Desk,
    context: &maru_cli::Context,
    shop: &Shop,
    setup: &Setup,
    folder: &Path,
) -> anyhow::Result<()> {
    let register = folder.join("survey/as-is.csv");
    let register = std::fs::read(&register).with_context(|| format!("cannot read \"{}\"", register.display()))?;
    let experiment = experiment(context, shop).await?;
    let key = ForeignKey::from_pem(&setup.builder)?;
    let here = || Some(ENVIRONMENT.to_owned());
    let name = Some("as-is".to_owned());
    let reports = [
        Attestation { name, ..Attestation::new(Format::Survey, register) },
        Attestation { environment: here(), ..Attestation::new(Format::Install, setup.install.clone().into_bytes()) },
        Attestation { environment: here(), ..Attestation::new(Format::Experiment, experiment.into_bytes()) },
        Attestation {
            environment: here(),
            keys: vec![key],
            ..Attestation::new(Format::Provenance, setup.provenance.clone())
        },
    ];
    for report in reports {
        desk.attest(&report, system_clock().now()).await?;
    }
    Ok(())
}

/// Takes a pod away and looks how long it takes until the shop has another.
async fn experiment(context: &maru_cli::Context, shop: &Shop) -> anyhow::Result<String> {
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), NAMESPACE);
    let own = ListParams::default().labels(&format!("app={VICTIM}"));
    let before: Vec<_> = pods.list(&own).await?.into_iter().filter_map(|pod| pod.metadata.uid).collect();
    let from = system_clock().now();
    let started = Instant::now();
    pods.delete_collection(&DeleteParams::default(), &own).await?;
    let deadline = started + Duration::from_secs(u64::from(RECOVERY_SECONDS_MAX) * 2);
    let measured = loop {
        let now = pods.list(&own).await?;
        let is_new = |pod: &Pod| pod.metadata.uid.as_ref().is_some_and(|uid| !before.contains(uid)) && is_ready(pod);
        if now.iter().any(is_new) && shop.ask("GET", NEEDS_VICTIM, None).await?.0 == 200 {
            break Some(started.elapsed().as_secs_f64());
        }
        if Instant::now() >= deadline {
            break None;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let mut criterion = json!({"name": "the catalog answers again after its pod was taken away", "unit": "s",
        "atMost": RECOVERY_SECONDS_MAX});
    if let Some(seconds) = measured {
        criterion["measured"] = json!((seconds * 1000.0).round() / 1000.0);
    }
    let customer = format!("poc-{}", from.as_millisecond());
    shop.put(&customer, "tea", 1).await?;
    let ordered = shop.order(&customer).await?.0 == 201;
    Ok(json!({
        "kind": "maru.dev/experiment/v1", "name": "self-healing", "by": "maru demo",
        "from": rfc3339_micros(from), "to": rfc3339_micros(system_clock().now()),
        "hypothesis": "without a person, the shop heals when a pod is lost",
        "criteria": [criterion, {"name": "a customer can order afterwards", "passed": ordered}],
    })
    .to_string())
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True")
}

/// Statements, one a line.
pub(crate) fn lines(statements: &[Vec<u8>]) -> Vec<u8> {
    statements.iter().flat_map(|one| [one.as_slice(), b"\n"].concat()).collect()
}
