//! Histograms as text for people and as JSON for the HTTP API.

use std::fmt::{self, Write as _};

use super::{Bucket, Histogram, ResetHint};

/// A float in the shortest form that reads back the same, with an exponent below 10^-4 and from `exponent_from` on.
struct Float {
    value: f64,
    exponent_below: f64,
    exponent_from: f64,
}

impl Float {
    /// As in texts for people.
    fn short(value: f64) -> Self {
        Self { value, exponent_below: 1e-4, exponent_from: 1e6 }
    }

    /// As in the HTTP API.
    fn wire(value: f64) -> Self {
        Self { value, exponent_below: 1e-6, exponent_from: 1e21 }
    }
}

impl fmt::Display for Float {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.value.abs();
        if self.value.is_nan() {
            return formatter.write_str("NaN");
        }
        if size.is_infinite() {
            return formatter.write_str(if self.value > 0.0 { "+Inf" } else { "-Inf" });
        }
        if size == 0.0 || (self.exponent_below..self.exponent_from).contains(&size) {
            return write!(formatter, "{}", self.value);
        }
        // Rust writes 1e6 and 1e-7, the field writes 1e+06 and 1e-07.
        let text = format!("{:e}", self.value);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        match exponent.strip_prefix('-') {
            Some(exponent) => write!(formatter, "{mantissa}e-{exponent:0>2}"),
            None => write!(formatter, "{mantissa}e+{exponent:0>2}"),
        }
    }
}

impl fmt::Display for Bucket {
    /// Writes the interval and the count, such as `(1,2]:5`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_char(if self.lower_inclusive { '[' } else { '(' })?;
        write!(formatter, "{},{}", Float::short(self.lower), Float::short(self.upper))?;
        formatter.write_char(if self.upper_inclusive { ']' } else { ')' })?;
        write!(formatter, ":{}", Float::short(self.count))
    }
}

impl fmt::Display for Histogram {
    /// Writes count, sum and the filled buckets, such as `{count:4, sum:5, (0.5,1]:1, (1,2]:3}`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{{count:{}, sum:{}", Float::short(self.count), Float::short(self.sum))?;
        let negative: Vec<Bucket> = self.negative().collect();
        let zero = (self.zero_count != 0.0).then(|| self.zero_bucket());
        for bucket in negative.into_iter().rev().chain(zero).chain(self.positive()).filter(|bucket| bucket.count != 0.0)
        {
            write!(formatter, ", {bucket}")?;
        }
        formatter.write_char('}')
    }
}

impl Histogram {
    /// Appends the JSON form of the HTTP API: count, sum and for each filled bucket how its bounds count
    /// (0: upper in, 1: lower in, 2: none, 3: both), the bounds and the observations, all numbers as texts.
    pub fn write_json(&self, out: &mut String) {
        let mut write = |arguments: fmt::Arguments<'_>| out.write_fmt(arguments).unwrap_or_default();
        write(format_args!("{{\"count\":\"{}\",\"sum\":\"{}\"", Float::wire(self.count), Float::wire(self.sum)));
        let mut lead = ",\"buckets\":[";
        for bucket in self.ascending().filter(|bucket| bucket.count != 0.0) {
            let bounds = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => 0,
                (true, false) => 1,
                (false, false) => 2,
                (true, true) => 3,
            };
            let [lower, upper, count] = [bucket.lower, bucket.upper, bucket.count].map(Float::wire);
            write(format_args!("{lead}[{bounds},\"{lower}\",\"{upper}\",\"{count}\"]"));
            lead = ",";
        }
        out.push_str(if lead == "," { "]}" } else { "}" });
    }

    /// Returns the notation of test scripts and rule tests, such as `{{schema:1 count:4 sum:5 buckets:[1 3]}}`.
    #[must_use]
    pub fn to_notation(&self) -> String {
        let mut parts = Vec::new();
        let list = |numbers: &[f64]| numbers.iter().map(|n| Float::short(*n).to_string()).collect::<Vec<_>>().join(" ");
        if self.schema != 0 {
            parts.push(format!("schema:{}", self.schema));
        }
        let fields = [
            ("count", self.count),
            ("sum", self.sum),
            ("z_bucket", self.zero_count),
            ("z_bucket_w", self.zero_threshold),
        ];
        parts.extend(fields.iter().filter(|(_, n)| *n != 0.0).map(|(name, n)| format!("{name}:{}", Float::short(*n))));
        if self.has_custom_buckets() {
            parts.push(format!("custom_values:[{}]", list(&self.custom_values)));
        }
        match self.reset_hint {
            ResetHint::Unknown => {}
            ResetHint::CounterReset => parts.push("counter_reset_hint:reset".to_owned()),
            ResetHint::NotCounterReset => parts.push("counter_reset_hint:not_reset".to_owned()),
            ResetHint::Gauge => parts.push("counter_reset_hint:gauge".to_owned()),
        }
        for (offset, name, buckets) in
            [("offset", "buckets", self.positive()), ("n_offset", "n_buckets", self.negative())]
        {
            let filled: Vec<Bucket> = buckets.filter(|bucket| bucket.count != 0.0).collect();
            let Some(first) = filled.first() else { continue };
            if first.index != 0 {
                parts.push(format!("{offset}:{}", first.index));
            }
            let mut counts: Vec<f64> = Vec::new();
            let mut next = first.index;
            for bucket in &filled {
                // Gaps are written out; a gap too wide for that is told by what is in it.
                let gap = usize::try_from(i64::from(bucket.index) - i64::from(next)).unwrap_or_default().min(1 << 16);
                counts.extend(std::iter::repeat_n(0.0, gap));
                counts.push(bucket.count);
                next = bucket.index.saturating_add(1);
            }
            parts.push(format!("{name}:[{}]", list(&counts)));
        }
        format!("{{{{{}}}}}", parts.join(" "))
    }
}
