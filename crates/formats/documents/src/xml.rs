//! The one writer of XML and HTML: what goes through it is escaped, and nothing goes around it.
//!
//! Own code rather than a library: the writers of libraries pass on characters that XML 1.0 forbids (§2.2), and the rest is short.

use std::fmt::Display;

/// A document being written. Elements are closed in order; `finish` closes the rest.
#[derive(Debug)]
pub(crate) struct Xml {
    out: String,
    open: Vec<&'static str>,
}

/// Attributes of an element: names and values.
pub(crate) type Attributes<'a> = &'a [(&'static str, &'a dyn Display)];

impl Xml {
    /// Returns a writer that has written the declaration of XML.
    pub(crate) fn new() -> Self {
        Self::after("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n")
    }

    /// Returns a writer that has written something else first.
    pub(crate) fn after(prologue: &'static str) -> Self {
        Self { out: prologue.to_owned(), open: Vec::new() }
    }

    /// Opens an element.
    pub(crate) fn open(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.tag(name, attributes);
        self.out.push('>');
        self.open.push(name);
    }

    /// Closes the element opened last.
    pub(crate) fn close(&mut self) {
        if let Some(name) = self.open.pop() {
            self.out.push_str("</");
            self.out.push_str(name);
            self.out.push('>');
        }
    }

    /// Writes an element without content.
    pub(crate) fn empty(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.tag(name, attributes);
        self.out.push_str("/>");
    }

    /// Writes an element that holds text alone.
    pub(crate) fn leaf(&mut self, name: &'static str, attributes: Attributes<'_>, text: &str) {
        self.open(name, attributes);
        self.text(text);
        self.close();
    }

    /// Writes text.
    pub(crate) fn text(&mut self, text: &str) {
        for character in clean(text) {
            match character {
                '&' => self.out.push_str("&amp;"),
                '<' => self.out.push_str("&lt;"),
                '>' => self.out.push_str("&gt;"),
                '\r' => {}
                other => self.out.push(other),
            }
        }
    }

    /// Writes markup of the house: constants only, never data.
    pub(crate) fn markup(&mut self, markup: &'static str) {
        self.out.push_str(markup);
    }

    /// Closes what is open and returns the whole.
    pub(crate) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.out
    }

    fn tag(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.out.push('<');
        self.out.push_str(name);
        for (attribute, display) in attributes {
            let value = display.to_string();
            self.out.push(' ');
            self.out.push_str(attribute);
            self.out.push_str("=\"");
            for character in clean(&value) {
                match character {
                    '&' => self.out.push_str("&amp;"),
                    '<' => self.out.push_str("&lt;"),
                    '>' => self.out.push_str("&gt;"),
                    '"' => self.out.push_str("&quot;"),
                    '\'' => self.out.push_str("&#39;"),
                    '\n' => self.out.push_str("&#10;"),
                    '\t' => self.out.push_str("&#9;"),
                    '\r' => {}
                    other => self.out.push(other),
                }
            }
            self.out.push('"');
        }
    }
}

/// Returns the characters that XML 1.0 §2.2 and HTML allow; marks that turn the direction of text are replaced by a visible sign,
/// as a signed document must not read otherwise than it is stored.
pub(crate) fn clean(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|character| is_allowed(*character)).map(|character| {
        if matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { '\u{fffd}' } else { character }
    })
}

fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}')
        || (character >= '\u{10000}' && u32::from(character) & 0xfffe != 0xfffe)
}

/// A part of a text that writers of office formats write in different ways.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text without breaks.
    Text(&'a str),
    /// A line break.
    Break,
    /// A tab.
    Tab,
}

/// Splits a text at line feeds and tabs.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    for (line_index, line) in text.split('\n').enumerate() {
        if line_index > 0 {
            found.push(Piece::Break);
        }
        for (index, part) in line.split('\t').enumerate() {
            if index > 0 {
                found.push(Piece::Tab);
            }
            if !part.is_empty() {
                found.push(Piece::Text(part));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn forbidden_characters_and_direction_marks_do_not_pass() {
        let mut xml = Xml::after("");
        xml.leaf("a", &[("b", &"\"'<&>\n\u{0}")], "x\u{1}\u{b}\u{ffff}\u{1fffe}\u{7f}y\u{202e}<&>\r\n");
        assert_eq!(xml.finish(), "<a b=\"&quot;&#39;&lt;&amp;&gt;&#10;\">xy\u{fffd}&lt;&amp;&gt;\n</a>");
    }

    #[test]
    fn pieces_keep_order() {
        assert_eq!(pieces("a\n\tb"), [Piece::Text("a"), Piece::Break, Piece::Tab, Piece::Text("b")]);
    }

    proptest! {
        #[test]
        fn text_never_becomes_markup(text in ".*", attribute in ".*") {
            let mut xml = Xml::after("");
            xml.leaf("a", &[("b", &attribute)], &text);
            let out = xml.finish();
            prop_assert_eq!(out.matches('<').count(), 2);
            prop_assert_eq!(out.matches('>').count(), 2);
            prop_assert_eq!(out.matches('"').count(), 2 + text.matches('"').count());
            prop_assert!(out.chars().all(is_allowed));
        }
    }
}
