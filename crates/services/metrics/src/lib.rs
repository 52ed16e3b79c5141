//! Prometheus' HTTP API over our own store: queries, writes, status, administration.
//!
//! Owns: the metrics API, its limits, its tokens' scopes.
//! Never: stores samples itself (see `maru-series`), evaluates queries itself (see `maru-promql`).
//! Source: Prometheus 3 documentation, "HTTP API"; remote write 1.0 and 2.0; remote read; OTLP 1.

mod access;
mod admin;
mod answer;
mod collect;
mod cors;
mod fault;
mod federate;
mod jobs;
mod lookups;
mod metrics;
mod openapi;
mod options;
mod otlp;
mod query;
mod read;
mod request;
mod routes;
pub mod rules;
mod selectors;
mod source;
mod status;
mod telemetry;
mod write;

pub use maru_prom::otlp::{NameTranslation, OtlpOptions, Promotion};

pub use collect::{
    ClusterOptions, CollectOptions, Collector, ConfigurationError, InProcessTarget, KubeApi, built_in_objects,
    cluster_targets, crds, follow_cluster, read_configuration_file,
};

pub use access::{AccessAnswer, AccessQuestion, AccessScope, Delegate, Doorkeeper, TokenError, TokenFile, TokenRecord};
pub use metrics::{Metrics, MetricsError};
pub use options::{Access, Limits, MetricsOptions};
pub use request::parse_duration;
