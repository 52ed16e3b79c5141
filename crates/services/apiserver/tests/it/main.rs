//! A real server in a temporary directory, real clients.

mod definitions;
mod objects;
mod support;
mod tls;
