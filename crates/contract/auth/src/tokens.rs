//! Tokens of service accounts: signed, bound, with an end.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use maru_time::{SharedClock, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde_json::{Value, json};

use crate::files::{self, KeyFileError};
use crate::identity::Identity;
use crate::secret::SecretText;

/// A token is not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The signing key's file cannot be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// It is not a token of a service account.
    #[error("the token is not a service account's JSON web token")]
    Malformed,
    /// Somebody else signed it, or it was changed.
    #[error("the token's signature is not ours")]
    BadSignature,
    /// It is of another issuer.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// Its time is over.
    #[error("the token expired at {at}")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// Its time has not come.
    #[error("the token is not valid before {at}")]
    NotYetValid {
        /// When it will be.
        at: Timestamp,
    },
    /// It cannot be signed.
    #[error("the token could not be signed")]
    Sign,
}

/// What a token is bound to: it ends with this object. The caller looks the object up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundObject {
    /// `Pod`, `Secret` or `Node`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// What a token shall say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSpec {
    /// The service account's namespace.
    pub namespace: String,
    /// The service account's name.
    pub service_account: String,
    /// The service account's uid.
    pub uid: String,
    /// For whom; the issuer itself when empty.
    pub audiences: Vec<String>,
    /// For how long.
    pub lifetime: Duration,
    /// To what.
    pub bound: Option<BoundObject>,
}

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenClaims {
    /// The service account's namespace.
    pub namespace: String,
    /// The service account's name.
    pub service_account: String,
    /// The service account's uid.
    pub uid: String,
    /// For whom.
    pub audiences: Vec<String>,
    /// To what it is bound.
    pub bound: Option<BoundObject>,
    /// The token's own id.
    pub id: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl TokenClaims {
    /// Tells whether the token is for one of these audiences.
    #[must_use]
    pub fn is_for(&self, audiences: &[&str]) -> bool {
        self.audiences.iter().any(|audience| audiences.contains(&audience.as_str()))
    }

    /// Returns who the bearer is, with the token's id and its pod in `extra`, as Kubernetes says them.
    #[must_use]
    pub fn identity(&self) -> Identity {
        let mut identity = Identity::service_account(&self.namespace, &self.service_account, Some(&self.uid));
        let mut say = |name: &str, value: String| {
            identity.extra.insert(format!("authentication.kubernetes.io/{name}"), vec![value]);
        };
        say("credential-id", format!("JTI={}", self.id));
        if let Some(bound) = &self.bound {
            let kind = bound.kind.to_lowercase();
            if matches!(kind.as_str(), "pod" | "node") {
                say(&format!("{kind}-name"), bound.name.clone());
                say(&format!("{kind}-uid"), bound.uid.clone());
            }
        }
        identity
    }
}

/// Signs and verifies tokens.
pub struct TokenIssuer {
    issuer: String,
    key: EcdsaKeyPair,
    key_id: String,
    clock: SharedClock,
}

impl std::fmt::Debug for TokenIssuer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TokenIssuer")
            .field("issuer", &self.issuer)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// Longer ones are refused unread.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

impl TokenIssuer {
    /// The issuer and default audience of a cluster's tokens.
    pub const DEFAULT_ISSUER: &'static str = "https://kubernetes.default.svc.cluster.local";

    /// Reads `sa.key` of a directory, or makes it (ECDSA P-256, PKCS #8). The issuer is `DEFAULT_ISSUER`.
    ///
    /// # Errors
    /// When the file cannot be read, written or understood.
    pub fn load_or_create(directory: &Path, clock: SharedClock) -> Result<Self, TokenError> {
        files::create_directory(directory)?;
        let path = directory.join("sa.key");
        let random = SystemRandom::new();
        let document = match files::read_private(&path)? {
            Some(document) => document,
            None => {
                let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
                let document = made.map_err(|_| TokenError::Sign)?.as_ref().to_vec();
                files::write_whole(&path, &document, 0o600)?;
                document
            }
        };
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &document, &random)
            .map_err(|_| KeyFileError::Content { path, expected: "a private key (PKCS #8, ECDSA P-256)" })?;
        let digest = ring::digest::digest(&ring::digest::SHA256, key.public_key().as_ref());
        let key_id = BASE64.encode(digest.as_ref());
        Ok(Self { issuer: Self::DEFAULT_ISSUER.to_owned(), key, key_id, clock })
    }

    /// Returns the name of this issuer, which is also the default audience.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Signs a token; returns it with its end.
    ///
    /// # Errors
    /// When signing fails.
    pub fn issue(&self, spec: &TokenSpec) -> Result<(SecretText, Timestamp), TokenError> {
        let now = self.clock.now().as_second();
        let lifetime = i64::try_from(spec.lifetime.as_secs()).unwrap_or(i64::MAX);
        let end = Timestamp::from_second(now.saturating_add(lifetime)).unwrap_or(Timestamp::MAX);
        let mut kubernetes = json!({
            "namespace": spec.namespace,
            "serviceaccount": {"name": spec.service_account, "uid": spec.uid},
        });
        if let Some(bound) = &spec.bound {
            kubernetes[bound.kind.to_lowercase()] = json!({"name": bound.name, "uid": bound.uid});
        }
        let audiences = if spec.audiences.is_empty() { vec![self.issuer.clone()] } else { spec.audiences.clone() };
        let claims = json!({
            "aud": audiences,
            "exp": end.as_second(),
            "iat": now,
            "iss": self.issuer,
            "jti": maru_ids::new_uid(),
            "kubernetes.io": kubernetes,
            "nbf": now,
            "sub": format!("system:serviceaccount:{}:{}", spec.namespace, spec.service_account),
        });
        let header = json!({"alg": "ES256", "kid": self.key_id, "typ": "JWT"});
        let mut token = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let signature = self.key.sign(&SystemRandom::new(), token.as_bytes()).map_err(|_| TokenError::Sign)?;
        token.push('.');
        token.push_str(&BASE64.encode(signature.as_ref()));
        Ok((SecretText::new(token), end))
    }

    /// Checks signature, issuer and times. The caller checks the audience, the account and the bound object.
    ///
    /// # Errors
    /// When the token is not ours or its time is over.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<TokenClaims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header = decode(header)?;
        if header["alg"] != "ES256" {
            return Err(TokenError::Malformed);
        }
        if header["kid"] != self.key_id.as_str() {
            return Err(TokenError::BadSignature);
        }
        let signature = BASE64.decode(signature).map_err(|_| TokenError::Malformed)?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key().as_ref())
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| TokenError::BadSignature)?;
        let claims = decode(claims)?;
        if claims["iss"] != self.issuer.as_str() {
            return Err(TokenError::WrongIssuer);
        }
        let parsed = parse_claims(&claims).ok_or(TokenError::Malformed)?;
        let not_before = time_of(&claims["nbf"]).unwrap_or(parsed.issued_at);
        if now < not_before {
            return Err(TokenError::NotYetValid { at: not_before });
        }
        if now >= parsed.expires_at {
            return Err(TokenError::Expired { at: parsed.expires_at });
        }
        Ok(parsed)
    }

    /// Returns the public keys as a JSON web key set (`/openid/v1/jwks`).
    #[must_use]
    pub fn jwks(&self) -> Value {
        // An uncompressed point: 0x04, then 32 bytes each of x and y (SEC 1 §2.3.3).
        let point = self.key.public_key().as_ref();
        let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
        json!({"keys": [{
            "alg": "ES256", "crv": "P-256", "kid": self.key_id, "kty": "EC", "use": "sig",
            "x": BASE64.encode(x), "y": BASE64.encode(y),
        }]})
    }

    /// Returns the discovery document (`/.well-known/openid-configuration`).
    #[must_use]
    pub fn discovery(&self) -> Value {
        json!({
            "issuer": self.issuer,
            "jwks_uri": format!("{}/openid/v1/jwks", self.issuer),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }
}

fn decode(part: &str) -> Result<Value, TokenError> {
    let bytes = BASE64.decode(part).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

fn time_of(value: &Value) -> Option<Timestamp> {
    Timestamp::from_second(value.as_i64()?).ok()
}

fn parse_claims(claims: &Value) -> Option<TokenClaims> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let kubernetes = &claims["kubernetes.io"];
    let account = &kubernetes["serviceaccount"];
    let bound = ["Pod", "Secret", "Node"].into_iter().find_map(|kind| {
        let object = &kubernetes[kind.to_lowercase()];
        Some(BoundObject { kind: kind.to_owned(), name: text(&object["name"])?, uid: text(&object["uid"])? })
    });
    Some(TokenClaims {
        namespace: text(&kubernetes["namespace"])?,
        service_account: text(&account["name"])?,
        uid: text(&account["uid"])?,
        audiences: claims["aud"].as_array()?.iter().filter_map(text).collect(),
        bound,
        id: text(&claims["jti"])?,
        issued_at: time_of(&claims["iat"])?,
        expires_at: time_of(&claims["exp"])?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const NOW: &str = "2026-11-22T09:00:00Z";

    fn issuer() -> TokenIssuer {
        let directory = std::env::temp_dir().join(format!("maru-auth-{}", maru_ids::random_suffix(8)));
        let clock = maru_time::TestClock::new(NOW.parse().unwrap());
        let issuer = TokenIssuer::load_or_create(&directory, Arc::clone(&clock) as SharedClock).unwrap();
        let again = TokenIssuer::load_or_create(&directory, clock).unwrap();
        assert_eq!(issuer.jwks(), again.jwks());
        std::fs::remove_dir_all(directory).unwrap();
        issuer
    }

    fn spec() -> TokenSpec {
        TokenSpec {
            namespace: "shop".to_owned(),
            service_account: "orders".to_owned(),
            uid: "u-1".to_owned(),
            audiences: vec!["vault".to_owned()],
            lifetime: Duration::from_secs(600),
            bound: Some(BoundObject { kind: "Pod".to_owned(), name: "orders-1".to_owned(), uid: "p-1".to_owned() }),
        }
    }

    #[test]
    fn a_token_says_what_was_asked_for() {
        let issuer = issuer();
        let now: Timestamp = NOW.parse().unwrap();
        let (token, end) = issuer.issue(&spec()).unwrap();
        assert_eq!(end.as_second() - now.as_second(), 600);
        let claims = issuer.verify(token.reveal(), now).unwrap();
        assert!(claims.is_for(&["vault"]) && !claims.is_for(&["other"]));
        assert_eq!(claims.bound, spec().bound);
        let identity = claims.identity();
        assert_eq!(identity.user, "system:serviceaccount:shop:orders");
        assert!(identity.groups.contains(&"system:serviceaccounts:shop".to_owned()));
        assert_eq!(identity.extra["authentication.kubernetes.io/pod-name"], ["orders-1"]);
        assert_eq!(token.to_string(), "***");
    }

    #[test]
    fn without_audiences_a_token_is_for_the_issuer() {
        let issuer = issuer();
        let (token, _) = issuer.issue(&TokenSpec { audiences: Vec::new(), ..spec() }).unwrap();
        let claims = issuer.verify(token.reveal(), NOW.parse().unwrap()).unwrap();
        assert!(claims.is_for(&[TokenIssuer::DEFAULT_ISSUER]));
    }

    #[test]
    fn time_is_checked_at_both_ends() {
        let issuer = issuer();
        let (token, end) = issuer.issue(&spec()).unwrap();
        assert!(matches!(issuer.verify(token.reveal(), end), Err(TokenError::Expired { .. })));
        let before = "2026-11-22T08:59:59Z".parse().unwrap();
        assert!(matches!(issuer.verify(token.reveal(), before), Err(TokenError::NotYetValid { .. })));
    }

    #[test]
    fn foreign_and_changed_tokens_are_refused() {
        let now: Timestamp = NOW.parse().unwrap();
        let (ours, theirs) = (issuer(), issuer());
        let (token, _) = theirs.issue(&spec()).unwrap();
        assert!(matches!(ours.verify(token.reveal(), now), Err(TokenError::BadSignature)));
        let (token, _) = ours.issue(&spec()).unwrap();
        let mut parts: Vec<String> = token.reveal().split('.').map(str::to_owned).collect();
        let claims = String::from_utf8(BASE64.decode(&parts[1]).unwrap()).unwrap().replace("orders", "admins");
        parts[1] = BASE64.encode(claims);
        assert!(matches!(ours.verify(&parts.join("."), now), Err(TokenError::BadSignature)));
        // RFC 8725 §3.1: the algorithm is not the token's to choose.
        parts[0] = BASE64.encode(r#"{"alg":"none"}"#);
        assert!(matches!(ours.verify(&parts.join("."), now), Err(TokenError::Malformed)));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_is_never_a_token(text in ".{0,200}") {
            proptest::prop_assert!(issuer_for_fuzz().verify(&text, Timestamp::UNIX_EPOCH).is_err());
        }
    }

    fn issuer_for_fuzz() -> &'static TokenIssuer {
        static ISSUER: std::sync::OnceLock<TokenIssuer> = std::sync::OnceLock::new();
        ISSUER.get_or_init(issuer)
    }
}
