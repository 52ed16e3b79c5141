//! Patterns: their meaning, RE2's syntax, and agreement of the short ways with the engine.

use proptest::prelude::*;

use super::*;

fn matcher(pattern: &str) -> Matcher {
    Matcher::new("a", MatcherOperator::Matches, pattern).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn patterns_are_anchored_and_dots_match_line_ends() {
    let cases = [
        ("a.b", "a\nb", true),
        ("a", "ab", false),
        ("a|b", "b", true),
        ("a|b", "ab", false),
        ("", "", true),
        (".*", "x\ny", true),
        (".+", "", false),
        ("foo.*", "foo\n", true),
        ("foo.+", "foo", false),
        (".*bar", "xbar", true),
        (".*mid.*", "amidb", true),
        (".*mid.*", "amib", false),
        ("(?i)Ab", "aB", true),
        ("a(b|c)d?", "ac", true),
        ("x[12]y", "x2y", true),
        ("^a$", "a", true),
        ("(foo|bar)-[0-9]+", "bar-17", true),
        ("a{2}", "aa", true),
        ("(?i:foo).*", "FOOx", true),
        ("[^a]", "b", true),
    ];
    for (pattern, value, expected) in cases {
        assert_eq!(matcher(pattern).matches(value), expected, "{pattern:?} on {value:?}");
        let negative = Matcher::new("a", MatcherOperator::NotMatches, pattern).unwrap();
        assert_eq!(negative.matches(value), !expected, "{pattern:?} on {value:?}");
    }
}

#[test]
fn simple_patterns_need_no_engine() {
    let alternatives = |pattern| matcher(pattern).alternatives().map(<[String]>::to_vec);
    let texts = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
    assert_eq!(alternatives("c|a|b"), texts(&["a", "b", "c"]));
    assert_eq!(alternatives("web-(1|2)(a|b)?"), texts(&["web-1", "web-1a", "web-1b", "web-2", "web-2a", "web-2b"]));
    assert_eq!(alternatives("a[0-2]"), texts(&["a0", "a1", "a2"]));
    assert_eq!(alternatives(""), texts(&[""]));
    assert_eq!(alternatives("a|"), texts(&["", "a"]));
    assert_eq!(alternatives("a\\.b"), texts(&["a.b"]));
    assert_eq!(alternatives("a.*"), None);
    assert_eq!(alternatives("\\d+"), None);
    assert!(matcher(".*").matches_anything() && matcher("^.*$").matches_anything());
    assert_eq!(matcher("http_.*").prefix(), Some("http_"));
    assert_eq!(matcher("http_[a-z]+_total").prefix(), Some("http_"));
    assert_eq!(matcher("(abc|abd)").prefix(), Some("ab"));
    assert_eq!(matcher("x?.*").prefix(), None);
    let empty = |operator, value| Matcher::new("a", operator, value).unwrap().matches_empty();
    assert!(empty(MatcherOperator::Equal, "") && !empty(MatcherOperator::Equal, "x"));
    assert!(empty(MatcherOperator::NotEqual, "x") && !empty(MatcherOperator::NotEqual, ""));
    assert!(empty(MatcherOperator::Matches, ".*") && !empty(MatcherOperator::NotMatches, "a?"));
}

#[test]
fn re2_is_understood_where_the_engine_differs() {
    let cases = [
        ("\\d", "٣", false),
        ("\\w+", "é", false),
        ("\\W", "é", true),
        ("[\\d_]+", "1_", true),
        ("[^\\s]", "x", true),
        ("a{", "a{", true),
        ("{a}", "{a}", true),
        ("a{,5}", "a{,5}", true),
        ("[[]", "[", true),
        ("[a[b]+", "a[b", true),
        ("[a&&b]+", "a&b", true),
        ("[a~~b]+", "~", true),
        ("\\Qa.b\\E+", "a.bb", true),
        ("\\<a\\>", "<a>", true),
        ("\\101", "A", true),
        ("\\0", "\0", true),
        ("[]a]", "]", true),
        ("[[:alpha:]]+", "ab", true),
        ("\\_\\-\\ \\/", "_- /", true),
        ("\\x41\\x{42}", "AB", true),
        ("\\pL", "é", true),
        ("a\\b.", "a-", true),
        ("[\\D]", "x", true),
        ("(?P<n>a)(?<m>b)", "ab", true),
        ("a{2,3}?", "aaa", true),
        ("[a\\-z]+", "-", true),
        ("\\Qa", "a", true),
        ("[[:foo]+", ":", true),
    ];
    for (pattern, value, expected) in cases {
        assert_eq!(matcher(pattern).matches(value), expected, "{pattern:?} on {value:?}");
    }
}

#[test]
fn wrong_patterns_are_named() {
    let cases = [
        ("a)(b", "unopened group"),
        ("(", "unclosed group"),
        ("a**", "repetition is repeated"),
        ("a{1001}", "more often than 1000"),
        ("[a", "not closed"),
        ("\\1", "refer to a group"),
        ("(?x)a b", "no flag 'x'"),
        ("(?=a)", "look-around"),
        ("*", "repetition operator"),
        ("\\y", "no escape \\y"),
        ("a\\", "backslash"),
        ("a{1000}{1000}", "repetition is repeated"),
        ("(a{1000}){1000}", "memory"),
        ("[z-a]", "range"),
        ("\\pX", "Unicode"),
    ];
    for (pattern, reason) in cases {
        let error = Matcher::new("a", MatcherOperator::Matches, pattern).unwrap_err();
        assert!(error.reason.contains(reason), "{pattern:?}: {error}");
    }
}

proptest! {
    #[test]
    fn shapes_agree_with_the_engine(pattern in "(a|b|\\.|\\*|\\?|\\||\\(a|\\)|\\.\\*|\\.\\+|[ab]){0,8}", values in proptest::collection::vec("[ab.*\n]{0,6}", 8)) {
        if let Ok(matcher) = Matcher::new("x", MatcherOperator::Matches, &pattern) {
            let engine = Regex::new(&format!("^(?s:{pattern})$")).unwrap();
            for value in values.iter().map(String::as_str).chain([""]) {
                prop_assert_eq!(matcher.matches(value), engine.is_match(value), "{} on {:?}", pattern, value);
                if matcher.matches(value) {
                    prop_assert!(value.starts_with(matcher.prefix().unwrap_or_default()));
                    prop_assert!(matcher.alternatives().is_none_or(|all| all.iter().any(|one| one == value)));
                }
            }
            prop_assert_eq!(matcher.matches_empty(), engine.is_match(""));
        }
    }

    #[test]
    fn arbitrary_patterns_never_panic(pattern: String, near in "[a-c\\\\(){}\\[\\]|*+?.^$:<>QEdwsbpx0-9,&~-]{0,24}", value: String) {
        for pattern in [pattern, near] {
            if let Ok(matcher) = Matcher::new("x", MatcherOperator::Matches, &pattern) {
                std::hint::black_box(matcher.matches(&value));
            }
        }
    }
}
