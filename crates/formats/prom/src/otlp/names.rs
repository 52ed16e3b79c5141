//! Names of OpenTelemetry as names of Prometheus.
//!
//! Source: OpenTelemetry specification, "Prometheus and OpenMetrics compatibility"; UCUM's case-sensitive symbols.

/// How names are translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum NameTranslation {
    /// Unusual characters become `_`; unit and type become suffixes.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// Unusual characters become `_`.
    UnderscoreEscapingWithoutSuffixes,
    /// Unit and type become suffixes.
    NoUtf8EscapingWithSuffixes,
    /// Names stay as they are.
    NoTranslation,
}

impl NameTranslation {
    /// Returns the name that configurations use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnderscoreEscapingWithSuffixes => "UnderscoreEscapingWithSuffixes",
            Self::UnderscoreEscapingWithoutSuffixes => "UnderscoreEscapingWithoutSuffixes",
            Self::NoUtf8EscapingWithSuffixes => "NoUTF8EscapingWithSuffixes",
            Self::NoTranslation => "NoTranslation",
        }
    }

    /// Returns the translation of a configuration's name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [
            Self::UnderscoreEscapingWithSuffixes,
            Self::UnderscoreEscapingWithoutSuffixes,
            Self::NoUtf8EscapingWithSuffixes,
            Self::NoTranslation,
        ]
        .into_iter()
        .find(|translation| translation.name() == name)
    }

    pub(super) fn escapes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::UnderscoreEscapingWithoutSuffixes)
    }

    pub(super) fn adds_suffixes(self) -> bool {
        matches!(self, Self::UnderscoreEscapingWithSuffixes | Self::NoUtf8EscapingWithSuffixes)
    }
}

/// What a metric's type does to its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    /// A sum that only grows.
    Counter,
    Gauge,
    Other,
}

const UNITS: [(&str, &str); 26] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

/// Units behind "per".
const PER_UNITS: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

fn look_up<'a>(table: &[(&str, &'a str)], unit: &'a str) -> &'a str {
    table.iter().find(|(symbol, _)| *symbol == unit).map_or(unit, |(_, name)| name)
}

/// Returns the words for what is in front of and behind the slash; annotations in braces are no units.
fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let known = |text: &str| !text.is_empty() && !text.contains(['{', '}']);
    let (main, per) = (main.trim(), per.trim());
    let main = if known(main) { look_up(&UNITS, main).to_owned() } else { String::new() };
    let per = if known(per) { format!("per_{}", look_up(&PER_UNITS, per)) } else { String::new() };
    (main, if per == "per_" { String::new() } else { per })
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == ':'
}

/// Replaces what is no letter, digit or colon by single underscores, none in front.
fn clean_unit(unit: &str) -> String {
    let mut clean = String::with_capacity(unit.len());
    for character in unit.chars() {
        if is_name_character(character) {
            clean.push(character);
        } else if !clean.ends_with('_') {
            clean.push('_');
        }
    }
    clean.strip_prefix('_').map(str::to_owned).unwrap_or(clean)
}

/// Returns the unit as Prometheus' metadata has it.
pub(super) fn unit_name(unit: &str) -> String {
    let (main, per) = unit_words(unit);
    let (main, per) = (clean_unit(&main), clean_unit(&per));
    let joined = if main.is_empty() || per.is_empty() { main + &per } else { format!("{main}_{per}") };
    let joined = joined.strip_prefix('_').unwrap_or(&joined);
    joined.strip_suffix('_').unwrap_or(joined).to_owned()
}

/// Returns a metric's name.
///
/// # Errors
/// When nothing is left of it.
pub(super) fn metric_name(
    name: &str,
    unit: &str,
    kind: NameKind,
    translation: NameTranslation,
) -> Result<String, String> {
    let translated = match (translation.escapes(), translation.adds_suffixes()) {
        (true, true) => with_suffix_words(name, unit, kind),
        (true, false) => {
            let words = name.split(|character| !is_name_character(character) && character != '_');
            let joined = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_");
            no_leading_digit(joined)
        }
        (false, true) => with_suffixes(name, unit, kind),
        (false, false) => name.to_owned(),
    };
    if translated.is_empty() {
        return Err(format!("the name {name:?} is empty when translated"));
    }
    if translation.escapes() && translated != name && translated.chars().all(|character| character == '_') {
        return Err(format!("the name {name:?} is nothing but underscores when translated"));
    }
    Ok(translated)
}

fn no_leading_digit(name: String) -> String {
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// Splits a name into words and adds those of unit and type that it lacks.
fn with_suffix_words(name: &str, unit: &str, kind: NameKind) -> String {
    let mut words: Vec<String> = name
        .split(|character| !is_name_character(character))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let (main, per) = unit_words(unit);
    let (mut main, per) = (clean_unit(&main), clean_unit(&per));
    let mut per = if per == "per_" { String::new() } else { per.strip_suffix('_').unwrap_or(&per).to_owned() };
    if words.contains(&main) {
        main.clear();
    }
    if words.contains(&per) {
        per.clear();
    }
    if !per.is_empty() {
        main = main.strip_suffix('_').map(str::to_owned).unwrap_or(main);
    }
    words.extend([main, per].into_iter().filter(|word| !word.is_empty()));
    let mut put_last = |word: &str| {
        words.retain(|known| known != word);
        words.push(word.to_owned());
    };
    match kind {
        NameKind::Counter => put_last("total"),
        NameKind::Gauge if unit == "1" => put_last("ratio"),
        NameKind::Gauge | NameKind::Other => {}
    }
    no_leading_digit(words.join("_"))
}

/// Adds unit and type to a name that keeps its characters.
fn with_suffixes(name: &str, unit: &str, kind: NameKind) -> String {
    let mut name = name.to_owned();
    let last = match kind {
        NameKind::Counter => Some("total"),
        NameKind::Gauge if unit == "1" => Some("ratio"),
        NameKind::Gauge | NameKind::Other => None,
    };
    if let Some(last) = last {
        cut_suffix(&mut name, last);
    }
    let (main, per) = unit_words(unit);
    if !per.is_empty() {
        cut_suffix(&mut name, &per);
    }
    if !main.is_empty() && !name.ends_with(&main) {
        name = format!("{name}_{main}");
    }
    for suffix in [(!per.is_empty()).then_some(per.as_str()), last].into_iter().flatten() {
        name = format!("{name}_{suffix}");
    }
    name
}

/// Removes a suffix and the one character in front of it.
fn cut_suffix(name: &mut String, suffix: &str) {
    let Some(before) = name.strip_suffix(suffix) else { return };
    let mut characters = before.chars();
    if characters.next_back().is_some() && !characters.as_str().is_empty() {
        let length = characters.as_str().len();
        name.truncate(length);
    }
}

/// How label names are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct LabelRules {
    pub(super) escapes: bool,
    /// `_a` becomes `key_a`.
    pub(super) guards_underscore: bool,
    /// `a..b` becomes `a__b`, not `a_b`.
    pub(super) keeps_repeated_underscores: bool,
}

/// Returns a label's name.
///
/// # Errors
/// When nothing is left of it.
pub(super) fn label_name(name: &str, rules: LabelRules) -> Result<String, String> {
    if name.is_empty() {
        return Err("an attribute has no name".to_owned());
    }
    let label = if rules.escapes { escaped_label(name, rules) } else { name.to_owned() };
    if label.chars().all(|character| character == '_') {
        return Err(format!("the attribute {name:?} is nothing but underscores when translated"));
    }
    Ok(label)
}

fn escaped_label(name: &str, rules: LabelRules) -> String {
    let reserved = name.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"));
    let (inner, is_reserved) = match reserved {
        Some(inner) if !rules.keeps_repeated_underscores => (inner, true),
        _ => (name, false),
    };
    let mut label = String::with_capacity(name.len());
    let mut was_underscore = false;
    for character in inner.chars() {
        let is_plain = character.is_ascii_alphanumeric();
        if is_plain {
            label.push(character);
        } else if rules.keeps_repeated_underscores || !was_underscore {
            label.push('_');
        }
        was_underscore = !is_plain;
    }
    if is_reserved {
        label = format!("__{label}__");
    }
    if label.starts_with(|first: char| first.is_ascii_digit()) {
        format!("key_{label}")
    } else if rules.guards_underscore && label.starts_with('_') && !label.starts_with("__") {
        format!("key{label}")
    } else {
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_get_their_words() {
        use NameKind::{Counter, Gauge, Other};
        use NameTranslation as T;
        let cases = [
            ("http.server.duration", "s", Other, T::UnderscoreEscapingWithSuffixes, "http_server_duration_seconds"),
            ("requests.count", "1", Counter, T::UnderscoreEscapingWithSuffixes, "requests_count_total"),
            ("memory.usage", "By", Gauge, T::UnderscoreEscapingWithSuffixes, "memory_usage_bytes"),
            ("system.cpu.utilization", "1", Gauge, T::UnderscoreEscapingWithSuffixes, "system_cpu_utilization_ratio"),
            ("system.total.io", "By", Counter, T::UnderscoreEscapingWithSuffixes, "system_io_bytes_total"),
            ("net.rate", "By/s", Gauge, T::UnderscoreEscapingWithSuffixes, "net_rate_bytes_per_second"),
            ("a", "{packets}/s", Other, T::UnderscoreEscapingWithSuffixes, "a_per_second"),
            ("2xx__rate", "", Other, T::UnderscoreEscapingWithSuffixes, "_2xx_rate"),
            ("http.server.duration", "s", Other, T::UnderscoreEscapingWithoutSuffixes, "http_server_duration"),
            ("a__b..c", "s", Counter, T::UnderscoreEscapingWithoutSuffixes, "a__b_c"),
            ("http.requests", "1", Counter, T::NoUtf8EscapingWithSuffixes, "http.requests_total"),
            ("http.total", "By/s", Counter, T::NoUtf8EscapingWithSuffixes, "http_bytes_per_second_total"),
            ("http.server.duration", "s", Other, T::NoUtf8EscapingWithSuffixes, "http.server.duration_seconds"),
            ("http.requests", "1", Counter, T::NoTranslation, "http.requests"),
        ];
        for (name, unit, kind, translation, expected) in cases {
            assert_eq!(metric_name(name, unit, kind, translation).as_deref(), Ok(expected), "{name} {unit}");
        }
        assert!(metric_name("...", "", Other, T::UnderscoreEscapingWithSuffixes).is_err());
    }

    #[test]
    fn label_names_get_plain_characters() {
        let rules = LabelRules { escapes: true, guards_underscore: true, keeps_repeated_underscores: true };
        let of = |name, rules| label_name(name, rules).unwrap_or_default();
        assert_eq!(of("http.method", rules), "http_method");
        assert_eq!(of("1st", rules), "key_1st");
        assert_eq!(of("_private", rules), "key_private");
        assert_eq!(of("__name__", rules), "__name__");
        assert_eq!(of("a..b", rules), "a__b");
        assert_eq!(of("a..b", LabelRules { keeps_repeated_underscores: false, ..rules }), "a_b");
        assert_eq!(of("http.method", LabelRules { escapes: false, ..rules }), "http.method");
        assert!(label_name("..", rules).is_err());
        assert_eq!(
            (unit_name("By/s").as_str(), unit_name("1").as_str(), unit_name("{x}").as_str()),
            ("bytes_per_second", "", "")
        );
    }
}
