//! Carries HTTP traffic into the cluster by Ingress and Gateway API.
//!
//! Owns: the ports of the data plane, connections to upstreams, the access log, statuses of Gateways and routes.
//! Never: restarts or reloads for a change; serves the control plane; decides who may write a route.
//! Source: Kubernetes Ingress v1; Gateway API 1.x (HTTPRoute, GRPCRoute, ReferenceGrant); RFC 9110, 9112, 9113; W3C
//! Trace Context.

mod certificates;
mod compile;
mod control;
mod crds;
mod external;
#[cfg(test)]
mod fixtures;
mod gateway;
mod inputs;
mod kinds;
mod options;
mod plane;
mod services;
mod status;
mod table;
mod upstream_tls;

pub use crds::crds;
pub use gateway::{Gateway, GatewayError};
pub use options::GatewayOptions;
