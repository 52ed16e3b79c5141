//! The console in a real browser, over the running shop: what the page's own tests (Playwright) do as a person would.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use maru_tests::{System, binary, find_program};

/// The tests that each run does; `MARU_E2E=all` does all of them, which takes half an hour.
const EACH_TIME: [&str; 4] = ["home.spec", "decide.spec", "spine.spec", "speed.spec"];

/// Runs the page's tests against a system that runs the shop. Called by the demo's test, whose start takes minutes.
pub(crate) fn walk(system: &System) {
    let console = Path::new(env!("CARGO_MANIFEST_DIR")).join("../console");
    for program in ["npm", "chromium"] {
        if find_program(program).is_none() {
            println!("skipped: the console's pages need {program}; make test-packages installs it");
            return;
        }
    }
    for folder in ["node_modules/@playwright/test", "dist/assets"] {
        if !console.join(folder).exists() {
            println!("skipped: console/{folder} is missing; make console makes it");
            return;
        }
    }
    let link = system.maru(&["console", "link", "--expires", "1h"]);
    let screenshots = screenshots();
    println!("screenshots of the console: {}", screenshots.display());
    let is_all = std::env::var_os("MARU_E2E").is_some_and(|which| which == "all");
    let mut command = Command::new("npm");
    command
        .args(["run", "e2e", "--"])
        .args(if is_all { [].as_slice() } else { EACH_TIME.as_slice() })
        .current_dir(&console)
        .env("HOME", system.folder().path())
        .env("CI", "1")
        .env("MARU_CONSOLE_URL", link.trim())
        .env("MARU_SCREENSHOTS", &screenshots)
        // For links of other users: $MARU_BINARY --data $MARU_DATA console link --user kim --group viewers
        .env("MARU_BINARY", binary())
        .env("MARU_DATA", system.data())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = system.host().spawn(&mut command).wait_with_output().expect("npm can be waited for");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(
        output.status.success(),
        "the console's pages: {}\n{said}\n{}\nserver log:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
        system.server_log()
    );
}

/// Where a reviewer looks at the pages: beside what is built, or where `MARU_SCREENSHOTS` says.
fn screenshots() -> PathBuf {
    let beside = || binary().parent().map_or_else(std::env::temp_dir, |folder| folder.join("console-screenshots"));
    std::env::var_os("MARU_SCREENSHOTS").map_or_else(beside, PathBuf::from)
}
