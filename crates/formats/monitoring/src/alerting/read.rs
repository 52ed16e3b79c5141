//! Reads the file: its tree of routes, its rules, its times.

use std::collections::BTreeSet;
use std::time::Duration;

use maru_prom::Matcher;
use maru_yaml::{Cursor, Document, ParseLimits, Problem};

use super::intervals::read_window;
use super::matchers::{parse_matcher, parse_matchers};
use super::receivers::{Defaults, read_receiver};
use super::{AlertmanagerConfig, InhibitRule, Route, TimeInterval};
use crate::scrape::{SecretSource, parse_duration};

/// What only the caller can check.
#[derive(Clone, Copy)]
pub struct Checks<'c> {
    /// Says what is wrong with a text that is a template.
    pub template: &'c dyn Fn(&str) -> Result<(), String>,
    /// Tells whether a time zone is known.
    pub has_zone: &'c dyn Fn(&str) -> bool,
}

impl std::fmt::Debug for Checks<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Checks")
    }
}

/// Reads a configuration.
///
/// # Errors
/// All that is wrong, with lines.
pub fn read_alertmanager(text: &str, checks: Checks<'_>) -> Result<AlertmanagerConfig, Vec<Problem>> {
    let limits = ParseLimits { aliases: 1000, ..ParseLimits::default() };
    let document = Document::parse(text, limits);
    let top = document.top();
    let mut warnings = Vec::new();
    let global = top.field("global");
    let defaults = Defaults::read(&global);
    let resolve_timeout = global.field("resolve_timeout").read(parse_duration);
    global.finish();
    let mut time_intervals = Vec::new();
    for name in ["time_intervals", "mute_time_intervals"] {
        for item in top.field(name).list() {
            time_intervals.push(read_interval(&item, checks));
        }
    }
    unique(&top.field("time_intervals"), time_intervals.iter().map(|interval| interval.name.as_str()), "time interval");
    let mut receivers = Vec::new();
    for item in top.field("receivers").list() {
        receivers.push(read_receiver(&item, &defaults, checks));
    }
    if receivers.is_empty() {
        top.field("receivers").problem("there is no receiver; write at least one, such as [{name: nobody}]");
    }
    unique(&top.field("receivers"), receivers.iter().map(|receiver| receiver.name.as_str()), "receiver");
    let names = Names {
        receivers: receivers.iter().map(|receiver| receiver.name.as_str()).collect(),
        intervals: time_intervals.iter().map(|interval| interval.name.as_str()).collect(),
    };
    let root = Route {
        receiver: String::new(),
        group_by: Vec::new(),
        group_by_all: false,
        matchers: Vec::new(),
        continues: false,
        routes: Vec::new(),
        group_wait: Duration::from_secs(30),
        group_interval: Duration::from_secs(300),
        repeat_interval: Duration::from_secs(4 * 3600),
        mute_time_intervals: Vec::new(),
        active_time_intervals: Vec::new(),
    };
    let route = top.field("route").required();
    let route = read_route(&route, &root, &names, &mut warnings, 0);
    let mut inhibit_rules = Vec::new();
    for item in top.field("inhibit_rules").list() {
        inhibit_rules.push(read_inhibit_rule(&item, &mut warnings));
    }
    let templates = top.field("templates").strings();
    top.unsupported(&["tracing", "event_recorder"], "");
    top.finish();
    drop(names);
    let problems = document.problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(AlertmanagerConfig {
        resolve_timeout: resolve_timeout.filter(|time| !time.is_zero()).unwrap_or(Duration::from_secs(300)),
        route,
        receivers,
        inhibit_rules,
        time_intervals,
        templates,
        warnings,
    })
}

struct Names<'n> {
    receivers: BTreeSet<&'n str>,
    intervals: BTreeSet<&'n str>,
}

fn unique<'n>(of: &Cursor<'_>, names: impl Iterator<Item = &'n str>, what: &str) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !name.is_empty() && !seen.insert(name) {
            of.problem(format!("there are two of the {what} \"{name}\""));
        }
    }
}

fn read_interval(of: &Cursor<'_>, checks: Checks<'_>) -> TimeInterval {
    let name = of.field("name").required().string().unwrap_or_default();
    let windows = of.field("time_intervals").list().iter().map(|item| read_window(item, checks.has_zone)).collect();
    of.finish();
    TimeInterval { name, windows }
}

/// Reads the three forms of matchers: `match`, `match_re`, `matchers`, or those with a prefix.
fn read_matchers(of: &Cursor<'_>, fields: [&'static str; 3], warnings: &mut Vec<String>) -> Vec<Matcher> {
    let [exact, pattern, modern] = fields;
    let mut matchers = Vec::new();
    for (name, sign) in [(exact, "="), (pattern, "=~")] {
        let field = of.field(name);
        if field.is_present() {
            warnings.push(format!("{}: \"{name}\" is an old way; write \"{modern}\" instead", field.at()));
        }
        for (label, value) in field.entries() {
            let text = value.string().unwrap_or_default();
            let operator =
                if sign == "=" { maru_prom::MatcherOperator::Equal } else { maru_prom::MatcherOperator::Matches };
            match Matcher::new(label, operator, &text) {
                Ok(matcher) => matchers.push(matcher),
                Err(error) => value.problem(error.to_string()),
            }
        }
    }
    for item in of.field(modern).list() {
        matchers.extend(item.read(parse_matchers).into_iter().flatten());
    }
    // The order of writing has no meaning, and the group's key must not change with it.
    matchers.sort_by(|left, right| {
        let key =
            |matcher: &Matcher| (matcher.name().to_owned(), matcher.value().to_owned(), matcher.operator().to_string());
        key(left).cmp(&key(right))
    });
    matchers
}

fn read_route(of: &Cursor<'_>, above: &Route, names: &Names<'_>, warnings: &mut Vec<String>, depth: usize) -> Route {
    let is_root = depth == 0;
    let mut route = Route { routes: Vec::new(), ..above.clone() };
    let receiver = of.field("receiver");
    match receiver.string().filter(|name| !name.is_empty()) {
        Some(name) => {
            if !names.receivers.contains(name.as_str()) {
                receiver.problem(format!("there is no receiver \"{name}\""));
            }
            route.receiver = name;
        }
        None if is_root && of.is_present() => of.problem("the top of the tree needs a receiver"),
        None => {}
    }
    let group_by = of.field("group_by");
    if group_by.is_present() {
        let labels = group_by.strings();
        route.group_by_all = labels.iter().any(|label| label == "...");
        if route.group_by_all && labels.len() > 1 {
            group_by.problem("\"...\" means all labels and stands alone");
        }
        let distinct: BTreeSet<&String> = labels.iter().collect();
        if distinct.len() < labels.len() {
            group_by.problem("a label is named twice");
        }
        route.group_by = if route.group_by_all { Vec::new() } else { labels };
    }
    route.matchers = read_matchers(of, ["match", "match_re", "matchers"], warnings);
    of.unsupported(&["labels"], "; put the words into a template");
    let continues = of.field("continue");
    route.continues = continues.boolean().unwrap_or(false);
    let time = |name: &'static str, held: &mut Duration| {
        let field = of.field(name);
        let Some(duration) = field.read(parse_duration) else { return };
        if duration.is_zero() && name != "group_wait" {
            field.problem("it must be more than 0");
        }
        *held = duration;
    };
    time("group_wait", &mut route.group_wait);
    time("group_interval", &mut route.group_interval);
    time("repeat_interval", &mut route.repeat_interval);
    let intervals = |name: &'static str| {
        let field = of.field(name);
        for item in field.list() {
            let text = item.string().unwrap_or_default();
            if !names.intervals.contains(text.as_str()) {
                item.problem(format!("there is no time interval \"{text}\""));
            }
        }
        if is_root && field.is_present() {
            field.problem("the top of the tree takes all alerts at all times; give it to a route below");
        }
        field.strings()
    };
    route.mute_time_intervals = intervals("mute_time_intervals");
    route.active_time_intervals = intervals("active_time_intervals");
    if is_root && !route.matchers.is_empty() {
        of.problem("the top of the tree takes all alerts; give the matchers to a route below");
    }
    if is_root && route.continues {
        continues.problem("the top of the tree has nothing after it");
    }
    let below = of.field("routes");
    if depth < 64 {
        let children: Vec<Route> =
            below.list().iter().map(|item| read_route(item, &route, names, warnings, depth + 1)).collect();
        route.routes = children;
    } else if below.is_present() {
        below.problem("the tree is deeper than 64 levels");
    }
    of.finish();
    route
}

fn read_inhibit_rule(of: &Cursor<'_>, warnings: &mut Vec<String>) -> InhibitRule {
    let mut source = read_matchers(of, ["source_match", "source_match_re", "source_matchers"], warnings);
    let target = read_matchers(of, ["target_match", "target_match_re", "target_matchers"], warnings);
    let mut equal = of.field("equal").strings();
    // Several sources, each with labels of its own: one is the plain form; more are not the same rule.
    let sources = of.field("sources");
    let list = sources.list();
    if list.len() > 1 {
        sources.problem("more than one source is not supported; write one rule for each");
    } else if let Some(only) = list.first() {
        for item in only.field("source_matchers").list() {
            source.extend(item.read(parse_matcher));
        }
        equal.extend(only.field("equal").strings());
        only.finish();
    }
    if source.is_empty() && target.is_empty() && of.is_present() {
        warnings.push(format!("{}: the rule has neither source nor target and matches all alerts", of.at()));
    }
    let rule = InhibitRule {
        name: of.field("name").string().unwrap_or_default(),
        source_matchers: source,
        target_matchers: target,
        equal,
    };
    of.finish();
    rule
}

/// Reads a secret whose text and file are fields.
pub(super) fn secret_or(
    of: &Cursor<'_>,
    text: &'static str,
    file: &'static str,
    otherwise: Option<&SecretSource>,
) -> Option<SecretSource> {
    crate::scrape::read_secret(of, text, file).or_else(|| otherwise.cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerting::IntegrationKind;

    fn read(text: &str) -> Result<AlertmanagerConfig, Vec<String>> {
        let template = |text: &str| if text.contains("{{ bad") { Err("a bad template".to_owned()) } else { Ok(()) };
        let checks = Checks { template: &template, has_zone: &|zone| zone == "Asia/Seoul" };
        read_alertmanager(text, checks).map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    const GOOD: &str = r#"
global:
  resolve_timeout: 10m
  slack_api_url: https://hooks.example/x
  smtp_smarthost: "[::1]:2525"
  smtp_from: a@b.c
  smtp_require_tls: false
  http_config: {basic_auth: {username: u, password_file: /p}}
route:
  receiver: ops
  group_by: [alertname, cluster]
  group_wait: 10s
  routes:
    - matchers: ['{team="db", severity=~"page|critical"}', app!=test]
      receiver: db
      continue: true
      group_by: ['...']
      active_time_intervals: [office]
      routes: [{match: {kind: disk}, match_re: {host: 'h.*'}, repeat_interval: 1d}]
inhibit_rules:
  - source_match: {severity: critical}
    target_matchers: [severity="warning"]
    equal: [alertname]
time_intervals:
  - {name: office, time_intervals: [{weekdays: ['monday:friday'], location: Asia/Seoul}]}
mute_time_intervals:
  - {name: old, time_intervals: [{months: [may]}]}
receivers:
  - name: ops
    email_configs: [{to: ops@b.c}]
    slack_configs: [{channel: '#ops'}]
  - name: db
    webhook_configs: [{url_file: /u, max_alerts: 5, http_config: {authorization: {credentials: x}}}]
templates: ['t/*.tmpl']
"#;

    #[test]
    fn a_whole_configuration_is_read() {
        let config = read(GOOD).unwrap();
        assert_eq!(config.resolve_timeout, Duration::from_secs(600));
        let db = &config.route.routes[0];
        assert!(db.group_by_all && db.continues && db.matchers.len() == 3);
        // What is not said comes from above; times hold for their own node only.
        assert_eq!((db.group_wait, db.group_interval), (Duration::from_secs(10), Duration::from_secs(300)));
        let disk = &db.routes[0];
        assert_eq!((disk.receiver.as_str(), disk.active_time_intervals.len()), ("db", 0));
        assert_eq!(disk.repeat_interval, Duration::from_secs(86_400));
        assert_eq!(config.time_intervals.len(), 2);
        let ops = &config.receivers[0].integrations;
        let kinds: Vec<IntegrationKind> = ops.iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [IntegrationKind::Email, IntegrationKind::Slack]);
        let mail = ops[0].email.as_ref().unwrap();
        assert_eq!((mail.host.as_str(), mail.port, mail.require_tls), ("::1", 2525, false));
        assert!(!ops[0].send_resolved && !ops[1].send_resolved && config.receivers[1].integrations[0].send_resolved);
        assert_eq!(config.warnings.len(), 3, "{:?}", config.warnings);
    }

    #[test]
    fn all_problems_are_told_with_their_lines() {
        let wrong = r#"
global: {opsgenie_api_key: x, resolve_timeout: soon}
route:
  receiver: nobody
  matchers: [a=b]
  group_by: ['...', a]
  group_interval: 0s
  routes:
    - receiver: missing
      mute_time_intervals: [never]
      matchers: ['a=~"("']
      labels: {reason: x}
      continu: true
receivers:
  - name: ops
  - name: ops
    sns_configs: [{}]
    webhook_configs:
      - {url: 'ftp://x'}
      - {url: 'http://x', url_file: /x}
      - {url: 'http://x', http_config: {proxy_url: 'http://p'}}
    slack_configs: [{title: '{{ bad }}'}]
    email_configs: [{to: x}]
time_intervals:
  - {name: n, time_intervals: [{location: Mars/Base}]}
"#;
        let problems = read(wrong).unwrap_err();
        let all = problems.join("\n");
        for part in [
            "line 2, column 10: global.opsgenie_api_key: \"opsgenie_api_key\" is not supported",
            "\"soon\"",
            "there is no receiver \"nobody\"",
            "the top of the tree takes all alerts",
            "stands alone",
            "it must be more than 0",
            "line 9, column",
            "there is no time interval \"never\"",
            "is no regular expression",
            "line 12, column 7: route.routes[0].labels: \"labels\" is not supported",
            "did you mean \"continue\"?",
            "two of the receiver \"ops\"",
            "\"sns_configs\" is not supported",
            "it is no address",
            "keep one of the two",
            "proxy_url",
            "a bad template",
            "\"api_url\" or \"api_url_file\" is missing",
            "\"smarthost\" is missing",
            "there is no time zone \"Mars/Base\"",
        ] {
            assert!(all.contains(part), "{part}\n{all}");
        }
        assert!(read("").is_err() && read("route: 1").is_err() && read("a: [").is_err());
    }
}
