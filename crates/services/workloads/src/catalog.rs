//! Which kinds the API serves, by discovery.

use kube::Client;
use kube::api::{Api, DynamicObject};
use kube::discovery::{ApiResource, Discovery, Scope as KindScope, verbs};

/// The kinds that the API serves could not be read.
#[derive(Debug, thiserror::Error)]
#[error("could not discover which kinds the API serves")]
pub(crate) struct DiscoveryError(#[source] Box<kube::Error>);

/// One kind that the API serves, in its most stable version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) resource: ApiResource,
    pub(crate) scope: ServedScope,
    pub(crate) can_watch: bool,
    pub(crate) can_delete_collection: bool,
}

/// Where objects of a kind live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServedScope {
    Namespaced,
    Cluster,
}

impl Served {
    /// Names the kind, `deployments.apps`.
    pub(crate) fn name(&self) -> String {
        if self.resource.group.is_empty() {
            self.resource.plural.clone()
        } else {
            format!("{}.{}", self.resource.plural, self.resource.group)
        }
    }

    /// The API of one namespace, or of all for `""`.
    pub(crate) fn api(&self, client: &Client, namespace: &str) -> Api<DynamicObject> {
        match self.scope {
            ServedScope::Namespaced if !namespace.is_empty() => {
                Api::namespaced_with(client.clone(), namespace, &self.resource)
            }
            ServedScope::Namespaced | ServedScope::Cluster => Api::all_with(client.clone(), &self.resource),
        }
    }
}

/// Asks which kinds there are that can be listed and deleted, sorted by name.
///
/// # Errors
/// When the API does not answer.
pub(crate) async fn discover(client: &Client) -> Result<Vec<Served>, DiscoveryError> {
    let discovery = match Discovery::new(client.clone()).run_aggregated().await {
        Ok(discovery) => discovery,
        // Servers before 1.26 know only one request for each group.
        Err(_) => Discovery::new(client.clone()).run().await.map_err(|error| DiscoveryError(Box::new(error)))?,
    };
    let mut found: Vec<Served> = discovery
        .groups()
        .flat_map(|group| group.resources_by_stability())
        .filter(|(_, can)| can.supports_operation(verbs::LIST) && can.supports_operation(verbs::DELETE))
        .map(|(resource, can)| Served {
            scope: match can.scope {
                KindScope::Namespaced => ServedScope::Namespaced,
                KindScope::Cluster => ServedScope::Cluster,
            },
            can_watch: can.supports_operation(verbs::WATCH),
            can_delete_collection: can.supports_operation(verbs::DELETE_COLLECTION),
            resource,
        })
        .collect();
    found.sort_by_key(Served::name);
    Ok(found)
}
