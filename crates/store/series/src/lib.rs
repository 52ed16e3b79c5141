//! The time-series store: what every verdict is measured with.
//!
//! Owns: the write-ahead log, the head with its open chunks, immutable blocks, their index, retention, downsampling.
//! Never: evaluates queries (see `maru-promql`), serves HTTP, decides who may write.
//! Source: ours; each file format is described byte by byte in docs/formats.

pub mod block;
pub mod blocks;
pub mod chunk;
