//! Silences: made, changed, ended, listed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use maru_prom::{Matcher, MatcherOperator};
use maru_time::Timestamp;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::requests::{Query, millis};
use super::{Answer, Reply};
use crate::service::Shared;
use crate::silence::{Silence, SilenceError, SilenceState};

#[derive(Debug, Deserialize)]
struct PostedMatcher {
    name: Option<String>,
    value: Option<String>,
    #[serde(rename = "isRegex")]
    is_regex: Option<bool>,
    #[serde(rename = "isEqual")]
    is_equal: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct PostedSilence {
    id: Option<String>,
    matchers: Option<Vec<PostedMatcher>>,
    #[serde(rename = "startsAt")]
    starts_at: Option<Timestamp>,
    #[serde(rename = "endsAt")]
    ends_at: Option<Timestamp>,
    #[serde(rename = "createdBy")]
    created_by: Option<String>,
    comment: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

fn missing(name: &str) -> Reply {
    Reply::malformed(StatusCode::UNPROCESSABLE_ENTITY, 602, format!("silence.{name} in body is required"))
}

fn read(body: &[u8]) -> Result<Silence, Reply> {
    let posted: PostedSilence = serde_json::from_slice(body).map_err(|error| {
        let why = format!("parsing silence body from \"\" failed, because {error}");
        Reply::malformed(StatusCode::BAD_REQUEST, 400, why)
    })?;
    let mut matchers = Vec::new();
    for (index, one) in posted.matchers.ok_or_else(|| missing("matchers"))?.into_iter().enumerate() {
        let name = one.name.ok_or_else(|| missing(&format!("matchers.{index}.name")))?;
        let value = one.value.ok_or_else(|| missing(&format!("matchers.{index}.value")))?;
        let is_regex = one.is_regex.ok_or_else(|| missing(&format!("matchers.{index}.isRegex")))?;
        let operator = match (is_regex, one.is_equal.unwrap_or(true)) {
            (false, true) => MatcherOperator::Equal,
            (false, false) => MatcherOperator::NotEqual,
            (true, true) => MatcherOperator::Matches,
            (true, false) => MatcherOperator::NotMatches,
        };
        let refuse = |why: String| Reply::refuse(StatusCode::BAD_REQUEST, format!("invalid silence: {why}"));
        if name.is_empty() {
            return Err(refuse("invalid label matcher 0: invalid label name \"\"".to_owned()));
        }
        matchers.push(Matcher::new(&name, operator, &value).map_err(|error| refuse(error.to_string()))?);
    }
    // The order of writing has no meaning: a change is compared with what is known.
    matchers.sort_by(|left, right| (left.name(), left.value()).cmp(&(right.name(), right.value())));
    let starts_at = posted.starts_at.ok_or_else(|| missing("startsAt"))?;
    Ok(Silence {
        id: posted.id.unwrap_or_default(),
        matchers,
        starts_at,
        ends_at: posted.ends_at.ok_or_else(|| missing("endsAt"))?,
        updated_at: starts_at,
        created_by: posted.created_by.ok_or_else(|| missing("createdBy"))?,
        comment: posted.comment.ok_or_else(|| missing("comment"))?,
        annotations: posted.annotations.unwrap_or_default(),
    })
}

/// Takes a silence.
pub(super) async fn post(shared: &Arc<Shared>, body: &[u8]) -> Answer {
    let silence = read(body)?;
    let now = shared.now();
    let refuse = |why: &str| Reply::refuse(StatusCode::BAD_REQUEST, why);
    if silence.ends_at <= silence.starts_at {
        return Err(refuse("failed to create silence: start time must be before end time"));
    }
    if silence.ends_at < now {
        return Err(refuse("failed to create silence: end time can't be in the past"));
    }
    let set = shared.engine().set_silence(silence, maru_ids::new_uid, now);
    let id = set.map_err(|error| match &error {
        SilenceError::NotFound(_) => Reply::refuse(StatusCode::NOT_FOUND, error.to_string()),
        SilenceError::Invalid(_) | SilenceError::Expired(_) => refuse(&error.to_string()),
    })?;
    remember(shared).await?;
    Ok(Reply::json(&json!({"silenceID": id})))
}

/// A silence that is not on the disk must not look as if it were.
async fn remember(shared: &Arc<Shared>) -> Result<(), Reply> {
    let written = shared.remember().await;
    written.map_err(|error| {
        Reply::refuse(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the silence holds but could not be written down: {error}"),
        )
    })
}

fn id(text: &str) -> Result<&str, Reply> {
    let is_uuid = text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if is_uuid {
        return Ok(text);
    }
    Err(Reply::malformed(
        StatusCode::UNPROCESSABLE_ENTITY,
        601,
        format!("silenceID in path must be of type uuid: {text:?}"),
    ))
}

fn not_found() -> Reply {
    Reply { status: StatusCode::NOT_FOUND, ..Reply::empty() }
}

pub(super) fn get(shared: &Arc<Shared>, text: &str) -> Answer {
    let id = id(text)?;
    let now = shared.now();
    let engine = shared.engine();
    engine.silence(id).map(|silence| Reply::json(&silence_json(silence, now))).ok_or_else(not_found)
}

pub(super) async fn delete(shared: &Arc<Shared>, text: &str) -> Answer {
    let id = id(text)?;
    let now = shared.now();
    let expired = shared.engine().expire_silence(id, now);
    expired.map_err(|error| match error {
        SilenceError::NotFound(_) => not_found(),
        SilenceError::Invalid(_) | SilenceError::Expired(_) => {
            Reply::refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
        }
    })?;
    remember(shared).await?;
    Ok(Reply::empty())
}

pub(super) fn list(shared: &Arc<Shared>, query: &Query) -> Answer {
    let filter = query.filter()?;
    let wanted = [
        (SilenceState::Active, query.flag("active")?),
        (SilenceState::Pending, query.flag("pending")?),
        (SilenceState::Expired, query.flag("expired")?),
    ];
    let now = shared.now();
    let engine = shared.engine();
    let mut found: Vec<&Silence> = engine
        .silences()
        .filter(|silence| {
            let label = |name: &str| {
                let matcher = silence.matchers.iter().find(|matcher| matcher.name() == name);
                matcher.map(|matcher| Cow::Borrowed(matcher.value()))
            };
            wanted.contains(&(silence.state(now), true)) && filter.takes_with(label)
        })
        .collect();
    // Those that hold first, the one that ends next at the top; those that are over last, the newest at the top.
    found.sort_by_key(|silence| {
        let state = silence.state(now);
        let key = match state {
            SilenceState::Active => silence.ends_at.as_millisecond(),
            SilenceState::Pending => silence.starts_at.as_millisecond(),
            SilenceState::Expired => -silence.ends_at.as_millisecond(),
        };
        (state, key)
    });
    Ok(Reply::json(&found.into_iter().map(|silence| silence_json(silence, now)).collect()))
}

fn silence_json(silence: &Silence, now: Timestamp) -> Json {
    let matchers: Vec<Json> = silence
        .matchers
        .iter()
        .map(|matcher| {
            json!({
                "isEqual": !matcher.is_negative(),
                "isRegex": matches!(matcher.operator(), MatcherOperator::Matches | MatcherOperator::NotMatches),
                "name": matcher.name(),
                "value": matcher.value(),
            })
        })
        .collect();
    let mut json = json!({
        "id": silence.id,
        "status": {"state": silence.state(now).name()},
        "updatedAt": millis(silence.updated_at),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": millis(silence.ends_at),
        "matchers": matchers,
        "startsAt": millis(silence.starts_at),
    });
    if !silence.annotations.is_empty() {
        json["annotations"] = json!(silence.annotations);
    }
    json
}
