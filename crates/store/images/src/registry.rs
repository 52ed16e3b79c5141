//! The OCI distribution protocol, as far as pulling needs it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::ImageError;
use crate::pull::RegistryOptions;

/// Where distributions keep the certificates that the host trusts.
const HOST_BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];
/// Longest that a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest silence of a server.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns a client with the certificates and proxies of the options, and none of the process's environment.
///
/// # Errors
/// When the certificates cannot be read or a proxy is not a URL.
pub fn http_client(options: &RegistryOptions) -> Result<reqwest::Client, ImageError> {
    let wrong = |what: &str, problem: String| ImageError::Malformed { what: what.to_owned(), problem };
    let mut roots = rustls::RootCertStore::empty();
    let bundle = match &options.ca_bundle {
        Some(path) => Some(path.as_path()),
        None => HOST_BUNDLES.iter().map(Path::new).find(|path| path.exists()),
    };
    if let Some(path) = bundle {
        let certificates = CertificateDer::pem_file_iter(path)
            .map_err(|error| wrong(&path.display().to_string(), error.to_string()))?
            // A bundle may hold what this library does not read.
            .flatten();
        roots.add_parsable_certificates(certificates);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong("TLS", error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .user_agent(concat!("maru/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT);
    let exceptions = options.no_proxy.as_deref().and_then(reqwest::NoProxy::from_string);
    if let Some(url) = &options.http_proxy {
        let proxy = reqwest::Proxy::http(url).map_err(|error| wrong("the HTTP proxy", error.to_string()))?;
        builder = builder.proxy(proxy.no_proxy(exceptions.clone()));
    }
    if let Some(url) = &options.https_proxy {
        let proxy = reqwest::Proxy::https(url).map_err(|error| wrong("the HTTPS proxy", error.to_string()))?;
        builder = builder.proxy(proxy.no_proxy(exceptions));
    }
    builder.build().map_err(|error| wrong("the HTTP client", error.to_string()))
}
