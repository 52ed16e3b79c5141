//! One nftables table, kept as wanted.

mod monitor;
mod ruleset;

use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use maru_task::Scope;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::NetError;
pub(crate) use monitor::{Monitor, Seen};
pub use ruleset::{Chain, Hook, HookKind, HookPoint, Policy, Ruleset, Set, SetKind};

/// What the tables of all instances are called.
const TABLE_PREFIX: &str = "maru_";
/// Where `nft` is when the search path lacks the administrator's directories.
const FALLBACK_DIRECTORIES: [&str; 2] = ["/usr/sbin", "/sbin"];
/// Time for one call of `nft`.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause before rules are put back: a firewall's restart is many changes.
const SETTLE: Duration = Duration::from_millis(200);
/// Generations of our own that are remembered while their notices may still arrive.
const OWN_GENERATIONS_MAX: usize = 64;

/// How the table is written.
#[derive(Debug, Clone)]
pub struct NftOptions {
    /// The table's name, such as `maru_default`; its family is `ip`.
    pub table: String,
    /// The program, `nft` unless a test says otherwise.
    pub program: String,
}

impl NftOptions {
    /// Returns the options for an instance's table.
    #[must_use]
    pub fn for_instance(instance: &str) -> Self {
        let name: String =
            instance.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
        Self { table: format!("{TABLE_PREFIX}{name}"), program: "nft".to_owned() }
    }
}

/// Rules could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NftError {
    /// The program is not installed.
    #[error("the program \"{program}\" is missing: install the package \"nftables\" (apt-get install nftables)")]
    ProgramMissing {
        /// What was looked for.
        program: String,
    },
    /// The program could not be run.
    #[error("the program \"{program}\" could not be run")]
    Run {
        /// Which one.
        program: String,
        /// The kernel's reason.
        #[source]
        source: std::io::Error,
    },
    /// The program did not end in time.
    #[error("nft took longer than {seconds} s")]
    Timeout {
        /// How long it was given.
        seconds: u64,
    },
    /// The kernel or the program refused the rules.
    #[error("nft refused the rules of table \"{table}\": {message}")]
    Refused {
        /// The table.
        table: String,
        /// What `nft` said.
        message: String,
    },
    /// The kernel does not tell about its tables.
    #[error("the kernel does not tell about its nftables tables")]
    Monitor(#[source] NetError),
}

/// One table of the namespace in which it is used. Clones share it.
#[derive(Debug, Clone)]
pub struct Nft {
    options: Arc<NftOptions>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What the kernel has; `None` when that is not known.
    applied: Option<Ruleset>,
    /// What it should have.
    wanted: Option<Ruleset>,
    own_generations: VecDeque<u32>,
}

impl Nft {
    /// Names a table; nothing is written yet.
    #[must_use]
    pub fn new(options: NftOptions) -> Self {
        Self { options: Arc::new(options), state: Arc::default() }
    }

    /// Makes the table what `ruleset` says, in one transaction: only the differences when what the kernel has is known,
    /// else all of it. Packets see the rules before or after, never between.
    ///
    /// # Errors
    /// When `nft` is missing or refuses. The table then is as before.
    ///
    /// # Cancel safety
    /// When dropped while `nft` runs, that call may still take effect; the next one writes the whole table.
    pub async fn apply(&self, ruleset: Ruleset) -> Result<(), NftError> {
        let mut state = self.state.lock().await;
        state.wanted = Some(ruleset.clone());
        let table = &self.options.table;
        if let Some(applied) = state.applied.take() {
            let script = applied.difference(&ruleset, table);
            match script {
                Some(script) if script.is_empty() => {
                    state.applied = Some(ruleset);
                    return Ok(());
                }
                Some(script) => match self.run_recorded(&mut state, &script).await {
                    Ok(()) => {
                        state.applied = Some(ruleset);
                        return Ok(());
                    }
                    // Somebody else has changed the table: write all of it.
                    Err(NftError::Refused { message, .. }) => {
                        tracing::debug!(table, message, "differences refused; writing the whole table");
                    }
                    Err(error) => return Err(error),
                },
                None => {}
            }
        }
        self.run_recorded(&mut state, &ruleset.whole(table)).await?;
        state.applied = Some(ruleset);
        Ok(())
    }

    /// Tells whether the kernel has the table, for example from an earlier process.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub async fn exists(&self) -> Result<bool, NftError> {
        monitor::table_exists(&self.options.table).await.map_err(NftError::Monitor)
    }

    /// Writes the whole table again.
    ///
    /// # Errors
    /// When `nft` is missing or refuses.
    pub async fn reassert(&self) -> Result<(), NftError> {
        let mut state = self.state.lock().await;
        let Some(ruleset) = state.wanted.clone() else { return Ok(()) };
        state.applied = None;
        self.run_recorded(&mut state, &ruleset.whole(&self.options.table)).await?;
        state.applied = Some(ruleset);
        Ok(())
    }

    /// Removes the table; nothing happens when there is none.
    ///
    /// # Errors
    /// When `nft` is missing or refuses.
    pub async fn teardown(&self) -> Result<(), NftError> {
        let mut state = self.state.lock().await;
        (state.applied, state.wanted) = (None, None);
        let table = &self.options.table;
        // Adding first makes the deletion succeed where there was none.
        self.run_recorded(&mut state, &format!("add table ip {table}\ndelete table ip {table}\n")).await
    }

    /// Puts the table back within about a second whenever somebody else changes or flushes it, until the scope ends.
    ///
    /// # Errors
    /// When the kernel's notices cannot be received.
    pub async fn guard(&self, scope: &Scope) -> Result<(), NftError> {
        let mut monitor = Monitor::for_table(&self.options.table).map_err(NftError::Monitor)?;
        loop {
            let seen = tokio::select! {
                () = scope.cancelled() => return Ok(()),
                // Cancel safe.
                seen = monitor.next() => seen.map_err(NftError::Monitor)?,
            };
            if self.is_own(seen).await {
                continue;
            }
            tokio::time::sleep(SETTLE).await;
            monitor.drain();
            tracing::warn!(table = %self.options.table, "somebody else changed the nftables table; writing it again");
            if let Err(error) = self.reassert().await {
                tracing::warn!(table = %self.options.table, error = %error, "the nftables table could not be written again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    /// Tells whether a change was ours. Waits for a call that is under way, whose generation is not known before its end.
    async fn is_own(&self, seen: Seen) -> bool {
        let state = self.state.lock().await;
        match seen {
            Seen::Changed { generation } => state.wanted.is_none() || state.own_generations.contains(&generation),
            Seen::Overrun => state.wanted.is_none(),
        }
    }

    /// Runs a script and remembers its generation as ours.
    async fn run_recorded(&self, state: &mut State, script: &str) -> Result<(), NftError> {
        self.run(script).await?;
        match monitor::current_generation().await {
            Ok(generation) => state.own_generations.push_back(generation),
            Err(error) => tracing::debug!(%error, "the generation of nftables is not known"),
        }
        while state.own_generations.len() > OWN_GENERATIONS_MAX {
            state.own_generations.pop_front();
        }
        Ok(())
    }

    async fn run(&self, script: &str) -> Result<(), NftError> {
        let program = &self.options.program;
        let wrap = |source| NftError::Run { program: program.clone(), source };
        let mut child = self.spawn()?;
        let mut input = child.stdin.take().expect("standard input is piped");
        let call = async {
            // An error of nft closes the pipe early; what it says is more telling than that.
            drop(input.write_all(script.as_bytes()).await);
            drop(input);
            child.wait_with_output().await
        };
        let output = tokio::time::timeout(CALL_TIMEOUT, call)
            .await
            .map_err(|_| NftError::Timeout { seconds: CALL_TIMEOUT.as_secs() })?
            .map_err(wrap)?;
        if output.status.success() {
            return Ok(());
        }
        let mut message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        message.truncate(message.floor_char_boundary(2000));
        Err(NftError::Refused { table: self.options.table.clone(), message })
    }

    fn spawn(&self) -> Result<tokio::process::Child, NftError> {
        let program = &self.options.program;
        let fallbacks = FALLBACK_DIRECTORIES.iter().map(|directory| format!("{directory}/{program}"));
        for candidate in std::iter::once(program.clone()).chain(fallbacks) {
            let spawned = Command::new(&candidate)
                .args(["-f", "-"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn();
            match spawned {
                Ok(child) => return Ok(child),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(NftError::Run { program: candidate, source }),
            }
        }
        Err(NftError::ProgramMissing { program: program.clone() })
    }
}
