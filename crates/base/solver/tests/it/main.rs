//! The solver against brute force, its certificates against the checker, and both against other solvers.

#![expect(clippy::unwrap_used, reason = "tests")]

mod brute;
mod certificates;
mod negotiation;
mod oracles;
mod program;
mod search;
