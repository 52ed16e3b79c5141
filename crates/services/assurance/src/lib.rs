//! Objectives: compiled to rules, judged by what was measured.
//!
//! Owns: the status of `ServiceLevelObjective`, the rules made of it, objectives that follow from requirements.
//! Never: stores samples, evaluates rules (it writes `PrometheusRule` objects and asks over Prometheus' HTTP API), makes
//! evidence (the process room does, of the windows that closed).
//! Source: OpenSLO 1.0; "The Site Reliability Workbook", chapter 5.

mod ask;
mod backtest;
mod control;
mod derive;
mod judge;
mod measure;
mod sentence;
mod window;

pub use backtest::{Backtest, TargetBacktest, backtest};
pub use control::{AssuranceOptions, start};
pub use sentence::{SentenceContext, SentenceError, from_sentence};
