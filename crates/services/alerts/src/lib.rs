//! Alertmanager: alerts come in, people are told once.
//!
//! Owns: routing, grouping, inhibition, silences, the notification log, receivers, API v2.
//! Never: evaluates a rule; sends twice what it knows to be sent.
//! Source: Alertmanager documentation, "Configuration", "Alerting overview"; API v2's OpenAPI document.
