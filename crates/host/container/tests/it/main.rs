//! Real containers: each test makes a pod of its own and checks that nothing of it is left.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the whole program is tests; helpers outside of test functions too"
)]

mod exec;
mod life;
mod limits;
mod once;
mod pod;
mod runtimes;
mod speed;
