//! Frees the disk of images that no container and no name uses.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use maru_images::ImageError;
use maru_oci::Digest;

use crate::context::{Context, chain};
use crate::manager::Pods;

/// How often unused content is looked for.
const PERIOD: Duration = Duration::from_secs(6 * 3600);

/// Collects garbage from time to time until cancelled.
pub(crate) async fn collect_images(context: Arc<Context>, pods: Pods) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let in_use: BTreeSet<Digest> = pods
            .views()
            .iter()
            .flat_map(|view| view.containers.values())
            .filter_map(|container| container.image.as_ref()?.parse().ok())
            .collect();
        let images = context.images.clone();
        let collect = move || match images.collect_garbage(&in_use, &BTreeSet::new()) {
            Ok(freed) => Ok(Some(freed)),
            // Somebody pulls or builds: the next time will do.
            Err(ImageError::Busy) => Ok(None),
            Err(error) => Err(chain(&error)),
        };
        match tokio::task::spawn_blocking(collect).await {
            Ok(Ok(Some(freed))) => {
                tracing::info!(
                    blobs = freed.blobs,
                    snapshots = freed.snapshots,
                    bytes = freed.bytes,
                    "images collected"
                );
            }
            Ok(Ok(None)) => {}
            Ok(Err(error)) => tracing::warn!(error, "unused images could not be collected"),
            Err(error) => tracing::warn!(%error, "collecting images broke off"),
        }
    }
}
