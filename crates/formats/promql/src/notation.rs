//! Series in one line: `up{job="api"} 1 1+2x5 _ stale {{schema:0 sum:1}}`, as tests of rules write them.
//!
//! Source: Prometheus 3 documentation, "Unit testing for rules", series notation; the scripts of promqltest write the same.

use std::sync::Arc;

use maru_prom::{Histogram, Labels, METRIC_NAME, ResetHint, Span, stale_marker};

use crate::SampleValue;

/// How many values one line may expand to.
const VALUES_MAX: usize = 1_000_000;

/// Why a text is no series: what was expected, and before which text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotationError(String);

/// A series and its values, one for each step; `None` where there is no sample.
pub type SeriesValues = (Labels, Vec<Option<SampleValue>>);

/// A value as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenValue {
    /// `None` where there is no sample.
    pub value: Option<SampleValue>,
    /// Whether the notation of a histogram says what its reset hint is.
    pub says_hint: bool,
}

/// Reads a series with its values.
///
/// # Errors
/// When the text is no series, or expands to more than a million values.
pub fn parse_series(text: &str) -> Result<SeriesValues, NotationError> {
    let (labels, values) = parse_written_series(text)?;
    Ok((labels, values.into_iter().map(|written| written.value).collect()))
}

/// As [`parse_series`], and tells what of each value was written.
///
/// # Errors
/// As [`parse_series`].
pub fn parse_written_series(text: &str) -> Result<(Labels, Vec<WrittenValue>), NotationError> {
    let mut cursor = Cursor { rest: text };
    let labels = cursor.metric()?;
    let values = cursor.values()?;
    Ok((labels, values))
}

/// Reads the labels that a text begins with; returns what follows them.
///
/// # Errors
/// When it does not begin with a series.
pub fn parse_metric(text: &str) -> Result<(Labels, &str), NotationError> {
    let mut cursor = Cursor { rest: text };
    let labels = cursor.metric()?;
    Ok((labels, cursor.rest))
}

/// Reads one value: a number or a histogram in double braces.
///
/// # Errors
/// When the text is neither.
pub fn parse_value(text: &str) -> Result<SampleValue, NotationError> {
    let mut values = Cursor { rest: text }.values()?;
    match (values.pop().and_then(|written| written.value), values.is_empty()) {
        (Some(value), true) => Ok(value),
        _ => Err(NotationError(format!("{text:?} is not one value"))),
    }
}

/// Reads text from the front.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expected<T>(&self, what: &str) -> Result<T, NotationError> {
        let rest: String = self.rest.chars().take(40).collect();
        Err(NotationError(if rest.is_empty() {
            format!("expected {what} at the end")
        } else {
            format!("expected {what} before {rest:?}")
        }))
    }

    fn need(&mut self, text: &str) -> Result<(), NotationError> {
        if self.eat(text) { Ok(()) } else { self.expected(&format!("{text:?}")) }
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.rest.split_at(self.rest.find(|character| !fits(character)).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Reads a number without sign: decimal, hexadecimal, `Inf` or `NaN`.
    fn number(&mut self) -> Result<f64, NotationError> {
        if let Some((word, rest)) = self.rest.split_at_checked(3) {
            let value = match word.to_ascii_lowercase().as_str() {
                "inf" => Some(f64::INFINITY),
                "nan" => Some(f64::NAN),
                _ => None,
            };
            if let Some(value) = value {
                self.rest = rest;
                return Ok(value);
            }
        }
        let bytes = self.rest.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
                end = digits(end + 1 + sign);
            }
        }
        let (text, rest) = self.rest.split_at(end);
        let Ok(value) = text.parse() else { return self.expected("a number") };
        self.rest = rest;
        Ok(value)
    }

    fn signed_number(&mut self) -> Result<f64, NotationError> {
        if self.eat("-") {
            return Ok(-self.number()?);
        }
        let _ = self.eat("+");
        self.number()
    }

    fn times(&mut self) -> Result<usize, NotationError> {
        let digits = self.take_while(|character| character.is_ascii_digit());
        match digits.parse() {
            Ok(times) if times <= VALUES_MAX => Ok(times),
            Ok(times) => Err(NotationError(format!("{times} values are more than the limit of {VALUES_MAX}"))),
            Err(_) => self.expected("a number of repetitions"),
        }
    }

    /// Reads a text in any of the three kinds of quotes.
    fn quoted(&mut self) -> Result<String, NotationError> {
        let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) else {
            return self.expected("a quote");
        };
        let mut text = String::new();
        let mut characters = self.rest.chars();
        characters.next();
        while let Some(character) = characters.next() {
            match character {
                _ if character == quote => {
                    self.rest = characters.as_str();
                    return Ok(text);
                }
                '\\' if quote != '`' => match characters.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some(character @ ('\\' | '"' | '\'')) => text.push(character),
                    _ => return self.expected("a known escape"),
                },
                _ => text.push(character),
            }
        }
        self.expected("the end of a quoted text")
    }

    fn metric(&mut self) -> Result<Labels, NotationError> {
        self.spaces();
        let mut pairs = Vec::new();
        let name = self.take_while(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | ':'));
        if !name.is_empty() {
            pairs.push((METRIC_NAME.to_owned(), name.to_owned()));
        }
        let before = self.rest;
        self.spaces();
        if self.rest.starts_with('{') && !self.rest.starts_with("{{") {
            self.need("{")?;
            self.labels(&mut pairs)?;
        } else {
            self.rest = before;
            if pairs.is_empty() {
                return self.expected("a series");
            }
        }
        Ok(Labels::from_pairs(pairs))
    }

    fn labels(&mut self, pairs: &mut Vec<(String, String)>) -> Result<(), NotationError> {
        loop {
            self.spaces();
            if self.eat("}") {
                return Ok(());
            }
            let is_quoted = self.rest.starts_with(['"', '\'', '`']);
            let name = if is_quoted {
                self.quoted()?
            } else {
                self.take_while(|character| character.is_ascii_alphanumeric() || character == '_').to_owned()
            };
            self.spaces();
            if self.eat("=") {
                self.spaces();
                pairs.push((name, self.quoted()?));
            } else if is_quoted {
                pairs.push((METRIC_NAME.to_owned(), name));
            } else {
                return self.expected("\"=\"");
            }
            self.spaces();
            if !self.eat(",") {
                return self.need("}");
            }
        }
    }

    fn values(&mut self) -> Result<Vec<WrittenValue>, NotationError> {
        let mut values = Vec::new();
        loop {
            self.spaces();
            if self.rest.is_empty() {
                return Ok(values);
            }
            if self.eat("_") {
                let times = if self.eat("x") { self.times()? } else { 1 };
                values.resize(values.len() + times, WrittenValue { value: None, says_hint: false });
            } else if self.rest.starts_with("{{") {
                self.histograms(&mut values)?;
            } else {
                self.floats(&mut values)?;
            }
            if values.len() > VALUES_MAX {
                return Err(NotationError(format!("the values are more than the limit of {VALUES_MAX}")));
            }
            if !self.rest.is_empty() && !self.rest.starts_with(char::is_whitespace) {
                return self.expected("a space");
            }
        }
    }

    fn floats(&mut self, values: &mut Vec<WrittenValue>) -> Result<(), NotationError> {
        let mut value = if self.eat("stale") { stale_marker() } else { self.signed_number()? };
        let step = if self.rest.starts_with(['+', '-']) { Some(self.signed_number()?) } else { None };
        let times = if self.eat("x") { self.times()? } else { 0 };
        for _ in 0..=times {
            values.push(WrittenValue { value: Some(SampleValue::Float(value)), says_hint: false });
            // A marker stays one only when nothing is added.
            value = step.map_or(value, |step| value + step);
        }
        Ok(())
    }

    fn histograms(&mut self, values: &mut Vec<WrittenValue>) -> Result<(), NotationError> {
        let (mut current, mut says_hint) = self.histogram()?;
        let adds = if self.eat("+") {
            Some(true)
        } else if self.eat("-") {
            Some(false)
        } else {
            None
        };
        let mut step = None;
        if let Some(adds) = adds {
            let (histogram, says) = self.histogram()?;
            says_hint = says;
            step = Some((adds, histogram));
        }
        let times = if self.eat("x") { self.times()? } else { 0 };
        for turn in 0..=times {
            if let (Some((adds, step)), true) = (&step, turn > 0) {
                if current.schema > step.schema {
                    let (own, other) = (current.schema, step.schema);
                    return Err(NotationError(format!("cannot combine schema {own} with {other}")));
                }
                let combined = if *adds { current.add(step) } else { current.subtract(step) };
                combined.map_err(|error| NotationError(error.to_string()))?;
            }
            values.push(WrittenValue { value: Some(SampleValue::Histogram(Arc::new(current.clone()))), says_hint });
        }
        Ok(())
    }

    /// Reads a histogram; tells whether it says its reset hint.
    fn histogram(&mut self) -> Result<(Histogram, bool), NotationError> {
        self.need("{{")?;
        let mut histogram = Histogram::empty(0);
        let (mut offset, mut n_offset, mut says_hint) = (0, 0, false);
        loop {
            self.spaces();
            if self.eat("}}") {
                break;
            }
            let key = self.take_while(|character| character.is_ascii_lowercase() || character == '_').to_owned();
            self.need(":")?;
            match key.as_str() {
                "schema" => histogram.schema = self.integer()?,
                "offset" => offset = self.integer()?,
                "n_offset" => n_offset = self.integer()?,
                "sum" => histogram.sum = self.signed_number()?,
                "count" => histogram.count = self.signed_number()?,
                "z_bucket" => histogram.zero_count = self.signed_number()?,
                "z_bucket_w" => histogram.zero_threshold = self.signed_number()?,
                "buckets" => histogram.positive_buckets = self.list()?,
                "n_buckets" => histogram.negative_buckets = self.list()?,
                "custom_values" => histogram.custom_values = self.list()?,
                "counter_reset_hint" => {
                    says_hint = true;
                    histogram.reset_hint = self.reset_hint()?;
                }
                _ => return Err(NotationError(format!("a histogram has no field {key:?}"))),
            }
        }
        let span = |offset: i32, buckets: &[f64]| -> Vec<Span> {
            let length = u32::try_from(buckets.len()).unwrap_or_default();
            if length == 0 { Vec::new() } else { vec![Span { offset, length }] }
        };
        histogram.positive_spans = span(offset, &histogram.positive_buckets);
        histogram.negative_spans = span(n_offset, &histogram.negative_buckets);
        Ok((histogram, says_hint))
    }

    fn reset_hint(&mut self) -> Result<ResetHint, NotationError> {
        match self.take_while(|character| character.is_ascii_lowercase() || character == '_') {
            "unknown" => Ok(ResetHint::Unknown),
            "reset" => Ok(ResetHint::CounterReset),
            "not_reset" => Ok(ResetHint::NotCounterReset),
            "gauge" => Ok(ResetHint::Gauge),
            other => Err(NotationError(format!("there is no reset hint {other:?}"))),
        }
    }

    fn integer(&mut self) -> Result<i32, NotationError> {
        let sign = if self.eat("-") { -1 } else { 1 };
        let digits = self.take_while(|character| character.is_ascii_digit());
        digits.parse::<i32>().map(|number| sign * number).or_else(|_| self.expected("a whole number"))
    }

    fn list(&mut self) -> Result<Vec<f64>, NotationError> {
        self.need("[")?;
        let mut numbers = Vec::new();
        loop {
            self.spaces();
            if self.eat("]") {
                return Ok(numbers);
            }
            numbers.push(self.signed_number()?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(text: &str) -> Vec<Option<f64>> {
        let (_, values) = parse_series(text).unwrap();
        let float = |value: &Option<SampleValue>| match value {
            None => None,
            Some(SampleValue::Float(value)) => Some(*value),
            Some(SampleValue::Histogram(_)) => panic!("{text:?} has a histogram"),
        };
        values.iter().map(float).collect()
    }

    #[test]
    fn values_expand() {
        assert_eq!(floats("m 1 2.5 -3 1e3 .5"), [1.0, 2.5, -3.0, 1000.0, 0.5].map(Some));
        let some = Some;
        assert_eq!(
            floats("m 1x2 _ _x2 2+3x2 5-1x1"),
            [some(1.0), some(1.0), some(1.0), None, None, None, some(2.0), some(5.0), some(8.0), some(5.0), some(4.0)]
        );
        assert_eq!(floats("m Inf -Inf inf"), [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY].map(Some));
        assert!(floats("m stale")[0].is_some_and(maru_prom::is_stale_marker));
        assert!(parse_series("m 1 2y").is_err());
        assert!(parse_series("m 1x99999999").unwrap_err().to_string().contains("limit"));
        assert!(parse_series("m 1x1000000 1x1000000").unwrap_err().to_string().contains("limit"));
    }

    #[test]
    fn series_have_names_and_labels() {
        let labels = |text: &str| parse_series(text).unwrap().0;
        assert_eq!(labels("m{a=\"b\", c='d'} 1"), Labels::from_pairs([("__name__", "m"), ("a", "b"), ("c", "d")]));
        assert_eq!(labels("{\"a.b\", \"x y\"=`z`} 1"), Labels::from_pairs([("__name__", "a.b"), ("x y", "z")]));
        assert_eq!(labels("{} 1"), Labels::empty());
        assert_eq!(labels("m {{}}"), Labels::from_pairs([("__name__", "m")]));
        assert_eq!(parse_metric("m{a=\"b\"}@st 1").unwrap().1, "@st 1");
        assert!(parse_series("m{a=\"b} 1").unwrap_err().to_string().contains("end of a quoted text"));
    }

    #[test]
    fn histograms_add_up() {
        let text = "m {{schema:1 count:2 sum:3 z_bucket:1 offset:-2 buckets:[1 0 1]}}+{{schema:1 count:1 offset:-2 buckets:[1]}}x1";
        let (_, values) = parse_series(text).unwrap();
        let [_, Some(SampleValue::Histogram(last))] = values.as_slice() else { panic!("{values:?}") };
        assert_eq!(last.to_notation(), "{{schema:1 count:3 sum:3 z_bucket:1 offset:-2 buckets:[2 0 1]}}");
        assert!(parse_value("{{schema:1 colour:2}}").is_err());
        assert_eq!(parse_value("1.5"), Ok(SampleValue::Float(1.5)));
    }
}
