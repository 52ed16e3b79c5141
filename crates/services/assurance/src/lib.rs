//! Objectives: compiled to rules, judged by what was measured.
//!
//! Owns: the status of `ServiceLevelObjective`, the rules made of it, back-tests.
//! Never: stores samples, evaluates rules (it writes `PrometheusRule` objects and asks over Prometheus' HTTP API).
//! Source: OpenSLO 1.0; "The Site Reliability Workbook", chapter 5.
