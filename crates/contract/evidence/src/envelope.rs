//! DSSE envelopes and the keys that sign them.
//!
//! Source: Dead Simple Signing Envelope 1.0 (protocol and envelope); RFC 8032 (Ed25519); RFC 8410 (its keys in PEM).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maru_api::Digest;
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

/// The type of a payload that is an in-toto Statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// The most bytes that an envelope may have.
pub const ENVELOPE_BYTES_MAX: usize = 16 << 20;

/// The DER of an Ed25519 public key is this and the key's 32 bytes (RFC 8410 §4).
const PUBLIC_KEY_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why a key is not one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The system gave no randomness.
    #[error("could not make a key: the system gave no random bytes")]
    Random,
    /// Not a private key of ours.
    #[error(
        "the private key is no PKCS#8 of Ed25519 ({0}); make one anew and keep the old public key with the evidence that it signed"
    )]
    Private(ring::error::KeyRejected),
    /// Not a public key of ours.
    #[error("the public key is no PEM of Ed25519; expected the lines of \"BEGIN PUBLIC KEY\"")]
    Public,
    /// Not a public key that others sign with.
    #[error(
        "the public key is no PEM of Ed25519, of ECDSA on P-256 or P-384, or of RSA; expected the lines of \"BEGIN PUBLIC KEY\""
    )]
    Foreign,
}

/// Signs envelopes.
pub struct Signer {
    pair: Ed25519KeyPair,
    key: PublicKey,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Signer").field("key", &self.key).field("private", &"***").finish()
    }
}

impl Signer {
    /// Makes a new private key as PKCS#8. Whoever stores it lets only its owner read it.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Vec<u8>, KeyError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| KeyError::Random)?;
        Ok(document.as_ref().to_vec())
    }

    /// Reads a private key of PKCS#8.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(KeyError::Private)?;
        let mut bytes = [0; 32];
        bytes.copy_from_slice(pair.public_key().as_ref());
        Ok(Self { pair, key: PublicKey(bytes) })
    }

    /// Returns the public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.key
    }

    /// Signs bytes as they are; for what is in no envelope.
    #[must_use]
    pub fn sign_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.pair.sign(bytes).as_ref().to_vec()
    }

    /// Signs a payload that is an in-toto Statement.
    #[must_use]
    pub fn sign(&self, payload: &[u8]) -> Vec<u8> {
        let signature = self.pair.sign(&pre_authentication_encoding(PAYLOAD_TYPE, payload));
        let envelope = EnvelopeText {
            payload: STANDARD.encode(payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![SignatureText { keyid: self.key.id(), sig: STANDARD.encode(signature.as_ref()) }],
        };
        envelope.to_bytes()
    }
}

/// An Ed25519 public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Returns the key's id: the SHA-256 of its DER, in hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        self.digest().hex()
    }

    /// Returns the key's id as a digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_der())
    }

    /// Tells whether the key's owner signed these bytes.
    #[must_use]
    pub fn has_signed(&self, bytes: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(bytes, signature).is_ok()
    }

    fn to_der(self) -> Vec<u8> {
        [PUBLIC_KEY_PREFIX.as_slice(), self.0.as_slice()].concat()
    }

    /// Returns the key's PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(self.to_der()))
    }

    /// Reads the key's PEM.
    ///
    /// # Errors
    /// When it is none of an Ed25519 public key.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        const PEM_BYTES_MAX: usize = 4096;
        let inner = Some(pem)
            .filter(|pem| pem.len() <= PEM_BYTES_MAX)
            .and_then(|pem| pem.split_once("-----BEGIN PUBLIC KEY-----"))
            .and_then(|(_, rest)| rest.split_once("-----END PUBLIC KEY-----"))
            .map(|(inner, _)| inner.split_whitespace().collect::<String>())
            .ok_or(KeyError::Public)?;
        let der = STANDARD.decode(inner).map_err(|_| KeyError::Public)?;
        let key = der.strip_prefix(&PUBLIC_KEY_PREFIX).ok_or(KeyError::Public)?;
        key.try_into().map(Self).map_err(|_| KeyError::Public)
    }
}

/// Why an envelope is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Too long.
    #[error("the envelope has {0} bytes; at most {ENVELOPE_BYTES_MAX} are read")]
    TooLong(usize),
    /// Not an envelope.
    #[error("the envelope is no DSSE envelope: {0}")]
    Malformed(String),
    /// Read differently than written: spaces, order, other spellings of base64.
    #[error("the envelope is not written as it was signed; take the blob as it was stored")]
    NotCanonical,
    /// Another type of payload.
    #[error("the envelope holds \"{0}\", not \"{PAYLOAD_TYPE}\"")]
    PayloadType(String),
    /// No signature of a key that is trusted.
    #[error("the envelope is signed by key {0}, which is not trusted")]
    ForeignKey(String),
    /// The signature does not fit.
    #[error("the signature does not fit the payload: one of them was altered")]
    Signature,
}

/// Checks envelopes against the keys that are trusted.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    keys: BTreeMap<String, PublicKey>,
}

/// An envelope whose signature fits.
pub(crate) struct Opened {
    pub(crate) payload: Vec<u8>,
    /// The id of the key that signed it.
    pub(crate) key: Digest,
}

impl Verifier {
    /// Trusts these keys.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self { keys: keys.into_iter().map(|key| (key.id(), key)).collect() }
    }

    /// Returns the keys that are trusted, by their ids.
    pub fn keys(&self) -> impl Iterator<Item = PublicKey> + '_ {
        self.keys.values().copied()
    }

    /// Checks an envelope and returns its payload.
    ///
    /// # Errors
    /// When any byte of it is not as it was signed, or no trusted key signed it.
    pub fn open(&self, envelope: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        Ok(self.open_signed(envelope)?.payload)
    }

    pub(crate) fn open_signed(&self, envelope: &[u8]) -> Result<Opened, EnvelopeError> {
        if envelope.len() > ENVELOPE_BYTES_MAX {
            return Err(EnvelopeError::TooLong(envelope.len()));
        }
        let text: EnvelopeText = serde_json::from_slice(envelope).map_err(malformed)?;
        if text.payload_type != PAYLOAD_TYPE {
            return Err(EnvelopeError::PayloadType(text.payload_type.chars().take(80).collect()));
        }
        let [signature] = text.signatures.as_slice() else {
            return Err(malformed("it has not exactly one signature"));
        };
        let key = self
            .keys
            .get(&signature.keyid)
            .ok_or_else(|| EnvelopeError::ForeignKey(signature.keyid.chars().take(80).collect()))?;
        let payload = STANDARD.decode(&text.payload).map_err(malformed)?;
        let bytes = STANDARD.decode(&signature.sig).map_err(malformed)?;
        UnparsedPublicKey::new(&ED25519, key.0)
            .verify(&pre_authentication_encoding(&text.payload_type, &payload), &bytes)
            .map_err(|_| EnvelopeError::Signature)?;
        // Every byte counts: what is signed has one spelling, so that one statement has one digest.
        if text.to_bytes() != envelope {
            return Err(EnvelopeError::NotCanonical);
        }
        Ok(Opened { payload, key: Digest::from_hex(&signature.keyid).map_err(malformed)? })
    }
}

fn malformed(why: impl std::fmt::Display) -> EnvelopeError {
    EnvelopeError::Malformed(why.to_string())
}

/// Returns the bytes that are signed (DSSE 1.0, "PAE").
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct EnvelopeText {
    payload: String,
    payload_type: String,
    signatures: Vec<SignatureText>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureText {
    keyid: String,
    sig: String,
}

impl EnvelopeText {
    fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signer() -> Signer {
        Signer::from_pkcs8(&Signer::generate().unwrap()).unwrap()
    }

    #[test]
    fn the_encoding_is_the_specifications_example() {
        // DSSE 1.0, protocol.md, test vectors.
        assert_eq!(
            pre_authentication_encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn foreign_keys_and_other_payloads_are_refused() {
        let (ours, theirs) = (signer(), signer());
        let envelope = theirs.sign(b"{}");
        let verifier = Verifier::new([ours.public_key()]);
        assert_eq!(verifier.open(&envelope), Err(EnvelopeError::ForeignKey(theirs.public_key().id())));
        // Claims our key's id over their signature.
        let claimed = String::from_utf8(envelope).unwrap().replace(&theirs.public_key().id(), &ours.public_key().id());
        assert_eq!(verifier.open(claimed.as_bytes()), Err(EnvelopeError::Signature));
        let other = String::from_utf8(ours.sign(b"{}")).unwrap().replace(PAYLOAD_TYPE, "application/json");
        assert_eq!(verifier.open(other.as_bytes()), Err(EnvelopeError::PayloadType("application/json".to_owned())));
        let spaced = String::from_utf8(ours.sign(b"{}")).unwrap().replace(",\"", ", \"");
        assert_eq!(verifier.open(spaced.as_bytes()), Err(EnvelopeError::NotCanonical));
        assert_eq!(
            verifier.open(&vec![b' '; ENVELOPE_BYTES_MAX + 1]),
            Err(EnvelopeError::TooLong(ENVELOPE_BYTES_MAX + 1))
        );
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        let key = signer().public_key();
        assert_eq!(PublicKey::from_pem(&key.to_pem()).unwrap(), key);
        for bad in ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
            assert!(PublicKey::from_pem(bad).is_err());
        }
        assert!(Signer::from_pkcs8(b"x").is_err());
        assert!(!format!("{:?}", signer()).contains("pkcs8"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn envelopes_open_as_they_were_signed(payload in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let signer = signer();
            let envelope = signer.sign(&payload);
            prop_assert_eq!(Verifier::new([signer.public_key()]).open(&envelope).unwrap(), payload);
        }

        #[test]
        fn any_flipped_byte_is_refused(payload in proptest::collection::vec(any::<u8>(), 0..200), change in 1u8..=255) {
            let signer = signer();
            let verifier = Verifier::new([signer.public_key()]);
            let envelope = signer.sign(&payload);
            for place in 0..envelope.len() {
                let mut altered = envelope.clone();
                altered[place] ^= change;
                prop_assert!(verifier.open(&altered).is_err(), "byte {}", place);
            }
        }

        #[test]
        fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            prop_assert!(Verifier::default().open(&bytes).is_err());
        }
    }
}
