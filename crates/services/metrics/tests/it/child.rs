//! A test of this binary as a process of its own, which another test kills.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The process; it is killed, and waited for, when this ends.
pub(crate) struct Killed(Child);

impl Killed {
    /// Runs an ignored test in a folder until it prints a line in which `find` finds what it looks for, and returns that as well.
    ///
    /// # Panics
    /// When the process ends before.
    pub(crate) fn start<T>(folder: &Path, test: &str, find: impl FnMut(String) -> Option<T>) -> (Self, T) {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", test])
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut killed = Self(child);
        let output = BufReader::new(killed.0.stdout.take().unwrap());
        let found = output.lines().map_while(Result::ok).find_map(find);
        (killed, found.unwrap_or_else(|| panic!("the process of {test} ended before it said what it should")))
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
