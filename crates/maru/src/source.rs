//! Where recorded samples are read: from a running server, or from the store in the data folder.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use http::{Request, Response};
use maru_http::{Body, Handler, collect_limited, full};
use maru_metrics::{Metrics, MetricsOptions};
use maru_task::Scope;
use serde_json::{Value, json};

use crate::settings::Paths;

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the store gets to close.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(10);
/// What a question and an answer may hold.
const BYTES_MAX: usize = 256 << 20;

#[derive(Debug, Args)]
pub(crate) struct SourceArguments {
    /// The running server whose samples are read; without it the store in the data folder, which no server may be using
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// A file with the token that the server wants
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) token_file: Option<PathBuf>,
    /// A file with the certificate of the authority that the server's is from
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(crate) ca_certificate: Option<PathBuf>,
}

/// An open source.
pub(crate) struct Source {
    /// Answers as the metrics API does.
    pub(crate) handler: Handler,
    scope: Scope,
}

impl Source {
    pub(crate) async fn open(paths: &Paths, arguments: &SourceArguments) -> anyhow::Result<Self> {
        let scope = Scope::root("source");
        if let Some(url) = &arguments.url {
            return Ok(Self { handler: remote(url, arguments)?, scope });
        }
        let directory = paths.metrics();
        anyhow::ensure!(directory.is_dir(), "there is no store in \"{}\"; give --data, or --url", directory.display());
        let mut options = MetricsOptions::new(directory);
        // A look changes nothing: what the server keeps is the server's to say.
        options.retention = Duration::ZERO;
        let opened = Metrics::open(&scope, options).await;
        let metrics = opened.context("give --url when a server is using the store")?;
        Ok(Self { handler: metrics.reader(), scope })
    }

    /// Sends a body and returns the data of the answer.
    pub(crate) async fn post(&self, path: &str, kind: &str, body: String) -> anyhow::Result<Value> {
        let request = Request::post(path).header("content-type", kind).body(full(body))?;
        let response = self.handler.call(request).await;
        let status = response.status();
        let body = collect_limited(response.into_body(), BYTES_MAX).await?;
        let mut answer: Value = serde_json::from_slice(&body)
            .with_context(|| format!("the answer {status} is no JSON: is that the address of a metrics API?"))?;
        anyhow::ensure!(answer["status"] == "success", "{}", answer["error"].as_str().unwrap_or("no reason was given"));
        Ok(answer["data"].take())
    }

    pub(crate) async fn close(self) {
        drop(self.handler);
        self.scope.shutdown(CLOSE_TIME_MAX).await.unwrap_or_default();
    }
}

/// Returns what passes requests on to a server.
fn remote(url: &str, arguments: &SourceArguments) -> anyhow::Result<Handler> {
    let mut builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
    if let Some(path) = &arguments.ca_certificate {
        let pem = std::fs::read(path).with_context(|| format!("cannot read \"{}\"", path.display()))?;
        builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?);
    }
    let client = builder.build()?;
    let token = match &arguments.token_file {
        Some(file) => {
            let token = std::fs::read_to_string(file).with_context(|| format!("cannot read \"{}\"", file.display()))?;
            Some(token.trim().to_owned())
        }
        None => None,
    };
    let base = url.trim_end_matches('/').to_owned();
    Ok(Handler::new(move |request: Request<Body>| {
        let (client, token, base) = (client.clone(), token.clone(), base.clone());
        async move {
            let asked = Box::pin(pass_on(&client, token.as_deref(), &base, request)).await;
            asked.unwrap_or_else(|error| {
                let told = json!({"status": "error", "error": format!("no answer from {base}: {error:#}")});
                Response::new(full(told.to_string()))
            })
        }
    }))
}

async fn pass_on(
    client: &reqwest::Client,
    token: Option<&str>,
    base: &str,
    request: Request<Body>,
) -> anyhow::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut asked = client.request(head.method, format!("{base}{path}")).headers(head.headers);
    if let Some(token) = token {
        asked = asked.bearer_auth(token);
    }
    let answer = asked.body(collect_limited(body, BYTES_MAX).await?).send().await?;
    let status = answer.status();
    let mut response = Response::new(full(answer.bytes().await?));
    *response.status_mut() = status;
    Ok(response)
}
