//! A mail: headers and parts. RFC 5322, RFC 2045 to 2047.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    name: String,
    /// `user@host`.
    pub(super) mail: String,
}

/// Reads addresses with commas: `a@b.c, "Team, Ops" <ops@b.c>`.
pub(super) fn addresses(text: &str) -> Result<Vec<Address>, String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for character in text.chars() {
        if character == '"' {
            quoted = !quoted;
        }
        if character == ',' && !quoted {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(character);
        }
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    let found: Vec<Address> = parts.map(address).collect::<Result<_, _>>()?;
    if found.is_empty() { Err("there is no address".to_owned()) } else { Ok(found) }
}

fn address(text: &str) -> Result<Address, String> {
    let (name, mail) = match text.rsplit_once('<') {
        Some((name, rest)) => (name.trim().trim_matches('"').trim(), rest.trim_end_matches('>').trim()),
        None => ("", text),
    };
    let is_address = !name.contains(char::is_control)
        && mail.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
        && !mail.contains(|character: char| {
            character.is_whitespace() || character.is_control() || "<>,;".contains(character)
        });
    if is_address {
        Ok(Address { name: name.to_owned(), mail: mail.to_owned() })
    } else {
        Err(format!("\"{text}\" is no mail address"))
    }
}

impl Address {
    fn written(&self) -> String {
        if self.name.is_empty() {
            format!("<{}>", self.mail)
        } else {
            format!("{} <{}>", phrase(&self.name), self.mail)
        }
    }
}

/// Writes a name: in quotes, or encoded when it is not ASCII.
fn phrase(name: &str) -> String {
    if name.is_ascii() { format!("\"{}\"", name.replace(['"', '\\', '\r', '\n'], "")) } else { encoded(name) }
}

pub(super) fn list(addresses: &[Address]) -> String {
    addresses.iter().map(Address::written).collect::<Vec<_>>().join(", ")
}

/// Writes a header's text: line ends are gone, what is not ASCII is encoded.
pub(super) fn header_text(text: &str) -> String {
    let one_line: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    let one_line = one_line.trim();
    // A line may not be longer than 998 bytes; words that are encoded may be folded.
    if one_line.is_ascii() && one_line.len() <= 900 { one_line.to_owned() } else { encoded(one_line) }
}

/// Encoded words of at most 75 characters, with folds between them.
fn encoded(text: &str) -> String {
    let mut words = Vec::new();
    let mut chunk = String::new();
    for character in text.chars() {
        if chunk.len() + character.len_utf8() > 45 {
            words.push(std::mem::take(&mut chunk));
        }
        chunk.push(character);
    }
    words.push(chunk);
    let words: Vec<String> = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join("\r\n ")
}

/// The body of a mail: text, HTML, or both.
pub(super) fn body(text: &str, html: &str, boundary: &str) -> String {
    let part = |kind: &str, content: &str| {
        format!(
            "Content-Type: text/{kind}; charset=UTF-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{}",
            wrapped(content.as_bytes())
        )
    };
    match (text.is_empty(), html.is_empty()) {
        (false, true) => part("plain", text),
        (true, false) => part("html", html),
        _ => format!(
            "Content-Type: multipart/alternative; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n{}--{boundary}\r\n{}--{boundary}--\r\n",
            part("plain", text),
            part("html", html)
        ),
    }
}

/// Base64 in lines of 76 characters.
fn wrapped(content: &[u8]) -> String {
    let mut out = String::with_capacity(content.len() * 3 / 2);
    for line in content.chunks(57) {
        STANDARD.encode_string(line, &mut out);
        out.push_str("\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_headers_cannot_break_out() {
        let found = addresses("a@b.c, \"Ops, Team\" <ops@b.c>,한글 <k@b.c>").unwrap();
        assert_eq!(list(&found), "<a@b.c>, \"Ops, Team\" <ops@b.c>, =?utf-8?B?7ZWc6riA?= <k@b.c>");
        for wrong in ["", "a", "a@", "a@b.c>\r\nRCPT TO:<x@y.z", "a b@c.d"] {
            assert!(addresses(wrong).is_err(), "{wrong}");
        }
        assert_eq!(header_text("a\r\nBcc: x@y.z"), "a  Bcc: x@y.z");
        assert!(header_text(&"가".repeat(100)).lines().all(|line| line.len() <= 76));
    }
}
