//! What a request asks: its parameters from the address and from a form, as typed values.

mod time;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, header};
use maru_http::{Body, BodyError, collect_limited};
use maru_promql::Range;

use crate::fault::Fault;

pub use time::parse_duration;
pub(crate) use time::{duration_text, parse_duration_ms, parse_time_ms, rfc3339_millis};

/// Bytes that a form may have.
const FORM_BYTES_MAX: usize = 10 << 20;

/// The parameters of a request: those of the form first, then those of the address, each in its order.
#[derive(Debug, Default, Clone)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads them from a request. The form counts with POST only.
    ///
    /// # Errors
    /// When one of the two cannot be decoded, or the form is too long.
    pub(crate) async fn read(parts: &Parts, body: Body) -> Result<Self, Fault> {
        let mut pairs = Vec::new();
        if parts.method == Method::POST && is_form(parts) {
            let content = read_body(body, FORM_BYTES_MAX).await?;
            let text = std::str::from_utf8(&content);
            decode(text.map_err(|_| Fault::BadData("the form is not UTF-8".to_owned()))?, &mut pairs)?;
        }
        decode(parts.uri.query().unwrap_or_default(), &mut pairs)?;
        Ok(Self(pairs))
    }

    /// Reads those of the address alone.
    ///
    /// # Errors
    /// When it cannot be decoded.
    pub(crate) fn of_address(parts: &Parts) -> Result<Self, Fault> {
        let mut pairs = Vec::new();
        decode(parts.uri.query().unwrap_or_default(), &mut pairs)?;
        Ok(Self(pairs))
    }

    /// Returns the first value of a name; the empty text counts as absent.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        found.filter(|value| !value.is_empty())
    }

    /// Goes over all values of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// Returns a moment in milliseconds since 1970.
    pub(crate) fn time(&self, name: &str) -> Result<Option<i64>, Fault> {
        self.get(name).map(|text| parse_time_ms(text).map_err(|why| Fault::parameter(name, why))).transpose()
    }

    /// Returns a length of time in milliseconds.
    pub(crate) fn duration(&self, name: &str) -> Result<Option<i64>, Fault> {
        self.get(name).map(|text| parse_duration_ms(text).map_err(|why| Fault::parameter(name, why))).transpose()
    }

    /// Returns the range between `start` and `end`; all of time by default.
    pub(crate) fn range(&self) -> Result<Range, Fault> {
        let start_ms = self.time("start")?.unwrap_or(i64::MIN);
        let end_ms = self.time("end")?.unwrap_or(i64::MAX);
        if end_ms < start_ms {
            return Err(Fault::parameter("end", "end timestamp must not be before start time"));
        }
        Ok(Range { start_ms, end_ms })
    }

    /// Returns how many results are wanted at most; `None` for all.
    pub(crate) fn limit(&self) -> Result<Option<usize>, Fault> {
        self.count("limit")
    }

    /// Returns a number that is not negative; 0 stands for no limit and is `None`.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>, Fault> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse::<i64>() {
            Ok(number) => {
                let number =
                    usize::try_from(number).map_err(|_| Fault::parameter(name, "limit must be non-negative"))?;
                Ok(Some(number).filter(|number| *number > 0))
            }
            Err(_) => Err(Fault::parameter(name, format_args!("cannot parse {text:?} to a number"))),
        }
    }
}

/// Reads a body up to a limit.
pub(crate) async fn read_body(body: Body, limit: usize) -> Result<Bytes, Fault> {
    collect_limited(body, limit).await.map_err(|error| match error {
        BodyError::TooLarge { .. } => Fault::TooLarge(error.to_string()),
        _ => Fault::BadData("the body could not be read: the sender broke off".to_owned()),
    })
}

fn is_form(parts: &Parts) -> bool {
    header_text(parts, header::CONTENT_TYPE)
        .split(';')
        .next()
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Returns a header's text; empty when it is absent or no text.
pub(crate) fn header_text(parts: &Parts, name: impl header::AsHeaderName) -> &str {
    parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn decode(text: &str, pairs: &mut Vec<(String, String)>) -> Result<(), Fault> {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        pairs.push((unescape(name)?, unescape(value)?));
    }
    Ok(())
}

/// Decodes `+` and `%41`. A `%` without two hexadecimal digits is an error, as in Go.
pub(crate) fn unescape(text: &str) -> Result<String, Fault> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => match (bytes.next().and_then(hexadecimal), bytes.next().and_then(hexadecimal)) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(Fault::BadData(format!("invalid URL escape in {text:?}"))),
            },
            other => other,
        });
    }
    String::from_utf8(out).map_err(|_| Fault::BadData(format!("{text:?} is not UTF-8 when decoded")))
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(method: &str, uri: &str, form: &str) -> Result<Parameters, Fault> {
        let request = http::Request::builder()
            .method(method)
            .uri(uri)
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(())
            .unwrap();
        Parameters::read(&request.into_parts().0, maru_http::full(form.to_owned())).await
    }

    #[tokio::test]
    async fn a_form_comes_before_the_address() {
        let parameters = read("POST", "/x?query=a&match[]=1", "query=b%2Bc+d&match%5B%5D=2").await.unwrap();
        assert_eq!(parameters.get("query"), Some("b+c d"));
        assert_eq!(parameters.all("match[]").collect::<Vec<_>>(), ["2", "1"]);
        let parameters = read("GET", "/x?query=a&empty=", "query=b").await.unwrap();
        assert_eq!((parameters.get("query"), parameters.get("empty")), (Some("a"), None));
    }

    #[tokio::test]
    async fn what_cannot_be_used_names_the_parameter() {
        assert_eq!(
            read("GET", "/x?a=%4", "").await.unwrap_err(),
            Fault::BadData("invalid URL escape in \"%4\"".into())
        );
        let parameters = read("GET", "/x?start=2&end=1&limit=-1&step=x", "").await.unwrap();
        let text = |fault: Fault| fault.to_string();
        assert_eq!(
            text(parameters.range().unwrap_err()),
            "invalid parameter \"end\": end timestamp must not be before start time"
        );
        assert_eq!(text(parameters.limit().unwrap_err()), "invalid parameter \"limit\": limit must be non-negative");
        assert_eq!(
            text(parameters.duration("step").unwrap_err()),
            "invalid parameter \"step\": cannot parse \"x\" to a valid duration"
        );
    }
}
