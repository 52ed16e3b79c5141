//! What the demo measures of the sample shop: tests and a small load through the gateway, as evidence for its requirements.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};
use maru_api::{Digest, Language, LocalText, Project, Requirement, WorkItem, WorkItemSpec};
use maru_evidence::readers::Format;
use maru_process::{Attestation, Desk, Effort, Ledger};
use maru_time::{Timestamp, system_clock};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::demo::{HOST, NAMESPACE};
use crate::settings::Paths;
use crate::stages::Setup;

pub(crate) const ENVIRONMENT: &str = "dev";
/// Requests of each scenario, and how many of them at a time.
const REQUESTS: u64 = 400;
const AT_A_TIME: u64 = 4;
/// The times, in seconds, within which answers are counted.
const WITHIN: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
/// How long verdicts may take; they are told in any case.
const VERDICT_TIME_MAX: Duration = Duration::from_secs(20);

/// The shop as it is reached from outside.
#[derive(Clone)]
pub(crate) struct Shop {
    client: reqwest::Client,
    gateway: String,
}

pub(crate) type Answer = (u16, Value);

impl Shop {
    fn new(gateway: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(15)).build()?;
        Ok(Self { client, gateway: gateway.to_owned() })
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> anyhow::Result<Answer> {
        let method = reqwest::Method::from_bytes(method.as_bytes())?;
        let mut request = self.client.request(method, format!("http://{}{path}", self.gateway)).header("host", HOST);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await.context("the gateway does not answer")?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }

    pub(crate) async fn put(&self, customer: &str, product: &str, count: i64) -> anyhow::Result<Answer> {
        let item = json!({"product": product, "count": count});
        self.ask("POST", &format!("/api/carts/{customer}/items"), Some(item)).await
    }

    async fn items(&self, customer: &str) -> anyhow::Result<Value> {
        let (status, cart) = self.ask("GET", &format!("/api/carts/{customer}"), None).await?;
        anyhow::ensure!(status == 200, "the cart answers {status}: {cart}");
        Ok(cart["items"].clone())
    }

    pub(crate) async fn order(&self, customer: &str) -> anyhow::Result<Answer> {
        self.ask("POST", "/api/orders", Some(json!({"customer": customer}))).await
    }
}

/// What one case came to.
struct Case {
    name: &'static str,
    failure: Option<String>,
}

/// What the demo shows in the end.
pub(crate) struct Accepted {
    /// The requirements with their verdicts.
    pub(crate) requirements: Vec<Requirement>,
    /// What is done for them.
    pub(crate) work: Vec<WorkItem>,
    /// The project, with the stage that it is in and what blocks it.
    pub(crate) project: Option<Project>,
    /// Where the documents are.
    pub(crate) documents: PathBuf,
    /// Whether the requirements can hold together with what was measured, for people.
    pub(crate) architecture: Option<LocalText>,
}

/// Measures the shop, records what came out, waits for the verdicts that follow, and makes the documents.
pub(crate) async fn run(
    context: &maru_cli::Context,
    paths: &Paths,
    gateway: &str,
    folder: &Path,
    setup: &Setup,
) -> anyhow::Result<Accepted> {
    const FILES: [&str; 8] = [
        "project.yaml",
        "glossary.yaml",
        "architecture.yaml",
        "environments.yaml",
        "gates.yaml",
        "requirements",
        "workitems.yaml",
        "objectives.yaml",
    ];
    let files = FILES.map(|name| folder.join(name));
    let mut manifests = maru_cli::read_manifests(&files)?;
    crate::import::add_history(&mut manifests, folder).await;
    manifests.extend(crate::import::models_beside(&folder.join("requirements"), NAMESPACE)?);
    maru_cli::apply_documents(manifests, context).await?;
    let shop = Shop::new(gateway)?;
    let ledger = Ledger::open(&paths.evidence())?;
    let desk = Desk::new(context.client.clone(), ledger, NAMESPACE);
    crate::stages::record(&desk, context, &shop, setup, folder).await?;
    let cases = test(&shop, context).await;
    let mut reports = vec![(Format::Junit, junit(&cases))];
    for (scenario, path) in [("shop-page", "/"), ("shop-products", "/api/products")] {
        reports.push((Format::Load, load(&shop, scenario, path).await?));
    }
    let mut recorded = BTreeSet::new();
    for (format, content) in reports {
        let environment = Some(ENVIRONMENT.to_owned());
        let wanted = Attestation { environment, ..Attestation::new(format, content.into_bytes()) };
        let made = desk.attest(&wanted, system_clock().now()).await?;
        recorded.extend(made.into_iter().map(|one| one.envelope));
    }
    let requirements = judged(&desk, &recorded).await?;
    let documents = paths.data.join("documents").join(NAMESPACE);
    let models = crate::export::models(Some(&folder.join("models")), true)?;
    let formats = &maru_documents::Format::ALL;
    crate::export::documents(&desk, &documents, models, Language::Ko, formats, system_clock().now()).await?;
    let architecture = analysis(context).await?;
    let project = desk.project().await?;
    let work = desk.list::<WorkItemSpec>().await?;
    Ok(Accepted { project, requirements, work, documents, architecture })
}

/// Analyses the architecture with what was measured.
async fn analysis(context: &maru_cli::Context) -> anyhow::Result<Option<LocalText>> {
    let Some((_, Ok(question))) = maru_process::questions(&context.client, NAMESPACE).await?.into_iter().next() else {
        return Ok(None);
    };
    let answered = tokio::task::spawn_blocking(move || maru_process::analyse(&question, &Effort::default())).await?;
    Ok(match answered {
        Ok(analysis) => analysis.status().reason_text,
        Err(error) => Some(error.text()),
    })
}

/// Waits until the evidence is looked at, and returns the requirements.
async fn judged(desk: &Desk, recorded: &BTreeSet<Digest>) -> anyhow::Result<Vec<Requirement>> {
    let deadline = Instant::now() + VERDICT_TIME_MAX;
    loop {
        let all = desk.requirements().await?;
        let found = all.iter().filter_map(|one| one.status.as_ref()).flat_map(|status| &status.checks);
        let seen: BTreeSet<_> = found.filter_map(|check| check.evidence).collect();
        let all_judged = all.iter().all(|one| one.status.is_some());
        if (all_judged && recorded.is_subset(&seen)) || Instant::now() >= deadline {
            return Ok(all);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Returns how many requirements have which verdict, for one line.
pub(crate) fn summary(all: &[Requirement]) -> String {
    let verdicts = [maru_api::Verdict::Conforming, maru_api::Verdict::Nonconforming, maru_api::Verdict::NotMeasured];
    let count = |verdict| {
        all.iter().filter(|one| one.status.as_ref().and_then(|status| status.verdict) == Some(verdict)).count()
    };
    verdicts.map(|verdict| format!("{} {}", verdict.korean(), count(verdict))).join(" · ")
}

/// Returns the traceability table.
pub(crate) fn table(accepted: &Accepted) -> String {
    crate::spine::trace(&accepted.requirements, &accepted.work, Language::Ko)
}

async fn test(shop: &Shop, context: &maru_cli::Context) -> Vec<Case> {
    // Each run has customers of its own: carts outlive runs.
    let run = system_clock().now().as_millisecond();
    let mut cases = Vec::new();
    let mut case = |name: &'static str, result: anyhow::Result<()>| {
        cases.push(Case { name, failure: result.err().map(|error| format!("{error:#}")) });
    };
    case("storefront/lists-products", lists_products(shop).await);
    case("cart/adds", adds(shop, &format!("kim-{run}")).await);
    case("cart/refuses-zero", refuses_zero(shop, &format!("lee-{run}")).await);
    let customer = format!("park-{run}");
    match orders(shop, &customer).await {
        Ok(order) => {
            case("orders/places", order.places());
            case("orders/total", order.total());
            case("orders/empties-cart", order.empties_cart());
            case("orders/listed", order.listed());
        }
        Err(error) => case("orders/places", Err(error)),
    }
    case("orders/refuses-empty-cart", refuses_empty_cart(shop, &format!("choi-{run}")).await);
    case("payments/limit", limit(shop, &format!("jung-{run}")).await);
    case("security/least-privilege", least_privilege(context).await);
    case("security/no-admin-outside", no_admin_outside(shop).await);
    cases
}

async fn lists_products(shop: &Shop) -> anyhow::Result<()> {
    let (status, page) = shop.ask("GET", "/", None).await?;
    anyhow::ensure!(status == 200, "the page answers {status}");
    let (_, products) = shop.ask("GET", "/api/products", None).await?;
    let products = products.as_array().context("the products are no list")?;
    anyhow::ensure!(!products.is_empty(), "there are no products");
    let page = page.as_str().unwrap_or_default();
    for product in products {
        let (name, price) = (product["name"].as_str().unwrap_or_default(), &product["price"]);
        anyhow::ensure!(page.contains(name) && page.contains(&price.to_string()), "the page lacks {name} for {price}");
    }
    Ok(())
}

async fn adds(shop: &Shop, customer: &str) -> anyhow::Result<()> {
    for count in [2, 1] {
        let (status, answer) = shop.put(customer, "kimchi", count).await?;
        anyhow::ensure!(status == 201, "the cart answers {status}: {answer}");
    }
    let items = shop.items(customer).await?;
    anyhow::ensure!(items == json!({"kimchi": 3}), "after 2 and 1 kimchi the cart holds {items}");
    Ok(())
}

async fn refuses_zero(shop: &Shop, customer: &str) -> anyhow::Result<()> {
    shop.put(customer, "tea", 1).await?;
    for count in [0, -1] {
        let (status, answer) = shop.put(customer, "tea", count).await?;
        anyhow::ensure!(status == 400, "{count} tea is answered {status}: {answer}");
    }
    let items = shop.items(customer).await?;
    anyhow::ensure!(items == json!({"tea": 1}), "the cart changed to {items}");
    Ok(())
}

async fn refuses_empty_cart(shop: &Shop, customer: &str) -> anyhow::Result<()> {
    let (status, answer) = shop.order(customer).await?;
    anyhow::ensure!(status == 409, "an order of nothing is answered {status}: {answer}");
    Ok(())
}

async fn limit(shop: &Shop, customer: &str) -> anyhow::Result<()> {
    // 40 times 32,000 KRW.
    shop.put(customer, "rice", 40).await?;
    let (status, answer) = shop.order(customer).await?;
    anyhow::ensure!(status == 402, "a payment of 1,280,000 KRW is answered {status}: {answer}");
    Ok(())
}

async fn no_admin_outside(shop: &Shop) -> anyhow::Result<()> {
    let (status, answer) = shop.ask("GET", "/admin/failures", None).await?;
    anyhow::ensure!(status == 404 || status == 403, "GET /admin/failures from outside is answered {status}: {answer}");
    Ok(())
}

async fn least_privilege(context: &maru_cli::Context) -> anyhow::Result<()> {
    let pods = Api::<Pod>::namespaced(context.client.clone(), NAMESPACE).list(&ListParams::default()).await?;
    let components = ["storefront", "cart", "catalog", "orders", "payments"];
    let mut looked_at = 0;
    for pod in pods {
        let app = pod.metadata.labels.as_ref().and_then(|labels| labels.get("app")).cloned().unwrap_or_default();
        let Some(spec) = pod.spec.filter(|_| components.contains(&app.as_str())) else { continue };
        let of_pod = spec.security_context.and_then(|context| context.run_as_non_root).unwrap_or(false);
        for container in spec.containers {
            let own = container.security_context.unwrap_or_default();
            anyhow::ensure!(own.run_as_non_root.unwrap_or(of_pod), "{app}: {} may run as root", container.name);
            let added = own.capabilities.and_then(|capabilities| capabilities.add).unwrap_or_default();
            anyhow::ensure!(added.is_empty(), "{app}: {} has the capabilities {}", container.name, added.join(", "));
            looked_at += 1;
        }
    }
    anyhow::ensure!(looked_at >= components.len(), "only {looked_at} containers run");
    Ok(())
}

/// An order and what was to be seen around it.
struct Order {
    status: u16,
    answer: Value,
    wanted: i64,
    cart: Value,
    listed: Value,
}

async fn orders(shop: &Shop, customer: &str) -> anyhow::Result<Order> {
    let (_, products) = shop.ask("GET", "/api/products", None).await?;
    let price = |id: &str| {
        let found = products.as_array().into_iter().flatten().find(|product| product["id"] == id);
        found.and_then(|product| product["price"].as_i64()).with_context(|| format!("\"{id}\" has no price"))
    };
    let wanted = price("tea")? * 2 + price("bowl")?;
    shop.put(customer, "tea", 2).await?;
    shop.put(customer, "bowl", 1).await?;
    let (status, answer) = shop.order(customer).await?;
    let cart = shop.items(customer).await?;
    let (_, listed) = shop.ask("GET", "/api/orders", None).await?;
    Ok(Order { status, answer, wanted, cart, listed })
}

impl Order {
    fn places(&self) -> anyhow::Result<()> {
        let complete = self.answer["id"].is_i64() && self.answer["payment"].is_string();
        anyhow::ensure!(self.status == 201 && complete, "the order is answered {}: {}", self.status, self.answer);
        Ok(())
    }

    fn total(&self) -> anyhow::Result<()> {
        let (total, wanted) = (&self.answer["total"], self.wanted);
        anyhow::ensure!(*total == wanted, "the total is {total} instead of {wanted}");
        Ok(())
    }

    fn empties_cart(&self) -> anyhow::Result<()> {
        anyhow::ensure!(self.cart == json!({}), "the cart still holds {}", self.cart);
        Ok(())
    }

    fn listed(&self) -> anyhow::Result<()> {
        let id = &self.answer["id"];
        let found = self.listed.as_array().into_iter().flatten().any(|order| order["id"] == *id);
        anyhow::ensure!(found, "order {id} is not in the list");
        Ok(())
    }
}

/// Writes the cases as JUnit's XML.
fn junit(cases: &[Case]) -> String {
    let escape = |text: &str| -> String {
        let plain = text.chars().filter(|letter| !letter.is_control());
        plain.fold(String::new(), |mut whole, letter| {
            match letter {
                '<' => whole.push_str("&lt;"),
                '>' => whole.push_str("&gt;"),
                '&' => whole.push_str("&amp;"),
                '"' => whole.push_str("&quot;"),
                other => whole.push(other),
            }
            whole
        })
    };
    let failed = cases.iter().filter(|case| case.failure.is_some()).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"shop\" tests=\"{}\" failures=\"{failed}\">\n",
        cases.len()
    );
    for case in cases {
        let result = match &case.failure {
            None => writeln!(text, "  <testcase name=\"{}\"/>", case.name),
            Some(failure) => writeln!(
                text,
                "  <testcase name=\"{}\"><failure message=\"{}\"/></testcase>",
                case.name,
                escape(failure)
            ),
        };
        debug_assert!(result.is_ok(), "writing to a string does not fail");
    }
    text.push_str("</testsuite>\n</testsuites>\n");
    text
}

/// What requests of a load came to.
#[derive(Default)]
struct Counts {
    /// How long the right answers took, in seconds.
    right: Vec<f64>,
    failed: u64,
    lost: u64,
}

/// Sends requests, some at a time, and returns the summary.
async fn load(shop: &Shop, scenario: &str, path: &str) -> anyhow::Result<String> {
    let from = system_clock().now();
    let one = |count: u64| {
        let shop = shop.clone();
        async move {
            let mut counts = Counts::default();
            for _ in 0..count {
                let started = Instant::now();
                match shop.ask("GET", path, None).await {
                    Ok((200, _)) => counts.right.push(started.elapsed().as_secs_f64()),
                    Ok(_) => counts.failed += 1,
                    Err(_) => counts.lost += 1,
                }
            }
            counts
        }
    };
    let all = futures::future::join_all((0..AT_A_TIME).map(|_| one(REQUESTS / AT_A_TIME))).await;
    let to = system_clock().now();
    let right: Vec<f64> = all.iter().flat_map(|counts| &counts.right).copied().collect();
    let within: Vec<Value> =
        WITHIN.iter().map(|bound| json!([bound, right.iter().filter(|seconds| **seconds <= *bound).count()])).collect();
    let sum = |of: fn(&Counts) -> u64| all.iter().map(of).sum::<u64>();
    Ok(json!({
        "kind": "maru.dev/load/v1", "scenario": scenario, "from": time(from), "to": time(to), "requests": REQUESTS,
        "failed": sum(|counts| counts.failed), "lost": sum(|counts| counts.lost), "within": within, "valid": true,
        "slowest": right.iter().copied().fold(0.0, f64::max), "version": env!("CARGO_PKG_VERSION"),
    })
    .to_string())
}

fn time(at: Timestamp) -> String {
    maru_time::rfc3339_micros(at)
}
