//! HTTP plumbing: bodies, handlers, listeners, TLS, limits, graceful drain.
//!
//! Owns: accepted connections of the control plane and their limits.
//! Never: routes, authenticates, knows a protocol above HTTP. The gateway's data plane has an engine of its own.
//! Source: RFC 9110, RFC 9112, RFC 9113.

mod body;
mod server;
mod trust;

pub use body::{Body, BodyError, BoxError, collect_limited, empty, full, stream};
pub use server::{ConnectionInfo, Limits, Server, ServerError, TlsSource, serve};
pub use trust::any_certificate;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};

/// The future of a handler's answer.
pub type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// What answers requests: cloneable, shared, and never failing (failures are responses). It is a tower service too.
#[derive(Clone)]
pub struct Handler(Arc<dyn Fn(Request<Body>) -> Answer + Send + Sync>);

impl Handler {
    /// Makes a handler from an async function.
    pub fn new<F, R>(function: F) -> Self
    where
        F: Fn(Request<Body>) -> R + Send + Sync + 'static,
        R: Future<Output = Response<Body>> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(function(request))))
    }

    /// Answers one request.
    pub fn call(&self, request: Request<Body>) -> Answer {
        (self.0)(request)
    }
}

impl std::fmt::Debug for Handler {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Handler")
    }
}

impl tower::Service<Request<Body>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = Self::call(self, request);
        Box::pin(async move { Ok(answer.await) })
    }
}
