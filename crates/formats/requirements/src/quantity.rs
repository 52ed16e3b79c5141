//! Numbers with units, held exactly: spans of time, rates, ratios, money, amounts.
//!
//! Every quantity has one canonical text, so that `0.1s` and `100ms` give one fingerprint.
//! Long because the five quantities share one reader of numbers and are best read beside each other.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no quantity, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no {what}: {why}; {fix}")]
pub struct QuantityError {
    /// What was written.
    pub text: String,
    /// Which quantity was asked for.
    pub what: &'static str,
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub fix: &'static str,
}

impl QuantityError {
    /// Tells whether nothing but the unit is missing.
    #[must_use]
    pub fn is_without_unit(&self) -> bool {
        self.why == NO_UNIT || self.why == NO_CURRENCY
    }
}

const NO_UNIT: &str = "it has no unit";
const NO_CURRENCY: &str = "it has no currency";

const TEXT_BYTES_MAX: usize = 64;
pub(crate) const NANO: u128 = 1_000_000_000;

/// Reads `digits[.digits]` at the start: the number in billionths, and what follows.
pub(crate) fn number(text: &str) -> Result<(u128, &str), String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("it is longer than {TEXT_BYTES_MAX} bytes"));
    }
    let end =
        text.find(|letter: char| !letter.is_ascii_digit() && letter != '.' && letter != ',').unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let digits = digits.replace(',', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    if whole.is_empty() || fraction.contains('.') {
        return Err("it does not begin with a number".to_owned());
    }
    if fraction.len() > 9 {
        return Err("it has more than nine digits after the point".to_owned());
    }
    let too_large = |_| "its number is too large".to_owned();
    let whole: u64 = whole.parse().map_err(too_large)?;
    let fraction: u64 = format!("{fraction:0<9}").parse().map_err(too_large)?;
    Ok((u128::from(whole) * NANO + u128::from(fraction), rest))
}

/// Writes billionths as a decimal number without needless zeros.
fn decimal(nano: u128) -> String {
    let (whole, fraction) = (nano / NANO, nano % NANO);
    if fraction == 0 {
        return whole.to_string();
    }
    format!("{whole}.{fraction:09}").trim_end_matches('0').to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "for comparing with measured values, which are not exact either")]
fn approximate(nano: u128) -> f64 {
    nano as f64 / 1e9
}

/// A length of time: `100ms`, `1d`, `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    nanos: u64,
}

const SPAN_UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl Span {
    /// Returns a span of whole nanoseconds.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self { nanos }
    }

    /// Returns a span of whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self { nanos: millis.saturating_mul(1_000_000) }
    }

    /// Returns a span of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self { nanos: seconds.saturating_mul(1_000_000_000) }
    }

    /// Returns the length in nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.nanos
    }

    /// Returns the length in seconds, rounded to the nearest number that a float can hold.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        approximate(u128::from(self.nanos))
    }

    /// Returns the length as the standard library's type.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.nanos)
    }
}

impl FromStr for Span {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let error = |why: String| QuantityError {
            text: shorten(text),
            what: "length of time",
            why,
            fix: "write a number with a unit, like \"100ms\", \"30s\", \"5m\", \"1h30m\", \"1d\" or \"4w\"",
        };
        let mut rest = text.trim();
        let mut total: u128 = 0;
        loop {
            let (nano, after) = number(rest).map_err(error)?;
            let after = after.trim_start();
            let end = after.find(|letter: char| letter.is_ascii_digit() || letter == ' ').unwrap_or(after.len());
            let (unit, next) = after.split_at(end);
            let scale = match unit {
                "" => return Err(error(NO_UNIT.to_owned())),
                "w" => 7 * 86_400_000_000_000,
                "µs" | "μs" => 1_000,
                "min" => 60_000_000_000,
                _ => SPAN_UNITS
                    .iter()
                    .find(|(name, _)| *name == unit)
                    .map(|(_, scale)| *scale)
                    .ok_or_else(|| error(format!("\"{}\" is no unit of time", shorten(unit))))?,
            };
            let product = nano * u128::from(scale);
            if product % NANO != 0 {
                return Err(error("it is finer than a nanosecond".to_owned()));
            }
            total += product / NANO;
            rest = next.trim_start();
            if rest.is_empty() {
                break;
            }
        }
        let nanos = u64::try_from(total).map_err(|_| error("it is longer than 584 years".to_owned()))?;
        Ok(Self { nanos })
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return formatter.write_str("0s");
        }
        let mut rest = self.nanos;
        for (unit, scale) in SPAN_UNITS {
            if rest >= scale {
                write!(formatter, "{}{unit}", rest / scale)?;
                rest %= scale;
            }
        }
        Ok(())
    }
}

/// How often something happens: `50/s`, `3000/min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    /// Billionths of an event a day: every rate that can be written is a whole number of them.
    nano_per_day: u128,
}

const RATE_UNITS: [(&str, u128); 4] = [("s", 86_400), ("min", 1_440), ("h", 24), ("d", 1)];

impl Rate {
    /// Returns a rate of whole events a second.
    #[must_use]
    pub const fn per_second(events: u64) -> Self {
        Self { nano_per_day: events as u128 * NANO * 86_400 }
    }

    /// Returns events a second.
    #[must_use]
    pub fn as_per_second(self) -> f64 {
        approximate(self.nano_per_day) / 86_400.0
    }

    /// Returns billionths of an event a day.
    #[must_use]
    pub const fn as_nano_per_day(self) -> u128 {
        self.nano_per_day
    }

    /// Returns millionths of an event a second, rounded down: right for what a service can do.
    #[must_use]
    pub fn as_micro_per_second(self) -> u64 {
        u64::try_from(self.nano_per_day / 86_400_000).unwrap_or(u64::MAX)
    }

    /// Returns millionths of an event a second, rounded up: right for what is asked of a service.
    #[must_use]
    pub fn as_micro_per_second_ceil(self) -> u64 {
        u64::try_from(self.nano_per_day.div_ceil(86_400_000)).unwrap_or(u64::MAX)
    }
}

impl FromStr for Rate {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let error = |why: String| QuantityError {
            text: shorten(text),
            what: "rate",
            why,
            fix: "write a number by a unit of time, like \"50/s\", \"3000/min\" or \"1000000/d\"",
        };
        let (nano, unit) = number(text.trim()).map_err(error)?;
        let scale = match unit.trim() {
            "/s" | "/sec" | "/second" | "rps" | "tps" | "/초" => 86_400,
            "/min" | "/m" | "/minute" | "/분" => 1_440,
            "/h" | "/hour" | "/시간" => 24,
            "/d" | "/day" | "/일" => 1,
            "" => return Err(error(NO_UNIT.to_owned())),
            other => return Err(error(format!("\"{}\" is no unit of a rate", shorten(other)))),
        };
        Ok(Self { nano_per_day: nano * scale })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = RATE_UNITS.iter().find(|(_, scale)| self.nano_per_day.is_multiple_of(*scale));
        let (unit, scale) = exact.copied().unwrap_or(("d", 1));
        write!(formatter, "{}/{unit}", decimal(self.nano_per_day / scale))
    }
}

/// A share of one, in billionths: `0.999`, `"99.9%"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ratio {
    nano: u64,
}

impl Ratio {
    /// The whole.
    pub const ONE: Self = Self { nano: 1_000_000_000 };

    /// Returns a ratio of billionths; more than one is one.
    #[must_use]
    pub const fn from_nano(nano: u64) -> Self {
        Self { nano: if nano > 1_000_000_000 { 1_000_000_000 } else { nano } }
    }

    /// Returns billionths.
    #[must_use]
    pub const fn as_nano(self) -> u64 {
        self.nano
    }

    /// Returns the ratio as a float.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        approximate(u128::from(self.nano))
    }

    /// Returns what is missing to one.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self { nano: 1_000_000_000 - self.nano }
    }

    /// Returns the ratio in percent: `99.9 %`.
    #[must_use]
    pub fn percent(self) -> String {
        format!("{} %", decimal(u128::from(self.nano) * 100))
    }
}

impl FromStr for Ratio {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let error = |why: String| QuantityError {
            text: shorten(text),
            what: "ratio",
            why,
            fix: "write a share of one, like 0.999, or percent, like \"99.9%\"",
        };
        let (nano, unit) = number(text.trim()).map_err(error)?;
        let nano = match unit.trim() {
            "" => nano,
            "%" if nano % 100 == 0 => nano / 100,
            "%" => return Err(error("it has more than seven digits after the point".to_owned())),
            other => return Err(error(format!("\"{}\" is not \"%\"", shorten(other)))),
        };
        match u64::try_from(nano) {
            Ok(nano) if nano <= 1_000_000_000 => Ok(Self { nano }),
            _ => Err(error("it is more than the whole".to_owned())),
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&decimal(u128::from(self.nano)))
    }
}

/// What an amount of money is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Per {
    /// An hour of running.
    Hour,
    /// A day of running.
    Day,
    /// A month of running.
    Month,
    /// A year of running.
    Year,
    /// One request.
    Request,
    /// One user.
    User,
}

impl Per {
    const NAMES: [(&'static str, Self); 6] = [
        ("hour", Self::Hour),
        ("day", Self::Day),
        ("month", Self::Month),
        ("year", Self::Year),
        ("request", Self::Request),
        ("user", Self::User),
    ];

    /// Returns the name as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, per)| *per == self).map_or("", |(name, _)| name)
    }
}

/// Money in one currency, once or per something: `90000 KRW/month`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    millionths: u64,
    currency: [u8; 3],
    per: Option<Per>,
}

impl Money {
    /// Returns millionths of the currency's unit.
    #[must_use]
    pub const fn millionths(self) -> u64 {
        self.millionths
    }

    /// Returns the currency's three letters (ISO 4217).
    #[must_use]
    pub fn currency(&self) -> &str {
        std::str::from_utf8(&self.currency).unwrap_or_default()
    }

    /// Returns what the money is for.
    #[must_use]
    pub const fn per(self) -> Option<Per> {
        self.per
    }

    /// Returns the amount in units of the currency.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        approximate(u128::from(self.millionths) * 1_000)
    }

    /// Returns the same amount for something else.
    #[must_use]
    pub const fn with_per(self, per: Per) -> Self {
        Self { per: Some(per), ..self }
    }

    /// Tells whether two amounts may be compared: one currency, for the same.
    #[must_use]
    pub fn is_comparable(self, other: Self) -> bool {
        self.currency == other.currency && self.per == other.per
    }
}

impl FromStr for Money {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let error = |why: String| QuantityError {
            text: shorten(text),
            what: "amount of money",
            why,
            fix: "write the number, the currency's three letters and what it is for, like \"90000 KRW/month\"",
        };
        let (nano, unit) = number(text.trim()).map_err(error)?;
        let (currency, per) =
            unit.trim().split_once('/').map_or((unit.trim(), None), |(left, right)| (left, Some(right)));
        let letters: [u8; 3] = match currency.trim() {
            "" => return Err(error(NO_CURRENCY.to_owned())),
            "원" => *b"KRW",
            other => other
                .as_bytes()
                .try_into()
                .ok()
                .filter(|letters: &[u8; 3]| letters.iter().all(u8::is_ascii_uppercase))
                .ok_or_else(|| error(format!("\"{}\" is no currency of ISO 4217", shorten(other))))?,
        };
        let per = match per.map(str::trim) {
            None => None,
            Some(name) => {
                Some(Per::NAMES.iter().find(|(known, _)| *known == name).map(|(_, per)| *per).ok_or_else(|| {
                    error(format!("\"{}\" is none of hour, day, month, year, request, user", shorten(name)))
                })?)
            }
        };
        if nano % 1_000 != 0 {
            return Err(error("it is finer than a millionth".to_owned()));
        }
        let millionths = u64::try_from(nano / 1_000).map_err(|_| error("its number is too large".to_owned()))?;
        Ok(Self { millionths, currency: letters, per })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", decimal(u128::from(self.millionths) * 1_000), self.currency())?;
        self.per.map_or(Ok(()), |per| write!(formatter, "/{}", per.name()))
    }
}

/// A number of something countable, with its unit: `500 GB`, `10000 users`, `120/s`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Amount {
    nano: u128,
    unit: String,
}

impl Amount {
    /// Returns the number in its unit.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        approximate(self.nano)
    }

    /// Returns the unit.
    #[must_use]
    pub fn unit(&self) -> &str {
        &self.unit
    }
}

impl FromStr for Amount {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let error = |why: String| QuantityError {
            text: shorten(text),
            what: "amount",
            why,
            fix: "write a number with a unit, like \"500 GB\", \"10000 users\" or \"120/s\"",
        };
        let (nano, unit) = number(text.trim()).map_err(error)?;
        let unit = unit.trim();
        if unit.is_empty() {
            return Err(error(NO_UNIT.to_owned()));
        }
        if unit.chars().any(|letter| !letter.is_alphanumeric() && !"/%-".contains(letter)) {
            return Err(error(format!("\"{}\" is no unit", shorten(unit))));
        }
        Ok(Self { nano, unit: unit.to_owned() })
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let space = if self.unit.starts_with('/') { "" } else { " " };
        write!(formatter, "{}{space}{}", decimal(self.nano), self.unit)
    }
}

fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    if text.chars().count() <= CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(CHARS_MAX).chain(['…']).collect()
}

/// Reads quantities from text, and says what is missing when a bare number stands there.
struct QuantityVisitor<T> {
    expected: &'static str,
    kind: std::marker::PhantomData<T>,
}

impl<T: FromStr<Err = QuantityError>> Visitor<'_> for QuantityVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<T, E> {
        self.visit_number(&value)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<T, E> {
        self.visit_number(&value)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<T, E> {
        self.visit_number(&value)
    }
}

impl<T: FromStr<Err = QuantityError>> QuantityVisitor<T> {
    fn visit_number<E: de::Error>(self, value: &dyn fmt::Display) -> Result<T, E> {
        // Without a unit the parsers of quantities with units say so.
        value.to_string().parse().map_err(E::custom)
    }
}

macro_rules! quantity_as_text {
    ($type:ty, $expected:literal) => {
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(QuantityVisitor { expected: $expected, kind: std::marker::PhantomData })
            }
        }
    };
    ($type:ty, $expected:literal, written) => {
        quantity_as_text!($type, $expected);
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

quantity_as_text!(Span, "a length of time like \"100ms\"", written);
quantity_as_text!(Rate, "a rate like \"50/s\"", written);
quantity_as_text!(Money, "money like \"90000 KRW/month\"", written);
quantity_as_text!(Amount, "an amount like \"500 GB\"", written);
quantity_as_text!(Ratio, "a ratio like 0.999 or \"99.9%\"");

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_become_canonical() {
        let canonical = |text: &str| text.parse::<Span>().unwrap().to_string();
        for (text, expected) in
            [("0.1s", "100ms"), ("100 ms", "100ms"), ("90m", "1h30m"), ("4w", "28d"), ("1h 30m", "1h30m"), ("0s", "0s")]
        {
            assert_eq!(canonical(text), expected);
        }
        for (text, expected) in
            [("50/s", "50/s"), ("3000/min", "50/s"), ("1 rps", "1/s"), ("100/h", "100/h"), ("0.5/s", "0.5/s")]
        {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), expected);
        }
        for (text, expected) in [("99.9%", "0.999"), ("0.9990", "0.999"), ("100 %", "1"), ("0", "0")] {
            assert_eq!(text.parse::<Ratio>().unwrap().to_string(), expected);
        }
        for (text, expected) in
            [("90,000 KRW/month", "90000 KRW/month"), ("0.5 USD", "0.5 USD"), ("300원/day", "300 KRW/day")]
        {
            assert_eq!(text.parse::<Money>().unwrap().to_string(), expected);
        }
        for (text, expected) in [("500GB", "500 GB"), ("120/s", "120/s"), ("10000 명", "10000 명")] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn errors_say_what_is_wrong_and_what_to_write() {
        let message = "100".parse::<Span>().unwrap_err().to_string();
        assert!(message.starts_with("\"100\" is no length of time: it has no unit; write "), "{message}");
        for bad in ["", "ms", "-1s", "1 parsec", "1.5ns", "99999999999999999999d", "1..2s", "1s x"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        for bad in ["50", "50/fortnight", "/s"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
        for bad in ["99.9", "101%", "1.1", "0.1234567891", "x"] {
            assert!(bad.parse::<Ratio>().is_err(), "{bad}");
        }
        for bad in ["90000", "90000 won", "90000 KRW/fortnight", "1.0000001 KRW"] {
            assert!(bad.parse::<Money>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ratios_are_numbers_and_the_rest_is_text() {
        assert_eq!(serde_json::from_str::<Ratio>("0.999").unwrap(), serde_json::from_str("\"99.9%\"").unwrap());
        assert_eq!(serde_json::to_string(&"99.95%".parse::<Ratio>().unwrap()).unwrap(), "0.9995");
        let error = serde_json::from_str::<Span>("100").unwrap_err().to_string();
        assert!(error.contains("has no unit"), "{error}");
        assert_eq!(serde_json::from_str::<Ratio>("1").unwrap(), Ratio::ONE);
    }

    proptest! {
        #[test]
        fn written_quantities_read_back(nanos in any::<u64>(), events in 0u64..1_000_000_000, share in 0u64..=1_000_000_000) {
            let span = Span::from_nanos(nanos);
            prop_assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
            let rate = Rate::per_second(events);
            prop_assert_eq!(rate.to_string().parse::<Rate>().unwrap(), rate);
            let ratio = Ratio::from_nano(share);
            prop_assert_eq!(ratio.to_string().parse::<Ratio>().unwrap(), ratio);
            let json = serde_json::to_string(&ratio).unwrap();
            prop_assert_eq!(serde_json::from_str::<Ratio>(&json).unwrap(), ratio);
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}") {
            prop_assert!(text.parse::<Span>().is_err() || !text.is_empty());
            prop_assert!(text.parse::<Rate>().is_err() || !text.is_empty());
            prop_assert!(text.parse::<Ratio>().is_err() || !text.is_empty());
            prop_assert!(text.parse::<Money>().is_err() || !text.is_empty());
            prop_assert!(text.parse::<Amount>().is_err() || !text.is_empty());
        }
    }
}
