//! Checks that need the whole tree: types, numbers of arguments, conditions.

use maru_prom::METRIC_NAME;

use super::ast::{Aggregation, Binary, Call, Cardinality, Expression, VectorSelector};
use super::hints;
use super::parser::Parser;
use super::quote::quote;
use super::types::Type;

/// Checks `expression` and all inside; also sets what depends on types. Returns its type.
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
            if inner != Type::Vector {
                let message = format!("subquery is only allowed on instant vector, got {} instead", inner.name());
                parser.error(subquery.span, message, hints::subquery_of(inner));
            }
            Type::Matrix
        }
        Expression::Parentheses(node) => check(&mut node.expression, parser),
        Expression::Unary(node) => {
            let inner = check(&mut node.expression, parser);
            if !matches!(inner, Type::Scalar | Type::Vector) {
                let message = format!(
                    "unary expression only allowed on expressions of type scalar or instant vector, got \"{inner}\""
                );
                parser.error(node.span, message, None);
            }
            inner
        }
        Expression::Aggregation(node) => check_aggregation(node, parser),
        Expression::Call(call) => check_call(call, parser),
        Expression::Binary(binary) => check_binary(binary, parser),
    }
}

fn check_aggregation(node: &mut Aggregation, parser: &mut Parser<'_>) -> Type {
    let inner = check(&mut node.expression, parser);
    if inner != Type::Vector {
        let message = format!("expected type {} in aggregation expression, got {inner}", Type::Vector);
        let hint = hints::wants_vector(inner, &node.expression);
        parser.error(node.expression.span(), message, hint);
    }
    if let (Some(wanted), Some(parameter)) = (node.operator.parameter(), &mut node.parameter) {
        let found = check(parameter, parser);
        if found != wanted {
            let message = format!("expected type {wanted} in aggregation parameter, got {found}");
            parser.error(parameter.span(), message, Some(hints::aggregation_form(node.operator)));
        }
    }
    Type::Vector
}

fn check_call(call: &mut Call, parser: &mut Parser<'_>) -> Type {
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
    let is_info = function.name == "info";
    if is_info && let Some(labels) = call.arguments.get(1) {
        check_info_labels(call, labels, parser);
    }
    for (index, argument) in call.arguments.iter_mut().enumerate() {
        let Some(wanted) = function.argument(index) else { break };
        // Conditions on info metrics may all match the empty value.
        let is_info_labels =
            is_info && index == 1 && matches!(argument, Expression::Vector(selector) if selector.name.is_empty());
        let found = if is_info_labels { Type::Vector } else { check(argument, parser) };
        if found != wanted {
            let message = format!("expected type {wanted} in call to function {name}, got {found}");
            let hint = hints::argument(function, index, wanted, found, argument);
            parser.error(argument.span(), message, hint);
        }
    }
    function.returns
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

fn check_binary(node: &mut Binary, parser: &mut Parser<'_>) -> Type {
    let left = check(&mut node.left, parser);
    let right = check(&mut node.right, parser);
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
    let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
    let is_grouped = matches!(matching.cardinality, Cardinality::ManyToOne | Cardinality::OneToMany);
    if left != Type::Vector || right != Type::Vector {
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
    if operator.is_set() && (left == Type::Scalar || right == Type::Scalar) {
        let operator = quote(operator.symbol().as_bytes());
        let message = format!("set operator {operator} not allowed in binary scalar expression");
        parser.error(node.span, message, Some("make a vector of the number: vector(1)".to_owned()));
    }
    if both_scalar { Type::Scalar } else { Type::Vector }
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
