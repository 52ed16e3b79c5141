//! JSON straight into bytes: nothing is built in between.
//!
//! Source: Prometheus 3 documentation, "HTTP API", expression query result formats.

use maru_prom::Labels;

/// An object or array being written. It closes with [`Json::end`].
#[derive(Debug)]
pub(crate) struct Json<'a> {
    out: &'a mut Vec<u8>,
    close: u8,
    is_first: bool,
}

impl<'a> Json<'a> {
    /// Begins an object.
    pub(crate) fn object(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, close: b'}', is_first: true }
    }

    /// Begins an array.
    pub(crate) fn array(out: &'a mut Vec<u8>) -> Self {
        out.push(b'[');
        Self { out, close: b']', is_first: true }
    }

    /// Ends it.
    pub(crate) fn end(self) {
        self.out.push(self.close);
    }

    /// Begins an element of an array and returns where to write it.
    pub(crate) fn element(&mut self) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(b',');
        }
        self.out
    }

    /// Begins a field of an object and returns where to write its value.
    pub(crate) fn field(&mut self, name: &str) -> &mut Vec<u8> {
        let out = self.element();
        write_text(out, name);
        out.push(b':');
        out
    }

    /// Writes a field that is a text.
    pub(crate) fn text(&mut self, name: &str, value: &str) {
        write_text(self.field(name), value);
    }

    /// Writes a field that is a whole number.
    pub(crate) fn number(&mut self, name: &str, value: impl Into<i128>) {
        let value: i128 = value.into();
        self.field(name).extend_from_slice(value.to_string().as_bytes());
    }
}

/// Writes a text in quotes.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (index, byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..=0x1f => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[from..index]);
        if short == 0 {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
        from = index + 1;
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

/// Writes a label set as an object.
pub(crate) fn write_labels(out: &mut Vec<u8>, labels: &Labels) {
    let mut object = Json::object(out);
    for (name, value) in labels.iter() {
        object.text(name, value);
    }
    object.end();
}

/// Writes milliseconds as seconds with three decimals, or none when they are whole.
pub(crate) fn write_millis(out: &mut Vec<u8>, millis: i64) {
    if millis < 0 {
        out.push(b'-');
    }
    let millis = millis.unsigned_abs();
    write_digits(out, millis / 1000);
    let rest = millis % 1000;
    if rest > 0 {
        let digit = |divisor: u64| b'0' + u8::try_from(rest / divisor % 10).unwrap_or(0);
        out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
    }
}

/// Writes the digits of a number.
fn write_digits(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Whole numbers below this are exact.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Writes the shortest text that reads back as the same number, without quotes: as Go writes it, with an exponent below 1e-6 and from 1e21.
pub(crate) fn write_float(out: &mut Vec<u8>, value: f64) {
    use std::io::Write as _;

    if !value.is_finite() {
        let text = if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        };
        return out.extend_from_slice(text.as_bytes());
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let size = value.abs();
    if size < WHOLE_MAX && size.fract() == 0.0 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, positive and below 2^53")]
        return write_digits(out, size as u64);
    }
    if (1e-6..1e21).contains(&size) {
        return write!(out, "{size}").expect("writing into memory does not fail");
    }
    // Go's exponent has a sign and at least two digits.
    let text = format!("{size:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    write!(out, "{digits}e{sign}{exponent:0>2}").expect("writing into memory does not fail");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn float(value: f64) -> String {
        let mut out = Vec::new();
        write_float(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn floats_look_as_in_go() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-12.5, "-12.5"),
            (0.1, "0.1"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e300, "1.5e+300"),
            (1e-6, "0.000001"),
            (9.99e-7, "9.99e-07"),
            (5e-324, "5e-324"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn moments_have_three_decimals_or_none() {
        for (millis, text) in
            [(0, "0"), (1_435_781_451_781, "1435781451.781"), (1500, "1.500"), (-10, "-0.010"), (-2000, "-2")]
        {
            let mut out = Vec::new();
            write_millis(&mut out, millis);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    proptest! {
        #[test]
        fn floats_read_back_as_the_same_bits(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            prop_assert_eq!(float(value).parse::<f64>().unwrap().to_bits(), value.to_bits());
        }

        #[test]
        fn texts_read_back_the_same(text in "\\PC*|[\\x00-\\x7f]*") {
            let mut out = Vec::new();
            write_text(&mut out, &text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
