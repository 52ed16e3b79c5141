//! Which format an exposition has, and which one a reader wants.

/// How names with unusual characters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Escaping {
    /// As they are, in quotes.
    AllowUtf8,
    /// Each unusual character becomes `_`: cannot be read back.
    #[default]
    Underscores,
    /// `.` becomes `_dot_`, `_` becomes `__`.
    Dots,
    /// `U__` and each unusual character's number between underscores.
    Values,
}

impl Escaping {
    /// Returns the name that headers and configurations use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// Returns the way of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values]
            .into_iter()
            .find(|escaping| escaping.name() == name)
    }
}

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus' text.
    Text,
    /// OpenMetrics' text.
    OpenMetrics,
    /// Messages with their lengths in front.
    Protobuf,
}

/// A format with its version, as scrapers name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScrapeProtocol {
    /// `application/vnd.google.protobuf`
    PrometheusProto,
    /// `application/openmetrics-text;version=1.0.0`
    OpenMetricsText1_0_0,
    /// `application/openmetrics-text;version=0.0.1`
    OpenMetricsText0_0_1,
    /// `text/plain;version=1.0.0`
    PrometheusText1_0_0,
    /// `text/plain;version=0.0.4`
    PrometheusText0_0_4,
}

const PROTOBUF: &str = "application/vnd.google.protobuf";
const FAMILY: &str = "io.prometheus.client.MetricFamily";
const OPEN_METRICS: &str = "application/openmetrics-text";

impl ScrapeProtocol {
    /// All, the order in which Prometheus prefers them without native histograms; protobuf goes first with them.
    pub const ALL: [Self; 5] = [
        Self::OpenMetricsText1_0_0,
        Self::OpenMetricsText0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
        Self::PrometheusProto,
    ];

    /// Returns the name that configurations use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PrometheusProto => "PrometheusProto",
            Self::OpenMetricsText1_0_0 => "OpenMetricsText1.0.0",
            Self::OpenMetricsText0_0_1 => "OpenMetricsText0.0.1",
            Self::PrometheusText1_0_0 => "PrometheusText1.0.0",
            Self::PrometheusText0_0_4 => "PrometheusText0.0.4",
        }
    }

    /// Returns the protocol of a configuration's name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    /// Returns the format.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            Self::PrometheusProto => Format::Protobuf,
            Self::OpenMetricsText1_0_0 | Self::OpenMetricsText0_0_1 => Format::OpenMetrics,
            Self::PrometheusText1_0_0 | Self::PrometheusText0_0_4 => Format::Text,
        }
    }

    /// Tells whether the version has a parameter for the escaping.
    fn has_escaping(self) -> bool {
        !matches!(self, Self::OpenMetricsText0_0_1 | Self::PrometheusText0_0_4)
    }

    /// Returns the `Content-Type` of an answer.
    #[must_use]
    pub fn content_type(self, escaping: Escaping) -> String {
        let kind = match self {
            Self::PrometheusProto => format!("{PROTOBUF}; proto={FAMILY}; encoding=delimited"),
            Self::OpenMetricsText1_0_0 => format!("{OPEN_METRICS}; version=1.0.0; charset=utf-8"),
            Self::OpenMetricsText0_0_1 => format!("{OPEN_METRICS}; version=0.0.1; charset=utf-8"),
            Self::PrometheusText1_0_0 => "text/plain; version=1.0.0; charset=utf-8".to_owned(),
            Self::PrometheusText0_0_4 => "text/plain; version=0.0.4; charset=utf-8".to_owned(),
        };
        if self.has_escaping() { format!("{kind}; escaping={}", escaping.name()) } else { kind }
    }

    /// Returns the `Accept` header of a scraper that wants `protocols`, the best first.
    #[must_use]
    pub fn accept_header(protocols: &[Self], escaping: Escaping) -> String {
        let mut header = String::new();
        let weight = |rank: usize| format!("q=0.{}", protocols.len().saturating_sub(rank) + 1);
        for (rank, protocol) in protocols.iter().enumerate() {
            let kind = match protocol {
                Self::PrometheusProto => format!("{PROTOBUF};proto={FAMILY};encoding=delimited"),
                Self::OpenMetricsText1_0_0 => format!("{OPEN_METRICS};version=1.0.0"),
                Self::OpenMetricsText0_0_1 => format!("{OPEN_METRICS};version=0.0.1"),
                Self::PrometheusText1_0_0 => "text/plain;version=1.0.0".to_owned(),
                Self::PrometheusText0_0_4 => "text/plain;version=0.0.4".to_owned(),
            };
            let escaping =
                if protocol.has_escaping() { format!(";escaping={}", escaping.name()) } else { String::new() };
            header.push_str(&format!("{kind}{escaping};{},", weight(rank)));
        }
        header.push_str("*/*;q=0.1");
        header
    }

    /// Chooses the form of an answer for a reader's `Accept` header: the best that it names, else the plain text.
    #[must_use]
    pub fn negotiate(accept: &str) -> (Self, Escaping) {
        let mut best: Option<(f64, Self, Escaping)> = None;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameters: Vec<(&str, &str)> = parts
                .filter_map(|part| part.split_once('='))
                .map(|(name, value)| (name.trim(), value.trim().trim_matches('"')))
                .collect();
            let parameter = |wanted: &str| parameters.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
            let protocol = match (kind.as_str(), parameter("version")) {
                (PROTOBUF, _) if parameter("proto") == Some(FAMILY) && parameter("encoding") == Some("delimited") => {
                    Self::PrometheusProto
                }
                (OPEN_METRICS, None | Some("1.0.0")) => Self::OpenMetricsText1_0_0,
                (OPEN_METRICS, Some("0.0.1")) => Self::OpenMetricsText0_0_1,
                ("text/plain", Some("1.0.0")) => Self::PrometheusText1_0_0,
                ("text/plain", None | Some("0.0.4")) => Self::PrometheusText0_0_4,
                _ => continue,
            };
            let weight = parameter("q").and_then(|weight| weight.parse::<f64>().ok()).unwrap_or(1.0);
            let escaping = parameter("escaping")
                .filter(|_| protocol.has_escaping())
                .and_then(Escaping::of_name)
                .unwrap_or_default();
            if best.is_none_or(|(known, _, _)| weight > known) && weight > 0.0 {
                best = Some((weight, protocol, escaping));
            }
        }
        best.map_or((Self::PrometheusText0_0_4, Escaping::default()), |(_, protocol, escaping)| (protocol, escaping))
    }
}

impl Format {
    /// Returns the format that a target's `Content-Type` names; `None` when it names none that exists.
    #[must_use]
    pub fn of_content_type(header: &str) -> Option<Self> {
        match header.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            OPEN_METRICS => Some(Self::OpenMetrics),
            "text/plain" => Some(Self::Text),
            PROTOBUF => Some(Self::Protobuf),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_get_the_best_that_they_name() {
        let accept = ScrapeProtocol::accept_header(&ScrapeProtocol::ALL, Escaping::AllowUtf8);
        assert_eq!(ScrapeProtocol::negotiate(&accept), (ScrapeProtocol::OpenMetricsText1_0_0, Escaping::AllowUtf8));
        let plain = (ScrapeProtocol::PrometheusText0_0_4, Escaping::Underscores);
        for accept in ["", "*/*", "text/html,*/*;q=0.8", "text/plain;version=0.0.4;q=0.5"] {
            assert_eq!(ScrapeProtocol::negotiate(accept), plain, "{accept}");
        }
        let proto = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.9,text/plain;q=0.5";
        assert_eq!(ScrapeProtocol::negotiate(proto).0, ScrapeProtocol::PrometheusProto);
        assert_eq!(Format::of_content_type("text/plain; version=0.0.4"), Some(Format::Text));
        assert_eq!(Format::of_content_type("application/openmetrics-text;version=1.0.0"), Some(Format::OpenMetrics));
        assert_eq!(Format::of_content_type("text/html"), None);
    }
}
