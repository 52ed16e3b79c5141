//! Truth, limits, positions, blame.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

const NAMES: [&str; 3] = ["requirements", "objects", "now"];

fn input() -> Json {
    json!({
        "requirements": [
            {"metadata": {"name": "fr-1"}, "spec": {"priority": "must", "allocatedTo": ["orders"], "n": 3}, "status": {"verdict": "Conforming"}},
            {"metadata": {"name": "fr-2"}, "spec": {"priority": "must", "allocatedTo": []}, "status": {"verdict": "Nonconforming"}},
            {"metadata": {"name": "fr-3"}, "spec": {"priority": "wont"}, "status": {}},
        ],
        "objects": {"WorkItem": [], "Architecture": [{"metadata": {"name": "a"}, "status": {"outcome": "Feasible"}}]},
    })
}

fn with<T>(input: &Json, act: impl FnOnce(&Variables<'_>) -> T) -> T {
    let variables = Variables::default()
        .with("requirements", Value::of(&input["requirements"]))
        .with("objects", Value::of(&input["objects"]))
        .with("now", Value::Timestamp("2026-11-22T08:00:00Z".parse().unwrap()));
    act(&variables)
}

fn holds(source: &str) -> Result<bool, String> {
    let expression = Expression::parse(source, &NAMES).map_err(|error| error.to_string())?;
    with(&input(), |variables| expression.holds(variables, Limits::default()).map_err(|error| error.to_string()))
}

#[test]
fn what_holds_and_what_does_not() {
    for (source, expected) in [
        ("true", true),
        ("1 + 2 * 3 == 7 && (1 + 2) * 3 == 9", true),
        ("10 / 3 == 3 && 10 % 3 == 1 && -7 / 2 == -3", true),
        ("1 == 1.0 && 1u == 1 && 2.5 > 2 && 9007199254740993 > 9007199254740992.0", true),
        ("-9223372036854775808 < 0 && 0x10 == 16", true),
        ("1 - 2 - 3 == -4", true),
        ("'a' + \"b\" == 'ab' && 'a' < 'b' && 'a\\u00e9\\n' == '''aé\n'''", true),
        ("r'\\d' == '\\\\d' && b'\\xff' != b'a' && size(b'ab') == 2", true),
        ("size('주문') == 2 && '주문서'.startsWith('주문') && 'abc'.contains('b') && 'abc'.endsWith('c')", true),
        ("'orders-1'.matches('^[a-z]+-[0-9]$') && !'x'.matches('y')", true),
        ("2 in [1, 2] && 'a' in {'a': 1} && !('b' in {'a': 1})", true),
        ("{'a': {'b': [1, 2]}}.a.b[1] == 2", true),
        ("[1, 2, 3].map(x, x * 2) == [2, 4, 6] && [1, 2, 3].map(x, x > 1, x) == [2, 3]", true),
        ("[1, 2, 3].filter(x, x > 1).size() == 2 && [1, 2].exists_one(x, x == 2)", true),
        ("[].all(x, false) && ![].exists(x, true)", true),
        ("true ? false : true", false),
        ("type(1) == int && type('') == string && type([]) == list && type(null) == null_type", true),
        ("int('12') == 12 && string(12) == '12' && double('1.5') == 1.5 && bool('true')", true),
        ("['a', 'b'].join('-') == 'a-b' && ' a '.trim().upperAscii() == 'A'", true),
        ("timestamp('2026-11-22T09:30:00+09:00').getHours() == 0", true),
        ("timestamp('2026-11-22T00:00:00Z').getHours('+09:00') == 9", true),
        ("now - timestamp('2026-11-20T08:00:00Z') == duration('48h')", true),
        ("duration('1h30m') > duration('89m59.5s') && duration('90m').getHours() == 1", true),
        ("now.getDayOfWeek() == 0 && now.getFullYear() == 2026 && now.getMonth() == 10", true),
        // An error beside what decides does not matter, in either order.
        ("1 / 0 == 1 || true", true),
        ("false && requirements[9].x == 1", false),
        ("requirements.exists(r, r.spec.n == 3)", true),
        ("requirements.all(r, r.spec.n == 4)", false),
        ("has(requirements[0].status.verdict) && !has(requirements[2].status.verdict)", true),
        ("requirements.filter(r, r.spec.priority == 'must').all(r, r.status.verdict == 'Conforming')", false),
        ("objects.Architecture[0].status.outcome == 'Feasible' && 'WorkItem' in objects", true),
        ("// a comment\ntrue // another", true),
    ] {
        assert_eq!(holds(source), Ok(expected), "{source}");
    }
}

#[test]
fn what_fails_says_where_and_why() {
    for (source, expected) in [
        ("", "line 1, column 1: a value is missing before the end"),
        (
            "requirement.all(r, true)",
            "line 1, column 1: \"requirement\" is not known; there are requirements, objects, now",
        ),
        ("true &&\n  requirments == 1", "line 2, column 3: \"requirments\" is not known"),
        ("requirements.all(r, q.spec)", "column 21: \"q\" is not known"),
        ("size(requirements) > ", "column 22: a value is missing before the end"),
        ("a = b", "column 3: '=' means nothing here"),
        ("true & true", "means nothing here"),
        ("requirements.every(r, true)", "there is no function \"every\""),
        ("requirements.all(true)", "all() asks for a name and an expression"),
        ("size(1, 2)", "size() takes one value, not 2"),
        ("has(requirements)", "has() asks for a field"),
        ("'abc", "the text does not end"),
        ("'a'.matches('(')", "the pattern is not understood"),
        ("true true", "\"true\" is more than an expression"),
        ("99999999999999999999", "too large"),
        ("Timestamp{seconds: 1}", "messages are not supported"),
        ("for", "\"for\" is a reserved word"),
        ("size(requirements)", "a condition is true or false, and this is int"),
        ("requirements[0].spec.nothing == 1", "column 21: there is no \"nothing\"; ask with has() before"),
        ("requirements[5] == 1", "the list has no place 5"),
        ("1 + 'a' == 2", "int + string does not exist for these types"),
        ("1 && true", "a condition of int"),
        ("1 / 0 == 0", "a division by zero"),
        ("9223372036854775807 + 1 > 0", "the result is out of range"),
        ("requirements[0] < requirements[1]", "map < map does not exist"),
        ("timestamp('today') < now", "write it as 2026-01-02T08:00:00Z"),
    ] {
        let message = holds(source).unwrap_err();
        assert!(message.contains(expected), "{source}: {message}");
    }
}

#[test]
fn hostile_expressions_end() {
    let many = |count: usize, part: &str| part.repeat(count);
    for source in [
        many(9_000, " "),
        many(4_000, "("),
        many(4_000, "["),
        many(4_000, "{"),
        many(8_000, "!"),
        many(8_000, "-"),
        many(1_000, "[{!("),
        format!("{}1{}", many(60, "("), many(60, ")")),
        format!("1{}", many(3_000, "+1")),
        format!("now{}", many(3_000, ".a")),
        format!("now{}", many(2_000, "[0]")),
        format!("{}true", many(1_000, "true ? ")),
        format!("{}true{}", many(200, "[1].all(x, "), many(200, ")")),
        many(1_500, "'a'.m"),
        "'a'.matches('(a{1000}){1000}')".to_owned(),
        "\u{0}\u{202e}".to_owned(),
    ] {
        let start: String = source.chars().take(20).collect();
        assert!(holds(&source).is_err(), "{start} …");
    }
    // What is long and not deep is fine.
    assert_eq!(holds(&format!("true{}", many(1_000, " && true"))), Ok(true));
}

#[test]
fn what_runs_too_long_or_grows_too_large_is_stopped() {
    let mut long = "true".to_owned();
    for name in 'a'..='r' {
        long = format!("requirements.all({name}, {long})");
    }
    let message = holds(&long).unwrap_err();
    assert!(message.contains("it takes more than 5000000 steps"), "{message}");
    // Neither side of an "or" hides that the limit was reached.
    assert!(holds(&format!("{long} || true")).unwrap_err().contains("steps"));
    let mut large = "['aaaaaaaaaaaaaaaa']".to_owned();
    for _ in 0..30 {
        large = format!("{large}.map(x, x + x)");
    }
    let message = holds(&format!("{large}.size() == 1")).unwrap_err();
    assert!(message.contains("bytes") || message.contains("steps") || message.contains("nested deeper"), "{message}");
}

#[test]
fn the_objects_to_blame_are_named() {
    let culprits = |source: &str| -> Vec<String> {
        let expression = Expression::parse(source, &NAMES).unwrap();
        with(&input(), |variables| {
            let objects = expression.culprits(variables, Limits::default());
            objects.iter().map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect()
        })
    };
    for (source, expected) in [
        ("requirements.all(r, has(r.status.verdict) && r.status.verdict == 'Conforming')", vec!["fr-2", "fr-3"]),
        ("requirements.filter(r, r.spec.priority == 'must').all(r, size(r.spec.allocatedTo) > 0)", vec!["fr-2"]),
        ("!requirements.exists(r, r.status.verdict == 'Nonconforming')", vec!["fr-2"]),
        ("size(requirements.filter(r, r.spec.priority == 'wont')) == 0", vec!["fr-3"]),
        ("requirements.filter(r, r.spec.priority == 'wont').size() <= 0", vec!["fr-3"]),
        ("requirements.all(r, r.spec.n == 3) && size(objects.WorkItem) > 0", vec!["fr-2", "fr-3"]),
        ("objects.all(kind, objects[kind].all(o, o.status.outcome == 'Infeasible'))", vec!["a"]),
        ("requirements.exists(r, r.metadata.name == 'fr-9')", vec![]),
        ("true", vec![]),
    ] {
        assert_eq!(culprits(source), expected, "{source}");
    }
}

#[test]
fn variables_are_told() {
    let expression = Expression::parse("requirements.all(objects, objects.x)", &NAMES).unwrap();
    assert!(expression.uses("requirements") && !expression.uses("objects"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(source in "\\PC{0,200}") {
        drop(holds(&source));
    }

    #[test]
    fn any_mix_of_tokens_is_read_or_refused(tokens in prop::collection::vec(
        prop::sample::select(vec!["1", "'a'", "(", ")", "[", "]", "{", "}", "&&", "||", "!", "-", "+", ".", ",", "?", ":",
            "requirements", "all", "x", "map", "size", "has", "==", "in", "0.5", "null", "now"]), 0..60)
    ) {
        drop(holds(&tokens.join(" ")));
    }
}
