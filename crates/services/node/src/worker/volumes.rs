//! When a pod's volumes are made and brought up to date.

use std::future::Future;
use std::sync::Arc;

use super::sandbox::retry_wait;
use super::{Report, Worker};
use crate::context::chain;
use crate::events::Severity;
use crate::plan::{Part, after};
use crate::volumes::{Sources, Tokens, VolumeInput, prepare};

impl Worker {
    pub(super) fn prepare_volumes(&mut self) {
        self.memory.volumes = Part::Working;
        self.record.has_volumes = true;
        if let Err(error) = std::fs::create_dir_all(&self.directory) {
            tracing::warn!(uid = %self.uid, %error, "the pod's directory could not be made");
        }
        self.save();
        let job = self.volumes_job(None);
        drop(self.task("make volumes", job));
    }

    /// Writes changed content while the volumes stay in use.
    pub(super) fn refresh_volumes(&mut self) {
        self.memory.volumes_refreshing = true;
        let job = self.volumes_job(Some(self.memory.sources.clone()));
        drop(self.task("refresh volumes", job));
    }

    /// `present` are volumes in use, which are brought up to date and not made.
    pub(super) fn volumes_job(&mut self, present: Option<Sources>) -> impl Future<Output = Report> + Send + use<> {
        self.memory.volumes_stale = false;
        let (context, record) = (Arc::clone(&self.context), self.record.clone());
        let (directory, mut tokens) = (self.directory.clone(), self.memory.tokens.clone());
        async move {
            let facts = context.field_facts(&record);
            let mut input = VolumeInput {
                pod: &record.pod,
                directory: &directory,
                objects: &context.objects,
                facts: &facts,
                tokens: &mut tokens,
                present: present.as_ref(),
                now: context.now(),
            };
            let result = prepare(&mut input).await.map_err(|error| chain(&error));
            Report::Volumes(Box::new((result, tokens)))
        }
    }

    pub(super) fn take_volumes(&mut self, (result, tokens): (Result<Sources, String>, Tokens)) {
        self.memory.tokens = tokens;
        let refreshing = std::mem::take(&mut self.memory.volumes_refreshing);
        match result {
            Ok(sources) => {
                self.memory.volume_failures = 0;
                self.memory.volumes = Part::Ready;
                self.memory.sources = sources;
            }
            Err(message) => {
                self.event(None, Severity::Warning, "FailedMount", &format!("MountVolume.SetUp failed: {message}"));
                let wait = retry_wait(self.memory.volume_failures);
                self.memory.volume_failures = self.memory.volume_failures.saturating_add(1);
                let retry_at = after(self.context.now(), wait);
                if refreshing {
                    // What was there stays in use; only the update is tried again.
                    self.memory.sources.refresh_at = Some(retry_at);
                } else {
                    self.memory.volumes = Part::Failed { message, retry_at };
                }
            }
        }
    }
}
