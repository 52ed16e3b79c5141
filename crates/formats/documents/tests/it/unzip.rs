//! A reader of archives for tests, apart from the writer: it follows the directory, and checks sizes and sums.

use std::collections::BTreeMap;
use std::io::Read as _;

/// Returns the entries' names in order, and their contents.
pub(crate) fn unzip(bytes: &[u8]) -> (Vec<String>, BTreeMap<String, Vec<u8>>) {
    let two = |at: usize| usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().unwrap()));
    let four = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let end = bytes.len() - 22;
    assert_eq!(&bytes[end..end + 4], b"PK\x05\x06");
    let mut at = four(end + 16);
    assert_eq!(at + four(end + 12), end);
    let (mut names, mut contents) = (Vec::new(), BTreeMap::new());
    for _ in 0..two(end + 10) {
        assert_eq!(&bytes[at..at + 4], b"PK\x01\x02");
        assert_eq!((two(at + 12), two(at + 14)), (0, 0x21), "the time is fixed");
        let (method, sum, kept, size) = (two(at + 10), four(at + 16), four(at + 20), four(at + 24));
        let name = String::from_utf8(bytes[at + 46..at + 46 + two(at + 28)].to_vec()).unwrap();
        let local = four(at + 42);
        assert_eq!(&bytes[local..local + 4], b"PK\x03\x04");
        let begin = local + 30 + two(local + 26) + two(local + 28);
        let raw = &bytes[begin..begin + kept];
        let mut content = Vec::new();
        match method {
            0 => content.extend(raw),
            8 => drop(flate2::read::DeflateDecoder::new(raw).read_to_end(&mut content).unwrap()),
            other => panic!("method {other}"),
        }
        assert_eq!(content.len(), size, "{name}");
        let mut crc = flate2::Crc::new();
        crc.update(&content);
        assert_eq!(crc.sum() as usize, sum, "{name}");
        at += 46 + two(at + 28);
        assert!(contents.insert(name.clone(), content).is_none(), "{name} stands twice");
        names.push(name);
    }
    (names, contents)
}

/// Returns one part as text.
pub(crate) fn part(bytes: &[u8], name: &str) -> String {
    let (names, mut contents) = unzip(bytes);
    let content = contents.remove(name).unwrap_or_else(|| panic!("no {name} in {names:?}"));
    String::from_utf8(content).unwrap()
}

/// Checks that a text is well-formed XML: tags nest, attributes are quoted and unique, no bare signs. Returns the texts between tags.
pub(crate) fn well_formed(name: &str, xml: &str) -> Vec<String> {
    let mut rest = xml.strip_prefix("<?xml").map_or(xml, |rest| rest.split_once("?>").unwrap().1);
    rest = rest.strip_prefix("<!DOCTYPE html>").unwrap_or(rest);
    let (mut open, mut texts) = (Vec::new(), Vec::new());
    let is_text =
        |text: &str| text.split('&').skip(1).all(|part| part.split(';').next().is_some_and(|word| word.len() < 8));
    while let Some((text, after)) = rest.split_once('<') {
        assert!(!text.contains('>') && is_text(text), "{name}: {text}");
        if !text.trim().is_empty() {
            assert!(!open.is_empty(), "{name}: text outside: {text}");
            texts.push(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"));
        }
        let (tag, after) = after.split_once('>').unwrap();
        rest = after;
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "{name}");
            continue;
        }
        let parts: Vec<&str> = tag.split('"').collect();
        assert!(parts.len() % 2 == 1, "{name}: {tag}");
        let mut names: Vec<&str> = parts.iter().step_by(2).filter(|part| part.ends_with('=')).copied().collect();
        assert_eq!(names.len(), parts.len() / 2, "{name}: {tag}");
        names.sort_unstable();
        names.dedup();
        let word = tag.split([' ', '/']).next().unwrap();
        assert!(
            word.chars().all(|character| character.is_ascii_alphanumeric() || ":.".contains(character)),
            "{name}: {tag}"
        );
        assert!(parts.iter().skip(1).step_by(2).all(|value| is_text(value)), "{name}: {tag}");
        if !tag.ends_with('/') {
            open.push(word.to_owned());
        }
    }
    assert!(open.is_empty() && rest.trim().is_empty(), "{name}: {open:?}");
    texts
}
