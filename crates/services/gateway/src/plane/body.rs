//! Bodies on their way through, and the record of an exchange that ends with them.

use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::access_log::Line;
use super::headers::{Client, Host, TraceId};
use super::metrics::Series;
use super::pool::Checkout;
use super::snapshot::InFlight;
use super::worker::Worker;

/// Any error of a body.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body: the client's, or none.
pub(crate) struct RequestBody {
    incoming: Option<Incoming>,
    /// Dropped when the body has been sent.
    sent: Option<oneshot::Sender<()>>,
}

impl RequestBody {
    pub(crate) fn empty() -> Self {
        Self { incoming: None, sent: None }
    }

    /// Returns the body with what tells that it has been sent.
    pub(crate) fn new(incoming: Incoming) -> (Self, oneshot::Receiver<()>) {
        let (sent, receiver) = oneshot::channel();
        (Self { incoming: Some(incoming), sent: Some(sent) }, receiver)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let polled = Pin::new(incoming).poll_frame(context);
        if matches!(polled, Poll::Ready(None)) {
            self.sent = None;
        }
        polled.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

enum Source {
    Upstream(Incoming),
    Own(Option<Bytes>),
}

/// A response's body. The exchange is recorded when it is dropped, and a connection that it came over whole goes back to
/// the pool.
pub(crate) struct ResponseBody {
    source: Source,
    checkout: Option<Checkout>,
    exchange: Option<Box<Exchange>>,
    finished: bool,
    /// The whole request must end by then.
    deadline: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl ResponseBody {
    pub(crate) fn own(content: impl Into<Bytes>, exchange: Box<Exchange>) -> Self {
        let content = content.into();
        let source = Source::Own((!content.is_empty()).then_some(content));
        Self { source, checkout: None, exchange: Some(exchange), finished: false, deadline: None }
    }

    /// Returns no content; the exchange is recorded elsewhere.
    pub(crate) fn nothing() -> Self {
        Self { source: Source::Own(None), checkout: None, exchange: None, finished: false, deadline: None }
    }

    pub(crate) fn upstream(
        incoming: Incoming,
        checkout: Checkout,
        exchange: Box<Exchange>,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            source: Source::Upstream(incoming),
            checkout: Some(checkout),
            exchange: Some(exchange),
            finished: false,
            deadline: deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline))),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(checkout) = &mut self.checkout {
            checkout.drive(context);
        }
        let polled = match &mut self.source {
            Source::Own(content) => Poll::Ready(content.take().map(|content| Ok(Frame::data(content)))),
            Source::Upstream(incoming) => {
                Pin::new(incoming).poll_frame(context).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
        };
        match &polled {
            Poll::Ready(None) => self.finished = true,
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                if let Some(exchange) = &mut self.exchange {
                    exchange.bytes_sent += u64::try_from(bytes).unwrap_or(u64::MAX);
                }
            }
            Poll::Ready(Some(Err(_))) => {
                if let Some(exchange) = &mut self.exchange {
                    exchange.error = Some("the upstream broke off");
                }
            }
            Poll::Pending => {
                let late = self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(context).is_ready());
                if late {
                    if let Some(exchange) = &mut self.exchange {
                        exchange.error = Some("the request took too long");
                    }
                    return Poll::Ready(Some(Err("the request took too long".into())));
                }
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Own(content) => content.is_none(),
            Source::Upstream(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Own(content) => {
                SizeHint::with_exact(content.as_ref().map_or(0, |content| u64::try_from(content.len()).unwrap_or(0)))
            }
            Source::Upstream(incoming) => incoming.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let whole = self.finished || self.is_end_stream();
        if let Some(checkout) = self.checkout.take()
            && whole
        {
            checkout.give_back();
        }
    }
}

/// What is recorded of a request and its response, once both are over.
pub(crate) struct Exchange {
    pub worker: Arc<Worker>,
    pub started: Instant,
    pub series: Arc<Series>,
    /// 499 until there is an answer.
    pub code: u16,
    pub bytes_sent: u64,
    pub client: Arc<Client>,
    pub protocol: &'static str,
    pub method: http::Method,
    pub host: Host,
    /// What was asked for; only kept for the log.
    pub target: http::Uri,
    pub trace_id: TraceId,
    pub user_agent: Option<http::HeaderValue>,
    pub upstream: Option<SocketAddr>,
    pub in_flight: Option<InFlight>,
    pub tries: u32,
    pub error: Option<&'static str>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        self.series.count(self.code, took);
        let log = &self.worker.shared.log;
        if !log.is_on() {
            return;
        }
        let line = Line {
            client: self.client.remote,
            protocol: self.protocol,
            method: self.method.as_str(),
            host: &self.host.name,
            path: self.target.path(),
            code: self.code,
            bytes_sent: self.bytes_sent,
            duration_ms: (took.as_secs_f64() * 1e6).round() / 1e3,
            route: &self.series.route,
            service: &self.series.service,
            upstream: self.upstream,
            tries: self.tries,
            trace_id: self.trace_id.as_str(),
            user_agent: self.user_agent.as_ref().and_then(|value| value.to_str().ok()),
            error: self.error,
        };
        self.worker.log.write(log, took, &line);
    }
}
