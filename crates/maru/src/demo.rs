//! `maru demo`: the sample shop, built into images, deployed from plain manifests, answering through the gateway.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use maru_api::Span;
use maru_time::{Timestamp, system_clock};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::acceptance;
use crate::arguments::{DemoArguments, GlobalArguments};
use crate::image;
use crate::install;
use crate::instance::Instance;
use crate::report::Report;
use crate::settings::Paths;
use crate::stages::Setup;

pub(crate) const NAMESPACE: &str = "shop";
pub(crate) const HOST: &str = "shop.localhost";
/// How long the shop's services may take until they are ready; PostgreSQL makes its database first.
const READY_TIME_MAX: Duration = Duration::from_secs(180);
/// How long the whole may take, with images from packages.
const INSTALL_TIME_MAX: Span = Span::from_secs(30 * 60);

pub(crate) async fn run(global: &GlobalArguments, demo: &DemoArguments, report: Report) -> anyhow::Result<u8> {
    anyhow::ensure!(
        demo.shop.join("manifests").is_dir(),
        "\"{}\" is not the sample shop; run this from Maru's checkout or name it with --shop",
        demo.shop.display()
    );
    let started = Instant::now();
    let paths = Paths::new(&global.data);
    let begun = system_clock().now();
    let mut steps = Steps { report, done: Vec::new() };
    if Instance::running(&paths).is_none() {
        let step = steps.begin("start Maru in the background");
        crate::detach::start(global, &demo.up, Report::new(false)).await?;
        steps.end(step);
    }
    let built = build_images(&paths, &demo.shop, &mut steps).await?;
    let mut context = crate::client::connect(global, Report::new(false)).await?;
    NAMESPACE.clone_into(&mut context.namespace);
    let step = steps.begin("apply the manifests");
    let manifests = maru_cli::read_manifests(&[demo.shop.join("manifests")])?;
    let workloads = workloads_of(&manifests);
    maru_cli::apply_documents(manifests, &context).await?;
    steps.end(step);
    let step = steps.begin(&format!("wait until {} workloads are ready", workloads.len()));
    for (kind, name) in &workloads {
        maru_cli::wait_until_ready(&context, kind, name, READY_TIME_MAX).await?;
    }
    steps.end(step);
    let running = Instance::running(&paths).context("Maru stopped while the shop was started")?;
    let step = steps.begin("order something through the gateway");
    let order = order(&running.http).await?;
    steps.end(step);
    let setup = Setup { install: steps.install(begun), ..built };
    let step = steps.begin("measure what the requirements ask for");
    let accepted = acceptance::run(&context, &paths, &running.http, &demo.shop.join(".maru"), &setup).await?;
    steps.end(step);
    let page = format!("http://{HOST}:{}/", running.http.rsplit(':').next().unwrap_or("8080"));
    report.line(format_args!("\nthe shop runs after {:.1} s: {page}", started.elapsed().as_secs_f64()));
    report.line(format_args!(
        "its first answer: order {} for {} KRW, payment {}",
        order["id"], order["total"], order["payment"]
    ));
    report.line(format_args!(
        "\n{} requirements, judged by what this run measured: {}\n\n{}\n\ndocuments: {}",
        accepted.requirements.len(),
        acceptance::summary(&accepted.requirements),
        acceptance::table(&accepted),
        accepted.documents.display()
    ));
    if let Some(text) = &accepted.architecture {
        let (ko, en) = (text.get(maru_api::Language::Ko), text.get(maru_api::Language::En));
        report.line(format_args!("\narchitecture: {ko}\n              {en}"));
    }
    if let Some(project) = &accepted.project {
        report.line(crate::project::where_it_is(project));
    }
    let console = crate::console::greeting_link(&paths, &running.console)?;
    report.line(format_args!("\nconsole: {console}"));
    report.line(format_args!(
        "\ntry:\n  curl {page}\n  maru get pods -n {NAMESPACE}\n  maru logs -n {NAMESPACE} deploy/orders -f\n  maru describe -n {NAMESPACE} statefulset/orders-db\n  maru -n {NAMESPACE} req show nfr-002\n  maru -n {NAMESPACE} evidence list\n  maru -n {NAMESPACE} analyze\n  maru -n {NAMESPACE} project gate\n  maru down"
    ));
    report.value(&json!({"page": page, "order": order, "seconds": started.elapsed().as_secs_f64(),
        "requirements": accepted.requirements, "documents": accepted.documents, "architecture": accepted.architecture, "project": accepted.project, "console": console,
        "steps": steps.done.iter().map(|(name, took)| json!({"step": name, "seconds": took.as_secs_f64()})).collect::<Vec<_>>()}));
    Ok(0)
}

struct Steps {
    report: Report,
    done: Vec<(String, Duration)>,
}

impl Steps {
    fn begin(&self, name: &str) -> (String, Instant) {
        self.report.progress(format_args!("{name} …"));
        (name.to_owned(), Instant::now())
    }

    fn end(&mut self, (name, started): (String, Instant)) {
        let took = started.elapsed();
        self.report.progress(format_args!("  {:.1} s", took.as_secs_f64()));
        self.done.push((name, took));
    }

    /// Returns what was done until now as the report of an installation.
    fn install(&self, from: Timestamp) -> String {
        let step = |(name, took): &(String, Duration)| install::Step { name: name.clone(), took: *took, failure: None };
        let steps: Vec<_> = self.done.iter().map(step).collect();
        let seen = install::Seen { name: "shop", within: Some(INSTALL_TIME_MAX), from, to: system_clock().now() };
        install::record(&seen, &steps)
    }
}

/// Builds the base images from packages, then an image for each folder with a Dockerfile.
async fn build_images(paths: &Paths, shop: &Path, steps: &mut Steps) -> anyhow::Result<Setup> {
    let store = image::open(paths)?;
    let (signer, builder) = image::provenance::builder_key(paths)?;
    let mut statements = Vec::new();
    for description in sorted(&shop.join("images"))? {
        let tag = format!("maru/{}", description.file_stem().unwrap_or_default().to_string_lossy());
        if image::is_built_from(&store, &tag, &description)? {
            let step = steps.begin(&format!("keep {tag}, built from packages before"));
            steps.end(step);
            continue;
        }
        let step = steps.begin(&format!("build {tag} from packages"));
        image::build_packages(paths, &store, &description, std::slice::from_ref(&tag), None).await?;
        steps.end(step);
    }
    for folder in sorted(shop)? {
        let dockerfile = folder.join("Dockerfile");
        if !dockerfile.exists() {
            continue;
        }
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let tag = format!("shop/{name}");
        let step = steps.begin(&format!("build {tag}"));
        let context = if has_own_context(&name) { folder.clone() } else { shop.to_owned() };
        let tags = vec![tag];
        let from = system_clock().now();
        let build = image::DockerfileBuild {
            dockerfile: Some(dockerfile.clone()),
            context: context.clone(),
            tags: tags.clone(),
            cgroup: paths.cgroup(),
            ..image::DockerfileBuild::default()
        };
        let outcome = image::build_dockerfile(&store, build, None).await?;
        let built = image::provenance::Built {
            images: &tags,
            digest: outcome.digest.to_string(),
            context: &context,
            dockerfile: &dockerfile,
            from,
            to: system_clock().now(),
        };
        statements.push(image::provenance::statement(&built, &signer).await?);
        steps.end(step);
    }
    let builder =
        std::fs::read_to_string(&builder).with_context(|| format!("cannot read \"{}\"", builder.display()))?;
    Ok(Setup { install: String::new(), provenance: crate::stages::lines(&statements), builder })
}

/// The databases need nothing from beside their folder.
fn has_own_context(name: &str) -> bool {
    matches!(name, "postgresql" | "redis")
}

fn sorted(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read \"{}\"", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn workloads_of(manifests: &[maru_cli::Manifest]) -> Vec<(String, String)> {
    let text =
        |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    manifests
        .iter()
        .map(|manifest| (text(&manifest.object, "/kind").to_lowercase(), text(&manifest.object, "/metadata/name")))
        .filter(|(kind, _)| matches!(kind.as_str(), "deployment" | "statefulset"))
        .collect()
}

/// Puts something into a cart and orders it, through the gateway as a browser would.
async fn order(gateway: &str) -> anyhow::Result<Value> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(15)).build()?;
    let ask = async |method: reqwest::Method, path: &str, body: Option<Value>| -> anyhow::Result<(u16, String)> {
        let mut request = client.request(method, format!("http://{gateway}{path}")).header("host", HOST);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.context("the gateway does not answer")?;
        Ok((response.status().as_u16(), response.text().await?))
    };
    // The Ingress may reach the gateway a moment after the services are ready.
    let deadline = Instant::now() + Duration::from_secs(30);
    let page = loop {
        let (status, page) = ask(reqwest::Method::GET, "/", None).await?;
        if status == 200 || Instant::now() >= deadline {
            anyhow::ensure!(status == 200, "the shop's page answers {status}: {page}");
            break page;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    anyhow::ensure!(page.contains("Kimchi"), "the shop's page has no products: {page}");
    let put = json!({"product": "kimchi", "count": 2});
    let (status, answer) = ask(reqwest::Method::POST, "/api/carts/jang/items", Some(put)).await?;
    anyhow::ensure!(status == 201, "the cart answers {status}: {answer}");
    let (status, answer) = ask(reqwest::Method::POST, "/api/orders", Some(json!({"customer": "jang"}))).await?;
    anyhow::ensure!(status == 201, "the order answers {status}: {answer}");
    serde_json::from_str(&answer).with_context(|| format!("the order's answer is not JSON: {answer}"))
}
