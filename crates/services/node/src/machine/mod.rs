//! The machine that the node is: what it has, and how it is shown in the API.

mod facts;
mod heartbeat;

pub(crate) use facts::Capacity;
pub(crate) use heartbeat::keep;
