//! Logs and metrics of our own.
//!
//! Owns: the process's log output and its metric registry.
//! Never: stores or ships either; that is what the metrics and telemetry services do.
//! Source: Prometheus text exposition format 0.0.4.

mod logs;
mod metrics;

pub use logs::{LogFormat, init_logs};
pub use metrics::{Counter, Family, Gauge, Histogram, Kind, LabelValues, Metric, Registry};
