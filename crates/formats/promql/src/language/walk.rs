//! Going over a query's parts.

use maru_prom::Matcher;

use super::ast::{Expression, MatrixSelector, VectorSelector};

impl Expression {
    /// Returns the expressions right inside, in the order of the text (an aggregation's parameter first).
    #[must_use]
    pub fn children(&self) -> Vec<&Self> {
        match self {
            Self::Number(_) | Self::String(_) | Self::Vector(_) | Self::Matrix(_) => Vec::new(),
            Self::Subquery(node) => vec![&node.expression],
            Self::Call(node) => node.arguments.iter().collect(),
            Self::Aggregation(node) => node.parameter.as_deref().into_iter().chain([&*node.expression]).collect(),
            Self::Binary(node) => vec![&node.left, &node.right],
            Self::Unary(node) => vec![&node.expression],
            Self::Parentheses(node) => vec![&node.expression],
        }
    }

    /// Calls `visit` for this expression and all inside, outer ones first, with the path of expressions that hold it.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self, &[&'a Self])) {
        fn go<'a>(
            node: &'a Expression,
            path: &mut Vec<&'a Expression>,
            visit: &mut impl FnMut(&'a Expression, &[&'a Expression]),
        ) {
            visit(node, path);
            path.push(node);
            for child in node.children() {
                go(child, path, visit);
            }
            path.pop();
        }
        go(self, &mut Vec::new(), visit);
    }

    /// Returns all selectors of series, those of windows included, in the order of the text.
    #[must_use]
    pub fn selectors(&self) -> Vec<&VectorSelector> {
        let mut selectors = Vec::new();
        self.walk(&mut |node, _| match node {
            Self::Vector(selector) | Self::Matrix(MatrixSelector { selector, .. }) => selectors.push(selector),
            Self::Number(_)
            | Self::String(_)
            | Self::Subquery(_)
            | Self::Call(_)
            | Self::Aggregation(_)
            | Self::Binary(_)
            | Self::Unary(_)
            | Self::Parentheses(_) => {}
        });
        selectors
    }

    /// Returns the conditions of each selector.
    #[must_use]
    pub fn matchers(&self) -> Vec<&[Matcher]> {
        self.selectors().into_iter().map(|selector| selector.matchers.as_slice()).collect()
    }
}
