//! As much XML as reports need: elements, attributes, text. No document types, so no entities of others and no inclusions.
//!
//! Source: Extensible Markup Language 1.0, fifth edition.

use std::borrow::Cow;

const DEPTH_MAX: usize = 64;
const ATTRIBUTES_MAX: usize = 64;

/// What comes next in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// An element begins.
    Open { name: &'a str, attributes: Vec<(&'a str, Cow<'a, str>)> },
    /// The innermost element ends.
    Close,
    /// Text inside an element.
    Text(Cow<'a, str>),
}

/// Reads a document from its beginning to its end.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    all: usize,
    rest: &'a str,
    open: Vec<&'a str>,
    /// An element that ended where it began.
    closes: bool,
    has_root: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(document: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(document)
            .map_err(|error| format!("byte {} is not UTF-8; write the report in UTF-8", error.valid_up_to()))?;
        let rest = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(Self { all: rest.len(), rest, open: Vec::new(), closes: false, has_root: false })
    }

    /// Returns the next event; none at the end of a document that is whole.
    pub(super) fn next(&mut self) -> Result<Option<Event<'a>>, String> {
        loop {
            if std::mem::take(&mut self.closes) {
                self.open.pop();
                return Ok(Some(Event::Close));
            }
            if self.rest.is_empty() {
                return match self.open.last() {
                    Some(name) => Err(format!("it ends inside <{name}>")),
                    None if self.has_root => Ok(None),
                    None => Err("it has no element".to_owned()),
                };
            }
            if let Some(event) = self.step().map_err(|why| format!("byte {}: {why}", self.all - self.rest.len()))? {
                return Ok(Some(event));
            }
        }
    }

    fn step(&mut self) -> Result<Option<Event<'a>>, String> {
        let Some(markup) = self.rest.strip_prefix('<') else { return self.text() };
        if let Some(after) = markup.strip_prefix("!--") {
            self.skip_to(after, "-->", "a comment")?;
            return Ok(None);
        }
        if let Some(after) = markup.strip_prefix("![CDATA[") {
            let (text, rest) = after.split_once("]]>").ok_or("a CDATA section does not end")?;
            self.rest = rest;
            return self.inside(Cow::Borrowed(text));
        }
        if markup.starts_with('!') {
            return Err("document types are not read: they can name other files and grow without end".to_owned());
        }
        if let Some(after) = markup.strip_prefix('?') {
            self.skip_to(after, "?>", "a processing instruction")?;
            return Ok(None);
        }
        if let Some(after) = markup.strip_prefix('/') {
            let (name, rest) = after.split_once('>').ok_or("an end tag does not end")?;
            let open = self.open.pop().ok_or("an element ends that did not begin")?;
            if name.trim_end() != open {
                return Err(format!("<{open}> ends as </{}>", name.chars().take(40).collect::<String>()));
            }
            self.rest = rest;
            return Ok(Some(Event::Close));
        }
        self.element(markup)
    }

    fn skip_to(&mut self, from: &'a str, end: &str, what: &str) -> Result<(), String> {
        let (_, rest) = from.split_once(end).ok_or_else(|| format!("{what} does not end"))?;
        self.rest = rest;
        Ok(())
    }

    fn text(&mut self) -> Result<Option<Event<'a>>, String> {
        let end = self.rest.find('<').unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        let text = decode(text)?;
        self.rest = rest;
        self.inside(text)
    }

    fn inside(&self, text: Cow<'a, str>) -> Result<Option<Event<'a>>, String> {
        if !self.open.is_empty() {
            return Ok(Some(Event::Text(text)));
        }
        if text.trim().is_empty() { Ok(None) } else { Err("there is text outside of the root element".to_owned()) }
    }

    fn element(&mut self, markup: &'a str) -> Result<Option<Event<'a>>, String> {
        if self.open.is_empty() && self.has_root {
            return Err("there is a second root element".to_owned());
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(format!("elements are nested deeper than {DEPTH_MAX}"));
        }
        let (name, mut rest) = name(markup)?;
        let mut attributes = Vec::new();
        let closes = loop {
            let trimmed = rest.trim_start();
            if let Some(after) = trimmed.strip_prefix("/>") {
                rest = after;
                break true;
            }
            if let Some(after) = trimmed.strip_prefix('>') {
                rest = after;
                break false;
            }
            if trimmed.len() == rest.len() {
                return Err(format!("<{name}> does not end"));
            }
            let (key, after) = self::name(trimmed)?;
            let after = after.trim_start().strip_prefix('=').ok_or_else(|| format!("attribute {key} has no value"))?;
            let after = after.trim_start();
            let quote = after.chars().next().filter(|letter| matches!(letter, '"' | '\''));
            let quote = quote.ok_or_else(|| format!("attribute {key} has no quotes"))?;
            let (value, after) = after
                .strip_prefix(quote)
                .and_then(|after| after.split_once(quote))
                .ok_or_else(|| format!("attribute {key} does not end"))?;
            if attributes.len() >= ATTRIBUTES_MAX {
                return Err(format!("<{name}> has more than {ATTRIBUTES_MAX} attributes"));
            }
            if value.contains('<') {
                return Err(format!("attribute {key} has a \"<\""));
            }
            attributes.push((key, decode(value)?));
            rest = after;
        };
        self.rest = rest;
        self.has_root = true;
        self.open.push(name);
        self.closes = closes;
        Ok(Some(Event::Open { name, attributes }))
    }
}

fn name(text: &str) -> Result<(&str, &str), String> {
    let ends = |letter: char| letter.is_whitespace() || matches!(letter, '>' | '/' | '=' | '<' | '"' | '\'' | '&');
    let end = text.find(ends).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() || name.len() > 200 { Err("a name is missing".to_owned()) } else { Ok((name, rest)) }
}

/// Puts letters for the five entities of XML and for numbers; there are no others without a document type.
fn decode(text: &str) -> Result<Cow<'_, str>, String> {
    if !text.contains('&') {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = String::with_capacity(text.len());
    let mut parts = text.split('&');
    decoded.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (entity, after) = part.split_once(';').ok_or("an \"&\" begins no entity")?;
        let letter = match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => number(entity)
                .ok_or_else(|| format!("\"&{};\" is no entity of XML", entity.chars().take(40).collect::<String>()))?,
        };
        decoded.push(letter);
        decoded.push_str(after);
    }
    Ok(Cow::Owned(decoded))
}

fn number(entity: &str) -> Option<char> {
    let digits = entity.strip_prefix('#')?;
    let code = match digits.strip_prefix('x') {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
        None => digits.parse().ok()?,
    };
    char::from_u32(code).filter(|letter| *letter != '\0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &str) -> Result<Vec<Event<'_>>, String> {
        let mut reader = Reader::new(document.as_bytes())?;
        let mut events = Vec::new();
        while let Some(event) = reader.next()? {
            events.push(event);
        }
        Ok(events)
    }

    #[test]
    fn documents_are_read() {
        let events =
            read("<?xml version='1.0'?><!-- c --><a b='1 &lt; 2'><c/>x &#xAC00;<![CDATA[<&>]]></a>\n").unwrap();
        assert_eq!(
            events,
            [
                Event::Open { name: "a", attributes: vec![("b", "1 < 2".into())] },
                Event::Open { name: "c", attributes: Vec::new() },
                Event::Close,
                Event::Text("x 가".into()),
                Event::Text("<&>".into()),
                Event::Close,
            ]
        );
    }

    #[test]
    fn hostile_documents_are_refused() {
        for (document, why) in [
            ("", "it has no element"),
            ("<a>", "it ends inside <a>"),
            ("<a></b>", "<a> ends as </b>"),
            ("<a/><b/>", "second root"),
            ("x<a/>", "outside of the root"),
            ("<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", "document types are not read"),
            ("<a>&x;</a>", "\"&x;\" is no entity"),
            ("<a>&#0;</a>", "no entity"),
            ("<a b=1/>", "no quotes"),
            ("<a b='1'c='2'/>", "does not end"),
            ("<a b='<'/>", "has a \"<\""),
            ("<a", "does not end"),
            ("<!-- a", "a comment does not end"),
        ] {
            let error = read(document).unwrap_err();
            assert!(error.contains(why), "{document}: {error}");
        }
        assert!(read(&"<a>".repeat(100)).unwrap_err().contains("nested deeper"));
        let attributes: String = (0..100).map(|number| format!(" a{number}=''")).collect();
        assert!(read(&format!("<a{attributes}/>")).unwrap_err().contains("attributes"));
        assert!(Reader::new(b"<a>\xff</a>").unwrap_err().contains("UTF-8"));
    }
}
