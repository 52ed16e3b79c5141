//! The life of an alert, as a pure step from one evaluation to the next.
//!
//! Source: Prometheus 3 documentation, "Alerting rules"; prometheus/compliance, "Alert generator specification".

use std::collections::BTreeMap;
use std::time::Duration;

use maru_prom::Labels;

/// How long a resolved alert is kept, and told about, after its end.
const RESOLVED_KEPT_MS: i64 = 15 * 60_000;

/// Where an alert is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertState {
    /// It has ended. Ends with the time that ended alerts are kept, or when the condition holds again.
    Inactive,
    /// The condition holds, not yet long enough. Ends after the rule's `for`, or with the condition.
    Pending,
    /// It fires. Ends with the condition and the rule's `keep_firing_for`.
    Firing,
}

impl AlertState {
    /// Returns the word of the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One alert. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// What identifies it.
    pub labels: Labels,
    /// Texts for people.
    pub annotations: BTreeMap<String, String>,
    /// What the rule's expression answered last.
    pub value: f64,
    /// Where it is in its life.
    pub state: AlertState,
    /// Since when the condition holds.
    pub active_at_ms: i64,
    /// When it began to fire.
    pub fired_at_ms: Option<i64>,
    /// When it ended.
    pub resolved_at_ms: Option<i64>,
    /// Since when it fires without its condition.
    pub keep_firing_since_ms: Option<i64>,
    /// When it was handed to the sender last.
    pub last_sent_ms: Option<i64>,
    /// Until when receivers shall take it for firing.
    pub valid_until_ms: i64,
}

/// A series for which the condition of a rule holds, with the labels and texts that its alert gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The alert's labels.
    pub labels: Labels,
    /// Its texts.
    pub annotations: BTreeMap<String, String>,
    /// The series' value.
    pub value: f64,
}

/// How long things take in one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlertTiming {
    /// The rule's `for`.
    pub hold_ms: i64,
    /// The rule's `keep_firing_for`.
    pub keep_firing_ms: i64,
}

/// The alerts of one rule.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alerts(pub(crate) BTreeMap<Labels, Alert>);

impl Alerts {
    /// Takes what one evaluation saw. `observed` has no label set twice. Returns how many alerts are pending or firing.
    pub fn step(&mut self, observed: Vec<Observation>, at_ms: i64, timing: AlertTiming) -> usize {
        let mut is_seen = std::collections::HashSet::with_capacity(observed.len());
        for Observation { labels, annotations, value } in observed {
            is_seen.insert(labels.clone());
            match self.0.get_mut(&labels) {
                Some(alert) if alert.state != AlertState::Inactive => {
                    alert.value = value;
                    alert.annotations = annotations;
                }
                _ => {
                    self.0.insert(labels.clone(), Alert::new(labels, annotations, value, at_ms));
                }
            }
        }
        let mut active = 0;
        self.0.retain(|labels, alert| {
            if is_seen.contains(labels) {
                alert.keep_firing_since_ms = None;
            } else if !alert.miss(at_ms, timing) {
                return false;
            }
            if alert.state == AlertState::Inactive {
                return true;
            }
            active += 1;
            if alert.state == AlertState::Pending && at_ms - alert.active_at_ms >= timing.hold_ms {
                alert.state = AlertState::Firing;
                alert.fired_at_ms = Some(at_ms);
            }
            true
        });
        active
    }

    /// Goes over all alerts in the order of their labels.
    pub fn iter(&self) -> impl Iterator<Item = &Alert> {
        self.0.values()
    }

    /// Goes over those that are pending or firing.
    pub fn active(&self) -> impl Iterator<Item = &Alert> {
        self.iter().filter(|alert| alert.state != AlertState::Inactive)
    }

    /// Returns the furthest state of all.
    #[must_use]
    pub fn state(&self) -> AlertState {
        self.iter().map(|alert| alert.state).max().unwrap_or(AlertState::Inactive)
    }

    /// Takes the alerts that receivers must be told about now, and notes that they are.
    pub fn take_due(&mut self, at_ms: i64, resend_ms: i64, interval_ms: i64) -> Vec<Alert> {
        let due = self.0.values_mut().filter(|alert| alert.is_due(at_ms, resend_ms));
        let taken = due.map(|alert| {
            alert.last_sent_ms = Some(at_ms);
            // Two evaluations or sends may fail before a receiver takes the alert for resolved.
            alert.valid_until_ms = at_ms + 4 * resend_ms.max(interval_ms);
            alert.clone()
        });
        taken.collect()
    }

    /// The machine's clock was set: what was so long ago stays so long ago.
    pub fn shift(&mut self, by_ms: i64) {
        for alert in self.0.values_mut() {
            alert.active_at_ms += by_ms;
            alert.valid_until_ms += by_ms;
            for time in [
                &mut alert.fired_at_ms,
                &mut alert.resolved_at_ms,
                &mut alert.keep_firing_since_ms,
                &mut alert.last_sent_ms,
            ] {
                *time = time.map(|time| time + by_ms);
            }
        }
    }
}

impl Alert {
    fn new(labels: Labels, annotations: BTreeMap<String, String>, value: f64, at_ms: i64) -> Self {
        Self {
            labels,
            annotations,
            value,
            state: AlertState::Pending,
            active_at_ms: at_ms,
            fired_at_ms: None,
            resolved_at_ms: None,
            keep_firing_since_ms: None,
            last_sent_ms: None,
            valid_until_ms: 0,
        }
    }

    /// The condition does not hold. Returns whether the alert is kept.
    fn miss(&mut self, at_ms: i64, timing: AlertTiming) -> bool {
        match self.state {
            AlertState::Pending => false,
            AlertState::Inactive => self.resolved_at_ms.is_none_or(|at| at_ms - at <= RESOLVED_KEPT_MS),
            AlertState::Firing => {
                if timing.keep_firing_ms > 0 {
                    let since = *self.keep_firing_since_ms.get_or_insert(at_ms);
                    if at_ms - since < timing.keep_firing_ms {
                        return true;
                    }
                }
                self.state = AlertState::Inactive;
                self.resolved_at_ms = Some(at_ms);
                true
            }
        }
    }

    /// Tells whether receivers must be told about it now.
    fn is_due(&self, at_ms: i64, resend_ms: i64) -> bool {
        if self.state == AlertState::Pending {
            return false;
        }
        let Some(sent) = self.last_sent_ms else { return true };
        self.resolved_at_ms.is_some_and(|resolved| resolved > sent) || sent + resend_ms < at_ms
    }
}

/// Returns a length of time in milliseconds.
pub(crate) fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn observed(names: &[&str]) -> Vec<Observation> {
        let one = |name: &&str| Observation {
            labels: Labels::from_pairs([("a", *name)]),
            annotations: BTreeMap::new(),
            value: 1.0,
        };
        names.iter().map(one).collect()
    }

    fn states(alerts: &Alerts) -> Vec<&'static str> {
        alerts.iter().map(|alert| alert.state.word()).collect()
    }

    #[test]
    fn an_alert_fires_after_its_for_and_is_kept_for_15_minutes_after_its_end() {
        let timing = AlertTiming { hold_ms: 2 * MINUTE, keep_firing_ms: 0 };
        let mut alerts = Alerts::default();
        let mut told = Vec::new();
        for (minute, present) in [(0, true), (1, true), (2, true), (3, false), (18, false), (19, false)] {
            let now = minute * MINUTE;
            alerts.step(observed(if present { &["x"] } else { &[] }), now, timing);
            told.push((minute, states(&alerts), alerts.take_due(now, MINUTE, MINUTE).len()));
        }
        let expected = vec![
            (0, vec!["pending"], 0),
            (1, vec!["pending"], 0),
            (2, vec!["firing"], 1),
            (3, vec!["inactive"], 1),
            (18, vec!["inactive"], 1),
            (19, vec![], 0),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_pending_alert_that_ends_leaves_no_trace_and_one_without_for_fires_at_once() {
        let mut alerts = Alerts::default();
        alerts.step(observed(&["x"]), 0, AlertTiming { hold_ms: MINUTE, keep_firing_ms: 0 });
        alerts.step(Vec::new(), 1, AlertTiming { hold_ms: MINUTE, keep_firing_ms: 0 });
        assert!(states(&alerts).is_empty());
        alerts.step(observed(&["x"]), 0, AlertTiming::default());
        assert_eq!(states(&alerts), ["firing"]);
    }

    #[test]
    fn keep_firing_for_bridges_gaps_and_begins_anew_with_each() {
        let timing = AlertTiming { hold_ms: 0, keep_firing_ms: 3 * MINUTE };
        let mut alerts = Alerts::default();
        let mut told = Vec::new();
        for (minute, present) in [(0, true), (1, false), (3, false), (4, true), (5, false), (7, false), (8, false)] {
            alerts.step(observed(if present { &["x"] } else { &[] }), minute * MINUTE, timing);
            told.push((minute, states(&alerts)[0]));
        }
        let firing = "firing";
        assert_eq!(
            told,
            [(0, firing), (1, firing), (3, firing), (4, firing), (5, firing), (7, firing), (8, "inactive")]
        );
    }

    #[test]
    fn firing_alerts_are_sent_again_after_the_delay_and_valid_for_four_of_the_longer_time() {
        let mut alerts = Alerts::default();
        let mut sent = Vec::new();
        for second in (0..=180).step_by(15) {
            let now = second * 1000;
            alerts.step(observed(&["x"]), now, AlertTiming::default());
            let due = alerts.take_due(now, MINUTE, 15_000);
            sent.extend(due.iter().map(|alert| (second, (alert.valid_until_ms - now) / MINUTE)));
        }
        assert_eq!(sent, [(0, 4), (75, 4), (150, 4)]);
        let due = alerts.take_due(1_000_000, MINUTE, 2 * MINUTE);
        assert_eq!(due[0].valid_until_ms, 1_000_000 + 8 * MINUTE);
    }

    #[test]
    fn a_resolved_alert_that_comes_back_is_a_new_one() {
        let mut alerts = Alerts::default();
        alerts.step(observed(&["x"]), 0, AlertTiming::default());
        alerts.step(Vec::new(), MINUTE, AlertTiming::default());
        alerts.step(observed(&["x"]), 2 * MINUTE, AlertTiming { hold_ms: MINUTE, keep_firing_ms: 0 });
        let alert = alerts.iter().next().unwrap();
        assert_eq!((alert.state, alert.active_at_ms, alert.resolved_at_ms), (AlertState::Pending, 2 * MINUTE, None));
    }

    #[test]
    fn a_clock_that_is_set_changes_no_length() {
        let timing = AlertTiming { hold_ms: 5 * MINUTE, keep_firing_ms: 0 };
        let mut alerts = Alerts::default();
        alerts.step(observed(&["x"]), 100 * MINUTE, timing);
        alerts.shift(-90 * MINUTE);
        alerts.step(observed(&["x"]), 14 * MINUTE, timing);
        assert_eq!(states(&alerts), ["pending"]);
        alerts.step(observed(&["x"]), 15 * MINUTE, timing);
        assert_eq!(states(&alerts), ["firing"]);
    }
}
