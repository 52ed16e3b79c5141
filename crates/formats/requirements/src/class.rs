//! What kind of requirement an item is, computed from its criterion and its words.

use serde::Serialize;

use crate::item::Item;
use crate::text::LocalText;

/// What a requirement is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// What the system does.
    Functional,
    /// How well it does it.
    NonFunctional,
}

/// Where a requirement comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// From outside of the project.
    Source,
    /// From other requirements.
    Derived,
}

/// The kind of a requirement and how it was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Class {
    /// Functional or not.
    pub kind: Kind,
    /// The quality: performance, reliability, security …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<&'static str>,
    /// How it was told.
    pub why: LocalText,
    /// Source or derived.
    pub origin: Origin,
}

const INDICATORS: [(&str, Option<&str>, &str, &str); 12] = [
    ("latency", Some("performance"), "지연 시간", "a latency"),
    ("throughput", Some("performance"), "처리량", "a throughput"),
    ("availability", Some("reliability"), "가용성", "an availability"),
    ("errorRatio", Some("reliability"), "오류율", "an error ratio"),
    ("capacity", Some("capacity"), "용량", "a capacity"),
    ("cost", Some("cost"), "비용", "a cost"),
    ("recoveryPoint", Some("recoverability"), "복구 시점", "a recovery point"),
    ("recoveryTime", Some("recoverability"), "복구 시간", "a recovery time"),
    ("licence", Some("compliance"), "라이선스", "a set of licences"),
    ("control", Some("security"), "보안 통제", "a security control"),
    ("behaviour", None, "동작", "a behaviour"),
    ("acceptance", None, "인수", "an acceptance"),
];

/// Words that tell a quality when there is no criterion; the first that is found decides.
const QUALITIES: [(&str, &[&str]); 9] = [
    (
        "performance",
        &[
            "latency",
            "response time",
            "throughput",
            "respond within",
            "percentile",
            "응답 시간",
            "응답시간",
            "지연",
            "처리량",
            "이내로 응답",
            "이내에 응답",
            "백분위",
        ],
    ),
    ("recoverability", &["recovery time", "recovery point", "rto", "rpo", "restore from", "복구", "백업"]),
    (
        "reliability",
        &["availability", "uptime", "downtime", "available 9", "가용성", "가용률", "무중단", "가동률", "오류율"],
    ),
    (
        "security",
        &[
            "encrypt",
            "authenticat",
            "authoris",
            "authoriz",
            "tls",
            "password",
            "secret",
            "access control",
            "암호화",
            "인증",
            "인가",
            "권한",
            "비밀번호",
            "접근 통제",
            "개인정보",
        ],
    ),
    ("capacity", &["concurrent users", "simultaneous", "동시 사용자", "동시 접속", "저장 용량"]),
    ("usability", &["wcag", "accessib", "usab", "접근성", "사용성", "다국어"]),
    ("compliance", &["licence", "license", "comply", "regulation", "라이선스", "준수", "법령", "규정"]),
    ("cost", &["cost", "budget", "비용", "예산"]),
    ("maintainability", &["maintainab", "modular", "upgrade without", "유지보수", "유지 보수", "테스트 커버리지"]),
];

/// Computes what kind of requirement an item is.
#[must_use]
pub fn classify(item: &Item) -> Class {
    let origin = if item.derived_from.is_empty() { Origin::Source } else { Origin::Derived };
    let class = |category: Option<&'static str>, ko: String, en: String| Class {
        kind: if category.is_some() { Kind::NonFunctional } else { Kind::Functional },
        category,
        why: LocalText::both(ko, en),
        origin,
    };
    let indicator = item.indicator();
    if let Some((_, category, ko, en)) = INDICATORS.iter().find(|(name, ..)| Some(*name) == indicator)
        && (category.is_some() || indicator == Some("behaviour"))
    {
        return class(*category, format!("판단 기준이 {ko}이다"), format!("the criterion is {en}"));
    }
    for (_, text) in item.statement.parts() {
        let lower = text.to_lowercase();
        for (category, words) in QUALITIES {
            if let Some(word) = words.iter().find(|word| has_word(&lower, word)) {
                let ko = format!("문장에 \"{word}\"이(가) 있다");
                return class(Some(category), ko, format!("the statement says \"{word}\""));
            }
        }
    }
    class(None, "문장이 시스템이 하는 일을 말한다".to_owned(), "the statement says what the system does".to_owned())
}

/// Tells whether a word begins in a text; short Latin words must be whole.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, found)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|after| after.chars().next());
        let latin = |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_alphanumeric());
        !latin(before) && (found.len() > 4 || !latin(after))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::read::item_from_value;

    #[test]
    fn classes_are_computed_with_their_reason() {
        for (item, kind, category, why) in [
            (
                json!({"statement": "응답해야 한다", "criterion": {"indicator": "latency", "quantile": 0.99, "atMost": "1s"}}),
                Kind::NonFunctional,
                Some("performance"),
                "the criterion is a latency",
            ),
            (
                json!({"statement": "개인정보를 암호화하여 저장해야 한다"}),
                Kind::NonFunctional,
                Some("security"),
                "the statement says \"암호화\"",
            ),
            (
                json!({"statement": "The shop shall sell.", "criterion": {"indicator": "behaviour"}}),
                Kind::Functional,
                None,
                "the criterion is a behaviour",
            ),
            (
                json!({"statement": "The shop shall sell a purpose."}),
                Kind::Functional,
                None,
                "the statement says what the system does",
            ),
            (
                json!({"statement": "The uptime shall be 99.9% a month.", "derivedFrom": "goal"}),
                Kind::NonFunctional,
                Some("reliability"),
                "the statement says \"uptime\"",
            ),
        ] {
            let mut item = item;
            item["name"] = json!("a");
            let class = classify(&item_from_value(&item).unwrap());
            assert_eq!((class.kind, class.category, class.why.get(crate::Language::En)), (kind, category, why));
        }
    }
}
