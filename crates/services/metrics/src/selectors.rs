//! Selectors of series as parameters: `match[]=up{job="x"}`.

use maru_prom::Matcher;
use maru_promql::parse_selector;

use crate::fault::Fault;
use crate::request::Parameters;

/// Reads all `match[]` parameters.
pub(crate) fn read(parameters: &Parameters) -> Result<Vec<Vec<Matcher>>, Fault> {
    let parsed = parameters.all("match[]").map(|text| {
        let matchers = parse_selector(text).map_err(|errors| Fault::parameter("match[]", errors))?;
        if matchers.iter().all(|matcher| matcher.matches("")) {
            return Err(Fault::parameter("match[]", "match[] must contain at least one non-empty matcher"));
        }
        Ok(matchers)
    });
    parsed.collect()
}

/// Reads all `match[]` parameters, of which there must be one.
pub(crate) fn required(parameters: &Parameters) -> Result<Vec<Vec<Matcher>>, Fault> {
    let selectors = read(parameters)?;
    if selectors.is_empty() {
        return Err(Fault::BadData("no match[] parameter provided".to_owned()));
    }
    Ok(selectors)
}
