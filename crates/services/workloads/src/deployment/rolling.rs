//! The arithmetic of a rolling update.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use maru_kube::Rounding;

/// How many pods a rollout may have and must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) desired: i32,
    /// Pods above the desired number.
    pub(crate) max_surge: i32,
    /// Pods below the desired number that may be unavailable.
    pub(crate) max_unavailable: i32,
}

impl Bounds {
    pub(crate) fn of(deployment: &Deployment) -> Self {
        let spec = deployment.spec.as_ref();
        let desired = spec.and_then(|spec| spec.replicas).unwrap_or(1).max(0);
        let strategy = spec.and_then(|spec| spec.strategy.as_ref());
        if strategy.and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate") {
            return Self { desired, max_surge: 0, max_unavailable: desired };
        }
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let quarter = IntOrString::String("25%".to_owned());
        let surge = rolling.and_then(|rolling| rolling.max_surge.as_ref()).unwrap_or(&quarter);
        let unavailable = rolling.and_then(|rolling| rolling.max_unavailable.as_ref()).unwrap_or(&quarter);
        let max_surge = resolve(surge, desired, Rounding::Up);
        let mut max_unavailable = resolve(unavailable, desired, Rounding::Down).min(desired);
        // With neither, no step would be allowed.
        if max_surge == 0 && max_unavailable == 0 {
            max_unavailable = 1;
        }
        Self { desired, max_surge, max_unavailable }
    }

    pub(crate) fn total_max(self) -> i32 {
        self.desired.saturating_add(self.max_surge)
    }

    pub(crate) fn available_min(self) -> i32 {
        (self.desired - self.max_unavailable).max(0)
    }
}

/// Resolves a number or a percentage of `total`; what cannot be understood is 0.
pub(crate) fn resolve(value: &IntOrString, total: i32, rounding: Rounding) -> i32 {
    let value = match value {
        IntOrString::Int(number) => maru_kube::IntOrString::Int(*number),
        IntOrString::String(text) => maru_kube::IntOrString::Text(text.clone()),
    };
    value.scaled(total, rounding).unwrap_or(0).max(0)
}

/// What the arithmetic knows of a ReplicaSet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count {
    /// What it asks for.
    pub(crate) replicas: i32,
    /// How many pods it has, by its status.
    pub(crate) pods: i32,
    /// How many of them are available, by its status.
    pub(crate) available: i32,
    /// Whether the status tells of what the set asks for now.
    pub(crate) is_current: bool,
}

impl Count {
    /// Pods that were asked to go count until the status tells that they went.
    fn held(self) -> i32 {
        self.pods.max(self.replicas)
    }

    /// A status that lags behind tells of pods that are on their way out.
    fn surely_available(self) -> i32 {
        self.available.min(self.replicas)
    }
}

/// Returns how many replicas the new set asks for next. Pure.
pub(crate) fn next_new(new: Count, old: &[Count], bounds: Bounds) -> i32 {
    if new.replicas >= bounds.desired {
        return bounds.desired;
    }
    // A set that has not yet acted on what it was told may have more pods than its status tells.
    if !old.iter().all(|count| count.is_current) {
        return new.replicas;
    }
    let total = new.held() + old.iter().map(|count| count.held()).sum::<i32>();
    let room = (bounds.total_max() - total).max(0);
    new.replicas + room.min(bounds.desired - new.replicas)
}

/// Returns how many replicas the old sets, oldest first, ask for next: first their unavailable pods go, then as many as
/// the available ones allow. Pure.
pub(crate) fn next_old(new: Count, old: &[Count], bounds: Bounds) -> Vec<i32> {
    let total = new.replicas + old.iter().map(|count| count.replicas).sum::<i32>();
    let new_unavailable = (new.replicas - new.surely_available()).max(0);
    let mut cleanup = total - bounds.available_min() - new_unavailable;
    let mut next: Vec<i32> = old.iter().map(|count| count.replicas).collect();
    if cleanup <= 0 {
        return next;
    }
    for (next, count) in next.iter_mut().zip(old) {
        let unhealthy = (count.replicas - count.surely_available()).clamp(0, cleanup);
        *next -= unhealthy;
        cleanup -= unhealthy;
    }
    let available = new.surely_available() + old.iter().map(|count| count.surely_available()).sum::<i32>();
    let mut removable = (available - bounds.available_min()).clamp(0, cleanup.max(0));
    for next in &mut next {
        let removed = removable.min(*next);
        *next -= removed;
        removable -= removed;
    }
    next
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percentages_round_surge_up_and_unavailable_down() {
        let percent = |text: &str| IntOrString::String(text.to_owned());
        assert_eq!(resolve(&percent("25%"), 3, Rounding::Up), 1);
        assert_eq!(resolve(&percent("25%"), 3, Rounding::Down), 0);
        assert_eq!(resolve(&percent("100%"), 3, Rounding::Down), 3);
        assert_eq!(resolve(&IntOrString::Int(2), 3, Rounding::Down), 2);
    }

    #[test]
    fn steps_of_an_update() {
        let bounds = Bounds { desired: 3, max_surge: 1, max_unavailable: 0 };
        let count = |replicas, available| Count { replicas, pods: replicas, available, is_current: true };
        // (new, old, next new, next old)
        let cases = [
            (count(0, 0), vec![count(3, 3)], 1, vec![3]),
            (count(1, 0), vec![count(3, 3)], 1, vec![3]),
            (count(1, 1), vec![count(3, 3)], 1, vec![2]),
            (count(1, 1), vec![count(2, 2)], 2, vec![2]),
            (count(3, 3), vec![count(1, 1)], 3, vec![0]),
            // Broken old pods go at once: nothing is lost with them.
            (count(1, 0), vec![count(3, 1)], 1, vec![3]),
            (count(1, 1), vec![count(3, 1)], 1, vec![2]),
        ];
        for (new, old, expected_new, expected_old) in cases {
            assert_eq!(next_new(new, &old, bounds), expected_new, "{new:?} {old:?}");
            assert_eq!(next_old(new, &old, bounds), expected_old, "{new:?} {old:?}");
        }
    }

    /// A set with its pods, as its own controller would keep them; the deployment sees a lagging status.
    #[derive(Debug, Clone)]
    struct Simulated {
        replicas: i32,
        generation: i32,
        starting: i32,
        available: i32,
        acted_generation: i32,
        told: Count,
    }

    impl Simulated {
        fn complete(replicas: i32) -> Self {
            let told = Count { replicas, pods: replicas, available: replicas, is_current: true };
            Self { replicas, generation: 1, starting: 0, available: replicas, acted_generation: 1, told }
        }

        fn count(&self) -> Count {
            Count { replicas: self.replicas, is_current: self.told.replicas == self.generation, ..self.told }
        }

        fn ask(&mut self, replicas: i32) {
            if replicas != self.replicas {
                self.replicas = replicas;
                self.generation += 1;
            }
        }

        /// Makes or deletes pods; those that are not available go first.
        fn act(&mut self) {
            self.acted_generation = self.generation;
            let surplus = self.starting + self.available - self.replicas;
            if surplus < 0 {
                self.starting -= surplus;
            } else {
                let from_starting = surplus.min(self.starting);
                self.starting -= from_starting;
                self.available -= surplus - from_starting;
            }
        }

        /// Writes the status; its generation is kept in `told.replicas`.
        fn tell(&mut self) {
            let pods = self.starting + self.available;
            self.told = Count { replicas: self.acted_generation, pods, available: self.available, is_current: true };
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn an_update_keeps_its_bounds_and_ends(
            desired in 0..12i32, max_surge in 0..5i32, max_unavailable in 0..5i32,
            split in 0..12i32, steps in proptest::collection::vec((0..4u8, 0..3usize), 0..200),
        ) {
            let max_unavailable = if max_surge == 0 && max_unavailable == 0 { 1 } else { max_unavailable.min(desired) };
            prop_assume!(max_surge > 0 || max_unavailable > 0 || desired == 0);
            let bounds = Bounds { desired, max_surge, max_unavailable };
            let split = split.min(desired);
            // Two old sets that are complete, and a new one without pods.
            let mut sets = vec![split, desired - split, 0].into_iter().map(Simulated::complete).collect::<Vec<_>>();
            for set in &mut sets {
                set.tell();
            }
            let deployment_acts = |sets: &mut Vec<Simulated>| {
                let (new, old) = (sets[2].count(), [sets[0].count(), sets[1].count()]);
                sets[2].ask(next_new(new, &old, bounds));
                let new = sets[2].count();
                for (set, next) in sets.iter_mut().zip(next_old(new, &old, bounds)) {
                    set.ask(next);
                }
            };
            let check = |sets: &[Simulated]| {
                let total: i32 = sets.iter().map(|set| set.starting + set.available).sum();
                let available: i32 = sets.iter().map(|set| set.available).sum();
                (total <= bounds.total_max(), available >= bounds.available_min())
            };
            for (step, which) in steps {
                match step {
                    0 => deployment_acts(&mut sets),
                    1 => sets[which].act(),
                    2 => sets[which].tell(),
                    _ => if sets[which].starting > 0 {
                        sets[which].starting -= 1;
                        sets[which].available += 1;
                    },
                }
                prop_assert_eq!(check(&sets), (true, true), "{:?} {:?}", bounds, &sets);
            }
            // When everybody gets their turn, it ends.
            for _ in 0..100 {
                deployment_acts(&mut sets);
                for set in &mut sets {
                    set.act();
                    set.available += set.starting;
                    set.starting = 0;
                    set.tell();
                }
                prop_assert_eq!(check(&sets), (true, true));
            }
            prop_assert_eq!([sets[0].available, sets[1].available, sets[2].available], [0, 0, desired]);
        }
    }
}
