//! Pulling images from registries.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use maru_blobs::Partial;
use maru_oci::{Descriptor, Digest, Document, Reference};
use tokio::sync::mpsc;

use crate::credentials::{Secret, from_docker_config};
use crate::error::ImageError;
use crate::registry::{FetchedManifest, Registry, endpoints};
use crate::store::ImageStore;

/// How often a blob is asked for when no byte of it comes.
const ATTEMPTS: u32 = 4;
/// Bytes between two words about progress.
const PROGRESS_BYTES: u64 = 256 << 10;

/// How to reach registries; from the configuration of the process, the same for all pulls.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// File of trusted certificates in PEM; `None` trusts those of the host.
    pub ca_bundle: Option<PathBuf>,
    /// Proxy for `http` URLs, as in `http_proxy`.
    pub http_proxy: Option<String>,
    /// Proxy for `https` URLs, as in `https_proxy`.
    pub https_proxy: Option<String>,
    /// Hosts that are reached directly, as in `no_proxy`.
    pub no_proxy: Option<String>,
    /// Registries (`host` or `host:port`) that are spoken to without TLS. Loopback addresses always may be.
    pub insecure: Vec<String>,
    /// Other places to ask first: registry to base URL.
    pub mirrors: BTreeMap<String, String>,
    /// A docker configuration file (`config.json`) with credentials.
    pub docker_config: Option<PathBuf>,
    /// Layers that are fetched at once.
    pub concurrency: usize,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            ca_bundle: None,
            http_proxy: None,
            https_proxy: None,
            no_proxy: None,
            insecure: Vec::new(),
            mirrors: BTreeMap::new(),
            docker_config: None,
            concurrency: 3,
        }
    }
}

/// Who pulls.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Credentials {
    /// What the docker configuration says for the registry, else nobody.
    #[default]
    FromConfig,
    /// Nobody in particular.
    Anonymous,
    /// A user and a password or token.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: String,
    },
    /// A bearer token for the registry itself.
    Bearer(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::FromConfig => formatter.write_str("FromConfig"),
            Self::Anonymous => formatter.write_str("Anonymous"),
            Self::Basic { username, .. } => write!(formatter, "Basic({username}:***)"),
            Self::Bearer(_) => formatter.write_str("Bearer(***)"),
        }
    }
}

/// Something happened during a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgressEvent {
    /// The manifest is known.
    Manifest {
        /// Its digest.
        digest: Digest,
        /// How many layers it has.
        layers: usize,
        /// Their length together in bytes.
        bytes: u64,
    },
    /// A layer was here already.
    Present {
        /// Which.
        layer: Digest,
    },
    /// More of a layer is here.
    Received {
        /// Which.
        layer: Digest,
        /// How many bytes of it are here.
        bytes: u64,
        /// How many it has.
        total: u64,
    },
    /// A layer is complete and verified.
    Complete {
        /// Which.
        layer: Digest,
    },
}

/// Is told what happens; called often, must be quick.
pub type Progress = Arc<dyn Fn(ProgressEvent) + Send + Sync>;

/// How to do one pull.
#[derive(Clone, Default)]
pub struct PullOptions {
    /// How to reach registries.
    pub registries: Arc<RegistryOptions>,
    /// Who pulls.
    pub credentials: Credentials,
    /// Who is told what happens.
    pub progress: Option<Progress>,
}

impl std::fmt::Debug for PullOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "PullOptions({:?}, {:?})", self.registries, self.credentials)
    }
}

impl ImageStore {
    /// Fetches an image for this machine from its registry and gives it its name. Asks the registry also when the name is
    /// here already, and fetches only what is missing. Pulls of the same blobs at once, also by other processes, share them.
    /// Returns the digest of the manifest.
    ///
    /// # Errors
    /// When the registry refuses, cannot be reached, sends other content than it promises, or the disk fails.
    ///
    /// # Cancel safety
    /// May be dropped: what was fetched is kept for the next pull.
    pub async fn pull(&self, reference: &Reference, options: PullOptions) -> Result<Digest, ImageError> {
        let client = crate::registry::http_client(&options.registries)?;
        let secret = secret(reference, &options).await?;
        let store = self.clone();
        let lease = blocking(move || store.lease()).await?;
        let mut failure = None;
        for base in endpoints(reference, &options.registries) {
            let registry = Registry::new(client.clone(), reference.clone(), base, secret.clone());
            let pull = Pull { store: self.clone(), registry, options: options.clone() };
            match pull.run(reference).await {
                Ok(digest) => {
                    drop(lease);
                    return Ok(digest);
                }
                // A mirror that fails is passed over; what the last one says counts.
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| ImageError::Malformed {
            what: reference.to_string(),
            problem: "it has no registry".to_owned(),
        }))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ImageError> + Send + 'static,
) -> Result<T, ImageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(ImageError::Interrupted),
    }
}

async fn secret(reference: &Reference, options: &PullOptions) -> Result<Option<Secret>, ImageError> {
    match (&options.credentials, options.registries.docker_config.clone()) {
        (Credentials::Basic { username, password }, _) => {
            Ok(Some(Secret::Basic { username: username.clone(), password: password.clone() }))
        }
        (Credentials::Bearer(token), _) => Ok(Some(Secret::Bearer(token.clone()))),
        (Credentials::Anonymous, _) | (Credentials::FromConfig, None) => Ok(None),
        (Credentials::FromConfig, Some(path)) => {
            let registry = reference.registry().to_owned();
            blocking(move || from_docker_config(&path, &registry)).await
        }
    }
}

/// One pull from one registry.
struct Pull {
    store: ImageStore,
    registry: Registry,
    options: PullOptions,
}

impl Pull {
    fn tell(&self, event: ProgressEvent) {
        if let Some(progress) = &self.options.progress {
            progress(event);
        }
    }

    async fn run(&self, reference: &Reference) -> Result<Digest, ImageError> {
        let wanted = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        };
        let top = self.registry.manifest(&wanted, reference.digest()).await?;
        let registry_digest = top.digest.clone();
        let (digest, manifest) = match self.document(&top)? {
            Document::Manifest(manifest) => (registry_digest.clone(), manifest),
            Document::Index(index) => {
                let entry = crate::store::select(&index, &reference.to_string())?;
                let inner = self.registry.manifest(&entry.digest.to_string(), Some(&entry.digest)).await?;
                let Document::Manifest(manifest) = self.document(&inner)? else {
                    return Err(self.registry.protocol("its index holds an index for this machine"));
                };
                self.keep(inner).await?;
                (entry.digest.clone(), manifest)
            }
        };
        self.keep(top).await?;
        let bytes = manifest.layers.iter().map(|layer| layer.size).sum();
        self.tell(ProgressEvent::Manifest { digest: digest.clone(), layers: manifest.layers.len(), bytes });
        let mut blobs: Vec<Descriptor> = vec![manifest.config.clone()];
        blobs.extend(manifest.layers.iter().cloned());
        // Layers may repeat within an image.
        blobs.sort_by(|a, b| a.digest.cmp(&b.digest));
        blobs.dedup_by(|a, b| a.digest == b.digest);
        // Boxed and collected: otherwise the compiler cannot tell that the pull may move between threads.
        let fetches: Vec<_> = blobs.iter().map(|blob| futures::FutureExt::boxed(self.blob(blob))).collect();
        stream::iter(fetches)
            .buffer_unordered(self.options.registries.concurrency.max(1))
            .try_collect::<Vec<()>>()
            .await?;
        let (store, reference, found) = (self.store.clone(), reference.clone(), digest.clone());
        blocking(move || {
            // A configuration that does not fit its manifest would only show when a container starts.
            store.image(&found)?.layers()?;
            let name = match reference.digest() {
                Some(digest) => reference.with_digest(digest.clone()),
                None => reference.clone(),
            };
            store.write_reference(&name, &found, &registry_digest)
        })
        .await?;
        Ok(digest)
    }

    fn document(&self, manifest: &FetchedManifest) -> Result<Document, ImageError> {
        Document::parse(&manifest.bytes)
            .map_err(|source| ImageError::Manifest { digest: manifest.digest.clone(), source })
    }

    async fn keep(&self, manifest: FetchedManifest) -> Result<(), ImageError> {
        let store = self.store.clone();
        blocking(move || {
            let mut writer = store.inner.blobs.writer(manifest.digest.algorithm())?;
            std::io::Write::write_all(&mut writer, &manifest.bytes)
                .map_err(crate::error::io_error("write", &store.inner.directory))?;
            writer.commit(Some(&manifest.digest))?;
            Ok(())
        })
        .await
    }

    /// Fetches a blob, continuing what an earlier attempt left.
    async fn blob(&self, descriptor: &Descriptor) -> Result<(), ImageError> {
        let (store, digest) = (self.store.clone(), descriptor.digest.clone());
        let Some(mut partial) = blocking(move || Ok(store.inner.blobs.receive(&digest)?)).await? else {
            self.tell(ProgressEvent::Present { layer: descriptor.digest.clone() });
            return Ok(());
        };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let before = partial.size();
            let (kept, outcome) = self.receive(descriptor, partial).await;
            let Some(kept) = kept else { return outcome };
            partial = kept;
            match outcome {
                Ok(()) => break,
                // As long as bytes come, the connection may break as often as it likes.
                Err(ImageError::Unreachable { .. }) if attempt < ATTEMPTS || partial.size() > before => {
                    tokio::time::sleep(Duration::from_millis(300) * attempt.min(10)).await;
                }
                Err(error) => return Err(error),
            }
        }
        blocking(move || Ok(partial.commit()?)).await?;
        self.tell(ProgressEvent::Complete { layer: descriptor.digest.clone() });
        Ok(())
    }

    /// Receives what is missing of a blob; returns what is there then.
    async fn receive(
        &self,
        descriptor: &Descriptor,
        mut partial: Partial,
    ) -> (Option<Partial>, Result<(), ImageError>) {
        if partial.size() > descriptor.size
            && let Err(error) = partial.restart()
        {
            return (None, Err(error.into()));
        }
        if partial.size() == descriptor.size && descriptor.size > 0 {
            return (Some(partial), Ok(()));
        }
        let mut response = match self.registry.blob(&descriptor.digest, partial.size()).await {
            Ok(response) => response,
            Err(error) => return (Some(partial), Err(error)),
        };
        // Who ignores the range sends everything; who cannot continue starts anew.
        if partial.size() > 0 && !continues(&response, partial.size()) {
            if let Err(error) = partial.restart() {
                return (None, Err(error.into()));
            }
            if response.status() != http::StatusCode::OK {
                response = match self.registry.blob(&descriptor.digest, 0).await {
                    Ok(response) => response,
                    Err(error) => return (Some(partial), Err(error)),
                };
            }
        }
        let start = partial.size();
        // Hashing and writing have a thread of their own; the queue is short so that a slow disk slows the sender.
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<Bytes>(8);
        let writing = tokio::task::spawn_blocking(move || {
            let mut written = Ok(());
            while let Some(chunk) = receiver.blocking_recv() {
                written = partial.append(&chunk);
                if written.is_err() {
                    break;
                }
            }
            (partial, written)
        });
        let received = self.pass_on(descriptor, start, response, sender).await;
        match writing.await {
            Ok((partial, Ok(()))) => (Some(partial), received),
            Ok((_, Err(error))) => (None, Err(error.into())),
            Err(_) => (None, Err(ImageError::Interrupted)),
        }
    }

    async fn pass_on(
        &self,
        descriptor: &Descriptor,
        start: u64,
        mut response: reqwest::Response,
        sender: mpsc::Sender<Bytes>,
    ) -> Result<(), ImageError> {
        let what = format!("blob {}", descriptor.digest.short());
        let (mut received, mut told) = (start, start);
        while let Some(chunk) = response.chunk().await.map_err(|error| self.registry.unreachable(&what, error))? {
            received += chunk.len() as u64;
            if received > descriptor.size {
                return Err(self
                    .registry
                    .protocol(format!("{what} is longer than the {} bytes it should have", descriptor.size)));
            }
            if sender.send(chunk).await.is_err() {
                // The writer has failed and says why.
                return Ok(());
            }
            if received - told >= PROGRESS_BYTES || received == descriptor.size {
                told = received;
                self.tell(ProgressEvent::Received {
                    layer: descriptor.digest.clone(),
                    bytes: received,
                    total: descriptor.size,
                });
            }
        }
        if received < descriptor.size {
            return Err(self.registry.protocol(format!("{what} ends after {received} of {} bytes", descriptor.size)));
        }
        Ok(())
    }
}

/// Tells whether an answer goes on where a partial blob ends.
fn continues(response: &reqwest::Response, offset: u64) -> bool {
    let range = response.headers().get(http::header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    response.status() == http::StatusCode::PARTIAL_CONTENT
        && range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-")))
}
