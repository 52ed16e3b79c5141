//! Writes expositions.

use super::format::{Escaping, Format, ScrapeProtocol};
use super::labels::{push_escaped, push_name};
use super::names::escape_name;
use crate::number::{push_open_metrics_float, push_short_float};
use crate::wire::Writer as WireWriter;
use crate::{Exemplar, Histogram, Labels, METRIC_NAME, MetricType, ResetHint};

/// What stands above a family's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FamilyHead<'a> {
    /// The family's name: of a counter with `_total`, which OpenMetrics' metadata leaves out.
    pub name: &'a str,
    /// Its type.
    pub metric_type: MetricType,
    /// The sentence for people; empty for none.
    pub help: &'a str,
    /// The base unit; empty for none.
    pub unit: &'a str,
}

/// Writes one exposition, family by family: its head, then its samples.
#[derive(Debug)]
pub struct Writer {
    format: Format,
    escaping: Escaping,
    text: String,
    /// Protobuf: finished families, and the one being written.
    messages: WireWriter,
    family: Option<OpenFamily>,
}

/// A protobuf family being written.
#[derive(Debug)]
struct OpenFamily {
    name: String,
    kind: u64,
    head: WireWriter,
    metrics: WireWriter,
}

impl Writer {
    /// Starts an exposition.
    #[must_use]
    pub fn new(protocol: ScrapeProtocol, escaping: Escaping) -> Self {
        // The oldest versions know plain names only.
        let is_old = matches!(protocol, ScrapeProtocol::PrometheusText0_0_4 | ScrapeProtocol::OpenMetricsText0_0_1);
        let escaping = if is_old && escaping == Escaping::AllowUtf8 { Escaping::Underscores } else { escaping };
        let (format, messages) = (protocol.format(), WireWriter::default());
        Self { format, escaping, text: String::new(), messages, family: None }
    }

    /// Writes a family's head. Its samples must follow before the next head.
    pub fn family(&mut self, head: &FamilyHead<'_>) {
        let name = escape_name(head.name, self.escaping);
        match self.format {
            Format::Text => {
                self.metadata("HELP", &name, |text| push_escaped(head.help, false, text), head.help.is_empty());
                let kind = match head.metric_type {
                    MetricType::Counter => "counter",
                    MetricType::Gauge | MetricType::Info | MetricType::StateSet => "gauge",
                    MetricType::Summary => "summary",
                    MetricType::Histogram | MetricType::GaugeHistogram => "histogram",
                    MetricType::Unknown => "untyped",
                };
                self.metadata("TYPE", &name, |text| text.push_str(kind), false);
            }
            Format::OpenMetrics => {
                let stem = name.strip_suffix("_total").filter(|_| head.metric_type == MetricType::Counter);
                let stem = stem.or_else(|| name.strip_suffix("_info").filter(|_| head.metric_type == MetricType::Info));
                let kind = match (head.metric_type, stem) {
                    (MetricType::Counter, Some(_)) => "counter",
                    (MetricType::Info, Some(_)) => "info",
                    (MetricType::Gauge, _) => "gauge",
                    (MetricType::Summary, _) => "summary",
                    (MetricType::Histogram, _) => "histogram",
                    (MetricType::GaugeHistogram, _) => "gaugehistogram",
                    (MetricType::StateSet, _) => "stateset",
                    (MetricType::Counter | MetricType::Info | MetricType::Unknown, _) => "unknown",
                };
                let stem = stem.unwrap_or(&name).to_owned();
                self.metadata("HELP", &stem, |text| push_escaped(head.help, true, text), head.help.is_empty());
                self.metadata("TYPE", &stem, |text| text.push_str(kind), false);
                // A unit that is no part of the name would make the whole text wrong.
                let has_unit = !head.unit.is_empty()
                    && stem.strip_suffix(head.unit).is_some_and(|before| before.ends_with('_'))
                    && !matches!(head.metric_type, MetricType::Info | MetricType::StateSet);
                self.metadata("UNIT", &stem, |text| push_escaped(head.unit, true, text), !has_unit);
            }
            Format::Protobuf => self.open_family(&name, head),
        }
    }

    fn metadata(&mut self, keyword: &str, name: &str, push: impl FnOnce(&mut String), is_absent: bool) {
        if !is_absent {
            self.text.extend(["# ", keyword, " "]);
            push_name(name, true, &mut self.text);
            self.text.push(' ');
            push(&mut self.text);
            self.text.push('\n');
        }
    }

    /// Writes a sample of the current family. `labels` hold the series' full name, such as `…_bucket`; `extra` are added unless
    /// they are there.
    pub fn sample(&mut self, labels: &Labels, extra: &[(&str, &str)], value: f64, timestamp_ms: Option<i64>) {
        self.sample_with_exemplar(labels, extra, value, timestamp_ms, None);
    }

    /// Writes a sample with an exemplar, which only OpenMetrics and protobuf show.
    pub fn sample_with_exemplar(
        &mut self,
        labels: &Labels,
        extra: &[(&str, &str)],
        value: f64,
        timestamp_ms: Option<i64>,
        exemplar: Option<&Exemplar>,
    ) {
        if self.format == Format::Protobuf {
            self.protobuf_sample(labels, extra, value, timestamp_ms, exemplar);
            return;
        }
        self.push_series(labels, extra, None);
        self.push_value(value, timestamp_ms);
        if let (Format::OpenMetrics, Some(exemplar)) = (self.format, exemplar) {
            self.text.push_str(" # {");
            push_labels(&exemplar.labels, &[], self.escaping, true, &mut self.text);
            self.text.push_str("} ");
            push_open_metrics_float(exemplar.value, &mut self.text);
            if exemplar.timestamp_ms != 0 {
                self.text.push(' ');
                push_seconds(exemplar.timestamp_ms, &mut self.text);
            }
        }
        self.text.push('\n');
    }

    /// Writes a native histogram of the current family: protobuf shows it as it is; the texts show custom buckets as a classic
    /// histogram, and leave out exponential ones, which they have no words for. Tells whether it was shown.
    pub fn histogram(
        &mut self,
        labels: &Labels,
        extra: &[(&str, &str)],
        histogram: &Histogram,
        timestamp_ms: Option<i64>,
    ) -> bool {
        if self.format == Format::Protobuf {
            self.protobuf_histogram(labels, extra, histogram, timestamp_ms);
            return true;
        }
        if !histogram.has_custom_buckets() {
            return false;
        }
        for (bound, count) in cumulative(histogram) {
            let mut le = String::new();
            push_open_metrics_float(bound, &mut le);
            self.push_series(labels, extra, Some(("_bucket", Some(&le))));
            self.push_value(count, timestamp_ms);
            self.text.push('\n');
        }
        for (suffix, value) in [("_sum", histogram.sum), ("_count", histogram.count)] {
            self.push_series(labels, extra, Some((suffix, None)));
            self.push_value(value, timestamp_ms);
            self.text.push('\n');
        }
        true
    }

    /// Returns how many bytes are written so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
            + self.messages.bytes.len()
            + self.family.as_ref().map_or(0, |family| family.metrics.bytes.len())
    }

    /// Returns the finished exposition.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.close_family();
        match self.format {
            Format::Text => self.text.into_bytes(),
            Format::OpenMetrics => {
                self.text.push_str("# EOF\n");
                self.text.into_bytes()
            }
            Format::Protobuf => self.messages.bytes,
        }
    }

    fn push_series(&mut self, labels: &Labels, extra: &[(&str, &str)], more: Option<(&str, Option<&str>)>) {
        let (suffix, le) = more.unwrap_or(("", None));
        let name = escape_name(labels.metric_name(), self.escaping) + suffix;
        let mut inside = String::new();
        let is_quoted = !super::names::is_legacy_metric_name(&name);
        if is_quoted {
            push_name(&name, true, &mut inside);
        } else {
            self.text.push_str(&name);
        }
        push_labels(labels, extra, self.escaping, !is_quoted, &mut inside);
        if let Some(le) = le {
            if !inside.is_empty() {
                inside.push(',');
            }
            inside.extend(["le=\"", le, "\""]);
        }
        if !inside.is_empty() {
            self.text.extend(["{", &inside, "}"]);
        }
    }

    fn push_value(&mut self, value: f64, timestamp_ms: Option<i64>) {
        self.text.push(' ');
        match self.format {
            Format::OpenMetrics => push_open_metrics_float(value, &mut self.text),
            Format::Text | Format::Protobuf => push_short_float(value, &mut self.text),
        }
        if let Some(timestamp) = timestamp_ms {
            self.text.push(' ');
            match self.format {
                Format::OpenMetrics => push_seconds(timestamp, &mut self.text),
                Format::Text | Format::Protobuf => self.text.push_str(&timestamp.to_string()),
            }
        }
    }

    fn open_family(&mut self, name: &str, head: &FamilyHead<'_>) {
        self.close_family();
        // Classic histograms and summaries come as lines: their parts are shown as values of their own.
        let kind = match head.metric_type {
            MetricType::Counter => 0,
            MetricType::Gauge => 1,
            MetricType::Histogram => 4,
            MetricType::GaugeHistogram => 5,
            MetricType::Summary | MetricType::Info | MetricType::StateSet | MetricType::Unknown => 3,
        };
        let mut writer = WireWriter::default();
        writer.text(2, head.help);
        writer.text(5, head.unit);
        self.family = Some(OpenFamily { name: name.to_owned(), kind, head: writer, metrics: WireWriter::default() });
    }

    fn close_family(&mut self) {
        let Some(family) = self.family.take().filter(|family| !family.metrics.bytes.is_empty()) else { return };
        let mut message = WireWriter::default();
        message.text(1, &family.name);
        message.bytes.extend_from_slice(&family.head.bytes);
        message.number(3, family.kind);
        message.bytes.extend_from_slice(&family.metrics.bytes);
        self.messages.varint(message.bytes.len() as u64);
        self.messages.bytes.extend_from_slice(&message.bytes);
    }

    /// Goes to a family of this name and kind: a new one when the current one is another.
    fn enter_family(&mut self, name: &str, kind: u64) -> &mut WireWriter {
        let fits = self.family.as_ref().is_some_and(|family| family.name == name && family.kind == kind);
        if !fits {
            let head = match &mut self.family {
                Some(family) if family.name == name => std::mem::take(&mut family.head),
                _ => WireWriter::default(),
            };
            self.close_family();
            self.family = None;
            let family = OpenFamily { name: name.to_owned(), kind, head, metrics: WireWriter::default() };
            return &mut self.family.insert(family).metrics;
        }
        match &mut self.family {
            Some(family) => &mut family.metrics,
            None => &mut self.messages,
        }
    }

    fn protobuf_sample(
        &mut self,
        labels: &Labels,
        extra: &[(&str, &str)],
        value: f64,
        timestamp_ms: Option<i64>,
        exemplar: Option<&Exemplar>,
    ) {
        let (escaping, name) = (self.escaping, escape_name(labels.metric_name(), self.escaping));
        let own = self.family.as_ref().filter(|family| family.name == name).map_or(3, |family| family.kind);
        let kind = if own < 2 { own } else { 3 };
        self.enter_family(&name, kind).message(4, |metric| {
            write_labels(labels, extra, escaping, metric);
            let field = match kind {
                0 => 3,
                1 => 2,
                _ => 5,
            };
            metric.message(field, |content| {
                content.double(1, value);
                if let (0, Some(exemplar)) = (kind, exemplar) {
                    content.message(2, |inner| write_exemplar(exemplar, inner));
                }
            });
            metric.signed(6, timestamp_ms.unwrap_or_default());
        });
    }

    fn protobuf_histogram(
        &mut self,
        labels: &Labels,
        extra: &[(&str, &str)],
        histogram: &Histogram,
        timestamp_ms: Option<i64>,
    ) {
        let (escaping, name) = (self.escaping, escape_name(labels.metric_name(), self.escaping));
        let kind = if histogram.reset_hint == ResetHint::Gauge { 5 } else { 4 };
        self.enter_family(&name, kind).message(4, |metric| {
            write_labels(labels, extra, escaping, metric);
            metric.message(7, |content| {
                content.double(2, histogram.sum);
                content.double(4, histogram.count);
                if histogram.has_custom_buckets() {
                    for (bound, count) in cumulative(histogram) {
                        content.message(3, |bucket| {
                            bucket.double(2, bound);
                            bucket.double(4, count);
                        });
                    }
                } else {
                    write_native(histogram, content);
                }
            });
            metric.signed(6, timestamp_ms.unwrap_or_default());
        });
    }
}

fn write_native(histogram: &Histogram, writer: &mut WireWriter) {
    writer.zigzag(5, histogram.schema.into());
    writer.double(6, histogram.zero_threshold);
    writer.double(8, histogram.zero_count);
    let sides = [
        (9, &histogram.negative_spans, 11, &histogram.negative_buckets),
        (12, &histogram.positive_spans, 14, &histogram.positive_buckets),
    ];
    for (spans_field, spans, counts_field, counts) in sides {
        for span in spans {
            writer.message(spans_field, |inner| {
                inner.zigzag(1, span.offset.into());
                inner.number(2, span.length.into());
            });
        }
        writer.packed_doubles(counts_field, counts);
    }
    let is_empty = histogram.positive_spans.is_empty() && histogram.negative_spans.is_empty();
    if is_empty && histogram.zero_threshold == 0.0 && histogram.zero_count == 0.0 {
        // A span of nothing says that it is native.
        writer.message(12, |_| {});
    }
}

/// Returns the upper bounds of custom buckets with the counts up to them, the last without a bound.
fn cumulative(histogram: &Histogram) -> Vec<(f64, f64)> {
    let mut counts = vec![0.0; histogram.custom_values.len() + 1];
    let (mut index, mut buckets) = (0_i64, histogram.positive_buckets.iter());
    for span in &histogram.positive_spans {
        index += i64::from(span.offset);
        for count in buckets.by_ref().take(span.length as usize) {
            if let Some(place) = usize::try_from(index).ok().and_then(|index| counts.get_mut(index)) {
                *place += count;
            }
            index += 1;
        }
    }
    let bounds = histogram.custom_values.iter().copied().chain([f64::INFINITY]);
    let mut sum = 0.0;
    bounds
        .zip(counts)
        .map(|(bound, count)| {
            sum += count;
            (bound, if bound == f64::INFINITY { histogram.count } else { sum })
        })
        .collect()
}

/// Goes over the labels without the metric's name, then over those of `extra` that are not there.
fn with_extra<'a>(labels: &'a Labels, extra: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (&'a str, &'a str)> {
    let added = extra.iter().copied().filter(|(name, _)| labels.get(name).is_none());
    labels.iter().filter(|(name, _)| *name != METRIC_NAME).chain(added)
}

fn push_labels(labels: &Labels, extra: &[(&str, &str)], escaping: Escaping, is_first: bool, into: &mut String) {
    let mut is_first = is_first;
    for (name, value) in with_extra(labels, extra) {
        if !is_first {
            into.push(',');
        }
        is_first = false;
        push_name(&escape_name(name, escaping), false, into);
        into.push_str("=\"");
        push_escaped(value, true, into);
        into.push('"');
    }
}

fn write_labels(labels: &Labels, extra: &[(&str, &str)], escaping: Escaping, writer: &mut WireWriter) {
    for (name, value) in with_extra(labels, extra) {
        writer.message(1, |pair| {
            pair.text(1, &escape_name(name, escaping));
            pair.text(2, value);
        });
    }
}

fn write_exemplar(exemplar: &Exemplar, writer: &mut WireWriter) {
    write_labels(&exemplar.labels, &[], Escaping::AllowUtf8, writer);
    writer.double(2, exemplar.value);
    if exemplar.timestamp_ms != 0 {
        writer.message(3, |timestamp| {
            timestamp.signed(1, exemplar.timestamp_ms.div_euclid(1000));
            timestamp.signed(2, exemplar.timestamp_ms.rem_euclid(1000) * 1_000_000);
        });
    }
}

/// Appends milliseconds as seconds with as many decimals as they need.
fn push_seconds(timestamp_ms: i64, into: &mut String) {
    let sign = if timestamp_ms < 0 { "-" } else { "" };
    let (seconds, rest) = (timestamp_ms.unsigned_abs() / 1000, timestamp_ms.unsigned_abs() % 1000);
    into.push_str(&format!("{sign}{seconds}"));
    if rest > 0 {
        into.push_str(format!(".{rest:03}").trim_end_matches('0'));
    }
}
