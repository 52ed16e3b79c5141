//! Kubernetes' formats: schemas, patches, field ownership, selectors, quantities, tables, documents, protobuf bodies.
//!
//! Owns: what an object's fields mean (type, merge rules, requiredness) for built-in kinds and CRDs.
//! Never: does IO, is async, reads a clock (`now` is an argument), knows which resources a server serves.
//! Source: Kubernetes 1.37 OpenAPI definitions and API conventions; KEP-555 (server-side apply);
//! RFC 6902, RFC 7386.

pub mod fields;
pub mod json;
pub mod names;
pub mod openapi;
pub mod patch;
pub mod protobuf;
pub mod selector;
pub mod table;
pub mod yaml;

mod documents;
mod errors;
mod int_or_string;
mod quantity;
mod schema;

pub use documents::Parsed;
pub use errors::{FieldError, FieldErrorKind};
pub use int_or_string::{IntOrString, IntOrStringError, Rounding};
pub use quantity::{Quantity, QuantityError};
pub use schema::{ListType, Schema, SchemaError, Schemas};
