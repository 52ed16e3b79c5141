//! Real builds: real containers upon busybox, real packages from the distribution's archive.

#![expect(clippy::unwrap_used, reason = "the whole program is tests; helpers outside of test functions too")]
#![expect(clippy::print_stdout, reason = "a test that is left out says so")]

mod dockerfile;
mod packages;
mod support;
