//! Requests by route and status, and how long they took, as Prometheus text.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const BUCKETS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];

#[derive(Default)]
pub struct Measures(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    requests: BTreeMap<(String, &'static str, u16), u64>,
    durations: BTreeMap<&'static str, ([u64; BUCKETS.len() + 1], f64)>,
}

impl Measures {
    pub fn count(&self, method: &str, route: &'static str, status: u16, elapsed: Duration) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.requests.entry((method.to_owned(), route, status)).or_default() += 1;
        let (buckets, sum) = counts.durations.entry(route).or_default();
        let seconds = elapsed.as_secs_f64();
        buckets[BUCKETS.partition_point(|bound| *bound < seconds)] += 1;
        *sum += seconds;
    }

    pub fn render(&self) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::from("# TYPE http_requests_total counter\n");
        for ((method, route, code), value) in &counts.requests {
            text.push_str(&format!(
                "http_requests_total{{method=\"{method}\",route=\"{route}\",code=\"{code}\"}} {value}\n"
            ));
        }
        text.push_str("# TYPE http_request_duration_seconds histogram\n");
        for (route, (buckets, sum)) in &counts.durations {
            let mut seen = 0;
            for (index, value) in buckets.iter().enumerate() {
                seen += value;
                let bound = BUCKETS.get(index).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
                text.push_str(&format!(
                    "http_request_duration_seconds_bucket{{route=\"{route}\",le=\"{bound}\"}} {seen}\n"
                ));
            }
            text.push_str(&format!("http_request_duration_seconds_sum{{route=\"{route}\"}} {sum}\n"));
            text.push_str(&format!("http_request_duration_seconds_count{{route=\"{route}\"}} {seen}\n"));
        }
        text
    }
}
