//! `alertmanager.yml` as it is.

mod intervals;
mod matchers;
mod read;
mod receivers;

use std::time::Duration;

use maru_prom::Matcher;
use serde_json::Value;

pub use intervals::{LocalTime, Range, TimeInterval, TimeWindow};
pub use matchers::{MatcherSyntaxError, format_matchers, parse_label_name, parse_matcher, parse_matchers};
pub use read::{Checks, read_alertmanager};

use crate::scrape::{HttpClientConfig, SecretSource, TlsConfig};

/// A whole configuration.
#[derive(Debug, Clone)]
pub struct AlertmanagerConfig {
    /// After how long an alert that its sender gave no end is resolved.
    pub resolve_timeout: Duration,
    /// The top of the routing tree.
    pub route: Route,
    /// Whom alerts go to.
    pub receivers: Vec<Receiver>,
    /// Which alerts silence which.
    pub inhibit_rules: Vec<InhibitRule>,
    /// Named times.
    pub time_intervals: Vec<TimeInterval>,
    /// Paths of template files; the last part may have `*` in it.
    pub templates: Vec<String>,
    /// What works and should be written in another way, with lines.
    pub warnings: Vec<String>,
}

/// A node of the routing tree. What is not written was taken from the node above.
#[derive(Debug, Clone)]
pub struct Route {
    /// Whom its alerts go to.
    pub receiver: String,
    /// The labels whose values make a group.
    pub group_by: Vec<String>,
    /// Whether all labels make the group: `group_by: ['...']`.
    pub group_by_all: bool,
    /// What an alert must fulfil.
    pub matchers: Vec<Matcher>,
    /// Whether the nodes after this one are tried too.
    pub continues: bool,
    /// The nodes below.
    pub routes: Vec<Route>,
    /// How long the first notification of a group waits for more alerts.
    pub group_wait: Duration,
    /// How long between two looks at a group.
    pub group_interval: Duration,
    /// After how long a notification is repeated.
    pub repeat_interval: Duration,
    /// The named times at which nothing is sent.
    pub mute_time_intervals: Vec<String>,
    /// The named times at which alone something is sent.
    pub active_time_intervals: Vec<String>,
}

/// Alerts that silence others.
#[derive(Debug, Clone)]
pub struct InhibitRule {
    /// Its name, when it has one.
    pub name: String,
    /// What the alert that silences fulfils.
    pub source_matchers: Vec<Matcher>,
    /// What the alert that is silenced fulfils.
    pub target_matchers: Vec<Matcher>,
    /// The labels that both must have alike.
    pub equal: Vec<String>,
}

/// Whom alerts go to.
#[derive(Debug, Clone)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// The ways in which it is told.
    pub integrations: Vec<Integration>,
}

/// Which service takes the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IntegrationKind {
    /// Alertmanager's own JSON by HTTP.
    Webhook,
    /// SMTP.
    Email,
    /// Slack's incoming webhooks, and what takes the same.
    Slack,
    /// Mattermost's incoming webhooks.
    Mattermost,
    /// PagerDuty's events, version 2.
    PagerDuty,
    /// Telegram's bots.
    Telegram,
    /// Discord's webhooks.
    Discord,
    /// Microsoft Teams' workflows.
    MsTeamsV2,
}

impl IntegrationKind {
    /// Returns the name that Alertmanager uses in its metrics and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Email => "email",
            Self::Slack => "slack",
            Self::Mattermost => "mattermost",
            Self::PagerDuty => "pagerduty",
            Self::Telegram => "telegram",
            Self::Discord => "discord",
            Self::MsTeamsV2 => "msteamsv2",
        }
    }
}

/// One way in which a receiver is told.
#[derive(Debug, Clone)]
pub struct Integration {
    /// Which service takes the message.
    pub kind: IntegrationKind,
    /// Whether it is told that alerts are over.
    pub send_resolved: bool,
    /// How its server is reached.
    pub http: HttpClientConfig,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// Where messages go; a template too.
    pub url: Option<SecretSource>,
    /// A key or token that the service wants: PagerDuty's routing key, Telegram's bot token.
    pub token: Option<SecretSource>,
    /// The message as the service takes it; every text in it is a template.
    pub body: Value,
    /// The most alerts in one message of a webhook; all when 0.
    pub max_alerts: usize,
    /// How mail is sent.
    pub email: Option<Box<EmailConfig>>,
}

/// How mail is sent.
#[derive(Debug, Clone)]
pub struct EmailConfig {
    /// The receivers: a template that prints addresses with commas.
    pub to: String,
    /// The sender: a template.
    pub from: String,
    /// The server's host.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The name that we say we have.
    pub hello: String,
    /// The user.
    pub username: String,
    /// The password.
    pub password: Option<SecretSource>,
    /// The secret of CRAM-MD5.
    pub secret: Option<SecretSource>,
    /// Whom PLAIN authorizes.
    pub identity: String,
    /// How TLS is spoken.
    pub tls: TlsConfig,
    /// Whether nothing is sent in the clear.
    pub require_tls: bool,
    /// Whether TLS starts before SMTP; the port decides when absent (465).
    pub implicit_tls: Option<bool>,
    /// Headers: names and templates.
    pub headers: Vec<(String, String)>,
    /// The HTML part: a template.
    pub html: String,
    /// The text part: a template.
    pub text: String,
    /// Whether the messages of a group become one thread, and whether a new one starts each day.
    pub threading: Option<bool>,
}
