//! What collecting shows of itself.

use std::collections::BTreeMap;

use maru_monitoring::relabel;
use maru_monitoring::scrape::format_duration;
use maru_prom::{Labels, Matcher, MetricType};
use serde_json::{Map, Value, json};

use super::Collector;
use super::scrape::Health;
use crate::request::rfc3339_millis;

/// Entries of `/api/v1/targets/metadata` where no limit is asked for.
const METADATA_MAX: usize = 100_000;

fn object(labels: &Labels) -> Value {
    labels.iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect::<Map<_, _>>().into()
}

impl Collector {
    /// `/api/v1/targets`
    pub(crate) fn show_targets(&self, state: &str, pool_name: Option<&str>) -> Value {
        let (mut active, mut dropped, mut counts) = (Vec::new(), Vec::new(), BTreeMap::new());
        for pool in self.pools().iter().filter(|pool| pool_name.is_none_or(|name| pool.config.job_name == name)) {
            let targets = pool.targets();
            counts.insert(pool.config.job_name.clone(), Value::from(targets.dropped_count));
            for labels in &targets.dropped {
                dropped.push(json!({"discoveredLabels": object(labels), "scrapePool": pool.config.job_name}));
            }
            for running in targets.active.values() {
                let last = running.state.last();
                let at = match last.health {
                    Health::Unknown => "0001-01-01T00:00:00Z".to_owned(),
                    Health::Up | Health::Down => rfc3339_millis(last.at_ms),
                };
                active.push(json!({
                    "discoveredLabels": object(&running.target.discovered),
                    "labels": object(&running.target.labels),
                    "scrapePool": pool.config.job_name,
                    "scrapeUrl": running.target.url,
                    "globalUrl": running.target.url,
                    "lastError": last.error,
                    "lastScrape": at,
                    "lastScrapeDuration": last.duration.as_secs_f64(),
                    "health": match last.health {
                        Health::Unknown => "unknown",
                        Health::Up => "up",
                        Health::Down => "down",
                    },
                    "scrapeInterval": format_duration(running.target.interval),
                    "scrapeTimeout": format_duration(running.target.timeout),
                }));
            }
        }
        let wants = |kind: &str| state.is_empty() || [kind, "any"].iter().any(|word| state.eq_ignore_ascii_case(word));
        json!({
            "activeTargets": if wants("active") { active } else { Vec::new() },
            "droppedTargets": if wants("dropped") { dropped } else { Vec::new() },
            "droppedTargetCounts": if wants("dropped") { Value::Object(counts.into_iter().collect()) } else { json!({}) },
        })
    }

    /// `/api/v1/scrape_pools`
    pub(crate) fn show_pools(&self) -> Value {
        let names: Vec<String> = self.pools().iter().map(|pool| pool.config.job_name.clone()).collect();
        json!({"scrapePools": names})
    }

    /// `/api/v1/targets/metadata`
    pub(crate) fn show_metadata(&self, matchers: &[Matcher], metric: Option<&str>, limit: Option<usize>) -> Value {
        let limit = limit.unwrap_or(METADATA_MAX);
        let mut all = Vec::new();
        for pool in self.pools() {
            let targets = pool.targets();
            for running in targets.active.values() {
                let labels = &running.target.labels;
                if !matchers.iter().all(|one| one.matches(labels.get(one.name()).unwrap_or_default())) {
                    continue;
                }
                let metadata = {
                    let table = running.state.table.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    table.metadata()
                };
                for (name, said) in metadata.into_iter().filter(|(name, _)| metric.is_none_or(|metric| metric == name))
                {
                    if all.len() >= limit {
                        return Value::from(all);
                    }
                    let mut entry = json!({
                        "target": object(labels), "type": type_name(said.metric_type), "help": said.help, "unit": said.unit,
                    });
                    if metric.is_none() {
                        entry["metric"] = Value::from(name);
                    }
                    all.push(entry);
                }
            }
        }
        Value::from(all)
    }

    /// `/api/v1/targets/relabel_steps`: each rule with what it made of a target's labels.
    pub(crate) fn show_relabel_steps(&self, pool_name: &str, labels: &Labels) -> Result<Value, String> {
        let pools = self.pools();
        let pool = pools.iter().find(|pool| pool.config.job_name == pool_name);
        let pool = pool.ok_or_else(|| format!("there is no scrape pool {pool_name:?}"))?;
        let mut builder = labels.to_builder();
        let mut steps = Vec::new();
        for rule in &pool.config.relabel {
            let keeps = relabel::apply_one(&mut builder, rule);
            let action = format!("{:?}", rule.action).to_lowercase();
            steps.push(json!({
                "rule": {
                    "source_labels": rule.source_labels, "separator": rule.separator, "regex": rule.regex,
                    "modulus": rule.modulus, "target_label": rule.target_label, "replacement": rule.replacement,
                    "action": action,
                },
                "output": if keeps { object(&builder.build()) } else { json!({}) },
                "keep": keeps,
            }));
            if !keeps {
                break;
            }
        }
        Ok(json!({"steps": steps}))
    }
}

fn type_name(kind: MetricType) -> &'static str {
    match kind {
        MetricType::Counter => "counter",
        MetricType::Gauge => "gauge",
        MetricType::Histogram => "histogram",
        MetricType::GaugeHistogram => "gaugehistogram",
        MetricType::Summary => "summary",
        MetricType::Info => "info",
        MetricType::StateSet => "stateset",
        MetricType::Unknown => "unknown",
    }
}
