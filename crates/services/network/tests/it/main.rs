//! Services, policies and DNS with real pods' namespaces, real nftables and real packets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, also in its helpers")]

mod api;
mod dns;
mod machine;
mod policies;
mod services;
