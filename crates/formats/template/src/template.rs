//! A template: parsed once, rendered often.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Place, TemplateError};
use crate::eval::Evaluation;
use crate::functions::Functions;
use crate::parse::{Body, parse};
use crate::value::Value;

/// How much a template may do: it may come from a stranger.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many bytes it may print, and hold in one text.
    pub output_bytes_max: usize,
    /// How many nodes may be evaluated.
    pub steps_max: usize,
    /// How deep templates may call each other.
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { output_bytes_max: 1 << 20, steps_max: 500_000, depth_max: 50 }
    }
}

/// What happens to what actions print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Escape {
    /// Nothing: Go's `text/template`.
    #[default]
    None,
    /// It becomes harmless in HTML, but for [`Value::Html`]: what `html/template` does in text and attributes.
    Html,
}

/// A parsed template with the templates that it defines.
///
/// ```
/// use maru_template::{Functions, Limits, Template, Value};
///
/// let template = Template::parse("greeting", "Hello {{ .name | printf \"%q\" }}").unwrap();
/// let data = Value::labels([("name", "Maru")]);
/// assert_eq!(template.render(&data, &Functions::default(), Limits::default()).unwrap(), "Hello \"Maru\"");
/// ```
#[derive(Debug, Clone)]
pub struct Template {
    name: String,
    root: Arc<Body>,
    defined: BTreeMap<String, Arc<Body>>,
    called: Vec<(String, Place)>,
    variables: Vec<(String, String)>,
}

/// Templates by name, from several files; a later definition takes the place of an earlier one.
#[derive(Debug, Clone, Default)]
pub struct Library(pub(crate) BTreeMap<String, Arc<Body>>);

impl Library {
    /// Takes all that a template defines, and the template itself under its own name.
    pub fn add(&mut self, template: &Template) {
        self.0.insert(template.name.clone(), Arc::clone(&template.root));
        self.0.extend(template.defined.iter().map(|(name, body)| (name.clone(), Arc::clone(body))));
    }

    /// Returns the names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Where the text is none.
    pub fn parse(name: &str, text: &str) -> Result<Self, TemplateError> {
        Self::parse_with(name, text, &[])
    }

    /// Reads a template that has variables from the start: pairs of a variable's name (without `$`) and of the field of
    /// the data that it holds, as Prometheus' `$labels` and `$value`.
    ///
    /// # Errors
    /// Where the text is no template.
    pub fn parse_with(name: &str, text: &str, variables: &[(&str, &str)]) -> Result<Self, TemplateError> {
        let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
        let parsed = parse(name, text, &names)?;
        Ok(Self {
            name: name.to_owned(),
            root: Arc::new(parsed.root),
            defined: parsed.defined,
            called: parsed.called.into_iter().collect(),
            variables: variables.iter().map(|(name, field)| ((*name).to_owned(), (*field).to_owned())).collect(),
        })
    }

    /// Returns what is wrong before anything is rendered: functions that nobody gave.
    ///
    /// # Errors
    /// The first function that is called and not known.
    pub fn check(&self, functions: &Functions) -> Result<(), TemplateError> {
        let unknown = self.called.iter().filter(|(name, _)| !functions.knows(name));
        let first = unknown.min_by_key(|(_, at)| (at.line, at.column));
        first.map_or(Ok(()), |(name, at)| {
            Err(TemplateError {
                name: self.name.clone(),
                line: at.line,
                column: at.column,
                message: format!("there is no function \"{name}\""),
            })
        })
    }

    /// Prints the template over some data.
    ///
    /// # Errors
    /// What could not be evaluated, and where; or that it did more than the limits allow.
    pub fn render(&self, data: &Value, functions: &Functions, limits: Limits) -> Result<String, TemplateError> {
        self.render_in(&Library::default(), data, functions, limits, Escape::None)
    }

    /// Prints the template; it may call the templates of a library.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_in(
        &self,
        library: &Library,
        data: &Value,
        functions: &Functions,
        limits: Limits,
        escape: Escape,
    ) -> Result<String, TemplateError> {
        let evaluation = Evaluation::new(&self.defined, library, functions, limits, escape);
        evaluation.run(&self.root, data, &self.variables)
    }
}
