//! Our own certificate authority.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use maru_time::{SharedClock, Timestamp};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::files::KeyFileError;
use crate::identity::Identity;
use crate::secret::SecretText;

/// A certificate cannot be made or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// A file of the authority cannot be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// A certificate cannot be made.
    #[error("the certificate for \"{subject}\" cannot be made")]
    Issue {
        /// Whom it is for.
        subject: String,
        /// What is wrong.
        #[source]
        source: Box<rcgen::Error>,
    },
    /// The TLS library refuses it.
    #[error("the TLS configuration for \"{subject}\" cannot be made")]
    Tls {
        /// Whom it is for.
        subject: String,
        /// What is wrong.
        #[source]
        source: rustls::Error,
    },
    /// The client's certificate cannot be read.
    #[error("the client's certificate names no user: {problem}")]
    Client {
        /// What is wrong.
        problem: &'static str,
    },
}

/// What a server certificate is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerNames {
    /// Host names; the first one (or the first address) is the subject's common name.
    pub dns: Vec<String>,
    /// Addresses.
    pub ips: Vec<IpAddr>,
}

/// A certificate with its key.
#[derive(Debug)]
pub struct IssuedCertificate {
    /// The certificate as PEM.
    pub certificate_pem: String,
    /// The private key as PEM (PKCS #8).
    pub key_pem: SecretText,
    /// The certificate for rustls, leaf first; the authority's own is not sent.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key for rustls.
    pub key: PrivateKeyDer<'static>,
    /// When it ends.
    pub not_after: Timestamp,
}

/// Whether a server asks for client certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// Never.
    None,
    /// Accepts those of this authority; clients without one are let in too.
    Optional,
    /// Refuses clients without one of this authority.
    Required,
}

/// Returns the TLS configuration for the next connection; renews its certificate before it ends.
pub type ServerTls = Arc<dyn Fn() -> Arc<rustls::ServerConfig> + Send + Sync>;

/// An authority whose key is in a file of ours.
#[derive(Debug)]
pub struct CertificateAuthority {}

impl CertificateAuthority {
    /// Reads `ca.crt` and `ca.key` of a directory, or makes them (ECDSA P-256, ten years).
    ///
    /// # Errors
    /// When the files cannot be read, written or understood.
    pub fn load_or_create(_directory: &Path, _clock: SharedClock) -> Result<Arc<Self>, CaError> {
        todo!()
    }

    /// Returns the authority's certificate as PEM: what clients trust.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        todo!()
    }

    /// Returns the authority's certificate.
    #[must_use]
    pub fn certificate(&self) -> CertificateDer<'static> {
        todo!()
    }

    /// Makes a server certificate, valid for 90 days.
    ///
    /// # Errors
    /// When a name is not a host name.
    pub fn issue_server(&self, _names: &ServerNames) -> Result<IssuedCertificate, CaError> {
        todo!()
    }

    /// Makes a client certificate: the user is its common name, the groups are its organisations.
    ///
    /// # Errors
    /// When a name cannot be put into a certificate.
    pub fn issue_client(&self, _user: &str, _groups: &[&str], _validity: Duration) -> Result<IssuedCertificate, CaError> {
        todo!()
    }

    /// Returns a source of TLS configurations for a server (ALPN h2 and http/1.1), for `maru_http::TlsSource`.
    /// The certificate is made anew when two thirds of its time are over.
    ///
    /// # Errors
    /// When the first certificate cannot be made.
    pub fn server_tls(self: &Arc<Self>, _names: ServerNames, _clients: ClientAuth) -> Result<ServerTls, CaError> {
        todo!()
    }
}

/// Returns who a verified client certificate is for: its common name and organisations.
///
/// # Errors
/// When it has no common name or cannot be read.
pub fn identity_from_certificate(_certificate: &CertificateDer<'_>) -> Result<Identity, CaError> {
    todo!()
}
