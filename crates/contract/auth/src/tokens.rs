//! Tokens of service accounts: signed, bound, with an end.

use std::path::Path;
use std::time::Duration;

use maru_time::{SharedClock, Timestamp};

use crate::files::KeyFileError;
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
        todo!()
    }
}

/// Signs and verifies tokens.
#[derive(Debug)]
pub struct TokenIssuer {}

impl TokenIssuer {
    /// The issuer and default audience of a cluster's tokens.
    pub const DEFAULT_ISSUER: &'static str = "https://kubernetes.default.svc.cluster.local";

    /// Reads `sa.key` of a directory, or makes it (ECDSA P-256). The issuer is `DEFAULT_ISSUER`.
    ///
    /// # Errors
    /// When the file cannot be read, written or understood.
    pub fn load_or_create(_directory: &Path, _clock: SharedClock) -> Result<Self, TokenError> {
        todo!()
    }

    /// Returns the name of this issuer, which is also the default audience.
    #[must_use]
    pub fn issuer(&self) -> &str {
        todo!()
    }

    /// Signs a token; returns it with its end.
    ///
    /// # Errors
    /// When signing fails.
    pub fn issue(&self, _spec: &TokenSpec) -> Result<(SecretText, Timestamp), TokenError> {
        todo!()
    }

    /// Checks signature, issuer and times. The caller checks the audience, the account and the bound object.
    ///
    /// # Errors
    /// When the token is not ours or its time is over.
    pub fn verify(&self, _token: &str, _now: Timestamp) -> Result<TokenClaims, TokenError> {
        todo!()
    }

    /// Returns the public keys as a JSON web key set (`/openid/v1/jwks`).
    #[must_use]
    pub fn jwks(&self) -> serde_json::Value {
        todo!()
    }

    /// Returns the discovery document (`/.well-known/openid-configuration`).
    #[must_use]
    pub fn discovery(&self) -> serde_json::Value {
        todo!()
    }
}
