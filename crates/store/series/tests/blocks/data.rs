//! Data like that of real services: counters, classic histograms of 12 buckets, gauges of several kinds, constants.
//!
//! 100 series a target, every 15 seconds. Made from a seed, so that every run sees the same.

use maru_prom::Labels;

pub const STEP_MS: i64 = 15_000;
pub const SERIES_PER_TARGET: usize = 100;
const BOUNDS: [&str; 12] =
    ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0", "+Inf"];

/// A small generator of numbers that look random.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end.max(1)
    }

    /// From 0 up to 1, with all bits of a float in use.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About `mean`, seldom far from it.
    pub fn around(&mut self, mean: f64) -> f64 {
        let spread = (self.unit() + self.unit() + self.unit() + self.unit() - 2.0) * mean.sqrt() * 1.7;
        (mean + spread).round().max(0.0)
    }
}

#[derive(Debug, Clone)]
pub struct Row {
    #[allow(dead_code, clippy::allow_attributes, reason = "tools that measure group by it")]
    pub family: &'static str,
    pub labels: Labels,
    pub values: Vec<f64>,
}

fn labels(target: usize, name: &str, more: &[(&str, &str)]) -> Labels {
    let job = format!("service-{}", target % 10);
    let instance = format!("10.0.{}.{}:8080", target / 250, target % 250);
    let pod = format!("service-{}-7d9f8b6c5{}-x{:03}", target % 10, target % 7, target);
    let base = [("__name__", name), ("job", &job), ("instance", &instance), ("namespace", "shop"), ("pod", &pod)];
    Labels::from_pairs(base.into_iter().chain(more.iter().copied()))
}

/// Returns the 100 series of a target with `steps` samples each.
pub fn target(number: usize, steps: usize) -> Vec<Row> {
    let mut random = Random::new(number as u64 + 1);
    let mut rows = Vec::with_capacity(SERIES_PER_TARGET);
    requests(number, steps, &mut random, &mut rows);
    histograms(number, steps, &mut random, &mut rows);
    gauges(number, steps, &mut random, &mut rows);
    constants(number, steps, &mut random, &mut rows);
    assert_eq!(rows.len(), SERIES_PER_TARGET);
    rows
}

fn requests(number: usize, steps: usize, random: &mut Random, rows: &mut Vec<Row>) {
    for handler in ["/", "/cart", "/orders", "/items", "/login"] {
        for (code, share) in [("200", 1.0), ("201", 0.4), ("404", 0.02), ("500", 0.01)] {
            let mean = (1.0 + random.unit() * 25.0) * share;
            let mut at = random.below(100_000) as f64;
            let values = (0..steps)
                .map(|_| {
                    at += random.around(mean);
                    at
                })
                .collect();
            let labels =
                labels(number, "http_requests_total", &[("handler", handler), ("method", "GET"), ("code", code)]);
            rows.push(Row { family: "requests", labels, values });
        }
    }
    for cpu in 0..10 {
        let mut at = random.below(1_000_000) as f64;
        let share = random.unit();
        let values = (0..steps)
            .map(|_| {
                at += random.around(300.0 * share);
                at / 100.0
            })
            .collect();
        let labels = labels(number, "cpu_seconds_total", &[("cpu", &cpu.to_string()), ("mode", "user")]);
        rows.push(Row { family: "cpu", labels, values });
    }
}

fn histograms(number: usize, steps: usize, random: &mut Random, rows: &mut Vec<Row>) {
    for handler in ["/", "/cart", "/orders"] {
        let mean = 1.0 + random.unit() * 25.0;
        let mut counts = [0_u64; BOUNDS.len()];
        let (mut sum, mut count) = (0.0, 0_u64);
        let mut buckets: Vec<Vec<f64>> = vec![Vec::with_capacity(steps); BOUNDS.len()];
        let (mut sums, mut totals) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
        for _ in 0..steps {
            for _ in 0..random.around(mean) as u64 {
                let bits = random.unit() + random.unit() + random.unit();
                let seconds = 0.002 * (bits * 2.2).exp();
                sum += seconds;
                count += 1;
                for (bound, count) in BOUNDS.iter().zip(&mut counts) {
                    *count += u64::from(bound.parse().map_or(true, |bound: f64| seconds <= bound));
                }
            }
            for (bucket, count) in buckets.iter_mut().zip(counts) {
                bucket.push(count as f64);
            }
            sums.push(sum);
            totals.push(count as f64);
        }
        let name = "http_request_duration_seconds";
        for (bound, values) in BOUNDS.iter().zip(buckets) {
            let labels = labels(number, &format!("{name}_bucket"), &[("handler", handler), ("le", bound)]);
            rows.push(Row { family: "buckets", labels, values });
        }
        rows.push(Row {
            family: "sums",
            labels: labels(number, &format!("{name}_sum"), &[("handler", handler)]),
            values: sums,
        });
        rows.push(Row {
            family: "counts",
            labels: labels(number, &format!("{name}_count"), &[("handler", handler)]),
            values: totals,
        });
    }
}

fn gauges(number: usize, steps: usize, random: &mut Random, rows: &mut Vec<Row>) {
    for kind in 0..10 {
        let mut at = 200 + random.below(400) as i64;
        let values = (0..steps)
            .map(|_| {
                at += random.below(9) as i64 - 4;
                at as f64 / 10.0
            })
            .collect();
        let labels = labels(number, "temperature_celsius", &[("kind", &format!("sensor-{kind}"))]);
        rows.push(Row { family: "temperatures", labels, values });
    }
    for area in ["heap", "stack", "mapped", "shared", "free"] {
        let mut at = 20_000 + random.below(50_000) as i64;
        let values = (0..steps)
            .map(|_| {
                at = (at + random.below(513) as i64 - 256).max(0);
                (at * 4096) as f64
            })
            .collect();
        rows.push(Row { family: "memory", labels: labels(number, "memory_bytes", &[("area", area)]), values });
    }
    for queue in 0..5 {
        let mut at = 0_i64;
        let values = (0..steps)
            .map(|_| {
                at = (at + random.below(5) as i64 - 2).max(0);
                at as f64
            })
            .collect();
        rows.push(Row {
            family: "queues",
            labels: labels(number, "queue_length", &[("queue", &queue.to_string())]),
            values,
        });
    }
    let values = (0..steps).map(|_| random.unit()).collect();
    rows.push(Row { family: "ratios", labels: labels(number, "busy_ratio", &[]), values });
}

fn constants(number: usize, steps: usize, random: &mut Random, rows: &mut Vec<Row>) {
    rows.push(Row { family: "constants", labels: labels(number, "up", &[]), values: vec![1.0; steps] });
    let start = 1_700_000_000.0 + random.below(100_000) as f64 / 100.0;
    rows.push(Row {
        family: "constants",
        labels: labels(number, "process_start_time_seconds", &[]),
        values: vec![start; steps],
    });
    let version = format!("1.{}.0", number % 5);
    rows.push(Row {
        family: "constants",
        labels: labels(number, "app_info", &[("version", &version)]),
        values: vec![1.0; steps],
    });
    for limit in 0..4 {
        let value = random.below(1 << 20) as f64;
        rows.push(Row {
            family: "constants",
            labels: labels(number, "limit", &[("of", &limit.to_string())]),
            values: vec![value; steps],
        });
    }
}
