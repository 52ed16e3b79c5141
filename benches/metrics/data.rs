//! The data set: targets with 100 series each, every 15 seconds, and how it is sent.
//!
//! A target has what an instrumented service and its machine have: request counters, three histograms of 12 buckets, CPU seconds,
//! temperatures, memory, queues, facts. Values come from a small generator with a fixed seed: each run and each server gets the same.

use std::thread;

use crate::wire::Connection;

/// Between two samples of a series.
pub(crate) const STEP_MS: i64 = 15_000;
/// Series of one target.
pub(crate) const SERIES_OF_TARGET: usize = 100;
/// Samples of one request, as a Prometheus sends them.
const SAMPLES_OF_REQUEST: usize = 2000;
/// Connections; each has its own targets.
const CONNECTIONS: usize = 4;

/// How long the last sample is before the time that is asked about.
const BEFORE_QUESTIONS_MS: i64 = 7_000;

/// Which series, and over how long.
#[derive(Debug, Clone)]
pub(crate) struct DataSet {
    targets: usize,
    steps: usize,
    /// Time of the last sample.
    end_ms: i64,
    /// The range of range queries, in seconds.
    pub(crate) query_range_seconds: i64,
}

impl DataSet {
    /// Six hours.
    pub(crate) fn long(targets: usize) -> Self {
        Self {
            targets,
            steps: 1440,
            end_ms: crate::data_end_ms() - BEFORE_QUESTIONS_MS,
            query_range_seconds: 6 * 3600 - 15,
        }
    }

    /// A quarter of an hour.
    pub(crate) fn short(targets: usize) -> Self {
        Self { targets, steps: 60, end_ms: crate::data_end_ms() - BEFORE_QUESTIONS_MS, query_range_seconds: 600 }
    }

    pub(crate) fn series(&self) -> usize {
        self.targets * SERIES_OF_TARGET
    }

    pub(crate) fn samples(&self) -> f64 {
        f64::from(u32::try_from(self.series() * self.steps).expect("fewer than four billion"))
    }

    /// When is asked, in seconds: between two samples. Ranges are open at the left since Prometheus 3 and here, closed
    /// before; with no sample at their edge the answers are the same.
    pub(crate) fn asked_at_seconds(&self) -> i64 {
        (self.end_ms + BEFORE_QUESTIONS_MS) / 1000
    }

    fn time_ms(&self, step: usize) -> i64 {
        self.end_ms - STEP_MS * i64::try_from(self.steps - 1 - step).expect("few steps")
    }
}

/// How a series' values move.
#[derive(Debug, Clone, Copy)]
enum Motion {
    /// A counter that grows by up to so many.
    Count(u32),
    /// A counter of seconds with two decimals.
    Seconds(u32),
    /// A sum of true floats.
    Sum,
    /// A gauge around a value with one decimal.
    Warmth(u32),
    /// A gauge in pages of memory.
    Pages(u32),
    /// A whole number between 0 and a bound.
    Level(u32),
    /// Always the same.
    Constant(u32),
}

struct Series {
    /// The labels as remote write has them.
    labels: Vec<u8>,
    motion: Motion,
    value: f64,
}

/// A small generator (xorshift*), the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        u32::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32).unwrap_or(0)
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.next() % bound.max(1)
    }
}

fn target_series(target: usize) -> Vec<Series> {
    let jobs = ["api", "web", "worker", "billing", "search"];
    let instance = format!("host-{target:04}.example.internal:9100");
    let job = jobs[target % jobs.len()];
    let mut all = Vec::with_capacity(SERIES_OF_TARGET);
    let mut add = |name: &str, more: &[(&str, &str)], motion: Motion| {
        let mut pairs = vec![("__name__", name), ("instance", &instance), ("job", job)];
        pairs.extend_from_slice(more);
        pairs.sort_unstable();
        all.push(Series { labels: encode_labels(&pairs), motion, value: 0.0 });
    };
    for method in ["GET", "POST", "PUT", "DELETE"] {
        for (code, pace) in [("200", 400), ("201", 30), ("400", 6), ("404", 10), ("500", 3)] {
            add("http_requests_total", &[("code", code), ("method", method)], Motion::Count(pace));
        }
    }
    let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
    for handler in ["/api/orders", "/api/items", "/login"] {
        let name = "http_request_duration_seconds";
        for (index, le) in (1_u32..).zip(bounds) {
            add(&format!("{name}_bucket"), &[("handler", handler), ("le", le)], Motion::Count(20 * index));
        }
        add(&format!("{name}_sum"), &[("handler", handler)], Motion::Sum);
        add(&format!("{name}_count"), &[("handler", handler)], Motion::Count(240));
    }
    // In hundredths of a second for each step of 15 seconds.
    let modes = [
        ("idle", 1500),
        ("iowait", 40),
        ("irq", 2),
        ("nice", 2),
        ("softirq", 20),
        ("steal", 5),
        ("system", 150),
        ("user", 400),
    ];
    for (mode, pace) in modes {
        add("node_cpu_seconds_total", &[("mode", mode)], Motion::Seconds(pace));
    }
    for kind in ["cpu0", "cpu1", "board", "gpu", "disk0", "disk1", "psu", "inlet", "outlet", "vrm"] {
        add("node_temperature_celsius", &[("kind", kind)], Motion::Warmth(400));
    }
    for part in ["heap", "stack", "cache", "mapped", "shared"] {
        add("process_memory_bytes", &[("part", part)], Motion::Pages(50_000));
    }
    for device in ["sda1", "sda2", "sdb1", "nvme0n1p1", "tmpfs"] {
        add("node_filesystem_avail_bytes", &[("device", device)], Motion::Pages(20_000_000));
    }
    for queue in ["mail", "print", "export", "import", "audit"] {
        add("queue_length", &[("queue", queue)], Motion::Level(50));
    }
    add("process_open_fds", &[], Motion::Level(800));
    let pod = format!("{job}-{target:04}-x7k2p");
    add("app_info", &[("pod", &pod), ("version", "1.14.2")], Motion::Constant(1));
    add("up", &[], Motion::Constant(1));
    add("process_start_time_seconds", &[], Motion::Constant(1_790_000_000));
    add("process_max_fds", &[], Motion::Constant(65_536));
    assert_eq!(all.len(), SERIES_OF_TARGET);
    all
}

fn encode_labels(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in pairs {
        let mut label = vec![0x0a];
        varint(&mut label, name.len() as u64);
        label.extend_from_slice(name.as_bytes());
        label.push(0x12);
        varint(&mut label, value.len() as u64);
        label.extend_from_slice(value.as_bytes());
        out.push(0x0a);
        varint(&mut out, label.len() as u64);
        out.extend_from_slice(&label);
    }
    out
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

impl Series {
    fn step(&mut self, random: &mut Random) -> f64 {
        let draw = f64::from(random.below(1 << 20)) / f64::from(1 << 20);
        self.value = match self.motion {
            Motion::Count(pace) => self.value + f64::from(random.below(pace)),
            Motion::Seconds(pace) => ((self.value * 100.0).round() + f64::from(random.below(pace))) / 100.0,
            Motion::Sum => self.value + draw * 7.3,
            Motion::Warmth(center) => {
                let tenths = if self.value == 0.0 { f64::from(center) } else { (self.value * 10.0).round() };
                (tenths + f64::from(random.below(7)) - 3.0) / 10.0
            }
            Motion::Pages(center) => {
                let pages = if self.value == 0.0 { f64::from(center) } else { self.value / 4096.0 };
                (pages + f64::from(random.below(65)) - 32.0).max(0.0) * 4096.0
            }
            Motion::Level(bound) => f64::from(random.below(bound)),
            Motion::Constant(value) => f64::from(value),
        };
        self.value
    }
}

/// Sends the whole set by remote write, in the order of time on each connection.
pub(crate) fn send(set: &DataSet, port: u16) {
    thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            scope.spawn(move || send_part(set, port, connection));
        }
    });
}

fn send_part(set: &DataSet, port: u16, part: usize) {
    let mut connection = Connection::open(port);
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ part as u64);
    let mut series: Vec<Series> =
        (0..set.targets).filter(|target| target % CONNECTIONS == part).flat_map(target_series).collect();
    let (mut request, mut message, mut encoder) = (Vec::new(), Vec::new(), snap::raw::Encoder::new());
    let mut count = 0;
    let headers = "Content-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";
    let mut flush = |request: &mut Vec<u8>, connection: &mut Connection| {
        let body = encoder.compress_vec(request).expect("a request is small");
        let (status, text) = connection.post("/api/v1/write", headers, &body);
        assert!(matches!(status, 200 | 204), "{status}: {}", String::from_utf8_lossy(&text));
        request.clear();
    };
    for step in 0..set.steps {
        let time = u64::try_from(set.time_ms(step)).expect("after 1970");
        for one in &mut series {
            let value = one.step(&mut random);
            message.clear();
            message.extend_from_slice(&one.labels);
            message.extend_from_slice(&[0x12, 0x10, 0x09]);
            message.extend_from_slice(&value.to_le_bytes());
            message.push(0x10);
            varint(&mut message, time);
            request.push(0x0a);
            varint(&mut request, message.len() as u64);
            request.extend_from_slice(&message);
            count += 1;
            if count % SAMPLES_OF_REQUEST == 0 {
                flush(&mut request, &mut connection);
            }
        }
    }
    if !request.is_empty() {
        flush(&mut request, &mut connection);
    }
}
