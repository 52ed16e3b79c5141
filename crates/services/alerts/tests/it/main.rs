//! Alertmanager's duties: the engine by simulated time, the service over real HTTP with real clients.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "a test that cannot run says so")]

mod amtool;
mod api;
mod delivery;
mod kill;
mod mail;
mod outages;
mod prometheus;
mod timings;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use maru_alerts::{Alerts, AlertsOptions, ConfigSource, Plan, load_text};
use maru_http::Handler;
use maru_task::Scope;
use maru_testkit::TempDir;
use serde_json::Value as Json;
use tokio::net::TcpListener;

/// Long enough for a slow, loaded day.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a configuration ready.
fn plan(text: &str) -> Arc<Plan> {
    load_text(text, &PathBuf::from(".")).unwrap_or_else(|problems| panic!("{}", problems.join("\n"))).plan
}

/// A server; everything goes away with it.
struct Running {
    url: String,
    client: reqwest::Client,
    scope: Scope,
    alerts: Alerts,
    folder: TempDir,
}

impl Running {
    async fn start(config: &str) -> Self {
        Self::start_in(TempDir::new(), config, |_| {}).await
    }

    async fn start_in(folder: TempDir, config: &str, change: impl FnOnce(&mut AlertsOptions)) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let path = folder.join("alertmanager.yml");
        std::fs::write(&path, config).unwrap();
        let mut options = AlertsOptions::new(folder.join("alerts"));
        options.config = ConfigSource::File(path);
        change(&mut options);
        let scope = Scope::root("test");
        let alerts = Alerts::open(&scope, options).unwrap_or_else(|error| panic!("{error}"));
        let (url, handler) = (serve(&scope, alerts.handler()).await, reqwest::Client::builder());
        let client = handler.timeout(PATIENCE).no_proxy().build().unwrap();
        Self { url, client, scope, alerts, folder }
    }

    async fn get(&self, path: &str) -> (u16, Json) {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into()))
    }

    async fn post(&self, path: &str, body: impl Into<String>) -> (u16, String) {
        let request = self.client.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        let response = request.body(body.into()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Brings alerts that fire.
    async fn fire(&self, labels: &[Json]) {
        let alerts: Vec<Json> = labels.iter().map(|labels| serde_json::json!({"labels": labels})).collect();
        let (status, answer) = self.post("/api/v2/alerts", Json::Array(alerts).to_string()).await;
        assert_eq!((status, answer.as_str()), (200, ""));
    }

    /// Stops at once, as if killed: nothing is told, nothing is written any more.
    fn kill(self) -> TempDir {
        self.scope.cancel();
        let Self { folder, .. } = self;
        folder
    }
}

/// Serves on a free port of loopback.
async fn serve(scope: &Scope, handler: Handler) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = maru_http::Server { name: "test", listener, tls: None, handler, limits: maru_http::Limits::default() };
    drop(scope.spawn("accept", maru_http::serve(scope.clone(), server)));
    url
}

/// A receiver that remembers what it was told, and answers what it is told to.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<(Vec<Json>, u16)>>);

impl Ear {
    fn heard(&self) -> Vec<Json> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Answers with another status from now on; 0 is 200.
    fn answer(&self, status: u16) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = status;
    }

    fn handler(&self) -> Handler {
        let ear = self.clone();
        Handler::new(move |request| {
            let ear = ear.clone();
            async move {
                let path = request.uri().path().to_owned();
                let headers = request.headers().clone();
                let body = maru_http::collect_limited(request.into_body(), 16 << 20).await.unwrap();
                let mut json: Json = serde_json::from_slice(&body).unwrap();
                json["_path"] = path.into();
                if let Some(authorization) = headers.get("authorization") {
                    json["_authorization"] = authorization.to_str().unwrap().into();
                }
                let mut held = ear.0.lock().unwrap_or_else(PoisonError::into_inner);
                let status = if held.1 == 0 { 200 } else { held.1 };
                json["_status"] = status.into();
                held.0.push(json);
                let mut response = http::Response::new(maru_http::full("{\"ok\":true}"));
                *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
                response
            }
        })
    }
}

/// Tells whether a program is there; says so when it is not.
fn has_program(name: &str, package: &str) -> bool {
    let found =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|path| path.join(name).exists());
    if !found {
        println!("skipped: needs {name} (package {package})");
    }
    found
}
