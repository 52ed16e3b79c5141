//! Identities, certificates, tokens and the evaluation of RBAC.
//!
//! Owns: who a request is from, what that identity may do, our own certificate authority.
//! Never: serves HTTP, reads objects itself (it is handed them).
//! Source: Kubernetes "Authenticating" and "Using RBAC Authorization"; RFC 5280; RFC 7519.

mod identity;

pub use identity::Identity;
