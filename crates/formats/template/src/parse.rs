//! From tokens to a tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Place, TemplateError};
use crate::lex::{Spanned, Token, Tokens, shown, tokens};

/// How deep actions and parentheses may nest.
const DEPTH_MAX: usize = 100;

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template { at: Place, name: String, pipe: Option<Pipe> },
    Break,
    Continue,
}

/// What `if`, `with` and `range` have in common.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) body: Vec<Node>,
    pub(crate) otherwise: Vec<Node>,
}

#[derive(Debug, Clone)]
pub(crate) struct Pipe {
    pub(crate) at: Place,
    pub(crate) variables: Vec<String>,
    /// Whether the variables are there already.
    pub(crate) assigns: bool,
    pub(crate) commands: Vec<Command>,
}

#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) operands: Vec<Operand>,
}

#[derive(Debug, Clone)]
pub(crate) struct Operand {
    pub(crate) at: Place,
    pub(crate) kind: Kind,
    /// The fields that follow: `.a.b`, `$x.a`, `(…).a`.
    pub(crate) fields: Vec<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Dot,
    Nil,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Variable(String),
    Function(String),
    Pipe(Box<Pipe>),
}

/// A template's tree, with the name of the file for errors.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) file: Arc<str>,
    pub(crate) nodes: Vec<Node>,
}

pub(crate) struct Parsed {
    pub(crate) root: Body,
    pub(crate) defined: BTreeMap<String, Arc<Body>>,
    /// The functions that are called, with their first place.
    pub(crate) called: BTreeMap<String, Place>,
}

pub(crate) fn parse(name: &str, text: &str, variables: &[&str]) -> Result<Parsed, TemplateError> {
    let file: Arc<str> = Arc::from(name);
    let fail = |(at, message): (Place, String)| TemplateError {
        name: name.to_owned(),
        line: at.line,
        column: at.column,
        message,
    };
    let tokens = tokens(text).map_err(fail)?;
    let end = tokens.last().map_or(Place { line: 1, column: 1 }, |last| last.at);
    let mut parser = Parser {
        tokens: Tokens::new(tokens),
        end,
        variables: variables.iter().map(|name| (*name).to_owned()).collect(),
        defined: BTreeMap::new(),
        called: BTreeMap::new(),
        file: Arc::clone(&file),
        loops: 0,
        depth: 0,
    };
    let (nodes, stop) = parser.list().map_err(fail)?;
    if let Some((at, word)) = stop {
        return Err(fail((at, format!("\"{}\" without a block that it belongs to", word.word()))));
    }
    Ok(Parsed { root: Body { file, nodes }, defined: parser.defined, called: parser.called })
}

type Result2<T> = Result<T, (Place, String)>;

type Stopped = (Place, Stop);

/// What ends a list of nodes.
enum Stop {
    End,
    Else,
}

impl Stop {
    fn word(&self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Else => "else",
        }
    }
}

struct Parser {
    tokens: Tokens,
    end: Place,
    variables: Vec<String>,
    defined: BTreeMap<String, Arc<Body>>,
    called: BTreeMap<String, Place>,
    file: Arc<str>,
    loops: usize,
    depth: usize,
}

impl Parser {
    fn at(&self) -> Place {
        self.tokens.peek().map_or(self.end, |spanned| spanned.at)
    }

    fn take_if(&mut self, token: &Token) -> bool {
        self.tokens.next_if(|spanned| spanned.token == *token).is_some()
    }

    fn skip_space(&mut self) {
        while self.take_if(&Token::Space) {}
    }

    fn close(&mut self) -> Result2<()> {
        self.skip_space();
        let at = self.at();
        if self.take_if(&Token::Close) {
            return Ok(());
        }
        let found = self.tokens.next().map(|spanned| shown(&spanned.token)).unwrap_or_default();
        Err((at, format!("unexpected {found} where the action should end")))
    }

    fn deeper(&mut self) -> Result2<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err((self.at(), format!("nests deeper than {DEPTH_MAX} levels")));
        }
        Ok(())
    }

    /// Reads nodes up to `end` or `else` (whose closing delimiter is read for `end` only) or the end of the text.
    fn list(&mut self) -> Result2<(Vec<Node>, Option<Stopped>)> {
        let mut nodes = Vec::new();
        while let Some(spanned) = self.tokens.next() {
            let at = spanned.at;
            match spanned.token {
                Token::Text(text) => nodes.push(Node::Text(text)),
                Token::Open => {
                    self.skip_space();
                    let keyword = match self.tokens.peek().map(|spanned| &spanned.token) {
                        Some(Token::Word(word)) => word.clone(),
                        _ => String::new(),
                    };
                    match keyword.as_str() {
                        "end" => {
                            self.tokens.next();
                            self.close()?;
                            return Ok((nodes, Some((at, Stop::End))));
                        }
                        "else" => {
                            self.tokens.next();
                            self.skip_space();
                            return Ok((nodes, Some((at, Stop::Else))));
                        }
                        _ => nodes.extend(self.action(at, &keyword)?),
                    }
                }
                other => return Err((at, format!("unexpected {}", shown(&other)))),
            }
        }
        Ok((nodes, None))
    }

    fn action(&mut self, at: Place, keyword: &str) -> Result2<Option<Node>> {
        if !matches!(keyword, "if" | "with" | "range" | "define" | "block" | "template" | "break" | "continue") {
            let pipe = self.pipe(false)?;
            self.close()?;
            if pipe.commands.is_empty() {
                return Err((at, "the action is empty".to_owned()));
            }
            return Ok(Some(Node::Action(pipe)));
        }
        self.tokens.next();
        self.skip_space();
        match keyword {
            "if" | "with" | "range" => self.branch(at, keyword).map(Some),
            "define" => self.define(at).map(|()| None),
            "block" | "template" => {
                let name = self.name(at)?;
                self.skip_space();
                let has_pipe = self.tokens.peek().is_some_and(|spanned| spanned.token != Token::Close);
                let pipe = if has_pipe { Some(self.pipe(false)?) } else { None };
                self.close()?;
                if keyword == "block" {
                    if pipe.is_none() {
                        return Err((at, "\"block\" lacks its value; write {{block \"name\" .}}".to_owned()));
                    }
                    let body = self.body(at)?;
                    self.defined.insert(name.clone(), Arc::new(body));
                }
                Ok(Some(Node::Template { at, name, pipe }))
            }
            _ => {
                self.close()?;
                if self.loops == 0 {
                    return Err((at, format!("\"{keyword}\" outside of a range")));
                }
                Ok(Some(if keyword == "break" { Node::Break } else { Node::Continue }))
            }
        }
    }

    fn name(&mut self, at: Place) -> Result2<String> {
        match self.tokens.next().map(|spanned| spanned.token) {
            Some(Token::String(name)) => Ok(name),
            _ => Err((at, "a template's name must be a quoted text".to_owned())),
        }
    }

    fn define(&mut self, at: Place) -> Result2<()> {
        if self.depth > 0 {
            return Err((at, "\"define\" stands inside another block; move it out".to_owned()));
        }
        let name = self.name(at)?;
        self.close()?;
        let body = self.body(at)?;
        self.defined.insert(name, Arc::new(body));
        Ok(())
    }

    /// Reads what `define` or `block` holds: it has variables of its own.
    fn body(&mut self, at: Place) -> Result2<Body> {
        let kept: Vec<String> = self.variables.drain(..).collect();
        let loops = std::mem::take(&mut self.loops);
        self.deeper()?;
        let (nodes, stop) = self.list()?;
        self.depth -= 1;
        self.loops = loops;
        self.variables = kept;
        match stop {
            Some((_, Stop::End)) => Ok(Body { file: Arc::clone(&self.file), nodes }),
            Some((at, Stop::Else)) => Err((at, "\"else\" without \"if\", \"with\" or \"range\"".to_owned())),
            None => Err((at, "the block is not closed with {{end}}".to_owned())),
        }
    }

    fn branch(&mut self, at: Place, keyword: &str) -> Result2<Node> {
        let mark = self.variables.len();
        self.deeper()?;
        let pipe = self.pipe(keyword == "range")?;
        self.close()?;
        if pipe.commands.is_empty() {
            return Err((at, format!("\"{keyword}\" lacks its value")));
        }
        self.loops += usize::from(keyword == "range");
        let (body, stop) = self.list()?;
        self.loops -= usize::from(keyword == "range");
        let mut otherwise = Vec::new();
        match stop {
            None => return Err((at, format!("the \"{keyword}\" is not closed with {{{{end}}}}"))),
            Some((_, Stop::End)) => {}
            Some((at, Stop::Else)) => otherwise = self.otherwise(at, keyword)?,
        }
        self.depth -= 1;
        self.variables.truncate(mark);
        let branch = Branch { pipe, body, otherwise };
        Ok(match keyword {
            "if" => Node::If(branch),
            "with" => Node::With(branch),
            _ => Node::Range(branch),
        })
    }

    /// Reads from after the word `else` to the end of the whole branch.
    fn otherwise(&mut self, at: Place, keyword: &str) -> Result2<Vec<Node>> {
        let chained = match self.tokens.peek().map(|spanned| &spanned.token) {
            Some(Token::Word(word)) if word == keyword && keyword != "range" => Some(word.clone()),
            _ => None,
        };
        if let Some(word) = chained {
            self.tokens.next();
            self.skip_space();
            return Ok(vec![self.branch(at, &word)?]);
        }
        self.close()?;
        let (nodes, stop) = self.list()?;
        match stop {
            Some((_, Stop::End)) => Ok(nodes),
            Some((at, Stop::Else)) => Err((at, "there is an \"else\" already".to_owned())),
            None => Err((at, format!("the \"{keyword}\" is not closed with {{{{end}}}}"))),
        }
    }

    /// Reads a pipeline up to what may not be in it.
    fn pipe(&mut self, in_range: bool) -> Result2<Pipe> {
        self.skip_space();
        let at = self.at();
        self.deeper()?;
        let mut pipe = Pipe { at, variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declaration(&mut pipe, in_range)?;
        loop {
            self.skip_space();
            let command = self.command()?;
            let is_pipe = self.take_if(&Token::Pipe);
            if command.operands.is_empty() {
                if is_pipe || !pipe.commands.is_empty() || !pipe.variables.is_empty() {
                    return Err((self.at(), "a value is missing in the pipeline".to_owned()));
                }
                break;
            }
            let constant = matches!(
                command.operands[0].kind,
                Kind::Nil | Kind::Bool(_) | Kind::Integer(_) | Kind::Float(_) | Kind::Text(_)
            );
            if constant && (!pipe.commands.is_empty() || command.operands.len() > 1) {
                return Err((command.operands[0].at, "a constant cannot be called".to_owned()));
            }
            if matches!(command.operands[0].kind, Kind::Nil) {
                return Err((command.operands[0].at, "nil is not a command".to_owned()));
            }
            pipe.commands.push(command);
            if !is_pipe {
                break;
            }
        }
        // Declared only now: a variable cannot be used in its own value.
        if !pipe.assigns {
            self.variables.extend(pipe.variables.iter().cloned());
        }
        self.depth -= 1;
        Ok(pipe)
    }

    /// Reads `$x :=`, `$x =`, and in ranges `$i, $x :=`.
    fn declaration(&mut self, pipe: &mut Pipe, in_range: bool) -> Result2<()> {
        let mut ahead = self.tokens.clone();
        let mut names = Vec::new();
        loop {
            let mut next = ahead.next().map(|spanned| spanned.token);
            while next == Some(Token::Space) {
                next = ahead.next().map(|spanned| spanned.token);
            }
            match next {
                Some(Token::Variable(name)) if names.is_empty() || in_range => names.push(name),
                _ => return Ok(()),
            }
            let mut next = ahead.next().map(|spanned| spanned.token);
            while next == Some(Token::Space) {
                next = ahead.next().map(|spanned| spanned.token);
            }
            match next {
                Some(Token::Comma) if in_range && names.len() < 2 => {}
                Some(Token::Declare) => break,
                Some(Token::Assign) => {
                    pipe.assigns = true;
                    break;
                }
                _ => return Ok(()),
            }
        }
        if pipe.assigns {
            let at = self.at();
            for name in &names {
                self.known(at, name)?;
            }
        }
        self.tokens = ahead;
        pipe.variables = names;
        Ok(())
    }

    fn known(&self, at: Place, name: &str) -> Result2<()> {
        if name.is_empty() || self.variables.iter().any(|known| known == name) {
            return Ok(());
        }
        Err((at, format!("undefined variable \"${name}\"")))
    }

    fn command(&mut self) -> Result2<Command> {
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            let Some(operand) = self.operand()? else { break };
            operands.push(operand);
            let at = self.at();
            match self.tokens.peek().map(|spanned| &spanned.token) {
                Some(Token::Space | Token::Pipe | Token::Close | Token::RightParenthesis) | None => {}
                Some(other) => {
                    let shown = shown(other);
                    return Err((at, format!("unexpected {shown} in an operand; put a space before it")));
                }
            }
        }
        Ok(Command { operands })
    }

    fn operand(&mut self) -> Result2<Option<Operand>> {
        let Some(spanned) = self.tokens.peek() else { return Ok(None) };
        let (at, token) = (spanned.at, spanned.token.clone());
        let mut fields = Vec::new();
        let kind = match token {
            Token::Dot => Kind::Dot,
            Token::Field(name) => {
                fields.push(name);
                Kind::Dot
            }
            Token::Variable(name) => {
                self.known(at, &name)?;
                Kind::Variable(name)
            }
            Token::Word(word) => match word.as_str() {
                "true" | "false" => Kind::Bool(word == "true"),
                "nil" => Kind::Nil,
                "if" | "else" | "end" | "range" | "with" | "define" | "block" | "template" | "break" | "continue" => {
                    return Err((at, format!("unexpected \"{word}\" in an operand")));
                }
                _ => {
                    self.called.entry(word.clone()).or_insert(at);
                    Kind::Function(word)
                }
            },
            Token::Integer(number) => Kind::Integer(number),
            Token::Float(number) => Kind::Float(number),
            Token::String(text) => Kind::Text(text),
            Token::LeftParenthesis => {
                self.tokens.next();
                let mark = self.variables.len();
                let pipe = self.pipe(false)?;
                self.variables.truncate(mark);
                self.skip_space();
                if self.tokens.peek().is_none_or(|spanned| spanned.token != Token::RightParenthesis) {
                    return Err((at, "a left parenthesis is not closed".to_owned()));
                }
                if pipe.commands.is_empty() {
                    return Err((at, "the parentheses are empty".to_owned()));
                }
                Kind::Pipe(Box::new(pipe))
            }
            Token::Text(_)
            | Token::Open
            | Token::Close
            | Token::Space
            | Token::Pipe
            | Token::Declare
            | Token::Assign
            | Token::Comma
            | Token::RightParenthesis => return Ok(None),
        };
        self.tokens.next();
        while let Some(Spanned { token: Token::Field(name), .. }) =
            self.tokens.next_if(|spanned| matches!(spanned.token, Token::Field(_)))
        {
            fields.push(name);
        }
        let is_constant = matches!(kind, Kind::Nil | Kind::Bool(_) | Kind::Integer(_) | Kind::Float(_) | Kind::Text(_));
        if is_constant && !fields.is_empty() {
            return Err((at, format!("a constant has no field \".{}\"", fields.join("."))));
        }
        Ok(Some(Operand { at, kind, fields }))
    }
}
