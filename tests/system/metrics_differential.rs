//! Random queries over random data: `maru metrics` and Debian's Prometheus must answer the same.
//!
//! Prometheus 2.42 takes a sample just at a window's start into the window, later versions do not. Samples here are never on a whole
//! second and windows begin on whole seconds, so that both mean the same. Where the first sample is far from a window's start, later
//! versions look anew at how far a counter is from zero; counters here are never near it. Results that differ by rounding alone are
//! equal.

use maru_prom::Labels;
use serde_json::Value;

use crate::metrics::{Running, has, now};

/// How many queries of each kind.
const QUERIES: usize = 250;

/// A small generator with a fixed seed: a failure comes back.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

fn float(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}

/// Where counters begin and begin again.
const COUNTER_MIN: f64 = 5000.0;

/// Counters, gauges and a classic histogram of six instances over an hour, with gaps, restarts and ends.
fn data(random: &mut Random, end: i64) -> Vec<(Labels, Vec<(i64, f64)>)> {
    let mut all = Vec::new();
    for instance in 0..6_usize {
        let shift = i64::try_from(random.below(14) * 1000 + 137 + instance).unwrap();
        let steps: Vec<i64> = (0..240).map(|step| (end - 3600 + 15 * step) * 1000 + shift).collect();
        let (instance_name, zone) = (format!("i{instance}"), if instance % 2 == 0 { "east" } else { "west" });
        let labels = |name: &str, more: &[(&str, &str)]| {
            let own = [("__name__", name), ("instance", instance_name.as_str()), ("zone", zone)];
            Labels::from_pairs(own.into_iter().chain(more.iter().copied()))
        };
        for code in ["200", "404", "500"] {
            let mut value = COUNTER_MIN;
            let samples = steps.iter().filter_map(|at| {
                value = if random.below(90) == 0 { COUNTER_MIN } else { value + float(random.below(20)) };
                (random.below(15) != 0).then_some((*at, value))
            });
            all.push((labels("requests_total", &[("code", code)]), samples.collect()));
        }
        let mut gauge = 20.0;
        let gauges: Vec<(i64, f64)> = steps
            .iter()
            .map(|at| {
                gauge += (float(random.below(100)) - 50.0) / 8.0;
                (*at, gauge)
            })
            .collect();
        all.push((labels("temperature", &[]), gauges.clone()));
        // One that ends early, told by a marker.
        let mut ending: Vec<(i64, f64)> =
            gauges.iter().take(100 + 20 * instance).map(|(at, value)| (*at, value * 2.0)).collect();
        let last = ending.last_mut().unwrap();
        last.1 = maru_prom::stale_marker();
        all.push((labels("ending", &[]), ending));
        let bounds = ["0.1", "0.5", "1", "5", "+Inf"];
        let mut counts = [COUNTER_MIN; 5];
        let mut buckets: Vec<Vec<(i64, f64)>> = vec![Vec::new(); bounds.len()];
        for at in &steps {
            for (index, samples) in buckets.iter_mut().enumerate() {
                counts[index] += float(random.below(5));
                let cumulative: f64 = counts.iter().take(index + 1).sum();
                samples.push((*at, cumulative));
            }
        }
        for (bound, samples) in bounds.into_iter().zip(buckets) {
            all.push((labels("latency_bucket", &[("le", bound)]), samples));
        }
        all.push((
            labels("info", &[("version", if instance < 3 { "1" } else { "2" })]),
            steps.iter().map(|at| (*at, 1.0)).collect(),
        ));
    }
    all
}

fn selector(random: &mut Random) -> String {
    let name = random.of(&["requests_total", "temperature", "ending", "latency_bucket", "info"]);
    let matcher = random.of(&[
        "",
        "{zone=\"east\"}",
        "{instance=~\"i[0-2]\"}",
        "{instance!=\"i3\"}",
        "{code!~\"4..|5..\"}",
        "{zone=~\"east|west\",instance!~\"i1|i5\"}",
        "{nothing=\"\"}",
        "{zone=\"nowhere\"}",
    ]);
    let modifier = random.of(&["", "", "", "", " offset 3m7s", " offset -2m"]);
    format!("{name}{matcher}{modifier}")
}

fn window(random: &mut Random) -> String {
    let selected = selector(random);
    let length = random.of(&["1m", "2m30s", "5m", "17m", "30m"]);
    match selected.split_once(" offset") {
        Some((plain, offset)) => format!("{plain}[{length}] offset{offset}"),
        None => format!("{selected}[{length}]"),
    }
}

/// Returns an instant vector that is computed without parameters of its own.
fn vector(random: &mut Random, depth: usize) -> String {
    if depth == 0 {
        return selector(random);
    }
    match random.below(12) {
        0 | 1 => {
            let function = random.of(&[
                "rate",
                "increase",
                "irate",
                "delta",
                "idelta",
                "deriv",
                "changes",
                "resets",
                "avg_over_time",
                "min_over_time",
                "max_over_time",
                "sum_over_time",
                "count_over_time",
                "stddev_over_time",
                "stdvar_over_time",
                "last_over_time",
                "present_over_time",
                "absent_over_time",
            ]);
            let window = window(random);
            // Gauges come near zero, where the versions differ in what a counter would do.
            let is_counter = ["requests_total", "latency_bucket"].iter().any(|name| window.starts_with(name));
            let function = match function {
                "rate" | "increase" if !is_counter => "delta",
                other => other,
            };
            format!("{function}({window})")
        }
        2 => format!("quantile_over_time(0.{}, {})", random.below(10), window(random)),
        3 => format!("predict_linear({}, {})", window(random), random.below(600)),
        4 | 5 => {
            let operator = random.of(&["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]);
            let grouping = random.of(&[
                "",
                " by (zone)",
                " by (instance)",
                " without (instance)",
                " by (zone, code)",
                " without (le, code)",
            ]);
            format!("{operator}{grouping} ({})", vector(random, depth - 1))
        }
        6 => format!("quantile by (zone) (0.{}, {})", random.below(10), vector(random, depth - 1)),
        7 => {
            // Steps would make a difference of rounding a large one.
            let steps = ["ceil", "floor", "round"];
            let smooth = ["abs", "exp", "sqrt", "ln", "log2", "sgn", "-", "timestamp", "absent", "atan"];
            let function = if depth == 1 && random.below(4) == 0 { random.of(&steps) } else { random.of(&smooth) };
            format!("{function}({})", vector(random, depth - 1))
        }
        8 => format!(
            "histogram_quantile(0.{}, sum by (zone, le) (rate(latency_bucket[{}m])))",
            random.below(10),
            2 + random.below(9)
        ),
        9 => format!("label_replace({}, \"place\", \"$1-x\", \"zone\", \"(e.*|w).*\")", vector(random, depth - 1)),
        10 => {
            let operator =
                random.of(&["+", "-", "*", "/", "%", "^", ">", "<=", "== bool", "!= bool", "and", "or", "unless"]);
            let (left, right) = (vector(random, depth - 1), vector(random, depth - 1));
            // Later versions also refuse several matches of which a comparison drops all but one.
            let matching = match operator {
                ">" | "<=" => "",
                _ => random.of(&["", " on (instance)", " on (zone, instance)", " ignoring (code, le, version)"]),
            };
            format!("({left}) {operator}{matching} ({right})")
        }
        _ => {
            let operator = random.of(&["+", "-", "*", "/", ">", "< bool", "%"]);
            let number = random.of(&["2", "0.5", "100", "-3", "7"]);
            format!("{} {operator} {number}", vector(random, depth - 1))
        }
    }
}

fn any_query(random: &mut Random) -> String {
    match random.below(10) {
        // Subqueries whose windows never begin on one of their steps.
        0 => format!("max_over_time(({})[7m13s500ms:30s])", vector(random, 1)),
        1 => format!(
            "rate(requests_total[5m]) * on (instance) group_left (version) {}",
            random.of(&["info", "info * 2", "max by (instance, version) (info)"])
        ),
        2 => format!("count_values(\"v\", {}(temperature / 4))", random.of(&["round", "floor"])),
        _ => vector(random, 2),
    }
}

/// Makes the order of series not matter, where both leave it open.
fn sorted(result: &Value) -> Vec<(String, &Value)> {
    let mut rows: Vec<(String, &Value)> =
        result.as_array().into_iter().flatten().map(|row| (row["metric"].to_string(), row)).collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    rows
}

fn same_number(one: &Value, other: &Value) -> bool {
    let parse = |value: &Value| value.as_str().and_then(|text| text.replace("Inf", "inf").parse::<f64>().ok());
    match (parse(one), parse(other)) {
        (Some(one), Some(other)) => {
            (one.is_nan() && other.is_nan())
                || one == other
                || (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1e-3)
        }
        _ => false,
    }
}

fn same_points(one: &Value, other: &Value) -> bool {
    one[0] == other[0] && same_number(&one[1], &other[1])
}

/// Returns how two answers differ; nothing when they say the same.
fn difference(own: &Value, peer: &Value) -> Option<String> {
    if own["status"] != peer["status"] || own["errorType"] != peer["errorType"] {
        return Some("one of the two is an error, or another one".to_owned());
    }
    if own["data"]["resultType"] != peer["data"]["resultType"] {
        return Some("the types differ".to_owned());
    }
    let (own, peer) = (sorted(&own["data"]["result"]), sorted(&peer["data"]["result"]));
    if own.iter().map(|row| &row.0).ne(peer.iter().map(|row| &row.0)) {
        return Some("the series differ".to_owned());
    }
    for ((name, own), (_, peer)) in own.iter().zip(&peer) {
        let points = |row: &Value| match row.get("values") {
            Some(values) => values.as_array().cloned().unwrap_or_default(),
            None => vec![row["value"].clone()],
        };
        let (own, peer) = (points(own), points(peer));
        if own.len() != peer.len() {
            return Some(format!("{name}: {} points and {}", own.len(), peer.len()));
        }
        if let Some((own, peer)) = own.iter().zip(&peer).find(|(own, peer)| !same_points(own, peer)) {
            return Some(format!("{name}: {own} and {peer}"));
        }
    }
    None
}

#[test]
fn random_queries_answer_as_in_prometheus() {
    if !has("prometheus") {
        return;
    }
    let (server, peer) = (Running::maru(&[]), Running::prometheus(""));
    let mut random = Random(20_261_122);
    // On a whole minute, so that steps of subqueries fall on the same moments for both.
    let end = now() / 60 * 60 - 60;
    let data = data(&mut random, end);
    // In the order of time: older samples than the others' are refused by Prometheus.
    for part in 0..24 {
        let slice: Vec<(Labels, Vec<(i64, f64)>)> = data
            .iter()
            .map(|(labels, samples)| {
                let (from, to) = (
                    (end - 3600 + 150 * part) * 1000,
                    (end - 3600 + 150 * (part + 1)) * 1000 + i64::from(part == 23) * 20_000,
                );
                let inside = samples.iter().filter(|(at, _)| (from..to).contains(at)).copied();
                (labels.clone(), inside.collect::<Vec<_>>())
            })
            .filter(|(_, samples)| !samples.is_empty())
            .collect();
        for target in [&server, &peer] {
            let (status, told) = target.write(&slice);
            assert_eq!(status, 204, "{told}");
        }
    }
    let mut wrong = Vec::new();
    for index in 0..2 * QUERIES {
        let query = any_query(&mut random);
        let at = end - i64::try_from(random.below(50)).unwrap() * 60 + 4;
        let (path, parameters) = if index % 2 == 0 {
            ("/api/v1/query", vec![("query", query.clone()), ("time", at.to_string())])
        } else {
            let step = random.of(&["15", "60", "7"]);
            let start = at - 600;
            let range = [("start", start.to_string()), ("end", at.to_string()), ("step", step.to_owned())];
            ("/api/v1/query_range", [vec![("query", query.clone())], range.to_vec()].concat())
        };
        let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let (own, theirs) = (server.ask(path, &parameters), peer.ask(path, &parameters));
        if let Some(difference) = difference(&own, &theirs) {
            wrong.push(format!("{path} {parameters:?}: {difference} ({} {})", own["error"], theirs["error"]));
        }
    }
    let count = wrong.len();
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{count} of {} answers differ:\n{}", 2 * QUERIES, wrong.join("\n"));
}
