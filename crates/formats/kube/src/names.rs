//! Rules for names, labels and annotations, with the messages Kubernetes gives.
//!
//! Each check returns what is wrong, in words that end a Status cause; nothing when the text is fine.
//! Source: RFC 1035 §2.3.1, RFC 1123 §2.1; Kubernetes "Object Names and IDs", "Labels and Selectors".

/// Longest DNS label, in bytes.
pub const LABEL_BYTES_MAX: usize = 63;
/// Longest DNS subdomain, in bytes.
pub const SUBDOMAIN_BYTES_MAX: usize = 253;
/// Most bytes of all annotations of an object together.
pub const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

const DNS1123_LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const DNS1123_SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const DNS1035_LABEL: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED_NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const PORT_NAME: &str = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";

fn too_long(text: &str, bytes_max: usize) -> Option<String> {
    (text.len() > bytes_max).then(|| format!("must be no more than {bytes_max} characters"))
}

fn is_lower_alphanumeric(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn has_dns_label_form(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|&b| is_lower_alphanumeric(b) || b == b'-')
        && bytes.first().copied().is_some_and(is_lower_alphanumeric)
        && bytes.last().copied().is_some_and(is_lower_alphanumeric)
}

fn has_qualified_form(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
}

/// Checks a DNS-1123 label: names of namespaces, containers, volumes.
#[must_use]
pub fn check_dns1123_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::from_iter(too_long(text, LABEL_BYTES_MAX));
    if !has_dns_label_form(text) {
        let is_subdomain = text.split('.').all(has_dns_label_form);
        wrong.push(if is_subdomain { "must not contain dots" } else { DNS1123_LABEL }.to_owned());
    }
    wrong
}

/// Checks a DNS-1123 subdomain: the name of nearly every object.
#[must_use]
pub fn check_dns1123_subdomain(text: &str) -> Vec<String> {
    let mut wrong = Vec::from_iter(too_long(text, SUBDOMAIN_BYTES_MAX));
    if !text.split('.').all(has_dns_label_form) {
        wrong.push(DNS1123_SUBDOMAIN.to_owned());
    }
    wrong
}

/// Checks a DNS-1035 label: the name of a Service.
#[must_use]
pub fn check_dns1035_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::from_iter(too_long(text, LABEL_BYTES_MAX));
    if !has_dns_label_form(text) || !text.as_bytes().first().is_some_and(u8::is_ascii_lowercase) {
        wrong.push(DNS1035_LABEL.to_owned());
    }
    wrong
}

/// Checks a name that is one segment of a URL path: names of roles and bindings.
#[must_use]
pub fn check_path_segment(text: &str) -> Vec<String> {
    if text == "." || text == ".." {
        return vec![format!("may not be '{text}'")];
    }
    ['/', '%'].iter().filter(|c| text.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// Checks a qualified name such as `app.kubernetes.io/name`: keys of labels and annotations, finalizers, resource names.
#[must_use]
pub fn check_qualified_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = match text.split_once('/') {
        None => text,
        Some((_, name)) if name.contains('/') => {
            let form = QUALIFIED_NAME.replacen("name part", "a valid label key", 1);
            return vec![format!("{form} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')")];
        }
        Some(("", name)) => {
            wrong.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            wrong.extend(check_dns1123_subdomain(prefix).into_iter().map(|why| format!("prefix part {why}")));
            name
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_BYTES_MAX {
        wrong.push(format!("name part must be no more than {LABEL_BYTES_MAX} bytes"));
    }
    if !has_qualified_form(name) {
        wrong.push(QUALIFIED_NAME.to_owned());
    }
    wrong
}

/// Checks a label's value; the empty text is fine.
#[must_use]
pub fn check_label_value(text: &str) -> Vec<String> {
    let is_too_long = text.len() > LABEL_BYTES_MAX;
    let mut wrong = Vec::from_iter(is_too_long.then(|| format!("must be no more than {LABEL_BYTES_MAX} bytes")));
    if !text.is_empty() && !has_qualified_form(text) {
        wrong.push(LABEL_VALUE.to_owned());
    }
    wrong
}

/// Checks a key of a ConfigMap's or Secret's data.
#[must_use]
pub fn check_config_key(text: &str) -> Vec<String> {
    let mut wrong = Vec::from_iter(too_long(text, SUBDOMAIN_BYTES_MAX));
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.')) {
        wrong.push(CONFIG_KEY.to_owned());
    }
    match text {
        "." => wrong.push("must not be '.'".to_owned()),
        ".." => wrong.push("must not be '..'".to_owned()),
        _ if text.starts_with("..") => wrong.push("must not start with '..'".to_owned()),
        _ => {}
    }
    wrong
}

/// Checks the name of a port (IANA service name, RFC 6335 §5.1).
#[must_use]
pub fn check_port_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 15 {
        wrong.push("must be no more than 15 characters".to_owned());
    }
    if text.is_empty() || !text.bytes().all(|b| is_lower_alphanumeric(b) || b == b'-') {
        wrong.push(PORT_NAME.to_owned());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        wrong.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        wrong.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        wrong.push("must not begin or end with a hyphen".to_owned());
    }
    wrong
}

/// Tells whether a text is a DNS-1123 label.
#[must_use]
pub fn is_dns1123_label(text: &str) -> bool {
    check_dns1123_label(text).is_empty()
}

/// Tells whether a text is a DNS-1123 subdomain.
#[must_use]
pub fn is_dns1123_subdomain(text: &str) -> bool {
    check_dns1123_subdomain(text).is_empty()
}

/// Tells whether a text is a DNS-1035 label.
#[must_use]
pub fn is_dns1035_label(text: &str) -> bool {
    check_dns1035_label(text).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names() {
        for good in ["a", "0", "my-name", "123-abc", &"a".repeat(63)] {
            assert!(is_dns1123_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ä", &"a".repeat(64)] {
            assert!(!is_dns1123_label(bad), "{bad}");
        }
        assert!(is_dns1123_subdomain("a.b-c.1"));
        assert!(!is_dns1123_subdomain("a..b"));
        assert!(is_dns1035_label("web"));
        assert!(!is_dns1035_label("1web"));
    }

    #[test]
    fn qualified_names_and_label_values() {
        for good in ["a", "A.b_c-d", "example.com/Name"] {
            assert!(check_qualified_name(good).is_empty(), "{good}");
        }
        assert_eq!(check_qualified_name("/x"), ["prefix part must be non-empty"]);
        assert_eq!(check_qualified_name("a/b/c").len(), 1);
        assert_eq!(check_qualified_name("")[0], "name part must be non-empty");
        assert!(check_label_value("").is_empty());
        assert!(check_label_value("v1.2_x").is_empty());
        assert!(!check_label_value("-").is_empty());
        assert_eq!(check_label_value(&"x".repeat(64)), ["must be no more than 63 bytes"]);
    }

    #[test]
    fn keys_ports_and_segments() {
        assert!(check_config_key(".env").is_empty());
        assert_eq!(check_config_key("..x"), ["must not start with '..'"]);
        assert!(check_port_name("http-2").is_empty());
        assert_eq!(check_port_name("80"), ["must contain at least one letter (a-z)"]);
        assert_eq!(check_path_segment("a/b"), ["may not contain '/'"]);
        assert!(check_path_segment("system:node").is_empty());
    }
}
