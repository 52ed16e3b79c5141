//! The program that the tests start as shim and helper: nothing but the hidden subcommands.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    maru_container::helper_main(&args).unwrap_or(ExitCode::from(64))
}
