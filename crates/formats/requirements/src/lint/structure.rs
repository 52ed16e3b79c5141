//! Rules about an item among the others: links, terms, what is missing, what is said twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use regex::Regex;

use super::text::subject_acts;
use super::{Finding, Hit, LintContext, Own, finding, hit};
use crate::graph::{Graph, SuspectWhy};
use crate::item::Item;
use crate::numbers::{Quantity, find};
use crate::sentence::parse_sentences;
use crate::text::{Language, LocalText};

/// The rules about several items; `own` has what is kept of each of the graph's items.
pub(crate) fn check(graph: &Graph<'_>, own: &[&Own], context: &LintContext, findings: &mut Vec<Finding>) {
    for item in graph.items() {
        links(item, graph, findings);
        missing(item, graph, context, findings);
    }
    suspects(graph, own, findings);
    cycles(graph, findings);
    duplicates(graph, own, findings);
}

fn links(item: &Item, graph: &Graph<'_>, findings: &mut Vec<Finding>) {
    for (index, link) in item.derived_from.iter().enumerate() {
        let place = item.place_of(&format!("derivedFrom[{index}]"));
        if !graph.has(&link.name) {
            findings.push(finding(
                "unknown-parent",
                item,
                place,
                link.name.clone(),
                LocalText::both(
                    format!("상위 항목 \"{}\"이(가) 없다", link.name),
                    format!("the parent \"{}\" does not exist", link.name),
                ),
                LocalText::both("이름을 고치거나 그 항목을 쓴다", "correct the name, or write that item"),
            ));
        }
    }
}

/// Parents that changed after their links were reviewed.
fn suspects(graph: &Graph<'_>, own: &[&Own], findings: &mut Vec<Finding>) {
    for suspect in &graph.suspects_by(|index, item| own[index].fingerprint(item)) {
        let (Some(item), SuspectWhy::Changed { current, .. }) = (graph.item(&suspect.item), &suspect.why) else {
            continue;
        };
        let place = item.derived_from.iter().position(|link| link.name == suspect.parent).unwrap_or_default();
        findings.push(finding(
            "suspect-link",
            item,
            item.place_of(&format!("derivedFrom[{place}]")),
            suspect.parent.clone(),
            LocalText::both(
                format!("검토한 뒤에 \"{}\"이(가) 바뀌었다", suspect.parent),
                format!("\"{}\" changed after this link was reviewed", suspect.parent),
            ),
            LocalText::both(
                format!("다시 검토하고 fingerprint를 {current}(으)로 바꾼다"),
                format!("review the item again, then write fingerprint: {current}"),
            ),
        ));
    }
}

fn missing(item: &Item, graph: &Graph<'_>, context: &LintContext, findings: &mut Vec<Finding>) {
    let mut say = |rule, field: &str, phrase: &str, message: (String, String), fix: (&str, &str)| {
        let message = LocalText::both(message.0, message.1);
        findings.push(finding(
            rule,
            item,
            item.place_of(field),
            phrase.to_owned(),
            message,
            LocalText::both(fix.0, fix.1),
        ));
    };
    let both = |ko: &str, en: &str| (ko.to_owned(), en.to_owned());
    if item.source.is_none() && item.derived_from.is_empty() {
        say(
            "orphan",
            "name",
            "",
            both("출처도 상위 항목도 없다", "the item has neither a source nor a parent"),
            (
                "source: {document: …} 또는 derivedFrom: [{name: …}]을 쓴다",
                "write source: {document: …} or derivedFrom: [{name: …}]",
            ),
        );
    }
    let has_children = !graph.children(&item.name).is_empty();
    if !item.is_left_out() && !has_children {
        if item.verify.is_empty() {
            say(
                "no-verification",
                "name",
                "",
                both("확인하는 방법이 없다", "nothing verifies the item"),
                (
                    "verify: [{test: {suite: …}}]처럼 쓴다",
                    "write verify: [{test: {suite: …}}], or slo, approval, scan, load, drill",
                ),
            );
        }
        if item.allocated_to.is_empty() {
            say(
                "unallocated",
                "name",
                "",
                both("맡는 구성 요소가 없다", "no component fulfils the item"),
                ("allocatedTo: [orders]처럼 쓴다", "write allocatedTo: [orders]"),
            );
        }
    }
    if let Some(components) = &context.components {
        for name in item.allocated_to.iter().filter(|name| !components.contains(*name)) {
            say(
                "unallocated",
                "allocatedTo",
                name,
                (
                    format!("구성 요소 \"{name}\"이(가) 아키텍처에 없다"),
                    format!("the architecture has no component \"{name}\""),
                ),
                ("이름을 고치거나 아키텍처에 더한다", "correct the name, or add it to the architecture"),
            );
        }
    }
}

/// Both languages must say the same numbers.
pub(crate) fn languages(item: &Item, findings: &mut Vec<Finding>) {
    let LocalText::Local { ko: Some(ko), en: Some(en) } = &item.statement else { return };
    let numbers = |text: &str| -> Vec<(u8, u128, usize, usize)> {
        let key = |quantity: &Quantity| match quantity {
            Quantity::Time(value) => Some((0, *value)),
            Quantity::Share(value) => Some((1, *value)),
            Quantity::Rate(value) => Some((2, *value)),
            Quantity::Count(..) | Quantity::Bare(_) => None,
        };
        find(text)
            .iter()
            .filter_map(|one| key(&one.quantity).map(|(kind, value)| (kind, value, one.start, one.end)))
            .collect()
    };
    let (left, right) = (numbers(ko), numbers(en));
    // A number that one language leaves out or writes as a word ("하루") is no contradiction; another number of its kind is.
    let other = right.iter().find(|(kind, value, ..)| {
        let same: Vec<u128> = left.iter().filter(|one| one.0 == *kind).map(|one| one.1).collect();
        !same.is_empty()
            && !same.contains(value)
            && same.iter().any(|one| !right.iter().any(|two| two.0 == *kind && two.1 == *one))
    });
    if let Some((_, _, start, end)) = other {
        let phrase = en.get(*start..*end).unwrap_or_default();
        findings.push(finding(
            "languages-disagree",
            item,
            item.place_in("statement.en", en, *start, *end),
            phrase.to_owned(),
            LocalText::both(
                format!("한국어 문장에는 \"{phrase}\"이(가) 없고 다른 수가 있다"),
                format!("the Korean statement has another number than \"{phrase}\""),
            ),
            LocalText::both("두 문장의 수를 같게 한다", "write the same number in both languages"),
        ));
    }
}

fn cycles(graph: &Graph<'_>, findings: &mut Vec<Finding>) {
    for cycle in graph.cycles() {
        let Some(item) = cycle.first().and_then(|name| graph.item(name)) else { continue };
        let mut shown: Vec<&str> = cycle.iter().take(12).copied().collect();
        if cycle.len() > shown.len() {
            shown.push("…");
        }
        shown.push(item.name.as_str());
        let path = shown.join(" → ");
        findings.push(finding(
            "cycle",
            item,
            item.place_of("derivedFrom"),
            String::new(),
            LocalText::both(format!("파생이 순환한다: {path}"), format!("the derivation goes in a circle: {path}")),
            LocalText::both("고리 하나를 지운다", "remove one of the links"),
        ));
    }
}

const STOP_WORDS: [&str; 26] = [
    "the",
    "a",
    "an",
    "shall",
    "must",
    "should",
    "will",
    "be",
    "is",
    "are",
    "to",
    "of",
    "for",
    "its",
    "their",
    "that",
    "then",
    "when",
    "한다",
    "합니다",
    "함",
    "해야",
    "하여야",
    "수",
    "있어야",
    "것",
];
const PARTICLES: [&str; 22] = [
    "에서는",
    "에게는",
    "에서",
    "에게",
    "으로",
    "부터",
    "까지",
    "에는",
    "은",
    "는",
    "이",
    "가",
    "을",
    "를",
    "의",
    "에",
    "와",
    "과",
    "로",
    "도",
    "해야",
    "하여야",
];

/// The words of a text without what does not change its meaning, in order of the alphabet.
fn tokens(text: &str) -> String {
    let lower = text.to_lowercase();
    let mut tokens: Vec<&str> = lower
        .split(|letter: char| !(letter.is_alphanumeric() || matches!(letter, '.' | '%')))
        .map(|word| word.trim_end_matches('.'))
        .map(|word| {
            let particle =
                PARTICLES.iter().find(|end| word.ends_with(**end) && word.chars().count() > end.chars().count() + 1);
            particle.and_then(|end| word.strip_suffix(end)).unwrap_or(word)
        })
        .filter(|word| !word.is_empty() && !STOP_WORDS.contains(word))
        .collect();
    tokens.sort_unstable();
    tokens.join(" ")
}

/// What an item says, in each of its languages.
pub(crate) fn said(item: &Item) -> Vec<String> {
    item.statement.parts().into_iter().map(|(_, text)| tokens(text)).filter(|said| !said.is_empty()).collect()
}

fn duplicates(graph: &Graph<'_>, own: &[&Own], findings: &mut Vec<Finding>) {
    let mut seen: HashMap<&str, &Item> = HashMap::new();
    for (item, own) in graph.items().zip(own) {
        if let Some(first) = own.said.iter().find_map(|said| seen.get(said.as_str())) {
            findings.push(finding(
                "duplicate",
                item,
                item.place_of("statement"),
                String::new(),
                LocalText::both(
                    format!("\"{}\"과(와) 같은 말을 한다", first.name),
                    format!("it says the same as \"{}\"", first.name),
                ),
                LocalText::both("하나로 합치거나 다른 점을 쓴다", "merge the two, or write what differs"),
            ));
        }
        for said in &own.said {
            seen.entry(said).or_insert(item);
        }
    }
}

static ACRONYM: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[A-Z][A-Z0-9]+(?:-[A-Z0-9]+)*s?").expect("the pattern is constant"));
static QUOTED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("[“‘「『\"]([^“”‘’「」『』\"]{1,40})[”’」』\"]").expect("the pattern is constant"));

/// Acronyms that everybody in the field knows, units, currencies and methods.
const WELL_KNOWN: [&str; 98] = [
    "HTTP", "HTTPS", "TLS", "SSL", "TCP", "UDP", "IP", "DNS", "URL", "URI", "API", "REST", "RPC", "JSON", "YAML",
    "XML", "HTML", "CSS", "CSV", "PDF", "SQL", "UTF-8", "ASCII", "UTC", "ISO", "RFC", "GET", "POST", "PUT", "PATCH",
    "DELETE", "HEAD", "OPTIONS", "CPU", "RAM", "GPU", "SSD", "OS", "VM", "UI", "UX", "ID", "UUID", "SHA", "AES", "RSA",
    "JWT", "OCI", "CI", "CD", "SLO", "SLI", "SLA", "RTO", "RPO", "RPS", "TPS", "QPS", "KB", "MB", "GB", "TB", "PB",
    "KRW", "USD", "EUR", "SPDX", "SBOM", "CVE", "CVSS", "MIT", "SSH", "SMTP", "FTP", "ICMP", "NTP", "OIDC", "SAML",
    "SSO", "MFA", "OTP", "PNG", "SVG", "AND", "XSS", "CSRF", "VPN", "LAN", "WAN", "HDD", "SMS", "QR", "FAQ", "PC",
    "IT", "DB", "DBMS", "WAS",
];

/// Acronyms, words in quotes and the system itself must be in the glossary or a component.
pub(crate) fn terms(item: &Item, text: &str, language: Language, context: &LintContext) -> Vec<Hit> {
    let known = |word: &str| {
        let component =
            |name: &String| name.eq_ignore_ascii_case(word) || name.eq_ignore_ascii_case(&word.replace(' ', "-"));
        context.glossary.has(word)
            || item.allocated_to.iter().any(component)
            || context.components.iter().flatten().any(component)
    };
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    for found in ACRONYM.find_iter(text) {
        let word = found.as_str().trim_end_matches('s');
        let edge = |letter: Option<char>| {
            letter.is_some_and(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '/'))
        };
        let before = text.get(..found.start()).and_then(|before| before.chars().next_back());
        let after = text.get(found.end()..).and_then(|after| after.chars().next());
        let well_known = WELL_KNOWN.contains(&word)
            || word.split('-').all(|part| WELL_KNOWN.contains(&part) || part.bytes().all(|byte| byte.is_ascii_digit()));
        if !edge(before) && !edge(after) && !well_known && !known(found.as_str()) && !known(word) {
            places.insert(found.start(), found.end());
        }
    }
    for word in QUOTED.captures_iter(text).filter_map(|captures| captures.get(1)) {
        if !known(word.as_str()) {
            places.insert(word.start(), word.end());
        }
    }
    if !context.glossary.is_empty() {
        let known = |word: &str| known(word) || WELL_KNOWN.contains(&word);
        let sentences = parse_sentences(text, language).into_iter().filter(|sentence| subject_acts(text, sentence));
        for system in sentences.filter_map(|sentence| sentence.system) {
            let inside = |(start, end): (&usize, &usize)| *start >= system.start && *end <= system.end;
            let name = ["본 ", "이 ", "해당 ", "동 "].iter().find_map(|which| system.text.strip_prefix(which));
            let name = name.unwrap_or(&system.text);
            if !known(name) && !has_known_head(name, &known) && is_name(name) && !places.iter().any(inside) {
                places.insert(system.start, system.end);
            }
        }
    }
    places
        .into_iter()
        .map(|(start, end)| {
            let word = text.get(start..end).unwrap_or_default();
            hit(
                "undefined-term",
                start,
                end,
                (format!("\"{word}\"은(는) 용어집에 없다"), format!("\"{word}\" is not in the glossary")),
                ("glossary.yaml에 뜻을 쓴다", "write its meaning into glossary.yaml, or use a term that is there"),
            )
        })
        .collect()
}

/// "order service" is a name; "running the shop", "주문과 결제" and "운영하는 비용" tell of something.
fn is_name(text: &str) -> bool {
    const JOINED: [&str; 7] = ["의", "과", "와", "는", "한", "인", "된"];
    const ENGLISH: [&str; 16] =
        ["the", "a", "an", "of", "for", "to", "in", "on", "with", "and", "or", "each", "every", "all", "any", "no"];
    let words: Vec<&str> = text.split_whitespace().collect();
    words.len() <= 2
        && !words.iter().any(|word| ENGLISH.contains(&word.to_lowercase().as_str()))
        && !words
            .split_last()
            .is_some_and(|(_, rest)| rest.iter().any(|word| JOINED.iter().any(|end| word.ends_with(end))))
}

/// "order service" is known when "order service" is, or both of its words are.
fn has_known_head(text: &str, known: &dyn Fn(&str) -> bool) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.len() > 1
        && words.iter().all(|word| known(word) || matches!(*word, "system" | "service" | "시스템" | "서비스"))
}
