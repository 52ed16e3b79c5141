//! `.dockerignore`: which files of a build context do not exist for the build.

use crate::glob::Glob;

/// The rules of a `.dockerignore` file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoreRules(Vec<Rule>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// `!`: what matches exists again.
    exception: bool,
    glob: Glob,
}

/// A rule cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: pattern \"{pattern}\": {problem}")]
pub struct IgnoreError {
    /// Line number from 1.
    pub line: usize,
    /// The pattern.
    pub pattern: String,
    /// What is wrong.
    pub problem: &'static str,
}

impl IgnoreRules {
    /// Reads a `.dockerignore` file.
    ///
    /// # Errors
    /// When a pattern is malformed.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (exception, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            if line.is_empty() {
                continue;
            }
            let error = |problem| IgnoreError { line: number + 1, pattern: line.to_owned(), problem };
            let cleaned = clean(pattern);
            if pattern.is_empty() {
                return Err(error("it has nothing after '!'"));
            }
            // The context itself cannot be ignored; the pattern for it says nothing.
            if cleaned.is_empty() {
                continue;
            }
            rules.push(Rule { exception, glob: Glob::new(&cleaned).map_err(error)? });
        }
        Ok(Self(rules))
    }

    /// Creates rules from patterns, as of `COPY --exclude`.
    ///
    /// # Errors
    /// When a pattern is malformed.
    pub fn from_patterns<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, IgnoreError> {
        let lines: Vec<&str> = patterns.into_iter().collect();
        Self::parse(&lines.join("\n"))
    }

    /// Tells whether a path (relative, with `/`) is ignored: it or a directory it is in matches, and the last matching rule
    /// is not an exception.
    #[must_use]
    pub fn ignores(&self, path: &str) -> bool {
        self.0.iter().fold(false, |ignored, rule| {
            // A rule that would change nothing need not be matched.
            if rule.exception == ignored && matches_with_parents(&rule.glob, path) { !rule.exception } else { ignored }
        })
    }

    /// Tells whether an ignored directory may still hold files that are not: whether there are exceptions.
    #[must_use]
    pub fn has_exceptions(&self) -> bool {
        self.0.iter().any(|rule| rule.exception)
    }
}

fn matches_with_parents(glob: &Glob, path: &str) -> bool {
    let parents = path.char_indices().filter(|(_, found)| *found == '/').filter_map(|(at, _)| path.get(..at));
    glob.matches(path) || parents.into_iter().any(|parent| glob.matches(parent))
}

/// Resolves `.` and `..`, and drops slashes at both ends.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_matching_rule_decides() {
        let rules = IgnoreRules::parse(
            "# comment\n\ntarget\n/docs/\n*.md\n!README.md\n**/*.log\nsrc/*/gen\n!src/a/gen/keep\n./x/../y\n",
        )
        .unwrap();
        for (path, ignored) in [
            ("target", true),
            ("target/debug/x", true),
            ("sub/target", false),
            ("docs/a", true),
            ("a.md", true),
            ("sub/a.md", false),
            ("README.md", false),
            ("deep/er/x.log", true),
            ("x.log", true),
            ("src/a/gen/file", true),
            ("src/a/gen/keep", false),
            ("src/gen", false),
            ("y", true),
            ("# comment", false),
        ] {
            assert_eq!(rules.ignores(path), ignored, "{path}");
        }
        assert!(rules.has_exceptions());
    }

    #[test]
    fn everything_but_a_few_is_possible() {
        let rules = IgnoreRules::parse("*\n!src\n!Cargo.*\nsrc/secret").unwrap();
        assert!(rules.ignores("other/x") && rules.ignores("src/secret"));
        assert!(!rules.ignores("src/main.rs") && !rules.ignores("Cargo.toml"));
    }

    #[test]
    fn malformed_patterns_are_named_with_their_line() {
        let error = IgnoreRules::parse("a\n[b").unwrap_err();
        assert_eq!((error.line, error.pattern.as_str()), (2, "[b"));
        assert!(IgnoreRules::parse("!").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", path in "[a-z/]{0,20}") {
            if let Ok(rules) = IgnoreRules::parse(&text) {
                std::hint::black_box(rules.ignores(&path));
            }
        }

        #[test]
        fn an_exception_for_everything_undoes_all(patterns in proptest::collection::vec("[a-z*/]{1,6}", 0..5), path in "[a-z]{1,5}(/[a-z]{1,5}){0,3}") {
            let text = format!("{}\n!**", patterns.join("\n"));
            prop_assert!(!IgnoreRules::parse(&text).unwrap().ignores(&path));
        }
    }
}
