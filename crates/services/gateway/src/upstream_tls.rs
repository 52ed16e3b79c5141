//! TLS to upstreams: whom to trust, and what their certificates must say.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

/// Where distributions keep the certificates of public authorities, the usual place first.
const SYSTEM_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// A name that a certificate may be for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum SubjectName {
    /// A host.
    Host(ServerName<'static>),
    /// An identity, such as `spiffe://…`.
    Uri(String),
}

/// How connections to an upstream are encrypted.
pub(crate) struct UpstreamTls {
    /// What the client asks for (SNI).
    pub name: ServerName<'static>,
    /// Tells configurations apart: connections are only used again for the same one.
    pub id: u64,
    /// For HTTP/1.1.
    pub http1: Arc<ClientConfig>,
    /// For HTTP/2.
    pub http2: Arc<ClientConfig>,
}

impl std::fmt::Debug for UpstreamTls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("UpstreamTls").field("name", &self.name).field("id", &self.id).finish_non_exhaustive()
    }
}

impl PartialEq for UpstreamTls {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for UpstreamTls {}

/// What is said of an upstream's certificate, before it is made into a configuration.
#[derive(Debug, Clone, Hash)]
pub(crate) struct Expectation {
    /// The name that is asked for, and that the certificate is for unless `subjects` says otherwise.
    pub name: ServerName<'static>,
    /// The authorities: concatenated PEM.
    pub authorities: Vec<u8>,
    /// The names of which the certificate must have one, instead of `name`.
    pub subjects: Vec<SubjectName>,
}

impl Expectation {
    /// Tells expectations apart; never 0, which stands for no TLS.
    pub(crate) fn id(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish() | 1
    }
}

/// Returns the certificates of the machine's public authorities, as PEM.
pub(crate) fn system_authorities() -> Option<Vec<u8>> {
    SYSTEM_BUNDLES.iter().find_map(|path| std::fs::read(path).ok())
}

/// Counts the certificates of a PEM text; `None` when one is broken.
pub(crate) fn count_certificates(pem: &[u8]) -> Option<usize> {
    let all: Vec<CertificateDer<'_>> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()?;
    let mut roots = RootCertStore::empty();
    all.iter().all(|one| roots.add(one.clone()).is_ok()).then_some(all.len())
}

impl UpstreamTls {
    /// Makes a configuration; `None` when no authority is left to trust.
    pub(crate) fn new(expectation: &Expectation) -> Option<Self> {
        let mut roots = RootCertStore::empty();
        roots
            .add_parsable_certificates(CertificateDer::pem_slice_iter(&expectation.authorities).filter_map(Result::ok));
        if roots.is_empty() {
            return None;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(Verifier {
            roots,
            subjects: expectation.subjects.clone(),
            algorithms: provider.signature_verification_algorithms,
        });
        let config = |protocol: &[u8]| -> Option<Arc<ClientConfig>> {
            let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
            let builder = builder.with_safe_default_protocol_versions().ok()?;
            let builder = builder.dangerous().with_custom_certificate_verifier(Arc::clone(&verifier) as _);
            let mut config = builder.with_no_client_auth();
            config.alpn_protocols = vec![protocol.to_vec()];
            Some(Arc::new(config))
        };
        let (http1, http2) = (config(b"http/1.1")?, config(b"h2")?);
        Some(Self { name: expectation.name.clone(), id: expectation.id(), http1, http2 })
    }
}

/// Checks an upstream's certificate: a trusted chain, and one of the names.
#[derive(Debug)]
struct Verifier {
    roots: RootCertStore,
    subjects: Vec<SubjectName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        if self.subjects.is_empty() {
            verify_server_name(&certificate, server_name)?;
        } else {
            let uris = uris_of(end_entity);
            let matches = self.subjects.iter().any(|subject| match subject {
                SubjectName::Host(host) => verify_server_name(&certificate, host).is_ok(),
                SubjectName::Uri(uri) => uris.contains(uri),
            });
            if !matches {
                return Err(CertificateError::NotValidForName.into());
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        None
    }
}

/// Returns the URIs among a certificate's alternative names.
fn uris_of(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Vec::new() };
    let names = parsed.extensions().iter().filter_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
        _ => None,
    });
    let uris = names.flatten().filter_map(|name| match name {
        GeneralName::URI(uri) => Some((*uri).to_owned()),
        _ => None,
    });
    uris.collect()
}
