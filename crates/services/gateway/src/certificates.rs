//! Certificates from Secrets, and which one a client gets.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::table::HostRule;
use crate::upstream_tls::{Expectation, UpstreamTls, system_authorities};

/// Configurations of TLS to upstreams that are remembered.
const UPSTREAMS_MAX: usize = 4096;

/// A certificate with its key, or what is wrong with the Secret.
pub(crate) type Parsed = Result<Arc<CertifiedKey>, &'static str>;

/// Remembers parsed Secrets by their version, and what was made of policies for upstreams.
#[derive(Debug, Default)]
pub(crate) struct CertificateCache {
    known: HashMap<(String, String), (String, Parsed)>,
    upstreams: HashMap<u64, Arc<UpstreamTls>>,
    system_authorities: Option<Vec<u8>>,
}

impl CertificateCache {
    /// Forgets Secrets that are gone.
    pub(crate) fn keep(&mut self, secrets: &[Arc<Secret>]) {
        if self.known.len() > secrets.len() {
            let name = |part: &Option<String>| part.clone().unwrap_or_default();
            let there: HashSet<(String, String)> =
                secrets.iter().map(|secret| (name(&secret.metadata.namespace), name(&secret.metadata.name))).collect();
            self.known.retain(|key, _| there.contains(key));
        }
    }

    /// Returns how an upstream is reached over TLS; `None` when there is no authority to trust.
    pub(crate) fn upstream(&mut self, expectation: &Expectation) -> Option<Arc<UpstreamTls>> {
        if self.upstreams.len() >= UPSTREAMS_MAX {
            self.upstreams.clear();
        }
        match self.upstreams.entry(expectation.id()) {
            Entry::Occupied(known) => Some(Arc::clone(known.get())),
            Entry::Vacant(free) => Some(Arc::clone(free.insert(Arc::new(UpstreamTls::new(expectation)?)))),
        }
    }

    /// Returns the machine's public authorities, read at the first use.
    pub(crate) fn system_authorities(&mut self) -> Option<Vec<u8>> {
        if self.system_authorities.is_none() {
            self.system_authorities = system_authorities();
        }
        self.system_authorities.clone()
    }

    /// Parses a Secret, unless this version of it was parsed before.
    pub(crate) fn parse(&mut self, secret: &Secret) -> Parsed {
        let name = |part: &Option<String>| part.clone().unwrap_or_default();
        let key = (name(&secret.metadata.namespace), name(&secret.metadata.name));
        let version = name(&secret.metadata.resource_version);
        match self.known.get(&key) {
            Some((known, parsed)) if *known == version && !version.is_empty() => parsed.clone(),
            _ => {
                let parsed = parse(secret);
                self.known.insert(key, (version, parsed.clone()));
                parsed
            }
        }
    }
}

fn parse(secret: &Secret) -> Parsed {
    let data = |name: &str| secret.data.as_ref().and_then(|data| data.get(name)).map(|bytes| bytes.0.as_slice());
    let certificate = data("tls.crt").ok_or("the Secret has no tls.crt")?;
    let key = data("tls.key").ok_or("the Secret has no tls.key")?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|_| "the Secret's tls.crt is not PEM")?;
    if chain.is_empty() {
        return Err("the Secret's tls.crt holds no certificate");
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| "the Secret's tls.key is not a private key in PEM")?;
    let key = any_supported_type(&key).map_err(|_| "the Secret's tls.key is of a kind that is not supported")?;
    let certified = CertifiedKey::new(chain, key);
    certified.keys_match().map_err(|_| "the Secret's certificate and key do not belong together")?;
    Ok(Arc::new(certified))
}

/// The certificates of one entrance, by host.
#[derive(Debug, Default)]
pub(crate) struct CertificateTable {
    exact: HashMap<String, Arc<CertifiedKey>>,
    /// Longest suffix first.
    below: Vec<(HostRule, Arc<CertifiedKey>)>,
    default: Option<Arc<CertifiedKey>>,
}

impl CertificateTable {
    /// Orders certificates for finding; the first one for a host stays.
    pub(crate) fn build(certificates: Vec<(HostRule, Arc<CertifiedKey>)>) -> Self {
        let mut table = Self::default();
        for (host, certificate) in certificates {
            match host {
                HostRule::Exact(host) => drop(table.exact.entry(host).or_insert(certificate)),
                HostRule::Below { .. } => table.below.push((host, certificate)),
                HostRule::Any => drop(table.default.get_or_insert(certificate)),
            }
        }
        table.below.sort_by_key(|(host, _)| std::cmp::Reverse(host.rank()));
        table
    }

    /// Returns the certificate for a server name; clients without one get the default.
    pub(crate) fn find(&self, server_name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let named = server_name.map(str::to_ascii_lowercase).and_then(|name| {
            let below = || self.below.iter().find(|(host, _)| host.matches(&name)).map(|(_, one)| one);
            self.exact.get(&name).or_else(below).cloned()
        });
        named.or_else(|| self.default.clone())
    }
}
