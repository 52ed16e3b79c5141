//! Objects that pods refer to, read from the API when they are needed.

use std::collections::BTreeMap;

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolume, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use kube::api::{Api, ListParams, PostParams};
use maru_client::Client;
use maru_time::Timestamp;

use crate::pod;

/// An object that a pod refers to could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ObjectError {
    /// There is none of that name.
    #[error("{kind} \"{name}\" not found")]
    Missing { kind: &'static str, name: String },
    /// The API server refused or did not answer.
    #[error("could not read {kind} \"{name}\"")]
    Api {
        kind: &'static str,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
}

/// A ServiceAccount's token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) text: Secrecy,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// A text that must not be printed.
#[derive(Clone)]
pub(crate) struct Secrecy(pub(crate) String);

impl std::fmt::Debug for Secrecy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("***")
    }
}

/// Reads objects that pods refer to.
#[derive(Clone)]
pub(crate) struct Objects {
    client: Client,
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Objects")
    }
}

impl Objects {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    pub(crate) async fn config_map(&self, namespace: &str, name: &str) -> Result<ConfigMap, ObjectError> {
        found(Api::<ConfigMap>::namespaced(self.client.clone(), namespace).get_opt(name).await, "configmap", name)
    }

    pub(crate) async fn secret(&self, namespace: &str, name: &str) -> Result<Secret, ObjectError> {
        found(Api::<Secret>::namespaced(self.client.clone(), namespace).get_opt(name).await, "secret", name)
    }

    pub(crate) async fn claim(&self, namespace: &str, name: &str) -> Result<PersistentVolumeClaim, ObjectError> {
        let api = Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), namespace);
        found(api.get_opt(name).await, "persistentvolumeclaim", name)
    }

    pub(crate) async fn volume(&self, name: &str) -> Result<PersistentVolume, ObjectError> {
        found(Api::<PersistentVolume>::all(self.client.clone()).get_opt(name).await, "persistentvolume", name)
    }

    pub(crate) async fn service_account(&self, namespace: &str, name: &str) -> Result<ServiceAccount, ObjectError> {
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), namespace);
        found(api.get_opt(name).await, "serviceaccount", name)
    }

    pub(crate) async fn service(&self, namespace: &str, name: &str) -> Result<Service, ObjectError> {
        found(Api::<Service>::namespaced(self.client.clone(), namespace).get_opt(name).await, "service", name)
    }

    pub(crate) async fn services(&self, namespace: &str) -> Result<Vec<Service>, ObjectError> {
        let api = Api::<Service>::namespaced(self.client.clone(), namespace);
        let wrap = |source| ObjectError::Api {
            kind: "services of namespace",
            name: namespace.to_owned(),
            source: Box::new(source),
        };
        Ok(api.list(&ListParams::default()).await.map_err(wrap)?.items)
    }

    /// Asks for a token of the pod's ServiceAccount that ends with the pod.
    pub(crate) async fn token(
        &self,
        pod: &Pod,
        audience: Option<&str>,
        lifetime_seconds: i64,
        now: Timestamp,
    ) -> Result<Token, ObjectError> {
        let account = pod::service_account(pod);
        let wrap = |source| ObjectError::Api {
            kind: "a token of serviceaccount",
            name: account.to_owned(),
            source: Box::new(source),
        };
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: audience.map(|audience| vec![audience.to_owned()]),
                expiration_seconds: Some(lifetime_seconds),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: pod.metadata.name.clone(),
                    uid: pod.metadata.uid.clone(),
                }),
            }),
            ..TokenRequest::default()
        };
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), pod::namespace(pod));
        let answer = api.create_token_request(account, &PostParams::default(), &request).await.map_err(wrap)?;
        let status = answer.status.unwrap_or_default();
        match (status.token, status.expiration_timestamp) {
            (Some(token), Some(expires_at)) => {
                Ok(Token { text: Secrecy(token), issued_at: now, expires_at: expires_at.0 })
            }
            _ => Err(ObjectError::Missing { kind: "token of serviceaccount", name: account.to_owned() }),
        }
    }
}

fn found<T>(answer: Result<Option<T>, kube::Error>, kind: &'static str, name: &str) -> Result<T, ObjectError> {
    match answer {
        Ok(Some(object)) => Ok(object),
        Ok(None) => Err(ObjectError::Missing { kind, name: name.to_owned() }),
        Err(source) => Err(ObjectError::Api { kind, name: name.to_owned(), source: Box::new(source) }),
    }
}

/// Returns all values of a ConfigMap, text and binary alike.
pub(crate) fn config_map_data(map: &ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let text = map.data.iter().flatten().map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    let binary = map.binary_data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone()));
    text.chain(binary).collect()
}

/// Returns all values of a Secret.
pub(crate) fn secret_data(secret: &Secret) -> BTreeMap<String, Vec<u8>> {
    secret.data.iter().flatten().map(|(key, value)| (key.clone(), value.0.clone())).collect()
}
