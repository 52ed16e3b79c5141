//! The templates of rules' labels and annotations: their variables and functions.
//!
//! Source: Prometheus 3 documentation, "Template reference" and "Template examples".

use std::collections::BTreeMap;
use std::sync::Arc;

use maru_prom::Labels;
use maru_template::{Functions, Limits, Template, TemplateError, Value, printf};
use maru_time::Timestamp;
use regex::Regex;

/// Variables that templates have from the start, with the field of the data that each holds.
const VARIABLES: [(&str, &str); 4] =
    [("labels", "Labels"), ("externalLabels", "ExternalLabels"), ("externalURL", "ExternalURL"), ("value", "Value")];

/// What one template may do: an alert's text is for people.
const LIMITS: Limits = Limits { output_bytes_max: 64 << 10, steps_max: 100_000, depth_max: 20 };

/// Answers a query of a template with series and their values.
pub type TemplateQuery = Arc<dyn Fn(&str) -> Result<Vec<(Labels, f64)>, String> + Send + Sync>;

/// What a template knows of the world around it.
#[derive(Clone)]
pub struct TemplateWorld {
    /// The moment of the evaluation in milliseconds since 1970.
    pub now_ms: i64,
    /// Labels of the whole system.
    pub external_labels: Labels,
    /// The address at which people reach the system.
    pub external_url: String,
    /// Answers queries.
    pub query: TemplateQuery,
}

impl std::fmt::Debug for TemplateWorld {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TemplateWorld").field("now_ms", &self.now_ms).finish_non_exhaustive()
    }
}

/// A text of a rule: a template, or a text that has none.
#[derive(Debug, Clone)]
pub enum RuleText {
    /// As it is.
    Plain(String),
    /// With something to expand.
    Template(Arc<Template>),
}

/// One alert's data for its templates.
#[derive(Debug, Clone)]
pub struct TemplateData(Value);

impl TemplateData {
    /// Returns the data of a series with a value.
    #[must_use]
    pub fn new(world: &TemplateWorld, labels: &Labels, value: f64) -> Self {
        Self(Value::record(
            "template.AlertTemplateData",
            [
                ("Labels", Value::labels(labels.iter())),
                ("ExternalLabels", Value::labels(world.external_labels.iter())),
                ("ExternalURL", Value::text(world.external_url.clone())),
                ("Value", Value::Float(value)),
            ],
        ))
    }
}

impl RuleText {
    /// Reads a text.
    ///
    /// # Errors
    /// Where the template is none, or calls a function that does not exist.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if !text.contains("{{") {
            return Ok(Self::Plain(text.to_owned()));
        }
        let template = Template::parse_with("text", text, &VARIABLES)?;
        let nothing: TemplateQuery = Arc::new(|_| Ok(Vec::new()));
        let world =
            TemplateWorld { now_ms: 0, external_labels: Labels::empty(), external_url: String::new(), query: nothing };
        template.check(&functions(&world))?;
        Ok(Self::Template(Arc::new(template)))
    }

    /// Returns the text for one alert.
    ///
    /// # Errors
    /// What could not be evaluated; or that it would take too much.
    pub fn expand(&self, data: &TemplateData, functions: &Functions) -> Result<String, TemplateError> {
        match self {
            Self::Plain(text) => Ok(text.clone()),
            Self::Template(template) => template.render(&data.0, functions, LIMITS),
        }
    }
}

/// Says what is wrong with a text.
pub(super) fn check(text: &str) -> Result<(), TemplateError> {
    RuleText::parse(text).map(drop)
}

/// Returns the functions that templates of rules have beside those of all templates.
#[must_use]
pub fn functions(world: &TemplateWorld) -> Functions {
    let mut functions = Functions::default();
    add_queries(&mut functions, world);
    add_texts(&mut functions);
    add_numbers(&mut functions);
    let now_ms = world.now_ms;
    functions.add("now", move |_| Ok(Value::Float(seconds(now_ms))));
    let url = world.external_url.clone();
    functions.add("externalURL", move |_| Ok(Value::text(url.clone())));
    let path = path_of(&world.external_url);
    functions.add("pathPrefix", move |_| Ok(Value::text(path.clone())));
    functions
}

fn add_queries(functions: &mut Functions, world: &TemplateWorld) {
    let query = Arc::clone(&world.query);
    functions.add("query", move |arguments| {
        let samples = query(text(arguments, 0, "query")?)?;
        Ok(Value::list(samples.iter().map(|(labels, value)| sample(labels, *value))))
    });
    functions.add("first", |arguments| match arguments.first() {
        Some(Value::List(list)) if !list.is_empty() => Ok(list[0].clone()),
        _ => Err("first() called on vector with no elements".to_owned()),
    });
    functions.add("value", |arguments| field(arguments.first(), "Value"));
    functions.add("strvalue", |arguments| {
        let labels = field(arguments.first(), "Labels")?;
        Ok(entry(&labels, "__value__").unwrap_or_else(|| Value::text("")))
    });
    functions.add("label", |arguments| {
        let name = text(arguments, 0, "label")?;
        let labels = field(arguments.get(1), "Labels")?;
        Ok(entry(&labels, name).unwrap_or_else(|| Value::text("")))
    });
    functions.add("sortByLabel", |arguments| {
        let name = text(arguments, 0, "sortByLabel")?;
        let Some(Value::List(list)) = arguments.get(1) else {
            return Err("sortByLabel wants a label and the result of a query".to_owned());
        };
        let key = |value: &Value| {
            let labels = field(Some(value), "Labels").unwrap_or_default();
            entry(&labels, name).and_then(|label| label.as_text().map(str::to_owned)).unwrap_or_default()
        };
        let mut sorted = list.as_ref().clone();
        sorted.sort_by_cached_key(key);
        Ok(Value::list(sorted))
    });
    functions.add("args", |arguments| {
        Ok(Value::map(arguments.iter().enumerate().map(|(index, value)| (format!("arg{index}"), value.clone()))))
    });
}

fn add_texts(functions: &mut Functions) {
    functions.add("reReplaceAll", |arguments| {
        let pattern = pattern(text(arguments, 0, "reReplaceAll")?)?;
        let (replacement, subject) = (text(arguments, 1, "reReplaceAll")?, text(arguments, 2, "reReplaceAll")?);
        Ok(Value::text(pattern.replace_all(subject, replacement)))
    });
    functions.add("match", |arguments| {
        let pattern = pattern(text(arguments, 0, "match")?)?;
        Ok(Value::Bool(pattern.is_match(text(arguments, 1, "match")?)))
    });
    functions.add("safeHtml", |arguments| Ok(Value::Html(text(arguments, 0, "safeHtml")?.to_owned())));
    functions.add("title", |arguments| Ok(Value::text(title(text(arguments, 0, "title")?))));
    functions.add("toUpper", |arguments| Ok(Value::text(text(arguments, 0, "toUpper")?.to_uppercase())));
    functions.add("toLower", |arguments| Ok(Value::text(text(arguments, 0, "toLower")?.to_lowercase())));
    functions.add("urlQueryEscape", |arguments| Ok(Value::text(query_escape(text(arguments, 0, "urlQueryEscape")?))));
    functions.add("graphLink", |arguments| {
        Ok(Value::text(format!("/graph?g0.expr={}&g0.tab=0", query_escape(text(arguments, 0, "graphLink")?))))
    });
    functions.add("tableLink", |arguments| Ok(Value::text(table_link(text(arguments, 0, "tableLink")?))));
    functions.add("stripPort", |arguments| Ok(Value::text(strip_port(text(arguments, 0, "stripPort")?))));
    functions.add("stripDomain", |arguments| Ok(Value::text(strip_domain(text(arguments, 0, "stripDomain")?))));
}

fn add_numbers(functions: &mut Functions) {
    functions.add("humanize", |arguments| Ok(Value::text(humanize(number(arguments)?))));
    functions.add("humanize1024", |arguments| Ok(Value::text(humanize_1024(number(arguments)?))));
    functions.add("humanizeDuration", |arguments| Ok(Value::text(humanize_duration(number(arguments)?))));
    functions.add("humanizePercentage", |arguments| Ok(Value::text(format!("{}%", short(number(arguments)? * 100.0)))));
    functions.add("humanizeTimestamp", |arguments| {
        let seconds = number(arguments)?;
        if !seconds.is_finite() {
            return Ok(Value::text(short(seconds)));
        }
        Ok(Value::text(Value::time(moment(seconds)?).to_string()))
    });
    functions.add("toTime", |arguments| moment(number(arguments)?).map(Value::time));
    functions.add("toDuration", |arguments| {
        #[expect(clippy::cast_possible_truncation, reason = "beyond 292 years it is the longest span")]
        Ok(Value::Duration((number(arguments)? * 1e9) as i64))
    });
    functions.add("parseDuration", |arguments| {
        let text = text(arguments, 0, "parseDuration")?;
        let ms = maru_promql::parse_duration(text).map_err(|error| error.to_string())?;
        Ok(Value::Float(seconds(ms)))
    });
}

fn sample(labels: &Labels, value: f64) -> Value {
    Value::record("template.sample", [("Labels", Value::labels(labels.iter())), ("Value", Value::Float(value))])
}

fn text<'a>(arguments: &'a [Value], index: usize, function: &str) -> Result<&'a str, String> {
    let argument = arguments.get(index);
    argument
        .and_then(Value::as_text)
        .ok_or_else(|| format!("the function \"{function}\" wants a text as argument {}", index + 1))
}

fn field(value: Option<&Value>, name: &str) -> Result<Value, String> {
    value.and_then(|value| entry(value, name)).ok_or_else(|| "it wants one series of a query".to_owned())
}

fn entry(value: &Value, name: &str) -> Option<Value> {
    match value {
        Value::Map(map) => map.entries.get(name).cloned(),
        _ => None,
    }
}

/// Reads a number, also from a text, as the functions of Prometheus do.
fn number(arguments: &[Value]) -> Result<f64, String> {
    match arguments.first() {
        #[expect(clippy::cast_precision_loss, reason = "spans of time are told in seconds")]
        Some(Value::Duration(nanos)) => Ok(*nanos as f64 / 1e9),
        Some(Value::Text(text)) => maru_prom::number::parse_float(text).ok_or_else(|| format!("{text:?} is no number")),
        Some(value) => value.as_number().ok_or_else(|| format!("a {} is no number", value.type_name())),
        None => Err("a number is missing".to_owned()),
    }
}

fn pattern(text: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(text)
        .size_limit(1 << 20)
        .build()
        .map_err(|_| format!("{text:?} is no regular expression that can be used here"))
}

/// Writes a number with four digits that count.
fn short(value: f64) -> String {
    printf("%.4g", &[Value::Float(value)], 64).unwrap_or_else(|_| value.to_string())
}

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const LARGE_1024: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// Divides until the number is below `base`; returns it with its prefix.
fn scaled_down(mut value: f64, base: f64, prefixes: &[&'static str]) -> (f64, &'static str) {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < base {
            break;
        }
        prefix = next;
        value /= base;
    }
    (value, prefix)
}

/// Multiplies until the number is at least 1.
fn scaled_up(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1000.0;
    }
    (value, prefix)
}

/// Writes a number with a metric prefix.
#[must_use]
pub fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return short(value);
    }
    let (value, prefix) = if value.abs() >= 1.0 { scaled_down(value, 1000.0, &LARGE) } else { scaled_up(value) };
    short(value) + prefix
}

fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return short(value);
    }
    let (value, prefix) = scaled_down(value, 1024.0, &LARGE_1024);
    short(value) + prefix
}

/// Writes seconds as a length of time for people: `1d 2h 3m 4s`, `12.5ms`.
#[must_use]
pub fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return short(value);
    }
    if value == 0.0 {
        return format!("{}s", short(value));
    }
    if value.abs() < 1.0 {
        let (value, prefix) = scaled_up(value);
        return format!("{}{prefix}s", short(value));
    }
    let (sign, size) = if value < 0.0 { ("-", -value) } else { ("", value) };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive; fractions are to go")]
    let whole = size as u64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    if days > 0 {
        format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
    } else if hours > 0 {
        format!("{sign}{hours}h {minutes}m {seconds}s")
    } else if minutes > 0 {
        format!("{sign}{minutes}m {seconds}s")
    } else {
        format!("{sign}{}s", short(size))
    }
}

fn moment(seconds: f64) -> Result<Timestamp, String> {
    let wrong = || format!("{seconds} seconds since 1970 are no moment");
    if !seconds.is_finite() || seconds.abs() > 2.5e11 {
        return Err(wrong());
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded by the lines above")]
    let nanos = (seconds * 1e9) as i128;
    Timestamp::from_nanosecond(nanos).map_err(|_| wrong())
}

#[expect(clippy::cast_precision_loss, reason = "moments in seconds are below 2^53")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// Makes the first letter of each word a capital.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut begins = true;
    for character in text.chars() {
        if begins {
            out.extend(character.to_uppercase());
        } else {
            out.push(character);
        }
        begins = !(character.is_alphanumeric() || matches!(character, '_' | '\''));
    }
    out
}

/// Returns the path that shows a query as a table, below the system's address.
#[must_use]
pub fn table_link(query: &str) -> String {
    format!("/graph?g0.expr={}&g0.tab=1", query_escape(query))
}

/// Escapes a text for the query of an address, as Go's `url.QueryEscape`.
fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// Splits `host:port` and `[host]:port`.
fn host_and_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(inner) => Some((inner.strip_suffix(']')?, port)),
        None => (!host.contains([':', '[', ']'])).then_some((host, port)),
    }
}

fn strip_port(text: &str) -> String {
    host_and_port(text).map_or(text, |(host, _)| host).to_owned()
}

fn strip_domain(text: &str) -> String {
    let (host, port) = host_and_port(text).map_or((text, None), |(host, port)| (host, Some(port)));
    if host.parse::<std::net::IpAddr>().is_ok() {
        return text.to_owned();
    }
    let short = host.split('.').next().unwrap_or(host);
    port.map_or_else(|| short.to_owned(), |port| format!("{short}:{port}"))
}

/// Returns the path of an address without its last slash.
fn path_of(url: &str) -> String {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    let path = behind.split_once('/').map(|(_, path)| path).unwrap_or_default();
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    if path.is_empty() { String::new() } else { format!("/{path}") }
}

/// Expands all texts of an alert; one that fails becomes a text that says why, as Prometheus writes it.
#[must_use]
pub fn expand_all<'a>(
    texts: impl IntoIterator<Item = (&'a String, &'a RuleText)>,
    data: &TemplateData,
    functions: &Functions,
) -> (BTreeMap<String, String>, Option<TemplateError>) {
    let mut failed = None;
    let expanded = texts.into_iter().map(|(name, text)| {
        let text = text.expand(data, functions).unwrap_or_else(|error| {
            let text = format!("<error expanding template: {error}>");
            failed.get_or_insert(error);
            text
        });
        (name.clone(), text)
    });
    let expanded = expanded.collect();
    (expanded, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> String {
        let world = TemplateWorld {
            now_ms: 1_500,
            external_labels: Labels::from_pairs([("cluster", "home")]),
            external_url: "http://maru.test/metrics/".to_owned(),
            query: Arc::new(|text| match text {
                "up" => Ok(vec![
                    (Labels::from_pairs([("__name__", "up"), ("instance", "b")]), 1.0),
                    (Labels::from_pairs([("__name__", "up"), ("instance", "a")]), 0.0),
                ]),
                _ => Ok(Vec::new()),
            }),
        };
        let data = TemplateData::new(&world, &Labels::from_pairs([("job", "web")]), 1234.5);
        match RuleText::parse(text).and_then(|text| text.expand(&data, &functions(&world))) {
            Ok(text) => text,
            Err(error) => format!("error: {}", error.message),
        }
    }

    #[test]
    fn templates_know_the_alert_and_the_world() {
        for (text, expected) in [
            (
                "{{ $labels.job }} {{ .Labels.job }} [{{ $labels.other }}] {{ $value }} {{ .Value }}",
                "web web [] 1234.5 1234.5",
            ),
            (
                "{{ $externalLabels.cluster }} {{ externalURL }} {{ pathPrefix }} {{ now }}",
                "home http://maru.test/metrics/ /metrics 1.5",
            ),
            ("{{ query \"up\" | first | label \"instance\" }}{{ query \"up\" | first | value }}", "b1"),
            (
                "{{ range query \"up\" | sortByLabel \"instance\" }}{{ .Labels.instance }}={{ .Value }} {{ end }}",
                "a=0 b=1 ",
            ),
            ("{{ with query \"none\" }}some{{ else }}none{{ end }}", "none"),
            (
                "{{ graphLink \"up > 1\" }} {{ tableLink \"up\" }}",
                "/graph?g0.expr=up+%3E+1&g0.tab=0 /graph?g0.expr=up&g0.tab=1",
            ),
            (
                "{{ stripPort \"[::1]:80\" }} {{ stripDomain \"web.example.org:80\" }} {{ stripDomain \"10.0.0.1:80\" }}",
                "::1 web:80 10.0.0.1:80",
            ),
        ] {
            assert_eq!(expand(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_written_for_people() {
        for (text, expected) in [
            (
                "{{ humanize 0.0 }} {{ humanize 1234567.0 }} {{ humanize 0.0123 }} {{ humanize -1500.0 }} {{ humanize \"2e9\" }}",
                "0 1.235M 12.3m -1.5k 2G",
            ),
            ("{{ humanize1024 1048576.0 }} {{ humanize1024 0.5 }}", "1Mi 0.5"),
            (
                "{{ humanizeDuration 93784.0 }} {{ humanizeDuration 0.0125 }} {{ humanizeDuration 59.5 }} {{ humanizeDuration -61.0 }}",
                "1d 2h 3m 4s 12.5ms 59.5s -1m 1s",
            ),
            (
                "{{ humanizePercentage 0.12345 }} {{ parseDuration \"1h30m\" }} {{ humanizeTimestamp 0.5 }}",
                "12.35% 5400 1970-01-01 00:00:00.5 +0000 UTC",
            ),
        ] {
            assert_eq!(expand(text), expected, "{text}");
        }
    }

    #[test]
    fn what_goes_wrong_is_told() {
        assert!(expand("{{ query \"none\" | first }}").contains("first() called on vector with no elements"));
        assert!(expand("{{ nothing }}").contains("no function"));
        assert!(expand("{{ humanize \"x\" }}").contains("no number"));
    }
}
