//! The configuration files of monitoring as their own programs read them.
//!
//! Owns: `prometheus.yml`, relabeling, rule files and their tests, `alertmanager.yml`, OpenSLO, boards: texts ⇄ types,
//! with all that is wrong told at once, with lines.
//! Never: does IO, follows a file, evaluates a query.
//! Source: Prometheus 3 documentation, "Configuration"; Alertmanager documentation, "Configuration"; OpenSLO 1.0.

pub mod alerting;
pub mod boards;
pub mod openslo;
pub mod probe;
pub mod relabel;
pub mod rules;
pub mod scrape;
