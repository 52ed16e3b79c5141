//! What a build tells while it runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Something happened in a build.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildEvent {
    /// A step starts.
    Started {
        /// Its number, from 1.
        step: usize,
        /// How many there are.
        total: usize,
        /// What it does.
        name: String,
    },
    /// A program of the step wrote a line.
    Output {
        /// The step's number.
        step: usize,
        /// The line.
        line: String,
    },
    /// A step is done.
    Finished {
        /// Its number.
        step: usize,
        /// How many there are.
        total: usize,
        /// What it did.
        name: String,
        /// Whether its result was there already.
        cached: bool,
        /// How long it took.
        duration: Duration,
    },
    /// Something to know about.
    Warning {
        /// What.
        message: String,
    },
}

/// Is told what happens; must be quick.
pub type Progress = Arc<dyn Fn(BuildEvent) + Send + Sync>;

/// Writes lines such as `[2/5] RUN make` and `[2/5] done in 1.3 s`.
pub struct TextProgress<W>(Mutex<W>);

impl<W: std::io::Write + Send + 'static> TextProgress<W> {
    /// Returns a progress that writes to `output`.
    #[must_use]
    pub fn shared(output: W) -> Progress {
        let this = Self(Mutex::new(output));
        Arc::new(move |event| this.write(&event))
    }

    fn write(&self, event: &BuildEvent) {
        let line = render(event);
        let mut output = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed terminal does not stop a build.
        drop(writeln!(output, "{line}"));
        drop(output.flush());
    }
}

impl<W> std::fmt::Debug for TextProgress<W> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("TextProgress")
    }
}

fn render(event: &BuildEvent) -> String {
    match event {
        BuildEvent::Started { step, total, name } => format!("[{step}/{total}] {name}"),
        BuildEvent::Output { step, line } => format!("[{step}]   {line}"),
        BuildEvent::Finished { step, total, cached: true, .. } => format!("[{step}/{total}] cached"),
        BuildEvent::Finished { step, total, duration, .. } => {
            format!("[{step}/{total}] done in {:.1} s", duration.as_secs_f64())
        }
        BuildEvent::Warning { message } => format!("warning: {message}"),
    }
}

/// Counts steps and their times.
pub(crate) struct Steps {
    progress: Option<Progress>,
    total: usize,
    number: usize,
    all_cached: bool,
    durations: Vec<(String, Duration)>,
    current: Option<(String, tokio::time::Instant)>,
}

impl Steps {
    pub(crate) fn new(progress: Option<Progress>, total: usize) -> Self {
        Self { progress, total, number: 0, all_cached: true, durations: Vec::new(), current: None }
    }

    pub(crate) fn tell(&self, event: BuildEvent) {
        if let Some(progress) = &self.progress {
            progress(event);
        }
    }

    pub(crate) fn start(&mut self, name: &str) {
        self.number += 1;
        self.total = self.total.max(self.number);
        self.current = Some((name.to_owned(), tokio::time::Instant::now()));
        self.tell(BuildEvent::Started { step: self.number, total: self.total, name: name.to_owned() });
    }

    pub(crate) fn finish(&mut self, cached: bool) {
        let Some((name, started)) = self.current.take() else { return };
        let duration = started.elapsed();
        self.all_cached &= cached;
        self.durations.push((name.clone(), duration));
        self.tell(BuildEvent::Finished { step: self.number, total: self.total, name, cached, duration });
    }

    /// Returns what passes a program's output on, line by line.
    pub(crate) fn lines(&self) -> Lines {
        Lines { progress: self.progress.clone(), step: self.number, pending: Vec::new() }
    }

    pub(crate) fn outcome(self, digest: maru_oci::Digest) -> crate::BuildOutcome {
        crate::BuildOutcome { digest, cached: self.all_cached, durations: self.durations }
    }
}

/// Cuts output into lines.
pub(crate) struct Lines {
    progress: Option<Progress>,
    step: usize,
    pending: Vec<u8>,
}

impl Lines {
    /// Longest line that is kept together.
    const LENGTH_MAX: usize = 8 << 10;

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' || self.pending.len() >= Self::LENGTH_MAX {
                self.flush();
            }
            if *byte != b'\n' {
                self.pending.push(*byte);
            }
        }
    }

    pub(crate) fn flush(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.pending)).trim_end_matches('\r').to_owned();
        if let Some(progress) = &self.progress {
            progress(BuildEvent::Output { step: self.step, line });
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.pending.is_empty() {
            self.flush();
        }
    }
}
