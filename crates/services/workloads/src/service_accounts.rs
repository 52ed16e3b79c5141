//! Gives each namespace its default service account and the API server's authority.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use kube::api::ObjectMeta;
use maru_client::ReconcileError;

use crate::machinery::{Done, ExecuteError, Key, Kind, MetaExt as _, Reconcile};

pub(crate) const ROOT_CA_NAME: &str = "kube-root-ca.crt";
const ROOT_CA_KEY: &str = "ca.crt";
const DEFAULT_ACCOUNT: &str = "default";

/// Gives each namespace its default service account and the API server's authority. Keys name namespaces.
#[derive(Debug)]
pub(crate) struct ServiceAccounts {
    pub(crate) namespaces: Kind<Namespace>,
    pub(crate) accounts: Kind<ServiceAccount>,
    /// Only those named `kube-root-ca.crt`.
    pub(crate) authorities: Kind<ConfigMap>,
    pub(crate) root_ca_pem: String,
}

#[derive(Debug)]
struct Observed {
    namespace: Arc<Namespace>,
    account: Option<Arc<ServiceAccount>>,
    authority: Option<Arc<ConfigMap>>,
}

#[derive(Debug, PartialEq)]
enum Action {
    CreateAccount,
    CreateAuthority,
    RestoreAuthority,
}

/// Decides what a namespace lacks. Pure.
fn plan(observed: &Observed, root_ca_pem: &str) -> Vec<Action> {
    if observed.namespace.is_deleting() {
        return Vec::new();
    }
    let mut actions = Vec::new();
    if observed.account.is_none() {
        actions.push(Action::CreateAccount);
    }
    match &observed.authority {
        None => actions.push(Action::CreateAuthority),
        Some(authority) => {
            let data = authority.data.as_ref().and_then(|data| data.get(ROOT_CA_KEY));
            if data.is_none_or(|data| data != root_ca_pem) {
                actions.push(Action::RestoreAuthority);
            }
        }
    }
    actions
}

impl Reconcile for ServiceAccounts {
    const NAME: &'static str = "serviceaccounts";

    async fn reconcile(&self, key: &Key) -> Result<Done, ReconcileError> {
        let Some(namespace) = self.namespaces.get(key) else { return Ok(Done::Gone) };
        let observed = Observed {
            namespace,
            account: self.accounts.get(&Key::new(&key.name, DEFAULT_ACCOUNT)),
            authority: self.authorities.get(&Key::new(&key.name, ROOT_CA_NAME)),
        };
        for action in plan(&observed, &self.root_ca_pem) {
            match self.execute(&key.name, &action).await {
                Ok(()) => {}
                Err(error) if error.is_already_exists() || error.is_namespace_ending() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Done::Settled)
    }
}

impl ServiceAccounts {
    async fn execute(&self, namespace: &str, action: &Action) -> Result<(), ExecuteError> {
        match action {
            Action::CreateAccount => {
                let account =
                    ServiceAccount { metadata: named(namespace, DEFAULT_ACCOUNT), ..ServiceAccount::default() };
                self.accounts.create(&account).await?;
            }
            Action::CreateAuthority => {
                let data = [(ROOT_CA_KEY.to_owned(), self.root_ca_pem.clone())].into();
                let mut metadata = named(namespace, ROOT_CA_NAME);
                let note = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc.";
                metadata.annotations = Some([("kubernetes.io/description".to_owned(), note.to_owned())].into());
                self.authorities.create(&ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }).await?;
            }
            Action::RestoreAuthority => {
                let patch = serde_json::json!({"data": {ROOT_CA_KEY: self.root_ca_pem}});
                self.authorities.patch(&Key::new(namespace, ROOT_CA_NAME), &patch).await?;
            }
        }
        Ok(())
    }
}

fn named(namespace: &str, name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn observed(deleting: bool, account: bool, authority: Option<&str>) -> Observed {
        let deleted = deleting.then_some("2026-01-01T00:00:00Z");
        Observed {
            namespace: Arc::new(
                serde_json::from_value(json!({"metadata": {"name": "shop", "deletionTimestamp": deleted}})).unwrap(),
            ),
            account: account.then(Arc::default),
            authority: authority.map(|pem| Arc::new(serde_json::from_value(json!({"data": {"ca.crt": pem}})).unwrap())),
        }
    }

    #[test]
    fn what_is_missing_is_made_and_what_was_changed_is_restored() {
        let cases = [
            (observed(false, false, None), vec![Action::CreateAccount, Action::CreateAuthority]),
            (observed(false, true, Some("other")), vec![Action::RestoreAuthority]),
            (observed(false, true, Some("pem")), vec![]),
            (observed(true, false, None), vec![]),
        ];
        for (observed, expected) in cases {
            assert_eq!(plan(&observed, "pem"), expected);
        }
    }
}
