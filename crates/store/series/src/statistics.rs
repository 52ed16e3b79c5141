//! What the store tells about itself.

use maru_prom::Labels;

/// Numbers about the store, most of them about what is in memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Series in memory.
    pub series: u64,
    /// Full chunks of the head.
    pub chunks: u64,
    /// Time of the head's oldest sample in milliseconds since 1970; `None` when it is empty.
    pub min_ms: Option<i64>,
    /// Time of the head's newest sample.
    pub max_ms: Option<i64>,
    /// Distinct pairs of label name and value in memory.
    pub label_pairs: u64,
    /// Samples accepted since the store was opened.
    pub samples_appended: u64,
    /// Bytes of the log that would be replayed.
    pub log_bytes: u64,
    /// Bytes of the head's chunk files.
    pub chunk_bytes: u64,
    /// Bytes of all blocks.
    pub block_bytes: u64,
    /// Blocks on disk.
    pub blocks: u64,
    /// How often the disk was waited for since the store was opened.
    pub log_syncs: u64,
    /// Memory by what it is for, about.
    pub memory_bytes: Vec<(&'static str, u64)>,
    /// Metrics with the most series.
    pub series_by_metric: Vec<(String, u64)>,
    /// Label names with the most values.
    pub values_by_label: Vec<(String, u64)>,
    /// Label names whose values take the most bytes.
    pub bytes_by_label: Vec<(String, u64)>,
    /// Pairs `name=value` with the most series.
    pub series_by_pair: Vec<(String, u64)>,
    /// Who wrote the series in memory, by scope.
    pub scopes: Vec<ScopeStatistics>,
}

/// Numbers about one scope.
#[derive(Debug, Clone, PartialEq)]
pub struct ScopeStatistics {
    /// What names it.
    pub scope: Labels,
    /// Its series in memory.
    pub series: u64,
    /// Its limit.
    pub series_max: u64,
    /// Samples of series that were refused because of the limit, since the store was opened.
    pub overflow_samples: u64,
}

/// Who added series in a span of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Growth {
    /// The scope that wrote them.
    pub scope: Labels,
    /// New series.
    pub series: u64,
    /// The metrics with the most new series.
    pub metrics: Vec<(String, u64)>,
    /// The label names with the most values among the new series, with that number.
    pub labels: Vec<LabelGrowth>,
}

/// How one label name grew.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelGrowth {
    /// The label's name.
    pub name: String,
    /// Distinct values among the new series.
    pub values: u64,
    /// Those values with the most new series.
    pub examples: Vec<(String, u64)>,
}
