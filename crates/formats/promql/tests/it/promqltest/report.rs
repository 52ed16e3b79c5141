//! What came out, file by file.

use std::fmt;

/// One case that did not pass.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) line: usize,
    pub(crate) query: String,
    pub(crate) reason: String,
    pub(crate) is_experimental: bool,
}

/// What one script brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileReport {
    pub(crate) name: String,
    /// Cases that need no feature flag: all and passed.
    pub(crate) stable: (usize, usize),
    /// Cases that need one.
    pub(crate) experimental: (usize, usize),
    pub(crate) failures: Vec<Failure>,
}

/// What all scripts brought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(crate) files: Vec<FileReport>,
}

impl Report {
    /// Returns the sum over all files.
    pub(crate) fn total(&self) -> FileReport {
        let mut total = FileReport { name: "all".to_owned(), ..FileReport::default() };
        for file in &self.files {
            for (sum, more) in [(&mut total.stable, file.stable), (&mut total.experimental, file.experimental)] {
                sum.0 += more.0;
                sum.1 += more.1;
            }
        }
        total
    }

    /// Checks the goal: all stable cases, and 99 of 100 of all. Scripts of `without` need what the subject does not have;
    /// they are no part of it.
    pub(crate) fn judge(&self, without: &[&str]) -> Result<(), String> {
        let files = self.files.iter().filter(|file| !without.contains(&file.name.as_str()));
        let total = Self { files: files.cloned().collect() }.total();
        let (cases, passed) = (total.stable.0 + total.experimental.0, total.stable.1 + total.experimental.1);
        if total.stable.0 != total.stable.1 {
            return Err(format!("{} of {} stable cases pass; all must", total.stable.1, total.stable.0));
        }
        if cases == 0 || passed * 100 < cases * 99 {
            return Err(format!("{passed} of {cases} cases pass; at least 99 % must"));
        }
        Ok(())
    }

    /// Returns all cases that did not pass, one a line.
    pub(crate) fn failures(&self) -> String {
        let mut text = String::new();
        for file in &self.files {
            for failure in &file.failures {
                let kind = if failure.is_experimental { " (experimental)" } else { "" };
                text += &format!("{}:{}{kind}: {}\n    {}\n", file.name, failure.line, failure.query, failure.reason);
            }
        }
        text
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{:<26} {:>7} {:>7} {:>7} {:>13} {:>7}",
            "script", "cases", "passed", "failed", "stable", "exp."
        )?;
        let total = self.total();
        for file in self.files.iter().chain([&total]) {
            let (cases, passed) = (file.stable.0 + file.experimental.0, file.stable.1 + file.experimental.1);
            writeln!(
                formatter,
                "{:<26} {cases:>7} {passed:>7} {:>7} {:>6}/{:<6} {:>3}/{:<3}",
                file.name,
                cases - passed,
                file.stable.1,
                file.stable.0,
                file.experimental.1,
                file.experimental.0,
            )?;
        }
        Ok(())
    }
}
