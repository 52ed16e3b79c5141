//! What messages are made of: the data that templates read, the functions that they call, the webhook's JSON.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use maru_prom::Labels;
use maru_template::{Escape, Functions, Library, Limits, Object, Template, TemplateError, Value, format_time};
use maru_time::Timestamp;
use regex::Regex;
use serde_json::{Value as Json, json};

use crate::alert::Alert;
use crate::zones::zone;

/// What a message tells.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) receiver: String,
    pub(crate) group_key: Arc<str>,
    pub(crate) group_labels: Labels,
    pub(crate) alerts: Arc<[Alert]>,
    pub(crate) external_url: String,
    pub(crate) reason: &'static str,
    /// The time that alerts are judged by.
    pub(crate) now: Timestamp,
}

/// Returns the labels that all have alike.
fn common<'a>(mut all: impl Iterator<Item = &'a Labels>) -> Labels {
    let Some(first) = all.next() else { return Labels::empty() };
    all.fold(first.clone(), |common, next| {
        let shared: Vec<(&str, &str)> = common.iter().filter(|(name, value)| next.get(name) == Some(value)).collect();
        if shared.len() == common.len() { common.clone() } else { Labels::from_sorted(shared) }
    })
}

impl Message {
    pub(crate) fn status(&self) -> &'static str {
        status(self.alerts.iter().any(|alert| !alert.is_resolved(self.now)))
    }

    pub(crate) fn common_labels(&self) -> Labels {
        common(self.alerts.iter().map(|alert| &alert.labels))
    }

    pub(crate) fn common_annotations(&self) -> Labels {
        common(self.alerts.iter().map(|alert| &alert.annotations))
    }

    /// Returns what templates read.
    pub(crate) fn data(&self) -> Value {
        let alerts = Alerts(Arc::new(self.alerts.iter().map(|alert| alert_value(alert, self.now)).collect()));
        Value::record(
            "*template.Data",
            [
                ("Receiver", Value::from(self.receiver.as_str())),
                ("Status", Value::from(self.status())),
                ("Alerts", Value::Object(Arc::new(alerts))),
                ("GroupLabels", pairs(&self.group_labels)),
                ("CommonLabels", pairs(&self.common_labels())),
                ("CommonAnnotations", pairs(&self.common_annotations())),
                ("ExternalURL", Value::from(self.external_url.as_str())),
                ("NotificationReason", Value::from(self.reason)),
                ("GroupKey", Value::from(&*self.group_key)),
            ],
        )
    }

    /// Returns the webhook's JSON, version 4.
    pub(crate) fn webhook(&self, max_alerts: usize) -> Json {
        let told = if max_alerts == 0 { self.alerts.len() } else { max_alerts.min(self.alerts.len()) };
        let alerts: Vec<Json> = self.alerts.iter().take(told).map(|alert| alert_json(alert, self.now)).collect();
        json!({
            "receiver": self.receiver,
            "status": self.status(),
            "alerts": alerts,
            "groupLabels": labels_json(&self.group_labels),
            "commonLabels": labels_json(&self.common_labels()),
            "commonAnnotations": labels_json(&self.common_annotations()),
            "externalURL": self.external_url,
            "version": "4",
            "groupKey": &*self.group_key,
            "truncatedAlerts": self.alerts.len() - told,
        })
    }

    /// Prints a template.
    pub(crate) fn render(&self, text: &str, library: &Library, escape: Escape) -> Result<String, TemplateError> {
        if !text.contains("{{") {
            return Ok(text.to_owned());
        }
        Template::parse("", text)?.render_in(library, &self.data(), &functions(self.now), Limits::default(), escape)
    }

    /// Prints all texts of a tree.
    pub(crate) fn render_tree(&self, tree: &Json, library: &Library) -> Result<Json, TemplateError> {
        let (data, functions) = (self.data(), functions(self.now));
        render_tree(tree, &mut |text| {
            if !text.contains("{{") {
                return Ok(text.to_owned());
            }
            Template::parse("", text)?.render_in(library, &data, &functions, Limits::default(), Escape::None)
        })
    }
}

fn render_tree(
    tree: &Json,
    render: &mut impl FnMut(&str) -> Result<String, TemplateError>,
) -> Result<Json, TemplateError> {
    Ok(match tree {
        Json::String(text) => Json::String(render(text)?),
        Json::Array(list) => Json::Array(list.iter().map(|item| render_tree(item, render)).collect::<Result<_, _>>()?),
        Json::Object(map) => Json::Object(
            map.iter()
                .map(|(key, value)| Ok((key.clone(), render_tree(value, render)?)))
                .collect::<Result<_, TemplateError>>()?,
        ),
        Json::Null | Json::Bool(_) | Json::Number(_) => tree.clone(),
    })
}

fn status(fires: bool) -> &'static str {
    if fires { "firing" } else { "resolved" }
}

pub(crate) fn labels_json(labels: &Labels) -> Json {
    Json::Object(labels.iter().map(|(name, value)| (name.to_owned(), Json::from(value))).collect())
}

/// Go's zero time: what an alert that fires has as its end.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

fn alert_json(alert: &Alert, now: Timestamp) -> Json {
    let is_resolved = alert.is_resolved(now);
    json!({
        "status": status(!is_resolved),
        "labels": labels_json(&alert.labels),
        "annotations": labels_json(&alert.annotations),
        "startsAt": alert.starts_at.to_string(),
        "endsAt": if is_resolved { alert.ends_at.to_string() } else { ZERO_TIME.to_owned() },
        "generatorURL": &*alert.generator_url,
        "fingerprint": alert.fingerprint().to_string(),
    })
}

fn alert_value(alert: &Alert, now: Timestamp) -> Value {
    let is_resolved = alert.is_resolved(now);
    let zero: Timestamp = Timestamp::constant(-62_135_596_800, 0);
    Value::record(
        "template.Alert",
        [
            ("Status", Value::from(status(!is_resolved))),
            ("Labels", pairs(&alert.labels)),
            ("Annotations", pairs(&alert.annotations)),
            ("StartsAt", Value::time(alert.starts_at)),
            ("EndsAt", Value::time(if is_resolved { alert.ends_at } else { zero })),
            ("GeneratorURL", Value::from(&*alert.generator_url)),
            ("Fingerprint", Value::from(alert.fingerprint().to_string())),
        ],
    )
}

/// A list of alerts with `.Firing` and `.Resolved`.
#[derive(Debug)]
struct Alerts(Arc<Vec<Value>>);

impl Object for Alerts {
    fn get(&self, name: &str, _: &[Value]) -> Result<Option<Value>, String> {
        let wanted = match name {
            "Firing" => "firing",
            "Resolved" => "resolved",
            _ => return Ok(None),
        };
        let is_wanted = |alert: &&Value| match alert {
            Value::Map(map) => map.entries.get("Status").and_then(Value::as_text) == Some(wanted),
            _ => false,
        };
        Ok(Some(Value::list(self.0.iter().filter(is_wanted).cloned())))
    }

    fn plain(&self) -> Value {
        Value::List(Arc::clone(&self.0))
    }
}

/// Labels with `.SortedPairs`, `.Names`, `.Values`, `.Remove`.
#[derive(Debug)]
struct Pairs {
    /// Sorted, `alertname` first.
    sorted: Vec<(String, String)>,
    plain: Value,
}

fn pairs(labels: &Labels) -> Value {
    pairs_of(labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn pairs_of(mut sorted: Vec<(String, String)>) -> Value {
    sorted.sort_by(|left, right| (left.0 != "alertname", &left.0).cmp(&(right.0 != "alertname", &right.0)));
    let plain = Value::labels(sorted.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Value::Object(Arc::new(Pairs { sorted, plain }))
}

impl Object for Pairs {
    fn get(&self, name: &str, arguments: &[Value]) -> Result<Option<Value>, String> {
        Ok(Some(match name {
            "SortedPairs" => Value::Object(Arc::new(PairList(self.sorted.clone()))),
            "Names" => Value::list(self.sorted.iter().map(|(name, _)| Value::from(name.as_str()))),
            "Values" => Value::list(self.sorted.iter().map(|(_, value)| Value::from(value.as_str()))),
            "String" => Value::from(written(&self.sorted)),
            "Remove" => {
                let Some(Value::List(names)) = arguments.first() else {
                    return Err("Remove takes a list; write for example .Remove (stringSlice \"a\" \"b\")".to_owned());
                };
                let removed = |name: &str| names.iter().any(|removed| removed.as_text() == Some(name));
                pairs_of(self.sorted.iter().filter(|(name, _)| !removed(name)).cloned().collect())
            }
            _ => return Ok(None),
        }))
    }

    fn plain(&self) -> Value {
        self.plain.clone()
    }
}

/// A list of pairs with `.Names` and `.Values`.
#[derive(Debug)]
struct PairList(Vec<(String, String)>);

impl Object for PairList {
    fn get(&self, name: &str, _: &[Value]) -> Result<Option<Value>, String> {
        Ok(match name {
            "Names" => Some(Value::list(self.0.iter().map(|(name, _)| Value::from(name.as_str())))),
            "Values" => Some(Value::list(self.0.iter().map(|(_, value)| Value::from(value.as_str())))),
            "String" => Some(Value::from(written(&self.0))),
            _ => None,
        })
    }

    fn plain(&self) -> Value {
        Value::list(self.0.iter().map(|(name, value)| {
            let fields = [("Name", Value::from(name.as_str())), ("Value", Value::from(value.as_str()))];
            Value::record("template.Pair", fields)
        }))
    }
}

fn written(pairs: &[(String, String)]) -> String {
    let parts: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    parts.join(", ")
}

/// Our own words, under the names that custom templates expect.
pub(crate) static DEFAULT_TEMPLATES: LazyLock<Library> = LazyLock::new(|| {
    let template = Template::parse("default.tmpl", include_str!("default.tmpl")).expect("our own templates are tested");
    let mut library = Library::default();
    library.add(&template);
    library
});

fn text(arguments: &[Value], index: usize) -> Result<&str, String> {
    match arguments.get(index) {
        Some(value) => {
            value.as_text().ok_or_else(|| format!("wrong type of argument {}: {}", index + 1, value.type_name()))
        }
        None => Err(format!("argument {} is missing", index + 1)),
    }
}

fn pattern(text: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(text)
        .size_limit(1 << 20)
        .build()
        .map_err(|_| format!("the pattern {text:?} is no regular expression, or too large a one"))
}

/// Returns the functions that templates of messages call.
pub(crate) fn functions(now: Timestamp) -> Functions {
    let mut functions = Functions::default();
    functions.add("toUpper", |given| Ok(Value::from(text(given, 0)?.to_uppercase())));
    functions.add("toLower", |given| Ok(Value::from(text(given, 0)?.to_lowercase())));
    functions.add("title", |given| Ok(Value::from(title(text(given, 0)?))));
    functions.add("trimSpace", |given| Ok(Value::from(text(given, 0)?.trim())));
    functions.add("join", |given| {
        let separator = text(given, 0)?;
        let Some(Value::List(list)) = given.get(1).map(Value::plain) else { return Err("a list is needed".to_owned()) };
        let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
        Ok(Value::from(texts.join(separator)))
    });
    functions.add("match", |given| Ok(Value::Bool(pattern(text(given, 0)?)?.is_match(text(given, 1)?))));
    functions.add("reReplaceAll", |given| {
        Ok(Value::from(pattern(text(given, 0)?)?.replace_all(text(given, 2)?, text(given, 1)?).into_owned()))
    });
    functions.add("safeHtml", |given| Ok(Value::Html(text(given, 0)?.to_owned())));
    functions.add("safeUrl", |given| Ok(Value::from(text(given, 0)?)));
    functions.add("urlUnescape", |given| {
        let plain = text(given, 0)?.replace('+', " ");
        let decoded = percent_encoding::percent_decode_str(&plain).decode_utf8();
        decoded.map(|text| Value::from(text.into_owned())).map_err(|error| error.to_string())
    });
    functions.add("stringSlice", |given| Ok(Value::list(given.iter().cloned())));
    functions.add("list", |given| Ok(Value::list(given.iter().cloned())));
    functions.add("append", |given| match given.split_first() {
        Some((Value::List(list), rest)) => Ok(Value::list(list.iter().chain(rest).cloned())),
        _ => Err("a list is needed".to_owned()),
    });
    functions.add("dict", |given| {
        let mut entries = BTreeMap::new();
        for pair in given.chunks(2) {
            let [key, value] = pair else { return Err("keys and values come in pairs".to_owned()) };
            entries.insert(text(std::slice::from_ref(key), 0)?.to_owned(), value.clone());
        }
        Ok(Value::map(entries))
    });
    functions.add("date", |given| match given.get(1) {
        Some(Value::Time(at)) => Ok(Value::from(format_time(at, text(given, 0)?))),
        _ => Err("a time is needed".to_owned()),
    });
    functions.add("tz", |given| match given.get(1) {
        Some(Value::Time(at)) => {
            let name = text(given, 0)?;
            let zone = zone(name).ok_or_else(|| format!("there is no time zone \"{name}\""))?;
            Ok(Value::Time(at.with_time_zone(zone)))
        }
        _ => Err("a time is needed".to_owned()),
    });
    functions.add("since", move |given| match given.first() {
        Some(Value::Time(at)) => {
            let nanoseconds = now.as_nanosecond() - at.timestamp().as_nanosecond();
            let bound = if nanoseconds < 0 { i64::MIN } else { i64::MAX };
            Ok(Value::Duration(i64::try_from(nanoseconds).unwrap_or(bound)))
        }
        _ => Err("a time is needed".to_owned()),
    });
    functions.add("now", move |_| Ok(Value::time(now)));
    functions.add("humanizeDuration", |given| {
        let seconds = match given.first() {
            Some(Value::Duration(nanoseconds)) => Value::Duration(*nanoseconds).as_number().map(|value| value / 1e9),
            Some(Value::Text(text)) => text.parse().ok(),
            Some(other) => other.as_number(),
            None => None,
        };
        seconds.map(|seconds| Value::from(humanize(seconds))).ok_or_else(|| "a number of seconds is needed".to_owned())
    });
    functions.add("toJson", |given| {
        let value = given.first().ok_or_else(|| "a value is needed".to_owned())?;
        Ok(Value::from(to_json(value).to_string()))
    });
    functions
}

/// Says seconds to a person: `1d 2h 3m 4s`, `1.5s`, `250ms`.
fn humanize(seconds: f64) -> String {
    if !seconds.is_finite() {
        return Value::Float(seconds).to_string();
    }
    let magnitude = seconds.abs();
    let sign = if seconds < 0.0 { "-" } else { "" };
    if magnitude >= 60.0 {
        #[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest whole number that there is")]
        let whole = magnitude as i64;
        let (days, hours, minutes, rest) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
        return match (days, hours) {
            (0, 0) => format!("{sign}{minutes}m {rest}s"),
            (0, _) => format!("{sign}{hours}h {minutes}m {rest}s"),
            _ => format!("{sign}{days}d {hours}h {minutes}m {rest}s"),
        };
    }
    let units = [(1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")];
    let found = units.iter().find(|(unit, _)| magnitude >= *unit);
    let (unit, name) = found.copied().unwrap_or((1.0, "s"));
    let digits = maru_template::printf("%.4g", &[Value::Float(magnitude / unit)], 100).unwrap_or_default();
    format!("{sign}{digits}{name}")
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut starts = true;
    for character in text.chars() {
        if starts {
            out.extend(character.to_uppercase());
        } else {
            out.push(character);
        }
        starts = !character.is_alphanumeric() && character != '_' && character != '\'';
    }
    out
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Integer(number) | Value::Duration(number) => Json::from(*number),
        Value::Float(number) => Json::from(*number),
        Value::Text(text) | Value::Html(text) => Json::from(text.as_str()),
        Value::List(list) => list.iter().map(to_json).collect(),
        Value::Map(map) => {
            Json::Object(map.entries.iter().map(|(key, value)| (json_key(map, key), to_json(value))).collect())
        }
        Value::Time(at) => Json::from(at.timestamp().to_string()),
        Value::Object(object) => to_json(&object.plain()),
    }
}

/// The fields of our records have the names of the webhook's JSON.
fn json_key(map: &maru_template::Map, key: &str) -> String {
    if !matches!(map.missing, maru_template::Missing::Error(_)) {
        return key.to_owned();
    }
    let mut characters = key.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}
