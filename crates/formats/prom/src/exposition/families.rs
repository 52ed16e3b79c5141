//! The protobuf format: families of metrics, each with its length in front.

use super::ExpositionError;
use crate::native::{RawHistogram, decode_span};
use crate::number::format_open_metrics_float;
use crate::wire::{Field, Reader, WireError, push_doubles, push_numbers, zigzag};
use crate::{Exemplar, Histogram, Labels, LabelsBuilder, METRIC_NAME, MetricType, native};

/// A family of metrics as series.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Family {
    /// The name without suffixes such as `_bucket`.
    pub name: String,
    /// The sentence for people.
    pub help: String,
    /// The base unit.
    pub unit: String,
    /// The type.
    pub metric_type: MetricType,
    /// What it holds, classic histograms and summaries as series like in the texts.
    pub samples: Vec<FamilySample>,
}

/// A sample of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilySample {
    /// The labels, the metric's name among them.
    pub labels: Labels,
    /// When, in milliseconds since 1970, if it says so.
    pub timestamp_ms: Option<i64>,
    /// When the counter started, in milliseconds since 1970, if it says so.
    pub start_timestamp_ms: Option<i64>,
    /// The value.
    pub value: FamilyValue,
    /// Exemplars; a timestamp of 0 stands for none.
    pub exemplars: Vec<Exemplar>,
}

/// The value of a sample.
#[derive(Debug, Clone, PartialEq)]
pub enum FamilyValue {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Box<Histogram>),
}

/// Reads families one by one. With `keep_classic` a histogram that has native buckets shows its classic series too.
///
/// # Errors
/// When a message is malformed or a histogram contradicts itself; nothing after that is read.
pub fn decode_families(body: &[u8], keep_classic: bool) -> impl Iterator<Item = Result<Family, ExpositionError>> {
    let mut reader = Reader::new(body);
    let mut has_failed = false;
    std::iter::from_fn(move || {
        if has_failed || reader.rest().is_empty() {
            return None;
        }
        let family =
            reader.length_delimited().map_err(Into::into).and_then(|message| decode_family(message, keep_classic));
        has_failed = family.is_err();
        Some(family)
    })
}

impl From<WireError> for ExpositionError {
    fn from(error: WireError) -> Self {
        Self { line: 0, reason: error.to_string() }
    }
}

fn fail<T>(reason: String) -> Result<T, ExpositionError> {
    Err(ExpositionError { line: 0, reason })
}

fn decode_family(message: &[u8], keep_classic: bool) -> Result<Family, ExpositionError> {
    const MESSAGE: &str = "MetricFamily";
    let mut family = Family::default();
    let (mut kind, mut metrics) = (0, Vec::new());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => field.text(MESSAGE, 1)?.clone_into(&mut family.name),
            2 => field.text(MESSAGE, 2)?.clone_into(&mut family.help),
            3 => kind = field.number(MESSAGE, 3)?,
            4 => metrics.push(field.bytes(MESSAGE, 4)?),
            5 => field.text(MESSAGE, 5)?.clone_into(&mut family.unit),
            _ => {}
        }
    }
    family.metric_type = match kind {
        0 => MetricType::Counter,
        1 => MetricType::Gauge,
        2 => MetricType::Summary,
        3 => MetricType::Unknown,
        4 => MetricType::Histogram,
        5 => MetricType::GaugeHistogram,
        other => return fail(format!("the family {:?} has the unknown type {other}", family.name)),
    };
    if family.name.is_empty() {
        return fail("a family has no name".to_owned());
    }
    for metric in metrics {
        decode_metric(metric, &mut family, keep_classic)?;
    }
    Ok(family)
}

fn decode_metric(message: &[u8], family: &mut Family, keep_classic: bool) -> Result<(), ExpositionError> {
    const MESSAGE: &str = "Metric";
    let mut labels = Vec::new();
    let (mut content, mut timestamp_ms) = (&[][..], None);
    // The content's field follows from the family's type.
    let wanted = match family.metric_type {
        MetricType::Gauge => 2,
        MetricType::Counter => 3,
        MetricType::Summary => 4,
        MetricType::Histogram | MetricType::GaugeHistogram => 7,
        MetricType::Unknown | MetricType::Info | MetricType::StateSet => 5,
    };
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => labels.push(decode_pair(field.bytes(MESSAGE, 1)?)?),
            6 => timestamp_ms = Some(field.signed(MESSAGE, 6)?).filter(|timestamp| *timestamp != 0),
            number if number == wanted => content = field.bytes(MESSAGE, number)?,
            _ => {}
        }
    }
    let mut builder = LabelsBuilder::default();
    for (name, value) in labels {
        if name.is_empty() || builder.get(name).is_some() {
            return fail(format!(
                "a metric of the family {:?} has the label {name:?} twice or without a name",
                family.name
            ));
        }
        builder.set(name, value);
    }
    let mut output =
        Output { builder, timestamp_ms, start_timestamp_ms: None, samples: &mut family.samples, name: &family.name };
    match family.metric_type {
        MetricType::Summary => decode_summary(content, &mut output)?,
        MetricType::Histogram | MetricType::GaugeHistogram => {
            decode_histogram(content, family.metric_type, keep_classic, &mut output)?;
        }
        MetricType::Counter | MetricType::Gauge | MetricType::Unknown | MetricType::Info | MetricType::StateSet => {
            decode_number(content, &mut output)?;
        }
    }
    Ok(())
}

/// Where the samples of one metric go.
struct Output<'a> {
    builder: LabelsBuilder,
    timestamp_ms: Option<i64>,
    start_timestamp_ms: Option<i64>,
    samples: &'a mut Vec<FamilySample>,
    name: &'a str,
}

impl Output<'_> {
    fn push(&mut self, suffix: &str, extra: Option<(&str, f64)>, value: FamilyValue, exemplars: Vec<Exemplar>) {
        let mut builder = self.builder.clone();
        builder.set(METRIC_NAME, &format!("{}{suffix}", self.name));
        if let Some((name, number)) = extra {
            builder.set(name, &format_open_metrics_float(number));
        }
        let (timestamp_ms, start_timestamp_ms) = (self.timestamp_ms, self.start_timestamp_ms);
        self.samples.push(FamilySample { labels: builder.build(), timestamp_ms, start_timestamp_ms, value, exemplars });
    }
}

/// Reads a gauge, counter or untyped value, which share their first field.
fn decode_number(message: &[u8], output: &mut Output<'_>) -> Result<(), ExpositionError> {
    const MESSAGE: &str = "Counter";
    let (mut value, mut exemplars) = (0.0, Vec::new());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => value = field.double(MESSAGE, 1)?,
            2 => exemplars.push(decode_exemplar(field.bytes(MESSAGE, 2)?)?),
            3 => output.start_timestamp_ms = decode_timestamp(field.bytes(MESSAGE, 3)?)?,
            _ => {}
        }
    }
    output.push("", None, FamilyValue::Float(value), exemplars);
    Ok(())
}

fn decode_summary(message: &[u8], output: &mut Output<'_>) -> Result<(), ExpositionError> {
    const MESSAGE: &str = "Summary";
    let (mut count, mut sum, mut quantiles) = (0, 0.0, Vec::new());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => count = field.number(MESSAGE, 1)?,
            2 => sum = field.double(MESSAGE, 2)?,
            3 => quantiles.push(field.bytes(MESSAGE, 3)?),
            4 => output.start_timestamp_ms = decode_timestamp(field.bytes(MESSAGE, 4)?)?,
            _ => {}
        }
    }
    output.push("_count", None, FamilyValue::Float(native::to_f64(count)), Vec::new());
    output.push("_sum", None, FamilyValue::Float(sum), Vec::new());
    for quantile in quantiles {
        let (mut rank, mut value) = (0.0, 0.0);
        let mut reader = Reader::new(quantile);
        while let Some((number, field)) = reader.field()? {
            match number {
                1 => rank = field.double("Quantile", 1)?,
                2 => value = field.double("Quantile", 2)?,
                _ => {}
            }
        }
        output.push("", Some(("quantile", rank)), FamilyValue::Float(value), Vec::new());
    }
    Ok(())
}

/// A bucket of a classic histogram.
#[derive(Default)]
struct Bucket {
    count: f64,
    bound: f64,
    exemplar: Option<Exemplar>,
}

fn decode_histogram(
    message: &[u8],
    metric_type: MetricType,
    keep_classic: bool,
    output: &mut Output<'_>,
) -> Result<(), ExpositionError> {
    const MESSAGE: &str = "Histogram";
    let (mut raw, mut buckets, mut exemplars) = (RawHistogram::default(), Vec::new(), Vec::new());
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => raw.count = field.number(MESSAGE, 1)?,
            2 => raw.sum = field.double(MESSAGE, 2)?,
            3 => buckets.push(decode_bucket(field.bytes(MESSAGE, 3)?)?),
            4 => raw.count_float = field.double(MESSAGE, 4)?,
            15 => output.start_timestamp_ms = decode_timestamp(field.bytes(MESSAGE, 15)?)?,
            16 => exemplars.push(decode_exemplar(field.bytes(MESSAGE, 16)?)?),
            _ => decode_native(number, field, &mut raw)?,
        }
    }
    let is_native = !raw.positive.spans.is_empty()
        || !raw.negative.spans.is_empty()
        || raw.zero_threshold > 0.0
        || raw.zero_count > 0
        || raw.zero_count_float > 0.0;
    let count = if raw.count_float > 0.0 { raw.count_float } else { native::to_f64(raw.count) };
    let sum = raw.sum;
    if is_native {
        raw.is_float = raw.count_float > 0.0 || raw.zero_count_float > 0.0;
        if metric_type == MetricType::GaugeHistogram {
            raw.reset_hint = crate::ResetHint::Gauge;
        }
        let histogram = raw.into_histogram();
        let histogram = histogram
            .or_else(|error| fail(format!("a histogram of the family {:?} is wrong: {error}", output.name)))?;
        // Native histograms keep exemplars with timestamps only; without own ones those of the classic buckets count.
        let mut own: Vec<Exemplar> = exemplars.into_iter().filter(|exemplar| exemplar.timestamp_ms != 0).collect();
        if own.is_empty() {
            let of_buckets = buckets.iter().filter_map(|bucket| bucket.exemplar.clone());
            own = of_buckets.filter(|exemplar| exemplar.timestamp_ms != 0).collect();
        }
        output.push("", None, FamilyValue::Histogram(Box::new(histogram)), own);
    }
    if !is_native || (keep_classic && !buckets.is_empty()) {
        output.push("_count", None, FamilyValue::Float(count), Vec::new());
        output.push("_sum", None, FamilyValue::Float(sum), Vec::new());
        let has_last = buckets.iter().any(|bucket| bucket.bound == f64::INFINITY);
        for bucket in buckets {
            let value = FamilyValue::Float(bucket.count);
            output.push("_bucket", Some(("le", bucket.bound)), value, bucket.exemplar.into_iter().collect());
        }
        if !has_last {
            output.push("_bucket", Some(("le", f64::INFINITY)), FamilyValue::Float(count), Vec::new());
        }
    }
    Ok(())
}

/// Reads one of the fields of native buckets.
fn decode_native(number: u32, field: Field<'_>, raw: &mut RawHistogram) -> Result<(), WireError> {
    const MESSAGE: &str = "Histogram";
    match number {
        5 => raw.schema = i32::try_from(zigzag(field.number(MESSAGE, 5)?)).unwrap_or(i32::MAX),
        6 => raw.zero_threshold = field.double(MESSAGE, 6)?,
        7 => raw.zero_count = field.number(MESSAGE, 7)?,
        8 => raw.zero_count_float = field.double(MESSAGE, 8)?,
        9 => raw.negative.spans.push(decode_span(field.bytes(MESSAGE, 9)?)?),
        10 => push_numbers(field, MESSAGE, 10, |delta| raw.negative.deltas.push(zigzag(delta)))?,
        11 => push_doubles(field, MESSAGE, 11, &mut raw.negative.counts)?,
        12 => raw.positive.spans.push(decode_span(field.bytes(MESSAGE, 12)?)?),
        13 => push_numbers(field, MESSAGE, 13, |delta| raw.positive.deltas.push(zigzag(delta)))?,
        14 => push_doubles(field, MESSAGE, 14, &mut raw.positive.counts)?,
        _ => {}
    }
    Ok(())
}

fn decode_bucket(message: &[u8]) -> Result<Bucket, WireError> {
    const MESSAGE: &str = "Bucket";
    let (mut bucket, mut float) = (Bucket::default(), 0.0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => bucket.count = native::to_f64(field.number(MESSAGE, 1)?),
            2 => bucket.bound = field.double(MESSAGE, 2)?,
            3 => bucket.exemplar = Some(decode_exemplar(field.bytes(MESSAGE, 3)?)?),
            4 => float = field.double(MESSAGE, 4)?,
            _ => {}
        }
    }
    if float > 0.0 {
        bucket.count = float;
    }
    Ok(bucket)
}

fn decode_exemplar(message: &[u8]) -> Result<Exemplar, WireError> {
    const MESSAGE: &str = "Exemplar";
    let (mut pairs, mut value, mut timestamp_ms) = (Vec::new(), 0.0, 0);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => pairs.push(decode_pair(field.bytes(MESSAGE, 1)?)?),
            2 => value = field.double(MESSAGE, 2)?,
            3 => timestamp_ms = decode_timestamp(field.bytes(MESSAGE, 3)?)?.unwrap_or_default(),
            _ => {}
        }
    }
    Ok(Exemplar { labels: Labels::from_pairs(pairs), value, timestamp_ms })
}

fn decode_pair(message: &[u8]) -> Result<(&str, &str), WireError> {
    let (mut name, mut value) = ("", "");
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => name = field.text("LabelPair", 1)?,
            2 => value = field.text("LabelPair", 2)?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// Reads seconds and nanoseconds as milliseconds.
fn decode_timestamp(message: &[u8]) -> Result<Option<i64>, WireError> {
    let (mut seconds, mut nanoseconds) = (0_i64, 0_i64);
    let mut reader = Reader::new(message);
    while let Some((number, field)) = reader.field()? {
        match number {
            1 => seconds = field.signed("Timestamp", 1)?,
            2 => nanoseconds = field.signed("Timestamp", 2)?,
            _ => {}
        }
    }
    Ok(seconds.checked_mul(1000).and_then(|ms| ms.checked_add(nanoseconds / 1_000_000)))
}
