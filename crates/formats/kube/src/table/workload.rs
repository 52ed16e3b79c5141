//! Columns of the kinds that make pods.

use serde_json::{Value, json};

use super::{Column, Row, age, joined, labels, selector};
use crate::Quantity;

/// Containers, images and selector of the pod template, shown with `-o wide`.
fn template_columns() -> Vec<Column> {
    vec![
        Column::wide("Containers", |row| json!(joined(containers(row), "name"))),
        Column::wide("Images", |row| json!(joined(containers(row), "image"))),
        Column::wide("Selector", |row| json!(selector(row.at("/spec/selector")))),
    ]
}

fn containers(row: Row<'_>) -> &[Value] {
    match row.list("/spec/template/spec/containers") {
        [] => row.list("/spec/jobTemplate/spec/template/spec/containers"),
        list => list,
    }
}

fn with_template(mut columns: Vec<Column>) -> Vec<Column> {
    columns.extend(template_columns());
    columns
}

pub(super) fn deployment() -> Vec<Column> {
    with_template(vec![
        Column::name(),
        Column::text("Ready", |row| json!(ready_of_desired(row))),
        Column::new("Up-to-date", "integer", |row| json!(row.number("/status/updatedReplicas"))),
        Column::new("Available", "integer", |row| json!(row.number("/status/availableReplicas"))),
        Column::age(),
    ])
}

fn ready_of_desired(row: Row<'_>) -> String {
    let desired = row.at("/spec/replicas").as_i64().unwrap_or(1);
    format!("{}/{desired}", row.number("/status/readyReplicas"))
}

pub(super) fn replica_set() -> Vec<Column> {
    with_template(replica_counts())
}

pub(super) fn replication_controller() -> Vec<Column> {
    let mut columns = replica_counts();
    columns.extend(template_columns().into_iter().filter(|column| column.name != "Selector"));
    columns.push(Column::wide("Selector", |row| json!(labels(row.at("/spec/selector")))));
    columns
}

fn replica_counts() -> Vec<Column> {
    vec![
        Column::name(),
        Column::new("Desired", "integer", |row| json!(row.at("/spec/replicas").as_i64().unwrap_or(1))),
        Column::new("Current", "integer", |row| json!(row.number("/status/replicas"))),
        Column::new("Ready", "integer", |row| json!(row.number("/status/readyReplicas"))),
        Column::age(),
    ]
}

pub(super) fn stateful_set() -> Vec<Column> {
    let mut columns = vec![Column::name(), Column::text("Ready", |row| json!(ready_of_desired(row))), Column::age()];
    columns.extend(template_columns().into_iter().filter(|column| column.name != "Selector"));
    columns
}

pub(super) fn daemon_set() -> Vec<Column> {
    with_template(vec![
        Column::name(),
        Column::new("Desired", "integer", |row| json!(row.number("/status/desiredNumberScheduled"))),
        Column::new("Current", "integer", |row| json!(row.number("/status/currentNumberScheduled"))),
        Column::new("Ready", "integer", |row| json!(row.number("/status/numberReady"))),
        Column::new("Up-to-date", "integer", |row| json!(row.number("/status/updatedNumberScheduled"))),
        Column::new("Available", "integer", |row| json!(row.number("/status/numberAvailable"))),
        Column::text("Node Selector", |row| json!(labels(row.at("/spec/template/spec/nodeSelector")))),
        Column::age(),
    ])
}

pub(super) fn job() -> Vec<Column> {
    with_template(vec![
        Column::name(),
        Column::text("Status", |row| json!(job_status(row))),
        Column::text("Completions", |row| {
            let done = row.number("/status/succeeded");
            let parallelism = row.at("/spec/parallelism").as_i64().unwrap_or(1);
            json!(match row.at("/spec/completions").as_i64() {
                Some(wanted) => format!("{done}/{wanted}"),
                None if parallelism > 1 => format!("{done}/1 of {parallelism}"),
                None => format!("{done}/1"),
            })
        }),
        Column::text("Duration", |row| {
            let Some(start) = age::time(row.at("/status/startTime")) else { return json!("") };
            let end = age::time(row.at("/status/completionTime")).unwrap_or(row.now);
            json!(age::human_duration(end.as_second() - start.as_second()))
        }),
        Column::age(),
    ])
}

fn job_status(row: Row<'_>) -> &'static str {
    let is = |kind: &str| row.condition(kind) == Some("True");
    if is("Complete") {
        "Complete"
    } else if is("Failed") {
        "Failed"
    } else if row.is_being_deleted() {
        "Terminating"
    } else if is("Suspended") {
        "Suspended"
    } else if is("FailureTarget") {
        "FailureTarget"
    } else if is("SuccessCriteriaMet") {
        "SuccessCriteriaMet"
    } else {
        "Running"
    }
}

pub(super) fn cron_job() -> Vec<Column> {
    with_template(vec![
        Column::name(),
        Column::text("Schedule", |row| json!(row.text("/spec/schedule"))),
        Column::text("Timezone", |row| json!(row.text_or("/spec/timeZone", "<none>"))),
        Column::new("Suspend", "boolean", |row| {
            json!(match row.at("/spec/suspend").as_bool() {
                Some(true) => "True",
                Some(false) => "False",
                None => "<unset>",
            })
        }),
        Column::new("Active", "integer", |row| json!(row.count("/status/active"))),
        Column::text("Last Schedule", |row| match row.at("/status/lastScheduleTime") {
            Value::Null => json!("<none>"),
            at => json!(age::since(at, row.now)),
        }),
        Column::age(),
    ])
}

pub(super) fn controller_revision() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Controller", |row| {
            let owner = row.list("/metadata/ownerReferences").iter().find(|o| o["controller"] == true);
            let Some(owner) = owner else { return json!("<none>") };
            let group = owner["apiVersion"].as_str().unwrap_or_default().split_once('/').map_or("", |(group, _)| group);
            let kind = owner["kind"].as_str().unwrap_or_default().to_ascii_lowercase();
            let kind = if group.is_empty() { kind } else { format!("{kind}.{group}") };
            json!(format!("{kind}/{}", owner["name"].as_str().unwrap_or_default()))
        }),
        Column::new("Revision", "integer", |row| json!(row.number("/revision"))),
        Column::age(),
    ]
}

pub(super) fn pod_template() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Containers", |row| json!(joined(row.list("/template/spec/containers"), "name"))),
        Column::text("Images", |row| json!(joined(row.list("/template/spec/containers"), "image"))),
        Column::text("Pod Labels", |row| json!(labels(row.at("/template/metadata/labels")))),
    ]
}

pub(super) fn scale() -> Vec<Column> {
    vec![
        Column::name(),
        Column::new("Desired", "integer", |row| json!(row.number("/spec/replicas"))),
        Column::new("Available", "integer", |row| json!(row.number("/status/replicas"))),
        Column::age(),
    ]
}

pub(super) fn horizontal_pod_autoscaler() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Reference", |row| {
            json!(format!("{}/{}", row.text("/spec/scaleTargetRef/kind"), row.text("/spec/scaleTargetRef/name")))
        }),
        Column::text("Targets", |row| json!(targets(row))),
        Column::text("MinPods", |row| {
            json!(row.at("/spec/minReplicas").as_i64().map_or_else(|| "<unset>".to_owned(), |n| n.to_string()))
        }),
        Column::new("MaxPods", "integer", |row| json!(row.number("/spec/maxReplicas"))),
        Column::new("Replicas", "integer", |row| json!(row.number("/status/currentReplicas"))),
        Column::age(),
    ]
}

/// Metrics shown of an autoscaler.
const TARGETS_MAX: usize = 2;

fn targets(row: Row<'_>) -> String {
    if let Some(target) = row.at("/spec/targetCPUUtilizationPercentage").as_i64() {
        let current = row.at("/status/currentCPUUtilizationPercentage").as_i64();
        return format!("cpu: {}/{target}%", current.map_or_else(|| "<unknown>".to_owned(), |n| format!("{n}%")));
    }
    let metrics = row.list("/spec/metrics");
    let current = row.list("/status/currentMetrics");
    let shown: Vec<String> =
        metrics.iter().take(TARGETS_MAX).enumerate().map(|(at, metric)| target(metric, current.get(at))).collect();
    match (metrics.len(), shown.join(", ")) {
        (0, _) => "<none>".to_owned(),
        (count, shown) if count > TARGETS_MAX => format!("{shown} + {} more...", count - TARGETS_MAX),
        (_, shown) => shown,
    }
}

fn target(metric: &Value, current: Option<&Value>) -> String {
    let (field, has_name) = match metric["type"].as_str().unwrap_or_default() {
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "External" => ("external", false),
        _ => return "<unknown type>".to_owned(),
    };
    let wanted = &metric[field]["target"];
    let now = current.map_or(&Value::Null, |c| &c[field]["current"]);
    let quantity = |value: &Value, name: &str| Quantity::from_json(&value[name]).ok().map(|q| q.to_string());
    let percent = |value: &Value| value["averageUtilization"].as_i64().map(|n| format!("{n}%"));
    let unknown = || "<unknown>".to_owned();
    let text = if let Some(wanted) = percent(wanted) {
        format!("{}/{wanted}", percent(now).unwrap_or_else(unknown))
    } else if let Some(wanted) = quantity(wanted, "averageValue") {
        let average = if has_name || field == "pods" { "" } else { " (avg)" };
        format!("{}/{wanted}{average}", quantity(now, "averageValue").unwrap_or_else(unknown))
    } else {
        let wanted = quantity(wanted, "value").unwrap_or_else(|| "<auto>".to_owned());
        format!("{}/{wanted}", quantity(now, "value").unwrap_or_else(unknown))
    };
    if has_name { format!("{}: {text}", metric[field]["name"].as_str().unwrap_or_default()) } else { text }
}
