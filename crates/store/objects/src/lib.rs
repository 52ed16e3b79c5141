//! Kubernetes objects with one global revision: compare-and-swap, lists, watches, compaction.
