//! Reads the two text formats.

use std::borrow::Cow;
use std::collections::HashMap;

use super::ExpositionError;
use super::labels::{self, ExemplarLine, Item, Rules};
use super::metadata::{metadata_name, open_metrics_type};
use super::starts::{family_end, has_starts, series_name, start_key};
use crate::number::{self, parse_decimal};
use crate::{Labels, MetricType};

/// Which of the two texts it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Prometheus' own: spaces anywhere, timestamps in milliseconds, ends where it ends.
    Prometheus,
    /// OpenMetrics: one space where one belongs, timestamps in seconds, exemplars, ends with `# EOF`.
    OpenMetrics,
}

/// What becomes of OpenMetrics' `…_created` lines of counters, histograms and summaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CreatedLines {
    /// They are series like others.
    #[default]
    Series,
    /// They are the start timestamps of the series that they belong to, and no series.
    StartTimestamps,
}

/// One thing that a text says.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry<'a> {
    /// `# TYPE`
    Type {
        /// The metric family's name.
        family: Cow<'a, str>,
        /// Its type.
        metric_type: MetricType,
    },
    /// `# HELP`
    Help {
        /// The metric family's name.
        family: Cow<'a, str>,
        /// The text.
        help: Cow<'a, str>,
    },
    /// `# UNIT`, which only OpenMetrics has.
    Unit {
        /// The metric family's name.
        family: Cow<'a, str>,
        /// The unit.
        unit: &'a str,
    },
    /// Any other comment, which only Prometheus' text has.
    Comment(&'a str),
    /// A sample.
    Series(SeriesLine<'a>),
}

/// A sample of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeriesLine<'a> {
    /// Name and labels as written: the same text is the same series, so it can be looked up in a table of the target.
    pub series: &'a str,
    /// The value.
    pub value: f64,
    /// When, in milliseconds since 1970, if it says so.
    pub timestamp_ms: Option<i64>,
    /// When the counter started, in milliseconds since 1970, if it says so.
    pub start_timestamp_ms: Option<i64>,
    /// An exemplar.
    pub exemplar: Option<ExemplarLine<'a>>,
    /// The type that was said last: it decides whether `le` or `quantile` is a number.
    pub metric_type: MetricType,
    pub(super) dialect: Dialect,
    /// The timestamp in seconds as written, finer than milliseconds.
    pub(super) seconds: Option<f64>,
}

impl SeriesLine<'_> {
    /// Returns the labels, the metric's name among them, `le` and `quantile` in their one spelling.
    ///
    /// # Errors
    /// When a label stands twice or has no name.
    pub fn labels(&self) -> Result<Labels, ExpositionError> {
        let mut pairs = labels::pairs_of(self.series, self.dialect)?;
        let number_label = match self.metric_type {
            MetricType::Histogram => Some("le"),
            MetricType::Summary => Some("quantile"),
            MetricType::Counter
            | MetricType::Gauge
            | MetricType::GaugeHistogram
            | MetricType::Info
            | MetricType::StateSet
            | MetricType::Unknown => None,
        };
        for (name, value) in &mut pairs {
            if Some(name.as_ref()) == number_label
                && let Some(number) = number::parse_float(value)
            {
                let spelled = number::format_open_metrics_float(number);
                if spelled != *value {
                    *value = Cow::Owned(spelled);
                }
            }
        }
        labels::build(pairs)
    }
}

/// Reads a text line by line.
#[derive(Debug)]
pub struct TextParser<'a> {
    text: &'a str,
    at: usize,
    dialect: Dialect,
    created: CreatedLines,
    is_strict: bool,
    metric_type: MetricType,
    /// Start timestamps of the current family's series, by their labels as written.
    starts: HashMap<String, i64>,
    has_ended: bool,
}

type Parsed<T> = Result<T, ExpositionError>;

impl<'a> TextParser<'a> {
    /// Starts reading.
    ///
    /// # Errors
    /// When the body is not UTF-8.
    pub fn new(body: &'a [u8], dialect: Dialect, created: CreatedLines) -> Parsed<Self> {
        let text = std::str::from_utf8(body).map_err(|error| {
            let before = body.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            ExpositionError { line, reason: "the text is not UTF-8".to_owned() }
        })?;
        let (metric_type, starts) = (MetricType::Unknown, HashMap::new());
        Ok(Self { text, at: 0, dialect, created, is_strict: false, metric_type, starts, has_ended: false })
    }

    /// Refuses also what no reader minds.
    pub(super) fn strict(mut self) -> Self {
        self.is_strict = true;
        self
    }

    /// Returns the next entry when it is a sample of exactly `series`, the text of a [`SeriesLine`] seen before; else nothing
    /// happens. Costs little more than reading the number.
    ///
    /// # Errors
    /// When the line goes on wrongly.
    #[inline]
    pub fn next_of(&mut self, series: &str) -> Parsed<Option<SeriesLine<'a>>> {
        let rest = self.rest();
        let Some(after) = rest.strip_prefix(series) else { return Ok(None) };
        // Prometheus' text may have spaces in front of the labels.
        let has_labels = self.dialect == Dialect::Prometheus && after.trim_start_matches([' ', '\t']).starts_with('{');
        if series.is_empty() || !after.starts_with(' ') || has_labels {
            return Ok(None);
        }
        let end = self.at + series.len();
        let line = self.sample(self.at, end)?;
        Ok(Some(line))
    }

    /// Returns the next entry; `None` at the end.
    ///
    /// # Errors
    /// When the text breaks the format's rules; nothing after that is read.
    pub fn next_entry(&mut self) -> Parsed<Option<Entry<'a>>> {
        loop {
            if self.has_ended {
                return Ok(None);
            }
            let rest = self.rest();
            let is_open_metrics = self.dialect == Dialect::OpenMetrics;
            let entry = match rest.as_bytes().first() {
                None if is_open_metrics => return self.fail("the text does not end with # EOF"),
                None => {
                    self.has_ended = true;
                    return Ok(None);
                }
                Some(b'\n') if is_open_metrics => return self.fail("empty lines are not allowed"),
                Some(b'\n' | b' ' | b'\t') if !is_open_metrics => {
                    self.at += 1;
                    continue;
                }
                Some(b'\r') if !is_open_metrics && rest.starts_with("\r\n") => {
                    self.at += 1;
                    continue;
                }
                Some(b'#') if is_open_metrics => self.open_metrics_comment()?,
                Some(b'#') => Some(self.prometheus_comment()?),
                Some(_) => self.series()?.map(Entry::Series),
            };
            if entry.is_some() {
                return Ok(entry);
            }
        }
    }

    #[inline]
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fail<T>(&self, reason: impl Into<String>) -> Parsed<T> {
        let before = self.text.as_bytes().get(..self.at).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let shown: String = self.rest().chars().take_while(|character| *character != '\n').take(120).collect();
        Err(ExpositionError { line, reason: format!("{} at {shown:?}", reason.into()) })
    }

    /// Returns the line without its end, and where the next one starts.
    fn line(&self) -> (&'a str, usize, bool) {
        let rest = self.rest();
        match rest.split_once('\n') {
            Some((line, _)) => (line, self.at + line.len() + 1, true),
            None => (rest, self.text.len(), false),
        }
    }

    fn prometheus_comment(&mut self) -> Parsed<Entry<'a>> {
        let (line, next, _) = self.line();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let content = line.get(1..).unwrap_or_default();
        let trimmed = content.trim_start_matches([' ', '\t']);
        let keyword = trimmed.split([' ', '\t']).next().unwrap_or_default();
        let after = trimmed.get(keyword.len()..).unwrap_or_default();
        if trimmed.len() == content.len() || !matches!(keyword, "HELP" | "TYPE") || after.is_empty() {
            self.at = next;
            return Ok(Entry::Comment(line));
        }
        let Some((family, text)) = metadata_name(after.trim_start_matches([' ', '\t'])) else {
            return self.fail(format!("expected a metric name behind {keyword}"));
        };
        let text = text.trim_start_matches([' ', '\t']);
        let entry = if keyword == "HELP" {
            Entry::Help { family, help: labels::unescape_some(text, false) }
        } else {
            let metric_type = match text {
                "counter" => MetricType::Counter,
                "gauge" => MetricType::Gauge,
                "histogram" => MetricType::Histogram,
                "summary" => MetricType::Summary,
                "untyped" => MetricType::Unknown,
                other => return self.fail(format!("there is no metric type {other:?}")),
            };
            self.metric_type = metric_type;
            Entry::Type { family, metric_type }
        };
        self.at = next;
        Ok(entry)
    }

    fn open_metrics_comment(&mut self) -> Parsed<Option<Entry<'a>>> {
        let (line, next, has_end) = self.line();
        if line == "# EOF" {
            self.at = next;
            if !self.rest().is_empty() {
                return self.fail("there is text behind # EOF");
            }
            self.has_ended = true;
            return Ok(None);
        }
        if !has_end {
            return self.fail("the text does not end with # EOF");
        }
        let split = line.strip_prefix("# ").and_then(|content| content.split_once(' '));
        let Some((keyword @ ("HELP" | "TYPE" | "UNIT"), content)) = split else {
            return self.fail("expected # HELP, # TYPE, # UNIT or # EOF");
        };
        let Some((family, text)) = metadata_name(content) else {
            return self.fail(format!("expected a metric name behind {keyword}"));
        };
        let Some(text) = text.strip_prefix(' ') else {
            return self.fail(format!("expected a space and a text behind the name in {keyword}"));
        };
        let entry = match keyword {
            "HELP" => Entry::Help { family, help: labels::unescape(text) },
            "UNIT" => {
                let stem = family.strip_suffix(text).and_then(|stem| stem.strip_suffix('_'));
                if !text.is_empty() && stem.is_none() {
                    return self.fail(format!("the name {family:?} does not end with the unit {text:?}"));
                }
                Entry::Unit { family, unit: text }
            }
            _ => {
                let Some(metric_type) = open_metrics_type(text) else {
                    return self.fail(format!("there is no metric type {text:?}"));
                };
                self.metric_type = metric_type;
                Entry::Type { family, metric_type }
            }
        };
        self.at = next;
        if matches!(entry, Entry::Type { .. }) {
            self.collect_starts();
        }
        Ok(Some(entry))
    }

    /// Reads a sample; `None` for one that is only a start timestamp.
    fn series(&mut self) -> Parsed<Option<SeriesLine<'a>>> {
        let start = self.at;
        let rest = self.rest();
        let name_end = rest.bytes().position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':')));
        let name = rest.get(..name_end.unwrap_or(rest.len())).unwrap_or_default();
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            return self.fail("expected a metric name");
        }
        let mut after = rest.get(name.len()..).unwrap_or_default();
        if self.dialect == Dialect::Prometheus {
            after = after.trim_start_matches([' ', '\t']);
        }
        let mut end = start + name.len();
        if let Some(inside) = after.strip_prefix('{') {
            let rules = Rules { dialect: self.dialect, is_strict: self.is_strict, is_exemplar: !name.is_empty() };
            let mut has_metric = !name.is_empty();
            let read = labels::read(inside, rules, |item| has_metric |= matches!(item, Item::Metric(_)));
            match read {
                Ok(behind) if has_metric => end = self.text.len() - behind.len(),
                Ok(_) => return self.fail("the series has no metric name"),
                Err(reason) => return self.fail(reason),
            }
        } else if name.is_empty() {
            return self.fail("expected a metric name");
        }
        let line = self.sample(start, end)?;
        if self.created == CreatedLines::StartTimestamps && self.is_created(line.series) {
            return Ok(None);
        }
        Ok(Some(line))
    }

    /// Reads what follows a series' labels, which end at `end`, and goes to the next line.
    #[inline]
    fn sample(&mut self, start: usize, end: usize) -> Parsed<SeriesLine<'a>> {
        let series = self.text.get(start..end).unwrap_or_default();
        let start_timestamp_ms =
            if self.starts.is_empty() { None } else { self.starts.get(&start_key(series)).copied() };
        let mut line = SeriesLine {
            series,
            value: 0.0,
            timestamp_ms: None,
            start_timestamp_ms,
            exemplar: None,
            metric_type: self.metric_type,
            dialect: self.dialect,
            seconds: None,
        };
        let rest = self.text.get(end..).unwrap_or_default();
        let (tail, next) = match rest.split_once('\n') {
            Some((tail, _)) => (tail, end + tail.len() + 1),
            None if self.dialect == Dialect::OpenMetrics => return self.fail("the text does not end with # EOF"),
            None => (rest, self.text.len()),
        };
        match self.dialect {
            Dialect::Prometheus => self.prometheus_tail(tail, &mut line)?,
            Dialect::OpenMetrics => self.open_metrics_tail(tail, &mut line)?,
        }
        self.at = next;
        Ok(line)
    }

    #[inline]
    fn prometheus_tail(&self, tail: &str, line: &mut SeriesLine<'a>) -> Parsed<()> {
        let mut words = tail.split([' ', '\t', '\r']).filter(|word| !word.is_empty());
        let Some(value) = words.next().and_then(parse_decimal) else {
            return self.fail("expected a value");
        };
        line.value = value;
        if let Some(word) = words.next() {
            let Ok(timestamp) = word.parse() else { return self.fail("expected a timestamp in milliseconds") };
            line.timestamp_ms = Some(timestamp);
        }
        if words.next().is_some() {
            return self.fail("expected the end of the line behind the timestamp");
        }
        Ok(())
    }

    #[inline]
    fn open_metrics_tail(&self, tail: &'a str, line: &mut SeriesLine<'a>) -> Parsed<()> {
        let Some(tail) = tail.strip_prefix(' ') else { return self.fail("expected a space and a value") };
        // Looking for one character is several times faster than for three.
        let (numbers, exemplar) = match tail.split_once('#') {
            None => (tail, None),
            Some(_) => match tail.split_once(" # ") {
                Some((numbers, exemplar)) => (numbers, Some(exemplar)),
                None => return self.fail("expected an exemplar behind a space, # and another space"),
            },
        };
        let (value, timestamp) = self.numbers(numbers)?;
        line.value = value;
        line.seconds = timestamp;
        line.timestamp_ms = timestamp.map(to_ms);
        if let Some(text) = exemplar {
            let rules = Rules { dialect: self.dialect, is_strict: self.is_strict, is_exemplar: true };
            let Some(inside) = text.strip_prefix('{') else { return self.fail("expected { behind #") };
            let after = match labels::read(inside, rules, |_| {}) {
                Ok(after) => after,
                Err(reason) => return self.fail(reason),
            };
            let Some(numbers) = after.strip_prefix(' ') else {
                return self.fail("expected a space and a value behind the exemplar's labels");
            };
            let (value, timestamp) = self.numbers(numbers)?;
            let text = text.get(..text.len() - after.len()).unwrap_or_default();
            line.exemplar = Some(ExemplarLine { text, value, timestamp_ms: timestamp.map(to_ms) });
        }
        Ok(())
    }

    /// Reads `value` or `value seconds`.
    #[inline]
    fn numbers(&self, text: &str) -> Parsed<(f64, Option<f64>)> {
        let (value, timestamp) = match text.split_once(' ') {
            Some((value, timestamp)) => (value, Some(timestamp)),
            None => (text, None),
        };
        let Some(value) = parse_decimal(value) else { return self.fail("expected a value") };
        let Some(timestamp) = timestamp else { return Ok((value, None)) };
        match parse_decimal(timestamp).filter(|seconds| seconds.is_finite()) {
            Some(seconds) => Ok((value, Some(seconds))),
            None => self.fail("expected a timestamp in seconds"),
        }
    }

    fn is_created(&self, series: &str) -> bool {
        has_starts(self.metric_type) && series_name(series).ends_with("_created")
    }

    /// Looks through the family that starts here for `_created` lines.
    fn collect_starts(&mut self) {
        self.starts.clear();
        if self.created != CreatedLines::StartTimestamps || !has_starts(self.metric_type) {
            return;
        }
        let rest = self.rest();
        let block_end = family_end(rest);
        let block = rest.get(..block_end).unwrap_or_default();
        if !block.contains("_created") {
            return;
        }
        let mut inner = TextParser {
            text: self.text.get(..self.at + block_end).unwrap_or_default(),
            at: self.at,
            dialect: self.dialect,
            created: CreatedLines::Series,
            is_strict: false,
            metric_type: self.metric_type,
            starts: HashMap::new(),
            has_ended: false,
        };
        let mut starts = HashMap::new();
        // A wrong line is found again when it is its turn.
        while let Ok(Some(entry)) = inner.next_entry() {
            if let Entry::Series(line) = entry
                && inner.is_created(line.series)
            {
                starts.insert(start_key(line.series), to_ms(line.value));
            }
        }
        self.starts = starts;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a time beyond 292 million years is cut to the last moment there is"
)]
fn to_ms(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}
