//! Units, colours, thresholds, mappings.

use serde_json::Value;

use super::fields::{Fields, number};
use crate::boards::{Mapping, Panel, Threshold};

/// Grafana's units and ours.
const UNITS: &[(&str, &str)] = &[
    ("none", "none"),
    ("short", "count"),
    ("sishort", "count"),
    ("locale", "count"),
    ("percent", "percent"),
    ("percentunit", "ratio"),
    ("s", "seconds"),
    ("dtdurations", "seconds"),
    ("clocks", "seconds"),
    ("ms", "milliseconds"),
    ("dtdurationms", "milliseconds"),
    ("clockms", "milliseconds"),
    ("m", "minutes"),
    ("h", "hours"),
    ("d", "days"),
    ("bytes", "bytes"),
    ("decbytes", "bytes"),
    ("kbytes", "KiB"),
    ("deckbytes", "kB"),
    ("mbytes", "MiB"),
    ("decmbytes", "MB"),
    ("gbytes", "GiB"),
    ("decgbytes", "GB"),
    ("tbytes", "TiB"),
    ("bits", "bits"),
    ("decbits", "bits"),
    ("Bps", "bytes/s"),
    ("binBps", "bytes/s"),
    ("bps", "bits/s"),
    ("binbps", "bits/s"),
    ("KBs", "kB/s"),
    ("KiBs", "KiB/s"),
    ("MBs", "MB/s"),
    ("MiBs", "MiB/s"),
    ("pps", "packets/s"),
    ("reqps", "requests/s"),
    ("ops", "ops/s"),
    ("cps", "ops/s"),
    ("eps", "events/s"),
    ("iops", "io/s"),
    ("rps", "reads/s"),
    ("wps", "writes/s"),
    ("opm", "ops/min"),
    ("rpm", "reads/min"),
    ("hertz", "hertz"),
    ("rothz", "hertz"),
    ("celsius", "celsius"),
    ("watt", "W"),
    ("volt", "V"),
    ("amp", "A"),
    ("joule", "J"),
    ("humidity", "percent"),
    ("currencyUSD", "$"),
    ("currencyEUR", "€"),
    ("currencyKRW", "₩"),
    ("µs", "µs"),
    ("ns", "ns"),
    ("bool", "bool"),
    ("bool_on_off", "bool"),
    ("bool_yes_no", "bool"),
];

/// Returns our unit; one that is not known stays, and is noted.
pub(super) fn unit(fields: &Fields<'_>, name: &str) -> String {
    if name.is_empty() {
        return String::new();
    }
    if let Some((_, ours)) = UNITS.iter().find(|(theirs, _)| *theirs == name) {
        return (*ours).to_owned();
    }
    if let Some(suffix) = name.strip_prefix("suffix:") {
        return suffix.to_owned();
    }
    if name.starts_with("dateTime") || name.starts_with("time:") {
        fields.note(format!(
            "unit \"{name}\": times in milliseconds are shown as numbers; divide by 1000 and write \"timestamp\""
        ));
        return "none".to_owned();
    }
    fields.note(format!("unit \"{name}\" is not known; the word is written behind the number"));
    name.trim_start_matches("prefix:").to_owned()
}

/// Returns our colour: a word without its shade, or six digits.
pub(super) fn color(name: &str) -> String {
    const WORDS: [&str; 6] = ["green", "yellow", "orange", "red", "blue", "purple"];
    if let Some(digits) = name.strip_prefix('#') {
        let digits: String = digits.chars().take(6).collect();
        return format!("#{}", digits.to_lowercase());
    }
    if let Some(parts) = name.strip_prefix("rgba(").or_else(|| name.strip_prefix("rgb(")) {
        let parts: Vec<u8> =
            parts.trim_end_matches(')').split(',').filter_map(|part| part.trim().parse().ok()).collect();
        if let [red, green, blue, ..] = parts.as_slice() {
            return format!("#{red:02x}{green:02x}{blue:02x}");
        }
    }
    let word = WORDS.iter().find(|word| name.ends_with(**word));
    word.map_or_else(|| "gray".to_owned(), |word| (*word).to_owned())
}

/// Returns the ends of a panel's axis, where they are known.
pub(super) fn ends(panel: &Panel) -> Option<(f64, f64)> {
    let (least, greatest) = match panel.unit.as_str() {
        "percent" => (Some(0.0), Some(100.0)),
        "ratio" => (Some(0.0), Some(1.0)),
        _ => (None, None),
    };
    panel.min.or(least).zip(panel.max.or(greatest))
}

/// Reads `thresholds` as they are since version 27: steps, of which the first has no value. Shares of the axis become values
/// when its ends are known.
pub(super) fn thresholds(fields: &Fields<'_>, value: &Value, ends: Option<(f64, f64)>) -> Vec<Threshold> {
    let steps = value["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_share = value["mode"] == "percentage";
    if is_share && steps.len() > 1 && ends.is_none() {
        fields.note("thresholds in percent of an axis whose ends are not known are left out");
        return Vec::new();
    }
    let from = |step: &Value| match ends.filter(|_| is_share) {
        Some((least, greatest)) => number(&step["value"]).map(|share| least + share / 100.0 * (greatest - least)),
        None => number(&step["value"]),
    };
    let mut all: Vec<Threshold> = steps
        .iter()
        .map(|step| Threshold { from: from(step), color: color(step["color"].as_str().unwrap_or_default()) })
        .collect();
    // One step says nothing.
    if all.len() == 1 {
        all.clear();
    }
    all
}

/// Reads the thresholds of old panels: `80,90` beside three colours.
pub(super) fn old_thresholds(text: &str, colors: &[String]) -> Vec<Threshold> {
    let values: Vec<f64> = text.split(',').filter_map(|part| part.trim().parse().ok()).collect();
    if values.is_empty() {
        return Vec::new();
    }
    let from = std::iter::once(None).chain(values.into_iter().map(Some));
    let colors = colors.iter().map(|name| color(name)).chain(std::iter::repeat("red".to_owned()));
    from.zip(colors).map(|(from, color)| Threshold { from, color }).collect()
}

/// Reads the thresholds of old graphs.
pub(super) fn graph_thresholds(list: &Value) -> Vec<Threshold> {
    let list = list.as_array().into_iter().flatten();
    let found = list.filter(|one| one["op"] != "lt").filter_map(|one| {
        let color = match one["colorMode"].as_str() {
            Some("ok") => "green".to_owned(),
            Some("warning") => "orange".to_owned(),
            Some("custom") => color(one["lineColor"].as_str().unwrap_or_default()),
            _ => "red".to_owned(),
        };
        Some(Threshold { from: Some(number(&one["value"])?), color })
    });
    let mut all: Vec<Threshold> = found.collect();
    all.sort_by(|left, right| left.from.partial_cmp(&right.from).unwrap_or(std::cmp::Ordering::Equal));
    if !all.is_empty() {
        all.insert(0, Threshold { from: None, color: "green".to_owned() });
    }
    all
}

/// Reads what values are called.
pub(super) fn mappings(fields: &Fields<'_>, list: &Value) -> Vec<Mapping> {
    let mut all = Vec::new();
    let named = |result: &Value| {
        let text = result["text"].as_str().unwrap_or_default().to_owned();
        (text, result["color"].as_str().map(color).unwrap_or_default())
    };
    for one in list.as_array().into_iter().flatten() {
        let options = &one["options"];
        match one["type"].as_str() {
            Some("value") => {
                for (value, result) in options.as_object().into_iter().flatten() {
                    let (text, color) = named(result);
                    all.push(Mapping { value: Some(value.clone()), text, color, ..Mapping::default() });
                }
            }
            Some("range") => {
                let (text, color) = named(&options["result"]);
                let (from, to) = (number(&options["from"]), number(&options["to"]));
                all.push(Mapping { from, to, text, color, ..Mapping::default() });
            }
            Some("special") => {
                let (text, color) = named(&options["result"]);
                for value in options["match"].as_str().unwrap_or_default().split('+') {
                    let value = if value == "nan" { "NaN" } else { value };
                    all.push(Mapping {
                        value: Some(value.to_owned()),
                        text: text.clone(),
                        color: color.clone(),
                        ..Mapping::default()
                    });
                }
            }
            // As they were before version 27: 1 for a value, 2 for a range.
            None if one.get("value").is_some() || one.get("from").is_some() => all.push(old_mapping(one)),
            other => fields.note(format!("mappings of the kind {other:?} are left out")),
        }
    }
    all
}

/// Reads `{value, text}` or `{from, to, text}`.
pub(super) fn old_mapping(one: &Value) -> Mapping {
    let text = one["text"].as_str().unwrap_or_default().to_owned();
    let is_range = one["type"] == 2 || one.get("from").is_some_and(|from| from != "" && !from.is_null());
    if is_range && one["type"] != 1 {
        return Mapping { from: number(&one["from"]), to: number(&one["to"]), text, ..Mapping::default() };
    }
    let value = match &one["value"] {
        Value::String(value) => value.clone(),
        other => other.to_string(),
    };
    Mapping { value: Some(value), text, ..Mapping::default() }
}
