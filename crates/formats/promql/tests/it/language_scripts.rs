//! Prometheus' own scripts as a source of queries: each must be read, and read again after printing.

use std::path::PathBuf;

use maru_promql::{ParseOptions, parse, pretty};

/// Returns the folder of the scripts when it is there.
fn folder() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the folder of foreign test data is told by the environment")]
    let given = std::env::var("MARU_TESTDATA").ok().map(PathBuf::from);
    let folder = given
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/testdata"))
        .join("promqltest");
    folder.is_dir().then_some(folder)
}

/// Returns the queries of a script's `eval` lines.
fn queries(script: &str) -> Vec<&str> {
    let head = regex::Regex::new(
        r"(?m)^\s*eval(?:_\w+)?\s+(?:instant(?:\s+at\s+\S+)?|range\s+from\s+\S+\s+to\s+\S+\s+step\s+\S+)\s+(.+?)\s*$",
    )
    .expect("the pattern is valid");
    head.captures_iter(script).filter_map(|found| found.get(1)).map(|found| found.as_str()).collect()
}

#[test]
fn all_queries_of_the_scripts_are_read_and_printed() {
    let Some(folder) = folder() else {
        println!("skipped: no folder promqltest in MARU_TESTDATA");
        return;
    };
    let mut count = 0;
    let mut refused = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "test") {
            continue;
        }
        let script = std::fs::read_to_string(&path).unwrap();
        for query in queries(&script) {
            count += 1;
            match parse(query, &ParseOptions::experimental()) {
                Ok(expression) => {
                    for printed in [expression.to_string(), pretty(&expression)] {
                        let again = parse(&printed, &ParseOptions::experimental())
                            .unwrap_or_else(|error| panic!("{query}: {printed}: {error}"));
                        assert_eq!(again.to_string(), expression.to_string(), "{query}");
                    }
                }
                Err(error) => refused.push((query.to_owned(), error.to_string())),
            }
        }
    }
    assert!(count > 2000, "only {count} queries were found");
    // These are there to be refused by the parser.
    let unexpected: Vec<_> = refused.iter().filter(|(_, error)| !is_meant_to_fail(error)).collect();
    assert_eq!(unexpected, Vec::<&(String, String)>::new());
}

fn is_meant_to_fail(error: &str) -> bool {
    ["expected label selectors only", "at least one non-empty matcher"].iter().any(|known| error.contains(known))
}
