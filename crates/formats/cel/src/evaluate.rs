//! The evaluation: every node costs a step, and what is made costs memory.
//!
//! Long because the macros, operators and members of the language share one evaluator with one account of steps.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::functions::{self, Function};
use crate::parse::place;
use crate::tree::{Expression, Fold, Kind, Node, Operator};
use crate::value::{List, Map, Text, Value};

/// How much an evaluation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Nodes that are evaluated, and things that are looked at.
    pub steps_max: u64,
    /// Bytes that the expression makes.
    pub bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps_max: 5_000_000, bytes_max: 64 << 20 }
    }
}

/// The values of variables, by name.
#[derive(Debug, Clone, Default)]
pub struct Variables<'a>(Vec<(&'a str, Value<'a>)>);

impl<'a> Variables<'a> {
    /// Gives a variable its value.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: Value<'a>) -> Self {
        self.0.push((name, value));
        self
    }
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// A variable without a value.
    #[error("\"{0}\" has no value")]
    NoVariable(String),
    /// A field or a key that is not there.
    #[error("there is no \"{0}\"; ask with has() before")]
    NoField(String),
    /// A place behind the end of a list.
    #[error("the list has no place {0}")]
    NoPlace(i64),
    /// Types that do not go together.
    #[error("{0} does not exist for these types")]
    Types(String),
    /// A division by zero.
    #[error("a division by zero")]
    DivisionByZero,
    /// A number beyond 64 bits, a time beyond the calendar.
    #[error("the result is out of range")]
    Overflow,
    /// A text that is not what it should be.
    #[error("{0}")]
    Invalid(String),
    /// Too many steps.
    #[error("it takes more than {0} steps")]
    TooLong(u64),
    /// Too much memory.
    #[error("it makes more than {0} bytes")]
    TooLarge(u64),
}

impl Failure {
    /// Tells whether the limits were reached: no other part of the expression makes up for that.
    fn is_final(&self) -> bool {
        matches!(self, Self::TooLong(_) | Self::TooLarge(_))
    }
}

/// Why an expression has no value, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {failure}")]
pub struct EvaluateError {
    /// The line, from 1.
    pub line: usize,
    /// The column in letters, from 1.
    pub column: usize,
    /// What is wrong.
    pub failure: Failure,
}

impl Expression {
    /// Returns the expression's value.
    ///
    /// # Errors
    /// When a part of it has no value, or it takes more than the limits allow.
    pub fn evaluate<'a>(&self, variables: &Variables<'a>, limits: Limits) -> Result<Value<'a>, EvaluateError> {
        let mut run = Run::new(variables, limits);
        run.value(&self.root).map_err(|failed| failed.place(&self.source))
    }

    /// Tells whether a condition holds.
    ///
    /// # Errors
    /// When it has no value, or one that is neither true nor false.
    pub fn holds(&self, variables: &Variables<'_>, limits: Limits) -> Result<bool, EvaluateError> {
        match self.evaluate(variables, limits)? {
            Value::Bool(holds) => Ok(holds),
            other => {
                let message = format!("a condition is true or false, and this is {}", other.type_name());
                let failed = Failed { failure: Failure::Invalid(message), at: self.root.at };
                Err(failed.place(&self.source))
            }
        }
    }
}

/// A failure at an offset.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    at: usize,
}

impl Failed {
    pub(crate) fn place(self, source: &str) -> EvaluateError {
        let (line, column) = place(source, self.at);
        EvaluateError { line, column, failure: self.failure }
    }
}

type Result2<T> = Result<T, Failed>;

/// One evaluation.
pub(crate) struct Run<'e, 'a> {
    variables: &'e Variables<'a>,
    limits: Limits,
    steps: u64,
    bytes: u64,
    pub(crate) bound: Vec<(&'e str, Value<'a>)>,
}

impl<'e, 'a> Run<'e, 'a> {
    pub(crate) fn new(variables: &'e Variables<'a>, limits: Limits) -> Self {
        Self { variables, limits, steps: 0, bytes: 0, bound: Vec::new() }
    }

    fn step(&mut self, steps: u64, node: &Node) -> Result2<()> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > self.limits.steps_max {
            return Err(Failed { failure: Failure::TooLong(self.limits.steps_max), at: node.at });
        }
        Ok(())
    }

    fn makes(&mut self, bytes: usize, node: &Node) -> Result2<()> {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.bytes > self.limits.bytes_max {
            return Err(Failed { failure: Failure::TooLarge(self.limits.bytes_max), at: node.at });
        }
        Ok(())
    }

    pub(crate) fn value(&mut self, node: &'e Node) -> Result2<Value<'a>> {
        self.step(1, node)?;
        let fail = |failure| Failed { failure, at: node.at };
        match &node.kind {
            Kind::Literal(literal) => Ok(literal.clone()),
            Kind::Identifier(name) => self.variable(name).ok_or_else(|| fail(Failure::NoVariable(name.clone()))),
            Kind::Select { of, field } => {
                let of = self.value(of)?;
                select(&of, field).map_err(fail)?.ok_or_else(|| fail(Failure::NoField(field.clone())))
            }
            Kind::Has { of, field } => {
                let of = self.value(of)?;
                select(&of, field).map(|found| Value::Bool(found.is_some())).map_err(fail)
            }
            Kind::Index { of, at } => {
                let (of, at) = (self.value(of)?, self.value(at)?);
                index(&of, &at).map_err(fail)
            }
            Kind::Call { function, arguments, pattern } => self.call(*function, arguments, pattern.as_ref(), node),
            Kind::List(nodes) => {
                self.makes(nodes.len() * size_of::<Value<'_>>(), node)?;
                let values = nodes.iter().map(|node| self.value(node)).collect::<Result2<Vec<_>>>()?;
                Ok(Value::List(List::Owned(Arc::new(values))))
            }
            Kind::Map(entries) => self.map(entries, node),
            Kind::And(nodes) => self.logic(nodes.iter(), false),
            Kind::Or(nodes) => self.logic(nodes.iter(), true),
            Kind::Not(of) => match self.value(of)? {
                Value::Bool(value) => Ok(Value::Bool(!value)),
                other => Err(fail(Failure::Types(format!("!{}", other.type_name())))),
            },
            Kind::Negate(of) => negate(&self.value(of)?).map_err(fail),
            Kind::Conditional { condition, then, other } => match self.value(condition)? {
                Value::Bool(true) => self.value(then),
                Value::Bool(false) => self.value(other),
                value => Err(fail(Failure::Types(format!("{} ? :", value.type_name())))),
            },
            Kind::Binary { operator, left, right } => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                self.binary(*operator, &left, &right, node)
            }
            Kind::Fold { fold, range, variable, filter, body } => {
                let range = self.range(range)?;
                self.fold(*fold, &range, variable, filter.as_deref(), body, node)
            }
        }
    }

    fn variable(&self, name: &str) -> Option<Value<'a>> {
        let bound = self.bound.iter().rev().find(|(own, _)| *own == name).map(|(_, value)| value);
        let given = || self.variables.0.iter().rev().find(|(own, _)| *own == name).map(|(_, value)| value);
        bound.or_else(given).cloned()
    }

    /// One value that decides is enough, also beside values that fail.
    fn logic(&mut self, nodes: impl Iterator<Item = &'e Node>, decides: bool) -> Result2<Value<'a>> {
        let mut failed = None;
        for node in nodes {
            match self.condition(node) {
                Ok(value) if value == decides => return Ok(Value::Bool(decides)),
                Ok(_) => {}
                Err(error) if error.failure.is_final() => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(Value::Bool(!decides)), Err)
    }

    pub(crate) fn condition(&mut self, node: &'e Node) -> Result2<bool> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            other => {
                let failure = Failure::Types(format!("a condition of {}", other.type_name()));
                Err(Failed { failure, at: node.at })
            }
        }
    }

    fn map(&mut self, entries: &'e [(Node, Node)], node: &Node) -> Result2<Value<'a>> {
        self.makes(entries.len() * 2 * size_of::<Value<'_>>(), node)?;
        let mut made: Vec<(Value<'a>, Value<'a>)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let (key, value) = (self.value(key)?, self.value(value)?);
            self.step(made.len() as u64, node)?;
            let fits = matches!(key, Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::String(_));
            if !fits || made.iter().any(|(own, _)| own.equals(&key)) {
                let message = "a key of a map is a number, a text or true or false, and stands there once";
                return Err(Failed { failure: Failure::Invalid(message.to_owned()), at: node.at });
            }
            made.push((key, value));
        }
        Ok(Value::Map(Map::Owned(Arc::new(made))))
    }

    fn call(
        &mut self,
        function: Function,
        arguments: &'e [Node],
        pattern: Option<&regex::Regex>,
        node: &Node,
    ) -> Result2<Value<'a>> {
        let values = arguments.iter().map(|node| self.value(node)).collect::<Result2<Vec<_>>>()?;
        for value in &values {
            let length = match (function, value) {
                (_, Value::String(text)) => text.len(),
                (Function::Join, Value::List(list)) => {
                    let between = values
                        .get(1)
                        .map_or(0, |between| if let Value::String(text) = between { text.len() } else { 0 });
                    let texts = (0..list.len()).filter_map(|index| list.get(index));
                    let sum: usize = texts.map(|one| if let Value::String(text) = one { text.len() } else { 0 }).sum();
                    self.makes(sum + between * list.len(), node)?;
                    sum + list.len()
                }
                _ => 0,
            };
            self.step(u64::try_from(length).unwrap_or(u64::MAX) / 16, node)?;
        }
        match (function, values.first()) {
            // Compiling is work; a literal pattern was compiled when the expression was read.
            (Function::Matches, _) if pattern.is_none() => self.step(5_000, node)?,
            (
                Function::String | Function::LowerAscii | Function::UpperAscii | Function::Trim | Function::Bytes,
                Some(Value::String(text)),
            ) => self.makes(text.len(), node)?,
            (Function::String, Some(Value::Bytes(bytes))) => self.makes(bytes.len(), node)?,
            _ => {}
        }
        functions::call(function, &values, pattern).map_err(|failure| Failed { failure, at: node.at })
    }

    /// Returns what a macro goes over.
    pub(crate) fn range(&mut self, node: &'e Node) -> Result2<List<'a>> {
        match self.value(node)? {
            Value::List(list) => Ok(list),
            Value::Map(map) => {
                let keys = map.keys();
                self.makes(keys.len() * size_of::<Value<'_>>(), node)?;
                Ok(List::Owned(Arc::new(keys)))
            }
            other => {
                let failure = Failure::Types(format!("a macro over {}", other.type_name()));
                Err(Failed { failure, at: node.at })
            }
        }
    }

    pub(crate) fn with<T>(
        &mut self,
        variable: &'e str,
        value: Value<'a>,
        act: impl FnOnce(&mut Self) -> Result2<T>,
    ) -> Result2<T> {
        self.bound.push((variable, value));
        let result = act(self);
        self.bound.pop();
        result
    }

    fn fold(
        &mut self,
        fold: Fold,
        range: &List<'a>,
        variable: &'e str,
        filter: Option<&'e Node>,
        body: &'e Node,
        node: &Node,
    ) -> Result2<Value<'a>> {
        let values = (0..range.len()).filter_map(|index| range.get(index));
        match fold {
            Fold::All | Fold::Exists => {
                let decides = fold == Fold::Exists;
                let mut failed = None;
                for value in values {
                    match self.with(variable, value, |run| run.condition(body)) {
                        Ok(found) if found == decides => return Ok(Value::Bool(decides)),
                        Ok(_) => {}
                        Err(error) if error.failure.is_final() => return Err(error),
                        Err(error) => failed = failed.or(Some(error)),
                    }
                }
                failed.map_or(Ok(Value::Bool(!decides)), Err)
            }
            Fold::ExistsOne => {
                let mut count = 0;
                for value in values {
                    count += usize::from(self.with(variable, value, |run| run.condition(body))?);
                }
                Ok(Value::Bool(count == 1))
            }
            Fold::Filter | Fold::Map => {
                let mut made = Vec::new();
                for value in values {
                    let kept = value.clone();
                    let next = self.with(variable, value, |run| match (fold, filter) {
                        (Fold::Filter, _) => Ok(run.condition(body)?.then_some(kept)),
                        (_, Some(filter)) if !run.condition(filter)? => Ok(None),
                        _ => run.value(body).map(Some),
                    })?;
                    if let Some(next) = next {
                        self.makes(size_of::<Value<'_>>(), node)?;
                        made.push(next);
                    }
                }
                Ok(Value::List(List::Owned(Arc::new(made))))
            }
        }
    }

    fn binary(&mut self, operator: Operator, left: &Value<'a>, right: &Value<'a>, node: &Node) -> Result2<Value<'a>> {
        let fail = |failure| Failed { failure, at: node.at };
        let remaining = self.limits.steps_max.saturating_sub(self.steps).saturating_add(1);
        let wrong = || fail(Failure::Types(format!("{} {} {}", left.type_name(), operator.sign(), right.type_name())));
        match operator {
            Operator::Equal | Operator::NotEqual => {
                self.step(left.weight(remaining).min(right.weight(remaining)), node)?;
                Ok(Value::Bool(left.equals(right) == (operator == Operator::Equal)))
            }
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                self.step(left.weight(remaining).min(right.weight(remaining)), node)?;
                let is_number = matches!(left, Value::Double(_)) || matches!(right, Value::Double(_));
                let holds = match left.compare(right) {
                    Some(order) => holds(operator, order),
                    // Not a number is neither less nor more.
                    None if is_number && matches!(left, Value::Double(_) | Value::Int(_) | Value::Uint(_)) => false,
                    None => return Err(wrong()),
                };
                Ok(Value::Bool(holds))
            }
            Operator::In => match right {
                Value::List(list) => {
                    for index in 0..list.len() {
                        self.step(left.weight(remaining), node)?;
                        if list.get(index).is_some_and(|one| one.equals(left)) {
                            return Ok(Value::Bool(true));
                        }
                    }
                    Ok(Value::Bool(false))
                }
                Value::Map(map) => Ok(Value::Bool(map.get(left).is_some())),
                _ => Err(wrong()),
            },
            Operator::Add => match (left, right) {
                (Value::String(one), Value::String(two)) => {
                    self.makes(one.len() + two.len(), node)?;
                    Ok(Value::String(Text::Owned(format!("{}{}", &**one, &**two).into())))
                }
                (Value::Bytes(one), Value::Bytes(two)) => {
                    self.makes(one.len() + two.len(), node)?;
                    Ok(Value::Bytes([&**one, &**two].concat().into()))
                }
                (Value::List(one), Value::List(two)) => {
                    let length = one.len() + two.len();
                    self.makes(length * size_of::<Value<'_>>(), node)?;
                    self.step(u64::try_from(length).unwrap_or(u64::MAX), node)?;
                    let values = |list: &List<'a>| (0..list.len()).filter_map(|index| list.get(index)).collect();
                    let mut both: Vec<Value<'a>> = values(one);
                    let more: Vec<Value<'a>> = values(two);
                    both.extend(more);
                    Ok(Value::List(List::Owned(Arc::new(both))))
                }
                _ => arithmetic(operator, left, right).ok_or_else(wrong)?.map_err(fail),
            },
            Operator::Subtract | Operator::Multiply | Operator::Divide | Operator::Remainder => {
                arithmetic(operator, left, right).ok_or_else(wrong)?.map_err(fail)
            }
        }
    }
}

fn holds(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Less => order == Ordering::Less,
        Operator::LessOrEqual => order != Ordering::Greater,
        Operator::Greater => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }
}

/// Returns a field; none when it is not there.
fn select<'a>(of: &Value<'a>, field: &str) -> Result<Option<Value<'a>>, Failure> {
    match of {
        Value::Map(map) => Ok(map.get(&Value::String(Text::Borrowed(field)))),
        other => Err(Failure::Types(format!("{}.{field}", other.type_name()))),
    }
}

fn index<'a>(of: &Value<'a>, at: &Value<'a>) -> Result<Value<'a>, Failure> {
    match (of, at) {
        (Value::List(list), Value::Int(place)) => {
            let found = usize::try_from(*place).ok().and_then(|place| list.get(place));
            found.ok_or(Failure::NoPlace(*place))
        }
        (Value::Map(map), key) => map.get(key).ok_or_else(|| {
            Failure::NoField(match key {
                Value::String(text) => text.to_string(),
                other => other.type_name().to_owned(),
            })
        }),
        _ => Err(Failure::Types(format!("{}[{}]", of.type_name(), at.type_name()))),
    }
}

fn negate<'a>(value: &Value<'a>) -> Result<Value<'a>, Failure> {
    match value {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or(Failure::Overflow),
        Value::Double(number) => Ok(Value::Double(-number)),
        other => Err(Failure::Types(format!("-{}", other.type_name()))),
    }
}

/// Returns a sum, difference, product, quotient or rest; none when the types have none.
fn arithmetic<'a>(operator: Operator, left: &Value<'_>, right: &Value<'_>) -> Option<Result<Value<'a>, Failure>> {
    let zero = matches!(right, Value::Int(0) | Value::Uint(0));
    let divides = matches!(operator, Operator::Divide | Operator::Remainder);
    let whole = |found: Option<Value<'a>>| found.ok_or(Failure::Overflow);
    Some(match (left, right) {
        (Value::Int(_), Value::Int(_)) | (Value::Uint(_), Value::Uint(_)) if divides && zero => {
            Err(Failure::DivisionByZero)
        }
        (Value::Int(left), Value::Int(right)) => whole(
            match operator {
                Operator::Add => left.checked_add(*right),
                Operator::Subtract => left.checked_sub(*right),
                Operator::Multiply => left.checked_mul(*right),
                Operator::Divide => left.checked_div(*right),
                Operator::Remainder => left.checked_rem(*right),
                _ => return None,
            }
            .map(Value::Int),
        ),
        (Value::Uint(left), Value::Uint(right)) => whole(
            match operator {
                Operator::Add => left.checked_add(*right),
                Operator::Subtract => left.checked_sub(*right),
                Operator::Multiply => left.checked_mul(*right),
                Operator::Divide => left.checked_div(*right),
                Operator::Remainder => left.checked_rem(*right),
                _ => return None,
            }
            .map(Value::Uint),
        ),
        (Value::Double(left), Value::Double(right)) => Ok(Value::Double(match operator {
            Operator::Add => left + right,
            Operator::Subtract => left - right,
            Operator::Multiply => left * right,
            Operator::Divide => left / right,
            _ => return None,
        })),
        (Value::Timestamp(at), Value::Duration(span)) => match operator {
            Operator::Add => whole(at.checked_add(*span).ok().map(Value::Timestamp)),
            Operator::Subtract => whole(at.checked_sub(*span).ok().map(Value::Timestamp)),
            _ => return None,
        },
        (Value::Duration(span), Value::Timestamp(at)) if operator == Operator::Add => {
            whole(at.checked_add(*span).ok().map(Value::Timestamp))
        }
        (Value::Timestamp(left), Value::Timestamp(right)) if operator == Operator::Subtract => {
            Ok(Value::Duration(left.duration_since(*right)))
        }
        (Value::Duration(left), Value::Duration(right)) => {
            let found: Option<SignedDuration> = match operator {
                Operator::Add => left.checked_add(*right),
                Operator::Subtract => left.checked_sub(*right),
                _ => return None,
            };
            whole(found.map(Value::Duration))
        }
        _ => return None,
    })
}
