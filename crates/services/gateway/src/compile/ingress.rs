//! Ingresses.

use std::sync::Arc;

use http::StatusCode;
use k8s_openapi::api::networking::v1::{HTTPIngressPath, Ingress, IngressBackend, IngressClass};

use super::{CONTROLLER, Entrances, Facts, HTTP_PORT, HTTPS_PORT, Place, Statuses};
use crate::certificates::CertificateCache;
use crate::inputs::{Index, Inputs, PortName, Referrer, text};
use crate::table::{Action, Filters, HostRule, Matcher, Origin, PathRule, Route, Target};

/// Names the class of an Ingress that has no `ingressClassName`.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
/// Marks the class of Ingresses that name none.
const DEFAULT_ANNOTATION: &str = "ingressclass.kubernetes.io/is-default-class";

pub(super) fn add(
    inputs: &Inputs,
    facts: &Facts,
    index: &mut Index<'_>,
    cache: &mut CertificateCache,
    entrances: &mut Entrances,
    statuses: &mut Statuses,
) {
    let mut ours: Vec<&Arc<Ingress>> =
        inputs.ingresses.iter().filter(|ingress| is_ours(ingress, &inputs.ingress_classes, facts)).collect();
    ours.sort_by_key(|ingress| origin_of(ingress, (0, 0)));
    for ingress in ours {
        let namespace = text(ingress.metadata.namespace.as_ref());
        let name = text(ingress.metadata.name.as_ref());
        statuses.ingresses.push((namespace.to_owned(), name.to_owned()));
        add_certificates(ingress, namespace, index, cache, entrances);
        let routes = routes_of(ingress, namespace, name, index);
        let fallback = ingress.spec.as_ref().and_then(|spec| spec.default_backend.as_ref());
        let fallback = fallback.map(|backend| action_of(backend, namespace, name, index));
        for port in [HTTP_PORT, HTTPS_PORT] {
            let entrance = entrances.entry(Place::shared(port)).or_default();
            entrance.routes.entry(HostRule::Any).or_default().extend(routes.iter().cloned());
            if entrance.fallback.is_none() {
                entrance.fallback.clone_from(&fallback);
            }
        }
    }
}

fn is_ours(ingress: &Ingress, classes: &[Arc<IngressClass>], facts: &Facts) -> bool {
    let is_our_class =
        |class: &IngressClass| class.spec.as_ref().and_then(|spec| spec.controller.as_deref()) == Some(CONTROLLER);
    if let Some(name) = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_deref()) {
        return classes.iter().any(|class| class.metadata.name.as_deref() == Some(name) && is_our_class(class));
    }
    let annotation = ingress.metadata.annotations.as_ref().and_then(|all| all.get(CLASS_ANNOTATION));
    if let Some(name) = annotation {
        return *name == facts.ingress_class;
    }
    let is_default = |class: &IngressClass| {
        class.metadata.annotations.as_ref().and_then(|all| all.get(DEFAULT_ANNOTATION)).is_some_and(|is| is == "true")
    };
    classes.iter().any(|class| is_our_class(class) && is_default(class))
}

fn origin_of(ingress: &Ingress, position: (usize, usize)) -> Origin {
    let name = format!("{}/{}", text(ingress.metadata.namespace.as_ref()), text(ingress.metadata.name.as_ref()));
    let created = ingress.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
    Origin { created, name, position }
}

fn add_certificates(
    ingress: &Ingress,
    namespace: &str,
    index: &Index<'_>,
    cache: &mut CertificateCache,
    entrances: &mut Entrances,
) {
    let all = ingress.spec.as_ref().and_then(|spec| spec.tls.as_deref()).unwrap_or_default();
    for tls in all {
        let secret = tls.secret_name.as_deref().and_then(|name| index.secret(namespace, name));
        let Some(Ok(certificate)) = secret.map(|secret| cache.parse(secret)) else { continue };
        let entrance = entrances.entry(Place::shared(HTTPS_PORT)).or_default();
        let hosts = tls.hosts.as_deref().unwrap_or_default();
        let rules = hosts.iter().map(|host| HostRule::parse(Some(host), true));
        entrance.certificates.extend(rules.map(|rule| (rule, Arc::clone(&certificate))));
        // Clients that name no host, or one without a certificate, get the oldest one.
        entrance.certificates.push((HostRule::Any, certificate));
    }
}

fn routes_of(ingress: &Ingress, namespace: &str, name: &str, index: &mut Index<'_>) -> Vec<(HostRule, Route)> {
    let mut routes = Vec::new();
    let rules = ingress.spec.as_ref().and_then(|spec| spec.rules.as_deref()).unwrap_or_default();
    for (rule_position, rule) in rules.iter().enumerate() {
        let host = HostRule::parse(rule.host.as_deref(), true);
        let paths = rule.http.as_ref().map_or(&[][..], |http| http.paths.as_slice());
        for (path_position, path) in paths.iter().enumerate() {
            let matcher = Matcher { path: path_rule(path), method: None, headers: Vec::new(), query: Vec::new() };
            let action = action_of(&path.backend, namespace, name, index);
            let origin = origin_of(ingress, (rule_position, path_position));
            routes.push((host.clone(), Route { matcher, origin, action }));
        }
    }
    routes
}

fn path_rule(path: &HTTPIngressPath) -> PathRule {
    let text = path.path.as_deref().unwrap_or("/");
    match path.path_type.as_str() {
        "Exact" => PathRule::Exact(text.to_owned()),
        // Ours for ImplementationSpecific is the same as Prefix.
        _ => PathRule::Prefix(text.trim_end_matches('/').to_owned()),
    }
}

fn action_of(backend: &IngressBackend, namespace: &str, name: &str, index: &mut Index<'_>) -> Arc<Action> {
    let label = format!("ingress/{namespace}/{name}");
    let found = backend.service.as_ref().and_then(|service| {
        let port = service.port.as_ref()?;
        let port = match (port.number, port.name.as_deref()) {
            (Some(number), _) => PortName::Number(u16::try_from(number).ok()?),
            (None, Some(name)) => PortName::Name(name),
            (None, None) => return None,
        };
        index.backend(namespace, &service.name, port, Referrer::Ingress).ok()
    });
    let series_name = found.map_or_else(|| "none".into(), |backend| index.label_of(backend));
    let target = Target {
        weight: 1,
        backend: found.ok_or(StatusCode::SERVICE_UNAVAILABLE),
        series: index.series(&label, &series_name),
        filters: Filters::default(),
    };
    Arc::new(Action {
        series: index.series(&label, "none"),
        filters: Filters::default(),
        targets: vec![target],
        request_timeout: None,
        try_timeout: None,
    })
}
