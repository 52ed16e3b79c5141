//! Text that people read, in one language or in Korean and English.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

/// The languages that Maru reads and writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Korean, 한국어.
    #[default]
    Ko,
    /// English.
    En,
}

/// A text for people: a plain string, or `{ko: …, en: …}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged, expecting = "write a text, or {ko: …, en: …}")]
pub enum LocalText {
    /// One text for everybody.
    Plain(String),
    /// A text in one or both languages.
    Local {
        /// Korean.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ko: Option<String>,
        /// English.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        en: Option<String>,
    },
}

impl LocalText {
    /// Returns a text in both languages.
    pub fn both(ko: impl Into<String>, en: impl Into<String>) -> Self {
        Self::Local { ko: Some(ko.into()), en: Some(en.into()) }
    }

    /// Returns the text in a language, or in the other when it has only that.
    #[must_use]
    pub fn get(&self, language: Language) -> &str {
        match (self, language) {
            (Self::Plain(text), _) => text,
            (Self::Local { ko, en }, Language::Ko) => ko.as_deref().or(en.as_deref()).unwrap_or_default(),
            (Self::Local { ko, en }, Language::En) => en.as_deref().or(ko.as_deref()).unwrap_or_default(),
        }
    }

    /// Returns each text that is written, with the language that it is in.
    #[must_use]
    pub fn parts(&self) -> Vec<(Language, &str)> {
        match self {
            Self::Plain(text) => vec![(language_of(text), text)],
            Self::Local { ko, en } => {
                let ko = ko.as_deref().map(|text| (Language::Ko, text));
                ko.into_iter().chain(en.as_deref().map(|text| (Language::En, text))).collect()
            }
        }
    }

    /// Tells whether no language has any text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.get(Language::Ko).trim().is_empty() && self.get(Language::En).trim().is_empty()
    }
}

impl Default for LocalText {
    fn default() -> Self {
        Self::Plain(String::new())
    }
}

impl From<&str> for LocalText {
    fn from(text: &str) -> Self {
        Self::Plain(text.to_owned())
    }
}

impl From<String> for LocalText {
    fn from(text: String) -> Self {
        Self::Plain(text)
    }
}

/// Tells the language of a text: Korean when it has any Hangul, else English.
#[must_use]
pub fn language_of(text: &str) -> Language {
    if text.chars().any(is_hangul) { Language::Ko } else { Language::En }
}

pub(crate) fn is_hangul(letter: char) -> bool {
    matches!(u32::from(letter), 0xAC00..=0xD7A3 | 0x1100..=0x11FF | 0x3131..=0x318E)
}

/// Returns the particle that follows what is said word by word, by the sound that it ends with: "50ms"라고, "500,000원"이라고.
pub(crate) fn saying_particle(said: &str) -> &'static str {
    let last = said.chars().rev().find(|letter| letter.is_alphanumeric() || *letter == '%');
    let is_closed = last.is_some_and(|last| match last {
        '가'..='힣' => !(u32::from(last) - u32::from('가')).is_multiple_of(28),
        // 영 일 삼 육 칠 팔; 엘 엠 엔 알.
        _ => "013678lmnrLMNR".contains(last),
    });
    if is_closed { "이라고" } else { "라고" }
}

/// Returns a text as fingerprints see it: in normalisation form C, without white space at its ends, elsewhere one space.
#[must_use]
pub fn canonical_text(text: &str) -> String {
    let composed: String = text.nfc().collect();
    composed.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decomposed_hangul_and_spaces_do_not_matter() {
        assert_eq!(canonical_text("  \u{1112}\u{1161}\u{11AB}\u{1100}\u{1173}\u{11AF}\n  정의\t"), "한글 정의");
    }

    #[test]
    fn letters_with_marks_are_composed() {
        assert_eq!(canonical_text("cafe\u{301} ①"), "café ①");
    }

    #[test]
    fn the_particle_follows_the_last_sound() {
        for (said, expected) in [
            ("500,000원", "이라고"),
            ("초당 50건", "이라고"),
            ("30분", "이라고"),
            ("100", "이라고"),
            ("5 min", "이라고"),
            ("1초", "라고"),
            ("100ms", "라고"),
            ("99.9%", "라고"),
            ("500,000 KRW", "라고"),
            ("42", "라고"),
            ("", "라고"),
        ] {
            assert_eq!(saying_particle(said), expected, "{said}");
        }
    }

    #[test]
    fn a_text_is_read_in_three_forms() {
        let plain: LocalText = serde_json::from_str("\"주문\"").unwrap();
        assert_eq!(plain.get(Language::En), "주문");
        let both: LocalText = serde_json::from_str(r#"{"ko":"주문","en":"order"}"#).unwrap();
        assert_eq!((both.get(Language::Ko), both.get(Language::En)), ("주문", "order"));
        let one: LocalText = serde_json::from_str(r#"{"en":"order"}"#).unwrap();
        assert_eq!(one.get(Language::Ko), "order");
        assert!(serde_json::from_str::<LocalText>("3").is_err());
    }

    #[test]
    fn a_text_knows_its_languages() {
        assert_eq!(LocalText::from("주문 order").parts(), [(Language::Ko, "주문 order")]);
        assert_eq!(LocalText::both("가", "a").parts(), [(Language::Ko, "가"), (Language::En, "a")]);
    }
}
