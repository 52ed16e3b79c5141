//! BackendTLSPolicies: which Services are reached over TLS, and what their certificates must say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustls::pki_types::ServerName;

use super::{Condition, ParentStatus};
use crate::certificates::CertificateCache;
use crate::inputs::{Inputs, text};
use crate::kinds::{BackendTlsPolicy, GROUP, ParentReference, TlsValidation};
use crate::upstream_tls::{Expectation, SubjectName, UpstreamTls, count_certificates};

/// How the endpoints of a backend are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Without TLS.
    Plain,
    /// As a policy says.
    Tls(Arc<UpstreamTls>),
    /// Not at all: the policy is broken, and plain text would be less than was asked for.
    Broken,
}

/// Namespace and name.
type Name = (String, String);

/// A Service, or one of its ports.
type Target = (String, String, Option<String>);

/// All policies, resolved.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    targets: BTreeMap<Target, Transport>,
    /// What is said of each policy, and the Services that it names.
    found: BTreeMap<Name, (Vec<Condition>, BTreeSet<String>)>,
}

impl Policies {
    pub(super) fn resolve(inputs: &Inputs, cache: &mut CertificateCache) -> Self {
        let mut policies: Vec<&Arc<BackendTlsPolicy>> = inputs.backend_tls_policies.iter().collect();
        // The oldest has the right to a contested target (GEP-713).
        policies.sort_by_key(|policy| {
            let created = policy.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
            (created, policy.metadata.namespace.clone(), policy.metadata.name.clone())
        });
        let mut all = Self::default();
        for policy in policies {
            all.add(policy, inputs, cache);
        }
        all
    }

    fn add(&mut self, policy: &BackendTlsPolicy, inputs: &Inputs, cache: &mut CertificateCache) {
        let namespace = text(policy.metadata.namespace.as_ref());
        let resolved = Authorities::resolve(&policy.spec.validation, namespace, inputs, cache);
        let transport = resolved
            .pem
            .as_ref()
            .and_then(|pem| expectation(&policy.spec.validation, pem))
            .and_then(|expectation| cache.upstream(&expectation))
            .map_or(Transport::Broken, Transport::Tls);
        let (mut services, mut contested) = (BTreeSet::new(), None);
        for reference in &policy.spec.target_refs {
            if !reference.group.is_empty() || reference.kind != "Service" {
                continue;
            }
            services.insert(reference.name.clone());
            let target = (namespace.to_owned(), reference.name.clone(), reference.section_name.clone());
            match self.targets.entry(target) {
                std::collections::btree_map::Entry::Vacant(free) => drop(free.insert(transport.clone())),
                std::collections::btree_map::Entry::Occupied(_) => contested = Some(reference.name.clone()),
            }
        }
        let accepted = match (contested, &transport) {
            (Some(name), _) => {
                let message = format!("an older policy holds for the Service \"{name}\"");
                Condition::new("Accepted", false, "Conflicted", message)
            }
            (None, Transport::Tls(_)) => Condition::new("Accepted", true, "Accepted", "the policy is in effect"),
            (None, Transport::Plain | Transport::Broken) => {
                let message = resolved.problem.as_ref().map_or("no authority can be trusted", |(_, message)| message);
                Condition::new("Accepted", false, "NoValidCACertificate", message)
            }
        };
        let references = match resolved.problem {
            Some((reason, message)) => Condition::new("ResolvedRefs", false, reason, message),
            None => Condition::new("ResolvedRefs", true, "ResolvedRefs", "all references are resolved"),
        };
        let name = text(policy.metadata.name.as_ref()).to_owned();
        self.found.insert((namespace.to_owned(), name), (vec![accepted, references], services));
    }

    /// Returns how a port of a Service is reached; a policy for the port goes before one for the Service.
    pub(crate) fn transport(&self, namespace: &str, service: &str, port: &str) -> Transport {
        let of = |section: Option<&str>| {
            self.targets.get(&(namespace.to_owned(), service.to_owned(), section.map(str::to_owned)))
        };
        of(Some(port)).or_else(|| of(None)).cloned().unwrap_or(Transport::Plain)
    }

    /// Returns what the statuses should say: for each policy, of each Gateway through which its Services are reached.
    pub(super) fn report(
        self,
        reached: &BTreeMap<Name, BTreeSet<Name>>,
    ) -> BTreeMap<(String, String), Vec<ParentStatus>> {
        let of = |policy: &Name, services: &BTreeSet<String>| {
            let keys = services.iter().map(|service| (policy.0.clone(), service.clone()));
            keys.filter_map(|key| reached.get(&key)).flatten().cloned().collect::<BTreeSet<Name>>()
        };
        self.found
            .into_iter()
            .map(|(policy, (conditions, services))| {
                let ancestors = of(&policy, &services).into_iter().map(|(namespace, name)| ParentStatus {
                    parent: ParentReference {
                        group: Some(GROUP.to_owned()),
                        kind: Some("Gateway".to_owned()),
                        namespace: Some(namespace),
                        name,
                        ..ParentReference::default()
                    },
                    conditions: conditions.clone(),
                });
                let ancestors = ancestors.collect();
                (policy, ancestors)
            })
            .collect()
    }
}

/// The authorities that a policy names.
struct Authorities {
    /// `None` when there is none.
    pem: Option<Vec<u8>>,
    /// The first reference that is broken, with its reason.
    problem: Option<(&'static str, String)>,
}

impl Authorities {
    fn resolve(validation: &TlsValidation, namespace: &str, inputs: &Inputs, cache: &mut CertificateCache) -> Self {
        if validation.well_known_ca_certificates.as_deref() == Some("System") {
            return Self { pem: cache.system_authorities(), problem: None };
        }
        let (mut pem, mut problem) = (Vec::new(), None);
        for reference in &validation.ca_certificate_refs {
            match authority(reference, namespace, inputs) {
                Ok(text) => {
                    pem.extend_from_slice(&text);
                    pem.push(b'\n');
                }
                Err(found) => drop(problem.get_or_insert(found)),
            }
        }
        Self { pem: (!pem.is_empty()).then_some(pem), problem }
    }
}

fn authority(
    reference: &crate::kinds::LocalReference,
    namespace: &str,
    inputs: &Inputs,
) -> Result<Vec<u8>, (&'static str, String)> {
    let name = &reference.name;
    if !reference.group.is_empty() || reference.kind != "ConfigMap" {
        let message = format!("authorities of the kind \"{}\" are not supported, only ConfigMaps are", reference.kind);
        return Err(("InvalidKind", message));
    }
    let invalid = |what: &str| ("InvalidCACertificateRef", format!("the ConfigMap \"{namespace}/{name}\" {what}"));
    let named = |one: &&Arc<k8s_openapi::api::core::v1::ConfigMap>| {
        one.metadata.namespace.as_deref() == Some(namespace) && one.metadata.name.as_deref() == Some(name)
    };
    let map = inputs.config_maps.iter().find(named).ok_or_else(|| invalid("does not exist or has no ca.crt"))?;
    let pem = map.data.as_ref().and_then(|data| data.get("ca.crt")).ok_or_else(|| invalid("has no ca.crt"))?;
    match count_certificates(pem.as_bytes()) {
        Some(count) if count > 0 => Ok(pem.clone().into_bytes()),
        Some(_) | None => Err(invalid("holds no certificate in its ca.crt")),
    }
}

fn expectation(validation: &TlsValidation, pem: &[u8]) -> Option<Expectation> {
    let host = |name: &str| ServerName::try_from(name.to_owned()).ok();
    let mut subjects = Vec::new();
    for name in &validation.subject_alt_names {
        subjects.push(match (name.kind.as_str(), &name.hostname, &name.uri) {
            ("Hostname", Some(hostname), _) => SubjectName::Host(host(hostname)?),
            ("URI", _, Some(uri)) => SubjectName::Uri(uri.clone()),
            _ => return None,
        });
    }
    Some(Expectation { name: host(&validation.hostname)?, authorities: pem.to_vec(), subjects })
}
