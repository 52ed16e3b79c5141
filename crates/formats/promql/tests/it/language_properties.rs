//! The language by properties: what is printed is read back as the same tree; nothing makes the parser panic or wait.

use maru_prom::{METRIC_NAME, Matcher, MatcherOperator};
use maru_promql::{
    Aggregation, Aggregator, At, Binary, BinaryOperator, Call, Cardinality, DurationExpression, DurationOperator,
    DurationValue, Expression, Extension, FUNCTIONS, Grouping, MatrixSelector, NumberLiteral, Parentheses,
    ParseOptions, Span, StringLiteral, Subquery, Type, Unary, UnaryOperator, VectorMatching, VectorSelector, complete,
    format_matcher, parse, parse_selector, pretty, to_json,
};
use proptest::prelude::*;
use proptest::sample::select;

const NOWHERE: Span = Span::new(0, 0);

fn number() -> impl Strategy<Value = NumberLiteral> {
    prop_oneof![any::<u32>().prop_map(f64::from), (0.0..1e9_f64), Just(f64::INFINITY), Just(1e-9), Just(-1.5),]
        .prop_map(|value| NumberLiteral { value, is_duration: false, span: NOWHERE })
        .boxed()
        .prop_union(
            (0_u32..4_000_000)
                .prop_map(|ms| NumberLiteral { value: f64::from(ms) / 1000.0, is_duration: true, span: NOWHERE })
                .boxed(),
        )
}

/// Lengths of time that stand alone.
fn duration_primary(depth: u32) -> BoxedStrategy<DurationExpression> {
    let plain = prop_oneof![
        (1_u32..1_000_000).prop_map(|ms| NumberLiteral {
            value: f64::from(ms) / 1000.0,
            is_duration: true,
            span: NOWHERE
        }),
        (1_u32..1_000_000).prop_map(|s| NumberLiteral { value: f64::from(s), is_duration: false, span: NOWHERE }),
    ]
    .prop_map(DurationExpression::Number);
    let leaf = prop_oneof![plain, Just(DurationExpression::Step(NOWHERE)), Just(DurationExpression::Range(NOWHERE)),];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = || duration(depth - 1).prop_map(Box::new);
    prop_oneof![
        leaf,
        inner().prop_filter_map("parentheses in parentheses are one", |inner| match *inner {
            DurationExpression::Parentheses(..) => None,
            _ => Some(DurationExpression::Parentheses(inner, NOWHERE)),
        }),
        (inner(), inner()).prop_map(|(a, b)| DurationExpression::MinOf(a, b, NOWHERE)),
        (inner(), inner()).prop_map(|(a, b)| DurationExpression::MaxOf(a, b, NOWHERE)),
    ]
    .boxed()
}

/// Lengths of time as brackets hold them.
fn duration(depth: u32) -> BoxedStrategy<DurationExpression> {
    let operators = [
        DurationOperator::Add,
        DurationOperator::Subtract,
        DurationOperator::Multiply,
        DurationOperator::Divide,
        DurationOperator::Modulo,
        DurationOperator::Power,
    ];
    let primary = || duration_primary(depth);
    prop_oneof![
        3 => primary(),
        1 => primary().prop_filter_map("a sign is part of a number", |inner| match inner {
            DurationExpression::Number(_) => None,
            inner => Some(DurationExpression::Negative(Box::new(inner), NOWHERE)),
        }),
        1 => (select(operators.to_vec()), primary(), primary())
            .prop_map(|(operator, a, b)| DurationExpression::Binary(operator, Box::new(a), Box::new(b), NOWHERE)),
    ]
    .boxed()
}

fn value_of(expression: DurationExpression) -> Option<DurationValue> {
    match expression {
        DurationExpression::Number(_) => None,
        computed => Some(DurationValue::Computed(Box::new(computed))),
    }
}

fn length() -> BoxedStrategy<DurationValue> {
    prop_oneof![
        3 => (1_i64..10_000_000_000).prop_map(DurationValue::Fixed),
        1 => duration(2).prop_filter_map("a number is fixed", value_of),
    ]
    .boxed()
}

fn offset() -> BoxedStrategy<DurationValue> {
    prop_oneof![
        4 => Just(DurationValue::ZERO),
        2 => (-10_000_000_000_i64..10_000_000_000).prop_map(DurationValue::Fixed),
        1 => duration_primary(2).prop_filter_map("a number is fixed", value_of),
    ]
    .boxed()
}

fn at() -> impl Strategy<Value = Option<At>> {
    prop_oneof![
        4 => Just(None),
        1 => (-99_999_999_999_999_i64..99_999_999_999_999).prop_map(|ms| Some(At::Timestamp(ms))),
        1 => Just(Some(At::Start)),
        1 => Just(Some(At::End)),
    ]
}

fn metric_name() -> impl Strategy<Value = String> {
    let reserved = ["bool", "on", "ignoring", "group_left", "group_right", "atan2", "inf", "nan"];
    prop_oneof![
        "[a-zA-Z_:][a-zA-Z0-9_:]{0,9}",
        select(vec!["sum", "by", "offset", "start", "and", "fill", "step", "anchored", "rate"]).prop_map(str::to_owned),
    ]
    .prop_filter("words with a meaning of their own", move |name| {
        !reserved.contains(&name.to_ascii_lowercase().as_str())
    })
}

fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_][a-z0-9_]{0,6}",
        "\\PC{1,6}",
        "(?s:.{1,3})",
        select(vec!["without".to_owned(), "NaN".to_owned()])
    ]
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let exact = (label(), select(vec![MatcherOperator::Equal, MatcherOperator::NotEqual]), "(?s:.{0,6})");
    let regex = (
        label(),
        select(vec![MatcherOperator::Matches, MatcherOperator::NotMatches]),
        select(vec![".*", ".+", "a|b", "x\\\\.y", "", "\\d\""]).prop_map(str::to_owned),
    );
    prop_oneof![exact, regex].prop_filter_map("a name twice is a mistake", |(name, operator, value)| {
        if name == METRIC_NAME { None } else { Matcher::new(&name, operator, &value).ok() }
    })
}

fn selector() -> impl Strategy<Value = VectorSelector> {
    let extension = select(vec![Extension::None, Extension::None, Extension::Anchored, Extension::Smoothed]);
    let matchers = proptest::collection::vec(matcher(), 0..4);
    (metric_name(), any::<bool>(), matchers, offset(), at(), extension).prop_map(
        |(name, is_before, mut matchers, offset, at, extension)| {
            let own = Matcher::new(METRIC_NAME, MatcherOperator::Equal, &name).expect("equality takes any value");
            if !is_before {
                matchers.push(own.clone());
            }
            matchers.sort_by_key(format_matcher);
            let name = if is_before { name } else { String::new() };
            if is_before {
                matchers.push(own);
            }
            VectorSelector { name, matchers, offset, at, extension, span: NOWHERE }
        },
    )
}

fn parenthesized(expression: Expression) -> Expression {
    match expression {
        Expression::Binary(_) | Expression::Unary(_) => {
            Expression::Parentheses(Parentheses { expression: Box::new(expression), span: NOWHERE })
        }
        // Infinity is printed with its sign.
        Expression::Number(number) if number.value < 0.0 || number.value.is_infinite() => {
            Expression::Parentheses(Parentheses { expression: Box::new(Expression::Number(number)), span: NOWHERE })
        }
        other => other,
    }
}

fn of_type(wanted: Type, depth: u32) -> BoxedStrategy<Expression> {
    match wanted {
        Type::String => proptest::collection::vec(any::<u8>(), 0..9)
            .prop_map(|bytes| Expression::String(StringLiteral { bytes, span: NOWHERE }))
            .boxed(),
        Type::Scalar => scalar(depth),
        Type::Vector => vector(depth),
        Type::Matrix => matrix(depth),
    }
}

fn scalar(depth: u32) -> BoxedStrategy<Expression> {
    let leaf = number().prop_map(Expression::Number).boxed();
    if depth == 0 {
        return leaf;
    }
    prop_oneof![leaf, call(Type::Scalar, depth - 1), binary(Type::Scalar, depth - 1)].boxed()
}

fn matrix(depth: u32) -> BoxedStrategy<Expression> {
    let window = (selector(), length())
        .prop_map(|(selector, range)| Expression::Matrix(MatrixSelector { selector, range, span: NOWHERE }));
    if depth == 0 {
        return window.boxed();
    }
    let step = prop_oneof![Just(None), length().prop_map(Some)];
    let subquery = (vector(depth - 1), length(), step, offset(), at()).prop_map(|(inner, range, step, offset, at)| {
        let expression = Box::new(parenthesized(inner));
        Expression::Subquery(Subquery { expression, range, step, offset, at, span: NOWHERE })
    });
    prop_oneof![window, subquery].boxed()
}

fn vector(depth: u32) -> BoxedStrategy<Expression> {
    let leaf = selector().prop_map(Expression::Vector).boxed();
    if depth == 0 {
        return leaf;
    }
    let unary =
        (select(vec![UnaryOperator::Plus, UnaryOperator::Minus]), vector(depth - 1)).prop_map(|(operator, inner)| {
            let expression = Box::new(parenthesized(inner));
            Expression::Unary(Unary { operator, expression, span: NOWHERE })
        });
    prop_oneof![leaf, call(Type::Vector, depth - 1), aggregation(depth - 1), binary(Type::Vector, depth - 1), unary]
        .boxed()
}

fn call(returns: Type, depth: u32) -> BoxedStrategy<Expression> {
    let functions: Vec<_> =
        FUNCTIONS.iter().filter(|function| function.returns == returns && function.name != "info").collect();
    (select(functions), 0_usize..3)
        .prop_flat_map(move |(function, more)| {
            let most = function.arguments_max().unwrap_or(function.arguments_min() + 2);
            let count = (function.arguments_min() + more).min(most);
            let arguments: Vec<_> = (0..count)
                .map(|index| of_type(function.argument(index).expect("the index is below the count"), depth))
                .collect();
            arguments.prop_map(move |arguments| Expression::Call(Call { function, arguments, span: NOWHERE }))
        })
        .boxed()
}

fn aggregation(depth: u32) -> BoxedStrategy<Expression> {
    let labels = || proptest::collection::vec(label(), 0..3);
    let grouping = prop_oneof![labels().prop_map(Grouping::By), labels().prop_map(Grouping::Without)];
    (select(Aggregator::ALL.to_vec()), grouping, vector(depth))
        .prop_flat_map(move |(operator, grouping, inner)| {
            let parameter = match operator.parameter() {
                Some(wanted) => of_type(wanted, depth.min(1)).prop_map(Some).boxed(),
                None => Just(None).boxed(),
            };
            parameter.prop_map(move |parameter| {
                Expression::Aggregation(Aggregation {
                    operator,
                    grouping: grouping.clone(),
                    parameter: parameter.map(Box::new),
                    expression: Box::new(inner.clone()),
                    span: NOWHERE,
                })
            })
        })
        .boxed()
}

fn matching(operator: BinaryOperator) -> BoxedStrategy<VectorMatching> {
    let labels = || proptest::collection::vec(label(), 0..3);
    let fill = prop_oneof![3 => Just(None), 1 => (-1e9..1e9_f64).prop_map(Some), 1 => Just(Some(1e-30))];
    let group = select(vec![Cardinality::OneToOne, Cardinality::ManyToOne, Cardinality::OneToMany]);
    (any::<bool>(), labels(), labels(), group, fill.clone(), fill)
        .prop_map(move |(on, labels, mut include, group, fill_left, fill_right)| {
            if operator.is_set() {
                let cardinality = Cardinality::ManyToMany;
                return VectorMatching { cardinality, on, labels, ..VectorMatching::default() };
            }
            include.retain(|label| group != Cardinality::OneToOne && !labels.contains(label));
            VectorMatching { cardinality: group, on, labels, include, fill_left, fill_right }
        })
        .boxed()
}

fn binary(wanted: Type, depth: u32) -> BoxedStrategy<Expression> {
    let operators: Vec<_> =
        BinaryOperator::ALL.into_iter().filter(|operator| wanted == Type::Vector || !operator.is_set()).collect();
    (select(operators), any::<bool>(), of_type(wanted, depth), of_type(wanted, depth))
        .prop_flat_map(move |(operator, is_bool, left, right)| {
            let matching = match wanted {
                Type::Vector => matching(operator).prop_map(Some).boxed(),
                _ => Just(None).boxed(),
            };
            matching.prop_map(move |matching| {
                Expression::Binary(Binary {
                    operator,
                    left: Box::new(parenthesized(left.clone())),
                    right: Box::new(parenthesized(right.clone())),
                    returns_bool: operator.is_comparison() && (is_bool || wanted == Type::Scalar),
                    matching,
                    operator_span: NOWHERE,
                    span: NOWHERE,
                })
            })
        })
        .boxed()
}

fn any_expression() -> BoxedStrategy<Expression> {
    prop_oneof![4 => vector(3), 1 => scalar(3), 1 => matrix(2), 1 => of_type(Type::String, 0)].boxed()
}

/// Returns all of a tree but where its parts stand.
fn without_places(expression: &Expression) -> String {
    let places = regex::Regex::new(r"Span \{ start: \d+, end: \d+ \}").expect("the pattern is valid");
    places.replace_all(&format!("{expression:?}"), "").into_owned()
}

/// Words that make up queries, in and out of order.
fn words() -> impl Strategy<Value = String> {
    let words = "sum by without on ignoring group_left bool offset @ start() end step() range min_of max_of ( ) ( ) { } \
                 [5m] [ ] [1h:5m] : + - * / % ^ == != < > <= >= </ >/ and or unless atan2 foo bar:x 1 2.5 0x1f 5m Inf \
                 'a' \"b\" `c` , = =~ !~ {a=\"b\"} fill(1) fill_left smoothed anchored rate abs topk count_values info # \n \\ é";
    let words: Vec<&'static str> = words.split(' ').filter(|word| !word.is_empty()).collect();
    proptest::collection::vec(select(words), 0..24).prop_map(|words| words.join(" "))
}

fn all_is_well(text: &str) {
    for options in [ParseOptions::default(), ParseOptions::experimental()] {
        match parse(text, &options) {
            Ok(expression) => {
                let printed = expression.to_string();
                let again = parse(&printed, &options).unwrap_or_else(|error| panic!("{text}: {printed}: {error}"));
                assert_eq!(without_places(&again), without_places(&expression), "{text}");
                assert!(to_json(&expression).is_object(), "{text}");
            }
            Err(errors) => {
                for error in errors.iter() {
                    assert!(error.span.start <= error.span.end && error.span.end <= text.len(), "{text}: {error:?}");
                    assert!(!error.message.is_empty());
                }
            }
        }
    }
    drop(parse_selector(text));
    for cursor in 0..=text.len().min(64) {
        let completion = complete(text, cursor);
        assert!(completion.span.end <= text.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_tree_is_read_back(expression in any_expression()) {
        let options = ParseOptions::experimental();
        for text in [expression.to_string(), pretty(&expression)] {
            let again = parse(&text, &options);
            prop_assert!(again.is_ok(), "{text}: {again:?}");
            prop_assert_eq!(without_places(&again.unwrap()), without_places(&expression), "{}", text);
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "(?s:.{0,60})") {
        all_is_well(&text);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        all_is_well(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn arbitrary_words_are_read_and_printed_or_refused(text in words()) {
        all_is_well(&text);
    }

    #[test]
    fn a_query_cut_anywhere_never_panics(expression in vector(2), cut in 0_usize..200) {
        let text: String = expression.to_string().chars().take(cut).collect();
        all_is_well(&text);
    }
}

#[test]
fn deep_and_long_queries_are_refused_on_a_small_stack() {
    let many = 20_000;
    let texts = [
        "(".repeat(many),
        "-".repeat(many),
        "-".repeat(many) + "1",
        "(".repeat(many) + "1" + &")".repeat(many),
        "abs(".repeat(many),
        "sum by (a) (".repeat(many),
        "1".to_owned() + &"+1".repeat(many),
        "1".to_owned() + &"^1".repeat(many),
        "a".to_owned() + &"[5m:]".repeat(many),
        "a[".to_owned() + &"(".repeat(many),
        "a[".to_owned() + &"-".repeat(many) + "1]",
        "a[1".to_owned() + &"+1".repeat(many) + "]",
        "a[1".to_owned() + &"^1".repeat(many) + "]",
        "a offset ".to_owned() + &"(".repeat(many),
        "a".to_owned() + &" anchored".repeat(many),
        "a offset 0".to_owned() + &" offset 0".repeat(many / 2),
        "{".repeat(many),
        "a{".to_owned() + &"b='c',".repeat(many / 10) + "}",
        "abs".repeat(many),
        "\"".to_owned() + &"\\n".repeat(many) + "\"",
    ];
    let checked = std::thread::Builder::new().stack_size(1 << 20).spawn(move || {
        for text in texts {
            if let Ok(expression) = parse(&text, &ParseOptions::experimental()) {
                assert_eq!(
                    parse(&expression.to_string(), &ParseOptions::experimental()).map(|e| e.value_type()),
                    Ok(expression.value_type())
                );
            }
            assert!(complete(&text, text.len()).span.end <= text.len());
        }
        // What is just allowed is read, printed and dropped on the same stack.
        let options = ParseOptions::experimental();
        let nested = "(".repeat(options.nesting_max - 1) + "a" + &")".repeat(options.nesting_max - 1);
        let chain = "a".to_owned() + &" + a".repeat(options.height_max - 1);
        let calls = "abs(".repeat(options.nesting_max - 1) + "a" + &")".repeat(options.nesting_max - 1);
        let signs = "-".repeat(options.nesting_max - 1) + "a";
        for text in [nested, chain, calls, signs] {
            let expression = parse(&text, &options).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(expression.to_string(), text);
            assert!(!pretty(&expression).is_empty());
            assert!(to_json(&expression).is_object());
            drop(expression.clone());
        }
    });
    checked.unwrap().join().unwrap();
    let long = "a".repeat(ParseOptions::default().text_bytes_max + 1);
    let error = parse(&long, &ParseOptions::default()).unwrap_err();
    assert!(error.to_string().contains("more than 1048576"), "{error}");
}
