//! What a requirement asks for, as a typed quantity.
//!
//! Long because each criterion is read with an error that says what is missing and what to write.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use maru_requirements::{Amount, Money, Per, QuantityError, Rate, Ratio, Span};

/// What is measured: a service, perhaps one route of it, a component, a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// The service's name in the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// A method and a path: `POST /orders`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// A component that is no service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
}

impl Target {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What a requirement asks for. Written as one object with `indicator` and the fields of that indicator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub enum Criterion {
    /// A share `quantile` of the requests is answered within `at_most`.
    Latency {
        /// What is measured.
        of: Target,
        /// The share of requests that must be in time.
        quantile: Ratio,
        /// The time.
        at_most: Span,
        /// Over which time it is judged.
        window: Option<Span>,
        /// Under which load.
        at_load: Option<Rate>,
    },
    /// A share of the time or of the requests is served.
    Availability {
        /// What is measured.
        of: Target,
        /// The share.
        at_least: Ratio,
        /// Over which time it is judged.
        window: Option<Span>,
    },
    /// At most a share of the requests fails.
    ErrorRatio {
        /// What is measured.
        of: Target,
        /// The share.
        at_most: Ratio,
        /// Over which time it is judged.
        window: Option<Span>,
        /// Under which load.
        at_load: Option<Rate>,
    },
    /// So many requests are served in a time.
    Throughput {
        /// What is measured.
        of: Target,
        /// How many.
        at_least: Rate,
        /// Over which time it is judged.
        window: Option<Span>,
    },
    /// Room for so much: data, users, orders.
    Capacity {
        /// What is measured.
        of: Target,
        /// How much.
        at_least: Amount,
    },
    /// It costs no more.
    Cost {
        /// What is paid for.
        of: Target,
        /// The money, with what it is per.
        at_most: Money,
    },
    /// No more than the last so long of data may be lost.
    RecoveryPoint {
        /// What is recovered.
        of: Target,
        /// How long.
        at_most: Span,
    },
    /// It serves again after so long.
    RecoveryTime {
        /// What is recovered.
        of: Target,
        /// How long.
        at_most: Span,
    },
    /// Every part has one of these licences (SPDX names).
    Licence {
        /// What is looked through.
        of: Target,
        /// The licences that are allowed.
        allowed: Vec<String>,
    },
    /// A security check passes.
    Control {
        /// What is checked.
        of: Target,
        /// The check's id.
        id: String,
    },
    /// Tests pass.
    Behaviour {
        /// What is tested.
        of: Target,
    },
    /// A person accepts it.
    Acceptance {
        /// In which role.
        by: Option<String>,
    },
}

/// A criterion that cannot be understood: which field, what is wrong with it, what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CriterionError {
    /// The indicator is none of ours.
    #[error("criterion.indicator \"{found}\" is not known; write one of {}", INDICATORS.join(", "))]
    Indicator {
        /// What was written.
        found: String,
    },
    /// A field is missing.
    #[error("criterion.{field} is missing: {indicator} needs {meaning}; write {example}")]
    Missing {
        /// The indicator.
        indicator: &'static str,
        /// The field.
        field: &'static str,
        /// What it says.
        meaning: &'static str,
        /// How it is written.
        example: &'static str,
    },
    /// A field means nothing for this indicator.
    #[error("criterion.{field} means nothing for {indicator}; remove it")]
    Foreign {
        /// The indicator.
        indicator: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A field's value is wrong.
    #[error("criterion.{field}: {source}")]
    Quantity {
        /// The field.
        field: &'static str,
        /// Why.
        source: QuantityError,
    },
    /// A field's value has a wrong shape.
    #[error("criterion.{field} is {found}; {fix}")]
    Shape {
        /// The field.
        field: &'static str,
        /// What was written.
        found: String,
        /// What to write.
        fix: &'static str,
    },
}

/// The names of all indicators, in the order of the guide.
pub const INDICATORS: [&str; 12] = [
    "latency",
    "availability",
    "errorRatio",
    "throughput",
    "capacity",
    "cost",
    "recoveryPoint",
    "recoveryTime",
    "licence",
    "control",
    "behaviour",
    "acceptance",
];

impl Criterion {
    /// Returns the indicator as it is written.
    #[must_use]
    pub fn indicator(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Availability { .. } => "availability",
            Self::ErrorRatio { .. } => "errorRatio",
            Self::Throughput { .. } => "throughput",
            Self::Capacity { .. } => "capacity",
            Self::Cost { .. } => "cost",
            Self::RecoveryPoint { .. } => "recoveryPoint",
            Self::RecoveryTime { .. } => "recoveryTime",
            Self::Licence { .. } => "licence",
            Self::Control { .. } => "control",
            Self::Behaviour { .. } => "behaviour",
            Self::Acceptance { .. } => "acceptance",
        }
    }

    /// Returns the quality that it is about, and none when it is about what the system does.
    #[must_use]
    pub fn category(&self) -> Option<&'static str> {
        match self {
            Self::Latency { .. } | Self::Throughput { .. } => Some("performance"),
            Self::Availability { .. } | Self::ErrorRatio { .. } => Some("reliability"),
            Self::Capacity { .. } => Some("capacity"),
            Self::Cost { .. } => Some("cost"),
            Self::RecoveryPoint { .. } | Self::RecoveryTime { .. } => Some("recoverability"),
            Self::Licence { .. } => Some("compliance"),
            Self::Control { .. } => Some("security"),
            Self::Behaviour { .. } | Self::Acceptance { .. } => None,
        }
    }

    /// Returns what is measured.
    #[must_use]
    pub fn of(&self) -> Option<&Target> {
        match self {
            Self::Latency { of, .. }
            | Self::Availability { of, .. }
            | Self::ErrorRatio { of, .. }
            | Self::Throughput { of, .. }
            | Self::Capacity { of, .. }
            | Self::Cost { of, .. }
            | Self::RecoveryPoint { of, .. }
            | Self::RecoveryTime { of, .. }
            | Self::Licence { of, .. }
            | Self::Control { of, .. }
            | Self::Behaviour { of } => Some(of),
            Self::Acceptance { .. } => None,
        }
    }
}

/// A criterion as it is written.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    #[serde(default)]
    indicator: String,
    #[serde(default, skip_serializing_if = "Target::is_empty")]
    of: Target,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quantile: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_most: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_least: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    per: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at_load: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r#in: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<Value>,
}

/// Takes the fields of one indicator; what is left over in the end is foreign to it.
struct Taker {
    indicator: &'static str,
    fields: Fields,
}

impl Taker {
    fn slot(&mut self, field: &'static str) -> Option<Value> {
        match field {
            "quantile" => self.fields.quantile.take(),
            "atMost" => self.fields.at_most.take(),
            "atLeast" => self.fields.at_least.take(),
            "per" => self.fields.per.take(),
            "window" => self.fields.window.take(),
            "atLoad" => self.fields.at_load.take(),
            "in" => self.fields.r#in.take(),
            "id" => self.fields.id.take(),
            "by" => self.fields.by.take(),
            _ => None,
        }
    }

    fn optional<T>(&mut self, field: &'static str) -> Result<Option<T>, CriterionError>
    where
        T: std::str::FromStr<Err = QuantityError>,
    {
        let Some(value) = self.slot(field) else { return Ok(None) };
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => plain_number(&number),
            other => return Err(shape(field, &other, "write a number with its unit")),
        };
        text.parse().map(Some).map_err(|source| CriterionError::Quantity { field, source })
    }

    fn required<T>(
        &mut self,
        field: &'static str,
        meaning: &'static str,
        example: &'static str,
    ) -> Result<T, CriterionError>
    where
        T: std::str::FromStr<Err = QuantityError>,
    {
        let missing = CriterionError::Missing { indicator: self.indicator, field, meaning, example };
        self.optional(field)?.ok_or(missing)
    }

    fn text(&mut self, field: &'static str) -> Result<Option<String>, CriterionError> {
        match self.slot(field) {
            None => Ok(None),
            Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
            Some(other) => Err(shape(field, &other, "write a text")),
        }
    }

    fn of(&mut self) -> Target {
        std::mem::take(&mut self.fields.of)
    }

    /// Checks that nothing is left.
    fn finish(mut self, criterion: Criterion) -> Result<Criterion, CriterionError> {
        for field in ["quantile", "atMost", "atLeast", "per", "window", "atLoad", "in", "id", "by"] {
            if self.slot(field).is_some() {
                return Err(CriterionError::Foreign { indicator: self.indicator, field });
            }
        }
        if !self.fields.of.is_empty() {
            return Err(CriterionError::Foreign { indicator: self.indicator, field: "of" });
        }
        Ok(criterion)
    }
}

/// Writes a number without an exponent, as people write it.
fn plain_number(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => format!("{float}"),
        _ => number.to_string(),
    }
}

fn shape(field: &'static str, value: &Value, fix: &'static str) -> CriterionError {
    let found = match value {
        Value::Null => "empty".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "an empty text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    CriterionError::Shape { field, found, fix }
}

const TIME: &str = "the longest time";
const SHARE: &str = "the share";

impl TryFrom<Fields> for Criterion {
    type Error = CriterionError;

    fn try_from(fields: Fields) -> Result<Self, CriterionError> {
        if fields.indicator.is_empty() {
            return Err(CriterionError::Missing {
                indicator: "a criterion",
                field: "indicator",
                meaning: "what is measured",
                example: "indicator: latency",
            });
        }
        let Some(indicator) = INDICATORS.into_iter().find(|name| *name == fields.indicator) else {
            return Err(CriterionError::Indicator { found: fields.indicator.chars().take(80).collect() });
        };
        let mut taker = Taker { indicator, fields };
        let criterion = read(indicator, &mut taker)?;
        taker.finish(criterion)
    }
}

fn read(indicator: &'static str, from: &mut Taker) -> Result<Criterion, CriterionError> {
    Ok(match indicator {
        "latency" => Criterion::Latency {
            of: from.of(),
            quantile: from.required("quantile", "the share of requests that must be in time", "quantile: 0.999")?,
            at_most: from.required("atMost", TIME, "atMost: 100ms")?,
            window: from.optional("window")?,
            at_load: from.optional("atLoad")?,
        },
        "availability" => Criterion::Availability {
            of: from.of(),
            at_least: from.required("atLeast", SHARE, "atLeast: 99.9%")?,
            window: from.optional("window")?,
        },
        "errorRatio" => Criterion::ErrorRatio {
            of: from.of(),
            at_most: from.required("atMost", SHARE, "atMost: 0.1%")?,
            window: from.optional("window")?,
            at_load: from.optional("atLoad")?,
        },
        "throughput" => Criterion::Throughput {
            of: from.of(),
            at_least: from.required("atLeast", "the rate", "atLeast: 50/s")?,
            window: from.optional("window")?,
        },
        "capacity" => {
            Criterion::Capacity { of: from.of(), at_least: from.required("atLeast", "the amount", "atLeast: 500 GB")? }
        }
        "cost" => Criterion::Cost { of: from.of(), at_most: read_cost(from)? },
        "recoveryPoint" => {
            Criterion::RecoveryPoint { of: from.of(), at_most: from.required("atMost", TIME, "atMost: 5m")? }
        }
        "recoveryTime" => {
            Criterion::RecoveryTime { of: from.of(), at_most: from.required("atMost", TIME, "atMost: 30m")? }
        }
        "licence" => Criterion::Licence { of: from.of(), allowed: read_licences(from)? },
        "control" => Criterion::Control {
            of: from.of(),
            id: from.text("id")?.ok_or(CriterionError::Missing {
                indicator,
                field: "id",
                meaning: "the security check's name",
                example: "id: image-signed",
            })?,
        },
        "behaviour" => Criterion::Behaviour { of: from.of() },
        _ => Criterion::Acceptance { by: from.text("by")? },
    })
}

fn read_cost(from: &mut Taker) -> Result<Money, CriterionError> {
    let money: Money = from.required("atMost", "the money", "atMost: 90000 KRW/month")?;
    let missing = CriterionError::Missing {
        indicator: "cost",
        field: "per",
        meaning: "what the money is for",
        example: "per: month (or atMost: 90000 KRW/month)",
    };
    match (money.per(), from.text("per")?) {
        (Some(_), None) => Ok(money),
        (None, None) => Err(missing),
        (None, Some(per)) => {
            format!("{money}/{per}").parse().map_err(|source| CriterionError::Quantity { field: "per", source })
        }
        (Some(known), Some(per)) if known.name() == per => Ok(money),
        (Some(_), Some(_)) => Err(CriterionError::Shape {
            field: "per",
            found: "another than in atMost".to_owned(),
            fix: "write it in one place",
        }),
    }
}

fn read_licences(from: &mut Taker) -> Result<Vec<String>, CriterionError> {
    const FIX: &str = "write a list of SPDX names, like in: [MIT, Apache-2.0]";
    let list = match from.slot("in") {
        None => {
            return Err(CriterionError::Missing {
                indicator: "licence",
                field: "in",
                meaning: "the licences that are allowed",
                example: "in: [MIT, Apache-2.0]",
            });
        }
        Some(Value::Array(list)) if !list.is_empty() => list,
        Some(other) => return Err(shape("in", &other, FIX)),
    };
    let name = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(|| shape("in", value, FIX));
    let mut names = list.iter().map(name).collect::<Result<Vec<_>, _>>()?;
    names.sort();
    names.dedup();
    Ok(names)
}

impl From<Criterion> for Fields {
    fn from(criterion: Criterion) -> Self {
        let indicator = criterion.indicator().to_owned();
        let of = criterion.of().cloned().unwrap_or_default();
        let mut fields = Self { indicator, of, ..Self::default() };
        let text = |value: &dyn std::fmt::Display| Some(Value::String(value.to_string()));
        let share = |value: Ratio| serde_json::to_value(value).ok();
        match criterion {
            Criterion::Latency { quantile, at_most, window, at_load, .. } => {
                fields.quantile = share(quantile);
                fields.at_most = text(&at_most);
                fields.window = window.and_then(|window| text(&window));
                fields.at_load = at_load.and_then(|load| text(&load));
            }
            Criterion::Availability { at_least, window, .. } => {
                fields.at_least = share(at_least);
                fields.window = window.and_then(|window| text(&window));
            }
            Criterion::ErrorRatio { at_most, window, at_load, .. } => {
                fields.at_most = share(at_most);
                fields.window = window.and_then(|window| text(&window));
                fields.at_load = at_load.and_then(|load| text(&load));
            }
            Criterion::Throughput { at_least, window, .. } => {
                fields.at_least = text(&at_least);
                fields.window = window.and_then(|window| text(&window));
            }
            Criterion::Capacity { at_least, .. } => fields.at_least = text(&at_least),
            Criterion::Cost { at_most, .. } => fields.at_most = text(&at_most),
            Criterion::RecoveryPoint { at_most, .. } | Criterion::RecoveryTime { at_most, .. } => {
                fields.at_most = text(&at_most);
            }
            Criterion::Licence { allowed, .. } => {
                fields.r#in = Some(Value::Array(allowed.into_iter().map(Value::String).collect()));
            }
            Criterion::Control { id, .. } => fields.id = Some(Value::String(id)),
            Criterion::Behaviour { .. } => {}
            Criterion::Acceptance { by } => fields.by = by.map(Value::String),
        }
        fields
    }
}

impl Criterion {
    /// Returns what an amount of money is per, when this is about money.
    #[must_use]
    pub fn per(&self) -> Option<Per> {
        match self {
            Self::Cost { at_most, .. } => at_most.per(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_indicator_reads_and_writes_back() {
        for written in [
            json!({"indicator": "latency", "of": {"service": "orders", "route": "POST /orders"}, "quantile": 0.999,
                   "atMost": "100ms", "window": "1d", "atLoad": "50/s"}),
            json!({"indicator": "availability", "of": {"service": "orders"}, "atLeast": 0.999, "window": "30d"}),
            json!({"indicator": "errorRatio", "atMost": 0.001, "window": "1h", "atLoad": "10/s"}),
            json!({"indicator": "throughput", "of": {"component": "queue"}, "atLeast": "50/s", "window": "5m"}),
            json!({"indicator": "capacity", "atLeast": "500 GB"}),
            json!({"indicator": "cost", "atMost": "90000 KRW/month"}),
            json!({"indicator": "recoveryPoint", "atMost": "5m"}),
            json!({"indicator": "recoveryTime", "atMost": "30m"}),
            json!({"indicator": "licence", "in": ["Apache-2.0", "MIT"]}),
            json!({"indicator": "control", "id": "image-signed"}),
            json!({"indicator": "behaviour"}),
            json!({"indicator": "acceptance", "by": "customer"}),
        ] {
            let criterion: Criterion = serde_json::from_value(written.clone()).unwrap();
            assert_eq!(serde_json::to_value(&criterion).unwrap(), written);
        }
    }

    #[test]
    fn other_spellings_mean_the_same() {
        let same = |left: Value, right: Value| {
            let (left, right): (Criterion, Criterion) =
                (serde_json::from_value(left).unwrap(), serde_json::from_value(right).unwrap());
            assert_eq!(left, right);
        };
        same(
            json!({"indicator": "latency", "quantile": "99.9%", "atMost": "0.1s"}),
            json!({"indicator": "latency", "quantile": 0.999, "atMost": "100ms"}),
        );
        same(
            json!({"indicator": "cost", "atMost": "90,000 KRW", "per": "month"}),
            json!({"indicator": "cost", "atMost": "90000 KRW/month"}),
        );
    }

    #[test]
    fn errors_say_where_what_and_what_to_do() {
        for (written, expected) in [
            (json!({}), "criterion.indicator is missing: a criterion needs what is measured; write indicator: latency"),
            (json!({"indicator": "speed"}), "criterion.indicator \"speed\" is not known; write one of latency, "),
            (
                json!({"indicator": "latency", "atMost": "100ms"}),
                "criterion.quantile is missing: latency needs the share of requests that must be in time; write quantile: 0.999",
            ),
            (
                json!({"indicator": "latency", "quantile": 0.99, "atMost": 100}),
                "criterion.atMost: \"100\" is no length of time: it has no unit; write a number with a unit",
            ),
            (
                json!({"indicator": "latency", "quantile": 99.9, "atMost": "1s"}),
                "criterion.quantile: \"99.9\" is no ratio",
            ),
            (json!({"indicator": "cost", "atMost": "5 USD"}), "criterion.per is missing"),
            (
                json!({"indicator": "cost", "atMost": "5 USD/month", "per": "day"}),
                "criterion.per is another than in atMost",
            ),
            (json!({"indicator": "licence", "in": []}), "criterion.in is a list; write a list of SPDX names"),
            (
                json!({"indicator": "behaviour", "atMost": "1s"}),
                "criterion.atMost means nothing for behaviour; remove it",
            ),
            (json!({"indicator": "acceptance", "of": {"service": "x"}}), "criterion.of means nothing for acceptance"),
            (json!({"indicator": "latency", "atmost": "1s"}), "unknown field `atmost`"),
        ] {
            let message = serde_json::from_value::<Criterion>(written).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
