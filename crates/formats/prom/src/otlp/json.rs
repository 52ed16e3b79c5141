//! How OTLP/JSON writes numbers and bytes.

use serde::de::{self, Deserializer, Visitor};
use std::fmt;

/// A number or a text that is one.
struct NumberVisitor<T>(std::marker::PhantomData<T>);

/// What a JSON number or text can become.
trait FromJsonNumber: Sized {
    fn of_unsigned(number: u64) -> Option<Self>;
    fn of_signed(number: i64) -> Option<Self>;
    fn of_float(number: f64) -> Option<Self>;
    fn of_text(text: &str) -> Option<Self>;
}

impl FromJsonNumber for u64 {
    fn of_unsigned(number: u64) -> Option<Self> {
        Some(number)
    }
    fn of_signed(number: i64) -> Option<Self> {
        number.try_into().ok()
    }
    fn of_float(_: f64) -> Option<Self> {
        None
    }
    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl FromJsonNumber for i64 {
    fn of_unsigned(number: u64) -> Option<Self> {
        number.try_into().ok()
    }
    fn of_signed(number: i64) -> Option<Self> {
        Some(number)
    }
    fn of_float(_: f64) -> Option<Self> {
        None
    }
    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl FromJsonNumber for f64 {
    fn of_unsigned(number: u64) -> Option<Self> {
        Some(crate::native::to_f64(number))
    }
    #[expect(clippy::cast_precision_loss, reason = "JSON's own numbers are doubles")]
    fn of_signed(number: i64) -> Option<Self> {
        Some(number as f64)
    }
    fn of_float(number: f64) -> Option<Self> {
        Some(number)
    }
    fn of_text(text: &str) -> Option<Self> {
        match text {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            other => other.parse().ok(),
        }
    }
}

impl<T: FromJsonNumber> Visitor<'_> for NumberVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number, or a text that is one")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        T::of_unsigned(number).ok_or_else(|| E::custom(format!("the number {number} is out of range")))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        T::of_signed(number).ok_or_else(|| E::custom(format!("the number {number} is out of range")))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        T::of_float(number).ok_or_else(|| E::custom(format!("the number {number} is not whole")))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::of_text(text).ok_or_else(|| E::custom(format!("the text {text:?} is no such number")))
    }
}

fn number<'de, T: FromJsonNumber, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(NumberVisitor(std::marker::PhantomData))
}

/// A number in a list.
struct Wrapped<T>(T);

impl<'de, T: FromJsonNumber> de::Deserialize<'de> for Wrapped<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        number(deserializer).map(Self)
    }
}

fn optional<'de, T: FromJsonNumber, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    let wrapped: Option<Wrapped<T>> = de::Deserialize::deserialize(deserializer)?;
    Ok(wrapped.map(|wrapped| wrapped.0))
}

fn list<'de, T: FromJsonNumber, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let wrapped: Vec<Wrapped<T>> = de::Deserialize::deserialize(deserializer)?;
    Ok(wrapped.into_iter().map(|wrapped| wrapped.0).collect())
}

pub(super) fn unsigned<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    number(deserializer)
}

pub(super) fn double<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    number(deserializer)
}

pub(super) fn optional_signed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    optional(deserializer)
}

pub(super) fn optional_double<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    optional(deserializer)
}

pub(super) fn unsigned_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    list(deserializer)
}

pub(super) fn double_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    list(deserializer)
}

/// Reads hexadecimal digits, in which OTLP/JSON writes the ids of traces and spans.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text: std::borrow::Cow<'de, str> = de::Deserialize::deserialize(deserializer)?;
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    bytes.collect::<Option<Vec<u8>>>().ok_or_else(|| de::Error::custom(format!("the id {text:?} is not hexadecimal")))
}

/// Keeps base64 as it is: such values become texts in base64 again.
pub(super) fn optional_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let text: Option<String> = de::Deserialize::deserialize(deserializer)?;
    text.map(|text| decode_base64(&text).ok_or_else(|| de::Error::custom("a bytes value is not base64"))).transpose()
}

/// Reads a temporality by its number or name.
pub(super) fn temporality<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    let value: serde_json::Value = de::Deserialize::deserialize(deserializer)?;
    let number = match &value {
        serde_json::Value::Number(number) => number.as_i64().and_then(|number| i32::try_from(number).ok()),
        serde_json::Value::String(name) => match name.as_str() {
            "AGGREGATION_TEMPORALITY_UNSPECIFIED" => Some(0),
            "AGGREGATION_TEMPORALITY_DELTA" => Some(1),
            "AGGREGATION_TEMPORALITY_CUMULATIVE" => Some(2),
            _ => None,
        },
        _ => None,
    };
    number.ok_or_else(|| de::Error::custom(format!("the aggregation temporality {value} is none")))
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        // Both alphabets are in use.
        let byte = match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        };
        let digit = BASE64.iter().position(|known| *known == byte)?;
        bits = bits << 6 | u32::try_from(digit).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

pub(super) fn encode_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let digit = BASE64[(bits >> (18 - 6 * index) & 0x3f) as usize];
            text.push(if index <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
