//! A configuration to be shown: without its secrets.

/// Names of fields whose values are not shown; those that end with one of them too.
const SECRET_FIELDS: [&str; 12] = [
    "password",
    "secret",
    "token",
    "credentials",
    "routing_key",
    "service_key",
    "api_key",
    "slack_api_url",
    "webhook_url",
    "api_url",
    "cert",
    "key",
];

/// Returns the text with `<secret>` in place of what follows a secret's name. Addresses of webhooks are secrets too: they
/// let anybody post.
pub(crate) fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // The depth of a secret whose value is on lines of its own.
    let mut block: Option<usize> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if let Some(depth) = block {
            if indent > depth || line.trim().is_empty() {
                continue;
            }
            block = None;
        }
        match secret_at(line) {
            Some(end) => {
                out.push_str(line.get(..end).unwrap_or_default());
                out.push_str(" <secret>");
                // What follows in a flow of braces must stay readable as YAML.
                if line.trim_end().ends_with('}') {
                    out.push('}');
                }
                block = Some(indent);
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// Returns where the value begins, after the colon of a secret's name.
fn secret_at(line: &str) -> Option<usize> {
    for (colon, _) in line.match_indices(':') {
        let before = line.get(..colon)?.trim_end().trim_end_matches(['"', '\'']);
        let start = before.rfind(|character: char| !(character.is_ascii_alphanumeric() || character == '_'));
        let name = before.get(start.map_or(0, |start| start + 1)..)?;
        let after = line.get(colon + 1..)?;
        let is_field = after.is_empty() || after.starts_with(' ');
        let in_webhook = name == "url" && !after.trim().is_empty();
        let is_secret = SECRET_FIELDS.iter().any(|field| name == *field || name.ends_with(&format!("_{field}")));
        if is_field && (is_secret || in_webhook) && !name.ends_with("_file") && !name.contains("key_file") {
            return Some(colon + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let text = "global:\n  smtp_auth_password: 'hunter2'\n  slack_api_url: https://h/secret\n  smtp_smarthost: a:25\nreceivers:\n- name: x\n  webhook_configs:\n  - url: http://u/secret\n    url_file: /path\n    http_config: {basic_auth: {username: u, password: secret}}\n  pagerduty_configs:\n  - routing_key: |\n      secret\n    severity: info\n";
        let shown = masked(text);
        assert!(!shown.contains("hunter2") && !shown.contains("/secret") && !shown.contains("      secret"), "{shown}");
        assert!(!shown.contains("password: secret"), "{shown}");
        for kept in ["smtp_smarthost: a:25", "url_file: /path", "severity: info", "username: u"] {
            assert!(shown.contains(kept), "{kept}: {shown}");
        }
    }
}
