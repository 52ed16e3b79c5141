//! Who may do what: asked of the caller who starts the service.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// To see.
    Read,
    /// To bring alerts, to silence them.
    Write,
    /// To have the configuration read again.
    Admin,
}

type Verdict = Pin<Box<dyn Future<Output = Result<(), (StatusCode, String)>> + Send>>;

/// Decides who may do what.
#[derive(Clone)]
pub struct Gate(Arc<dyn Fn(HeaderMap, Need) -> Verdict + Send + Sync>);

impl Gate {
    /// Lets everybody in.
    #[must_use]
    pub fn open() -> Self {
        Self::new(|_, _| async { Ok(()) })
    }

    /// Makes a gate that answers with a status and a reason when it refuses.
    pub fn new<F, R>(decide: F) -> Self
    where
        F: Fn(HeaderMap, Need) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), (StatusCode, String)>> + Send + 'static,
    {
        Self(Arc::new(move |headers, need| Box::pin(decide(headers, need))))
    }

    pub(crate) fn admit(&self, headers: HeaderMap, need: Need) -> Verdict {
        (self.0)(headers, need)
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Gate")
    }
}
