//! The data plane between real clients and real upstreams on loopback.

mod http;
mod protocols;
mod under_load;
mod upstream_tls;
mod upstreams;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use maru_task::Scope;
use maru_telemetry::Registry;

use super::{AccessLogOptions, DataPlane, DataPlaneOptions};
use crate::compile::{HTTP_PORT, HTTPS_PORT, Place};
use crate::fixtures;
use crate::inputs::Inputs;

/// A data plane that serves both ports on loopback.
struct Serving {
    scope: Scope,
    plane: Arc<DataPlane>,
    registry: Registry,
    http: SocketAddr,
    https: SocketAddr,
}

impl Serving {
    async fn start(inputs: &Inputs) -> Self {
        Self::start_with(inputs, None, |_| {}).await
    }

    async fn start_with(
        inputs: &Inputs,
        log: Option<AccessLogOptions>,
        change: impl FnOnce(&mut DataPlaneOptions),
    ) -> Self {
        // An error says that another test was first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let scope = Scope::root("test");
        let registry = Registry::default();
        let mut options = DataPlaneOptions {
            threads: 2,
            trusted_proxies: Vec::new(),
            connect_timeout: Duration::from_secs(1),
            response_head_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(5),
            registry: registry.clone(),
            clock: maru_time::system_clock(),
        };
        change(&mut options);
        let plane = DataPlane::start(&scope, options, log).unwrap();
        plane.apply(fixtures::plan(inputs));
        let mut addresses = Vec::new();
        for (port, tls) in [(HTTP_PORT, false), (HTTPS_PORT, true)] {
            let bound = plane.bind(([127, 0, 0, 1], 0).into()).unwrap();
            addresses.push(bound.address);
            plane.serve(Place::shared(port), tls, bound).await;
        }
        for address in &addresses {
            maru_testkit::wait_until(Duration::from_secs(5), "the port to be served", || async {
                tokio::net::TcpStream::connect(address).await.is_ok()
            })
            .await;
        }
        Self { scope, plane, registry, http: addresses[0], https: addresses[1] }
    }

    fn apply(&self, inputs: &Inputs) {
        self.plane.apply(fixtures::plan(inputs));
    }

    async fn get(&self, host: &str, path: &str) -> reqwest::Response {
        let url = format!("http://{}{path}", self.http);
        client().get(url).header("host", host).send().await.unwrap()
    }

    async fn stop(self) {
        let Self { scope, plane, .. } = self;
        scope.shutdown(Duration::from_secs(10)).await.unwrap();
        drop(plane);
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}
