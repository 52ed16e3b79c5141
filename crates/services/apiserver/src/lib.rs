//! Serves the Kubernetes API: REST, discovery, OpenAPI, watch, patch and apply, admission, custom resources.
//!
//! Owns: the table of kinds, the way of every request, what is allocated to Services, the objects of the first start.
//! Never: runs a controller, talks to a node other than by its handler, stores a byte beside the object store.
//! Source: Kubernetes API concepts and conventions (1.36); RFC 9110; RFC 6902; RFC 7386.
//!
//! One generic handler serves all kinds as untyped JSON. What differs is data (`kinds.toml`, schemas) or a hook.

mod admission;
mod allocation;
mod authn;
mod authz;
mod body;
mod bootstrap;
mod cleanup;
mod contents;
mod delete;
mod discovery;
mod documents;
mod errors;
mod expiry;
mod formats;
mod handler;
mod hooks;
mod kinds;
mod meta;
mod metrics;
mod options;
mod proxy;
mod query;
mod read;
mod respond;
mod reviews;
mod routes;
mod scale;
mod sealer;
mod server;
mod state;
mod subresources;
pub mod testing;
mod tokens;
mod validation;
mod views;
mod warnings;
mod watch;
mod write;
mod writes;

pub use allocation::{Cidr, CidrError};
pub use sealer::SealedSecrets;
pub use server::{ApiServer, ApiServerOptions, StartError};
