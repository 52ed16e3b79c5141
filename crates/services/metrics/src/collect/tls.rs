//! TLS as a client: whom to trust, and who we are.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use maru_monitoring::scrape::{SecretSource, TlsConfig};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Where distributions keep the certificates of public authorities, the usual place first.
const SYSTEM_BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// A configuration that follows its files.
pub(crate) struct TlsSource {
    config: TlsConfig,
    folder: PathBuf,
    current: Mutex<Option<Built>>,
}

/// What was made of the files, and when they were changed last.
type Built = (Vec<Option<SystemTime>>, Arc<ClientConfig>);

impl std::fmt::Debug for TlsSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TlsSource").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Reads a secret; relative paths start at `folder`.
pub(crate) fn read_secret(source: &SecretSource, folder: &Path) -> Result<String, String> {
    match source {
        SecretSource::Text(secret) => Ok(secret.reveal().to_owned()),
        SecretSource::File(path) => {
            let path = folder.join(path);
            let text = std::fs::read_to_string(&path);
            text.map(|text| text.trim().to_owned())
                .map_err(|error| format!("cannot read \"{}\": {error}", path.display()))
        }
    }
}

impl TlsSource {
    pub(crate) fn new(config: TlsConfig, folder: PathBuf) -> Self {
        Self { config, folder, current: Mutex::new(None) }
    }

    /// Returns the name that the server's certificate must have, when it is not the host.
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.config.server_name.as_deref()
    }

    /// Returns the configuration, made again when a file has changed.
    pub(crate) fn get(&self) -> Result<Arc<ClientConfig>, String> {
        let stamps: Vec<Option<SystemTime>> = [&self.config.ca, &self.config.certificate, &self.config.key]
            .into_iter()
            .map(|source| match source {
                Some(SecretSource::File(path)) => {
                    std::fs::metadata(self.folder.join(path)).and_then(|metadata| metadata.modified()).ok()
                }
                _ => None,
            })
            .collect();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, config)) = current.as_ref()
            && *known == stamps
        {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.build()?);
        *current = Some((stamps, Arc::clone(&config)));
        Ok(config)
    }

    fn build(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions: &[&rustls::SupportedProtocolVersion] =
            if self.config.needs_tls13 { &[&rustls::version::TLS13] } else { rustls::ALL_VERSIONS };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(versions).map_err(|error| error.to_string())?;
        let builder = if self.config.insecure_skip_verify {
            builder.dangerous().with_custom_certificate_verifier(maru_http::any_certificate(&provider))
        } else {
            let (pem, from) = match &self.config.ca {
                Some(source) => (read_secret(source, &self.folder)?.into_bytes(), "the given authorities"),
                None => {
                    let bundle = SYSTEM_BUNDLES.iter().find_map(|path| std::fs::read(path).ok());
                    (
                        bundle.unwrap_or_default(),
                        "this machine's authorities; install ca-certificates or give a ca_file",
                    )
                }
            };
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
            if roots.is_empty() {
                return Err(format!("there is no certificate among {from}"));
            }
            builder.with_root_certificates(roots)
        };
        let (Some(certificate), Some(key)) = (&self.config.certificate, &self.config.key) else {
            return Ok(builder.with_no_client_auth());
        };
        let certificate = read_secret(certificate, &self.folder)?;
        let chain: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(certificate.as_bytes()).collect();
        let chain = chain.map_err(|error| format!("the client's certificate cannot be read: {error}"))?;
        let key = read_secret(key, &self.folder)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| format!("the client's key cannot be read: {error}"))?;
        builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())
    }
}
