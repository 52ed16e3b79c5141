//! The shop's catalog: products and their prices, in a SQLite file of its own.

mod failures;
mod measures;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rusqlite::Connection;
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use failures::Failures;
use measures::Measures;

const BODY_BYTES_MAX: usize = 64 * 1024;

struct Catalog {
    database: Mutex<Connection>,
    measures: Measures,
    failures: Failures,
}

/// A status, the route that it is counted under, and the content.
type Answer = (u16, &'static str, Value);

impl Catalog {
    fn open(path: &str) -> anyhow::Result<Self> {
        let database = Connection::open(path)?;
        database.execute_batch(
            "PRAGMA journal_mode=WAL;
             CREATE TABLE IF NOT EXISTS products (id TEXT PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL);
             INSERT OR IGNORE INTO products VALUES
               ('kimchi', 'Kimchi 1 kg', 9900), ('rice', 'Rice 10 kg', 32000), ('tea', 'Green tea', 12500),
               ('bowl', 'Brass bowl', 45000), ('paper', 'Hanji paper', 7000);",
        )?;
        Ok(Self { database: Mutex::new(database), measures: Measures::default(), failures: Failures::default() })
    }

    fn products(&self) -> rusqlite::Result<Vec<Value>> {
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let mut statement = database.prepare_cached("SELECT id, name, price FROM products ORDER BY id")?;
        let rows = statement.query_map([], |row| {
            Ok(json!({"id": row.get::<_, String>(0)?, "name": row.get::<_, String>(1)?, "price": row.get::<_, i64>(2)?}))
        })?;
        rows.collect()
    }

    fn product(&self, id: &str) -> rusqlite::Result<Option<Value>> {
        Ok(self.products()?.into_iter().find(|product| product["id"] == id))
    }

    fn put(&self, product: &Value) -> Result<Value, String> {
        let text = |key: &str| product.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (Some(id), Some(name)) = (text("id"), text("name")) else {
            return Err("a product needs an id and a name".to_owned());
        };
        let Some(price) = product.get("price").and_then(Value::as_i64).filter(|price| *price > 0) else {
            return Err("a product needs a price above 0".to_owned());
        };
        let database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        database
            .execute("INSERT OR REPLACE INTO products VALUES (?1, ?2, ?3)", (id, name, price))
            .map_err(|error| error.to_string())?;
        Ok(json!({"id": id, "name": name, "price": price}))
    }

    async fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Answer {
        match (method.as_str(), path) {
            ("GET", "/healthz") => return (200, "/healthz", json!({"status": "ok"})),
            ("GET", "/readyz") => return or_error("/readyz", self.products().map(|_| json!({"status": "ready"}))),
            ("GET", "/admin/failures") => return (200, "/admin/failures", self.failures.show()),
            ("POST", "/admin/failures") => {
                return match serde_json::from_slice(body).map_err(|error| error.to_string()) {
                    Ok(wanted) => match self.failures.change(&wanted) {
                        Ok(now) => (200, "/admin/failures", now),
                        Err(message) => (400, "/admin/failures", json!({"error": message})),
                    },
                    Err(message) => (400, "/admin/failures", json!({"error": message})),
                };
            }
            _ => {}
        }
        if let Err(message) = self.failures.strike().await {
            return (500, "/products", json!({"error": message}));
        }
        match (method.as_str(), path.strip_prefix("/products")) {
            ("GET", Some("")) => or_error("/products", self.products().map(Value::Array)),
            ("POST", Some("")) => match serde_json::from_slice(body) {
                Ok(product) => match self.put(&product) {
                    Ok(product) => (201, "/products", product),
                    Err(message) => (400, "/products", json!({"error": message})),
                },
                Err(error) => (400, "/products", json!({"error": format!("the body is not JSON: {error}")})),
            },
            ("GET", Some(id)) if id.starts_with('/') => match self.product(id.trim_start_matches('/')) {
                Ok(Some(product)) => (200, "/products/{id}", product),
                Ok(None) => (
                    404,
                    "/products/{id}",
                    json!({"error": format!("there is no product \"{}\"", id.trim_start_matches('/'))}),
                ),
                Err(error) => (500, "/products/{id}", json!({"error": error.to_string()})),
            },
            _ => (404, "unknown", json!({"error": format!("catalog has no {method} {path}")})),
        }
    }

    async fn serve(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let started = Instant::now();
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        if path == "/metrics" {
            return respond(200, "text/plain; version=0.0.4", self.measures.render());
        }
        let (status, route, content) = match Limited::new(body, BODY_BYTES_MAX).collect().await {
            Ok(body) => self.answer(&head.method, path, &body.to_bytes()).await,
            Err(error) => (400, "unknown", json!({"error": error.to_string()})),
        };
        if !matches!(path, "/healthz" | "/readyz") {
            let elapsed = started.elapsed();
            self.measures.count(head.method.as_str(), route, status, elapsed);
            let trace = head.headers.get("traceparent").and_then(|value| value.to_str().ok()).unwrap_or_default();
            log(
                json!({"level": if status < 500 { "info" } else { "error" }, "message": "request", "method": head.method.as_str(),
                "path": path, "status": status, "milliseconds": elapsed.as_secs_f64() * 1000.0, "trace": trace}),
            );
        }
        respond(status, "application/json", content.to_string())
    }
}

fn or_error(route: &'static str, result: rusqlite::Result<Value>) -> Answer {
    match result {
        Ok(content) => (200, route, content),
        Err(error) => (503, route, json!({"error": error.to_string()})),
    }
}

fn respond(status: u16, content_type: &'static str, content: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(content)));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static(content_type));
    response
}

fn log(mut line: Value) {
    line["service"] = json!("catalog");
    println!("{line}");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "/data/catalog.db".to_owned());
    let catalog = Arc::new(Catalog::open(&path)?);
    let listener = tokio::net::TcpListener::bind(("0.0.0.0", 8080)).await?;
    let mut stop = signal(SignalKind::terminate())?;
    log(json!({"level": "info", "message": "started", "port": 8080}));
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = stop.recv() => break,
        };
        let catalog = Arc::clone(&catalog);
        #[expect(clippy::disallowed_methods, reason = "a sample without Maru's own rooms")]
        drop(tokio::spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let catalog = Arc::clone(&catalog);
                async move { Ok::<_, Infallible>(catalog.serve(request).await) }
            });
            // An error here is a client that went away.
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        }));
    }
    log(json!({"level": "info", "message": "stopped"}));
    Ok(())
}
