//! Selectors of series as parameters: `match[]=up{job="x"}`.

use maru_prom::Matcher;
use maru_promql::{Expression, ParseOptions, parse};

use crate::fault::Fault;
use crate::request::Parameters;

/// Reads all `match[]` parameters.
pub(crate) fn read(parameters: &Parameters) -> Result<Vec<Vec<Matcher>>, Fault> {
    parameters.all("match[]").map(|text| one(text).map_err(|why| Fault::parameter("match[]", why))).collect()
}

/// Reads all `match[]` parameters, of which there must be one.
pub(crate) fn required(parameters: &Parameters) -> Result<Vec<Vec<Matcher>>, Fault> {
    let selectors = read(parameters)?;
    if selectors.is_empty() {
        return Err(Fault::BadData("no match[] parameter provided".to_owned()));
    }
    Ok(selectors)
}

/// Reads one selector.
fn one(text: &str) -> Result<Vec<Matcher>, String> {
    let expression = parse(text, &ParseOptions::default()).map_err(|errors| errors.to_string())?;
    match expression {
        Expression::Vector(selector) if selector.at.is_none() && selector.offset.is_zero() => Ok(selector.matchers),
        _ => Err(format!("{text:?} is no selector of series; write for example up{{job=\"api\"}}")),
    }
}
