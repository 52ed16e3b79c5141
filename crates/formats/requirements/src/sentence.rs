//! Sentences of requirements in the EARS patterns, in English and Korean.
//!
//! Long because the two grammars stand beside each other with the endings and particles that they are told by.

use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;

use crate::text::{Language, is_hangul};

/// The patterns of EARS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Pattern {
    /// Always holds: "The system shall …", "…는 …해야 한다".
    Ubiquitous,
    /// On an event: "When …", "…하면", "…할 때".
    Event,
    /// In a state: "While …", "…하는 동안", "…상태에서".
    State,
    /// With a feature: "Where …", "…기능이 있는 경우".
    Feature,
    /// When something goes wrong: "If …, then", "…실패하면", "…경우".
    Unwanted,
    /// Several of them.
    Complex,
    /// No obligation is stated.
    None,
}

/// A part of a statement with its byte range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The words.
    pub text: String,
    /// The first byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Clause {
    /// Which kind.
    pub pattern: Pattern,
    /// Its words, without the keyword in English, with the ending in Korean.
    pub part: Part,
}

/// A sentence, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sentence {
    /// The language that it was read in.
    pub language: Language,
    /// The whole.
    pub whole: Part,
    /// The conditions in order.
    pub clauses: Vec<Clause>,
    /// Who has the duty.
    pub system: Option<Part>,
    /// "shall", "해야 한다"; one for each duty.
    pub obligations: Vec<Part>,
    /// What must be done.
    pub response: Option<Part>,
}

impl Sentence {
    /// Returns the pattern.
    #[must_use]
    pub fn pattern(&self) -> Pattern {
        if self.obligations.is_empty() {
            return Pattern::None;
        }
        match self.clauses.as_slice() {
            [] => Pattern::Ubiquitous,
            [one] => one.pattern,
            [first, rest @ ..] if rest.iter().all(|clause| clause.pattern == first.pattern) => first.pattern,
            _ => Pattern::Complex,
        }
    }

    /// Returns the words of the first condition of a kind.
    #[must_use]
    pub fn clause(&self, pattern: Pattern) -> Option<&str> {
        self.clauses.iter().find(|clause| clause.pattern == pattern).map(|clause| clause.part.text.as_str())
    }

    /// Returns what sets the response off: an event, or something that goes wrong.
    #[must_use]
    pub fn trigger(&self) -> Option<&str> {
        self.clause(Pattern::Event).or_else(|| self.clause(Pattern::Unwanted))
    }
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is constant")
}

/// Takes a text apart into its sentences.
#[must_use]
pub fn parse_sentences(text: &str, language: Language) -> Vec<Sentence> {
    split(text)
        .into_iter()
        .map(|(start, end)| match language {
            Language::En => english(text, start, end),
            Language::Ko => korean(text, start, end),
        })
        .collect()
}

/// Byte ranges of sentences: a full stop ends one when white space or the end follows, and no abbreviation stands before.
fn split(text: &str) -> Vec<(usize, usize)> {
    let mut ranges = Vec::new();
    let mut start = 0;
    let letters: Vec<(usize, char)> = text.char_indices().collect();
    for (index, (at, letter)) in letters.iter().enumerate() {
        let next = letters.get(index + 1).map(|(_, next)| *next);
        let before = text.get(start..*at).unwrap_or_default();
        let abbreviation = ["e.g", "i.e", "etc", "vs", "No"].iter().any(|short| before.ends_with(short));
        let ends = matches!(letter, '!' | '?' | '。')
            || (*letter == '.' && next.is_none_or(char::is_whitespace) && !abbreviation);
        if ends || index + 1 == letters.len() {
            let end = at + letter.len_utf8();
            if let Some(range) = trim(text, start, end) {
                ranges.push(range);
            }
            start = end;
        }
    }
    ranges
}

fn trim(text: &str, start: usize, end: usize) -> Option<(usize, usize)> {
    let part = text.get(start..end)?;
    let front = part.len() - part.trim_start().len();
    let trimmed = part.trim();
    let trimmed = trimmed.trim_end_matches(['.', '!', '?', '。', ',', ';', ' ']);
    (!trimmed.is_empty()).then_some((start + front, start + front + trimmed.len()))
}

fn part(text: &str, start: usize, end: usize) -> Option<Part> {
    let (start, end) = trim(text, start, end)?;
    Some(Part { text: text.get(start..end)?.to_owned(), start, end })
}

static MODAL: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\b(?:shall|must)\b(?:\s+not\b)?"));
static WEAK_MODAL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)\b(?:should|will|has to|have to|needs? to|is required to|are required to)\b(?:\s+not\b)?")
});
static KEYWORD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:^|,\s*(?:and\s+|or\s+)?|\band\s+)(when(?:ever)?|while|where|if|once|upon|as soon as|as long as|during|in case(?: of)?|after)\s+",
    )
});
static TRAILING: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)[\s,]\s*(when(?:ever)?|while|if|as soon as|as long as|in case(?: of)?|upon|once)\s+")
});

fn english_pattern(keyword: &str) -> Pattern {
    match keyword.to_lowercase().as_str() {
        "while" | "as long as" | "during" => Pattern::State,
        "where" => Pattern::Feature,
        "if" | "in case" | "in case of" => Pattern::Unwanted,
        _ => Pattern::Event,
    }
}

fn english(text: &str, start: usize, end: usize) -> Sentence {
    let whole = text.get(start..end).unwrap_or_default();
    let strong: Vec<_> = MODAL.find_iter(whole).map(|found| found.range()).collect();
    let weak = || WEAK_MODAL.find(whole).map(|found| found.range()).into_iter().collect();
    let modals = if strong.is_empty() { weak() } else { strong };
    let obligations: Vec<Part> =
        modals.iter().filter_map(|range| part(text, start + range.start, start + range.end)).collect();
    let whole_part = part(text, start, end).unwrap_or(Part { text: whole.to_owned(), start, end });
    let mut sentence = Sentence {
        language: Language::En,
        whole: whole_part,
        clauses: Vec::new(),
        system: None,
        obligations,
        response: None,
    };
    let Some(modal) = modals.first() else { return sentence };
    let head = whole.get(..modal.start).unwrap_or_default();
    let (conditions, mut system) = split_head(head);
    let keywords: Vec<_> = KEYWORD.captures_iter(head.get(..conditions).unwrap_or_default()).collect();
    for (index, captures) in keywords.iter().enumerate() {
        let (Some(all), Some(word)) = (captures.get(0), captures.get(1)) else { continue };
        let stop = keywords.get(index + 1).and_then(|next| next.get(0)).map_or(conditions, |next| next.start());
        if let Some(part) = part(text, start + all.end(), start + stop) {
            sentence.clauses.push(Clause { pattern: english_pattern(word.as_str()), part });
        }
    }
    for word in ["then ", "the ", "a ", "an ", "The ", "A ", "An ", "Then "] {
        let rest = head.get(system..).unwrap_or_default();
        let spaces = rest.len() - rest.trim_start().len();
        if rest.trim_start().starts_with(word) {
            system += spaces + word.len();
        }
    }
    // "then the": the article comes after the word that was taken away.
    let rest = head.get(system..).unwrap_or_default();
    let article =
        ["the ", "a ", "an "].iter().find(|word| rest.trim_start().starts_with(**word)).map_or(0, |word| word.len());
    system += rest.len() - rest.trim_start().len() + article;
    sentence.system = part(text, start + system, start + modal.start);
    let mut stop = whole.len();
    let tail = whole.get(modal.end..).unwrap_or_default();
    if let Some(captures) = TRAILING.captures(tail)
        && let (Some(all), Some(word)) = (captures.get(0), captures.get(1))
    {
        if let Some(part) = part(text, start + modal.end + all.end(), end) {
            sentence.clauses.push(Clause { pattern: english_pattern(word.as_str()), part });
        }
        stop = modal.end + all.start();
    }
    sentence.response = part(text, start + modal.end, start + stop);
    sentence
}

/// Returns where the conditions end and where the system begins, in what stands before "shall".
fn split_head(head: &str) -> (usize, usize) {
    if KEYWORD.find(head).is_none_or(|found| found.start() != 0) {
        return (0, 0);
    }
    match (head.rfind(','), head.rfind(" then "), head.rfind(" the ")) {
        (Some(comma), _, _) => (comma, comma + 1),
        (None, Some(then), _) => (then, then + " then ".len()),
        (None, None, Some(the)) => (the, the),
        (None, None, None) => (head.len(), head.len()),
    }
}

static DUTY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"[가-힣]+야(?:만)?\s?(?:한다|합니다|함|하며|하고|하되|할 것)|[가-힣]+(?:서는|선|서|면)\s(?:안|아니)\s?(?:된다|됩니다|됨|되며|되고)|[가-힣]+\s?것$",
    )
});
static STATEMENT_END: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[가-힣]+(?:한다|된다|는다|합니다|됩니다|함|됨|있다|없다|킨다|인다|준다|낸다)$"));
static UNWANTED_WORDS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        "만약|만일|실패|오류|장애|에러|초과|중단|끊|거부|유실|누락|비정상|잘못|만료|침입|공격|부족|불가|위반|손상|다운|고장|예외|없으면|못하면|않으면",
    )
});
static FEATURE_WORDS: LazyLock<Regex> =
    LazyLock::new(|| pattern("기능|옵션|모듈|구성|에디션|플러그인|라이선스|포함|설치|탑재|도입|제공되는|제공하는"));
static LENGTH_OF_TIME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:\d+\s?(?:초|분|시간|일|주|개월|달|년)?|하루|한|달|기간|매일|일주일)$"));

/// Nouns that end like the ending of an event.
const NOUNS_LIKE_EVENTS: [&str; 19] = [
    "화면",
    "측면",
    "도면",
    "반면",
    "전면",
    "장면",
    "표면",
    "정면",
    "지면",
    "국면",
    "평면",
    "단면",
    "이면",
    "서면",
    "대면",
    "비대면",
    "수면",
    "양면",
    "첫화면",
];
/// Words that end like a topic and are none.
const NO_TOPICS: [&str; 76] = [
    "또는",
    "혹은",
    "하는",
    "되는",
    "있는",
    "없는",
    "않는",
    "받는",
    "키는",
    "보내는",
    "내는",
    "오는",
    "주는",
    "보는",
    "쓰는",
    "넘는",
    "어지는",
    "아지는",
    "해지는",
    "려지는",
    "워지는",
    "만드는",
    "걸리는",
    "알리는",
    "열리는",
    "올리는",
    "미치는",
    "거치는",
    "마치는",
    "따르는",
    "다루는",
    "나는",
    "들어가는",
    "나가는",
    "높은",
    "낮은",
    "같은",
    "많은",
    "적은",
    "좋은",
    "작은",
    "않은",
    "넘은",
    "받은",
    "늦은",
    "짧은",
    "깊은",
    "넓은",
    "좁은",
    "남은",
    "얻은",
    "입은",
    "담은",
    "찾은",
    "읽은",
    "맞은",
    "닫은",
    "에는",
    "에서는",
    "으로는",
    "로는",
    "까지는",
    "부터는",
    "만은",
    "에게는",
    "보다는",
    "동안은",
    "때는",
    "경우는",
    "찍은",
    "갖는",
    "얻는",
    "찾는",
    "읽는",
    "맞는",
    "이는",
];

#[derive(Clone, Copy)]
struct Word<'text> {
    text: &'text str,
    start: usize,
    end: usize,
    comma: bool,
}

fn words(text: &str, start: usize, end: usize) -> Vec<Word<'_>> {
    let whole = text.get(start..end).unwrap_or_default();
    let mut words = Vec::new();
    let mut at = 0;
    for piece in whole.split(char::is_whitespace) {
        let word = piece.trim_end_matches([',', '.', ';']);
        if !word.is_empty() {
            let first = start + at;
            words.push(Word { text: word, start: first, end: first + word.len(), comma: word.len() < piece.len() });
        }
        at +=
            piece.len() + whole.get(at + piece.len()..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    }
    words
}

/// Tells whether a word ends a condition, and which kind by the ending alone.
fn condition_end(words: &[Word<'_>], index: usize) -> Option<Pattern> {
    let word = words.get(index)?;
    let before = index.checked_sub(1).and_then(|index| words.get(index)).map_or("", |word| word.text);
    let text = word.text;
    let one_of = |list: &[&str]| list.contains(&text);
    if one_of(&["경우", "경우에", "경우에는", "경우엔"]) {
        return Some(Pattern::Unwanted);
    }
    if one_of(&[
        "때",
        "때는",
        "때에",
        "때에는",
        "때마다",
        "시",
        "시에",
        "시에는",
        "후",
        "후에",
        "후에는",
        "뒤",
        "뒤에",
        "순간",
    ]) {
        return Some(Pattern::Event);
    }
    if one_of(&["동안", "동안에", "동안에는", "동안은"]) {
        return (!LENGTH_OF_TIME.is_match(before)).then_some(Pattern::State);
    }
    if one_of(&["중에", "중에는"])
        || ["상태에서", "상태에서는", "상태이면", "상태인 동안", "도중에"].iter().any(|end| text.ends_with(end))
    {
        return Some(Pattern::State);
    }
    if text == "한" && word.comma && before.ends_with('는') {
        return Some(Pattern::State);
    }
    if text.ends_with("자마자") || (text == "즉시" && before.ends_with('는')) || (text.ends_with('시') && word.comma)
    {
        return Some(Pattern::Event);
    }
    let noun = NOUNS_LIKE_EVENTS.iter().any(|noun| text.ends_with(noun));
    (text.ends_with('면')
        && text.chars().count() >= 2
        && text.chars().all(|letter| is_hangul(letter) || letter.is_ascii_alphanumeric())
        && !noun)
        .then_some(Pattern::Event)
}

fn is_topic(word: &str) -> bool {
    (word.ends_with('은') || word.ends_with('는'))
        && word.chars().count() >= 2
        && !NO_TOPICS.iter().any(|end| word.ends_with(end))
}

fn is_subject(word: &str) -> bool {
    (word.ends_with('이') || word.ends_with('가'))
        && word.chars().count() >= 2
        && !word.ends_with("없이")
        && !word.ends_with("같이")
}

/// The noun phrase that ends with a topic: what follows the last object or adverbial before it.
fn topic_part(text: &str, words: &[Word<'_>], first: usize, topic: usize) -> Option<Part> {
    const BEFORE: [&str; 10] = ["을", "를", "에서", "에", "으로", "위해", "위하여", "통해", "통하여", "따라"];
    let ends = |word: &Word<'_>| BEFORE.iter().any(|end| word.text.ends_with(end)) || word.comma;
    let from = (first..topic).rev().find(|index| words.get(*index).is_some_and(ends)).map_or(first, |index| index + 1);
    let particle = words.get(topic)?.text.chars().next_back().map_or(0, char::len_utf8);
    part(text, words.get(from)?.start, words.get(topic)?.end - particle)
}

fn korean(text: &str, start: usize, end: usize) -> Sentence {
    let whole = text.get(start..end).unwrap_or_default();
    let mut duties: Vec<_> = DUTY.find_iter(whole).map(|found| found.range()).collect();
    if duties.is_empty() {
        duties.extend(STATEMENT_END.find(whole).map(|found| found.range()));
    }
    let obligations: Vec<Part> =
        duties.iter().filter_map(|range| part(text, start + range.start, start + range.end)).collect();
    let whole_part = part(text, start, end).unwrap_or(Part { text: whole.to_owned(), start, end });
    let mut sentence = Sentence {
        language: Language::Ko,
        whole: whole_part,
        clauses: Vec::new(),
        system: None,
        obligations,
        response: None,
    };
    let words = words(text, start, end);
    let mut first = 0;
    // The ending of the duty itself ("하면 안 된다") is no condition.
    let limit = duties.first().map_or(end, |range| start + range.start);
    for index in 0..words.len() {
        let Some(word) = words.get(index).filter(|word| word.start < limit) else { break };
        let Some(kind) = condition_end(&words, index) else { continue };
        let mut from = first;
        if let Some(topic) = (first..index).find(|at| words.get(*at).is_some_and(|word| is_topic(word.text))) {
            if sentence.system.is_none() {
                sentence.system = topic_part(text, &words, first, topic);
            }
            from = topic + 1;
        }
        let Some(part) = words.get(from).and_then(|begin| part(text, begin.start, word.end)) else { continue };
        let kind = match kind {
            Pattern::Unwanted if FEATURE_WORDS.is_match(&part.text) && !UNWANTED_WORDS.is_match(&part.text) => {
                Pattern::Feature
            }
            Pattern::Event if UNWANTED_WORDS.is_match(&part.text) => Pattern::Unwanted,
            other => other,
        };
        sentence.clauses.push(Clause { pattern: kind, part });
        first = index + 1;
    }
    let rest =
        || (first..words.len()).filter(|at| words.get(*at).is_some_and(|word| word.start < limit.max(start + 1)));
    let mut response = first;
    let topic = rest().find(|at| words.get(*at).is_some_and(|word| is_topic(word.text)));
    let subject = || rest().find(|at| words.get(*at).is_some_and(|word| is_subject(word.text)));
    if let Some(topic) = topic.or_else(|| if sentence.system.is_none() { subject() } else { None }) {
        if sentence.system.is_none() {
            sentence.system = topic_part(text, &words, first, topic);
        }
        response = topic + 1;
    }
    sentence.response = words.get(response).and_then(|word| part(text, word.start, end));
    sentence
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(text: &str, language: Language) -> (Pattern, Option<String>, Vec<String>, Option<String>) {
        let sentence = parse_sentences(text, language).remove(0);
        let clauses = sentence.clauses.iter().map(|clause| clause.part.text.clone()).collect();
        (sentence.pattern(), sentence.system.map(|part| part.text), clauses, sentence.response.map(|part| part.text))
    }

    #[test]
    fn english_patterns() {
        for (text, kind, system, clauses, response) in [
            (
                "The order service shall store every order.",
                Pattern::Ubiquitous,
                "order service",
                vec![],
                "store every order",
            ),
            (
                "When a customer pays, the order service shall send a receipt.",
                Pattern::Event,
                "order service",
                vec!["a customer pays"],
                "send a receipt",
            ),
            (
                "While the store is closed, the shop shall refuse orders.",
                Pattern::State,
                "shop",
                vec!["the store is closed"],
                "refuse orders",
            ),
            (
                "Where gift cards are sold, the shop shall print codes.",
                Pattern::Feature,
                "shop",
                vec!["gift cards are sold"],
                "print codes",
            ),
            (
                "If the payment fails, then the order service shall cancel the order.",
                Pattern::Unwanted,
                "order service",
                vec!["the payment fails"],
                "cancel the order",
            ),
            (
                "While open, when a customer, or a clerk, pays, the shop shall beep.",
                Pattern::Complex,
                "shop",
                vec!["open", "a customer, or a clerk, pays"],
                "beep",
            ),
            ("The shop shall beep when a customer pays.", Pattern::Event, "shop", vec!["a customer pays"], "beep"),
            (
                "If the disk is full then the node shall not accept pods.",
                Pattern::Unwanted,
                "node",
                vec!["the disk is full"],
                "accept pods",
            ),
        ] {
            let expected = (
                kind,
                Some(system.to_owned()),
                clauses.into_iter().map(str::to_owned).collect(),
                Some(response.to_owned()),
            );
            assert_eq!(one(text, Language::En), expected, "{text}");
        }
        assert_eq!(one("Customers like the shop.", Language::En).0, Pattern::None);
    }

    #[test]
    fn korean_patterns() {
        for (text, kind, system, clauses, response) in [
            (
                "주문 서비스는 모든 주문을 저장해야 한다.",
                Pattern::Ubiquitous,
                "주문 서비스",
                vec![],
                "모든 주문을 저장해야 한다",
            ),
            (
                "사용자가 주문을 요청하면, 주문 서비스는 100ms 이내로 응답해야 한다.",
                Pattern::Event,
                "주문 서비스",
                vec!["사용자가 주문을 요청하면"],
                "100ms 이내로 응답해야 한다",
            ),
            (
                "주문 서비스는 사용자가 주문을 요청할 때 영수증을 보내야 한다",
                Pattern::Event,
                "주문 서비스",
                vec!["사용자가 주문을 요청할 때"],
                "영수증을 보내야 한다",
            ),
            (
                "점검이 진행되는 동안 상점은 주문을 거절하여야 한다.",
                Pattern::State,
                "상점",
                vec!["점검이 진행되는 동안"],
                "주문을 거절하여야 한다",
            ),
            (
                "선물 카드 기능이 있는 경우, 상점은 코드를 출력해야 합니다.",
                Pattern::Feature,
                "상점",
                vec!["선물 카드 기능이 있는 경우"],
                "코드를 출력해야 합니다",
            ),
            (
                "결제가 실패하면 주문 서비스는 주문을 취소해야 한다.",
                Pattern::Unwanted,
                "주문 서비스",
                vec!["결제가 실패하면"],
                "주문을 취소해야 한다",
            ),
            (
                "재고가 0개인 경우에는 상점은 주문을 받아서는 안 된다.",
                Pattern::Unwanted,
                "상점",
                vec!["재고가 0개인 경우에는"],
                "주문을 받아서는 안 된다",
            ),
            (
                "점검 중에 결제가 실패하면 상점은 알려야 한다.",
                Pattern::Complex,
                "상점",
                vec!["점검 중에", "결제가 실패하면"],
                "알려야 한다",
            ),
            (
                "상점은 30일 동안 99.9%의 요청을 처리해야 한다.",
                Pattern::Ubiquitous,
                "상점",
                vec![],
                "30일 동안 99.9%의 요청을 처리해야 한다",
            ),
            (
                "관리자 화면은 주문 목록을 보여 주어야 함",
                Pattern::Ubiquitous,
                "관리자 화면",
                vec![],
                "주문 목록을 보여 주어야 함",
            ),
        ] {
            let expected = (
                kind,
                Some(system.to_owned()),
                clauses.into_iter().map(str::to_owned).collect(),
                Some(response.to_owned()),
            );
            assert_eq!(one(text, Language::Ko), expected, "{text}");
        }
    }

    #[test]
    fn a_heading_is_no_requirement() {
        assert_eq!(one("빠른 주문 서비스", Language::Ko).0, Pattern::None);
    }

    #[test]
    fn sentences_end_at_full_stops_only() {
        let count = |text| parse_sentences(text, Language::En).len();
        assert_eq!(count("A shall use 99.9 % of it, e.g. most. B shall not."), 2);
        assert_eq!(count(""), 0);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_with_true_ranges(text in "(\\PC|[은는가를 ,.]|하면|경우|해야 한다| shall | when |If ){0,30}") {
            for language in [Language::Ko, Language::En] {
                for sentence in parse_sentences(&text, language) {
                    let clauses = sentence.clauses.iter().map(|clause| &clause.part);
                    for part in clauses.chain(&sentence.system).chain(&sentence.response).chain(&sentence.obligations) {
                        prop_assert_eq!(text.get(part.start..part.end), Some(part.text.as_str()));
                    }
                }
            }
        }
    }
}
