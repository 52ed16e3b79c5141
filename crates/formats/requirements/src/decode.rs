//! Bytes of a file into text: UTF-8, UTF-16 and EUC-KR, with Hangul composed.

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

/// How large one file may be.
pub const FILE_BYTES_MAX: usize = 16 << 20;

/// The encoding that a file was found to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// UTF-16, least significant byte first.
    Utf16Le,
    /// UTF-16, most significant byte first.
    Utf16Be,
    /// EUC-KR with the additions of code page 949.
    EucKr,
}

/// A file that is no text: what, and at which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecodeError {
    pub(crate) line: usize,
    pub(crate) message: String,
}

/// Returns a file's text in normalisation form C with line feeds at the ends of lines, and the encoding it was in.
///
/// A byte order mark decides; without one UTF-8 is tried, then UTF-16 where zero bytes show it, then EUC-KR.
///
/// # Errors
/// The line and what to do, when it is none of these, too large, or no text.
pub fn decode(bytes: &[u8]) -> Result<(String, Encoding), (usize, String)> {
    decode_file(bytes).map_err(|error| (error.line, error.message))
}

pub(crate) fn decode_file(bytes: &[u8]) -> Result<(String, Encoding), DecodeError> {
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!("the file has {} bytes, more than {FILE_BYTES_MAX}; split it", bytes.len());
        return Err(DecodeError { line: 1, message });
    }
    let (text, encoding) = match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => (utf8(rest).map_err(not_utf8)?, Encoding::Utf8),
        [0xFF, 0xFE, rest @ ..] => (utf16(rest, u16::from_le_bytes)?, Encoding::Utf16Le),
        [0xFE, 0xFF, rest @ ..] => (utf16(rest, u16::from_be_bytes)?, Encoding::Utf16Be),
        _ => without_mark(bytes)?,
    };
    if let Some(place) = text.find(|letter: char| letter.is_control() && !"\n\r\t\u{85}".contains(letter)) {
        let before = text.get(..place).unwrap_or_default();
        let code = text.get(place..).and_then(|rest| rest.chars().next()).map_or(0, u32::from);
        let message = format!("the control character U+{code:04X} stands in the text; remove it");
        return Err(DecodeError { line: line_of(before.as_bytes()), message });
    }
    let text = if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text };
    let text = match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text,
        IsNormalized::No | IsNormalized::Maybe => text.nfc().collect(),
    };
    Ok((text, encoding))
}

fn without_mark(bytes: &[u8]) -> Result<(String, Encoding), DecodeError> {
    // The first letters of an item are ASCII: a key, "---" or "#"; in UTF-16 each has a zero byte.
    match bytes {
        [first, 0, ..] if *first != 0 && bytes.len().is_multiple_of(2) => {
            return Ok((utf16(bytes, u16::from_le_bytes)?, Encoding::Utf16Le));
        }
        [0, second, ..] if *second != 0 && bytes.len().is_multiple_of(2) => {
            return Ok((utf16(bytes, u16::from_be_bytes)?, Encoding::Utf16Be));
        }
        _ => {}
    }
    match utf8(bytes) {
        Ok(text) => Ok((text, Encoding::Utf8)),
        Err(place) => {
            // A file that is UTF-8 but for one broken place must not be read as another encoding.
            let (text, wrong) = encoding_rs::EUC_KR.decode_without_bom_handling(bytes);
            if wrong || has_utf8_sequences(bytes) {
                Err(not_utf8_at(bytes, place))
            } else {
                Ok((text.into_owned(), Encoding::EucKr))
            }
        }
    }
}

/// Tells whether most letters beyond ASCII are whole three-byte sequences of UTF-8, as Hangul is.
fn has_utf8_sequences(bytes: &[u8]) -> bool {
    let (mut whole, mut broken, mut rest) = (0_usize, 0_usize, bytes);
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (0..=0x7F, _) => after,
            (0xE1..=0xEF, [0x80..=0xBF, 0x80..=0xBF, after @ ..]) => {
                whole += 1;
                after
            }
            _ => {
                broken += 1;
                after
            }
        };
    }
    whole > broken
}

fn utf8(bytes: &[u8]) -> Result<String, usize> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| error.valid_up_to())
}

fn not_utf8(_: usize) -> DecodeError {
    DecodeError { line: 1, message: "the file begins as UTF-8 but is not; save it as UTF-8".to_owned() }
}

fn not_utf8_at(bytes: &[u8], place: usize) -> DecodeError {
    let line = line_of(bytes.get(..place).unwrap_or(bytes));
    DecodeError {
        line,
        message: "the text is neither UTF-8, UTF-16 nor EUC-KR here; save the file as UTF-8".to_owned(),
    }
}

fn utf16(bytes: &[u8], read: fn([u8; 2]) -> u16) -> Result<String, DecodeError> {
    let message = "the UTF-16 text is broken here; save the file as UTF-8".to_owned();
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
    let mut text = String::with_capacity(bytes.len());
    for unit in char::decode_utf16(units) {
        match unit {
            Ok(letter) => text.push(letter),
            Err(_) => return Err(DecodeError { line: line_of(text.as_bytes()), message }),
        }
    }
    if bytes.len() % 2 == 1 {
        return Err(DecodeError { line: line_of(text.as_bytes()), message });
    }
    Ok(text)
}

#[expect(clippy::naive_bytecount, reason = "only on the way to an error")]
fn line_of(before: &[u8]) -> usize {
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "name: a\nstatement: 주문 서비스는 응답해야 한다.\n";

    fn utf16(text: &str, write: fn(u16) -> [u8; 2], mark: bool) -> Vec<u8> {
        let mark = mark.then_some(0xFEFF);
        mark.into_iter().chain(text.encode_utf16()).flat_map(write).collect()
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let euc = encoding_rs::EUC_KR.encode(TEXT).0.into_owned();
        let mut marked = vec![0xEF, 0xBB, 0xBF];
        marked.extend_from_slice(TEXT.as_bytes());
        let decomposed: String = TEXT.nfd().collect();
        assert_ne!(decomposed, TEXT);
        for (bytes, encoding) in [
            (TEXT.as_bytes().to_vec(), Encoding::Utf8),
            (marked, Encoding::Utf8),
            (decomposed.into_bytes(), Encoding::Utf8),
            (TEXT.replace('\n', "\r\n").into_bytes(), Encoding::Utf8),
            (utf16(TEXT, u16::to_le_bytes, true), Encoding::Utf16Le),
            (utf16(TEXT, u16::to_be_bytes, true), Encoding::Utf16Be),
            (utf16(TEXT, u16::to_le_bytes, false), Encoding::Utf16Le),
            (utf16(TEXT, u16::to_be_bytes, false), Encoding::Utf16Be),
            (euc, Encoding::EucKr),
        ] {
            assert_eq!(decode(&bytes), Ok((TEXT.to_owned(), encoding)));
        }
        // 똠 is in code page 949 and not in KS X 1001.
        assert_eq!(decode(&[0x8C, 0x63]).map(|(text, _)| text), Ok("똠".to_owned()));
    }

    #[test]
    fn broken_text_is_refused_with_its_line() {
        let mut broken = TEXT.as_bytes().to_vec();
        broken.extend_from_slice(b"x: \xEC\xA3\n");
        assert_eq!(decode(&broken).map_err(|(line, _)| line), Err(3));
        assert_eq!(decode(b"a: b\nc: \x07\n").map_err(|(line, _)| line), Err(2));
        assert_eq!(decode(b"\xFF\xFEa\0\n\0\x00\xD8\n\0").map_err(|(line, _)| line), Err(2));
        assert_eq!(decode(b"\xFF\xFEa").map_err(|(line, _)| line), Err(1));
        assert_eq!(decode(&vec![b'a'; FILE_BYTES_MAX + 1]).map_err(|(line, _)| line), Err(1));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(decode(&bytes));
        }
    }
}
