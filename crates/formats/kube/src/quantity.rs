//! Quantities such as `500m`, `1.5Gi`, `2e3`.
//!
//! Source: Kubernetes `resource.Quantity`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A text that is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantityError {
    /// The text does not have the form sign, digits, suffix.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Form,
    /// The suffix is none that is known.
    #[error("unable to parse quantity's suffix")]
    Suffix,
    /// The number is beyond what can be held.
    #[error("the quantity is out of range")]
    Range,
}

/// The family of suffixes that a quantity is printed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Powers of 1024: Ki, Mi, Gi …
    Binary,
    /// Powers of 1000: m, k, M, G …
    Decimal,
    /// Powers of ten: e3, e6 …
    Exponent,
}

/// The smallest unit held is 10⁻⁹.
const NANO: i128 = 1_000_000_000;
/// The largest amount: 2⁶³-1 whole units, to which Kubernetes caps as well.
const NANOS_MAX: i128 = i64::MAX as i128 * NANO;

/// An exact amount with the suffix family it was written in.
///
/// Held in billionths; finer parts are rounded up (away from zero), as Kubernetes does.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

impl Quantity {
    /// Zero.
    pub const ZERO: Self = Self { nanos: 0, format: Format::Decimal };

    /// Creates a quantity of whole units, printed with decimal suffixes.
    #[must_use]
    pub fn from_units(units: i64) -> Self {
        Self { nanos: i128::from(units) * NANO, format: Format::Decimal }
    }

    /// Creates a quantity of thousandths, printed with decimal suffixes.
    #[must_use]
    pub fn from_milli(milli: i64) -> Self {
        Self { nanos: i128::from(milli) * (NANO / 1000), format: Format::Decimal }
    }

    /// Creates a quantity of bytes, printed with binary suffixes.
    #[must_use]
    pub fn from_bytes(bytes: i64) -> Self {
        Self { nanos: i128::from(bytes) * NANO, format: Format::Binary }
    }

    /// Reads a quantity from a JSON string or number.
    ///
    /// # Errors
    /// Fails when it is neither, or not a quantity.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, QuantityError> {
        match value {
            serde_json::Value::String(text) => text.parse(),
            serde_json::Value::Number(number) => number.to_string().parse(),
            _ => Err(QuantityError::Form),
        }
    }

    /// Returns whole units, rounded up (away from zero).
    #[must_use]
    pub fn value(self) -> i64 {
        clamp(divide_away(self.nanos, NANO))
    }

    /// Returns thousandths, rounded up (away from zero).
    #[must_use]
    pub fn milli_value(self) -> i64 {
        clamp(divide_away(self.nanos, NANO / 1000))
    }

    /// Returns the amount as a floating-point number, possibly inexact.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "documented as inexact")]
        let nanos = self.nanos as f64;
        nanos / 1e9
    }

    /// Tells whether the amount is zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Tells whether the amount is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Adds; the result is capped at the largest amount and keeps this quantity's suffix family.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        let format = if self.nanos == 0 { other.format } else { self.format };
        Self { nanos: (self.nanos + other.nanos).clamp(-NANOS_MAX, NANOS_MAX), format }
    }

    /// Subtracts; the result is capped at the largest amount and keeps this quantity's suffix family.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        self.saturating_add(Self { nanos: -other.nanos, ..other })
    }

    /// Multiplies by a whole number; the result is capped at the largest amount.
    #[must_use]
    pub fn saturating_mul(self, by: i64) -> Self {
        Self { nanos: self.nanos.saturating_mul(i128::from(by)).clamp(-NANOS_MAX, NANOS_MAX), format: self.format }
    }
}

fn divide_away(amount: i128, by: i128) -> i128 {
    let whole = amount / by;
    match (amount % by).cmp(&0) {
        Ordering::Greater => whole + 1,
        Ordering::Less => whole - 1,
        Ordering::Equal => whole,
    }
}

fn clamp(amount: i128) -> i64 {
    i64::try_from(amount).unwrap_or(if amount < 0 { i64::MIN } else { i64::MAX })
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

/// What a suffix multiplies by.
enum Scale {
    Binary(u32),
    Decimal(i32),
    Exponent(i32),
}

fn scale_of(suffix: &str) -> Option<Scale> {
    Some(match suffix {
        "" => Scale::Decimal(0),
        "n" => Scale::Decimal(-9),
        "u" => Scale::Decimal(-6),
        "m" => Scale::Decimal(-3),
        "k" => Scale::Decimal(3),
        "M" => Scale::Decimal(6),
        "G" => Scale::Decimal(9),
        "T" => Scale::Decimal(12),
        "P" => Scale::Decimal(15),
        "E" => Scale::Decimal(18),
        "Ki" => Scale::Binary(10),
        "Mi" => Scale::Binary(20),
        "Gi" => Scale::Binary(30),
        "Ti" => Scale::Binary(40),
        "Pi" => Scale::Binary(50),
        "Ei" => Scale::Binary(60),
        exponent => Scale::Exponent(exponent.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (is_negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let digits_end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(digits_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(QuantityError::Form);
        }
        let scale = scale_of(suffix).ok_or(QuantityError::Suffix)?;
        let (format, shift, power) = match scale {
            Scale::Binary(shift) => (Format::Binary, shift, 0),
            Scale::Decimal(power) => (Format::Decimal, 0, power),
            Scale::Exponent(power) => (Format::Exponent, 0, power),
        };
        let magnitude = nanos(whole, fraction, shift, power)?;
        Ok(Self { nanos: if is_negative { -magnitude } else { magnitude }, format })
    }
}

/// Returns `whole.fraction × 2^shift × 10^power` in billionths: rounded up below one, capped above the largest amount.
fn nanos(whole: &str, fraction: &str, shift: u32, power: i32) -> Result<i128, QuantityError> {
    // Digits beyond these cannot matter: 2^60 and 10^18 are the largest factors, 10^-9 the smallest unit.
    const DIGITS_MAX: usize = 1000;
    if whole.len() + fraction.len() > DIGITS_MAX || power.unsigned_abs() > 1_000_000 {
        return Err(QuantityError::Range);
    }
    let mut amount: i128 = 0;
    let mut exponent = power.saturating_add(9);
    let mut is_inexact = false;
    let fraction = fraction.trim_end_matches('0');
    for (is_fraction, digit) in whole.bytes().map(|d| (false, d)).chain(fraction.bytes().map(|d| (true, d))) {
        let digit = i128::from(digit - b'0');
        // A binary factor needs 60 bits of headroom below 127.
        match amount.checked_mul(10).and_then(|a| a.checked_add(digit)).filter(|a| a.leading_zeros() > shift + 1) {
            Some(next) if !is_inexact => {
                amount = next;
                exponent -= i32::from(is_fraction);
            }
            _ if is_fraction => is_inexact |= digit != 0,
            _ => return Ok(NANOS_MAX),
        }
    }
    if amount == 0 {
        return Ok(i128::from(is_inexact));
    }
    amount <<= shift;
    while exponent > 0 {
        match amount.checked_mul(10) {
            Some(next) => amount = next,
            None => return Ok(NANOS_MAX),
        }
        exponent -= 1;
    }
    while exponent < 0 && amount > 0 {
        is_inexact |= amount % 10 != 0;
        amount /= 10;
        exponent += 1;
    }
    Ok((amount + i128::from(is_inexact)).min(NANOS_MAX))
}

impl fmt::Display for Quantity {
    /// Prints the canonical form: the largest suffix that leaves a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.nanos < 0 { "-" } else { "" };
        let magnitude = self.nanos.abs();
        if magnitude == 0 {
            return f.write_str("0");
        }
        // Amounts below 1024 or with a fraction cannot be printed in the binary family.
        let is_binary = self.format == Format::Binary && magnitude % NANO == 0 && magnitude >= 1024 * NANO;
        if is_binary {
            let mut units = magnitude / NANO;
            let mut suffixes = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].iter().peekable();
            while units % 1024 == 0 && suffixes.len() > 1 {
                units /= 1024;
                suffixes.next();
            }
            return write!(f, "{sign}{units}{}", suffixes.peek().copied().unwrap_or(&""));
        }
        let mut units = magnitude;
        let mut exponent = -9;
        while units % 1000 == 0 && exponent < 18 {
            units /= 1000;
            exponent += 3;
        }
        match (self.format, exponent) {
            (_, 0) => write!(f, "{sign}{units}"),
            (Format::Exponent, _) => write!(f, "{sign}{units}e{exponent}"),
            (Format::Binary | Format::Decimal, _) => {
                let suffix = match exponent {
                    -9 => "n",
                    -6 => "u",
                    -3 => "m",
                    3 => "k",
                    6 => "M",
                    9 => "G",
                    12 => "T",
                    15 => "P",
                    _ => "E",
                };
                write!(f, "{sign}{units}{suffix}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> String {
        text.parse::<Quantity>().unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
    }

    #[test]
    fn canonical_forms_are_kubernetes_own() {
        for (text, expected) in [
            ("0", "0"),
            ("100m", "100m"),
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1.5Gi", "1536Mi"),
            ("1024Ki", "1Mi"),
            ("1Ki", "1Ki"),
            ("100Ki", "100Ki"),
            ("512", "512"),
            ("128974848", "128974848"),
            ("129e6", "129e6"),
            ("129M", "129M"),
            ("123Mi", "123Mi"),
            ("1000k", "1M"),
            ("1000000", "1M"),
            ("-5", "-5"),
            ("+2", "2"),
            (".5", "500m"),
            ("5.", "5"),
            ("1e3", "1e3"),
            ("1E", "1E"),
            ("0.1n", "1n"),
            ("1000Ki", "1000Ki"),
            ("0.5Ki", "512"),
            ("0.5Mi", "512Ki"),
            ("1.1Ki", "1126400m"),
        ] {
            assert_eq!(canonical(text), expected, "{text}");
        }
    }

    #[test]
    fn broken_texts_are_refused() {
        for bad in ["", "abc", "1.2.3", "1X", "--1", "1 Gi", "Gi", "1KiB", ".", "e3", "1e", "0x10"] {
            assert!(bad.parse::<Quantity>().is_err(), "{bad}");
        }
    }

    #[test]
    fn values_round_up_and_saturate() {
        let quantity = |text: &str| text.parse::<Quantity>().unwrap();
        assert_eq!(quantity("1.1").value(), 2);
        assert_eq!(quantity("-1.1").value(), -2);
        assert_eq!(quantity("250m").milli_value(), 250);
        assert_eq!(quantity("2Gi").value(), 2_147_483_648);
        assert!((quantity("250m").as_f64() - 0.25).abs() < 1e-12);
        assert_eq!(quantity("1e100").value(), i64::MAX);
        assert_eq!(quantity("9999999999999999999999999999999999999999999999").value(), i64::MAX);
        assert_eq!(quantity("1Gi").saturating_add(quantity("1Gi")).to_string(), "2Gi");
        assert_eq!(quantity("1").saturating_sub(quantity("100m")).to_string(), "900m");
        assert!(quantity("1Ki") > quantity("1k"));
        assert_eq!(quantity("1"), quantity("1000m"));
    }

    proptest! {
        #[test]
        fn the_canonical_form_parses_to_the_same(text in "-?[0-9]{1,12}(\\.[0-9]{1,6})?(m|k|M|G|Ki|Mi|Gi|n|u|e[0-9])?") {
            let quantity: Quantity = text.parse().unwrap();
            let printed = quantity.to_string();
            let again: Quantity = printed.parse().unwrap();
            prop_assert_eq!(again, quantity);
            prop_assert_eq!(again.to_string(), printed);
        }

        #[test]
        fn any_text_parses_or_fails(text in "[-+0-9.eEinumkKMGTP]{0,40}|\\PC{0,10}") {
            drop(text.parse::<Quantity>());
        }
    }
}
