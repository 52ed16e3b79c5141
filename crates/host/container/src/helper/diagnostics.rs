//! Catches what libcontainer logs as errors, also in the processes it clones: its error values name the step only, the log the
//! cause.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::executor::CAUSE_MARK;

/// A pipe that ends when the container's program was executed or could not be.
#[derive(Debug)]
pub(super) struct Diagnostics {
    reader: OwnedFd,
    writer: Option<Rc<File>>,
}

impl Diagnostics {
    /// Makes the pipe and sends this process's error events into it, from now on and for good.
    pub(super) fn install() -> Result<Self, String> {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(|error| format!("could not make a pipe: {error}"))?;
        // A full pipe must not stop the container: what does not fit is lost.
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
            .map_err(|error| format!("could not set up a pipe: {error}"))?;
        let writer = File::from(writer);
        let events = Collector { events: std::sync::Mutex::new(writer.try_clone().ok()), spans: AtomicU64::new(1) };
        let events = std::sync::Arc::new(events);
        COLLECTOR.set(std::sync::Arc::clone(&events)).map_err(|_| "diagnostics were installed before".to_owned())?;
        tracing::subscriber::set_global_default(Shared(events)).map_err(|error| error.to_string())?;
        Ok(Self { reader, writer: Some(Rc::new(writer)) })
    }

    /// Returns the writing end, for the executor.
    pub(super) fn writer(&self) -> Option<Rc<File>> {
        self.writer.clone()
    }

    /// Waits until every process that could fail has executed its program or ended; returns the failure, if there was one.
    pub(super) fn wait(mut self) -> Option<String> {
        self.close();
        let mut text = String::new();
        drop(File::from(self.reader).read_to_string(&mut text));
        text.lines().find_map(|line| line.strip_prefix(CAUSE_MARK)).map(str::to_owned)
    }

    /// Describes a failure as well as what was caught permits.
    pub(super) fn describe(mut self, failure: &str) -> String {
        self.close();
        let mut bytes = Vec::new();
        if fcntl(&self.reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).is_ok() {
            // Ends with "would block" when a process lives on; what came before is kept.
            drop(File::from(self.reader).read_to_end(&mut bytes));
        }
        let text = String::from_utf8_lossy(&bytes);
        match text.lines().find_map(|line| line.strip_prefix(CAUSE_MARK)) {
            Some(cause) => cause.to_owned(),
            None => match text.lines().next() {
                Some(first) => format!("{failure}: {first}"),
                None => failure.to_owned(),
            },
        }
    }

    fn close(&mut self) {
        self.writer = None;
        if let Some(collector) = COLLECTOR.get()
            && let Ok(mut events) = collector.events.lock()
        {
            *events = None;
        }
    }
}

static COLLECTOR: std::sync::OnceLock<std::sync::Arc<Collector>> = std::sync::OnceLock::new();

#[derive(Debug)]
struct Collector {
    events: std::sync::Mutex<Option<File>>,
    spans: AtomicU64,
}

#[derive(Debug)]
struct Shared(std::sync::Arc<Collector>);

impl Subscriber for Shared {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(self.0.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let mut text = line.message;
        text.push_str(&line.fields);
        let mut text = text.replace('\n', " ");
        text.push('\n');
        if let Ok(events) = self.0.events.lock()
            && let Some(mut file) = events.as_ref()
        {
            drop(file.write_all(text.as_bytes()));
        }
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.push_str(&format!(" {}={value:?}", field.name()));
        }
    }
}
