//! Runs a tree over data.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::builtin;
use crate::error::{Place, TemplateError};
use crate::functions::Functions;
use crate::parse::{Body, Branch, Command, Kind, Node, Operand, Pipe};
use crate::template::{Escape, Library, Limits};
use crate::times;
use crate::value::{Missing, Value};

/// What goes on after a node.
enum Flow {
    Next,
    Break,
    Continue,
}

pub(crate) struct Evaluation<'t> {
    defined: &'t BTreeMap<String, Arc<Body>>,
    library: &'t Library,
    functions: &'t Functions,
    limits: Limits,
    escape: Escape,
    output: String,
    steps: usize,
    depth: usize,
    variables: Vec<(&'t str, Value)>,
    file: &'t str,
}

type Failure = TemplateError;

impl<'t> Evaluation<'t> {
    pub(crate) fn new(
        defined: &'t BTreeMap<String, Arc<Body>>,
        library: &'t Library,
        functions: &'t Functions,
        limits: Limits,
        escape: Escape,
    ) -> Self {
        Self {
            defined,
            library,
            functions,
            limits,
            escape,
            output: String::new(),
            steps: 0,
            depth: 0,
            variables: Vec::new(),
            file: "",
        }
    }

    pub(crate) fn run(
        mut self,
        body: &'t Body,
        data: &Value,
        variables: &'t [(String, String)],
    ) -> Result<String, Failure> {
        self.file = &body.file;
        self.variables.push(("", data.clone()));
        for (name, field) in variables {
            let value = self.field(Place { line: 1, column: 1 }, data, field, &[])?;
            self.variables.push((name, value));
        }
        self.list(&body.nodes, data)?;
        Ok(self.output)
    }

    fn fail(&self, at: Place, message: impl Into<String>) -> Failure {
        TemplateError { name: self.file.to_owned(), line: at.line, column: at.column, message: message.into() }
    }

    fn step(&mut self, at: Place) -> Result<(), Failure> {
        self.steps += 1;
        if self.steps > self.limits.steps_max {
            return Err(self.fail(at, format!("the template does more than {} steps", self.limits.steps_max)));
        }
        Ok(())
    }

    fn write(&mut self, at: Place, text: &str) -> Result<(), Failure> {
        if self.output.len() + text.len() > self.limits.output_bytes_max {
            let limit = self.limits.output_bytes_max;
            return Err(self.fail(at, format!("the template prints more than {limit} bytes")));
        }
        self.output.push_str(text);
        Ok(())
    }

    fn list(&mut self, nodes: &'t [Node], dot: &Value) -> Result<Flow, Failure> {
        for node in nodes {
            match self.node(node, dot)? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &'t Node, dot: &Value) -> Result<Flow, Failure> {
        match node {
            Node::Text(text) => {
                self.step(Place::default())?;
                self.write(Place::default(), text)?;
            }
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.print(pipe.at, &value)?;
                }
            }
            Node::If(branch) | Node::With(branch) => {
                let mark = self.variables.len();
                let value = self.pipe(&branch.pipe, dot)?;
                let flow = if !value.is_true() {
                    self.list(&branch.otherwise, dot)?
                } else if matches!(node, Node::With(_)) {
                    self.list(&branch.body, &value)?
                } else {
                    self.list(&branch.body, dot)?
                };
                self.variables.truncate(mark);
                return Ok(flow);
            }
            Node::Range(branch) => return self.range(branch, dot),
            Node::Template { at, name, pipe } => self.call_template(*at, name, pipe.as_ref(), dot)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, at: Place, value: &Value) -> Result<(), Failure> {
        let text = value.to_string();
        match (self.escape, value) {
            (Escape::None, _) | (Escape::Html, Value::Html(_)) => self.write(at, &text),
            (Escape::Html, _) => {
                // What html/template prints for nothing is nothing.
                let text = if matches!(value, Value::Null) { String::new() } else { builtin::escape_html(&text) };
                self.write(at, &text)
            }
        }
    }

    fn call_template(&mut self, at: Place, name: &str, pipe: Option<&'t Pipe>, dot: &Value) -> Result<(), Failure> {
        let body = self.defined.get(name).or_else(|| self.library.0.get(name));
        let Some(body) = body else { return Err(self.fail(at, format!("template \"{name}\" is not defined"))) };
        let mark = self.variables.len();
        let data = match pipe {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Null,
        };
        self.variables.truncate(mark);
        self.depth += 1;
        if self.depth > self.limits.depth_max {
            let limit = self.limits.depth_max;
            return Err(self.fail(at, format!("templates call each other deeper than {limit} levels")));
        }
        let kept = std::mem::replace(&mut self.variables, vec![("", data.clone())]);
        let file = std::mem::replace(&mut self.file, &body.file);
        self.list(&body.nodes, &data)?;
        self.file = file;
        self.variables = kept;
        self.depth -= 1;
        Ok(())
    }

    fn range(&mut self, branch: &'t Branch, dot: &Value) -> Result<Flow, Failure> {
        let mark = self.variables.len();
        let ranged = self.ranged_value(&branch.pipe, dot)?;
        let at = branch.pipe.at;
        let result = match ranged.plain() {
            Value::List(list) => {
                let items = list.iter().enumerate().map(|(index, item)| (number(index), item.clone()));
                self.iterate(branch, items)?
            }
            Value::Map(map) if !matches!(map.missing, Missing::Error(_)) => {
                let items = map.entries.iter().map(|(key, value)| (Value::Text(key.clone()), value.clone()));
                self.iterate(branch, items)?
            }
            Value::Integer(count) => {
                self.iterate(branch, (0..count).map(|n| (Value::Integer(n), Value::Integer(n))))?
            }
            Value::Null => false,
            other => return Err(self.fail(at, format!("range can't iterate over {other}"))),
        };
        self.variables.truncate(mark);
        if result {
            return Ok(Flow::Next);
        }
        let flow = self.list(&branch.otherwise, dot)?;
        self.variables.truncate(mark);
        Ok(flow)
    }

    /// Evaluates what is ranged over; its variables hold elements, not the whole.
    fn ranged_value(&mut self, pipe: &'t Pipe, dot: &Value) -> Result<Value, Failure> {
        self.commands(pipe, dot)
    }

    /// Runs the body once an item; tells whether there was any.
    fn iterate(&mut self, branch: &'t Branch, items: impl Iterator<Item = (Value, Value)>) -> Result<bool, Failure> {
        let mark = self.variables.len();
        let names = &branch.pipe.variables;
        let mut any = false;
        for (key, item) in items {
            any = true;
            self.step(branch.pipe.at)?;
            let values = if names.len() == 2 { vec![key, item.clone()] } else { vec![item.clone()] };
            for (name, value) in names.iter().zip(values) {
                self.bind(name, value, branch.pipe.assigns);
            }
            let flow = self.list(&branch.body, &item)?;
            self.variables.truncate(mark);
            if matches!(flow, Flow::Break) {
                break;
            }
        }
        Ok(any)
    }

    fn bind(&mut self, name: &'t str, value: Value, assigns: bool) {
        if assigns {
            if let Some((_, held)) = self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
                *held = value;
            }
        } else {
            self.variables.push((name, value));
        }
    }

    fn pipe(&mut self, pipe: &'t Pipe, dot: &Value) -> Result<Value, Failure> {
        let value = self.commands(pipe, dot)?;
        for name in &pipe.variables {
            self.bind(name, value.clone(), pipe.assigns);
        }
        Ok(value)
    }

    fn commands(&mut self, pipe: &'t Pipe, dot: &Value) -> Result<Value, Failure> {
        let mut last = None;
        for command in &pipe.commands {
            let value = self.command(command, dot, last.take())?;
            last = Some(value);
        }
        Ok(last.unwrap_or_default())
    }

    fn command(&mut self, command: &'t Command, dot: &Value, last: Option<Value>) -> Result<Value, Failure> {
        let Some((first, rest)) = command.operands.split_first() else { return Ok(Value::Null) };
        self.step(first.at)?;
        if let Kind::Function(name) = &first.kind {
            let value = self.call(first, name, rest, dot, last)?;
            return self.fields(first, value, &first.fields);
        }
        let takes_arguments = !rest.is_empty() || last.is_some();
        if !takes_arguments {
            return self.operand(first, dot);
        }
        // A method with arguments: the last field is called.
        let Some((method, path)) = first.fields.split_last() else {
            return Err(self.fail(first.at, "can't give argument to non-function"));
        };
        let receiver = self.base(first, dot)?;
        let receiver = self.fields(first, receiver, path)?;
        let arguments = self.arguments(rest, dot, last)?;
        self.field(first.at, &receiver, method, &arguments)
    }

    fn arguments(&mut self, rest: &'t [Operand], dot: &Value, last: Option<Value>) -> Result<Vec<Value>, Failure> {
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(last);
        Ok(arguments)
    }

    fn operand(&mut self, operand: &'t Operand, dot: &Value) -> Result<Value, Failure> {
        let base = self.base(operand, dot)?;
        self.fields(operand, base, &operand.fields)
    }

    fn base(&mut self, operand: &'t Operand, dot: &Value) -> Result<Value, Failure> {
        Ok(match &operand.kind {
            Kind::Dot => dot.clone(),
            Kind::Nil => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Integer(number) => Value::Integer(*number),
            Kind::Float(number) => Value::Float(*number),
            Kind::Text(text) => Value::Text(text.clone()),
            Kind::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                match found {
                    Some((_, value)) => value.clone(),
                    None => return Err(self.fail(operand.at, format!("undefined variable \"${name}\""))),
                }
            }
            Kind::Function(name) => self.call(operand, name, &[], dot, None)?,
            Kind::Pipe(pipe) => {
                let mark = self.variables.len();
                let value = self.pipe(pipe, dot)?;
                self.variables.truncate(mark);
                value
            }
        })
    }

    fn fields(&mut self, operand: &'t Operand, mut value: Value, fields: &[String]) -> Result<Value, Failure> {
        for (index, name) in fields.iter().enumerate() {
            self.step(operand.at)?;
            if index > 0 && matches!(value, Value::Null) {
                return Err(self.fail(operand.at, format!("nil pointer evaluating {name}")));
            }
            value = self.field(operand.at, &value, name, &[])?;
        }
        Ok(value)
    }

    fn field(&self, at: Place, receiver: &Value, name: &str, arguments: &[Value]) -> Result<Value, Failure> {
        let unknown =
            |value: &Value| self.fail(at, format!("can't evaluate field {name} in type {}", value.type_name()));
        match receiver {
            Value::Null => Ok(Value::Null),
            Value::Object(object) => match object.get(name, arguments) {
                Ok(Some(value)) => Ok(value),
                Ok(None) => match object.plain() {
                    Value::Map(map) => self.entry(at, &map, name, arguments),
                    other => Err(unknown(&other)),
                },
                Err(why) => Err(self.fail(at, format!("error calling {name}: {why}"))),
            },
            Value::Map(map) => self.entry(at, map, name, arguments),
            Value::Time(_) | Value::Duration(_) => match times::method(receiver, name, arguments) {
                Some(Ok(value)) => Ok(value),
                Some(Err(why)) => Err(self.fail(at, format!("error calling {name}: {why}"))),
                None => Err(unknown(receiver)),
            },
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::Html(_) | Value::List(_) => {
                Err(unknown(receiver))
            }
        }
    }

    fn entry(&self, at: Place, map: &crate::Map, name: &str, arguments: &[Value]) -> Result<Value, Failure> {
        if !arguments.is_empty() {
            return Err(self.fail(at, format!("{name} has arguments but cannot be invoked as function")));
        }
        if let Some(value) = map.entries.get(name) {
            return Ok(value.clone());
        }
        match map.missing {
            Missing::Empty => Ok(Value::Text(String::new())),
            Missing::Null => Ok(Value::Null),
            Missing::Error(type_name) => Err(self.fail(at, format!("can't evaluate field {name} in type {type_name}"))),
        }
    }

    fn call(
        &mut self,
        operand: &'t Operand,
        name: &str,
        rest: &'t [Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, Failure> {
        if matches!(name, "and" | "or") {
            return self.short_circuit(operand, name == "and", rest, dot, last);
        }
        let arguments = self.arguments(rest, dot, last)?;
        let result = match self.functions.get(name) {
            Some(function) => function(&arguments),
            None => match builtin::call(name, &arguments, self.limits.output_bytes_max) {
                Some(result) => result,
                None => return Err(self.fail(operand.at, format!("there is no function \"{name}\""))),
            },
        };
        let value = result.map_err(|why| self.fail(operand.at, format!("error calling {name}: {why}")))?;
        if value.as_text().is_some_and(|text| text.len() > self.limits.output_bytes_max) {
            let limit = self.limits.output_bytes_max;
            return Err(self.fail(operand.at, format!("{name} makes a text of more than {limit} bytes")));
        }
        Ok(value)
    }

    /// `and` stops at the first that is false, `or` at the first that is true.
    fn short_circuit(
        &mut self,
        operand: &'t Operand,
        is_and: bool,
        rest: &'t [Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Result<Value, Failure> {
        let mut value = None;
        for operand in rest {
            let next = self.operand(operand, dot)?;
            if next.is_true() != is_and {
                return Ok(next);
            }
            value = Some(next);
        }
        let name = if is_and { "and" } else { "or" };
        last.or(value)
            .ok_or_else(|| self.fail(operand.at, format!("wrong number of args for {name}: want at least 1 got 0")))
    }
}

fn number(index: usize) -> Value {
    Value::Integer(i64::try_from(index).unwrap_or(i64::MAX))
}
