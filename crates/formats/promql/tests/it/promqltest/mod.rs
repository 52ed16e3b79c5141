//! Runs scripts of Prometheus' promqltest language against anything that answers PromQL.
//!
//! A script loads series (`load`), forgets them (`clear`) and says what queries answer (`eval`). Each `eval` is one case.
//! The judge is strict: type, labels, timestamps, values (relative error 1e-6), order, errors and annotations must fit, for
//! the query as written and, as Prometheus itself tests, with `@` at all its selectors evaluated at other times, and as the
//! middle step of a range. What cannot be judged counts as failed.
//!
//! Source: README.md of prometheus/promql/promqltest, version 3.14.

pub(crate) mod api;
pub(crate) mod judge;
mod nhcb;
mod notation;
mod pinned;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod script;
