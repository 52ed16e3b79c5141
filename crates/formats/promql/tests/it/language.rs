//! The language by tables: what is read as what, what is refused where and why.

use maru_promql::{
    At, BinaryOperator, Cardinality, DurationValue, Expression, Extension, ParseOptions, Span, Type, format_matcher,
    parse, parse_selector, pretty, to_json,
};

fn read(text: &str) -> Expression {
    parse(text, &ParseOptions::experimental()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    match parse(text, &ParseOptions::experimental()) {
        Ok(expression) => panic!("{text} was read as {expression}"),
        Err(errors) => errors.to_string(),
    }
}

/// Puts parentheses around every operation, so that the tree is seen.
fn tree(expression: &Expression) -> String {
    match expression {
        Expression::Binary(node) => format!("({} {} {})", tree(&node.left), node.operator, tree(&node.right)),
        Expression::Unary(node) => format!("({}{})", node.operator.symbol(), tree(&node.expression)),
        Expression::Parentheses(node) => tree(&node.expression),
        other => other.to_string(),
    }
}

#[test]
fn operators_bind_as_documented() {
    for (text, expected) in [
        ("a + b * c", "(a + (b * c))"),
        ("a * b + c", "((a * b) + c)"),
        ("a - b - c", "((a - b) - c)"),
        ("a ^ b ^ c", "(a ^ (b ^ c))"),
        ("-a ^ b", "(-(a ^ b))"),
        ("-1 ^ 2", "(-(1 ^ 2))"),
        ("2 ^ -1 * 3", "((2 ^ -1) * 3)"),
        ("-a * b", "((-a) * b)"),
        ("a atan2 b % c / d", "(((a atan2 b) % c) / d)"),
        ("a + b > c - d", "((a + b) > (c - d))"),
        ("a == b > c", "((a == b) > c)"),
        ("a </ 1 + 2", "(a </ (1 + 2))"),
        ("a >/ b != c", "((a >/ b) != c)"),
        ("a or b and c unless d or e", "((a or ((b and c) unless d)) or e)"),
        ("a > 1 and b < 2", "((a > 1) and (b < 2))"),
        ("(a + b) * c", "((a + b) * c)"),
        ("a AND b Or c", "((a and b) or c)"),
        ("--a", "(-(-a))"),
        ("--1", "1"),
        ("+a", "(+a)"),
        ("a offset 5m + b", "(a offset 5m + b)"),
        ("a offset -2 ^ 2", "(a offset -2s ^ 2)"),
    ] {
        assert_eq!(tree(&read(text)), expected, "{text}");
    }
}

#[test]
fn literals_have_the_values_that_prometheus_gives_them() {
    for (text, value) in [
        ("1", 1.0),
        ("1.5e3", 1500.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("0x1F", 31.0),
        ("0X_ff", 255.0),
        ("017", 15.0),
        ("1_000_000", 1e6),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1500ms", 1.5),
        ("-5m", -300.0),
        ("inf", f64::INFINITY),
        ("-Inf", f64::NEG_INFINITY),
        ("+1", 1.0),
    ] {
        let Expression::Number(number) = read(text) else { panic!("{text}") };
        assert_eq!(number.value, value, "{text}");
    }
    assert!(matches!(read("NaN"), Expression::Number(number) if number.value.is_nan()));
    for (text, bytes) in [
        (r#""a\"b\n\x41\101\u00e9\U0001F600""#, "a\"b\nAAé😀".as_bytes()),
        (r"'it\'s'", b"it's".as_slice()),
        (r"`raw\n`", br"raw\n".as_slice()),
        (r#""\xff""#, b"\xff".as_slice()),
        ("\"\"", b"".as_slice()),
    ] {
        assert!(matches!(read(text), Expression::String(literal) if literal.bytes == bytes), "{text}");
    }
}

#[test]
fn selectors_name_series() {
    for (text, name, matchers) in [
        ("up", "up", vec![r#"__name__="up""#]),
        ("a:b{}", "a:b", vec![r#"__name__="a:b""#]),
        (r#"up{job="a",}"#, "up", vec![r#"job="a""#, r#"__name__="up""#]),
        (r#"{"my.metric", "a b"!='c'}"#, "", vec![r#"__name__="my.metric""#, r#""a b"!="c""#]),
        (r#"{__name__=~"a|b",x!~"c"}"#, "", vec![r#"__name__=~"a|b""#, r#"x!~"c""#]),
        ("sum", "sum", vec![r#"__name__="sum""#]),
        ("offset offset 1m", "offset", vec![r#"__name__="offset""#]),
        ("by{without=\"1\", bool=`2`}", "by", vec![r#"without="1""#, r#"bool="2""#, r#"__name__="by""#]),
        ("fill{}", "fill", vec![r#"__name__="fill""#]),
        ("# all\nup # end", "up", vec![r#"__name__="up""#]),
    ] {
        let expression = read(text);
        let Expression::Vector(selector) = &expression else { panic!("{text}") };
        assert_eq!(selector.name, name, "{text}");
        assert_eq!(selector.matchers.iter().map(format_matcher).collect::<Vec<_>>(), matchers, "{text}");
    }
    assert_eq!(parse_selector("up{job=\"a\"}").map(|matchers| matchers.len()), Ok(2));
    assert!(parse_selector("{}").is_ok_and(|matchers| matchers.is_empty()));
    assert!(parse_selector("rate(up[5m])").is_err());
}

#[test]
fn modifiers_stand_behind_selectors_in_any_order() {
    let Expression::Matrix(matrix) = read("up{a='b'}[5m] @ 1.5 offset -1h anchored") else { panic!() };
    assert_eq!(matrix.range, DurationValue::Fixed(300_000));
    assert_eq!(matrix.selector.offset, DurationValue::Fixed(-3_600_000));
    assert_eq!(matrix.selector.at, Some(At::Timestamp(1500)));
    assert_eq!(matrix.selector.extension, Extension::Anchored);
    assert_eq!((matrix.span, matrix.selector.span), (Span::new(0, 39), Span::new(0, 9)));
    let Expression::Vector(vector) = read("up offset 90 @ end()") else { panic!() };
    assert_eq!((vector.at, &vector.offset), (Some(At::End), &DurationValue::Fixed(90_000)));
    let Expression::Subquery(subquery) = read("rate(up[5m])[1h:30] @ start() offset 1w") else { panic!() };
    assert_eq!((subquery.range, subquery.step), (DurationValue::Fixed(3_600_000), Some(DurationValue::Fixed(30_000))));
    assert_eq!((subquery.at, subquery.offset), (Some(At::Start), DurationValue::Fixed(604_800_000)));
    let Expression::Subquery(subquery) = read("up[1h:]") else { panic!() };
    assert_eq!(subquery.step, None);
}

#[test]
fn lengths_of_time_are_computed_in_brackets_and_parentheses() {
    for (text, printed) in [
        ("up[5m*2]", "up[5m * 2]"),
        ("up[step()+1s]", "up[step() + 1s]"),
        ("up[max_of(range() / 4,(5m))]", "up[max_of(range() / 4, (5m))]"),
        ("up[((1+2))*3]", "up[(1 + 2) * 3]"),
        ("up[-(-7)]", "up[-(-7)]"),
        ("up[step():range()%2]", "up[step():range() % 2]"),
        ("up offset -step()", "up offset -step()"),
        ("up offset (5m * 2)", "up offset (5m * 2)"),
        // Arithmetic without parentheses belongs to the expression.
        ("up offset 5m * 2", "up offset 5m * 2"),
    ] {
        assert_eq!(read(text).to_string(), printed, "{text}");
    }
    assert!(matches!(read("up offset 5m * 2"), Expression::Binary(_)));
    assert!(matches!(read("up offset (5m * 2)"), Expression::Vector(_)));
    assert!(matches!(read("up offset (5m) * up"), Expression::Binary(_)));
}

#[test]
fn matching_is_read_with_all_its_modifiers() {
    let Expression::Binary(node) = read("a > bool on (x, \"y z\") group_left (w) fill_left (-1) fill_right (2) b")
    else {
        panic!()
    };
    assert_eq!((node.operator, node.returns_bool), (BinaryOperator::Greater, true));
    let matching = node.matching.unwrap();
    assert_eq!(matching.labels, ["x", "y z"]);
    assert_eq!((matching.on, matching.include.as_slice()), (true, ["w".to_owned()].as_slice()));
    assert_eq!(matching.cardinality, Cardinality::ManyToOne);
    assert_eq!((matching.fill_left, matching.fill_right), (Some(-1.0), Some(2.0)));
    for (text, cardinality) in [
        ("a + b", Some(Cardinality::OneToOne)),
        ("a and b", Some(Cardinality::ManyToMany)),
        ("a + ignoring (x) group_right b", Some(Cardinality::OneToMany)),
        ("a + 1", None),
    ] {
        let Expression::Binary(node) = read(text) else { panic!("{text}") };
        assert_eq!(node.matching.map(|matching| matching.cardinality), cardinality, "{text}");
    }
}

#[test]
fn aggregations_take_their_labels_before_or_behind() {
    for (text, printed) in [
        ("sum(a)", "sum(a)"),
        ("sum by () (a)", "sum(a)"),
        ("sum by (b, c) (a)", "sum by (b, c) (a)"),
        ("sum(a) by (b)", "sum by (b) (a)"),
        ("SUM(a) WITHOUT (b,)", "sum without (b) (a)"),
        ("topk(5, a) by (by, on, \"x y\")", "topk by (by, on, \"x y\") (5, a)"),
        ("count_values(\"v\", a)", "count_values(\"v\", a)"),
        ("limit_ratio(-0.5, a)", "limit_ratio(-0.5, a)"),
        ("quantile(scalar(b), a)", "quantile(scalar(b), a)"),
    ] {
        assert_eq!(read(text).to_string(), printed, "{text}");
    }
}

#[test]
fn each_expression_has_a_type() {
    for (text, expected) in [
        ("1 + 2", Type::Scalar),
        ("1 + up", Type::Vector),
        ("(time())", Type::Scalar),
        ("\"a\"", Type::String),
        ("up[5m]", Type::Matrix),
        ("up[5m:]", Type::Matrix),
        ("-sum(up)", Type::Vector),
        ("1 > bool 2", Type::Scalar),
        ("info(up, {a=\"\"})", Type::Vector),
        ("max_of(1, step())", Type::Scalar),
    ] {
        assert_eq!(read(text).value_type(), expected, "{text}");
    }
}

#[test]
fn mistakes_in_the_grammar_are_told_with_their_place() {
    for (text, expected) in [
        ("", "unknown position: parse error: no expression found in input"),
        ("# nothing", "1:1: parse error: no expression found in input"),
        ("1 +", "1:4: parse error: unexpected end of input"),
        ("a\n  b", "2:3: parse error: unexpected identifier \"b\""),
        ("(1", "1:3: parse error: unclosed left parenthesis"),
        ("1)", "1:3: parse error: unexpected right parenthesis ')'"),
        ("a = 1", "1:3: parse error: unexpected \"=\""),
        ("a !~ b", "1:3: parse error: unexpected character after '!': '~'"),
        ("*1", "1:1: parse error: unexpected <op:*>"),
        ("a b:c", "1:3: parse error: unexpected metric identifier \"b:c\""),
        ("a \"a long text\"", "1:3: parse error: unexpected string \"\\\"a long te\"..."),
        ("a{b}", "1:4: parse error: unexpected \"}\" in label matching, expected label matching operator"),
        ("a{b=c}", "1:5: parse error: unexpected identifier \"c\" in label matching, expected string"),
        ("a{,}", "1:3: parse error: unexpected \",\" in label matching, expected identifier or \"}\""),
        ("a{b='c' d='e'}", "1:9: parse error: unexpected identifier \"d\" in label matching, expected \",\" or \"}\""),
        ("a{b='c'", "1:8: parse error: unexpected end of input inside braces"),
        ("a{b='c}", "1:5: parse error: unterminated quoted string"),
        ("a{b=~'('}", "1:3: parse error: error parsing regexp: unclosed group: `(`"),
        (
            "a[]",
            "1:3: parse error: unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()",
        ),
        ("a[5m", "1:5: parse error: unclosed left bracket"),
        ("a[5m 3]", "1:6: parse error: unexpected number \"3\" in subquery or range, expected \":\" or \"]\""),
        ("a[0]", "1:3: parse error: duration must be greater than 0"),
        ("a[5min]", "1:3: parse error: bad number or duration syntax: \"5mi\""),
        ("a offset NaN", "1:10: parse error: duration out of range"),
        ("a[1m1h]", "1:3: parse error: not a valid duration string: \"1m1h\""),
        (
            "a offset",
            "1:9: parse error: unexpected end of input in offset, expected number, duration, step(), or range()",
        ),
        ("a @ b", "1:5: parse error: unexpected identifier \"b\" in @, expected timestamp"),
        ("a + on b", "1:8: parse error: unexpected identifier \"b\" in grouping opts, expected \"(\""),
        ("sum(a b)", "1:7: parse error: unexpected identifier \"b\" in aggregation"),
        ("rate(a[5m]) by (b)", "1:13: parse error: unexpected <by>"),
        ("abs(a,)", "1:6: parse error: trailing commas not allowed in function call args"),
        ("\"\\q\"", "1:1: parse error: unknown escape sequence U+0071 'q'"),
        ("\"\\xfg\"", "1:1: parse error: illegal character U+0067 'g' in escape sequence"),
        ("\"\\ud800\"", "1:1: parse error: escape sequence is an invalid Unicode code point"),
        ("1e999", "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \"1e999\": value out of range"),
        ("ä", "1:1: parse error: unexpected character: 'ä'"),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

#[test]
fn mistakes_in_the_meaning_are_told_with_their_place() {
    for (text, expected) in [
        ("rate(a)", "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector"),
        ("abs(a[5m])", "1:5: parse error: expected type instant vector in call to function \"abs\", got range vector"),
        ("abs()", "1:1: parse error: expected 1 argument(s) in call to \"abs\", got 0"),
        ("round(a, 1, 2)", "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3"),
        ("label_join(a, \"b\")", "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 2"),
        ("nope(a)", "1:1: parse error: unknown function with name \"nope\""),
        ("sum()", "1:1: parse error: no arguments for aggregate expression provided"),
        ("topk(a)", "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1"),
        ("topk(a, b)", "1:6: parse error: expected type scalar in aggregation parameter, got instant vector"),
        ("sum(a[5m])", "1:5: parse error: expected type instant vector in aggregation expression, got range vector"),
        ("a[5m] + 1", "1:1: parse error: binary expression must contain only scalar and instant vector types"),
        ("1 == 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
        ("1 and a", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"),
        ("a and on (b) group_left c", "1:1: parse error: no grouping allowed for \"and\" operation"),
        ("a + on (b) 1", "1:1: parse error: vector matching only allowed between instant vectors"),
        ("a + fill (1) 1", "1:1: parse error: filling in missing series only allowed between instant vectors"),
        ("a or fill (1) b", "1:1: parse error: filling in missing series not allowed for set operators"),
        ("a + on (b) group_left (b) c", "1:3: parse error: label \"b\" must not occur in ON and GROUP clause at once"),
        (
            "-\"a\"",
            "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"string\"",
        ),
        ("1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"),
        ("sum(a)[5m]", "1:7: parse error: ranges only allowed for vector selectors"),
        ("a offset 1m [5m]", "1:13: parse error: no offset modifiers allowed before range"),
        ("a @ 1 [5m]", "1:7: parse error: no @ modifiers allowed before range"),
        ("a offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"),
        ("a @ 1 @ end()", "1:1: parse error: @ <timestamp> may not be set multiple times"),
        ("a @ Inf", "1:1: parse error: timestamp out of bounds for @ modifier: +Inf"),
        (
            "1 offset 1m",
            "1:1: parse error: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
        ),
        ("a anchored smoothed", "1:1: parse error: anchored and smoothed modifiers cannot be used together"),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("{a=~\".*\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("a{__name__=\"b\"}", "1:1: parse error: metric name must not be set twice: \"a\" or \"b\""),
        ("a{\"b\"}", "1:1: parse error: metric name must not be set twice: \"a\" or \"b\""),
        ("info(a, b)", "1:9: parse error: expected label selectors only, got vector selector instead"),
        ("sum by (\"\") (a)", "1:9: parse error: invalid label name for grouping: \"\""),
        ("a[1 / 0]", "1:5: parse error: division by zero"),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

#[test]
fn several_mistakes_are_told_at_once() {
    let errors = parse("abs(a[5m]) + rate(b) + sum(1)", &ParseOptions::default()).unwrap_err();
    let places: Vec<_> = errors.iter().map(|error| (error.line, error.column)).collect();
    assert_eq!(places, [(1, 5), (1, 19), (1, 28)]);
}

#[test]
fn common_mistakes_get_a_hint() {
    for (text, hint) in [
        ("rate(up{a='b'})", "rate(up{a=\"b\"}[5m])"),
        ("rate(sum(up))", "sum of rate(metric[5m])"),
        ("sum(up[5m])", "rate(up[5m])"),
        ("rate(up[5m])[5m]", "(…)[5m:]"),
        ("a = 1", "=="),
        ("a <> 1", "!="),
        ("a && b", "`and`"),
        ("a || b", "`or`"),
        ("1 == 1", "== bool"),
        ("a{b=c}", "\"c\""),
        ("a{b==\"c\"}", "single ="),
        ("a{b:\"c\"}", "label=\"value\""),
        ("rates(a[5m])", "did you mean rate?"),
        ("Rate(a[5m])", "did you mean rate?"),
        ("hisogram_quantile(0.9, a)", "did you mean histogram_quantile?"),
        ("mean(a)", "use avg"),
        ("holt_winters(a[5m], 0.5, 0.5)", "double_exponential_smoothing"),
        ("rate(a[5m]) by (b)", "sum by (label)"),
        ("sum by b (a)", "(b)"),
        ("select a from b", "write the metric's name"),
        ("a where b = 1", "in braces"),
        ("a[5min]", "1h30m"),
        ("a[$__interval]", "dashboard"),
        ("a.b", "{\"my.metric\"}"),
        ("a{b=\u{201c}c\u{201d}}", "straight quotes"),
        ("sum(rate(a[5m])", "character 4"),
        ("sum(rate(a[5m])) offset 1h", "right behind the selector"),
        ("topk(a)", "topk by (label) (5, metric)"),
        ("clamp(a)", "clamp(instant vector, scalar, scalar)"),
        ("{job=\"\"}", "name a metric"),
        ("a{b=~\"*x\"}", "`.*`"),
    ] {
        let errors = parse(text, &ParseOptions::experimental()).unwrap_err();
        let found = errors.iter().find_map(|error| error.hint.clone()).unwrap_or_default();
        assert!(found.contains(hint), "{text}: {errors}: {found}");
    }
}

#[test]
fn what_is_experimental_is_refused_by_name_until_switched_on() {
    for (text, message) in [
        ("info(a)", "function \"info\" is not enabled"),
        ("limitk(1, a)", "limitk() is experimental and must be enabled"),
        ("a[5m + 1m]", "experimental duration expression is not enabled"),
        ("a offset step()", "experimental duration expression is not enabled"),
        ("a anchored", "anchored modifier is experimental and not enabled"),
        ("a[5m] smoothed", "smoothed modifier is experimental and not enabled"),
        ("a + fill (0) b", "binop fill modifiers are experimental and not enabled"),
    ] {
        let errors = parse(text, &ParseOptions::default()).unwrap_err();
        assert!(errors.to_string().contains(message), "{text}: {errors}");
        assert!(errors.with_hint().contains("switch on the feature promql-"), "{text}");
        assert!(parse(text, &ParseOptions::experimental()).is_ok(), "{text}");
    }
}

#[test]
fn printing_is_canonical() {
    for (text, printed) in [
        ("a{z='1',b=~\"2\"}", "a{b=~\"2\",z=\"1\"}"),
        ("{'a.b'}", "{__name__=\"a.b\"}"),
        ("rate( a [ 300 ] )", "rate(a[5m])"),
        ("a @ 1603774568.5", "a @ 1603774568.500"),
        ("a offset -90", "a offset -1m30s"),
        ("1e30", "1000000000000000000000000000000"),
        ("a*on()group_left b", "a * on () group_left () b"),
        ("a + fill (1e30) b", "a + fill (1e+30) b"),
        ("a[1h:5m]offset 1d", "a[1h:5m] offset 1d"),
        ("info(a, {})", "info(a, {})"),
        ("sum by (\"without\") (a)", "sum by (\"without\") (a)"),
        ("'single \\'quotes\\''", "\"single 'quotes'\""),
    ] {
        assert_eq!(read(text).to_string(), printed, "{text}");
        assert_eq!(read(printed).to_string(), printed, "{text}");
    }
}

#[test]
fn long_queries_are_laid_out_over_lines() {
    let label = "a_rather_long_label_name_that_fills_a_line=\"and_a_value_as_long\"";
    let text = format!(
        "topk(3, sum by (job) (rate(requests_total{{{label}}}[5m])) / on (job) group_left (x) info{{{label}}})"
    );
    let expected = format!(
        "topk(\n  3,\n    sum by (job) (\n      rate(\n        requests_total{{{label}}}[5m]\n      )\n    )\n  \
         / on (job) group_left (x)\n    info{{{label}}}\n)"
    );
    assert_eq!(
        pretty(&read(&text)),
        expected.replace("rate(\n        requests_total", "rate(requests_total").replace("[5m]\n      )", "[5m])")
    );
    assert_eq!(pretty(&read("sum(a)")), "sum(a)");
}

#[test]
fn the_tree_goes_to_the_web_page_as_json() {
    let found = to_json(&read("sum by (job) (rate(up{a=\"b\"}[5m] offset 1m)) > bool 1.5"));
    let expected = serde_json::json!({
        "type": "binaryExpr",
        "op": ">",
        "bool": true,
        "matching": null,
        "rhs": { "type": "numberLiteral", "val": "1.5" },
        "lhs": {
            "type": "aggregation",
            "op": "sum",
            "grouping": ["job"],
            "without": false,
            "param": null,
            "expr": {
                "type": "call",
                "func": { "name": "rate", "argTypes": ["matrix"], "variadic": 0, "returnType": "vector" },
                "args": [{
                    "type": "matrixSelector",
                    "name": "up",
                    "matchers": [
                        { "name": "a", "type": "=", "value": "b" },
                        { "name": "__name__", "type": "=", "value": "up" },
                    ],
                    "range": 300_000,
                    "rangeExpr": null,
                    "offset": 60_000,
                    "offsetExpr": null,
                    "timestamp": null,
                    "startOrEnd": null,
                    "anchored": false,
                    "smoothed": false,
                }],
            },
        },
    });
    assert_eq!(found, expected);
}

#[test]
fn walking_meets_every_part_with_its_path() {
    let expression = read(
        "sum(rate(a[5m])) / (b + c[1h:] @ 5)[1h:]"
            .replace("c[1h:] @ 5", "max_over_time(c[1h:] @ 5)")
            .as_str()
            .replace("(b + max_over_time(c[1h:] @ 5))[1h:]", "max_over_time((b + max_over_time(c[1h:] @ 5))[1h:])")
            .as_str(),
    );
    let mut depths = Vec::new();
    expression.walk(&mut |node, path| {
        if let Expression::Vector(selector) = node {
            depths.push((selector.name.clone(), path.len()));
        }
    });
    assert_eq!(depths, [("b".to_owned(), 5), ("c".to_owned(), 7)]);
    assert_eq!(
        expression.selectors().iter().map(|selector| selector.name.as_str()).collect::<Vec<_>>(),
        ["a", "b", "c"]
    );
}
