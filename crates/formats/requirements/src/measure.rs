//! The quantities of criteria as the reader of items takes them: one canonical spelling, or what is wrong.

use serde_json::Value;

use crate::quantity::{Amount, Money, QuantityError, Rate, Ratio, Span};

/// The kinds of quantities that criteria hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Span,
    Rate,
    Ratio,
    Money,
    Amount,
}

impl Measure {
    /// Returns the one spelling of a quantity.
    pub(crate) fn canonical(self, text: &str) -> Result<Value, QuantityError> {
        fn spelled<T: std::str::FromStr<Err = QuantityError> + ToString>(text: &str) -> Result<Value, QuantityError> {
            text.parse::<T>().map(|quantity| Value::String(quantity.to_string()))
        }
        match self {
            Self::Span => spelled::<Span>(text),
            Self::Rate => spelled::<Rate>(text),
            Self::Ratio => text.parse::<Ratio>().map(|ratio| Value::from(ratio.as_f64())),
            Self::Money => spelled::<Money>(text),
            Self::Amount => spelled::<Amount>(text),
        }
    }
}

/// Reads money; what it is per may be written apart.
pub(crate) fn money(text: &str, apart: Option<&str>) -> Result<Money, String> {
    let why = |error: QuantityError| error.why;
    let money: Money = text.parse().map_err(why)?;
    match (money.per(), apart) {
        (Some(known), Some(other)) if known.name() != other => {
            Err("it is per two things; write it in one place".to_owned())
        }
        (None, Some(per)) => format!("{money}/{per}").parse().map_err(why),
        (_, _) => Ok(money),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_have_one_spelling() {
        for (measure, written, canonical) in [
            (Measure::Span, "0.1s", json!("100ms")),
            (Measure::Span, "90min", json!("1h30m")),
            (Measure::Span, "4w", json!("28d")),
            (Measure::Rate, "3000/min", json!("50/s")),
            (Measure::Rate, "1/h", json!("1/h")),
            (Measure::Rate, "50 rps", json!("50/s")),
            (Measure::Ratio, "99.9%", json!(0.999)),
            (Measure::Ratio, "1", json!(1.0)),
            (Measure::Money, "90,000원/month", json!("90000 KRW/month")),
            (Measure::Amount, "500GB", json!("500 GB")),
            (Measure::Amount, "120 /s", json!("120/s")),
        ] {
            assert_eq!(measure.canonical(written), Ok(canonical), "{written}");
        }
        for (measure, written) in [(Measure::Span, "100"), (Measure::Rate, "50"), (Measure::Money, "5")] {
            assert!(measure.canonical(written).unwrap_err().is_without_unit());
        }
        assert!(!Measure::Ratio.canonical("99.9").unwrap_err().is_without_unit());
        assert_eq!(money("5 USD", Some("day")).map(|money| money.to_string()), Ok("5 USD/day".to_owned()));
        assert!(money("5 USD/month", Some("day")).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            for measure in [Measure::Span, Measure::Rate, Measure::Ratio, Measure::Money, Measure::Amount] {
                drop(measure.canonical(&text));
            }
        }
    }
}
