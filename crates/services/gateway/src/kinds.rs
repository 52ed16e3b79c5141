//! The kinds of the Gateway API, as far as the gateway reads them. Unknown words stay text, so that one strange object
//! never ends a watch.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{ApiResource, GroupVersionKind, Object};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) const GROUP: &str = "gateway.networking.k8s.io";

/// A GatewayClass.
pub(crate) type GatewayClass = Object<GatewayClassSpec, Value>;
/// A Gateway.
pub(crate) type Gateway = Object<GatewaySpec, Value>;
/// An HTTPRoute.
pub(crate) type HttpRoute = Object<HttpRouteSpec, Value>;
/// A GRPCRoute.
pub(crate) type GrpcRoute = Object<GrpcRouteSpec, Value>;
/// A ReferenceGrant.
pub(crate) type ReferenceGrant = Object<ReferenceGrantSpec, Value>;

/// A BackendTLSPolicy.
pub(crate) type BackendTlsPolicy = Object<BackendTlsPolicySpec, Value>;

/// Returns where a kind of the Gateway API is served.
pub(crate) fn resource(kind: &str, version: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, version, kind))
}

macro_rules! spec {
    ($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default, Deserialize, Serialize)]
        #[serde(rename_all = "camelCase", default)]
        pub(crate) struct $name {
            $($(#[$attribute])* pub $field: $kind,)*
        }
    };
}

spec!(/// `GatewayClass.spec`.
    GatewayClassSpec { controller_name: String, parameters_ref: Option<Value>, });
spec!(/// `Gateway.spec`.
    GatewaySpec { gateway_class_name: String, listeners: Vec<Listener>, infrastructure: Option<Infrastructure>, });
spec!(/// `Gateway.spec.infrastructure`.
Infrastructure {
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    parameters_ref: Option<Value>,
});
spec!(/// One of `Gateway.spec.listeners`.
Listener {
    name: String,
    hostname: Option<String>,
    port: u16,
    protocol: String,
    tls: Option<ListenerTls>,
    allowed_routes: Option<AllowedRoutes>,
});
spec!(/// `tls` of a listener.
    ListenerTls { mode: Option<String>, certificate_refs: Vec<ObjectReference>, });
spec!(/// Names an object of another kind.
    ObjectReference { group: Option<String>, kind: Option<String>, name: String, namespace: Option<String>, });
spec!(/// `allowedRoutes` of a listener.
    AllowedRoutes { namespaces: Option<RouteNamespaces>, kinds: Vec<RouteGroupKind>, });
spec!(/// `allowedRoutes.namespaces`.
    RouteNamespaces { from: Option<String>, selector: Option<LabelSelector>, });
spec!(/// One of `allowedRoutes.kinds`.
    RouteGroupKind { group: Option<String>, kind: String, });
spec!(/// One of a route's `parentRefs`.
ParentReference {
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    section_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
});
spec!(/// `HTTPRoute.spec`.
    HttpRouteSpec { parent_refs: Vec<ParentReference>, hostnames: Vec<String>, rules: Vec<HttpRule>, });
spec!(/// One of `HTTPRoute.spec.rules`.
HttpRule {
    name: Option<String>,
    matches: Vec<HttpMatch>,
    filters: Vec<HttpFilter>,
    backend_refs: Vec<BackendRef>,
    timeouts: Option<Timeouts>,
});
spec!(/// One of a rule's `matches`.
HttpMatch {
    path: Option<PathMatch>,
    headers: Vec<ValueMatch>,
    query_params: Vec<ValueMatch>,
    method: Option<String>,
});
spec!(/// `path` of a match.
    PathMatch { #[serde(rename = "type")] kind: Option<String>, value: Option<String>, });
spec!(/// One of a match's `headers` or `queryParams`.
    ValueMatch { #[serde(rename = "type")] kind: Option<String>, name: String, value: String, });
spec!(/// One of a rule's or backend's `filters`.
HttpFilter {
    #[serde(rename = "type")]
    kind: String,
    request_header_modifier: Option<HeaderModifier>,
    response_header_modifier: Option<HeaderModifier>,
    request_redirect: Option<RequestRedirect>,
    url_rewrite: Option<UrlRewrite>,
    request_mirror: Option<RequestMirror>,
});
spec!(/// `requestHeaderModifier` and `responseHeaderModifier`.
    HeaderModifier { set: Vec<HeaderValue>, add: Vec<HeaderValue>, remove: Vec<String>, });
spec!(/// A header with its value.
    HeaderValue { name: String, value: String, });
spec!(/// `requestRedirect`.
RequestRedirect {
    scheme: Option<String>,
    hostname: Option<String>,
    path: Option<PathModifier>,
    port: Option<u16>,
    status_code: Option<u16>,
});
spec!(/// `urlRewrite`.
    UrlRewrite { hostname: Option<String>, path: Option<PathModifier>, });
spec!(/// `path` of a redirect or rewrite.
PathModifier {
    #[serde(rename = "type")]
    kind: String,
    replace_full_path: Option<String>,
    replace_prefix_match: Option<String>,
});
spec!(/// `requestMirror`.
    RequestMirror { backend_ref: BackendRef, percent: Option<u32>, fraction: Option<Fraction>, });
spec!(/// `fraction` of a mirror.
    Fraction { numerator: u32, denominator: Option<u32>, });
spec!(/// One of a rule's `backendRefs`.
BackendRef {
    group: Option<String>,
    kind: Option<String>,
    name: String,
    namespace: Option<String>,
    port: Option<u16>,
    weight: Option<u32>,
    filters: Vec<HttpFilter>,
});
spec!(/// `timeouts` of a rule.
    Timeouts { request: Option<String>, backend_request: Option<String>, });
spec!(/// `GRPCRoute.spec`.
    GrpcRouteSpec { parent_refs: Vec<ParentReference>, hostnames: Vec<String>, rules: Vec<GrpcRule>, });
spec!(/// One of `GRPCRoute.spec.rules`.
    GrpcRule { name: Option<String>, matches: Vec<GrpcMatch>, filters: Vec<HttpFilter>, backend_refs: Vec<BackendRef>, });
spec!(/// One of a gRPC rule's `matches`.
    GrpcMatch { method: Option<GrpcMethod>, headers: Vec<ValueMatch>, });
spec!(/// `method` of a gRPC match.
GrpcMethod {
    #[serde(rename = "type")]
    kind: Option<String>,
    service: Option<String>,
    method: Option<String>,
});
spec!(/// `ReferenceGrant.spec`.
    ReferenceGrantSpec { from: Vec<GrantFrom>, to: Vec<GrantTo>, });
spec!(/// One of `ReferenceGrant.spec.from`.
    GrantFrom { group: String, kind: String, namespace: String, });
spec!(/// One of `ReferenceGrant.spec.to`.
    GrantTo { group: String, kind: String, name: Option<String>, });
spec!(/// `BackendTLSPolicy.spec`.
    BackendTlsPolicySpec { target_refs: Vec<PolicyTarget>, validation: TlsValidation, });
spec!(/// One of a policy's `targetRefs`.
    PolicyTarget { group: String, kind: String, name: String, section_name: Option<String>, });
spec!(/// `BackendTLSPolicy.spec.validation`.
TlsValidation {
    ca_certificate_refs: Vec<LocalReference>,
    #[serde(rename = "wellKnownCACertificates")]
    well_known_ca_certificates: Option<String>,
    hostname: String,
    subject_alt_names: Vec<SubjectAltName>,
});
spec!(/// Names an object of the same namespace.
    LocalReference { group: String, kind: String, name: String, });
spec!(/// One of `validation.subjectAltNames`.
SubjectAltName {
    #[serde(rename = "type")]
    kind: String,
    hostname: Option<String>,
    uri: Option<String>,
});
