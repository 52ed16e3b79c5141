//! How a client reaches an API server.

use http::{Request, Response};
use http_body_util::BodyExt as _;
use maru_auth::Identity;
use maru_http::{Body, Handler};

use crate::Client;

/// A client could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig \"{path}\" cannot be used")]
    Kubeconfig {
        /// Where it was looked for.
        path: String,
        /// What is wrong with it.
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    /// No client could be made from the configuration.
    #[error("no client could be made for the cluster \"{cluster}\"")]
    Client {
        /// The cluster's address.
        cluster: String,
        /// What is wrong.
        #[source]
        source: Box<kube::Error>,
    },
}

/// Returns a client of an API server in this process, acting as `identity`: same protocol, no socket.
#[must_use]
pub fn in_process(api: &Handler, identity: &Identity) -> Client {
    let api = api.clone();
    let identity = identity.clone();
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let api = api.clone();
        let mut request: Request<Body> = request.map(|body| body.map_err(Into::into).boxed_unsync());
        request.extensions_mut().insert(identity.clone());
        async move {
            let response: Response<Body> = api.call(request).await;
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    Client::new(service, "default")
}

/// Returns a client acting as another user, for tests and impersonation.
#[must_use]
pub fn as_user(api: &Handler, user: &str, groups: &[&str]) -> Client {
    in_process(api, &Identity::new(user, groups))
}

/// Returns a client for the current context of a kubeconfig file.
///
/// # Errors
/// When the file is missing, malformed or names credentials that cannot be used.
pub async fn connect_kubeconfig(path: &std::path::Path) -> Result<Client, TransportError> {
    let wrap = |source| TransportError::Kubeconfig { path: path.display().to_string(), source: Box::new(source) };
    let kubeconfig = kube::config::Kubeconfig::read_from(path).map_err(wrap)?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
        .await
        .map_err(wrap)?;
    let cluster = config.cluster_url.to_string();
    Client::try_from(config).map_err(|source| TransportError::Client { cluster, source: Box::new(source) })
}
