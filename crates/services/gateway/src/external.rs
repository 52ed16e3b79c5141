//! Addresses of names outside the cluster, for Services that stand for such a name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use maru_task::Scope;
use tokio::sync::Notify;

/// How often names are looked up again.
const PERIOD: Duration = Duration::from_secs(30);
/// Time for one look-up.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(5);
/// Names that are looked up; further ones have no addresses.
const NAMES_MAX: usize = 1024;

/// The names that are wanted, with what is known of them.
#[derive(Default)]
struct Known {
    wanted: BTreeSet<String>,
    addresses: BTreeMap<String, Vec<IpAddr>>,
}

/// Looks names up, now and then.
#[derive(Clone, Default)]
pub(crate) struct Names {
    known: Arc<Mutex<Known>>,
    asked: Arc<Notify>,
}

impl Names {
    /// Keeps addresses up to date for as long as the scope lives; says so on `changed` when they have changed.
    pub(crate) fn follow(scope: &Scope, changed: &Arc<Notify>) -> Self {
        let names = Self::default();
        let (following, changed) = (names.clone(), Arc::clone(changed));
        drop(scope.spawn_until_cancelled("names", async move {
            loop {
                if following.look_up().await {
                    changed.notify_one();
                }
                tokio::select! {
                    () = following.asked.notified() => {}
                    () = following.wait() => {}
                }
            }
        }));
        names
    }

    /// Returns what is known.
    pub(crate) fn addresses(&self) -> BTreeMap<String, Vec<IpAddr>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).addresses.clone()
    }

    /// Says which names are wanted from now on.
    pub(crate) fn want(&self, names: BTreeSet<String>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.wanted != names {
            known.wanted = names;
            self.asked.notify_one();
        }
    }

    /// Waits until it is time again; for ever while nothing is wanted.
    async fn wait(&self) {
        let idle = self.known.lock().unwrap_or_else(PoisonError::into_inner).wanted.is_empty();
        if idle { std::future::pending().await } else { tokio::time::sleep(PERIOD).await }
    }

    async fn look_up(&self) -> bool {
        let wanted: Vec<String> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.wanted.iter().take(NAMES_MAX).cloned().collect()
        };
        let all = futures::future::join_all(wanted.into_iter().map(|name| async move {
            let found = tokio::time::timeout(LOOK_UP_TIMEOUT, tokio::net::lookup_host((name.as_str(), 0))).await;
            let found = found.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
            let found = found.map(|found| usable(found.map(|address| address.ip())));
            (name, found)
        }))
        .await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut addresses = BTreeMap::new();
        for (name, found) in all {
            match found {
                Ok(found) => drop(addresses.insert(name, found)),
                // What was known before is better than nothing.
                Err(error) => {
                    tracing::debug!(name, %error, "a name outside could not be looked up");
                    if let Some(before) = known.addresses.remove(&name) {
                        addresses.insert(name, before);
                    }
                }
            }
        }
        let changed = known.addresses != addresses;
        known.addresses = addresses;
        changed
    }
}

/// Leaves out addresses that are this machine's own: they would lead round what guards them (CVE-2021-25740).
fn usable(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let outside = |address: &IpAddr| {
        let local = match address {
            IpAddr::V4(four) => four.is_loopback() || four.is_link_local(),
            IpAddr::V6(six) => six.is_loopback() || six.is_unicast_link_local(),
        };
        !local && !address.is_unspecified() && !address.is_multicast()
    };
    let found: BTreeSet<IpAddr> = addresses.map(|address| address.to_canonical()).filter(outside).collect();
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_are_left_out() {
        let parse = |text: &str| text.parse::<IpAddr>().unwrap();
        let given = ["127.0.0.1", "::1", "0.0.0.0", "169.254.169.254", "::ffff:127.0.0.1", "192.0.2.7", "192.0.2.7"];
        assert_eq!(usable(given.into_iter().map(parse)), [parse("192.0.2.7")]);
    }

    #[tokio::test]
    async fn names_are_looked_up_when_they_are_wanted() {
        let scope = Scope::root("test");
        let changed = Arc::new(Notify::new());
        let names = Names::follow(&scope, &changed);
        assert!(names.addresses().is_empty());
        names.want(BTreeSet::from(["192.0.2.7".to_owned(), "localhost".to_owned()]));
        changed.notified().await;
        let known = names.addresses();
        assert_eq!(known["192.0.2.7"], ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        assert!(known.get("localhost").is_none_or(Vec::is_empty));
        scope.shutdown(Duration::from_secs(5)).await.unwrap();
    }
}
