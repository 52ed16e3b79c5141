//! Pulling from a registry that speaks the real protocol over a real socket.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use maru_images::{Credentials, ImageError, ImageStore, ProgressEvent, PullOptions, RegistryOptions};
use maru_oci::{Descriptor, Digest, Index, Platform, Reference, media_type};

use crate::support::{commit, entry, tar};

/// What the registry serves and how it misbehaves.
#[derive(Default)]
struct Shelf {
    /// Path below `/v2/` to media type and content.
    content: BTreeMap<String, (String, Vec<u8>)>,
    /// User and password that its token service wants.
    secret: Option<(String, String)>,
    /// Blob answers end after so many bytes, so many times.
    breaks: AtomicUsize,
    /// Answers 503 so many times.
    failures: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

struct Registry {
    address: std::net::SocketAddr,
    shelf: Arc<Shelf>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Registry {
    #[expect(clippy::disallowed_methods, reason = "a test's server ends with the test")]
    async fn start(shelf: Shelf) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shelf = Arc::new(shelf);
        let shared = Arc::clone(&shelf);
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let shelf = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        let answer = answer(&shelf, address, &request);
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    drop(
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(hyper_util::rt::TokioIo::new(socket), service)
                            .await,
                    );
                });
            }
        });
        Self { address, shelf, task }
    }

    fn reference(&self, rest: &str) -> Reference {
        format!("{}/{rest}", self.address).parse().unwrap()
    }

    fn requests(&self, part: &str) -> usize {
        self.shelf.requests.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }
}

fn reply(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

fn answer(
    shelf: &Shelf,
    address: std::net::SocketAddr,
    request: &Request<hyper::body::Incoming>,
) -> Response<Full<Bytes>> {
    let get = |name: header::HeaderName| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    let authorization = get(header::AUTHORIZATION);
    shelf.requests.lock().unwrap().push(request.uri().to_string());
    if shelf.failures.load(Ordering::SeqCst) > 0 {
        shelf.failures.fetch_sub(1, Ordering::SeqCst);
        return reply(StatusCode::SERVICE_UNAVAILABLE, "");
    }
    let path = request.uri().path();
    if let Some((user, password)) = &shelf.secret {
        if path == "/token" {
            let wanted =
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")));
            let scoped = request.uri().query().is_some_and(|query| {
                query.contains("scope=repository%3Ashop%2Fapp%3Apull") && query.contains("service=test")
            });
            return if authorization == wanted && scoped {
                reply(StatusCode::OK, r#"{"token":"open"}"#)
            } else {
                reply(StatusCode::UNAUTHORIZED, r#"{"errors":[{"code":"DENIED","message":"wrong password"}]}"#)
            };
        }
        if authorization != "Bearer open" {
            let mut response = reply(StatusCode::UNAUTHORIZED, "");
            let challenge =
                format!(r#"Bearer realm="http://{address}/token",service="test",scope="repository:shop/app:pull""#);
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.parse().unwrap());
            return response;
        }
    }
    let Some((kind, content)) = path.strip_prefix("/v2/").and_then(|path| shelf.content.get(path)) else {
        return reply(StatusCode::NOT_FOUND, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such tag"}]}"#);
    };
    let start: usize = get(header::RANGE)
        .strip_prefix("bytes=")
        .and_then(|range| range.trim_end_matches('-').parse().ok())
        .unwrap_or(0);
    let body = content[start..].to_vec();
    let length = body.len();
    let mut response = reply(if start > 0 { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK }, body);
    if path.contains("/blobs/") && length > 2_000 && shelf.breaks.load(Ordering::SeqCst) > 0 {
        shelf.breaks.fetch_sub(1, Ordering::SeqCst);
        // The connection ends before what it promised.
        *response.body_mut() = Full::new(Bytes::copy_from_slice(&content[start..start + 1_500]));
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    if start > 0 {
        response.headers_mut().insert(
            header::CONTENT_RANGE,
            format!("bytes {start}-{}/{}", content.len() - 1, content.len()).parse().unwrap(),
        );
    }
    response.headers_mut().insert(header::CONTENT_TYPE, kind.parse().unwrap());
    response
}

/// Puts an image on a shelf, behind an index with another platform, as `shop/app:1`.
fn stock(source: &ImageStore) -> (Shelf, Digest) {
    let noise: String = (0..20_000).map(|number| char::from(b'a' + u8::try_from(number * 7 % 26).unwrap())).collect();
    let (digest, _) = commit(source, &[tar(&[entry("a", &noise)], &[]), tar(&[entry("b", "b")], &[])]);
    let image = source.image(&digest).unwrap();
    let mut shelf = Shelf::default();
    for blob in source.blobs().list().unwrap() {
        let bytes = source.blobs().read(&blob.digest, 1 << 20).unwrap();
        shelf.content.insert(format!("shop/app/blobs/{}", blob.digest), ("application/octet-stream".into(), bytes));
    }
    let manifest = source.blobs().read(&digest, 1 << 20).unwrap();
    let entry = |architecture: &str, digest: &Digest| {
        let platform =
            Platform { architecture: architecture.into(), os: "linux".into(), variant: None, os_version: None };
        Descriptor {
            platform: Some(platform),
            ..Descriptor::new(media_type::MANIFEST, digest.clone(), manifest.len() as u64)
        }
    };
    let index = Index {
        schema_version: 2,
        media_type: Some(media_type::INDEX.into()),
        artifact_type: None,
        manifests: vec![entry("s390x", &Digest::sha256(b"other")), entry(&image.config.architecture, &digest)],
        subject: None,
        annotations: BTreeMap::new(),
    };
    shelf.content.insert(format!("shop/app/manifests/{digest}"), (media_type::MANIFEST.into(), manifest));
    shelf
        .content
        .insert("shop/app/manifests/1".into(), (media_type::INDEX.into(), serde_json::to_vec(&index).unwrap()));
    (shelf, digest)
}

fn stores(home: &tempfile::TempDir) -> (ImageStore, ImageStore) {
    (ImageStore::open(&home.path().join("source")).unwrap(), ImageStore::open(&home.path().join("store")).unwrap())
}

#[tokio::test]
async fn an_image_is_pulled_verified_and_named() {
    let home = tempfile::tempdir().unwrap();
    let (source, store) = stores(&home);
    let (shelf, digest) = stock(&source);
    let registry = Registry::start(shelf).await;
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let options = PullOptions {
        progress: Some(Arc::new(move |event| seen.lock().unwrap().push(event))),
        ..PullOptions::default()
    };
    let reference = registry.reference("shop/app:1");
    assert_eq!(store.pull(&reference, options.clone()).await.unwrap(), digest);
    assert_eq!(store.resolve(&reference).unwrap(), Some(digest.clone()));
    let summary = store.list().unwrap().remove(0);
    assert_ne!(summary.registry_digest, digest);
    // By the digest of the index, as people pin images.
    assert_eq!(store.resolve(&reference.with_digest(summary.registry_digest)).unwrap(), Some(digest.clone()));
    store.unpack(&digest).unwrap();
    {
        let events = events.lock().unwrap();
        assert!(events.iter().any(|event| matches!(event, ProgressEvent::Manifest { layers: 2, .. })));
        assert_eq!(events.iter().filter(|event| matches!(event, ProgressEvent::Complete { .. })).count(), 3);
    }
    let before = registry.requests("/blobs/");
    store.pull(&reference, options).await.unwrap();
    assert_eq!(registry.requests("/blobs/"), before);
    // Nothing of it is lost to a collection.
    store.collect_garbage(&std::collections::BTreeSet::new(), &std::collections::BTreeSet::new()).unwrap();
    store.unpack(&digest).unwrap();
}

#[tokio::test]
async fn broken_connections_are_continued_and_failures_tried_again() {
    let home = tempfile::tempdir().unwrap();
    let (source, store) = stores(&home);
    let (shelf, digest) = stock(&source);
    shelf.breaks.store(6, Ordering::SeqCst);
    shelf.failures.store(1, Ordering::SeqCst);
    let registry = Registry::start(shelf).await;
    assert_eq!(store.pull(&registry.reference("shop/app:1"), PullOptions::default()).await.unwrap(), digest);
    assert_eq!(registry.shelf.breaks.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn pulls_at_once_fetch_each_blob_once() {
    let home = tempfile::tempdir().unwrap();
    let (source, store) = stores(&home);
    let (shelf, _) = stock(&source);
    let registry = Registry::start(shelf).await;
    let reference = registry.reference("shop/app:1");
    // A second store on the same directory is what another process is.
    let other = ImageStore::open(&home.path().join("store")).unwrap();
    let pull = |store: &ImageStore| {
        let (store, reference) = (store.clone(), reference.clone());
        async move { store.pull(&reference, PullOptions::default()).await.unwrap() }
    };
    let (one, two, three) = tokio::join!(pull(&store), pull(&store), pull(&other));
    assert!(one == two && two == three);
    assert_eq!(registry.requests("/blobs/"), 3);
}

#[tokio::test]
async fn token_services_are_asked_with_the_right_credentials() {
    let home = tempfile::tempdir().unwrap();
    let (source, store) = stores(&home);
    let (mut shelf, digest) = stock(&source);
    shelf.secret = Some(("user".into(), "pass:word".into()));
    let registry = Registry::start(shelf).await;
    let reference = registry.reference("shop/app:1");
    let wrong = Credentials::Basic { username: "user".into(), password: "no".into() };
    let error = store.pull(&reference, PullOptions { credentials: wrong, ..PullOptions::default() }).await.unwrap_err();
    assert!(
        matches!(&error, ImageError::Unauthorized { status: 401, message, .. } if message.contains("wrong password")),
        "{error}"
    );
    assert!(
        error.to_string().contains(&reference.to_string()) && error.to_string().contains(&registry.address.to_string()),
        "{error}"
    );
    // The same from docker's configuration file.
    let config = home.path().join("config.json");
    let auth = base64::engine::general_purpose::STANDARD.encode("user:pass:word");
    std::fs::write(&config, format!(r#"{{"auths":{{"http://{}":{{"auth":"{auth}"}}}}}}"#, registry.address)).unwrap();
    let registries = Arc::new(RegistryOptions { docker_config: Some(config), ..RegistryOptions::default() });
    assert_eq!(store.pull(&reference, PullOptions { registries, ..PullOptions::default() }).await.unwrap(), digest);
    assert_eq!(registry.requests("/token"), 2);
}

#[tokio::test]
async fn content_that_is_not_what_it_says_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let (source, store) = stores(&home);
    let (mut shelf, digest) = stock(&source);
    let layer = source.image(&digest).unwrap().manifest.layers[0].digest.clone();
    let blob = shelf.content.get_mut(&format!("shop/app/blobs/{layer}")).unwrap();
    blob.1[700] ^= 1;
    let registry = Registry::start(shelf).await;
    let reference = registry.reference("shop/app:1");
    let error = store.pull(&reference, PullOptions::default()).await.unwrap_err();
    assert!(matches!(error, ImageError::Blob(maru_blobs::BlobError::DigestMismatch { .. })), "{error}");
    assert_eq!(store.resolve(&reference).unwrap(), None);
    assert!(!store.blobs().contains(&layer).unwrap());
    let pinned = registry.reference(&format!("shop/app:1@{}", Digest::sha256(b"something else")));
    assert!(matches!(store.pull(&pinned, PullOptions::default()).await, Err(ImageError::NotFound { .. })));
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let home = tempfile::tempdir().unwrap();
    let (source, store) = stores(&home);
    let registry = Registry::start(stock(&source).0).await;
    let error = store.pull(&registry.reference("shop/none:9"), PullOptions::default()).await.unwrap_err();
    assert!(
        matches!(&error, ImageError::NotFound { message, .. } if message == "MANIFEST_UNKNOWN no such tag"),
        "{error}"
    );
    let closed = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let error = store.pull(&format!("{closed}/x").parse().unwrap(), PullOptions::default()).await.unwrap_err();
    assert!(
        matches!(error, ImageError::Unreachable { .. }) && error.to_string().contains(&closed.to_string()),
        "{error}"
    );
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_passed_over_when_it_fails() {
    let home = tempfile::tempdir().unwrap();
    let (source, store) = stores(&home);
    let (shelf, digest) = stock(&source);
    let registry = Registry::start(shelf).await;
    let empty = Registry::start(Shelf::default()).await;
    let name = registry.address.to_string();
    let mirrors = BTreeMap::from([(name, format!("http://{}/", empty.address))]);
    let registries = Arc::new(RegistryOptions { mirrors, ..RegistryOptions::default() });
    let pulled =
        store.pull(&registry.reference("shop/app:1"), PullOptions { registries, ..PullOptions::default() }).await;
    assert_eq!(pulled.unwrap(), digest);
    assert_eq!(empty.requests("/manifests/1"), 1);
}
