//! Columns of access control, quotas, events and the rest.

use maru_time::Timestamp;
use serde_json::{Value, json};

use super::{Column, Row, age};

pub(super) fn namespace() -> Vec<Column> {
    vec![Column::name(), Column::text("Status", |row| json!(row.text("/status/phase"))), Column::age()]
}

pub(super) fn service_account() -> Vec<Column> {
    vec![Column::name(), Column::text("Secrets", |row| json!(row.count("/secrets"))), Column::age()]
}

/// Name and the time of creation, as roles, limit ranges and CRDs show.
pub(super) fn created_at() -> Vec<Column> {
    let created = |row: Row<'_>| json!(row.text("/metadata/creationTimestamp"));
    vec![Column::name(), Column { kind: "date".to_owned(), ..Column::text("Created At", created) }]
}

pub(super) fn role_binding() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Role", |row| json!(format!("{}/{}", row.text("/roleRef/kind"), row.text("/roleRef/name")))),
        Column::age(),
        Column::wide("Users", |row| json!(subjects(row, "User"))),
        Column::wide("Groups", |row| json!(subjects(row, "Group"))),
        Column::wide("ServiceAccounts", |row| json!(subjects(row, "ServiceAccount"))),
    ]
}

fn subjects(row: Row<'_>, kind: &str) -> String {
    let name = |subject: &Value| {
        let name = subject["name"].as_str().unwrap_or_default();
        match subject["namespace"].as_str().filter(|_| kind == "ServiceAccount") {
            Some(namespace) => format!("{namespace}/{name}"),
            None => name.to_owned(),
        }
    };
    let names: Vec<String> = row.list("/subjects").iter().filter(|s| s["kind"] == kind).map(name).collect();
    names.join(", ")
}

pub(super) fn pod_disruption_budget() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Min Available", |row| json!(or_not_applicable(row.at("/spec/minAvailable")))),
        Column::text("Max Unavailable", |row| json!(or_not_applicable(row.at("/spec/maxUnavailable")))),
        Column::new("Allowed Disruptions", "integer", |row| json!(row.number("/status/disruptionsAllowed"))),
        Column::age(),
    ]
}

fn or_not_applicable(value: &Value) -> String {
    if value.is_null() { "N/A".to_owned() } else { plain(value) }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn priority_class() -> Vec<Column> {
    vec![
        Column::name(),
        Column::new("Value", "integer", |row| json!(row.number("/value"))),
        Column::new("Global-Default", "boolean", |row| json!(row.at("/globalDefault") == true)),
        Column::age(),
        Column::text("PreemptionPolicy", |row| json!(row.text_or("/preemptionPolicy", "PreemptLowerPriority"))),
    ]
}

pub(super) fn runtime_class() -> Vec<Column> {
    vec![Column::name(), Column::text("Handler", |row| json!(row.text("/handler"))), Column::age()]
}

pub(super) fn resource_quota() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Request", |row| json!(quota(row, false))),
        Column::text("Limit", |row| json!(quota(row, true))),
        Column::age(),
    ]
}

fn quota(row: Row<'_>, is_limit: bool) -> String {
    let hard = row.at("/status/hard").as_object().into_iter().flatten();
    let each = hard.filter(|(name, _)| name.starts_with("limits.") == is_limit).map(|(name, hard)| {
        let used = row.at("/status/used").get(name).map_or_else(|| "0".to_owned(), plain);
        format!("{name}: {used}/{}", plain(hard))
    });
    let mut texts: Vec<String> = each.collect();
    texts.sort_unstable();
    texts.join(", ")
}

pub(super) fn lease() -> Vec<Column> {
    vec![Column::name(), Column::text("Holder", |row| json!(row.text("/spec/holderIdentity"))), Column::age()]
}

pub(super) fn webhook_configuration() -> Vec<Column> {
    vec![Column::name(), Column::new("Webhooks", "integer", |row| json!(row.count("/webhooks"))), Column::age()]
}

pub(super) fn admission_policy() -> Vec<Column> {
    vec![
        Column::name(),
        Column::new("Validations", "integer", |row| json!(row.count("/spec/validations"))),
        Column::text("ParamKind", |row| {
            let kind = row.at("/spec/paramKind");
            match (kind["apiVersion"].as_str(), kind["kind"].as_str()) {
                (Some(version), Some(kind)) => json!(format!("{version}/{kind}")),
                _ => json!("<unset>"),
            }
        }),
        Column::age(),
    ]
}

pub(super) fn api_service() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Service", |row| match row.at("/spec/service") {
            Value::Null => json!("Local"),
            service => {
                let text = |field: &str| service[field].as_str().unwrap_or_default();
                json!(format!("{}/{}", text("namespace"), text("name")))
            }
        }),
        Column::text("Available", |row| json!(row.condition("Available").unwrap_or("Unknown"))),
        Column::age(),
    ]
}

pub(super) fn certificate_signing_request() -> Vec<Column> {
    vec![
        Column::name(),
        Column::age(),
        Column::text("SignerName", |row| json!(row.text_or("/spec/signerName", "<none>"))),
        Column::text("Requestor", |row| json!(row.text("/spec/username"))),
        Column::text("RequestedDuration", |row| {
            json!(row.at("/spec/expirationSeconds").as_i64().map_or_else(|| "<none>".to_owned(), age::human_duration))
        }),
        Column::text("Condition", |row| {
            let kinds = row.list("/status/conditions").iter().filter_map(|c| c["type"].as_str());
            let mut kinds: Vec<&str> = kinds.collect();
            if kinds.is_empty() {
                kinds.push("Pending");
            }
            if !row.text("/status/certificate").is_empty() {
                kinds.push("Issued");
            }
            json!(kinds.join(","))
        }),
    ]
}

pub(super) fn event() -> Vec<Column> {
    vec![
        Column::text("Last Seen", |row| json!(last_seen(row))),
        Column::text("Type", |row| json!(row.text("/type"))),
        Column::text("Reason", |row| json!(row.text("/reason"))),
        Column::text("Object", |row| {
            let object = involved(row);
            let text = |field: &str| object[field].as_str().unwrap_or_default();
            let kind = text("kind").to_ascii_lowercase();
            json!(if text("name").is_empty() { kind } else { format!("{kind}/{}", text("name")) })
        }),
        Column::wide("Subobject", |row| json!(involved(row)["fieldPath"].as_str().unwrap_or_default())),
        Column::wide("Source", |row| json!(source(row))),
        Column::text("Message", |row| {
            let message = row.at("/message").as_str().unwrap_or_else(|| row.text("/note"));
            json!(message.trim())
        }),
        Column::wide("First Seen", |row| {
            json!(first_time(row).map_or_else(|| "<unknown>".to_owned(), |at| ago(at, row.now)))
        }),
        Column { kind: "integer".to_owned(), ..Column::wide("Count", |row| json!(times(row).max(1))) },
        Column { format: "name".to_owned(), ..Column::wide("Name", |row| json!(row.text("/metadata/name"))) },
    ]
}

/// Returns the object that an event is about, in either group's words.
fn involved<'a>(row: Row<'a>) -> &'a Value {
    match row.at("/involvedObject") {
        Value::Null => row.at("/regarding"),
        object => object,
    }
}

fn source(row: Row<'_>) -> String {
    let component =
        [row.text("/source/component"), row.text("/deprecatedSource/component"), row.text("/reportingComponent")];
    let component = component.into_iter().chain([row.text("/reportingController")]).find(|text| !text.is_empty());
    let host = [row.text("/source/host"), row.text("/deprecatedSource/host"), row.text("/reportingInstance")];
    let host = host.into_iter().find(|text| !text.is_empty());
    [component, host].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    age::human_duration(now.as_second() - at.as_second())
}

fn first_time(row: Row<'_>) -> Option<Timestamp> {
    ["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime"].into_iter().find_map(|p| age::time(row.at(p)))
}

fn times(row: Row<'_>) -> i64 {
    let counts = ["/series/count", "/count", "/deprecatedCount"];
    counts.into_iter().find_map(|p| row.at(p).as_i64()).unwrap_or(1)
}

fn last_seen(row: Row<'_>) -> String {
    let places = ["/series/lastObservedTime", "/lastTimestamp", "/deprecatedLastTimestamp"];
    let last = places.into_iter().find_map(|p| age::time(row.at(p))).or_else(|| first_time(row));
    let Some(last) = last else { return "<unknown>".to_owned() };
    match first_time(row).filter(|_| times(row) > 1) {
        Some(first) => format!("{} (x{} over {})", ago(last, row.now), times(row), ago(first, row.now)),
        None => ago(last, row.now),
    }
}
