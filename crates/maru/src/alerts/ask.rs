//! What people ask: is the file right, who would be told, why was I not told, does a test alert arrive.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use maru_alerts::{Rehearsal, drill_alert, load, rehearse as run_rehearsal};
use maru_metrics::parse_duration;
use maru_time::{Clock as _, SystemClock};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::report::Report;

/// Which server is asked.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArguments {
    /// The server's address
    #[arg(long, env = "ALERTMANAGER_URL", default_value = "http://127.0.0.1:9093", value_name = "URL")]
    url: String,
    /// The token to show
    #[arg(long, env = "MARU_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The authority to trust (PEM), such as DATA/keys/ca.crt of "maru up"
    #[arg(long, value_name = "FILE")]
    ca_certificate: Option<PathBuf>,
}

/// Reads `name=value`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.trim_matches('"').to_owned())),
        _ => Err("it is no label; write name=value".to_owned()),
    }
}

pub(crate) fn check(file: &Path, report: Report) -> anyhow::Result<u8> {
    let loaded = load(file)?;
    for warning in &loaded.warnings {
        report.line(format_args!("warning: {warning}"));
    }
    let counts = loaded.plan.counts();
    report.line(format_args!(
        "\"{}\" is right: {} routes, {} receivers, {} inhibition rules, {} templates",
        file.display(),
        counts.routes,
        counts.receivers,
        counts.inhibit_rules,
        counts.templates
    ));
    report.value(&json!({"file": file, "warnings": loaded.warnings}));
    Ok(0)
}

pub(crate) fn routes(file: &Path, labels: &[(String, String)], report: Report) -> anyhow::Result<u8> {
    let loaded = load(file)?;
    let found = loaded.plan.receivers_of(labels);
    for (path, receiver) in &found {
        report.line(format_args!("{receiver:<24} {path}"));
    }
    let found: Vec<Value> = found.iter().map(|(path, receiver)| json!({"receiver": receiver, "path": path})).collect();
    report.value(&json!({"routes": found}));
    Ok(0)
}

pub(crate) fn rehearse(file: &Path, timeline: &Path, report: Report) -> anyhow::Result<u8> {
    let loaded = load(file)?;
    let text = std::fs::read_to_string(timeline);
    let text = text.with_context(|| format!("cannot read \"{}\"", timeline.display()))?;
    let json: Value = serde_json::from_str(&text).with_context(|| format!("\"{}\" is no JSON", timeline.display()))?;
    let rehearsal = Rehearsal::from_json(&json).with_context(|| format!("\"{}\"", timeline.display()))?;
    let messages = run_rehearsal(&loaded.plan, rehearsal);
    for message in &messages {
        report.line(format_args!(
            "{}  {:<20} {:<10} {:<8} {} firing, {} resolved  {}  ({})",
            message.at,
            message.receiver,
            message.integration,
            message.status,
            message.firing.len(),
            message.resolved.len(),
            message.group_key,
            message.reason
        ));
    }
    report.line(format_args!("{} messages", messages.len()));
    let messages: Vec<Value> = messages.iter().map(maru_alerts::Rehearsed::to_json).collect();
    report.value(&json!({"notifications": messages}));
    Ok(0)
}

/// A client of the API.
struct Asker {
    client: reqwest::Client,
    server: ServerArguments,
}

impl Asker {
    fn new(server: &ServerArguments) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30));
        if let Some(path) = &server.ca_certificate {
            let pem = std::fs::read(path).with_context(|| format!("cannot read \"{}\"", path.display()))?;
            builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?);
        }
        Ok(Self { client: builder.build()?, server: server.clone() })
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let request = match &self.server.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().await.with_context(|| {
            format!("no answer from {}; is \"maru alerts\" running? give its address with --url", self.server.url)
        })?;
        let status = response.status();
        let text = response.text().await?;
        anyhow::ensure!(status.is_success(), "{} answers {status}: {}", self.server.url, text.trim());
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.server.url.trim_end_matches('/'))
    }
}

pub(crate) async fn why(server: &ServerArguments, matchers: &[String], report: Report) -> anyhow::Result<u8> {
    let asker = Asker::new(server)?;
    let filter: Vec<String> = matchers
        .iter()
        .map(|matcher| {
            let encoded = percent_encoding::utf8_percent_encode(matcher, percent_encoding::NON_ALPHANUMERIC);
            format!("filter={encoded}")
        })
        .collect();
    let path = asker.path(&format!("/api/v2/alerts/traces?{}", filter.join("&")));
    let traces = asker.ask(asker.client.get(path)).await?;
    let list = traces.as_array().cloned().unwrap_or_default();
    if list.is_empty() {
        report.line(format_args!(
            "no alert with {} came in, or it is forgotten: whoever evaluates the rule did not send it here",
            matchers.join(" ")
        ));
    }
    for trace in &list {
        for line in told(trace) {
            report.line(line);
        }
    }
    report.value(&traces);
    Ok(0)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn words(value: &Value) -> String {
    value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ")
}

fn pairs(value: &Value) -> String {
    let pairs: Vec<String> =
        value.as_object().into_iter().flatten().map(|(name, value)| format!("{name}={}", text(value))).collect();
    pairs.join(" ")
}

/// Tells a trace to a person.
fn told(trace: &Value) -> Vec<String> {
    let mut lines = vec![
        format!("{} {}", text(&trace["fingerprint"]), pairs(&trace["labels"])),
        format!(
            "  {} since {}, last received {}",
            text(&trace["status"]),
            text(&trace["startsAt"]),
            text(&trace["updatedAt"])
        ),
    ];
    if trace["inhibitedBy"].is_object() {
        lines.push(format!("  now inhibited by {}", pairs(&trace["inhibitedBy"]["labels"])));
    }
    for silence in trace["silencedBy"].as_array().into_iter().flatten() {
        lines.push(format!(
            "  now silenced by {} of {} until {}: {}",
            text(&silence["id"]),
            text(&silence["createdBy"]),
            text(&silence["endsAt"]),
            text(&silence["comment"])
        ));
    }
    for route in trace["routes"].as_array().into_iter().flatten() {
        lines.push(format!("  route {} to receiver \"{}\"", text(&route["path"]), text(&route["receiver"])));
        if route["integrations"].as_array().is_some_and(Vec::is_empty) {
            lines.push("    the receiver has no way to tell anybody".to_owned());
        }
        if route["mutedBy"].as_array().is_some_and(|names| !names.is_empty()) {
            lines.push(format!("    now muted by time: {}", words(&route["mutedBy"])));
        }
        if route["isWaiting"] == true {
            lines.push(format!("    the group waits for its first look at {}", text(&route["nextFlush"])));
        }
        for entry in route["told"].as_array().into_iter().flatten() {
            let what = match (entry["asFiring"].as_bool(), entry["asResolved"].as_bool()) {
                (Some(true), _) => "as firing",
                (_, Some(true)) => "as resolved",
                _ => "without this alert",
            };
            lines.push(format!(
                "    {} knows of the group since {}, {what}",
                text(&entry["integration"]),
                text(&entry["at"])
            ));
        }
    }
    for decision in trace["decisions"].as_array().into_iter().flatten() {
        lines.extend(decided(decision));
    }
    lines
}

fn decided(decision: &Value) -> Vec<String> {
    let times = match decision["times"].as_u64() {
        Some(times) if times > 1 => format!(" ({times} times, last {})", text(&decision["lastAt"])),
        _ => String::new(),
    };
    let mut lines = vec![format!("  {}{times}", text(&decision["at"]))];
    if decision["mutedBy"].as_array().is_some_and(|names| !names.is_empty()) {
        lines.push(format!("    not told: muted by time: {}", words(&decision["mutedBy"])));
    }
    if let Some(by) = decision["inhibitedBy"].as_str() {
        lines.push(format!("    not told: inhibited by alert {by}"));
    }
    if decision["silencedBy"].as_array().is_some_and(|ids| !ids.is_empty()) {
        lines.push(format!("    not told: silenced by {}", words(&decision["silencedBy"])));
    }
    for one in decision["integrations"].as_array().into_iter().flatten() {
        let what = match (one["sends"].as_bool(), one["delivered"].as_bool(), one["isUnderWay"].as_bool()) {
            (Some(false), ..) => "not told",
            (_, Some(true), _) => "told",
            (_, Some(false), _) => "could not be told",
            (_, _, Some(true)) => "is being told",
            _ => "decided",
        };
        lines.push(format!("    {}: {what}: {}", text(&one["integration"]), text(&one["reason"])));
        for attempt in one["attempts"].as_array().into_iter().flatten() {
            lines.push(format!("      {} {}", text(&attempt["at"]), text(&attempt["answer"])));
        }
    }
    lines
}

pub(crate) async fn drill(
    server: &ServerArguments,
    receiver: Option<&str>,
    labels: &[(String, String)],
    wait: &str,
    report: Report,
) -> anyhow::Result<u8> {
    let asker = Asker::new(server)?;
    let wait = parse_duration(wait).map_err(|why| anyhow::anyhow!("--wait: {why}; write for example 30s or 2m"))?;
    if let Some(name) = receiver {
        let known = asker.ask(asker.client.get(asker.path("/api/v2/receivers"))).await?;
        let names: Vec<&str> = known.as_array().into_iter().flatten().map(|one| text(&one["name"])).collect();
        anyhow::ensure!(names.contains(&name), "there is no receiver \"{name}\"; there are: {}", names.join(", "));
    }
    let now = SystemClock.now();
    let alert = drill_alert(receiver, labels, &now.as_second().to_string(), now);
    let map = |labels: &maru_prom::Labels| -> Map<String, Value> {
        labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
    };
    let post = |ends_at: maru_time::Timestamp| {
        let body = json!([{
            "labels": map(&alert.labels), "annotations": map(&alert.annotations),
            "startsAt": alert.starts_at.to_string(), "endsAt": ends_at.to_string(),
        }]);
        let request = asker.client.post(asker.path("/api/v2/alerts")).header("content-type", "application/json");
        asker.ask(request.body(body.to_string()))
    };
    post(alert.ends_at).await?;
    report.progress(format_args!("the test alert {} is on its way", alert.fingerprint()));
    let path = asker.path(&format!("/api/v2/alerts/{}/trace", alert.fingerprint()));
    let deadline = Instant::now() + wait;
    let trace = loop {
        let trace = asker.ask(asker.client.get(&path)).await?;
        let integrations = trace["decisions"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|decision| decision["integrations"].as_array().cloned().unwrap_or_default());
        let integrations: Vec<Value> = integrations.collect();
        let is_told = !integrations.is_empty() && integrations.iter().all(|one| one["isUnderWay"] == false);
        if is_told || Instant::now() >= deadline {
            break trace;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    // The drill is over; receivers that want to know are told.
    post(SystemClock.now()).await?;
    for line in told(&trace) {
        report.line(line);
    }
    let delivered: Vec<bool> = trace["decisions"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|decision| decision["integrations"].as_array().cloned().unwrap_or_default())
        .map(|one| one["delivered"] == true)
        .collect();
    let arrived = !delivered.is_empty() && delivered.iter().all(|one| *one);
    report.line(if arrived { "the drill arrived" } else { "the drill did not arrive" });
    report.value(&json!({"arrived": arrived, "trace": trace}));
    Ok(u8::from(!arrived))
}
