//! Whether the servers gave the same answers: series, points and values, not only how many.

use std::collections::BTreeMap;

use serde_json::Value;

/// How far values may be from each other, relative to the larger one: sums are added up in different orders.
const SAME: f64 = 1e-9;

/// An answer as a set: labels (or a text of a list) with the points.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answer {
    series: BTreeMap<String, Vec<(f64, f64)>>,
}

/// What two answers have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Agreement {
    /// Series, points and values.
    Same,
    /// Series and the times of points; so many values differ, by at most this part, the last of them so many steps after its series' first.
    Values { part: f64, points: usize, last_step: usize },
    /// Series; so many points are only in one of them.
    Points(usize),
    /// So many series are only in one of them.
    Series(usize),
}

impl Answer {
    /// Reads the body of any query, of label values and of series.
    pub(crate) fn read(body: &Value) -> Self {
        let data = &body["data"];
        let list = data["result"].as_array().or_else(|| data.as_array());
        let rows = list.into_iter().flatten().map(|row| {
            let labels = if row["metric"].is_object() { &row["metric"] } else { row };
            let mut points: Vec<(f64, f64)> = Vec::new();
            for pair in row["values"].as_array().into_iter().flatten().chain(row.get("value")) {
                let value = pair[1].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
                points.push((pair[0].as_f64().unwrap_or(f64::NAN), value));
            }
            (sorted(labels), points)
        });
        Self { series: rows.collect() }
    }

    pub(crate) fn series(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn compare(&self, other: &Self) -> Agreement {
        let missing = |from: &Self, of: &Self| from.series.keys().filter(|key| !of.series.contains_key(*key)).count();
        let lonely = missing(self, other) + missing(other, self);
        if lonely > 0 {
            return Agreement::Series(lonely);
        }
        let (mut lonely, mut worst) = (0, 0.0_f64);
        let (mut points, mut last_step) = (0, 0);
        for (labels, own) in &self.series {
            let Some(their) = other.series.get(labels) else { continue };
            let (mut own, mut their) = (own.iter().enumerate().peekable(), their.iter().peekable());
            loop {
                match (own.peek(), their.peek()) {
                    (Some((step, one)), Some(two)) if (one.0 - two.0).abs() < 1e-6 => {
                        let apart = distance(one.1, two.1);
                        worst = worst.max(apart);
                        if apart > SAME {
                            (points, last_step) = (points + 1, last_step.max(*step));
                        }
                        own.next();
                        their.next();
                    }
                    (Some((_, one)), Some(two)) => {
                        lonely += 1;
                        if one.0 < two.0 {
                            own.next();
                        } else {
                            their.next();
                        }
                    }
                    (Some(_), None) | (None, Some(_)) => {
                        lonely += 1;
                        own.next();
                        their.next();
                    }
                    (None, None) => break,
                }
            }
        }
        match (lonely, worst) {
            (1.., _) => Agreement::Points(lonely),
            (0, part) if part > SAME => Agreement::Values { part, points, last_step },
            _ => Agreement::Same,
        }
    }
}

impl std::fmt::Display for Agreement {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Same => formatter.write_str("the same"),
            Self::Values { part, points, last_step } => write!(
                formatter,
                "the same series and times, {points} values differ by up to {:.2} %, the last {last_step} steps after the first",
                part * 100.0
            ),
            Self::Points(count) => write!(formatter, "the same series, {count} points are in one answer only"),
            Self::Series(count) => write!(formatter, "{count} series are in one answer only"),
        }
    }
}

/// Returns labels as text whose order does not depend on the server.
fn sorted(labels: &Value) -> String {
    match labels.as_object() {
        Some(map) => {
            map.iter().map(|(name, value)| (name.as_str(), value)).collect::<BTreeMap<_, _>>().into_iter().fold(
                String::new(),
                |mut text, (name, value)| {
                    text.push_str(&format!("{name}={value},"));
                    text
                },
            )
        }
        None => labels.to_string(),
    }
}

fn distance(one: f64, two: f64) -> f64 {
    if one.to_bits() == two.to_bits() || (one.is_nan() && two.is_nan()) {
        return 0.0;
    }
    let largest = one.abs().max(two.abs());
    if largest == 0.0 { 0.0 } else { ((one - two) / largest).abs() }
}
