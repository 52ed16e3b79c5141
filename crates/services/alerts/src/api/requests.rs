//! What requests say: parameters, filters, times.

use std::borrow::Cow;

use http::StatusCode;
use maru_monitoring::alerting::parse_matcher;
use maru_prom::{Labels, Matcher};
use maru_time::Timestamp;
use percent_encoding::percent_decode_str;

use super::Reply;

/// The parameters of a request.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    pub(super) fn all<'q>(&'q self, name: &'q str) -> impl Iterator<Item = &'q str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Returns a boolean; true when absent.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Reply> {
        match self.all(name).last() {
            None | Some("") => Ok(true),
            Some(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "ok" | "y" | "on" | "selected" | "checked" | "t" | "enabled" => Ok(true),
                "false" | "0" | "no" | "n" | "off" | "f" | "disabled" => Ok(false),
                _ => Err(Reply::malformed(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    601,
                    format!("{name} in query must be of type bool: {text:?}"),
                )),
            },
        }
    }

    /// Returns the conditions of `filter`.
    pub(super) fn filter(&self) -> Result<Filter, Reply> {
        let mut matchers = Vec::new();
        for text in self.all("filter") {
            let matcher = parse_matcher(text);
            matchers.push(
                matcher
                    .map_err(|error| Reply::refuse(StatusCode::BAD_REQUEST, format!("bad matcher format: {error}")))?,
            );
        }
        Ok(Filter(matchers))
    }

    /// Returns the condition on the receiver's name.
    pub(super) fn receiver(&self) -> Result<Option<Matcher>, Reply> {
        let Some(text) = self.all("receiver").last().filter(|text| !text.is_empty()) else { return Ok(None) };
        let matcher = Matcher::new("receiver", maru_prom::MatcherOperator::Matches, text);
        let refuse = |error: maru_prom::MatcherError| {
            Reply::refuse(StatusCode::BAD_REQUEST, format!("failed to parse receiver param: {error}"))
        };
        matcher.map(Some).map_err(refuse)
    }
}

/// Conditions on labels, as the API's clients mean them.
pub(super) struct Filter(Vec<Matcher>);

impl Filter {
    pub(super) fn takes(&self, labels: &Labels) -> bool {
        self.takes_with(|name| labels.get(name).map(Cow::Borrowed))
    }

    pub(super) fn takes_with<'l>(&self, label: impl Fn(&str) -> Option<Cow<'l, str>>) -> bool {
        self.0.iter().all(|matcher| {
            let value = label(matcher.name());
            let text = value.as_deref().unwrap_or_default();
            if matcher.is_negative() {
                (matcher.value().is_empty() && value.is_some()) || matcher.matches(text)
            } else {
                (matcher.value().is_empty() && value.is_none()) || (value.is_some() && matcher.matches(text))
            }
        })
    }
}

/// Writes a time with milliseconds, as the API does.
pub(super) fn millis(at: Timestamp) -> String {
    format!("{at:.3}")
}
