//! A configuration to be shown: without its secrets.

use maru_yaml::{ParseLimits, parse_with};
use serde_json::Value as Json;

/// Fields whose values are secrets; those that end with one of them too.
const SECRET_FIELDS: [&str; 13] = [
    "password",
    "auth_secret",
    "secrets",
    "token",
    "credentials",
    "routing_key",
    "api_key",
    "slack_api_url",
    "webhook_url",
    "api_url",
    "cert",
    "key",
    "password_hash",
];

/// Returns the configuration as YAML with `<secret>` in place of secrets. Addresses of webhooks let anybody post: only
/// their hosts are shown.
pub(crate) fn masked(text: &str) -> String {
    let limits = ParseLimits { aliases: 1000, ..ParseLimits::default() };
    let Ok(tree) = parse_with(text, limits) else { return String::new() };
    let mut value = tree.to_value();
    hide(&mut value, "");
    serde_saphyr::to_string(&value).unwrap_or_default()
}

fn is_secret(name: &str) -> bool {
    SECRET_FIELDS
        .iter()
        .any(|field| name.strip_suffix(field).is_some_and(|rest| rest.is_empty() || rest.ends_with('_')))
}

fn hide(value: &mut Json, of: &str) {
    match value {
        Json::Object(map) => {
            for (name, value) in map {
                match value {
                    // Telegram's is only a server; everything else that ends so holds a key.
                    Json::String(text)
                        if name == "telegram_api_url" || (name == "api_url" && of == "telegram_configs") =>
                    {
                        *text = host_only(text);
                    }
                    Json::String(text) if name == "url" && of == "webhook_configs" => *text = host_only(text),
                    Json::String(text) if is_secret(name) => "<secret>".clone_into(text),
                    Json::Number(_) if is_secret(name) => *value = Json::from("<secret>"),
                    Json::Array(list) if name == "secrets" => {
                        list.iter_mut().for_each(|one| *one = Json::from("<secret>"))
                    }
                    other => hide(other, name),
                }
            }
        }
        Json::Array(list) => list.iter_mut().for_each(|item| hide(item, of)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn host_only(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "<secret>".to_owned() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    if path.is_empty() { format!("{scheme}://{host}/") } else { format!("{scheme}://{host}/<secret>") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let text = "global:\n  smtp_auth_password: 'hunter2'\n  slack_api_url: https://h/hunter2\n  smtp_smarthost: a:25\nreceivers:\n- name: x\n  webhook_configs:\n  - url: http://u:hunter2@host:1/hunter2\n    http_config: {basic_auth: {username: u, password: hunter2}, tls_config: {key_file: /k}}\n  - url_file: /path\n  pagerduty_configs:\n  - routing_key: |\n      hunter2\n    severity: info\n";
        let shown = masked(text);
        assert!(!shown.contains("hunter2"), "{shown}");
        for kept in [
            "smtp_smarthost: a:25",
            "url_file: /path",
            "severity: info",
            "username: u",
            "http://host:1/<secret>",
            "key_file: /k",
        ] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
    }
}
