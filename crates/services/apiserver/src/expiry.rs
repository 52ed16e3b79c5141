//! Lets events go when they are old: nobody else deletes them.

use std::sync::Arc;
use std::time::Duration;

use maru_objects::{Change, Durability, Expected, Write};
use maru_time::Timestamp;
use serde_json::Value;

use crate::meta;
use crate::state::{State, decode_raw};

/// How long an event is kept after it last happened.
const EVENT_AGE_MAX: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);
/// How often old ones are looked for.
const PERIOD: Duration = Duration::from_secs(300);

/// Removes old events until the server's scope ends.
pub(crate) fn start(state: &Arc<State>) {
    let worker = Arc::clone(state);
    drop(state.scope.spawn_until_cancelled("event expiry", async move {
        loop {
            tokio::time::sleep(PERIOD).await;
            remove_old(&worker).await;
        }
    }));
}

pub(crate) async fn remove_old(state: &State) {
    let oldest = state.now().saturating_sub(EVENT_AGE_MAX).unwrap_or(Timestamp::MIN);
    for record in state.store.list("events", None).records {
        let Ok(event) = decode_raw(&record) else { continue };
        if last_seen(&event).is_none_or(|seen| seen >= oldest) {
            continue;
        }
        let removal = Write {
            key: record.key.clone(),
            expected: Expected::Revision(record.revision),
            change: Change::Delete,
            durability: Durability::Ephemeral,
        };
        // It may just have happened again, or be gone.
        if let Err(error) = state.store.commit(removal).await {
            tracing::debug!(key = %record.key, %error, "an old event stays");
        }
    }
}

/// The latest of the times that an event has.
fn last_seen(event: &Value) -> Option<Timestamp> {
    [&["lastTimestamp"][..], &["eventTime"], &["series", "lastObservedTime"], &["metadata", "creationTimestamp"]]
        .iter()
        .filter_map(|path| meta::text(event, path).parse().ok())
        .max()
}
