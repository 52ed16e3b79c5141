//! Rules: what is evaluated again and again, the alerts that come of it, and who is told.
//!
//! Source: Prometheus 3 documentation, "Alerting rules", "Recording rules"; prometheus/compliance, "Alert generator
//! specification".

mod alert;
mod api;
mod backend;
mod evaluate;
mod explain;
mod files;
mod group;
mod manager;
mod overlay;
mod rehearse;
mod restore;
mod sender;
mod telemetry;
mod unit_test;

pub use alert::{Alert, AlertState, AlertTiming, Alerts, Observation};
pub(crate) use api::{answer, answer_rehearsal};
pub use evaluate::Health;
pub use files::{FileProblem, load_files};
pub use manager::{Manager, RuleSettings, RulesOptions};
pub use rehearse::{Firing, Rehearsal, RehearsalRange, RuleOutcome};
pub use sender::{AlertmanagerTarget, Alertmanagers, Delivery, Transport};
pub use unit_test::test_rules;
