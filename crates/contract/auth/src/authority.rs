//! Our own certificate authority.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use maru_time::{SharedClock, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::files::{self, KeyFileError};
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
    /// A certificate can name two groups at most.
    #[error(
        "a client certificate for \"{user}\" can name two groups at most, not {count}; bind roles to the user instead"
    )]
    Groups {
        /// Whom it is for.
        user: String,
        /// How many were asked for.
        count: usize,
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
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    clock: SharedClock,
}

impl std::fmt::Debug for CertificateAuthority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CertificateAuthority")
    }
}

const CA_NAME: &str = "maru-ca";
const CA_VALIDITY: Duration = Duration::from_secs(10 * 365 * 86_400);
const SERVER_VALIDITY: Duration = Duration::from_secs(90 * 86_400);
/// Certificates begin this long before they are made: clocks differ.
const BACKDATED: Duration = Duration::from_secs(60);

impl CertificateAuthority {
    /// Reads `ca.crt` and `ca.key` of a directory, or makes them (ECDSA P-256, ten years).
    ///
    /// # Errors
    /// When the files cannot be read, written or understood.
    pub fn load_or_create(directory: &Path, clock: SharedClock) -> Result<Arc<Self>, CaError> {
        files::create_directory(directory)?;
        let (key_path, certificate_path) = (directory.join("ca.key"), directory.join("ca.crt"));
        let key_text = files::read_private(&key_path)?;
        let certificate_text = files::read(&certificate_path)?;
        if let (Some(key), Some(certificate)) = (key_text, certificate_text) {
            let content = |path: &Path, expected| KeyFileError::Content { path: path.to_owned(), expected };
            let key = String::from_utf8(key).ok().and_then(|pem| KeyPair::from_pem(&pem).ok());
            let key = key.ok_or_else(|| content(&key_path, "a private key"))?;
            let certificate_pem = String::from_utf8(certificate).map_err(|_| content(&certificate_path, "PEM"))?;
            let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key)
                .map_err(|_| content(&certificate_path, "a certificate"))?;
            return Self::new(issuer, certificate_pem, &certificate_path, clock);
        }
        let wrap = |source| CaError::Issue { subject: CA_NAME.to_owned(), source: Box::new(source) };
        let key = KeyPair::generate().map_err(wrap)?;
        let mut params = params_for(CA_NAME, clock.now(), CA_VALIDITY);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let certificate_pem = params.self_signed(&key).map_err(wrap)?.pem();
        // The key first: without its certificate both are made anew.
        files::write_whole(&key_path, key.serialize_pem().as_bytes(), 0o600)?;
        files::write_whole(&certificate_path, certificate_pem.as_bytes(), 0o644)?;
        Self::new(Issuer::new(params, key), certificate_pem, &certificate_path, clock)
    }

    fn new(
        issuer: Issuer<'static, KeyPair>,
        certificate_pem: String,
        path: &Path,
        clock: SharedClock,
    ) -> Result<Arc<Self>, CaError> {
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(|_| KeyFileError::Content { path: path.to_owned(), expected: "a certificate" })?;
        Ok(Arc::new(Self { issuer, certificate, certificate_pem, clock }))
    }

    /// Returns the authority's certificate as PEM: what clients trust.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Returns the authority's certificate.
    #[must_use]
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// Makes a server certificate, valid for 90 days.
    ///
    /// # Errors
    /// When a name is not a host name.
    pub fn issue_server(&self, names: &ServerNames) -> Result<IssuedCertificate, CaError> {
        let first_ip = names.ips.first().map(ToString::to_string);
        let subject = names.dns.first().cloned().or(first_ip).unwrap_or_else(|| "maru".to_owned());
        let mut params = params_for(&subject, self.clock.now(), SERVER_VALIDITY);
        for name in &names.dns {
            let name = name.as_str().try_into().map_err(|source| self.issue_error(&subject, source))?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.subject_alt_names.extend(names.ips.iter().copied().map(SanType::IpAddress));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&subject, params, SERVER_VALIDITY)
    }

    /// Makes a client certificate: the user is its common name, the groups (two at most) are its organisations.
    ///
    /// # Errors
    /// When there are more than two groups.
    pub fn issue_client(&self, user: &str, groups: &[&str], validity: Duration) -> Result<IssuedCertificate, CaError> {
        let mut params = params_for(user, self.clock.now(), validity);
        // The library keeps one value for each attribute type; the same type spelled by number is a second one.
        let spellings = [DnType::OrganizationName, DnType::CustomDnType(vec![2, 5, 4, 10])];
        if groups.len() > spellings.len() {
            return Err(CaError::Groups { user: user.to_owned(), count: groups.len() });
        }
        for (spelling, group) in spellings.into_iter().zip(groups) {
            params.distinguished_name.push(spelling, *group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(user, params, validity)
    }

    fn issue_error(&self, subject: &str, source: rcgen::Error) -> CaError {
        CaError::Issue { subject: subject.to_owned(), source: Box::new(source) }
    }

    fn issue(
        &self,
        subject: &str,
        mut params: CertificateParams,
        validity: Duration,
    ) -> Result<IssuedCertificate, CaError> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(|source| self.issue_error(subject, source))?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(|source| self.issue_error(subject, source))?;
        Ok(IssuedCertificate {
            certificate_pem: certificate.pem(),
            key_pem: SecretText::new(key.serialize_pem()),
            chain: vec![certificate.der().clone()],
            key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            not_after: later(self.clock.now(), validity),
        })
    }

    /// Returns a source of TLS configurations for a server (ALPN h2 and http/1.1), for `maru_http::TlsSource`.
    /// The certificate is made anew when two thirds of its time are over.
    ///
    /// # Errors
    /// When the first certificate cannot be made.
    pub fn server_tls(self: &Arc<Self>, names: ServerNames, clients: ClientAuth) -> Result<ServerTls, CaError> {
        let authority = Arc::clone(self);
        let first = authority.server_config(&names, clients)?;
        let renew_at = later(authority.clock.now(), SERVER_VALIDITY * 2 / 3);
        let current = Mutex::new((first, renew_at));
        Ok(Arc::new(move || {
            let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
            let now = authority.clock.now();
            if now >= current.1
                && let Ok(renewed) = authority.server_config(&names, clients)
            {
                *current = (renewed, later(now, SERVER_VALIDITY * 2 / 3));
            }
            Arc::clone(&current.0)
        }))
    }

    fn server_config(&self, names: &ServerNames, clients: ClientAuth) -> Result<Arc<rustls::ServerConfig>, CaError> {
        let issued = self.issue_server(names)?;
        let subject = names.dns.first().cloned().unwrap_or_default();
        let wrap = |source| CaError::Tls { subject: subject.clone(), source };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(wrap)?;
        let builder = match clients {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Optional | ClientAuth::Required => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(self.certificate()).map_err(wrap)?;
                let verifier =
                    rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
                let verifier =
                    if clients == ClientAuth::Optional { verifier.allow_unauthenticated() } else { verifier };
                let verifier = verifier.build().map_err(|error| wrap(rustls::Error::General(error.to_string())))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(issued.chain, issued.key).map_err(wrap)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    let by = jiff::SignedDuration::try_from(by).unwrap_or(jiff::SignedDuration::MAX);
    now.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn params_for(common_name: &str, now: Timestamp, validity: Duration) -> CertificateParams {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = Duration::from_secs(u64::try_from(now.as_second()).unwrap_or(0));
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = epoch + now.saturating_sub(BACKDATED);
    params.not_after = epoch + now.saturating_add(validity);
    params
}

/// Returns who a verified client certificate is for: its common name and organisations.
///
/// # Errors
/// When it has no common name or cannot be read.
pub fn identity_from_certificate(certificate: &CertificateDer<'_>) -> Result<Identity, CaError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|_| CaError::Client { problem: "it cannot be parsed" })?;
    let subject = parsed.subject();
    let user = subject.iter_common_name().next().and_then(|name| name.as_str().ok()).filter(|name| !name.is_empty());
    let user = user.ok_or(CaError::Client { problem: "it has no common name" })?;
    let groups: Vec<&str> = subject.iter_organization().filter_map(|name| name.as_str().ok()).collect();
    Ok(Identity::new(user, &groups))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> std::path::PathBuf {
        std::env::temp_dir().join(format!("maru-auth-{}", maru_ids::random_suffix(8)))
    }

    #[test]
    fn the_authority_is_the_same_after_a_restart() {
        let directory = directory();
        let clock = maru_time::system_clock();
        let first = CertificateAuthority::load_or_create(&directory, Arc::clone(&clock)).unwrap();
        let second = CertificateAuthority::load_or_create(&directory, clock).unwrap();
        assert_eq!(first.certificate_pem(), second.certificate_pem());
        let issued = second.issue_client("anna", &["system:masters", "team:a"], Duration::from_secs(60)).unwrap();
        let identity = identity_from_certificate(&issued.chain[0]).unwrap();
        assert_eq!(identity, Identity::new("anna", &["system:masters", "team:a"]));
        assert!(matches!(
            first.issue_client("anna", &["a", "b", "c"], Duration::from_secs(60)),
            Err(CaError::Groups { count: 3, .. })
        ));
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_handshake_succeeds_with_and_without_a_client_certificate() {
        let directory = directory();
        let authority = CertificateAuthority::load_or_create(&directory, maru_time::system_clock()).unwrap();
        let names = ServerNames { dns: vec!["localhost".to_owned()], ips: vec![IpAddr::from([127, 0, 0, 1])] };
        let source = authority.server_tls(names, ClientAuth::Optional).unwrap();
        let issued = authority.issue_client("anna", &["team"], Duration::from_secs(600)).unwrap();
        for name in ["localhost", "127.0.0.1"] {
            assert_eq!(handshake(&authority, &source(), name, None).unwrap(), None);
        }
        let identity = handshake(&authority, &source(), "localhost", Some(issued)).unwrap().unwrap();
        assert_eq!(identity.user, "anna");

        let other = CertificateAuthority::load_or_create(&directory.join("other"), maru_time::system_clock()).unwrap();
        let foreign = other.issue_client("anna", &["system:masters"], Duration::from_secs(600)).unwrap();
        assert!(handshake(&authority, &source(), "localhost", Some(foreign)).is_err());
        let untrusted = other.server_tls(ServerNames::default(), ClientAuth::None).unwrap();
        assert!(handshake(&authority, &untrusted(), "localhost", None).is_err());
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_server_certificate_is_renewed_before_its_end() {
        let directory = directory();
        let clock = maru_time::TestClock::new("2026-01-01T00:00:00Z".parse().unwrap());
        let shared: SharedClock = Arc::clone(&clock) as SharedClock;
        let authority = CertificateAuthority::load_or_create(&directory, shared).unwrap();
        let source = authority.server_tls(ServerNames::default(), ClientAuth::None).unwrap();
        let first = source();
        clock.advance(Duration::from_secs(59 * 86_400));
        assert!(Arc::ptr_eq(&first, &source()));
        clock.advance(Duration::from_secs(2 * 86_400));
        assert!(!Arc::ptr_eq(&first, &source()));
        std::fs::remove_dir_all(directory).unwrap();
    }

    /// Shakes hands in memory and returns whom the server sees.
    fn handshake(
        authority: &CertificateAuthority,
        server: &Arc<rustls::ServerConfig>,
        name: &'static str,
        certificate: Option<IssuedCertificate>,
    ) -> Result<Option<Identity>, rustls::Error> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.certificate()).unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match certificate {
            Some(issued) => builder.with_client_auth_cert(issued.chain, issued.key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        let mut client = rustls::ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
        let mut server = rustls::ServerConnection::new(Arc::clone(server)).unwrap();
        for _ in 0..10 {
            let mut wire = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut wire).unwrap();
            }
            let mut wire = wire.as_slice();
            while !wire.is_empty() {
                server.read_tls(&mut wire).unwrap();
                server.process_new_packets()?;
            }
            let mut wire = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut wire).unwrap();
            }
            let mut wire = wire.as_slice();
            while !wire.is_empty() {
                client.read_tls(&mut wire).unwrap();
                client.process_new_packets()?;
            }
        }
        assert!(!server.is_handshaking());
        Ok(server.peer_certificates().map(|chain| identity_from_certificate(&chain[0]).unwrap()))
    }
}
