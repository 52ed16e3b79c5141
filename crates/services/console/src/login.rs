//! How people come in and go out: one-time links, tokens, sessions.

use std::sync::Arc;

use http::header::{COOKIE, SET_COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use maru_auth::SecretText;
use maru_http::{Body, ConnectionInfo};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access;
use crate::answer::{self, Refusal};
use crate::console::State;
use crate::guard::{self, Site};
use crate::records::random_secret;
use crate::sessions::{self, Beginning, LIFETIME, Session};

const LOGIN_BYTES_MAX: usize = 64 * 1024;
/// The browser's own name is shown to people who look at their sessions; this much of it.
const AGENT_CHARACTERS_MAX: usize = 200;

/// Returns what the browser showed as its session's cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// Gives the browser its cookie: no script reads it, no other site's page sends it.
fn set_cookie(response: &mut Response<Body>, state: &State, value: &str, seconds: u64) {
    let secure = if state.tls { "; Secure" } else { "" };
    let text = format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}", state.cookie_name);
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().insert(SET_COOKIE, value);
    }
}

fn beginning(parts: &Parts, identity: maru_auth::Identity, token: Option<SecretText>) -> Beginning {
    let agent = parts.headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let address = parts.extensions.get::<ConnectionInfo>().map(|info| info.remote.ip().to_string());
    Beginning {
        identity,
        agent: agent.chars().take(AGENT_CHARACTERS_MAX).collect(),
        address: address.unwrap_or_default(),
        token,
    }
}

/// `GET /login?code=…&next=…`. Without a code it is a path of the page, which offers to log in with a token.
pub(crate) fn link(state: &State, parts: &Parts, site: &Site) -> Result<Option<Response<Body>>, Refusal> {
    let query = parts.uri.query().unwrap_or_default();
    let value = |wanted: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == wanted)
            .map(|(_, value)| percent_encoding::percent_decode_str(value).decode_utf8_lossy().into_owned())
    };
    let Some(code) = value("code") else { return Ok(None) };
    // What only looks ahead must not use the link up.
    if parts.method != Method::GET || parts.headers.get("sec-purpose").is_some() {
        return Ok(Some(sealed(answer::empty(StatusCode::FORBIDDEN))));
    }
    let next = value("next");
    let next = guard::local_path(next.as_deref());
    if let Some(identity) = state.links.take(&code)? {
        let secret = state.sessions.begin(beginning(parts, identity, None))?;
        let mut response = sealed(answer::redirect(next));
        set_cookie(&mut response, state, secret.reveal(), LIFETIME.as_secs());
        return Ok(Some(response));
    }
    // A used link is only somebody's own reload, or a way back in the browser's history.
    if session(state, &parts.headers).is_some() {
        return Ok(Some(sealed(answer::redirect(next))));
    }
    let nonce = random_secret().reveal().to_owned();
    let mut response = answer::page(
        StatusCode::FORBIDDEN,
        &nonce,
        "This link does not work any more",
        &[
            "A login link works once, and not for long. Print a new one on the machine where Maru runs: \
             <code>sudo maru console link</code>",
            "<span lang=\"ko\">로그인 링크는 한 번만, 정해진 시간 안에만 쓸 수 있습니다. Maru가 실행 중인 서버에서 \
             <code>sudo maru console link</code>로 새 링크를 받으세요.</span>",
            "<a href=\"/\">Log in with a token · 토큰으로 로그인</a>",
        ],
    );
    guard::seal(response.headers_mut(), Some(&guard::page_policy(site, &nonce)));
    Ok(Some(response))
}

fn sealed(mut response: Response<Body>) -> Response<Body> {
    guard::seal(response.headers_mut(), None);
    response
}

/// Returns the session of a request.
pub(crate) fn session(state: &State, headers: &HeaderMap) -> Option<Arc<Session>> {
    state.sessions.find(cookie(headers, &state.cookie_name)?)
}

#[derive(Deserialize)]
struct TokenLogin {
    token: String,
}

/// Answers below `/console/v1`.
pub(crate) async fn console(state: &Arc<State>, request: Request<Body>) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix("/console/v1/").unwrap_or_default().to_owned();
    let session = || session(state, &parts.headers).ok_or_else(Refusal::no_session);
    match (path.as_str(), parts.method.as_str()) {
        ("session", "GET" | "HEAD") => Ok(answer::json(StatusCode::OK, &about(state, &*session()?).await)),
        ("login", "POST") => with_token(state, &parts, body).await,
        ("logout", "POST") => {
            if let Some(cookie) = cookie(&parts.headers, &state.cookie_name) {
                state.sessions.end_by_cookie(cookie)?;
            }
            Ok(expired(state))
        }
        ("sessions", "GET" | "HEAD") => {
            let own = session()?;
            let list: Vec<Value> = state
                .sessions
                .of_user(&own.record.user)
                .iter()
                .map(|one| {
                    json!({
                        "id": one.record.id, "user": one.record.user, "created": one.record.created, "expires": one.record.expires,
                        "agent": one.record.agent, "address": one.record.address,
                        "kind": if one.record.by_token { "token" } else { "link" },
                        "current": one.record.id == own.record.id,
                    })
                })
                .collect();
            Ok(answer::json(StatusCode::OK, &json!({"items": list})))
        }
        ("sessions", "DELETE") => {
            let ended = state.sessions.end_of_user(&session()?.record.user, None)?;
            let mut response = expired(state);
            *response.status_mut() = StatusCode::OK;
            *response.body_mut() = maru_http::full(json!({"ended": ended}).to_string());
            Ok(response)
        }
        (path, "DELETE") if path.strip_prefix("sessions/").is_some_and(|id| !id.is_empty()) => {
            let id = path.strip_prefix("sessions/").unwrap_or_default();
            match state.sessions.end_of_user(&session()?.record.user, Some(id))? {
                0 => Err(Refusal::new(StatusCode::NOT_FOUND, format!("you have no session \"{id}\""))),
                ended => Ok(answer::json(StatusCode::OK, &json!({"ended": ended}))),
            }
        }
        ("session" | "login" | "logout" | "sessions", method) => {
            Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not possible here")))
        }
        _ => Err(Refusal::new(StatusCode::NOT_FOUND, format!("there is nothing at \"/console/v1/{path}\""))),
    }
}

fn expired(state: &State) -> Response<Body> {
    let mut response = answer::empty(StatusCode::NO_CONTENT);
    set_cookie(&mut response, state, "", 0);
    response
}

/// What the page must know about whoever looks at it.
async fn about(state: &State, session: &Session) -> Value {
    let mut rooms = serde_json::Map::new();
    for room in &state.rooms {
        let may = match room.access.verb(&Method::GET, "/") {
            Some(verb) => access::may(&state.api, session, &room.role_path, verb).await,
            None => true,
        };
        if may {
            rooms.insert(room.name.clone(), room.prefix.clone().into());
        }
    }
    json!({
        "id": session.record.id, "user": session.identity.user, "groups": session.identity.groups,
        "created": session.record.created, "expires": session.record.expires,
        "kind": if session.record.by_token { "token" } else { "link" },
        "version": state.version, "instance": state.machine, "time": state.clock.now(),
        "rooms": rooms, "secretsMasked": true,
    })
}

async fn with_token(state: &Arc<State>, parts: &Parts, body: Body) -> Result<Response<Body>, Refusal> {
    let content = maru_http::collect_limited(body, LOGIN_BYTES_MAX).await;
    let login = content.ok().and_then(|content| serde_json::from_slice::<TokenLogin>(&content).ok());
    let Some(login) = login.filter(|login| !login.token.trim().is_empty()) else {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "send {\"token\": \"…\"} as JSON"));
    };
    let token = SecretText::new(login.token.trim().to_owned());
    let identity = sessions::review(&state.client, &token).await.map_err(|error| {
        tracing::error!(error, "a token could not be checked");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the token could not be checked; try again")
    })?;
    let Some(identity) = identity else {
        return Err(Refusal::new(StatusCode::UNAUTHORIZED, "the API does not accept this token"));
    };
    let secret = state.sessions.begin(beginning(parts, identity, Some(token)))?;
    let session = state.sessions.find(secret.reveal()).ok_or_else(Refusal::no_session)?;
    let mut response = answer::json(StatusCode::OK, &about(state, &session).await);
    set_cookie(&mut response, state, secret.reveal(), LIFETIME.as_secs());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; maru-session-x=s=1; b=2"));
        headers.append(COOKIE, HeaderValue::from_static("c=3"));
        assert_eq!(cookie(&headers, "maru-session-x"), Some("s=1"));
        assert_eq!(cookie(&headers, "c"), Some("3"));
        assert_eq!(cookie(&headers, "session-x"), None);
    }
}
