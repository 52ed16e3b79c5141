//! Columns of pods.

use maru_time::Timestamp;
use serde_json::{Value, json};

use super::{Column, Row, age};

pub(super) fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Ready", |row| {
            let summary = Summary::of(row);
            json!(format!("{}/{}", summary.ready, summary.total))
        }),
        Column::text("Status", |row| json!(Summary::of(row).reason)),
        Column::text("Restarts", |row| json!(Summary::of(row).restarts_text(row.now))),
        Column::age(),
        Column::wide("IP", |row| {
            let first = row.at("/status/podIPs/0/ip").as_str();
            json!(first.unwrap_or_else(|| row.text_or("/status/podIP", "<none>")))
        }),
        Column::wide("Node", |row| json!(row.text_or("/spec/nodeName", "<none>"))),
        Column::wide("Nominated Node", |row| json!(row.text_or("/status/nominatedNodeName", "<none>"))),
        Column::wide("Readiness Gates", |row| {
            let gates = row.list("/spec/readinessGates");
            let is_true =
                |gate: &&Value| gate["conditionType"].as_str().and_then(|kind| row.condition(kind)) == Some("True");
            match gates.len() {
                0 => json!("<none>"),
                total => json!(format!("{}/{total}", gates.iter().filter(is_true).count())),
            }
        }),
    ]
}

/// Tells rows of finished pods apart, which clients may hide.
pub(super) fn row_conditions(object: &Value) -> Option<Value> {
    let is_pod = object["kind"] == "Pod" && object["apiVersion"] == "v1";
    let phase = object["status"]["phase"].as_str().filter(|_| is_pod)?;
    let message = match phase {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": phase, "message": message}]))
}

/// What a pod's containers say together.
#[derive(Debug, Default)]
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

impl Summary {
    fn of(row: Row<'_>) -> Self {
        let sidecars: Vec<&str> = row
            .list("/spec/initContainers")
            .iter()
            .filter(|c| c["restartPolicy"] == "Always")
            .filter_map(|c| c["name"].as_str())
            .collect();
        let mut summary = Self {
            total: row.list("/spec/containers").len() + sidecars.len(),
            reason: row.text_or("/status/reason", row_phase(row)).to_owned(),
            ..Self::default()
        };
        let gated = row
            .list("/status/conditions")
            .iter()
            .any(|c| c["type"] == "PodScheduled" && c["reason"] == "SchedulingGated");
        if gated {
            summary.reason = "SchedulingGated".to_owned();
        }
        let is_initializing = summary.init_containers(row, &sidecars);
        if !is_initializing || row.condition("Initialized") == Some("True") {
            summary.containers(row, &sidecars);
        }
        if row.is_being_deleted() {
            if row.text("/status/reason") == "NodeLost" {
                summary.reason = "Unknown".to_owned();
            } else if !matches!(row.text("/status/phase"), "Succeeded" | "Failed") {
                summary.reason = "Terminating".to_owned();
            }
        }
        summary
    }

    /// Adds init containers; true while they are not done.
    fn init_containers(&mut self, row: Row<'_>, sidecars: &[&str]) -> bool {
        let total = row.list("/spec/initContainers").len();
        for (index, status) in row.list("/status/initContainerStatuses").iter().enumerate() {
            self.count_restarts(status);
            let is_sidecar = status["name"].as_str().is_some_and(|name| sidecars.contains(&name));
            let terminated = &status["state"]["terminated"];
            let waiting = status["state"]["waiting"]["reason"].as_str().unwrap_or_default();
            if terminated.is_object() && exit_code(terminated) == 0 {
                continue;
            }
            if is_sidecar && status["started"] == true {
                self.ready += usize::from(status["ready"] == true);
                continue;
            }
            self.reason = if terminated.is_object() {
                format!("Init:{}", termination(terminated))
            } else if !waiting.is_empty() && waiting != "PodInitializing" {
                format!("Init:{waiting}")
            } else {
                format!("Init:{index}/{total}")
            };
            return true;
        }
        false
    }

    /// Adds the pod's containers; of init containers only sidecars' restarts still count.
    fn containers(&mut self, row: Row<'_>, sidecars: &[&str]) {
        (self.restarts, self.last_restart) = (0, None);
        for status in row.list("/status/initContainerStatuses") {
            if status["name"].as_str().is_some_and(|name| sidecars.contains(&name)) {
                self.count_restarts(status);
            }
        }
        let mut has_running = false;
        for status in row.list("/status/containerStatuses").iter().rev() {
            self.count_restarts(status);
            let state = &status["state"];
            match state["waiting"]["reason"].as_str().filter(|reason| !reason.is_empty()) {
                Some(waiting) => waiting.clone_into(&mut self.reason),
                None if state["terminated"].is_object() => self.reason = termination(&state["terminated"]),
                None if status["ready"] == true && state["running"].is_object() => {
                    has_running = true;
                    self.ready += 1;
                }
                None => {}
            }
        }
        if self.reason == "Completed" && has_running {
            let is_ready = row.condition("Ready") == Some("True");
            self.reason = if is_ready { "Running" } else { "NotReady" }.to_owned();
        }
    }

    fn count_restarts(&mut self, status: &Value) {
        self.restarts += status["restartCount"].as_i64().unwrap_or_default();
        let finished = age::time(&status["lastState"]["terminated"]["finishedAt"]);
        self.last_restart = self.last_restart.max(finished);
    }

    fn restarts_text(&self, now: Timestamp) -> String {
        match self.last_restart.filter(|_| self.restarts > 0) {
            Some(at) => {
                format!("{} ({} ago)", self.restarts, age::human_duration(now.as_second() - at.as_second()))
            }
            None => self.restarts.to_string(),
        }
    }
}

fn row_phase(row: Row<'_>) -> &'static str {
    match row.text("/status/phase") {
        "Pending" => "Pending",
        "Running" => "Running",
        "Succeeded" => "Succeeded",
        "Failed" => "Failed",
        "" => "",
        _ => "Unknown",
    }
}

fn exit_code(terminated: &Value) -> i64 {
    terminated["exitCode"].as_i64().unwrap_or_default()
}

fn termination(terminated: &Value) -> String {
    let signal = terminated["signal"].as_i64().unwrap_or_default();
    match terminated["reason"].as_str() {
        Some(reason) if !reason.is_empty() => reason.to_owned(),
        _ if signal != 0 => format!("Signal:{signal}"),
        _ => format!("ExitCode:{}", exit_code(terminated)),
    }
}
