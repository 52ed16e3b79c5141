//! Unpacked layers.

use std::collections::BTreeSet;

use maru_oci::{Digest, Hasher};

use crate::error::ImageError;
use crate::store::ImageStore;

/// Returns the chain id of each layer: the identity of the layer upon those below it.
pub(crate) fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let next = match chain.last() {
            None => diff_id.clone(),
            Some(parent) => {
                let mut hasher = Hasher::new(diff_id.algorithm());
                hasher.update(format!("{parent} {diff_id}").as_bytes());
                hasher.finish()
            }
        };
        chain.push(next);
    }
    chain
}

impl ImageStore {
    pub(crate) fn collect_snapshots(&self, _chains: &BTreeSet<Digest>) -> Result<u64, ImageError> {
        Ok(0)
    }
}
