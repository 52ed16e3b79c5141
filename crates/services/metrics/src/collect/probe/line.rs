//! A connection that a probe talks on, in the clear or by TLS.

use std::net::SocketAddr;
use std::path::Path;

use maru_monitoring::scrape::TlsConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::Findings;
use crate::collect::state::float;
use crate::collect::tls::TlsSource;

/// What can be read and written.
pub(super) trait Talk: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Talk for T {}

pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(address).await;
    stream.map_err(|error| format!("cannot connect to {address}: {error}"))
}

/// Begins TLS and writes down what the server shows.
pub(super) async fn secure<S: Talk + 'static>(
    stream: S,
    config: &TlsConfig,
    host: &str,
    protocols: &[&[u8]],
    folder: &Path,
    found: &mut Findings,
) -> Result<TlsStream<S>, String> {
    let source = TlsSource::new(config.clone(), folder.to_owned());
    let name = source.server_name().unwrap_or(host).trim_start_matches('[').trim_end_matches(']').to_owned();
    let name =
        ServerName::try_from(name.clone()).map_err(|_| format!("\"{name}\" is no name that a certificate can have"))?;
    let mut client = source.get()?.as_ref().clone();
    client.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client));
    let stream = connector.connect(name, stream).await.map_err(|error| format!("no TLS with \"{host}\": {error}"))?;
    tell(&stream, found);
    Ok(stream)
}

fn tell<S>(stream: &TlsStream<S>, found: &mut Findings) {
    let (_, connection) = stream.get_ref();
    let chain: Vec<X509Certificate<'_>> = connection
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .filter_map(|der| X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate))
        .collect();
    let expiries = chain.iter().map(|one| one.validity().not_after.timestamp());
    if let Some(earliest) = expiries.clone().min() {
        let help = "Returns last SSL chain expiry in unixtime";
        found.gauge("probe_ssl_earliest_cert_expiry", help, float(u64::try_from(earliest).unwrap_or_default()));
        found.gauge(
            "probe_ssl_last_chain_expiry_timestamp_seconds",
            "Returns last SSL chain expiry in timestamp",
            float(u64::try_from(earliest).unwrap_or_default()),
        );
    }
    if let (Some(leaf), Some(der)) = (chain.first(), connection.peer_certificates().and_then(<[_]>::first)) {
        let digest = ring::digest::digest(&ring::digest::SHA256, der);
        let fingerprint: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let names = leaf.subject_alternative_name().ok().flatten();
        let names: Vec<String> = names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match name {
                x509_parser::extensions::GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            })
            .collect();
        let (subject, issuer) = (leaf.subject().to_string(), leaf.issuer().to_string());
        let labels = [
            ("fingerprint_sha256", fingerprint.as_str()),
            ("subject", &subject),
            ("issuer", &issuer),
            ("subjectalternative", &names.join(",")),
        ];
        found.out.head("probe_ssl_last_chain_info", "gauge", "Contains SSL leaf certificate information");
        found.out.sample("probe_ssl_last_chain_info", &labels, 1.0);
    }
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "unknown",
    };
    found.out.head("probe_tls_version_info", "gauge", "Returns the TLS version used or NaN when unknown");
    found.out.sample("probe_tls_version_info", &[("version", version)], 1.0);
}
