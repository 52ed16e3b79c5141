//! Prometheus' HTTP API over our own store: queries, writes, status, administration.
//!
//! Owns: the metrics API, its limits, its tokens' scopes.
//! Never: stores samples itself (see `maru-series`), evaluates queries itself (see `maru-promql`).
//! Source: Prometheus 3 documentation, "HTTP API"; remote write 1.0 and 2.0; remote read; OTLP 1.
