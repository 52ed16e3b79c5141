//! Credentials from docker's configuration file, and the challenges that registries answer with.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use serde::Deserialize;

use crate::error::ImageError;

/// What is shown to a registry or to its token service.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    Basic {
        username: String,
        password: String,
    },
    /// A token that buys other tokens.
    Identity(String),
    Bearer(String),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("***")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerAuth>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct DockerAuth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

/// Finds the credentials for a registry in a docker configuration file; none when the file or the entry is not there.
pub(crate) fn from_docker_config(path: &Path, registry: &str) -> Result<Option<Secret>, ImageError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(crate::error::io_error("read", path)(error)),
    };
    parse(&bytes, registry).map_err(|problem| ImageError::Malformed { what: path.display().to_string(), problem })
}

/// Decides on the file's content.
pub(crate) fn parse(bytes: &[u8], registry: &str) -> Result<Option<Secret>, String> {
    let config: DockerConfig = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let is_it = |key: &str| {
        let host = key.split_once("://").map_or(key, |(_, rest)| rest).split('/').next().unwrap_or(key);
        host == registry || (registry == "docker.io" && matches!(host, "index.docker.io" | "registry-1.docker.io"))
    };
    let entry = config.auths.iter().find(|(key, _)| is_it(key)).map(|(_, entry)| entry);
    if let Some(entry) = entry {
        if !entry.identitytoken.is_empty() {
            return Ok(Some(Secret::Identity(entry.identitytoken.clone())));
        }
        if !entry.username.is_empty() {
            return Ok(Some(Secret::Basic { username: entry.username.clone(), password: entry.password.clone() }));
        }
        if !entry.auth.is_empty() {
            let wrong = || format!("the auth of {registry} is not base64 of user:password");
            let plain = base64::engine::general_purpose::STANDARD.decode(&entry.auth).map_err(|_| wrong())?;
            let plain = String::from_utf8(plain).map_err(|_| wrong())?;
            let (username, password) = plain.split_once(':').ok_or_else(wrong)?;
            return Ok(Some(Secret::Basic {
                username: username.to_owned(),
                password: password.trim_end_matches('\0').to_owned(),
            }));
        }
    }
    let helper = config.cred_helpers.iter().find(|(key, _)| is_it(key)).map(|(_, helper)| helper.clone());
    // An empty entry means that the credential store has it.
    match helper.or_else(|| config.creds_store.clone().filter(|_| entry.is_some())) {
        Some(helper) => Err(format!(
            "the credentials of {registry} are in the credential helper \"{helper}\", which is not supported; put them into auths"
        )),
        None => Ok(None),
    }
}

/// What a registry wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    Basic,
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

/// Reads a `WWW-Authenticate` header (RFC 9110 §11.6.1).
pub(crate) fn challenge(header: &str) -> Option<Challenge> {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut found = BTreeMap::new();
    let mut rest = rest.trim();
    while let Some((key, after)) = rest.split_once('=') {
        let (value, next) = if let Some(quoted) = after.strip_prefix('"') {
            let (value, next) = quoted.split_once('"')?;
            (value, next.trim_start().trim_start_matches(','))
        } else {
            after.split_once(',').unwrap_or((after, ""))
        };
        found.insert(key.trim().to_ascii_lowercase(), value.to_owned());
        rest = next.trim_start();
    }
    Some(Challenge::Bearer {
        realm: found.remove("realm")?,
        service: found.remove("service"),
        scope: found.remove("scope"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        assert_eq!(
            challenge(
                r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#
            ),
            Some(Challenge::Bearer {
                realm: "https://auth.example/token".into(),
                service: Some("registry.example".into()),
                scope: Some("repository:a/b:pull,push".into())
            })
        );
        assert_eq!(challenge("Basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(challenge("Digest x"), None);
        assert_eq!(challenge("Bearer service=x"), None);
    }

    #[test]
    fn credentials_are_found_under_every_spelling() {
        let config = br#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpwOncK"},"r.example:5000":{"username":"a","password":"b"},"i.example":{"identitytoken":"t"},"s.example":{}},"credsStore":"desktop"}"#;
        assert_eq!(
            parse(config, "docker.io").unwrap(),
            Some(Secret::Basic { username: "u".into(), password: "p:w\n".into() })
        );
        assert_eq!(
            parse(config, "r.example:5000").unwrap(),
            Some(Secret::Basic { username: "a".into(), password: "b".into() })
        );
        assert_eq!(parse(config, "i.example").unwrap(), Some(Secret::Identity("t".into())));
        assert_eq!(parse(config, "r.example").unwrap(), None);
        assert!(parse(config, "s.example").unwrap_err().contains("desktop"));
        assert_eq!(format!("{:?}", Secret::Bearer("x".into())), "***");
    }
}
