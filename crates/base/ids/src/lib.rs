//! Unique ids and random suffixes.
//!
//! Owns: the shapes of generated identifiers.
//! Never: keeps state; every id comes from the system's random generator.
//! Source: RFC 9562 (UUID version 4); Kubernetes API conventions, "generateName".

use ring::rand::{SecureRandom, SystemRandom};

/// Letters and digits of generated names: no vowels and no look-alikes, so that no words appear.
const SUFFIX_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Fills a buffer with random bytes.
///
/// # Panics
/// When the kernel has no random source, which Linux since 3.17 always has.
pub fn fill_random(buffer: &mut [u8]) {
    SystemRandom::new().fill(buffer).expect("getrandom(2) does not fail once the kernel has booted");
}

/// Returns a random version 4 UUID in its text form.
#[must_use]
pub fn new_uid() -> String {
    let mut bytes = [0u8; 16];
    fill_random(&mut bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = to_hex(&bytes);
    let mut text = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    text
}

/// Returns `length` random characters that are valid at the end of an object's name.
#[must_use]
pub fn random_suffix(length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0u8; 16];
        fill_random(&mut bytes);
        // 243 is the largest multiple of 27 in a byte: no letter is more likely than another.
        text.extend(
            bytes.iter().filter(|byte| **byte < 243).map(|byte| char::from(SUFFIX_ALPHABET[usize::from(byte % 27)])),
        );
    }
    text.truncate(length);
    text
}

/// Returns lowercase hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0x0f)]])
        .map(char::from)
        .collect()
}

/// Returns a short, stable name for `input`: the first `length` (at most 64) hexadecimal digits of its SHA-256.
#[must_use]
pub fn short_hash(input: &str, length: usize) -> String {
    let mut hex = to_hex(ring::digest::digest(&ring::digest::SHA256, input.as_bytes()).as_ref());
    hex.truncate(length);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uids_are_version_4_and_differ() {
        let (first, second) = (new_uid(), new_uid());
        assert_ne!(first, second);
        assert_eq!(first.len(), 36);
        assert_eq!(first.as_bytes()[14], b'4');
        assert!(matches!(first.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }

    #[test]
    fn suffixes_use_their_alphabet_only() {
        let suffix = random_suffix(200);
        assert_eq!(suffix.len(), 200);
        assert!(suffix.bytes().all(|byte| SUFFIX_ALPHABET.contains(&byte)));
    }

    #[test]
    fn hexadecimal_is_lowercase_and_complete() {
        assert_eq!(to_hex(&[0x00, 0xff, 0x1a]), "00ff1a");
        assert_eq!(short_hash("", 8), "e3b0c442");
    }
}
