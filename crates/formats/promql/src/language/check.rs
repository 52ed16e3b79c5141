//! Checks that need the whole tree: types, numbers of arguments, conditions.

use maru_prom::METRIC_NAME;

use super::ast::{Aggregation, Binary, Call, Expression, Span, VectorMatching, VectorSelector};
use super::hints;
use super::operators::{Aggregator, Cardinality};
use super::parser::Parser;
use super::quote::quote;
use super::types::Type;

/// Checks `expression` and all inside; also sets what depends on types. Returns its type.
///
/// What goes down the tree keeps little on the stack; the judging is done in functions of their own.
pub(super) fn check(expression: &mut Expression, parser: &mut Parser<'_>) -> Type {
    match expression {
        Expression::Number(_) => Type::Scalar,
        Expression::String(_) => Type::String,
        Expression::Vector(selector) => {
            check_selector(selector, parser);
            Type::Vector
        }
        Expression::Matrix(matrix) => {
            check_selector(&matrix.selector, parser);
            Type::Matrix
        }
        Expression::Subquery(subquery) => {
            let inner = check(&mut subquery.expression, parser);
            judge_subquery(subquery.span, inner, parser);
            Type::Matrix
        }
        Expression::Parentheses(node) => check(&mut node.expression, parser),
        Expression::Unary(node) => {
            let inner = check(&mut node.expression, parser);
            judge_unary(node.span, inner, parser);
            inner
        }
        Expression::Aggregation(node) => {
            let inner = check(&mut node.expression, parser);
            judge_aggregation(node, inner, parser);
            if let Some(parameter) = &mut node.parameter {
                let found = check(parameter, parser);
                judge_parameter(node.operator, parameter, found, parser);
            }
            Type::Vector
        }
        Expression::Call(call) => {
            judge_call(call, parser);
            for index in 0..call.arguments.len() {
                check_argument(call, index, parser);
            }
            call.function.returns
        }
        Expression::Binary(binary) => {
            let left = check(&mut binary.left, parser);
            let right = check(&mut binary.right, parser);
            judge_binary(binary, left, right, parser);
            if left == Type::Scalar && right == Type::Scalar { Type::Scalar } else { Type::Vector }
        }
    }
}

fn check_argument(call: &mut Call, index: usize, parser: &mut Parser<'_>) {
    let (Some(wanted), Some(argument)) = (call.function.argument(index), call.arguments.get_mut(index)) else {
        return;
    };
    // Conditions on info metrics may all match the empty value.
    let is_info_labels = call.function.name == "info"
        && index == 1
        && matches!(argument, Expression::Vector(selector) if selector.name.is_empty());
    let found = if is_info_labels { Type::Vector } else { check(argument, parser) };
    if found != wanted {
        judge_argument(call, index, wanted, found, parser);
    }
}

fn judge_subquery(span: Span, inner: Type, parser: &mut Parser<'_>) {
    if inner != Type::Vector {
        let message = format!("subquery is only allowed on instant vector, got {} instead", inner.name());
        parser.error(span, message, hints::subquery_of(inner));
    }
}

fn judge_unary(span: Span, inner: Type, parser: &mut Parser<'_>) {
    if !matches!(inner, Type::Scalar | Type::Vector) {
        let message =
            format!("unary expression only allowed on expressions of type scalar or instant vector, got \"{inner}\"");
        parser.error(span, message, None);
    }
}

fn judge_aggregation(node: &Aggregation, inner: Type, parser: &mut Parser<'_>) {
    if inner != Type::Vector {
        let message = format!("expected type {} in aggregation expression, got {inner}", Type::Vector);
        let hint = hints::wants_vector(inner, &node.expression);
        parser.error(node.expression.span(), message, hint);
    }
}

fn judge_parameter(operator: Aggregator, parameter: &Expression, found: Type, parser: &mut Parser<'_>) {
    if let Some(wanted) = operator.parameter().filter(|wanted| *wanted != found) {
        let message = format!("expected type {wanted} in aggregation parameter, got {found}");
        parser.error(parameter.span(), message, Some(hints::aggregation_form(operator)));
    }
}

fn judge_argument(call: &Call, index: usize, wanted: Type, found: Type, parser: &mut Parser<'_>) {
    let Some(argument) = call.arguments.get(index) else { return };
    let name = quote(call.function.name.as_bytes());
    let message = format!("expected type {wanted} in call to function {name}, got {found}");
    let hint = hints::argument(call.function, index, wanted, found, argument);
    parser.error(argument.span(), message, hint);
}

/// Checks how many arguments there are.
fn judge_call(call: &Call, parser: &mut Parser<'_>) {
    let function = call.function;
    let (name, given) = (quote(function.name.as_bytes()), call.arguments.len());
    let (least, most) = (function.arguments_min(), function.arguments_max());
    let hint = || Some(format!("it is called as {}", hints::signature(function)));
    if most == Some(least) && given != least {
        parser.error(call.span, format!("expected {least} argument(s) in call to {name}, got {given}"), hint());
    } else if given < least {
        let message = format!("expected at least {least} argument(s) in call to {name}, got {given}");
        parser.error(call.span, message, hint());
    } else if let Some(most) = most.filter(|most| given > *most) {
        let message = format!("expected at most {most} argument(s) in call to {name}, got {given}");
        parser.error(call.span, message, hint());
    }
    if function.name == "info"
        && let Some(labels) = call.arguments.get(1)
    {
        check_info_labels(call, labels, parser);
    }
}

fn check_info_labels(call: &Call, labels: &Expression, parser: &mut Parser<'_>) {
    let found = labels.value_type();
    if found != Type::Vector {
        let message = format!("expected type {} in call to function \"info\", got {found}", Type::Vector);
        parser.error(call.span, message, None);
    }
    let hint = || Some("write the info metrics' labels alone, such as {k8s_cluster_name=~\".+\"}".to_owned());
    match labels {
        Expression::Vector(selector) if selector.name.is_empty() => {}
        Expression::Vector(_) => {
            let message = "expected label selectors only, got vector selector instead".to_owned();
            parser.error(labels.span(), message, hint());
        }
        _ => parser.error(labels.span(), "expected label selectors only".to_owned(), hint()),
    }
}

fn judge_binary(node: &mut Binary, left: Type, right: Type, parser: &mut Parser<'_>) {
    let (operator, matching) = (node.operator, node.matching.take().unwrap_or_default());
    let both_scalar = left == Type::Scalar && right == Type::Scalar;
    if node.returns_bool && !operator.is_comparison() {
        let message = "bool modifier can only be used on comparison operators".to_owned();
        parser.error(node.operator_span, message, None);
    }
    if operator.is_comparison() && !node.returns_bool && both_scalar {
        let message = "comparisons between scalars must use BOOL modifier".to_owned();
        parser.error(node.operator_span, message, Some(format!("write `{operator} bool`: it gives 1 or 0")));
    }
    if matching.on {
        for label in matching.labels.iter().filter(|label| matching.include.contains(label)) {
            let label = quote(label.as_bytes());
            let message = format!("label {label} must not occur in ON and GROUP clause at once");
            parser.error(node.operator_span, message, Some("a label of `on` is in the result anyway".to_owned()));
        }
    }
    for (side, found) in [(&node.left, left), (&node.right, right)] {
        if !matches!(found, Type::Scalar | Type::Vector) {
            let message = "binary expression must contain only scalar and instant vector types".to_owned();
            parser.error(side.span(), message, hints::wants_vector(found, side));
        }
    }
    judge_matching(node, matching, left == Type::Vector && right == Type::Vector, parser);
    if operator.is_set() && (left == Type::Scalar || right == Type::Scalar) {
        let operator = quote(operator.symbol().as_bytes());
        let message = format!("set operator {operator} not allowed in binary scalar expression");
        parser.error(node.span, message, Some("make a vector of the number: vector(1)".to_owned()));
    }
}

/// Checks how partners are found, and keeps it where both sides are vectors.
fn judge_matching(node: &mut Binary, matching: VectorMatching, are_vectors: bool, parser: &mut Parser<'_>) {
    let operator = node.operator;
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    let is_grouped = matches!(matching.cardinality, Cardinality::ManyToOne | Cardinality::OneToMany);
    if !are_vectors {
        if !matching.labels.is_empty() {
            let message = "vector matching only allowed between instant vectors".to_owned();
            parser.error(node.span, message, None);
        }
        if fills {
            let message = "filling in missing series only allowed between instant vectors".to_owned();
            parser.error(node.span, message, None);
        }
    } else {
        if operator.is_set() {
            let quoted = quote(operator.symbol().as_bytes());
            if is_grouped {
                parser.error(node.span, format!("no grouping allowed for {quoted} operation"), None);
                parser.error(node.span, "set operations must always be many-to-many".to_owned(), None);
            }
            if fills {
                let message = "filling in missing series not allowed for set operators".to_owned();
                parser.error(node.span, message, None);
            }
        }
        node.matching = Some(matching);
        if let Some(matching) = &mut node.matching
            && operator.is_set()
            && !is_grouped
        {
            matching.cardinality = Cardinality::ManyToMany;
        }
    }
}

fn check_selector(selector: &VectorSelector, parser: &mut Parser<'_>) {
    if selector.name.is_empty() {
        if selector.matchers.iter().all(|matcher| matcher.matches("")) {
            let message = "vector selector must contain at least one non-empty matcher".to_owned();
            let hint = "name a metric, or add a condition that an absent label does not fulfil, such as {job=~\".+\"}";
            parser.error(selector.span, message, Some(hint.to_owned()));
        }
        return;
    }
    let Some((_, others)) = selector.matchers.split_last() else { return };
    for other in others.iter().filter(|matcher| matcher.name() == METRIC_NAME) {
        let (name, value) = (quote(selector.name.as_bytes()), quote(other.value().as_bytes()));
        let message = format!("metric name must not be set twice: {name} or {value}");
        parser.error(selector.span, message, Some("leave out the name before the braces".to_owned()));
    }
}
