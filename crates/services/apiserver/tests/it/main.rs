//! A real server in a temporary directory, real clients.

mod objects;
mod support;
mod tls;
