//! When who is told what: the engine with simulated time.

use maru_alerts::{Alert, Attempt, Decision, Dispatch, Engine, EngineLimits, Outcome, Record, Silence};
use maru_monitoring::alerting::parse_matchers;
use maru_prom::Labels;
use maru_time::Timestamp;

use crate::plan;

fn at(second: i64) -> Timestamp {
    // A Sunday, 09:00 UTC.
    Timestamp::from_second(1_795_338_000 + second).unwrap()
}

/// An engine with a clock that is set, and what it sent: second, receiver, firing, resolved.
struct Simulation {
    engine: Engine,
    now: i64,
    sent: Vec<(i64, String, String, String)>,
    is_down: bool,
    records: Vec<Record>,
}

impl Simulation {
    fn new(config: &str) -> Self {
        let engine = Engine::new(plan(config), EngineLimits::default());
        Self { engine, now: 0, sent: Vec::new(), is_down: false, records: Vec::new() }
    }

    /// Lets time pass.
    fn until(&mut self, second: i64) {
        loop {
            let wake = self.engine.next_wake().map_or(i64::MAX, |wake| wake.as_second() - at(0).as_second());
            if wake > second {
                break;
            }
            self.now = self.now.max(wake);
            let dispatches = self.engine.advance(at(self.now));
            self.take(dispatches);
        }
        self.now = second;
        let dispatches = self.engine.advance(at(second));
        self.take(dispatches);
        self.records.extend(self.engine.take_records());
    }

    fn take(&mut self, mut dispatches: Vec<Dispatch>) {
        while let Some(dispatch) = dispatches.pop() {
            let names = |resolved: bool| {
                let alerts = dispatch.alerts.iter().filter(|alert| alert.is_resolved(dispatch.now) == resolved);
                alerts
                    .map(|alert| alert.labels.get("alertname").unwrap_or("?").to_owned())
                    .collect::<Vec<_>>()
                    .join(",")
            };
            if !self.is_down {
                self.sent.push((self.now, dispatch.receiver_name().to_owned(), names(false), names(true)));
            }
            let attempts = vec![Attempt { at: at(self.now), answer: "200".to_owned() }];
            let outcome = Outcome { delivered: !self.is_down, attempts };
            dispatches.extend(self.engine.sent(&dispatch, &outcome, at(self.now)));
        }
    }

    /// Brings an alert that fires until `ends`.
    fn post(&mut self, labels: &str, starts: i64, ends: i64) {
        let matchers = parse_matchers(labels).unwrap();
        let alert = Alert {
            labels: Labels::from_pairs(matchers.iter().map(|matcher| (matcher.name(), matcher.value()))),
            annotations: Labels::empty(),
            starts_at: at(starts),
            ends_at: at(ends),
            updated_at: at(self.now),
            generator_url: "".into(),
            timeout: false,
        };
        self.engine.post(alert, at(self.now));
    }

    fn silence(&mut self, matchers: &str, starts: i64, ends: i64) -> String {
        let silence = Silence {
            id: String::new(),
            matchers: parse_matchers(matchers).unwrap(),
            starts_at: at(starts),
            ends_at: at(ends),
            updated_at: at(self.now),
            created_by: "me".to_owned(),
            comment: "why".to_owned(),
            annotations: Default::default(),
        };
        let number = self.engine.silences().count();
        self.engine.set_silence(silence, || format!("silence-{number}"), at(self.now)).unwrap()
    }

    #[track_caller]
    fn told(&mut self, expected: &[(i64, &str, &str, &str)]) {
        let told: Vec<(i64, &str, &str, &str)> =
            self.sent.iter().map(|(at, to, firing, over)| (*at, to.as_str(), firing.as_str(), over.as_str())).collect();
        assert_eq!(told, expected);
        self.sent.clear();
    }
}

const BASIC: &str = "
route: {receiver: ops, group_by: [alertname], group_wait: 30s, group_interval: 5m, repeat_interval: 1h}
receivers:
  - name: ops
    webhook_configs: [{url: 'http://ops/'}]
";

const FAR: i64 = 1_000_000;

#[test]
fn a_group_waits_then_looks_each_interval_and_repeats() {
    let mut simulation = Simulation::new(BASIC);
    simulation.post("{alertname=a,n=\"1\"}", 0, FAR);
    simulation.until(10);
    simulation.post("{alertname=a,n=\"2\"}", 10, FAR);
    simulation.until(100);
    // Both in one message, group_wait after the first.
    simulation.told(&[(30, "ops", "a,a", "")]);
    simulation.post("{alertname=a,n=\"3\"}", 100, FAR);
    simulation.until(3600);
    // The next look tells the third; nothing new after that.
    simulation.told(&[(330, "ops", "a,a,a", "")]);
    simulation.until(2 * 3600);
    // repeat_interval is checked at looks only: 330 + 3600 is passed at 4230 (30 + 14 * 300), strictly after.
    simulation.told(&[(4230, "ops", "a,a,a", "")]);
}

#[test]
fn an_alert_that_is_old_already_does_not_wait() {
    let mut simulation = Simulation::new(BASIC);
    simulation.post("{alertname=a}", -31, FAR);
    simulation.until(1);
    simulation.told(&[(0, "ops", "a", "")]);
}

#[test]
fn the_end_is_told_once_and_what_never_was_told_stays_untold() {
    let mut simulation = Simulation::new(BASIC);
    simulation.post("{alertname=a}", 0, 20);
    simulation.until(1000);
    simulation.told(&[]);
    simulation.post("{alertname=b}", 1000, FAR);
    simulation.until(1100);
    simulation.post("{alertname=b}", 1000, 1100);
    // Its sender says again that it is over.
    simulation.until(1200);
    simulation.post("{alertname=b}", 1000, 1100);
    simulation.until(9000);
    simulation.told(&[(1030, "ops", "b", ""), (1330, "ops", "", "b")]);
    // It comes again: a new first notification, after group_wait.
    simulation.post("{alertname=b}", 9000, FAR);
    simulation.until(9100);
    simulation.told(&[(9030, "ops", "b", "")]);
}

#[test]
fn without_send_resolved_the_end_is_not_told_but_remembered() {
    let config = BASIC.replace("url: 'http://ops/'", "url: 'http://ops/', send_resolved: false");
    let mut simulation = Simulation::new(&config);
    simulation.post("{alertname=a}", 0, 40);
    simulation.until(400);
    simulation.told(&[(30, "ops", "a", "")]);
    // The log was cleared by the end: the same alert is new.
    simulation.post("{alertname=a}", 400, FAR);
    simulation.until(500);
    simulation.until(1000);
    let told = simulation.sent.clone();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn a_receiver_that_is_down_for_an_hour_is_told_once_it_is_up() {
    let mut simulation = Simulation::new(BASIC);
    simulation.is_down = true;
    simulation.post("{alertname=a}", 0, FAR);
    simulation.until(3600);
    simulation.told(&[]);
    simulation.is_down = false;
    simulation.until(7000);
    simulation.told(&[(3630, "ops", "a", "")]);
    // An alert that comes and goes while it is down again: nobody needs to know any more, but of the one that it knows.
    simulation.is_down = true;
    simulation.post("{alertname=a}", 0, 7000);
    simulation.until(9000);
    simulation.is_down = false;
    simulation.until(10_000);
    simulation.told(&[(9030, "ops", "", "a")]);
}

const TREE: &str = "
route:
  receiver: all
  group_by: ['...']
  group_wait: 0s
  routes:
    - matchers: [severity=page]
      receiver: pager
      continue: true
    - matchers: ['team=~\"db|cache\"']
      receiver: db
      routes:
        - matchers: [kind!=disk]
          receiver: db-other
    - match: {team: web}
      receiver: web
      group_by: [team]
inhibit_rules:
  - source_matchers: [severity=page]
    target_matchers: [severity=warn]
    equal: [host]
receivers:
  - {name: all, webhook_configs: [{url: 'http://all/'}]}
  - {name: pager, webhook_configs: [{url: 'http://pager/'}]}
  - {name: db, webhook_configs: [{url: 'http://db/'}]}
  - {name: db-other, webhook_configs: [{url: 'http://db-other/'}]}
  - {name: web, webhook_configs: [{url: 'http://web/'}]}
";

#[test]
fn the_tree_is_walked_depth_first() {
    let table = [
        ("{alertname=a}", vec!["all"]),
        ("{alertname=a,severity=page}", vec!["pager"]),
        ("{alertname=a,severity=page,team=db,kind=disk}", vec!["db", "pager"]),
        ("{alertname=a,team=cache}", vec!["db-other"]),
        ("{alertname=a,team=db,kind=disk}", vec!["db"]),
        ("{alertname=a,team=web}", vec!["web"]),
        ("{alertname=a,team=dbx}", vec!["all"]),
    ];
    for (labels, expected) in table {
        let mut simulation = Simulation::new(TREE);
        simulation.post(labels, 0, FAR);
        simulation.until(1);
        let mut told: Vec<&str> = simulation.sent.iter().map(|(_, to, ..)| to.as_str()).collect();
        told.sort_unstable();
        assert_eq!(told, expected, "{labels}");
    }
}

#[test]
fn inhibition_holds_while_the_source_fires_and_labels_are_equal() {
    let mut simulation = Simulation::new(TREE);
    simulation.post("{alertname=source,severity=page,host=h1}", 0, 1000);
    simulation.post("{alertname=target,severity=warn,host=h1}", 0, FAR);
    simulation.post("{alertname=other,severity=warn,host=h2}", 0, FAR);
    simulation.until(10);
    simulation.sent.sort();
    simulation.told(&[(0, "all", "other", ""), (0, "pager", "source", "")]);
    // The source is over: the target is told at its group's next look.
    simulation.until(1300);
    simulation.sent.sort();
    simulation.told(&[(1200, "all", "target", ""), (1200, "pager", "", "source")]);
}

#[test]
fn an_alert_that_is_source_and_target_does_not_inhibit_itself() {
    let config = "
route: {receiver: ops, group_wait: 0s, group_by: ['...']}
inhibit_rules: [{source_matchers: [a=b], target_matchers: [a=b]}, {source_matchers: [c=d], target_matchers: ['a=~\".+\"'], equal: [missing]}]
receivers: [{name: ops, webhook_configs: [{url: 'http://x/'}]}]
";
    let mut simulation = Simulation::new(config);
    simulation.post("{alertname=x,a=b}", 0, FAR);
    simulation.post("{alertname=y,a=b}", 0, FAR);
    simulation.until(1);
    assert_eq!(simulation.sent.len(), 2);
    simulation.sent.clear();
    // A label that both lack is equal.
    simulation.post("{alertname=z,c=d}", 1, FAR);
    simulation.post("{alertname=w,a=e}", 1, FAR);
    simulation.until(2);
    simulation.told(&[(1, "ops", "z", "")]);
}

#[test]
fn silences_hold_from_start_to_end_and_edits_follow_the_rules() {
    let mut simulation = Simulation::new(BASIC);
    let first = simulation.silence("{alertname=a}", 0, 1000);
    simulation.post("{alertname=a}", 0, FAR);
    simulation.post("{alertname=b}", 0, FAR);
    simulation.until(900);
    simulation.told(&[(30, "ops", "b", "")]);
    // Longer by an edit in place.
    let edited = Silence { ends_at: at(2000), ..simulation.engine.silence(&first).unwrap().clone() };
    assert_eq!(simulation.engine.set_silence(edited.clone(), || unreachable!("in place"), at(900)).unwrap(), first);
    // Other matchers: the old one ends, another begins.
    let other = Silence { matchers: parse_matchers("{alertname=~\"a|c\"}").unwrap(), ..edited };
    let second = simulation.engine.set_silence(other, || "second".to_owned(), at(900)).unwrap();
    assert_eq!(second, "second");
    assert_eq!(simulation.engine.silence(&first).unwrap().ends_at, at(900));
    simulation.until(1900);
    simulation.told(&[]);
    simulation.until(2200);
    simulation.told(&[(2130, "ops", "a", "")]);
    assert!(simulation.engine.expire_silence("second", at(2200)).is_err(), "it is over already");
    assert!(simulation.engine.expire_silence("none", at(2200)).is_err());
}

#[test]
fn a_silence_that_matches_all_silences_all() {
    let mut simulation = Simulation::new(BASIC);
    simulation.silence("{alertname=~\".+\"}", 0, 500);
    for number in 0..10_000 {
        simulation.post(&format!("{{alertname=\"a{}\",n=\"{number}\"}}", number % 100), 0, FAR);
    }
    simulation.until(499);
    simulation.told(&[]);
    simulation.until(700);
    assert_eq!(simulation.sent.len(), 100, "one message a group");
    for wrong in ["{alertname=~\".*\"}", "{alertname=\"\"}", "{alertname!=\"x\"}"] {
        let silence = Silence {
            id: String::new(),
            matchers: parse_matchers(wrong).unwrap(),
            starts_at: at(700),
            ends_at: at(800),
            updated_at: at(700),
            created_by: String::new(),
            comment: String::new(),
            annotations: Default::default(),
        };
        assert!(simulation.engine.set_silence(silence, String::new, at(700)).is_err(), "{wrong}");
    }
}

#[test]
fn muted_times_hold_back_and_active_times_let_through() {
    let config = "
route:
  receiver: ops
  group_wait: 0s
  group_interval: 5m
  group_by: ['...']
  routes:
    - {matchers: [a=muted], mute_time_intervals: [morning]}
    - {matchers: [a=active], active_time_intervals: [later]}
time_intervals:
  - {name: morning, time_intervals: [{times: [{start_time: '08:00', end_time: '10:00'}], weekdays: [sunday]}]}
  - {name: later, time_intervals: [{times: [{start_time: '18:30', end_time: '24:00'}], location: Asia/Seoul}]}
receivers: [{name: ops, webhook_configs: [{url: 'http://x/'}]}]
";
    let mut simulation = Simulation::new(config);
    simulation.post("{alertname=m,a=muted}", 0, FAR);
    simulation.post("{alertname=s,a=active}", 0, FAR);
    simulation.until(7200);
    // 18:30 in Seoul is 09:30 UTC; the muted time ends at 10:00.
    simulation.told(&[(1800, "ops", "s", ""), (3600, "ops", "m", "")]);
}

#[test]
fn another_configuration_keeps_groups_and_what_was_told() {
    let mut simulation = Simulation::new(BASIC);
    simulation.post("{alertname=a}", 0, FAR);
    simulation.until(40);
    simulation.told(&[(30, "ops", "a", "")]);
    simulation.engine.reload(plan(&format!("{BASIC}\ninhibit_rules: []\n")), at(40));
    simulation.until(1000);
    simulation.told(&[]);
    simulation.post("{alertname=a,n=\"2\"}", 1000, FAR);
    simulation.until(1300);
    // The looks go on in the old rhythm: 30 + 4 * 300.
    simulation.told(&[(1230, "ops", "a,a", "")]);
    // Another receiver was never told.
    simulation.engine.reload(plan(&BASIC.replace("ops", "new")), at(1300));
    simulation.until(1600);
    assert_eq!(simulation.sent.len(), 1);
    assert_eq!(simulation.sent[0].1, "new");
}

#[test]
fn nothing_is_told_twice_after_a_crash() {
    let mut simulation = Simulation::new(BASIC);
    simulation.silence("{alertname=quiet}", 0, 5000);
    simulation.post("{alertname=a}", 0, FAR);
    simulation.post("{alertname=quiet}", 0, FAR);
    simulation.post("{alertname=over}", 0, 50);
    simulation.until(400);
    simulation.sent.sort();
    simulation.told(&[(30, "ops", "a", ""), (30, "ops", "over", ""), (330, "ops", "", "over")]);
    let mut engine = Engine::new(plan(BASIC), EngineLimits::default());
    for record in std::mem::take(&mut simulation.records) {
        engine.restore(record, at(450));
    }
    engine.restored(at(450));
    simulation.engine = engine;
    simulation.now = 450;
    simulation.until(3000);
    simulation.told(&[]);
    // Nobody says the alert again: after resolve_timeout it is over, which is told once.
    assert_eq!(simulation.engine.alerts().count(), 3);
}

#[test]
fn an_alert_that_nobody_says_again_after_a_crash_ends() {
    let mut simulation = Simulation::new(BASIC);
    simulation.post("{alertname=a}", 0, 240);
    simulation.until(60);
    let mut engine = Engine::new(plan(BASIC), EngineLimits::default());
    for record in std::mem::take(&mut simulation.records) {
        engine.restore(record, at(500));
    }
    engine.restored(at(500));
    simulation.engine = engine;
    simulation.sent.clear();
    simulation.now = 500;
    simulation.until(2000);
    // It had fired for long: the group looks at once and finds nothing new; 300 s later it is over.
    simulation.told(&[(800, "ops", "", "a")]);
}

#[test]
fn decisions_are_told_with_their_reasons() {
    assert!(Decision::FirstNotification.sends() && !Decision::NothingNew.sends());
    let mut simulation = Simulation::new(BASIC);
    for number in 0..3 {
        simulation.post(&format!("{{alertname=a,n=\"{number}\"}}"), 0, FAR);
    }
    simulation.until(1000);
    assert_eq!(simulation.sent.len(), 1);
}

#[test]
fn a_clock_that_jumps_does_not_flood() {
    let mut simulation = Simulation::new(BASIC);
    simulation.post("{alertname=a}", 0, FAR);
    simulation.until(60);
    simulation.sent.clear();
    // Half a day later at once: one look, one repetition.
    simulation.now = 43_200;
    let dispatches = simulation.engine.advance(at(43_200));
    simulation.take(dispatches);
    assert_eq!(simulation.sent.len(), 1);
    // And back.
    let dispatches = simulation.engine.advance(at(100));
    assert!(dispatches.is_empty());
}
