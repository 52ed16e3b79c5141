//! What can stand at a place in a query that is being typed.

use super::ast::Span;
use super::functions::FUNCTIONS;
use super::lexer::{lex, unquote};
use super::operators::{Aggregator, BinaryOperator};
use super::token::{Keyword, Token, TokenKind};

/// What kind of word can stand somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompletionKind {
    /// A metric's name.
    Metric,
    /// A label's name.
    Label,
    /// A label's value.
    Value,
    /// A function.
    Function,
    /// An aggregation.
    Aggregation,
    /// A binary operator or a word such as `offset`.
    Keyword,
    /// A length of time.
    Duration,
}

/// A word that the language itself knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The word.
    pub text: &'static str,
    /// What kind of word it is.
    pub kind: CompletionKind,
    /// One line for people; may be empty.
    pub summary: &'static str,
}

/// What can be put at a place in a query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completion {
    /// What kinds of words can stand there; none: nothing is known.
    pub kinds: Vec<CompletionKind>,
    /// What the word replaces.
    pub span: Span,
    /// What is typed of it already, without an opening quote.
    pub prefix: String,
    /// The metric whose labels are asked for, when it is known.
    pub metric: Option<String>,
    /// The label whose values are asked for.
    pub label: Option<String>,
    /// The language's own words that start with `prefix`; names of metrics and labels are the store's to know.
    pub candidates: Vec<Candidate>,
}

/// Lengths of time that people use.
const DURATIONS: [&str; 9] = ["30s", "1m", "5m", "10m", "30m", "1h", "6h", "1d", "1w"];

/// Words between an operator and its right side.
const BEHIND_OPERATOR: [(&str, &str); 3] = [
    ("bool", "0 or 1 instead of leaving series out"),
    ("ignoring", "partners agree in all labels but these"),
    ("on", "partners agree in these labels"),
];

/// Words behind an expression, besides operators.
const BEHIND_OPERAND: [(&str, &str); 5] = [
    ("by", "one group for each value of these labels"),
    ("group_left", "several series of the left side may have one partner"),
    ("group_right", "several series of the right side may have one partner"),
    ("offset", "as it was some time ago"),
    ("without", "groups by all labels but these"),
];

/// What encloses the place.
#[derive(Debug, Clone)]
enum Opened {
    Parenthesis,
    /// The parentheses of `by (…)` and its like.
    Labels,
    Braces(Option<String>),
    Brackets,
}

/// Tells what can stand at byte `cursor` of `text`.
#[must_use]
pub fn complete(text: &str, cursor: usize) -> Completion {
    let mut cursor = cursor.min(text.len());
    while !text.is_char_boundary(cursor) {
        cursor -= 1;
    }
    let typed = text.get(..cursor).unwrap_or_default();
    let mut tokens = lex(typed).tokens;
    let unfinished = tokens.pop().filter(|last| last.kind == TokenKind::Error && last.span.start < cursor);
    let word = |span: Span| typed.get(span.start..span.end).unwrap_or_default();
    let mut completion = Completion { span: Span::new(cursor, cursor), ..Completion::default() };
    if let Some(unfinished) = unfinished {
        let begun = word(unfinished.span);
        let is_text = begun.starts_with(['"', '\'', '`']);
        if is_text && let Some(Opened::Braces(metric)) = opened(&tokens, typed).pop() {
            completion.span = Span::new(unfinished.span.start + 1, cursor);
            completion.prefix = begun.chars().skip(1).collect();
            completion.metric = metric;
            in_quotes(&tokens, &word, &mut completion);
        }
        // A word that is no duration in brackets, or anything else: nothing helps.
        return completion;
    }
    let is_typed = |last: &Token| {
        let is_number = matches!(last.kind, TokenKind::Number | TokenKind::Duration);
        last.span.end == cursor && (is_number || is_word(last.kind))
    };
    if let Some(last) = tokens.last().copied().filter(is_typed) {
        tokens.pop();
        completion.span = last.span;
        word(last.span).clone_into(&mut completion.prefix);
    }
    let before = tokens.last().map(|token| token.kind);
    match opened(&tokens, typed).pop() {
        Some(Opened::Braces(metric)) => {
            completion.metric = metric;
            if matches!(before, Some(TokenKind::LeftBrace | TokenKind::Comma)) {
                completion.kinds.push(CompletionKind::Label);
            }
        }
        Some(Opened::Labels) => {
            if matches!(before, Some(TokenKind::LeftParenthesis | TokenKind::Comma)) {
                completion.metric = a_metric(text);
                completion.kinds.push(CompletionKind::Label);
            }
        }
        Some(Opened::Brackets) => completion.kinds.push(CompletionKind::Duration),
        Some(Opened::Parenthesis) | None => completion.kinds = in_expression(before, &completion.prefix),
    }
    completion.candidates = candidates(&completion, before);
    completion
}

/// Fills in what a text in quotes inside braces is: a label's value, or a name.
fn in_quotes<'a>(tokens: &[Token], word: &impl Fn(Span) -> &'a str, completion: &mut Completion) {
    let mut back = tokens.iter().rev();
    match back.next().map(|token| token.kind) {
        Some(
            TokenKind::Assign
            | TokenKind::Matches
            | TokenKind::NotMatches
            | TokenKind::Operator(BinaryOperator::NotEqual),
        ) => {
            completion.kinds.push(CompletionKind::Value);
            completion.label = back.next().map(|label| match label.kind {
                TokenKind::String => String::from_utf8_lossy(&unquote(word(label.span))).into_owned(),
                _ => word(label.span).to_owned(),
            });
        }
        Some(TokenKind::LeftBrace | TokenKind::Comma) => {
            completion.kinds.extend([CompletionKind::Label, CompletionKind::Metric]);
        }
        _ => {}
    }
}

fn in_expression(before: Option<TokenKind>, prefix: &str) -> Vec<CompletionKind> {
    let is_number = prefix.starts_with(|first: char| first.is_ascii_digit());
    let mut operand = vec![CompletionKind::Metric, CompletionKind::Function, CompletionKind::Aggregation];
    match before {
        Some(TokenKind::Keyword(Keyword::Offset)) => vec![CompletionKind::Duration],
        _ if is_number => Vec::new(),
        Some(TokenKind::Operator(_)) => {
            operand.push(CompletionKind::Keyword);
            operand
        }
        None | Some(TokenKind::Comma | TokenKind::LeftParenthesis | TokenKind::Keyword(Keyword::Bool)) => operand,
        Some(TokenKind::At | TokenKind::Keyword(_)) => Vec::new(),
        Some(_) => vec![CompletionKind::Keyword],
    }
}

fn is_word(kind: TokenKind) -> bool {
    match kind {
        TokenKind::Identifier
        | TokenKind::MetricIdentifier
        | TokenKind::Keyword(_)
        | TokenKind::Aggregator(_)
        | TokenKind::Special(_) => true,
        TokenKind::Operator(operator) => operator.is_set() || operator == BinaryOperator::Atan2,
        _ => false,
    }
}

/// Returns what is open behind `tokens`, the innermost last.
fn opened(tokens: &[Token], text: &str) -> Vec<Opened> {
    let mut opened = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| tokens.get(before));
        match token.kind {
            TokenKind::LeftParenthesis => opened.push(match before.map(|before| before.kind) {
                Some(TokenKind::Keyword(
                    Keyword::By
                    | Keyword::Without
                    | Keyword::On
                    | Keyword::Ignoring
                    | Keyword::GroupLeft
                    | Keyword::GroupRight,
                )) => Opened::Labels,
                _ => Opened::Parenthesis,
            }),
            TokenKind::LeftBrace => {
                let metric = before
                    .filter(|before| is_word(before.kind))
                    .and_then(|before| text.get(before.span.start..before.span.end));
                opened.push(Opened::Braces(metric.map(str::to_owned)));
            }
            TokenKind::LeftBracket => opened.push(Opened::Brackets),
            TokenKind::RightParenthesis | TokenKind::RightBrace | TokenKind::RightBracket => drop(opened.pop()),
            _ => {}
        }
    }
    opened
}

/// Returns the first metric of the query that has braces or a window.
fn a_metric(text: &str) -> Option<String> {
    let tokens = lex(text).tokens;
    tokens.windows(2).find_map(|pair| {
        let [word, behind] = pair else { return None };
        let is_metric = matches!(word.kind, TokenKind::Identifier | TokenKind::MetricIdentifier)
            && matches!(behind.kind, TokenKind::LeftBrace | TokenKind::LeftBracket);
        is_metric.then(|| text.get(word.span.start..word.span.end).map(str::to_owned)).flatten()
    })
}

fn candidates(completion: &Completion, before: Option<TokenKind>) -> Vec<Candidate> {
    let prefix = completion.prefix.to_ascii_lowercase();
    let mut candidates = Vec::new();
    for kind in &completion.kinds {
        let mut offer = |text: &'static str, summary: &'static str| {
            if text.starts_with(&prefix) {
                candidates.push(Candidate { text, kind: *kind, summary });
            }
        };
        match kind {
            CompletionKind::Function => FUNCTIONS.iter().for_each(|function| offer(function.name, function.summary)),
            CompletionKind::Aggregation => Aggregator::ALL.into_iter().for_each(|operator| offer(operator.name(), "")),
            CompletionKind::Keyword => {
                if matches!(before, Some(TokenKind::Operator(_))) {
                    BEHIND_OPERATOR.iter().for_each(|(name, summary)| offer(name, summary));
                } else {
                    BEHIND_OPERAND.iter().for_each(|(name, summary)| offer(name, summary));
                    BinaryOperator::ALL.into_iter().for_each(|operator| offer(operator.symbol(), ""));
                }
            }
            CompletionKind::Duration => DURATIONS.iter().for_each(|duration| offer(duration, "")),
            CompletionKind::Metric | CompletionKind::Label | CompletionKind::Value => {}
        }
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Completes at `|`.
    fn at(marked: &str) -> Completion {
        let cursor = marked.find('|').unwrap();
        complete(&marked.replacen('|', "", 1), cursor)
    }

    #[test]
    fn the_place_decides_what_is_offered() {
        use CompletionKind::{Aggregation, Duration, Function, Keyword, Label, Metric, Value};
        let anything = vec![Metric, Function, Aggregation];
        for (query, kinds, prefix) in [
            ("|", anything.clone(), ""),
            ("ra|", anything.clone(), "ra"),
            ("sum(ra|)", anything.clone(), "ra"),
            ("a + |", vec![Metric, Function, Aggregation, Keyword], ""),
            ("a > bool |", anything.clone(), ""),
            ("a o|", vec![Keyword], "o"),
            ("rate(a[5m]) |", vec![Keyword], ""),
            ("up{|", vec![Label], ""),
            ("up{job=\"a\",ins|", vec![Label], "ins"),
            ("up{job=\"a\" |", vec![], ""),
            ("up{job=\"ab|\"}", vec![Value], "ab"),
            ("up{\"a b\"=~'x|", vec![Value], "x"),
            ("{\"my.|", vec![Label, Metric], "my."),
            ("sum by (jo|) (up{})", vec![Label], "jo"),
            ("a * on (|", vec![Label], ""),
            ("up[|", vec![Duration], ""),
            ("up offset |", vec![Duration], ""),
            ("label_replace(a, \"x|", vec![], ""),
            ("5|", vec![], "5"),
            ("up[5|", vec![Duration], "5"),
        ] {
            let completion = at(query);
            assert_eq!((completion.kinds, completion.prefix.as_str()), (kinds, prefix), "{query}");
        }
    }

    #[test]
    fn labels_and_values_know_their_metric() {
        let completion = at("rate(requests{code=~\"5|\"}[5m])");
        assert_eq!((completion.metric.as_deref(), completion.label.as_deref()), (Some("requests"), Some("code")));
        assert_eq!(completion.span, Span::new(21, 22));
        assert_eq!(at("sum by (|) (rate(requests{}[5m]))").metric.as_deref(), Some("requests"));
        assert_eq!(at("하|늘").span, Span::new(3, 3));
    }

    #[test]
    fn own_words_come_with_a_summary() {
        let completion = at("rat|");
        assert_eq!(completion.candidates.iter().map(|c| c.text).collect::<Vec<_>>(), ["rate"]);
        assert!(completion.candidates.iter().all(|candidate| !candidate.summary.is_empty()));
        let words = |query| at(query).candidates.iter().map(|candidate| candidate.text).collect::<Vec<_>>();
        assert_eq!(words("up offset 5|"), ["5m"]);
        assert_eq!(words("up o|"), ["offset", "or"]);
        assert_eq!(words("up and o|"), ["on"]);
    }
}
