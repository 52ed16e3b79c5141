//! The grammar.

use crate::functions::{self, Function};
use crate::lex::{Token, lex};
use crate::tree::{Fold, Kind, Node, Operator};
use crate::value::{Text, Value};

/// The most bytes that an expression may have.
pub const EXPRESSION_BYTES_MAX: usize = 8 << 10;
/// How deep an expression may be nested; operators in a row count as well, but for `&&` and `||`.
pub const DEPTH_MAX: usize = 48;

/// An expression that is not understood, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The column in letters, from 1.
    pub column: usize,
    /// What is wrong, and what to write.
    pub message: String,
}

impl ParseError {
    pub(crate) fn at(source: &str, at: usize, message: impl Into<String>) -> Self {
        let (line, column) = place(source, at);
        Self { line, column, message: message.into() }
    }
}

/// Returns line and column of an offset, from 1.
pub(crate) fn place(source: &str, at: usize) -> (usize, usize) {
    let before = source.get(..at.min(source.len())).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

const RESERVED: [&str; 16] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
];
const TYPES: [&str; 10] = ["bool", "bytes", "double", "duration", "int", "list", "map", "null_type", "string", "uint"];

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<(Token, usize)>,
    next: usize,
    depth: usize,
}

pub(crate) fn parse(source: &str) -> Result<Node, ParseError> {
    if source.len() > EXPRESSION_BYTES_MAX {
        let message = format!("the expression has {} bytes; at most {EXPRESSION_BYTES_MAX} are read", source.len());
        return Err(ParseError { line: 1, column: 1, message });
    }
    let mut parser = Parser { source, tokens: lex(source)?, next: 0, depth: 0 };
    let root = parser.expression()?;
    match parser.peek() {
        Token::End => Ok(root),
        other => {
            let message = format!("{} is more than an expression; combine terms with && or ||", other.show());
            Err(parser.error_here(message))
        }
    }
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(token, _)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.source.len(), |(_, at)| *at)
    }

    fn error_here(&self, message: impl Into<String>) -> ParseError {
        ParseError::at(self.source, self.at(), message)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is_here = matches!(self.peek(), Token::Sign(found) if *found == sign);
        self.next += usize::from(is_here);
        is_here
    }

    fn expect(&mut self, sign: &str) -> Result<(), ParseError> {
        if self.takes(sign) {
            return Ok(());
        }
        Err(self.error_here(format!("\"{sign}\" is missing before {}", self.peek().show())))
    }

    /// Refuses what is too deep, so that nothing that goes over the tree can run out of stack.
    fn node(&self, kind: Kind, at: usize, below: &[usize]) -> Result<Node, ParseError> {
        let depth = below.iter().max().copied().unwrap_or_default() + 1;
        if depth > DEPTH_MAX {
            return Err(ParseError::at(self.source, at, format!("the expression is nested deeper than {DEPTH_MAX}")));
        }
        Ok(Node { kind, at, depth })
    }

    fn expression(&mut self) -> Result<Node, ParseError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error_here(format!("the expression is nested deeper than {DEPTH_MAX}")));
        }
        let at = self.at();
        let condition = self.or()?;
        let node = if self.takes("?") {
            let then = self.or()?;
            self.expect(":")?;
            let other = self.expression()?;
            let below = [condition.depth, then.depth, other.depth];
            let kind =
                Kind::Conditional { condition: Box::new(condition), then: Box::new(then), other: Box::new(other) };
            self.node(kind, at, &below)?
        } else {
            condition
        };
        self.depth -= 1;
        Ok(node)
    }

    fn or(&mut self) -> Result<Node, ParseError> {
        self.chain("||", Self::and, Kind::Or)
    }

    fn and(&mut self) -> Result<Node, ParseError> {
        self.chain("&&", |parser| parser.binary(0), Kind::And)
    }

    fn chain(
        &mut self,
        sign: &str,
        part: fn(&mut Self) -> Result<Node, ParseError>,
        whole: fn(Vec<Node>) -> Kind,
    ) -> Result<Node, ParseError> {
        let at = self.at();
        let first = part(self)?;
        if !matches!(self.peek(), Token::Sign(found) if *found == sign) {
            return Ok(first);
        }
        let mut nodes = vec![first];
        while self.takes(sign) {
            nodes.push(part(self)?);
        }
        let below: Vec<usize> = nodes.iter().map(|node| node.depth).collect();
        self.node(whole(nodes), at, &below)
    }

    fn operator(&self, level: usize) -> Option<Operator> {
        match (level, self.peek()) {
            (0, Token::Name(name)) if name == "in" => Some(Operator::In),
            (0, Token::Sign("==")) => Some(Operator::Equal),
            (0, Token::Sign("!=")) => Some(Operator::NotEqual),
            (0, Token::Sign("<")) => Some(Operator::Less),
            (0, Token::Sign("<=")) => Some(Operator::LessOrEqual),
            (0, Token::Sign(">")) => Some(Operator::Greater),
            (0, Token::Sign(">=")) => Some(Operator::GreaterOrEqual),
            (1, Token::Sign("+")) => Some(Operator::Add),
            (1, Token::Sign("-")) => Some(Operator::Subtract),
            (2, Token::Sign("*")) => Some(Operator::Multiply),
            (2, Token::Sign("/")) => Some(Operator::Divide),
            (2, Token::Sign("%")) => Some(Operator::Remainder),
            _ => None,
        }
    }

    /// Comparisons (level 0) hold sums (1), which hold products (2); each is read from left to right.
    fn binary(&mut self, level: usize) -> Result<Node, ParseError> {
        let part = |parser: &mut Self| if level == 2 { parser.unary() } else { parser.binary(level + 1) };
        let mut left = part(self)?;
        while let Some(operator) = self.operator(level) {
            let at = self.at();
            self.next += 1;
            let right = part(self)?;
            let below = [left.depth, right.depth];
            let kind = Kind::Binary { operator, left: Box::new(left), right: Box::new(right) };
            left = self.node(kind, at, &below)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, ParseError> {
        let mut signs = Vec::new();
        while let Token::Sign(sign @ ("!" | "-")) = self.peek() {
            let sign = *sign;
            if signs.len() >= DEPTH_MAX {
                return Err(self.error_here(format!("the expression is nested deeper than {DEPTH_MAX}")));
            }
            signs.push((sign, self.at()));
            self.next += 1;
        }
        let mut node = match (self.peek(), signs.last()) {
            (Token::IntMin, Some(("-", at))) => {
                let at = *at;
                signs.pop();
                self.next += 1;
                let number = self.node(Kind::Literal(Value::Int(i64::MIN)), at, &[])?;
                self.members(number)?
            }
            _ => self.member()?,
        };
        for (sign, at) in signs.into_iter().rev() {
            let below = [node.depth];
            let kind = if sign == "!" { Kind::Not(Box::new(node)) } else { Kind::Negate(Box::new(node)) };
            node = self.node(kind, at, &below)?;
        }
        Ok(node)
    }

    fn member(&mut self) -> Result<Node, ParseError> {
        let primary = self.primary()?;
        self.members(primary)
    }

    fn members(&mut self, mut node: Node) -> Result<Node, ParseError> {
        loop {
            let at = self.at();
            if self.takes(".") {
                let Token::Name(name) = self.take() else {
                    return Err(ParseError::at(self.source, at, "a field or a function is missing behind the dot"));
                };
                if self.takes("(") {
                    node = self.method(node, &name, at + 1)?;
                } else {
                    let below = [node.depth];
                    node = self.node(Kind::Select { of: Box::new(node), field: name }, at, &below)?;
                }
            } else if self.takes("[") {
                let index = self.expression()?;
                self.expect("]")?;
                let below = [node.depth, index.depth];
                node = self.node(Kind::Index { of: Box::new(node), at: Box::new(index) }, at, &below)?;
            } else if matches!(self.peek(), Token::Sign("{")) {
                return Err(self.error_here("messages are not supported; write a map {\"key\": value}"));
            } else {
                return Ok(node);
            }
        }
    }

    fn primary(&mut self) -> Result<Node, ParseError> {
        let at = self.at();
        let literal = match self.take() {
            Token::Int(number) => Value::Int(number),
            Token::Uint(number) => Value::Uint(number),
            Token::Double(number) => Value::Double(number),
            Token::Text(text) => Value::String(Text::Owned(text.into())),
            Token::Bytes(bytes) => Value::Bytes(bytes.into()),
            Token::IntMin => return Err(ParseError::at(self.source, at, "the number is not understood, or too large")),
            Token::Name(name) => return self.name(name, at),
            Token::Sign("(") => {
                let node = self.expression()?;
                self.expect(")")?;
                return Ok(node);
            }
            Token::Sign("[") => {
                let nodes = self.list("]")?;
                let below: Vec<usize> = nodes.iter().map(|node| node.depth).collect();
                return self.node(Kind::List(nodes), at, &below);
            }
            Token::Sign("{") => return self.map(at),
            other => {
                let message = format!("a value is missing before {}", other.show());
                return Err(ParseError::at(self.source, at, message));
            }
        };
        self.node(Kind::Literal(literal), at, &[])
    }

    fn name(&mut self, name: String, at: usize) -> Result<Node, ParseError> {
        if self.takes("(") {
            if name == "has" {
                return self.has(at);
            }
            let arguments = self.list(")")?;
            return self.call(&name, arguments, at);
        }
        let kind = match name.as_str() {
            "true" => Kind::Literal(Value::Bool(true)),
            "false" => Kind::Literal(Value::Bool(false)),
            "null" => Kind::Literal(Value::Null),
            reserved if RESERVED.contains(&reserved) => {
                return Err(ParseError::at(self.source, at, format!("\"{reserved}\" is a reserved word")));
            }
            known if TYPES.contains(&known) => {
                let known = TYPES.iter().find(|one| **one == known).copied().unwrap_or_default();
                Kind::Literal(Value::Type(known))
            }
            _ => Kind::Identifier(name),
        };
        self.node(kind, at, &[])
    }

    /// Reads expressions until the closing sign; one comma may stand before it.
    fn list(&mut self, closing: &str) -> Result<Vec<Node>, ParseError> {
        let mut nodes = Vec::new();
        while !self.takes(closing) {
            nodes.push(self.expression()?);
            if !self.takes(",") {
                self.expect(closing)?;
                break;
            }
        }
        Ok(nodes)
    }

    fn map(&mut self, at: usize) -> Result<Node, ParseError> {
        let mut entries = Vec::new();
        while !self.takes("}") {
            let key = self.expression()?;
            self.expect(":")?;
            entries.push((key, self.expression()?));
            if !self.takes(",") {
                self.expect("}")?;
                break;
            }
        }
        let below: Vec<usize> = entries.iter().map(|(key, value)| key.depth.max(value.depth)).collect();
        self.node(Kind::Map(entries), at, &below)
    }

    fn has(&mut self, at: usize) -> Result<Node, ParseError> {
        let argument = self.expression()?;
        self.expect(")")?;
        let depth = argument.depth;
        match argument.kind {
            Kind::Select { of, field } => self.node(Kind::Has { of, field }, at, &[depth]),
            _ => Err(ParseError::at(self.source, at, "has() asks for a field: has(object.field)")),
        }
    }

    fn method(&mut self, of: Node, name: &str, at: usize) -> Result<Node, ParseError> {
        let fold = match name {
            "all" => Some(Fold::All),
            "exists" => Some(Fold::Exists),
            "exists_one" | "existsOne" => Some(Fold::ExistsOne),
            "filter" => Some(Fold::Filter),
            "map" => Some(Fold::Map),
            _ => None,
        };
        let mut arguments = self.list(")")?;
        let Some(fold) = fold else {
            arguments.insert(0, of);
            return self.call(name, arguments, at);
        };
        let asks =
            || ParseError::at(self.source, at, format!("{name}() asks for a name and an expression: {name}(x, …)"));
        let below: Vec<usize> = arguments.iter().map(|node| node.depth).chain([of.depth]).collect();
        let mut arguments = arguments.into_iter();
        let Some(Kind::Identifier(variable)) = arguments.next().map(|node| node.kind) else { return Err(asks()) };
        let (filter, body) = match (arguments.next(), arguments.next(), arguments.next()) {
            (Some(body), None, _) => (None, body),
            (Some(filter), Some(body), None) if fold == Fold::Map => (Some(Box::new(filter)), body),
            _ => return Err(asks()),
        };
        self.node(Kind::Fold { fold, range: Box::new(of), variable, filter, body: Box::new(body) }, at, &below)
    }

    fn call(&mut self, name: &str, arguments: Vec<Node>, at: usize) -> Result<Node, ParseError> {
        let function = Function::of_name(name).ok_or_else(|| {
            ParseError::at(
                self.source,
                at,
                format!("there is no function \"{name}\"; there are {}", functions::names()),
            )
        })?;
        let (least, most) = function.arguments();
        if !(least..=most).contains(&arguments.len()) {
            let message = format!("{name}() takes {}, not {}", function.usage(), arguments.len());
            return Err(ParseError::at(self.source, at, message));
        }
        let below: Vec<usize> = arguments.iter().map(|node| node.depth).collect();
        let pattern = match (function, arguments.last().map(|last| (&last.kind, last.at))) {
            (Function::Matches, Some((Kind::Literal(Value::String(pattern)), place))) => {
                let compiled = functions::pattern(pattern);
                Some(compiled.map_err(|error| ParseError::at(self.source, place, error))?)
            }
            _ => None,
        };
        self.node(Kind::Call { function, arguments, pattern }, at, &below)
    }
}
