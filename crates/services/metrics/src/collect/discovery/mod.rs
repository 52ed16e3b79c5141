//! Where targets come from: each source tells all its targets whenever they change.

mod dns;
mod file;
mod http;
mod kubernetes;

use std::path::Path;
use std::sync::Arc;

use maru_monitoring::scrape::{Discovery, TargetGroup};
use maru_task::Scope;
use tokio::sync::mpsc;

use super::Shared;

pub(crate) use dns::ask;
pub(crate) use file::matching;

/// Where a source tells its targets.
#[derive(Debug)]
pub(crate) struct Output {
    index: usize,
    sender: mpsc::Sender<(usize, Vec<TargetGroup>)>,
    last: Option<Vec<TargetGroup>>,
}

impl Output {
    pub(crate) fn new(index: usize, sender: mpsc::Sender<(usize, Vec<TargetGroup>)>) -> Self {
        Self { index, sender, last: None }
    }

    /// Tells the targets, when they are not the same as before.
    pub(crate) async fn tell(&mut self, groups: Vec<TargetGroup>) {
        if self.last.as_ref() != Some(&groups) {
            self.last = Some(groups.clone());
            // Nobody listens any more when the pool has ended.
            drop(self.sender.send((self.index, groups)).await);
        }
    }
}

/// Starts a source as a task of `scope`.
pub(crate) fn start(scope: &Scope, shared: &Arc<Shared>, discovery: &Discovery, folder: &Path, mut output: Output) {
    let (shared, folder) = (Arc::clone(shared), folder.to_owned());
    match discovery.clone() {
        Discovery::Static(groups) => {
            drop(scope.spawn_until_cancelled("static targets", async move { output.tell(groups).await }));
        }
        Discovery::File { files, refresh_interval } => {
            let work = file::run(files, refresh_interval, folder, output);
            drop(scope.spawn_until_cancelled("file targets", work));
        }
        Discovery::Http { url, refresh_interval, client } => {
            let work = http::run(url, refresh_interval, client, folder, output);
            drop(scope.spawn_until_cancelled("http targets", work));
        }
        Discovery::Dns { names, record, port, refresh_interval } => {
            let work = dns::run(shared, names, record, port, refresh_interval, output);
            drop(scope.spawn_until_cancelled("dns targets", work));
        }
        Discovery::Kubernetes(options) => {
            let work = kubernetes::run(shared, options, folder, scope.clone(), output);
            drop(scope.spawn_until_cancelled("kubernetes targets", work));
        }
    }
}
