//! One line of a script: a series and its values.

use std::sync::Arc;

use maru_prom::{Histogram, Labels, METRIC_NAME, ResetHint, Span, stale_marker};

use super::script::Point;

/// One value of a line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Value {
    pub(crate) point: Point,
    /// The histogram's notation says what its reset hint is.
    pub(crate) says_hint: bool,
}

/// When the counters behind a series' samples started.
pub(crate) type Starts = (Labels, Vec<Option<i64>>);

/// Reads text from the front.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn need(&mut self, text: &str) -> Result<(), String> {
        if self.eat(text) { Ok(()) } else { Err(format!("expected {text:?} before {:?}", self.rest)) }
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let (taken, rest) = self.rest.split_at(self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Reads a number without sign: decimal, `Inf` or `NaN`.
    fn number(&mut self) -> Result<f64, String> {
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
        let mut end = 0;
        let bytes = self.rest.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        end = digits(end);
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
        let value = text.parse().map_err(|_| format!("expected a number before {:?}", self.rest))?;
        self.rest = rest;
        Ok(value)
    }

    fn signed_number(&mut self) -> Result<f64, String> {
        if self.eat("-") {
            return Ok(-self.number()?);
        }
        let _ = self.eat("+");
        self.number()
    }

    fn times(&mut self) -> Result<usize, String> {
        let digits = self.take_while(|c| c.is_ascii_digit());
        digits.parse().map_err(|_| format!("expected a number of repetitions before {:?}", self.rest))
    }

    /// Reads a text in any of the three kinds of quotes.
    fn quoted(&mut self) -> Result<String, String> {
        let quote = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')).ok_or("expected a quote")?;
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                _ if c == quote => {
                    self.rest = self.rest.split_at(at + 1).1;
                    return Ok(text);
                }
                '\\' if quote != '`' => match chars.next().map(|(_, c)| c) {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some(c @ ('\\' | '"' | '\'')) => text.push(c),
                    other => return Err(format!("escape {other:?} is not supported here")),
                },
                _ => text.push(c),
            }
        }
        Err(format!("the text {:?} has no end", self.rest))
    }
}

/// Reads `metric{label="value"} 1 2+3x4 _ stale {{…}}`.
pub(crate) fn series(line: &str) -> Result<(Labels, Vec<Value>), String> {
    let mut cursor = Cursor { rest: line };
    let labels = metric(&mut cursor)?;
    let values = values(&mut cursor)?;
    Ok((labels, values))
}

/// Reads `metric{label="value"}@st -30s-1mx2 _`: when counters started, in milliseconds after the sample's time.
pub(crate) fn starts(line: &str) -> Option<Result<Starts, String>> {
    let mut cursor = Cursor { rest: line };
    let labels = metric(&mut cursor).ok()?;
    if !cursor.eat("@st") {
        return None;
    }
    let mut starts = Vec::new();
    for item in cursor.rest.split_whitespace() {
        match start_item(item) {
            Ok(more) => starts.extend(more),
            Err(reason) => return Some(Err(format!("start timestamps {item:?}: {reason}"))),
        }
    }
    Some(Ok((labels, starts)))
}

fn start_item(item: &str) -> Result<Vec<Option<i64>>, String> {
    let mut cursor = Cursor { rest: item };
    if cursor.eat("_") {
        let times = if cursor.eat("x") { cursor.times()? } else { 1 };
        return Ok(vec![None; times]);
    }
    let duration = |cursor: &mut Cursor<'_>| -> Result<i64, String> {
        let sign = if cursor.eat("-") { -1 } else { 1 };
        let _ = sign == 1 && cursor.eat("+");
        let text = cursor.take_while(|c| c.is_ascii_alphanumeric() && c != 'x');
        Ok(sign * super::script::duration(text)?)
    };
    let mut start = duration(&mut cursor)?;
    let mut step = 0;
    if cursor.rest.starts_with(['+', '-']) {
        step = duration(&mut cursor)?;
    }
    let times = if cursor.eat("x") { cursor.times()? } else { 0 };
    let mut starts = Vec::new();
    for _ in 0..=times {
        starts.push(Some(start));
        start += step;
    }
    Ok(starts)
}

fn metric(cursor: &mut Cursor<'_>) -> Result<Labels, String> {
    let mut pairs = Vec::new();
    let name = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    if !name.is_empty() {
        pairs.push((METRIC_NAME.to_owned(), name.to_owned()));
    }
    cursor_labels(cursor, &mut pairs)?;
    Ok(Labels::from_pairs(pairs))
}

fn cursor_labels(cursor: &mut Cursor<'_>, pairs: &mut Vec<(String, String)>) -> Result<(), String> {
    let before = cursor.rest;
    cursor.spaces();
    if !cursor.rest.starts_with('{') || cursor.rest.starts_with("{{") {
        cursor.rest = before;
        return if pairs.is_empty() { Err(format!("expected a series before {before:?}")) } else { Ok(()) };
    }
    cursor.need("{")?;
    loop {
        cursor.spaces();
        if cursor.eat("}") {
            return Ok(());
        }
        let quoted = cursor.rest.starts_with(['"', '\'', '`']);
        let name = if quoted {
            cursor.quoted()?
        } else {
            cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '_').to_owned()
        };
        cursor.spaces();
        if cursor.eat("=") {
            cursor.spaces();
            pairs.push((name, cursor.quoted()?));
        } else if quoted {
            pairs.push((METRIC_NAME.to_owned(), name));
        } else {
            return Err(format!("expected \"=\" before {:?}", cursor.rest));
        }
        cursor.spaces();
        if !cursor.eat(",") {
            cursor.need("}")?;
            return Ok(());
        }
    }
}

fn values(cursor: &mut Cursor<'_>) -> Result<Vec<Value>, String> {
    let mut values = Vec::new();
    loop {
        cursor.spaces();
        if cursor.rest.is_empty() {
            return Ok(values);
        }
        if cursor.eat("_") {
            let times = if cursor.eat("x") { cursor.times()? } else { 1 };
            values.extend((0..times).map(|_| Value { point: Point::None, says_hint: false }));
        } else if cursor.rest.starts_with("{{") {
            histogram_item(cursor, &mut values)?;
        } else {
            float_item(cursor, &mut values)?;
        }
        if !cursor.rest.is_empty() && !cursor.rest.starts_with(char::is_whitespace) {
            return Err(format!("expected a space before {:?}", cursor.rest));
        }
    }
}

fn float_item(cursor: &mut Cursor<'_>, values: &mut Vec<Value>) -> Result<(), String> {
    let mut value = if cursor.eat("stale") { stale_marker() } else { cursor.signed_number()? };
    let step = if cursor.rest.starts_with(['+', '-']) { cursor.signed_number()? } else { 0.0 };
    let has_step = step != 0.0 || step.is_sign_negative();
    let times = if cursor.eat("x") { cursor.times()? } else { 0 };
    for _ in 0..=times {
        values.push(Value { point: Point::Float(value), says_hint: false });
        // A marker stays one only when nothing is added.
        if has_step {
            value += step;
        }
    }
    Ok(())
}

fn histogram_item(cursor: &mut Cursor<'_>, values: &mut Vec<Value>) -> Result<(), String> {
    let (first, mut says_hint) = histogram(cursor)?;
    let sign = if cursor.eat("+") {
        Some(true)
    } else if cursor.eat("-") {
        Some(false)
    } else {
        None
    };
    let mut step = None;
    if let Some(adds) = sign {
        let (histogram, says) = histogram(cursor)?;
        says_hint = says;
        step = Some((adds, histogram));
    }
    let times = if cursor.eat("x") { cursor.times()? } else { 0 };
    let mut current = first;
    for turn in 0..=times {
        if let (Some((adds, step)), true) = (&step, turn > 0) {
            if current.schema > step.schema {
                return Err(format!("cannot combine schema {} with {}", current.schema, step.schema));
            }
            let combined = if *adds { current.add(step) } else { current.subtract(step) };
            combined.map_err(|error| error.to_string())?;
        }
        values.push(Value { point: Point::Histogram(Arc::new(current.clone())), says_hint });
    }
    Ok(())
}

fn histogram(cursor: &mut Cursor<'_>) -> Result<(Histogram, bool), String> {
    cursor.need("{{")?;
    let mut histogram = Histogram::empty(0);
    let (mut offset, mut n_offset, mut says_hint) = (0, 0, false);
    loop {
        cursor.spaces();
        if cursor.eat("}}") {
            break;
        }
        let key = cursor.take_while(|c| c.is_ascii_lowercase() || c == '_').to_owned();
        cursor.need(":")?;
        match key.as_str() {
            "schema" => histogram.schema = integer(cursor)?,
            "offset" => offset = integer(cursor)?,
            "n_offset" => n_offset = integer(cursor)?,
            "sum" => histogram.sum = cursor.signed_number()?,
            "count" => histogram.count = cursor.signed_number()?,
            "z_bucket" => histogram.zero_count = cursor.signed_number()?,
            "z_bucket_w" => histogram.zero_threshold = cursor.signed_number()?,
            "buckets" => histogram.positive_buckets = list(cursor)?,
            "n_buckets" => histogram.negative_buckets = list(cursor)?,
            "custom_values" => histogram.custom_values = list(cursor)?,
            "counter_reset_hint" => {
                says_hint = true;
                histogram.reset_hint = match cursor.take_while(|c| c.is_ascii_lowercase() || c == '_') {
                    "unknown" => ResetHint::Unknown,
                    "reset" => ResetHint::CounterReset,
                    "not_reset" => ResetHint::NotCounterReset,
                    "gauge" => ResetHint::Gauge,
                    other => return Err(format!("reset hint {other:?} is not known")),
                };
            }
            other => return Err(format!("histogram field {other:?} is not known")),
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

fn integer(cursor: &mut Cursor<'_>) -> Result<i32, String> {
    let sign = if cursor.eat("-") { -1 } else { 1 };
    let digits = cursor.take_while(|c| c.is_ascii_digit());
    digits
        .parse::<i32>()
        .map(|number| sign * number)
        .map_err(|_| format!("expected an integer before {:?}", cursor.rest))
}

fn list(cursor: &mut Cursor<'_>) -> Result<Vec<f64>, String> {
    cursor.need("[")?;
    let mut numbers = Vec::new();
    loop {
        cursor.spaces();
        if cursor.eat("]") {
            return Ok(numbers);
        }
        numbers.push(cursor.signed_number()?);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(line: &str) -> Vec<Option<f64>> {
        let (_, values) = series(line).unwrap();
        let float = |value: &Value| match &value.point {
            Point::None => None,
            Point::Float(value) => Some(*value),
            Point::Histogram(_) => panic!("{line:?} has a histogram"),
        };
        values.iter().map(float).collect()
    }

    #[test]
    fn values_expand() {
        assert_eq!(floats("m 1 2.5 -3 1e3 .5"), [1.0, 2.5, -3.0, 1000.0, 0.5].map(Some));
        assert_eq!(
            floats("m 1x2 _ _x2 2+3x2 5-1x1"),
            [Some(1.0), Some(1.0), Some(1.0), None, None, None, Some(2.0), Some(5.0), Some(8.0), Some(5.0), Some(4.0)]
        );
        assert_eq!(floats("m Inf -Inf inf"), [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY].map(Some));
        assert!(floats("m stale")[0].is_some_and(maru_prom::is_stale_marker));
        assert!(series("m 1 2y").is_err());
    }

    #[test]
    fn series_have_names_and_labels() {
        let labels = |line: &str| series(line).unwrap().0;
        assert_eq!(labels("m{a=\"b\", c='d'} 1"), Labels::from_pairs([("__name__", "m"), ("a", "b"), ("c", "d")]));
        assert_eq!(labels("{\"a.b\", \"x y\"=`z`} 1"), Labels::from_pairs([("__name__", "a.b"), ("x y", "z")]));
        assert_eq!(labels("{} 1"), Labels::empty());
        assert_eq!(labels("m {{}}"), Labels::from_pairs([("__name__", "m")]));
    }

    #[test]
    fn histograms_add_up() {
        let line = "m {{schema:1 count:2 sum:3 z_bucket:1 offset:-2 buckets:[1 0 1]}}+{{schema:1 count:1 offset:-2 buckets:[1]}}x1";
        let (_, values) = series(line).unwrap();
        let [_, Value { point: Point::Histogram(last), says_hint: false }] = values.as_slice() else {
            panic!("{values:?}")
        };
        assert_eq!((last.count, last.sum, last.positive_buckets.as_slice()), (3.0, 3.0, [2.0, 0.0, 1.0].as_slice()));
        assert_eq!(last.to_notation(), "{{schema:1 count:3 sum:3 z_bucket:1 offset:-2 buckets:[2 0 1]}}");
    }

    #[test]
    fn starts_expand() {
        let (_, values) = starts("m{a=\"b\"}@st _ -30s-1mx1 1ms").unwrap().unwrap();
        assert_eq!(values, [None, Some(-30_000), Some(-90_000), Some(1)]);
        assert!(starts("m 1 2").is_none());
    }
}
