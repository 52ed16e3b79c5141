//! Names that are not letters, digits and underscores, written for readers that know no others.

use super::Escaping;

/// Tells whether a metric's name needs no quotes.
#[must_use]
pub fn is_legacy_metric_name(name: &str) -> bool {
    is_legacy(name, true)
}

/// Tells whether a label's name needs no quotes.
#[must_use]
pub fn is_legacy_label_name(name: &str) -> bool {
    is_legacy(name, false)
}

fn is_legacy(name: &str, with_colon: bool) -> bool {
    !name.is_empty()
        && name.bytes().enumerate().all(|(index, byte)| {
            byte.is_ascii_alphabetic()
                || byte == b'_'
                || (with_colon && byte == b':')
                || (index > 0 && byte.is_ascii_digit())
        })
}

fn is_plain(character: char, index: usize) -> bool {
    character.is_ascii_alphabetic() || matches!(character, '_' | ':') || (index > 0 && character.is_ascii_digit())
}

/// Writes `name` in the given way.
#[must_use]
pub fn escape_name(name: &str, escaping: Escaping) -> String {
    match escaping {
        Escaping::AllowUtf8 => name.to_owned(),
        Escaping::Underscores => name
            .char_indices()
            .map(|(index, character)| if is_plain(character, index) { character } else { '_' })
            .collect(),
        Escaping::Dots => {
            let mut escaped = String::with_capacity(name.len() * 2);
            for (index, character) in name.char_indices() {
                match character {
                    '.' => escaped.push_str("_dot_"),
                    '_' => escaped.push_str("__"),
                    other if is_plain(other, index) => escaped.push(other),
                    _ => escaped.push_str("__"),
                }
            }
            escaped
        }
        Escaping::Values if name.is_empty() || is_legacy_metric_name(name) => name.to_owned(),
        Escaping::Values => {
            let mut escaped = String::from("U__");
            for (index, character) in name.char_indices() {
                match character {
                    '_' => escaped.push_str("__"),
                    other if is_plain(other, index) => escaped.push(other),
                    other => escaped.push_str(&format!("_{:x}_", u32::from(other))),
                }
            }
            escaped
        }
    }
}

/// Reads back what [`escape_name`] wrote, as far as it can be read back; anything else stays as it is.
#[must_use]
pub fn unescape_name(name: &str, escaping: Escaping) -> String {
    match escaping {
        Escaping::AllowUtf8 | Escaping::Underscores => name.to_owned(),
        Escaping::Dots => name.replace("_dot_", ".").replace("__", "_"),
        Escaping::Values => unescape_values(name).unwrap_or_else(|| name.to_owned()),
    }
}

fn unescape_values(name: &str) -> Option<String> {
    let mut rest = name.strip_prefix("U__")?;
    let mut unescaped = String::with_capacity(rest.len());
    while let Some((plain, after)) = rest.split_once('_') {
        unescaped.push_str(plain);
        if let Some(after) = after.strip_prefix('_') {
            unescaped.push('_');
            rest = after;
            continue;
        }
        let (code, after) = after.split_once('_')?;
        if code.len() > 6 || !code.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        unescaped.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        rest = after;
    }
    unescaped.push_str(rest);
    Some(unescaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_escaped_in_each_way() {
        let name = "no:escaping.required_ü☃";
        assert_eq!(escape_name(name, Escaping::Underscores), "no:escaping_required___");
        assert_eq!(escape_name(name, Escaping::Dots), "no:escaping_dot_required______");
        assert_eq!(escape_name(name, Escaping::Values), "U__no:escaping_2e_required___fc__2603_");
        assert_eq!(escape_name("up_total", Escaping::Values), "up_total");
        assert_eq!(escape_name("1a", Escaping::Values), "U___31_a");
        assert_eq!(unescape_name("U__a_dot", Escaping::Values), "U__a_dot");
        assert_eq!(unescape_name("U__a_zz_", Escaping::Values), "U__a_zz_");
        assert_eq!(unescape_name("a_dot_b__c", Escaping::Dots), "a.b_c");
    }

    proptest! {
        #[test]
        fn values_come_back(name: String) {
            prop_assume!(!name.starts_with("U__"));
            prop_assert_eq!(unescape_name(&escape_name(&name, Escaping::Values), Escaping::Values), name);
        }

        #[test]
        fn arbitrary_names_never_panic(name: String) {
            for escaping in [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values] {
                std::hint::black_box((escape_name(&name, escaping), unescape_name(&name, escaping)));
            }
        }
    }
}
