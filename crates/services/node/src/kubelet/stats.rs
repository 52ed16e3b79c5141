//! What pods and containers use, read from their cgroups.

use std::fmt::Write as _;
use std::sync::Arc;

use maru_container::{Cgroup, CgroupStats, Pressure};
use maru_time::{Timestamp, rfc3339_seconds};
use serde_json::{Value, json};

use crate::context::Context;
use crate::manager::Pods;
use crate::pod;

/// The use of one running container.
struct Sample {
    namespace: String,
    pod: String,
    uid: String,
    container: String,
    image: String,
    started_at: Timestamp,
    stats: CgroupStats,
}

async fn samples(context: &Arc<Context>, pods: &Pods) -> Vec<Sample> {
    let (context, views) = (Arc::clone(context), pods.views());
    let read = move || {
        let mut all = Vec::new();
        for view in views {
            for (name, container) in &view.containers {
                let Some((attempt, started_at)) = container.running else { continue };
                let Ok(stats) = context.container_cgroup(&view.pod, name, attempt).stats() else { continue };
                let image = pod::member(&view.pod, name).and_then(|member| member.container.image).unwrap_or_default();
                all.push(Sample {
                    namespace: pod::namespace(&view.pod).to_owned(),
                    pod: pod::name(&view.pod).to_owned(),
                    uid: pod::uid(&view.pod).to_owned(),
                    container: name.clone(),
                    image,
                    started_at,
                    stats,
                });
            }
        }
        all
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_default()
}

async fn node_sample(context: &Context) -> CgroupStats {
    let cgroup = Cgroup::at(format!("/{}", context.options.cgroup_parent.trim_matches('/')));
    tokio::task::spawn_blocking(move || cgroup.stats()).await.ok().and_then(Result::ok).unwrap_or_default()
}

/// Returns the summary as metrics clients read it.
pub(super) async fn summary(context: &Arc<Context>, pods: &Pods) -> Value {
    let now = rfc3339_seconds(context.now());
    let mut by_pod: std::collections::BTreeMap<(String, String, String), Vec<Value>> =
        std::collections::BTreeMap::new();
    for sample in samples(context, pods).await {
        let mut entry = usage(&sample.stats, &now);
        entry["name"] = json!(sample.container);
        entry["startTime"] = json!(rfc3339_seconds(sample.started_at));
        by_pod.entry((sample.namespace, sample.pod, sample.uid)).or_default().push(entry);
    }
    let pods: Vec<Value> = by_pod
        .into_iter()
        .map(|((namespace, name, uid), containers)| {
            json!({"podRef": {"name": name, "namespace": namespace, "uid": uid}, "containers": containers})
        })
        .collect();
    let mut node = usage(&node_sample(context).await, &now);
    node["nodeName"] = json!(context.options.name);
    json!({"node": node, "pods": pods})
}

fn usage(stats: &CgroupStats, now: &str) -> Value {
    json!({
        "cpu": {"time": now, "usageCoreNanoSeconds": u64::try_from(stats.cpu_usage.as_nanos()).unwrap_or(u64::MAX)},
        "memory": {
            "time": now,
            "usageBytes": stats.memory_current_bytes,
            "workingSetBytes": stats.memory_working_set_bytes,
            "rssBytes": stats.memory_rss_bytes,
        },
    })
}

struct Exposition(String);

impl Exposition {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("writing to a String succeeds");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{}\"", escape(value))).collect();
        writeln!(self.0, "{name}{{{}}} {value}", labels.join(",")).expect("writing to a String succeeds");
    }
}

/// Returns `/metrics/resource`.
pub(super) async fn resource(context: &Arc<Context>, pods: &Pods) -> String {
    let samples = samples(context, pods).await;
    let mut out = Exposition(String::new());
    let labels = |sample: &Sample| -> [(&'static str, String); 3] {
        [("container", sample.container.clone()), ("namespace", sample.namespace.clone()), ("pod", sample.pod.clone())]
    };
    let mut family = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Sample) -> f64| {
        out.head(name, kind, help);
        for sample in &samples {
            let labels = labels(sample);
            let labels: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (*key, value.as_str())).collect();
            out.sample(name, &labels, value(sample));
        }
    };
    family(
        "container_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the container in core-seconds",
        &|one| one.stats.cpu_usage.as_secs_f64(),
    );
    family("container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes", &|one| {
        as_f64(one.stats.memory_working_set_bytes)
    });
    family(
        "container_start_time_seconds",
        "gauge",
        "Start time of the container since unix epoch in seconds",
        &|one| one.started_at.as_duration().as_secs_f64(),
    );
    let node = node_sample(context).await;
    out.head(
        "node_cpu_usage_seconds_total",
        "counter",
        "Cumulative cpu time consumed by the node's pods in core-seconds",
    );
    out.sample("node_cpu_usage_seconds_total", &[], node.cpu_usage.as_secs_f64());
    out.head("node_memory_working_set_bytes", "gauge", "Current working set of the node's pods in bytes");
    out.sample("node_memory_working_set_bytes", &[], node.memory_working_set_bytes);
    out.0.replace("{} ", " ")
}

/// Returns the container metrics that dashboards know from cAdvisor.
pub(super) async fn cadvisor(context: &Arc<Context>, pods: &Pods) -> String {
    let samples = samples(context, pods).await;
    let mut out = Exposition(String::new());
    let mut family = |name: &str, kind: &str, help: &str, value: &dyn Fn(&CgroupStats) -> f64| {
        out.head(name, kind, help);
        for one in &samples {
            out.sample(name, &labels(one), value(&one.stats));
        }
    };
    family("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.", &|one| {
        one.cpu_usage.as_secs_f64()
    });
    family(
        "container_cpu_cfs_throttled_seconds_total",
        "counter",
        "Total time duration the container has been throttled.",
        &|one| one.cpu_throttled.as_secs_f64(),
    );
    family("container_memory_usage_bytes", "gauge", "Current memory usage in bytes, including all memory.", &|one| {
        as_f64(one.memory_current_bytes)
    });
    family("container_memory_working_set_bytes", "gauge", "Current working set in bytes.", &|one| {
        as_f64(one.memory_working_set_bytes)
    });
    family("container_memory_rss", "gauge", "Size of RSS in bytes.", &|one| as_f64(one.memory_rss_bytes));
    family("container_spec_memory_limit_bytes", "gauge", "Memory limit for the container.", &|one| {
        as_f64(one.memory_limit_bytes.unwrap_or(0))
    });
    family(
        "container_oom_events_total",
        "counter",
        "Count of out of memory events observed for the container",
        &|one| as_f64(one.oom_kills),
    );
    family("container_processes", "gauge", "Number of processes and threads running inside the container.", &|one| {
        as_f64(one.pids)
    });
    family("container_fs_reads_bytes_total", "counter", "Cumulative count of bytes read", &|one| {
        as_f64(one.io_read_bytes)
    });
    family("container_fs_writes_bytes_total", "counter", "Cumulative count of bytes written", &|one| {
        as_f64(one.io_write_bytes)
    });
    pressure(&mut out, &samples);
    out.0
}

/// How long containers waited, where the kernel measures it.
fn pressure(out: &mut Exposition, samples: &[Sample]) {
    type Value = fn(&Pressure) -> std::time::Duration;
    let families: [(&str, Value); 6] = [
        ("container_pressure_cpu_waiting_seconds_total", |one| one.cpu.some),
        ("container_pressure_cpu_stalled_seconds_total", |one| one.cpu.full),
        ("container_pressure_memory_waiting_seconds_total", |one| one.memory.some),
        ("container_pressure_memory_stalled_seconds_total", |one| one.memory.full),
        ("container_pressure_io_waiting_seconds_total", |one| one.io.some),
        ("container_pressure_io_stalled_seconds_total", |one| one.io.full),
    ];
    if samples.iter().all(|one| one.stats.pressure.is_none()) {
        return;
    }
    for (name, value) in families {
        out.head(name, "counter", "Time in which tasks of the container waited for the resource.");
        for one in samples {
            let Some(pressure) = &one.stats.pressure else { continue };
            out.sample(name, &labels(one), value(pressure).as_secs_f64());
        }
    }
}

fn labels(one: &Sample) -> [(&str, &str); 4] {
    [
        ("container", one.container.as_str()),
        ("image", one.image.as_str()),
        ("namespace", one.namespace.as_str()),
        ("pod", one.pod.as_str()),
    ]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "samples are floating-point numbers; 2^53 bytes is more than a machine has"
)]
fn as_f64(value: u64) -> f64 {
    value as f64
}
