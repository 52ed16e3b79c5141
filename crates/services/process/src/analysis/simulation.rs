//! What is called feasible stays so when requests are played through one by one, however latencies and outages hang
//! together. The numbers of the options are counted from the same play, so that not one request may contradict.

use maru_api::{ArchitectureSpec, Call, Ratio, RequirementSpec, Service, ServiceOption, Span};
use maru_solver::Outcome;
use proptest::prelude::*;
use serde_json::json;

use super::{Effort, Question, analyse};

/// How many requests are played. Divides a billion, so that counted shares are exact.
const REQUESTS: usize = 4_000;
const QUANTILES: [(&str, u64); 6] = [
    ("p90", 100_000_000),
    ("p95", 50_000_000),
    ("p99", 10_000_000),
    ("p995", 5_000_000),
    ("p999", 1_000_000),
    ("p9995", 500_000),
];

/// A generator of numbers that look random (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    /// An order of the requests: all late at once, late one after the other, or by chance.
    fn order(&mut self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..REQUESTS).collect();
        match self.below(4) {
            0 => {}
            1 => order.reverse(),
            2 => order.rotate_left(self.below(REQUESTS)),
            _ => (1..REQUESTS).rev().for_each(|at| order.swap(at, self.below(at + 1))),
        }
        order
    }
}

struct Played {
    services: Vec<Service>,
    /// Sorted latencies of one visit, by service.
    latencies: Vec<Vec<u64>>,
    /// Whether each service is down, by request.
    down: Vec<Vec<bool>>,
}

fn play(numbers: &mut Numbers) -> Played {
    let count = 1 + numbers.below(5);
    let mut played = Played { services: Vec::new(), latencies: Vec::new(), down: Vec::new() };
    for place in 0..count {
        let spread = 1 + numbers.below(50);
        let mut latencies: Vec<u64> = (0..REQUESTS)
            .map(|_| {
                let tail = if numbers.below(50) == 0 { numbers.below(20 * spread) } else { 0 };
                (1 + numbers.below(10 * spread) + tail) as u64 * 100_000
            })
            .collect();
        latencies.sort_unstable();
        let outages = numbers.below(60);
        let mut down = vec![false; REQUESTS];
        for at in numbers.order().into_iter().take(outages) {
            down[at] = true;
        }
        let quantile = |(name, tail): &(&str, u64)| {
            let late = usize::try_from(*tail).unwrap() * REQUESTS / 1_000_000_000;
            ((*name).to_owned(), Span::from_nanos(latencies[REQUESTS - 1 - late]))
        };
        let option = ServiceOption {
            name: "one".to_owned(),
            latency: QUANTILES.iter().map(quantile).collect(),
            availability: Some(Ratio::from_nano((REQUESTS - outages) as u64 * (1_000_000_000 / REQUESTS as u64))),
            capacity: Some(format!("{}/s", 1 + numbers.below(100)).parse().unwrap()),
            cost: Some("1 KRW/month".parse().unwrap()),
            ..ServiceOption::default()
        };
        let mut calls = Vec::new();
        for to in place + 1..count {
            if numbers.below(2) == 0 {
                calls.push(Call {
                    to: format!("s{to}"),
                    per: if numbers.below(4) == 0 { "event" } else { "request" }.to_owned(),
                    critical: numbers.below(3) > 0,
                    times: Some(1 + u32::try_from(numbers.below(2)).unwrap()),
                });
            }
        }
        let name = format!("s{place}");
        played.services.push(Service { name, calls, options: vec![option], ..Service::default() });
        played.latencies.push(latencies);
        played.down.push(down);
    }
    played
}

impl Played {
    /// Every visit of one request, by following calls one by one.
    fn visits(&self, place: usize, follow: &dyn Fn(&Call) -> bool, found: &mut Vec<usize>) {
        found.push(place);
        for call in self.services[place].calls.iter().filter(|call| follow(call)) {
            let to: usize = call.to.trim_start_matches('s').parse().unwrap();
            for _ in 0..call.times.unwrap() {
                self.visits(to, follow, found);
            }
        }
    }

    fn is_feasible(&self, criterion: serde_json::Value) -> bool {
        let spec: RequirementSpec =
            serde_json::from_value(json!({"statement": "…", "priority": "must", "criterion": criterion})).unwrap();
        let architecture = ArchitectureSpec { services: self.services.clone(), ..ArchitectureSpec::default() };
        let question = Question::new(architecture, vec![("r".to_owned(), spec)]);
        let analysis = analyse(&question, &Effort::default()).unwrap();
        // What was not analysed is not claimed.
        matches!(analysis.outcome, Outcome::Feasible(_)) && analysis.not_analysed.is_empty()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_request_is_late_that_was_to_be_in_time(seed in any::<u64>(), part in 1_u64..200, late in 0_usize..3) {
        let mut numbers = Numbers(seed);
        let played = play(&mut numbers);
        let (quantile, share) = [("0.9", 10), ("0.95", 20), ("0.99", 100)][late];
        let mut visits = Vec::new();
        played.visits(0, &|call| call.critical && call.per != "event", &mut visits);
        let most: u64 = visits.iter().map(|place| played.latencies[*place][REQUESTS - 1]).sum();
        let at_most = (most * part / 100).max(1);
        let of = json!({"service": "s0"});
        let criterion = json!({"indicator": "latency", "of": of, "quantile": quantile, "atMost": Span::from_nanos(at_most)});
        if played.is_feasible(criterion) {
            let mut sums = vec![0_u64; REQUESTS];
            for place in &visits {
                let order = numbers.order();
                order.iter().zip(&played.latencies[*place]).for_each(|(at, latency)| sums[*at] += latency);
            }
            let late = sums.iter().filter(|sum| **sum > at_most).count();
            prop_assert!(late <= REQUESTS / share, "{late} of {REQUESTS} later than {at_most} ns over {visits:?}");
        }
    }

    #[test]
    fn no_outage_ends_what_was_to_be_up(seed in any::<u64>(), allowed in 0_usize..200) {
        let played = play(&mut Numbers(seed));
        let at_least = Ratio::from_nano((REQUESTS - allowed) as u64 * (1_000_000_000 / REQUESTS as u64));
        let criterion = json!({"indicator": "availability", "of": {"service": "s0"}, "atLeast": at_least.to_string()});
        if played.is_feasible(criterion) {
            let mut needed = Vec::new();
            played.visits(0, &|call| call.critical, &mut needed);
            let failed = (0..REQUESTS).filter(|at| needed.iter().any(|place| played.down[*place][*at])).count();
            prop_assert!(failed <= allowed, "{failed} failed, {allowed} were allowed");
        }
    }

    #[test]
    fn no_service_gets_more_than_it_carries(seed in any::<u64>(), load in 1_u64..30, parts in 1_u64..7) {
        let played = play(&mut Numbers(seed));
        // Thirds and sevenths do not come out even: what is asked is rounded up.
        let criterion = json!({"indicator": "throughput", "of": {"service": "s0"}, "atLeast": format!("{load}/{parts}s")});
        let criterion = if serde_json::from_value::<maru_api::Criterion>(criterion.clone()).is_ok() {
            criterion
        } else {
            json!({"indicator": "throughput", "of": {"service": "s0"}, "atLeast": format!("{}/min", load * 60 + parts)})
        };
        let read: maru_api::Criterion = serde_json::from_value(criterion.clone()).unwrap();
        let maru_api::Criterion::Throughput { at_least, .. } = read else { unreachable!() };
        if played.is_feasible(criterion) {
            let mut visits = Vec::new();
            played.visits(0, &|_| true, &mut visits);
            for (place, service) in played.services.iter().enumerate() {
                let times = visits.iter().filter(|visit| **visit == place).count() as u128;
                let carries = service.options[0].capacity.unwrap().as_nano_per_day();
                prop_assert!(at_least.as_nano_per_day() * times <= carries);
            }
        }
    }
}
