//! Random writes against a plain map that keeps every past state.

use std::collections::BTreeMap;

use maru_objects::{Change, CommitError, Durability, Expected, Key, PageRequest, Revision, Store, StoreOptions, Write};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Put { key: u8, expected: Guess, ephemeral: bool, value: u16 },
    Delete { key: u8, expected: Guess },
    Page { back: u8, after: u8, limit: u8, namespace: Option<u8> },
    Compact { back: u8 },
    Reopen,
}

#[derive(Debug, Clone, Copy)]
enum Guess {
    Absent,
    Right,
    Wrong,
    Any,
}

fn guess() -> impl Strategy<Value = Guess> {
    prop_oneof![Just(Guess::Absent), Just(Guess::Right), Just(Guess::Wrong), Just(Guess::Any)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0u8..12, guess(), any::<bool>(), any::<u16>())
            .prop_map(|(key, expected, ephemeral, value)| Step::Put { key, expected, ephemeral, value }),
        4 => (0u8..12, guess()).prop_map(|(key, expected)| Step::Delete { key, expected }),
        4 => (any::<u8>(), 0u8..13, 0u8..5, proptest::option::of(0u8..3))
            .prop_map(|(back, after, limit, namespace)| Step::Page { back, after, limit, namespace }),
        1 => any::<u8>().prop_map(|back| Step::Compact { back }),
        1 => Just(Step::Reopen),
    ]
}

type State = BTreeMap<(String, String), (Revision, u16)>;

/// Keys 0 to 11 are spread over three namespaces.
fn place(key: u8) -> (String, String) {
    (format!("ns{}", key % 3), format!("n{:02}", key / 3))
}

fn key_of(key: u8) -> Key {
    let (namespace, name) = place(key);
    Key::new("things", &namespace, &name)
}

struct Checked {
    store: Store,
    options: StoreOptions,
    states: Vec<(Revision, State)>,
    /// Older states may be gone.
    floor: Revision,
}

impl Checked {
    fn now(&self) -> &State {
        &self.states.last().unwrap().1
    }

    fn expected(&self, key: u8, guess: Guess) -> Expected {
        let current = self.now().get(&place(key)).map(|(revision, _)| *revision);
        match guess {
            Guess::Absent => Expected::Absent,
            Guess::Any => Expected::Any,
            Guess::Right => Expected::Revision(current.unwrap_or(Revision(1))),
            Guess::Wrong => Expected::Revision(Revision(current.map_or(1, |revision| revision.0 + 1))),
        }
    }

    async fn write(&mut self, key: u8, expected: Expected, value: Option<u16>, durability: Durability) {
        let change = value.map_or(Change::Delete, |value| Change::Put(value.to_string().into()));
        let write = Write { key: key_of(key), expected, change, durability };
        let result = self.store.commit(write).await;
        let current = self.now().get(&place(key)).copied();
        let allowed = match (expected, current) {
            (Expected::Any, _) => true,
            (Expected::Absent, current) => current.is_none(),
            (Expected::Revision(expected), current) => current.is_some_and(|(current, _)| current == expected),
        };
        match result {
            Ok(record) => {
                assert!(
                    allowed && (value.is_some() || current.is_some()),
                    "{expected:?} against {current:?} must fail"
                );
                assert!(record.revision > self.states.last().unwrap().0, "revisions grow");
                assert_eq!(record.revision, self.store.progress());
                let mut state = self.now().clone();
                match value {
                    Some(value) => state.insert(place(key), (record.revision, value)),
                    None => state.remove(&place(key)),
                };
                self.states.push((record.revision, state));
            }
            Err(CommitError::Exists { .. }) => assert!(!allowed && current.is_some()),
            Err(CommitError::Missing { .. }) => assert!(current.is_none()),
            Err(CommitError::Conflict { current: found, .. }) => {
                assert!(!allowed);
                assert_eq!(Some(found), current.map(|(revision, _)| revision));
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn page(&self, back: u8, after: u8, limit: u8, namespace: Option<u8>) {
        let index = self.states.len() - 1 - usize::from(back) % self.states.len();
        let (revision, state) = &self.states[index];
        let namespace = namespace.map(|namespace| format!("ns{namespace}"));
        let after = (after < 12).then(|| place(after));
        let request = PageRequest { revision: Some(*revision), after: after.clone(), limit: usize::from(limit) };
        let page = match self.store.list_page("things", namespace.as_deref(), &request) {
            Ok(page) => page,
            Err(expired) => {
                assert!(*revision < self.floor, "{expired} although history begins at {}", self.floor);
                return;
            }
        };
        let wanted: Vec<_> = state
            .iter()
            .filter(|((in_namespace, _), _)| namespace.as_ref().is_none_or(|namespace| namespace == in_namespace))
            .filter(|(place, _)| after.as_ref().is_none_or(|after| *place > after))
            .map(|((namespace, name), (revision, value))| {
                (namespace.clone(), name.clone(), *revision, value.to_string())
            })
            .collect();
        let limit = if limit == 0 { wanted.len() } else { usize::from(limit).min(wanted.len()) };
        let found: Vec<_> = page
            .records
            .iter()
            .map(|record| {
                let value = String::from_utf8(record.value.to_vec()).unwrap();
                (record.key.namespace.to_string(), record.key.name.to_string(), record.revision, value)
            })
            .collect();
        assert_eq!(found, wanted[..limit]);
        assert_eq!(page.remaining, wanted.len() - limit);
    }

    fn check_now(&self) {
        let found: State = self
            .store
            .list("things", None)
            .records
            .iter()
            .map(|record| {
                let value = String::from_utf8(record.value.to_vec()).unwrap().parse().unwrap();
                ((record.key.namespace.to_string(), record.key.name.to_string()), (record.revision, value))
            })
            .collect();
        assert_eq!(&found, self.now());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_a_map_does(
        steps in proptest::collection::vec(step(), 1..60),
        history in prop_oneof![Just(3usize), Just(10_000)],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = StoreOptions { history_events_max: history, ..StoreOptions::new(directory.path()) };
        let store = Store::open(options.clone()).unwrap();
        let mut checked = Checked {
            states: vec![(store.progress(), State::new())],
            floor: if history < 100 { Revision(u64::MAX) } else { Revision::ZERO },
            store,
            options,
        };
        for step in steps {
            match step {
                Step::Put { key, expected, ephemeral, value } => {
                    let durability = if ephemeral { Durability::Ephemeral } else { Durability::Durable };
                    let expected = checked.expected(key, expected);
                    runtime.block_on(checked.write(key, expected, Some(value), durability));
                }
                Step::Delete { key, expected } => {
                    let expected = checked.expected(key, expected);
                    runtime.block_on(checked.write(key, expected, None, Durability::Durable));
                }
                Step::Page { back, after, limit, namespace } => checked.page(back, after, limit, namespace),
                Step::Compact { back } => {
                    let index = checked.states.len() - 1 - usize::from(back) % checked.states.len();
                    let through = checked.states[index].0;
                    checked.store.compact(through);
                    checked.floor = checked.floor.max(through);
                }
                Step::Reopen => {
                    let before = checked.store.progress();
                    checked.store.close();
                    checked.store = Store::open(checked.options.clone()).unwrap();
                    assert!(checked.store.progress() >= before);
                    // Pages at older revisions may be refused where ephemeral objects may have been lost.
                    checked.floor = checked.floor.max(checked.store.progress());
                }
            }
            checked.check_now();
        }
    }
}
