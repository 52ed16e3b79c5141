//! Since when alerts hold, after a restart.
//!
//! Source: Prometheus 3 documentation, flags `rules.alert.for-outage-tolerance` and `rules.alert.for-grace-period`.

use std::collections::HashMap;

use maru_prom::{METRIC_NAME, is_stale_marker};

use super::backend::Backend;
use super::evaluate::{ALERT_NAME, ALERTS_FOR_STATE, ActiveRule};

/// How far a restart is bridged. Milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bridge {
    /// Alerts that were active longer ago than this are new ones.
    pub(crate) outage_tolerance_ms: i64,
    /// A restored alert does not fire before this.
    pub(crate) grace_ms: i64,
}

/// Returns since when an alert holds that was active when the last process ended at `down_ms`, as far as it needs to change.
pub(crate) fn restored_active_at(active_ms: i64, down_ms: i64, now_ms: i64, hold_ms: i64, bridge: Bridge) -> i64 {
    let remaining_ms = hold_ms - (down_ms - active_ms);
    if remaining_ms <= 0 {
        // It was firing, and fires again with the next evaluation.
        active_ms
    } else if remaining_ms < bridge.grace_ms {
        now_ms + bridge.grace_ms - hold_ms
    } else {
        // The outage does not count.
        active_ms + (now_ms - down_ms)
    }
}

/// Restores the alerts of one rule.
pub(crate) fn restore(rule: &ActiveRule, backend: &dyn Backend, now_ms: i64, bridge: Bridge) -> Result<usize, String> {
    if !rule.rule.is_alerting() || rule.state().is_restored {
        return Ok(0);
    }
    if rule.timing.hold_ms < bridge.grace_ms {
        // Waiting for the grace period would take longer than to begin anew.
        rule.state().is_restored = true;
        return Ok(0);
    }
    let range = (now_ms - bridge.outage_tolerance_ms, now_ms);
    let found = backend.last(ALERTS_FOR_STATE, (ALERT_NAME, rule.rule.name()), range)?;
    let known: HashMap<_, _> = found
        .into_iter()
        .filter(|(.., active)| !is_stale_marker(*active))
        .map(|(labels, at_ms, active)| (labels.filtered(|name| name != METRIC_NAME), (at_ms, active)))
        .collect();
    let mut state = rule.state();
    let mut restored = 0;
    for alert in state.alerts.0.values_mut() {
        let Some((down_ms, active)) = known.get(&alert.labels) else { continue };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "seconds since 1970; beyond 64 bits it is the largest number"
        )]
        let active_ms = (*active as i64).saturating_mul(1000);
        alert.active_at_ms = restored_active_at(active_ms, *down_ms, now_ms, rule.timing.hold_ms, bridge);
        restored += 1;
    }
    state.is_restored = true;
    Ok(restored)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;
    const BRIDGE: Bridge = Bridge { outage_tolerance_ms: 60 * MINUTE, grace_ms: 10 * MINUTE };

    #[test]
    fn an_outage_does_not_count_and_nothing_fires_before_the_grace_period() {
        // Active since 0 with a `for` of 30 minutes; down at minute 10 for 20 minutes: 20 minutes remain.
        assert_eq!(restored_active_at(0, 10 * MINUTE, 30 * MINUTE, 30 * MINUTE, BRIDGE), 20 * MINUTE);
        // 5 minutes remained: the grace period instead.
        assert_eq!(restored_active_at(0, 25 * MINUTE, 40 * MINUTE, 30 * MINUTE, BRIDGE), 20 * MINUTE);
        // It was firing.
        assert_eq!(restored_active_at(0, 35 * MINUTE, 40 * MINUTE, 30 * MINUTE, BRIDGE), 0);
    }
}
