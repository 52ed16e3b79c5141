//! Answers for what stands behind objects: the API server asks with the digest that an object names.
//!
//! A digest alone opens nothing: an envelope is given out in the project whose chain it is in, with its own report and key.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use maru_api::Digest;
use maru_evidence::open;
use maru_http::{Body, Handler, full};
use tokio::sync::Semaphore;

use crate::ledger::{Ledger, LedgerError};
use crate::seal::chain_of;

/// Contents that are read at a time: each may have tens of megabytes.
const READS_MAX: usize = 8;

/// Returns what answers `/envelope/PROJECT/DIGEST`, `/report/…`, `/key/…`, `/content/…` and `/file/…`.
#[must_use]
pub fn contents(ledger: Ledger) -> Handler {
    let reads = Arc::new(Semaphore::new(READS_MAX));
    Handler::new(move |request: Request<Body>| {
        let (ledger, reads) = (ledger.clone(), Arc::clone(&reads));
        async move {
            let Ok(_permit) = reads.acquire().await else { return refuse(StatusCode::SERVICE_UNAVAILABLE, "stopping") };
            let path = request.uri().path().to_owned();
            if request.method() != Method::GET {
                return refuse(StatusCode::METHOD_NOT_ALLOWED, "only read");
            }
            match tokio::task::spawn_blocking(move || read(&ledger, &path)).await {
                Ok(Ok(Some(content))) => Response::new(full(content)),
                Ok(Ok(None)) => refuse(StatusCode::NOT_FOUND, "there is none"),
                Ok(Err(why)) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &why),
                Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "reading was cut short"),
            }
        }
    })
}

fn refuse(status: StatusCode, why: &str) -> Response<Body> {
    let mut response = Response::new(full(why.to_owned()));
    *response.status_mut() = status;
    response
}

fn read(ledger: &Ledger, path: &str) -> Result<Option<Vec<u8>>, String> {
    let mut parts = path.trim_start_matches('/').splitn(3, '/');
    let (Some(what), Some(project), Some(digest)) = (parts.next(), parts.next(), parts.next()) else {
        return Ok(None);
    };
    let Ok(digest) = digest.parse::<Digest>() else { return Ok(None) };
    let told = |error: LedgerError| chain_of(&error);
    if matches!(what, "content" | "file") {
        return ledger.get(digest).map(Some).map_err(told);
    }
    let verifier = ledger.verifier(project).map_err(told)?;
    let envelope = ledger.get(digest).map_err(told)?;
    let verified = open(&verifier, digest, &envelope).map_err(|error| chain_of(&error))?;
    if verified.statement.record.project != project {
        return Ok(None);
    }
    match what {
        "envelope" => Ok(Some(envelope)),
        "report" => verified.statement.record.raw.map(|raw| ledger.get(raw)).transpose().map_err(told),
        "key" => {
            let key = verifier.keys().find(|key| key.digest() == verified.key);
            Ok(key.map(|key| key.to_pem().into_bytes()))
        }
        _ => Ok(None),
    }
}
