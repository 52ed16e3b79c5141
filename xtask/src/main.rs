//! Checks on the house and code generation. `cargo xtask` without arguments lists what there is.

mod dependencies;
mod schemas;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "cargo xtask tidy                 checks arrows between rooms, file heads, sizes, words, links, dependencies\n\
cargo xtask schemas <json>       makes the schemas of the built-in kinds from the OpenAPI definitions\n\
cargo xtask messages <folder>    makes the protobuf messages of the built-in kinds from the Go modules\n";

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool of the house")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("tidy") => check().map_err(anyhow::Error::from).and_then(|findings| {
            for finding in &findings {
                println!("{finding}");
            }
            anyhow::ensure!(findings.is_empty(), "{} findings", findings.len());
            println!("tidy");
            Ok(())
        }),
        Some("schemas" | "messages") => schemas::run(&root(), &arguments),
        _ => {
            print!("{HELP}");
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn check() -> std::io::Result<Vec<tidy::Finding>> {
    let mut findings = tidy::check(&root())?;
    findings.extend(dependencies::check(&root())?);
    Ok(findings)
}

/// Returns the workspace's folder.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}
