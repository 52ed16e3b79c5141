//! Serves the console: its page, its sessions, and the way from a browser to the APIs.
//!
//! Owns: the one-time links and the sessions of people, the built page, what a browser's request must look like.
//! Never: decides what a user may do (each API does, for the session's user), keeps a password, speaks to another
//! service than by the handlers that it is handed.
//! Source: RFC 6265bis (cookies); RFC 6455 (WebSocket); Fetch metadata request headers; Content Security Policy 3.
//!
//! A request comes in here, is looked at by `guard`, gets the identity of its session, and goes on to the handler of
//! the API or of another room in this process. Live answers go through WebSockets, of which a browser may have many.

mod access;
mod answer;
mod assets;
mod console;
mod forward;
mod guard;
mod links;
mod login;
mod pack;
mod records;
mod secrets;
mod sessions;
mod socket;
mod telemetry;
mod tunnel;

pub use console::{Console, ConsoleOptions, Room, RoomAccess};
pub use links::{LinkSpec, Links};
pub use records::ConsoleError;
pub use sessions::{SessionFiles, SessionRecord};
