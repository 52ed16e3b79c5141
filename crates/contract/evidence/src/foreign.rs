//! Public keys of others: whoever built an image signs with the keys that his tools make.
//!
//! Source: RFC 5280 §4.1 (SubjectPublicKeyInfo), RFC 5480 (ECDSA), RFC 8410 (Ed25519), RFC 8017 (RSA).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maru_api::Digest;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};

use crate::envelope::KeyError;

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const OBJECT_ID: u8 = 0x06;
const PEM_BYTES_MAX: usize = 16 << 10;

const ID_ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const ID_EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ID_P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const ID_P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ID_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Ed25519,
    P256,
    P384,
    Rsa,
}

impl Algorithm {
    fn verifiers(self) -> Vec<&'static dyn VerificationAlgorithm> {
        match self {
            Self::Ed25519 => vec![&ED25519],
            Self::P256 => vec![&ECDSA_P256_SHA256_ASN1],
            Self::P384 => vec![&ECDSA_P384_SHA384_ASN1],
            Self::Rsa => vec![&RSA_PSS_2048_8192_SHA256, &RSA_PKCS1_2048_8192_SHA256],
        }
    }
}

/// Somebody else's public key: Ed25519, ECDSA on P-256 or P-384, or RSA of at least 2,048 bits, all with SHA-2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    algorithm: Algorithm,
    key: Vec<u8>,
    id: Digest,
}

impl ForeignKey {
    /// Reads a key's PEM (`BEGIN PUBLIC KEY`).
    ///
    /// # Errors
    /// When it is none, or of another algorithm.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let inner = Some(pem)
            .filter(|pem| pem.len() <= PEM_BYTES_MAX)
            .and_then(|pem| pem.split_once("-----BEGIN PUBLIC KEY-----"))
            .and_then(|(_, rest)| rest.split_once("-----END PUBLIC KEY-----"))
            .map(|(inner, _)| inner.split_whitespace().collect::<String>())
            .ok_or(KeyError::Foreign)?;
        let der = STANDARD.decode(inner).map_err(|_| KeyError::Foreign)?;
        Self::from_der(&der).ok_or(KeyError::Foreign)
    }

    fn from_der(der: &[u8]) -> Option<Self> {
        let (info, rest) = value(der, SEQUENCE)?;
        let (algorithm, bits) = value(info, SEQUENCE).filter(|_| rest.is_empty())?;
        let (id, parameters) = value(algorithm, OBJECT_ID)?;
        let (bits, rest) = value(bits, BIT_STRING)?;
        // The first byte counts the bits that are not used: none.
        let key = bits.strip_prefix(&[0]).filter(|_| rest.is_empty())?;
        let algorithm = match id {
            ID_ED25519 => Algorithm::Ed25519,
            ID_RSA => Algorithm::Rsa,
            ID_EC => match value(parameters, OBJECT_ID)?.0 {
                ID_P256 => Algorithm::P256,
                ID_P384 => Algorithm::P384,
                _ => return None,
            },
            _ => return None,
        };
        Some(Self { algorithm, key: key.to_vec(), id: Digest::of(der) })
    }

    /// Returns the SHA-256 of the key's DER, in hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        self.id.hex()
    }

    /// Tells whether the key's owner signed these bytes.
    #[must_use]
    pub fn has_signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        let fits = |verifier| UnparsedPublicKey::new(verifier, &self.key).verify(bytes, signature).is_ok();
        self.algorithm.verifiers().into_iter().any(fits)
    }
}

/// Takes a value of DER off: what is in it, and what follows.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first().filter(|(first, _)| **first == tag)?;
    debug_assert_eq!(*first, tag, "it was just asked for");
    let (length, rest) = rest.split_first()?;
    let (length, rest) = match *length {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?), rest.get(2..)?),
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_ours_are_keys_of_others_too() {
        let signer = crate::Signer::from_pkcs8(&crate::Signer::generate().unwrap()).unwrap();
        let key = ForeignKey::from_pem(&signer.public_key().to_pem()).unwrap();
        assert_eq!(key.id(), signer.public_key().id());
        let signature = signer.sign_bytes(b"built");
        assert!(key.has_signed(b"built", &signature));
        assert!(!key.has_signed(b"other", &signature));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let pem = |body: &str| format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
        for bad in [String::new(), pem(""), pem("AAAA"), pem("MIIB"), pem("MCowBQYDK2VwAyEA"), "x".repeat(20_000)] {
            assert!(ForeignKey::from_pem(&bad).is_err(), "{bad}");
        }
    }
}
