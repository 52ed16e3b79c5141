//! What all controllers share.

mod cache;
mod controller;
mod events;
mod kind;
mod metadata;
mod ownership;
mod queue;
mod selector;

pub(crate) use cache::{Cache, Key};
pub(crate) use controller::{ControllerMetrics, Done, Reconcile, drive};
pub(crate) use events::{EventType, Recorder};
pub(crate) use kind::{ExecuteError, Kind, MetadataOnly, follow, patch_params, post_params};
pub(crate) use metadata::{MetaExt, condition_time};
pub(crate) use ownership::{Claims, claim, controller_of, controller_reference, is_controlled_by};
pub(crate) use queue::WorkQueue;
pub(crate) use selector::Matcher;
