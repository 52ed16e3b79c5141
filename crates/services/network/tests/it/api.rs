//! Just enough of an API to list and watch what a test puts there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use maru_auth::Identity;
use maru_client::{Client, in_process};
use maru_http::{Body, Handler};
use serde_json::{Value, json};
use tokio::sync::watch;

#[derive(Default)]
struct State {
    objects: BTreeMap<(String, String), Value>,
    /// What happened, by revision from 1 on.
    events: Vec<(String, Value)>,
}

/// Objects by the path of their collection.
#[derive(Clone)]
pub(crate) struct Api {
    state: Arc<Mutex<State>>,
    revision: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl Api {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), revision: watch::Sender::new(0), open: watch::Sender::new(true) }
    }

    pub(crate) fn client(&self) -> Client {
        let api = self.clone();
        let handler = Handler::new(move |request| {
            let api = api.clone();
            async move {
                // The sender is in `api`, so that it cannot have gone.
                drop(api.open.subscribe().wait_for(|open| *open).await);
                api.answer(&request)
            }
        });
        in_process(&handler, &Identity::new("network", &[]))
    }

    /// Lets requests wait, or go on.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }

    /// Creates or replaces an object.
    pub(crate) fn put(&self, object: Value) {
        self.record(object, |known| if known { "MODIFIED" } else { "ADDED" });
    }

    pub(crate) fn delete(&self, object: Value) {
        self.record(object, |_| "DELETED");
    }

    fn record(&self, mut object: Value, kind: impl Fn(bool) -> &'static str) {
        let mut state = self.state.lock().unwrap();
        let path = collection(&object);
        let id = (path.clone(), format!("{}/{}", object["metadata"]["namespace"], object["metadata"]["name"]));
        let kind = kind(state.objects.contains_key(&id));
        object["metadata"]["resourceVersion"] = json!((state.events.len() + 1).to_string());
        if kind == "DELETED" {
            state.objects.remove(&id);
        } else {
            state.objects.insert(id, object.clone());
        }
        state.events.push((path, json!({ "type": kind, "object": object })));
        self.revision.send_replace(state.events.len());
    }

    fn answer(&self, request: &Request<Body>) -> Response<Body> {
        let query = request.uri().query().unwrap_or_default();
        let path = request.uri().path().to_owned();
        let parameter = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        let body = if parameter("watch") == Some("true") {
            let from = parameter("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0);
            maru_http::stream(self.watch(path, from))
        } else {
            let state = self.state.lock().unwrap();
            let items: Vec<&Value> =
                state.objects.iter().filter(|((owner, _), _)| *owner == path).map(|(_, object)| object).collect();
            let list = json!({ "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": state.events.len().to_string() }, "items": items });
            maru_http::full(list.to_string())
        };
        Response::builder().header("content-type", "application/json").body(body).unwrap()
    }

    fn watch(
        &self,
        path: String,
        from: usize,
    ) -> impl futures::Stream<Item = Result<bytes::Bytes, maru_http::BoxError>> + Send + 'static {
        let state = Arc::clone(&self.state);
        futures::stream::unfold((self.revision.subscribe(), from), move |(mut revision, mut next)| {
            let (state, path) = (Arc::clone(&state), path.clone());
            async move {
                loop {
                    let lines: String = {
                        let state = state.lock().unwrap();
                        let new = state.events.get(next..).unwrap_or_default();
                        next = state.events.len();
                        new.iter().filter(|(owner, _)| *owner == path).map(|(_, event)| format!("{event}\n")).collect()
                    };
                    if !lines.is_empty() {
                        return Some((Ok(bytes::Bytes::from(lines)), (revision, next)));
                    }
                    revision.changed().await.ok()?;
                }
            }
        })
    }
}

fn collection(object: &Value) -> String {
    let version = object["apiVersion"].as_str().unwrap();
    let plural = match object["kind"].as_str().unwrap() {
        "NetworkPolicy" => "networkpolicies".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    if version == "v1" { format!("/api/v1/{plural}") } else { format!("/apis/{version}/{plural}") }
}
