//! Alertmanager: alerts come in, people are told once.
//!
//! Owns: routing, grouping, inhibition, silences, the notification log, receivers, API v2.
//! Never: evaluates a rule; sends twice what it knows to be sent.
//! Source: Alertmanager documentation, "Configuration", "Alerting overview"; API v2's OpenAPI document.

mod access;
mod alert;
mod api;
mod config;
mod engine;
mod ids;
mod inhibit;
mod journal;
mod mask;
mod message;
mod notify;
mod plan;
mod rehearsal;
mod service;
mod silence;
mod telemetry;
mod trace;
mod watch;
mod zones;

pub use access::{Gate, Need};
pub use alert::{Alert, Fingerprint};
pub use config::{ConfigError, ConfigSource, EMPTY_CONFIGURATION, Loaded, load, load_text};
pub use engine::{Dispatch, Engine, EngineLimits, LogEntry, LogKey, Outcome, Record};
pub use notify::Transport;
pub use plan::{Plan, PlanCounts, RECEIVER_LABEL};
pub use rehearsal::{Rehearsal, RehearsalError, Rehearsed, rehearse};
pub use service::{Alerts, AlertsError, AlertsOptions};
pub use silence::{Silence, SilenceError, SilenceState};
pub use trace::{Attempt, Decision, FlushRecord, IntegrationRecord, Suppressed};
pub use watch::{DailyDrill, WatchConfig, Watchdog, drill_alert};
