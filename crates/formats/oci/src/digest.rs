//! Content digests: `sha256:…` and `sha512:…`.

use std::fmt;
use std::str::FromStr;

use ring::digest as ring_digest;
use serde::{Deserialize, Serialize};

/// A hash function that digests may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, the default.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Returns the name before the colon.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

/// The digest of some content, in its canonical text form (lowercase hexadecimal).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

/// A text is not a digest, or content does not have the digest it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestError {
    /// The text has another shape.
    #[error("\"{text}\" is not a digest; expected sha256:<64 lowercase hexadecimal digits> or sha512:<128>")]
    Malformed {
        /// The text as given.
        text: String,
    },
    /// The content hashes to something else.
    #[error("content hashes to {actual}, expected {expected}")]
    Mismatch {
        /// What it should be.
        expected: Digest,
        /// What it is.
        actual: Digest,
    },
}

impl Digest {
    /// Computes the SHA-256 digest of some content.
    #[must_use]
    pub fn sha256(content: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(content);
        hasher.finish()
    }

    /// Returns the hash function.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the hexadecimal digits after the colon.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.hex
    }

    /// Returns the first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.hex.get(..12).unwrap_or(&self.hex)
    }

    /// Checks that content has this digest.
    ///
    /// # Errors
    /// When it hashes to something else.
    pub fn verify(&self, content: &[u8]) -> Result<(), DigestError> {
        let mut hasher = Hasher::new(self.algorithm);
        hasher.update(content);
        let actual = hasher.finish();
        if actual == *self { Ok(()) } else { Err(DigestError::Mismatch { expected: self.clone(), actual }) }
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || DigestError::Malformed { text: text.chars().take(200).collect() };
        let (name, hex) = text.split_once(':').ok_or_else(malformed)?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(malformed()),
        };
        let right =
            hex.len() == algorithm.hex_length() && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if right { Ok(Self { algorithm, hex: hex.to_owned() }) } else { Err(malformed()) }
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Computes a digest piece by piece.
#[derive(Clone)]
pub struct Hasher {
    algorithm: Algorithm,
    context: ring_digest::Context,
}

impl Hasher {
    /// Starts with no content.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        let function = match algorithm {
            Algorithm::Sha256 => &ring_digest::SHA256,
            Algorithm::Sha512 => &ring_digest::SHA512,
        };
        Self { algorithm, context: ring_digest::Context::new(function) }
    }

    /// Adds content.
    pub fn update(&mut self, content: &[u8]) {
        self.context.update(content);
    }

    /// Returns the digest of all content added.
    #[must_use]
    pub fn finish(self) -> Digest {
        let bytes = self.context.finish();
        let digits = bytes.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
        let hex = digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect();
        Digest { algorithm: self.algorithm, hex }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Hasher({})", self.algorithm.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_round_trip_and_verify() {
        let digest = Digest::sha256(b"abc");
        assert_eq!(digest.to_string(), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        digest.verify(b"abc").unwrap();
        assert!(matches!(digest.verify(b"abd"), Err(DigestError::Mismatch { .. })));
        let mut long = Hasher::new(Algorithm::Sha512);
        long.update(b"a");
        long.update(b"bc");
        assert!(long.finish().to_string().starts_with("sha512:ddaf35a193617abacc417349ae204131"));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "sha256:",
            "sha256:ABC",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            "sha256:../../etc/passwd",
            &format!("sha256:{}", "G".repeat(64)),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
