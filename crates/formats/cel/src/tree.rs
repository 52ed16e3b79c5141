//! An expression as a tree.

use regex::Regex;

use crate::functions::Function;
use crate::parse::{ParseError, parse};
use crate::value::Value;

/// An expression that was read and found to make sense.
#[derive(Debug, Clone)]
pub struct Expression {
    pub(crate) root: Node,
    pub(crate) source: String,
}

/// A part of an expression, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// The offset in the source, in bytes.
    pub(crate) at: usize,
    /// How deep the tree below is.
    pub(crate) depth: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Literal(Value<'static>),
    Identifier(String),
    Select {
        of: Box<Node>,
        field: String,
    },
    /// The macro `has`.
    Has {
        of: Box<Node>,
        field: String,
    },
    Index {
        of: Box<Node>,
        at: Box<Node>,
    },
    Call {
        function: Function,
        arguments: Vec<Node>,
        pattern: Option<Regex>,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    Conditional {
        condition: Box<Node>,
        then: Box<Node>,
        other: Box<Node>,
    },
    Binary {
        operator: Operator,
        left: Box<Node>,
        right: Box<Node>,
    },
    /// A macro that goes over a list, or over a map's keys.
    Fold {
        fold: Fold,
        range: Box<Node>,
        variable: String,
        filter: Option<Box<Node>>,
        body: Box<Node>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fold {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }
}

impl Expression {
    /// Reads an expression. Every name that it uses must be among `variables`, or bound by a macro.
    ///
    /// # Errors
    /// When it is too long or too deep, is no CEL, calls what there is not, or uses a name that nothing gives.
    pub fn parse(source: &str, variables: &[&str]) -> Result<Self, ParseError> {
        let root = parse(source)?;
        let expression = Self { root, source: source.to_owned() };
        let mut bound: Vec<&str> = variables.to_vec();
        match unknown_name(&expression.root, &mut bound) {
            Some((name, at)) => {
                let message = format!("\"{name}\" is not known; there are {}", variables.join(", "));
                Err(ParseError::at(source, at, message))
            }
            None => Ok(expression),
        }
    }

    /// Returns the expression as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Tells whether the expression uses a variable.
    #[must_use]
    pub fn uses(&self, variable: &str) -> bool {
        uses(&self.root, variable)
    }
}

/// Returns the nodes directly below one, without the body of a macro.
fn children(node: &Node) -> Vec<&Node> {
    match &node.kind {
        Kind::Literal(_) | Kind::Identifier(_) => Vec::new(),
        Kind::Select { of, .. } | Kind::Has { of, .. } => vec![of],
        Kind::Index { of, at } => vec![of, at],
        Kind::Call { arguments: nodes, .. } | Kind::List(nodes) | Kind::And(nodes) | Kind::Or(nodes) => {
            nodes.iter().collect()
        }
        Kind::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
        Kind::Not(of) | Kind::Negate(of) => vec![of],
        Kind::Conditional { condition, then, other } => vec![condition, then, other],
        Kind::Binary { left, right, .. } => vec![left, right],
        Kind::Fold { range, .. } => vec![range],
    }
}

fn unknown_name<'a>(node: &'a Node, bound: &mut Vec<&'a str>) -> Option<(&'a str, usize)> {
    if let Kind::Identifier(name) = &node.kind {
        return (!bound.contains(&name.as_str())).then_some((name.as_str(), node.at));
    }
    let below = children(node).into_iter().find_map(|child| unknown_name(child, bound));
    match &node.kind {
        Kind::Fold { variable, filter, body, .. } if below.is_none() => {
            bound.push(variable);
            let mut inside = filter.iter().map(|filter| &**filter).chain([&**body]);
            let found = inside.find_map(|child| unknown_name(child, bound));
            bound.pop();
            found
        }
        _ => below,
    }
}

fn uses(node: &Node, wanted: &str) -> bool {
    if matches!(&node.kind, Kind::Identifier(name) if name == wanted) {
        return true;
    }
    let inside = match &node.kind {
        Kind::Fold { variable, filter, body, .. } if variable != wanted => {
            filter.as_ref().is_some_and(|filter| uses(filter, wanted)) || uses(body, wanted)
        }
        _ => false,
    };
    inside || children(node).into_iter().any(|child| uses(child, wanted))
}
