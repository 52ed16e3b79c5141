//! TLS as a receiver's configuration wants it.

use std::path::Path;
use std::sync::Arc;

use maru_monitoring::scrape::{SecretSource, TlsConfig};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::{Failure, reveal};

/// Where distributions keep the authorities that they trust.
const HOST_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Tells whether files are named, which may change.
pub(super) fn has_files(config: &TlsConfig) -> bool {
    [&config.ca, &config.certificate, &config.key].into_iter().any(|one| matches!(one, Some(SecretSource::File(_))))
}

/// Makes what rustls wants.
pub(super) fn client_config(config: &TlsConfig) -> Result<ClientConfig, Failure> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| Failure::lasting(format!("{what}: {error}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[&rustls::SupportedProtocolVersion] = if config.needs_tls13 {
        &[&rustls::version::TLS13]
    } else {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| wrong("TLS", &error))?;
    let builder = if config.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(maru_http::any_certificate(&provider))
    } else {
        let mut roots = RootCertStore::empty();
        match &config.ca {
            Some(ca) => {
                let pem = reveal(ca)?;
                for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                    let certificate = certificate.map_err(|error| wrong("the CA's certificate", &error))?;
                    roots.add(certificate).map_err(|error| wrong("the CA's certificate", &error))?;
                }
            }
            None => {
                let bundle = HOST_BUNDLES.iter().map(Path::new).find(|path| path.exists());
                let certificates = bundle.and_then(|path| CertificateDer::pem_file_iter(path).ok());
                roots.add_parsable_certificates(certificates.into_iter().flatten().flatten());
            }
        }
        builder.with_root_certificates(roots)
    };
    let (Some(certificate), Some(key)) = (&config.certificate, &config.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(reveal(certificate)?.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| wrong("the client's certificate", &error))?;
    let key =
        PrivateKeyDer::from_pem_slice(reveal(key)?.as_bytes()).map_err(|error| wrong("the client's key", &error))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| wrong("the client's certificate", &error))
}
