//! The dead-man switch and the fire drill: whether alerts would arrive at all.

use std::sync::Arc;
use std::time::Duration;

use maru_monitoring::alerting::{format_matchers, parse_matchers};
use maru_monitoring::scrape::parse_duration;
use maru_prom::{Labels, Matcher};
use maru_time::Timestamp;
use maru_yaml::{Document, ParseLimits};

use crate::alert::Alert;
use crate::plan::{RECEIVER_LABEL, matches_all};
use crate::service::Shared;
use crate::zones::zone;

/// How often is looked at what was heard.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// How long an alert of ours fires without being said again.
const ALERT_TIME: Duration = Duration::from_secs(300);

/// What is expected to be heard, and which drills are held.
#[derive(Debug, Clone, Default)]
pub struct WatchConfig {
    /// Alerts that must come again and again.
    pub watchdogs: Vec<Watchdog>,
    /// Test alerts, once a day.
    pub drills: Vec<DailyDrill>,
}

/// An alert that must come again and again: when it does not, those who send alerts are broken.
#[derive(Debug, Clone)]
pub struct Watchdog {
    /// Its name.
    pub name: String,
    /// Which alert.
    pub matchers: Vec<Matcher>,
    /// The longest silence.
    pub within: Duration,
    /// Who is told; the routing tree decides when absent.
    pub receiver: Option<String>,
}

/// A test alert, once a day.
#[derive(Debug, Clone)]
pub struct DailyDrill {
    /// Who is told; the routing tree decides by the labels when absent.
    pub receiver: Option<String>,
    /// Further labels.
    pub labels: Vec<(String, String)>,
    /// Minutes of the day.
    pub minute: i32,
    /// The zone of that time; UTC when absent.
    pub location: Option<String>,
}

impl WatchConfig {
    /// Reads the file of watchdogs and drills.
    ///
    /// # Errors
    /// All that is wrong, with lines.
    pub fn read(text: &str) -> Result<Self, Vec<String>> {
        let document = Document::parse(text, ParseLimits::default());
        let top = document.top();
        let mut config = Self::default();
        for item in top.field("watchdogs").list() {
            let mut matchers = Vec::new();
            for text in item.field("matchers").required().list() {
                matchers.extend(text.read(parse_matchers).into_iter().flatten());
            }
            let within = item.field("within").read(parse_duration).filter(|time| !time.is_zero());
            let name = item.field("name").string();
            config.watchdogs.push(Watchdog {
                name: name.unwrap_or_else(|| format_matchers(&matchers)),
                matchers,
                within: within.unwrap_or(Duration::from_secs(600)),
                receiver: item.field("receiver").string(),
            });
            item.finish();
        }
        for item in top.field("drills").list() {
            let at = item.field("at").required();
            let minute = at.read(minute_of_day).unwrap_or_default();
            let place = item.field("location");
            let location = place.string();
            if location.as_deref().is_some_and(|name| zone(name).is_none()) {
                place.problem("there is no such time zone on this machine; write for example Asia/Seoul");
            }
            let drill = DailyDrill {
                receiver: item.field("receiver").string(),
                labels: item.field("labels").string_map(),
                minute,
                location,
            };
            item.finish();
            config.drills.push(drill);
        }
        top.finish();
        let problems = document.problems();
        if problems.is_empty() { Ok(config) } else { Err(problems.iter().map(ToString::to_string).collect()) }
    }
}

fn minute_of_day(text: &str) -> Result<i32, String> {
    let wrong = || "it is no time of the day; write for example 09:00".to_owned();
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let (hour, minute): (i32, i32) = (hour.parse().map_err(|_| wrong())?, minute.parse().map_err(|_| wrong())?);
    if (0..24).contains(&hour) && (0..60).contains(&minute) { Ok(hour * 60 + minute) } else { Err(wrong()) }
}

/// Makes the alert of a drill.
#[must_use]
pub fn drill_alert(receiver: Option<&str>, labels: &[(String, String)], id: &str, now: Timestamp) -> Alert {
    let own = [("alertname", "FireDrill"), ("drill", id)];
    let target = receiver.map(|name| (RECEIVER_LABEL, name));
    let given = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Alert {
        labels: Labels::from_pairs(own.into_iter().chain(target).chain(given)),
        annotations: Labels::from_pairs([
            ("summary", "This is a drill"),
            ("description", "Nothing is wrong. This message tests the whole path from alert to receiver."),
        ]),
        starts_at: now,
        ends_at: now.checked_add(ALERT_TIME).unwrap_or(Timestamp::MAX),
        updated_at: now,
        generator_url: "".into(),
        timeout: true,
    }
}

/// Looks whether all that must be heard is heard, and holds drills.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let config = shared.options.watch.clone();
    if config.watchdogs.is_empty() && config.drills.is_empty() {
        return;
    }
    let started = shared.now();
    let mut last = started;
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let now = shared.now();
        for watchdog in &config.watchdogs {
            look(&shared, watchdog, started, now);
        }
        for drill in &config.drills {
            if is_due(drill, last, now) {
                let id = now.strftime("%Y-%m-%d").to_string();
                tracing::info!(receiver = drill.receiver.as_deref().unwrap_or_default(), "a fire drill begins");
                let alert = drill_alert(drill.receiver.as_deref(), &drill.labels, &id, now);
                shared.engine().post(alert, now);
                shared.wake();
            }
        }
        last = now;
    }
}

fn is_due(drill: &DailyDrill, last: Timestamp, now: Timestamp) -> bool {
    let zone = drill.location.as_deref().and_then(zone).unwrap_or(jiff::tz::TimeZone::UTC);
    let local = now.to_zoned(zone);
    let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
    if minute != drill.minute {
        return false;
    }
    // Once in that minute: the look before was in another one.
    now.as_second().div_euclid(60) != last.as_second().div_euclid(60)
}

fn look(shared: &Shared, watchdog: &Watchdog, started: Timestamp, now: Timestamp) {
    let mut engine = shared.engine();
    let heard = engine
        .alerts()
        .filter(|(_, alert)| !alert.is_resolved(now) || alert.updated_at > started)
        .filter(|(_, alert)| alert.labels.get("watchdog").is_none() && matches_all(&watchdog.matchers, &alert.labels))
        .map(|(_, alert)| alert.updated_at)
        .max();
    let since = heard.unwrap_or(started).max(started);
    let is_silent = Duration::try_from(now.duration_since(since)).unwrap_or_default() > watchdog.within;
    let target = watchdog.receiver.as_deref().map(|name| (RECEIVER_LABEL, name));
    let own = [("alertname", "DeadMansSwitch"), ("severity", "critical"), ("watchdog", watchdog.name.as_str())];
    let labels = Labels::from_pairs(own.into_iter().chain(target));
    let fingerprint = crate::alert::Fingerprint::of(&labels);
    let fires = engine.alert(fingerprint).is_some_and(|alert| !alert.is_resolved(now));
    if !is_silent && !fires {
        return;
    }
    let matchers = format_matchers(&watchdog.matchers);
    let description = format!(
        "No alert {matchers} came for more than {}: whoever evaluates rules or sends alerts may be broken.",
        maru_monitoring::scrape::format_duration(watchdog.within)
    );
    let starts_at = engine.alert(fingerprint).filter(|_| fires).map_or(now, |alert| alert.starts_at);
    let alert = Alert {
        labels,
        annotations: Labels::from_pairs([
            ("summary", "alerts may not arrive any more"),
            ("description", description.as_str()),
        ]),
        starts_at,
        ends_at: if is_silent { now.checked_add(ALERT_TIME).unwrap_or(Timestamp::MAX) } else { now },
        updated_at: now,
        generator_url: "".into(),
        timeout: is_silent,
    };
    engine.post(alert, now);
    drop(engine);
    shared.wake();
}
