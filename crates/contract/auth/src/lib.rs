//! Identities, certificates, tokens and the evaluation of RBAC.
//!
//! Owns: who a request is from, what that identity may do, our own certificate authority, the key that seals secrets.
//! Never: serves HTTP, reads objects itself (it is handed them).
//! Source: Kubernetes "Authenticating" and "Using RBAC Authorization"; RFC 5280; RFC 7515; RFC 7519; RFC 7517.

mod authority;
mod bearer;
mod bootstrap;
mod files;
mod identity;
mod rbac;
mod seal;
mod secret;
mod selector;
mod tokens;

pub use authority::{
    CaError, CertificateAuthority, ClientAuth, IssuedCertificate, ServerNames, ServerTls, identity_from_certificate,
};
pub use bearer::{BearerError, BearerTokens};
pub use bootstrap::{bootstrap_cluster_role_bindings, bootstrap_cluster_roles, bootstrap_objects};
pub use files::KeyFileError;
pub use identity::Identity;
pub use rbac::{Attributes, Decision, Policy, Request, RoleRef, Rule, aggregated_rules};
pub use seal::{SealError, SecretSealer};
pub use secret::SecretText;
pub use tokens::{BoundObject, TokenClaims, TokenError, TokenIssuer, TokenSpec};
