//! A copy of a project's evidence, fetched over the API: whoever may read it there checks and exports it anywhere.
//!
//! The copy is a ledger without a private key, in a folder of its own that goes with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use http::{Method, Request, StatusCode};
use maru_api::{BaselineSpec, Digest, Evidence, EvidenceSpec, GROUP, Spec as _, VERSION};
use maru_evidence::{PublicKey, Verifier, open};
use maru_http::collect_limited;

use crate::desk::Desk;
use crate::desk_error::DeskError;
use crate::ledger::{BLOB_BYTES_MAX, Head, Ledger};

/// Requests that are under way at a time.
const FETCHES_MAX: usize = 16;
const KEY_BYTES_MAX: usize = 16 << 10;

/// Which evidence is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// All of it, with the reports.
    All,
    /// All envelopes.
    Records,
    /// These envelopes.
    Envelopes(BTreeSet<Digest>),
    /// All envelopes, and what baselines hold.
    Baselines,
}

/// The folder of a copy; it is removed with the last desk that uses it.
#[derive(Debug)]
pub(crate) struct Mirror(PathBuf);

impl Drop for Mirror {
    fn drop(&mut self) {
        // What is left is what the server gives to anybody who may read it.
        drop(fs::remove_dir_all(&self.0));
    }
}

impl Desk {
    /// Returns a desk that has the evidence: this one where the ledger is on this machine, else one with a copy.
    ///
    /// # Errors
    /// When the API server refuses, or the copy cannot be written. A record that the server cannot give is left out, and
    /// whoever checks says so.
    pub async fn with_evidence(self, need: &Need) -> Result<Self, DeskError> {
        if !self.ledger().is_absent() {
            return Ok(self);
        }
        let folder = std::env::temp_dir().join(format!("maru-evidence-{}", maru_ids::random_suffix(12)));
        let ledger = Ledger::open_private(&folder)?;
        let mirror = Mirror(folder);
        let mut all = self.evidence().await?;
        if let Need::Envelopes(wanted) = need {
            all.retain(|one| wanted.contains(&one.spec.envelope));
        }
        let fetched = self.envelopes(&all).await?;
        let keys = self.keys_of(&fetched).await?;
        let verifier = Verifier::new(keys.values().copied());
        let mut head = Head::default();
        let mut last_key = None;
        let mut reports: BTreeMap<Digest, &str> = BTreeMap::new();
        for (one, envelope) in all.iter().zip(&fetched) {
            let Some(envelope) = envelope else { continue };
            ledger.put(envelope)?;
            let Ok(verified) = open(&verifier, one.spec.envelope, envelope) else { continue };
            let record = &verified.statement.record;
            reports.extend(record.raw.map(|raw| (raw, one.metadata.name.as_str())));
            if record.sequence >= head.length {
                head = Head { head: Some(one.spec.envelope), length: record.sequence + 1, pending: false };
                last_key = Some(verified.statement.next_key().unwrap_or(verified.key));
            }
        }
        let current = keys.values().find(|key| Some(key.digest()) == last_key).copied();
        ledger.adopt(self.name(), current, keys.values().copied(), &head)?;
        if *need == Need::All {
            self.reports(&ledger, reports).await?;
        }
        if *need == Need::Baselines {
            for one in self.list::<BaselineSpec>().await? {
                if let Some(content) = self.fetch(BaselineSpec::PLURAL, &one.metadata.name, "content").await? {
                    ledger.put(&content)?;
                }
            }
        }
        Ok(self.over(ledger, Arc::new(mirror)))
    }

    /// Fetches the envelopes of objects, in their order; none for one that the server does not have or that is damaged.
    async fn envelopes(&self, all: &[Evidence]) -> Result<Vec<Option<Vec<u8>>>, DeskError> {
        let names = all.iter().map(|one| one.metadata.name.clone());
        let fetches = futures::stream::iter(names.map(|name| async move {
            let envelope = self.fetch(EvidenceSpec::PLURAL, &name, "envelope").await?;
            // By digest: whatever else the server gave is not what the object names.
            Ok::<_, DeskError>(envelope)
        }));
        fetches.buffered(FETCHES_MAX).try_collect().await
    }

    /// Fetches each public key that envelopes name, once.
    async fn keys_of(&self, envelopes: &[Option<Vec<u8>>]) -> Result<BTreeMap<String, PublicKey>, DeskError> {
        #[derive(serde::Deserialize)]
        struct Signed {
            signatures: Vec<Signature>,
        }
        #[derive(serde::Deserialize)]
        struct Signature {
            keyid: String,
        }
        let mut first: BTreeMap<String, Digest> = BTreeMap::new();
        for envelope in envelopes.iter().flatten() {
            let signed = serde_json::from_slice::<Signed>(envelope).ok();
            let key = signed.and_then(|signed| signed.signatures.into_iter().next());
            if let Some(key) = key {
                first.entry(key.keyid).or_insert_with(|| Digest::of(envelope));
            }
        }
        let mut keys = BTreeMap::new();
        for (id, envelope) in first {
            let pem = self.fetch(EvidenceSpec::PLURAL, &crate::desk::object_name(envelope), "key").await?;
            let key = pem.and_then(|pem| PublicKey::from_pem(&String::from_utf8_lossy(&pem)).ok());
            keys.extend(key.map(|key| (id, key)));
        }
        Ok(keys)
    }

    async fn reports(&self, ledger: &Ledger, reports: BTreeMap<Digest, &str>) -> Result<(), DeskError> {
        let fetches =
            futures::stream::iter(reports.into_values().map(|name| self.fetch(EvidenceSpec::PLURAL, name, "report")));
        let mut fetches = fetches.buffer_unordered(FETCHES_MAX);
        while let Some(report) = fetches.try_next().await? {
            if let Some(report) = report {
                ledger.put(&report)?;
            }
        }
        Ok(())
    }

    /// Fetches what stands behind an object; none when the server does not have it, or found it damaged.
    async fn fetch(&self, plural: &str, name: &str, what: &str) -> Result<Option<Vec<u8>>, DeskError> {
        let failed = |source: kube::Error| DeskError::Api {
            action: format!("read the {what} of {plural} \"{name}\" in \"{}\"", self.name()),
            source: Box::new(source),
        };
        let path = format!("/apis/{GROUP}/{VERSION}/namespaces/{}/{plural}/{name}/{what}", self.name());
        let request = Request::builder().method(Method::GET).uri(path).body(Vec::new());
        let request = request.map_err(|error| failed(kube::Error::HttpError(error)))?;
        let response = self.client().send(request.map(kube::client::Body::from)).await.map_err(failed)?;
        let status = response.status();
        let limit = if what == "key" { KEY_BYTES_MAX } else { BLOB_BYTES_MAX };
        let content = collect_limited(response.into_body(), limit).await;
        let content = content.map_err(|error| DeskError::Content {
            what: what.to_owned(),
            name: name.to_owned(),
            why: error.to_string(),
        })?;
        match status {
            StatusCode::OK => Ok(Some(content.to_vec())),
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST | StatusCode::INTERNAL_SERVER_ERROR => Ok(None),
            _ => {
                let said: Option<serde_json::Value> = serde_json::from_slice(&content).ok();
                let why = said.and_then(|said| Some(said.get("message")?.as_str()?.to_owned()));
                let why = why.unwrap_or_else(|| status.to_string());
                Err(DeskError::Content { what: what.to_owned(), name: name.to_owned(), why })
            }
        }
    }
}
