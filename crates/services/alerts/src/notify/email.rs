//! Mail: what a message looks like, and to whom it goes.

use std::fmt::Write as _;

use maru_monitoring::alerting::EmailConfig;
use maru_template::{Escape, Library};
use maru_time::rfc3339_seconds;

use super::{Failure, mime, smtp};
use crate::message::Message;

/// Sends a message as mail.
pub(super) async fn send(message: &Message, config: &EmailConfig, library: &Library) -> Result<String, Failure> {
    let render = |text: &str| message.render(text, library, Escape::None);
    let wrong = |field: &str, why: String| Failure::lasting(format!("\"{field}\": {why}"));
    let from = mime::addresses(&render(&config.from)?).map_err(|why| wrong("from", why))?;
    let to = mime::addresses(&render(&config.to)?).map_err(|why| wrong("to", why))?;
    let [sender] = from.as_slice() else { return Err(wrong("from", "it must be one address".to_owned())) };
    let own = |name: &str| config.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
    let mut mail = String::new();
    let mut add = |name: &str, value: &str| write!(mail, "{name}: {value}\r\n").expect("a text takes all");
    if own("From").is_none() {
        add("From", &mime::list(&from));
    }
    if own("To").is_none() {
        add("To", &mime::list(&to));
    }
    if own("Subject").is_none() {
        add("Subject", &mime::header_text(&render("{{ template \"email.default.subject\" . }}")?));
    }
    for (name, value) in &config.headers {
        let rendered = render(value)?;
        let is_addresses = matches!(name.to_ascii_lowercase().as_str(), "from" | "to" | "cc" | "reply-to" | "sender");
        let value = match mime::addresses(&rendered) {
            Ok(addresses) if is_addresses => mime::list(&addresses),
            _ => mime::header_text(&rendered),
        };
        if name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
            add(name, &value);
        }
    }
    let host = sender.mail.rsplit_once('@').map_or("localhost", |(_, host)| host);
    if let Some(by_day) = config.threading {
        let day = if by_day { rfc3339_seconds(message.now).chars().take(10).collect() } else { String::new() };
        let thread = crate::ids::hash_hex(format!("{}{day}", message.group_key).as_bytes());
        let root = format!("<alert-{thread}@{host}>");
        add("References", &root);
        add("In-Reply-To", &root);
    }
    if own("Message-Id").is_none() {
        add("Message-Id", &format!("<{}@{host}>", maru_ids::new_uid()));
    }
    if own("Date").is_none() {
        let date = maru_template::format_time(
            &message.now.to_zoned(jiff::tz::TimeZone::UTC),
            "Mon, 02 Jan 2006 15:04:05 -0700",
        );
        add("Date", &date);
    }
    add("MIME-Version", "1.0");
    let text = render(&config.text)?;
    let html = message.render(&config.html, library, Escape::Html)?;
    mail.push_str(&mime::body(&text, &html, &maru_ids::random_suffix(30)));
    let receivers: Vec<String> = to.into_iter().map(|address| address.mail).collect();
    smtp::send(config, &sender.mail, &receivers, &mail).await
}
