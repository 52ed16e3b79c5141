//! The time-series store: what every verdict is measured with.
//!
//! Owns: the write-ahead log, the head with its open chunks, immutable blocks, their index, retention, downsampling.
//! Never: evaluates queries (see `maru-promql`), serves HTTP, decides who may write.
//! Source: ours; each file format is described byte by byte in docs/formats.

pub mod block;
pub mod blocks;
pub mod chunk;

mod errors;
mod head;
mod ingest;
mod limits;
mod log;
mod select;
mod starts;
mod statistics;
mod store;
mod taken;

pub use block::{BlockInfo, TimeRange};
pub use errors::{CommitError, MaintainError, OpenError, SelectError};
pub use ingest::{Appender, CommitReport, Refusal, RefusalReason, SeriesRef};
pub use limits::{Limits, OpenReport, SetAside, StepHook, StoreOptions, WriteScope};
pub use select::{SelectHints, SelectedSeries};
pub use statistics::{Growth, LabelGrowth, ScopeStatistics, Statistics};
pub use store::SeriesStore;
pub use taken::{Follower, Taken, TakenSample};
