//! Rules about one text: its words, its sentences, its numbers.

use std::sync::LazyLock;

use regex::Regex;

use super::words::vague;
use super::{Hit, hit};
use crate::numbers::{Found, Quantity, find};
use crate::sentence::{Pattern, Sentence, parse_sentences};
use crate::text::Language;

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is constant")
}

/// What the text rules know of the item.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known {
    /// A criterion gives the numbers that the text leaves out.
    pub(crate) has_criterion: bool,
}

/// Applies all rules that need nothing but the text.
pub(crate) fn check(text: &str, language: Language, known: Known) -> Vec<Hit> {
    let sentences = parse_sentences(text, language);
    let quantities = find(text);
    let mut hits: Vec<Hit> = vague(text, language)
        .into_iter()
        .map(|(start, end)| {
            let word = text.get(start..end).unwrap_or_default();
            hit(
                "vague-word",
                start,
                end,
                (
                    format!("\"{word}\"은(는) 확인할 수 없는 말이다"),
                    format!("\"{word}\" says nothing that can be checked"),
                ),
                ("측정할 수 있는 수치나 조건으로 바꾼다", "replace it by a number with a unit, or by a condition"),
            )
        })
        .collect();
    duties(text, language, &sentences, &mut hits);
    passive(text, language, &sentences, &mut hits);
    for bare in quantities.iter().filter(|found| matches!(found.quantity, Quantity::Bare(_))) {
        let number = text.get(bare.start..bare.end).unwrap_or_default();
        hits.push(hit(
            "missing-unit",
            bare.start,
            bare.end,
            (format!("\"{number}\"에 단위가 없다"), format!("\"{number}\" has no unit")),
            ("단위를 붙인다: 100ms, 50건/초, 99.9%", "write the unit: 100 ms, 50/s, 99.9 %"),
        ));
    }
    if !known.has_criterion {
        numbers(text, &quantities, &mut hits);
    }
    hits
}

static SECOND_VERB: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(?:,\s*|\s)(and(?:\s+then|\s+also)?|as well as)\s+(?:[a-z]+ly\s+)?(accept|add|alert|allow|archive|assign|authenticate|block|calculate|cancel|check|close|compress|confirm|copy|create|delete|deliver|deny|deploy|detect|disable|display|download|email|emit|enable|encrypt|export|fetch|forward|generate|import|inform|issue|keep|list|load|lock|log|measure|monitor|notify|open|print|process|provide|publish|queue|receive|record|redirect|refuse|reject|release|remove|render|replicate|report|reserve|respond|restart|restore|retry|return|roll|save|scale|search|send|show|start|stop|store|submit|switch|sync|synchronise|synchronize|update|upload|validate|verify|warn|write)\b",
    )
});
static KOREAN_CHAIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?:^|\s)([가-힣]*(?:[가-힣](?:하고|하며|되고|되며|시키고|시키며|내고|보내며|주고|주며)",
        r"|(?:만들|열|닫|담|읽|쓰|지우|받|알리|남기|나누|바꾸|옮기|넣|띄우|막|끊|올리|내리)고",
        r"|(?:만들|열|쓰|지우|알리|남기|나누|바꾸|옮기|띄우|올리|내리|닫으|담으|읽으|받으|넣으|막으|끊으)며))(?:,|\s)",
    ))
});
const NO_CHAINS: [&str; 8] =
    ["제외하고", "불구하고", "그리하고", "대비하고", "준수하며", "무관하고", "관계하고", "포함하며"];
/// What makes one verb of two words: "보유하고 있는", "로그인하고 나서".
const GOES_ON: [&str; 6] = ["있", "계", "나서", "나면", "난", "싶"];

/// The first word that joins two duties in a response.
fn joint(response: &str, language: Language) -> Option<(usize, usize)> {
    let chain = match language {
        Language::En => &SECOND_VERB,
        Language::Ko => &KOREAN_CHAIN,
    };
    chain.captures_iter(response).filter_map(|captures| captures.get(1)).find_map(|word| {
        let rest = response.get(word.end()..).unwrap_or_default().trim_start();
        let one_verb = language == Language::Ko && GOES_ON.iter().any(|next| rest.starts_with(next));
        (!NO_CHAINS.contains(&word.as_str()) && !one_verb).then(|| (word.start(), word.end()))
    })
}

/// One sentence, one duty; and every text has one.
fn duties(text: &str, language: Language, sentences: &[Sentence], hits: &mut Vec<Hit>) {
    let duties: Vec<_> = sentences.iter().flat_map(|sentence| &sentence.obligations).collect();
    const FIX: (&str, &str) = ("의무마다 항목을 나눈다", "write one item for each duty");
    if let [_, second, ..] = duties.as_slice() {
        hits.push(hit(
            "compound",
            second.start,
            second.end,
            (format!("의무가 {}개다", duties.len()), format!("the statement has {} duties", duties.len())),
            FIX,
        ));
    } else if duties.is_empty() && !text.trim().is_empty() {
        hits.push(hit(
            "no-obligation",
            0,
            text.len(),
            ("무엇을 해야 하는지 말하지 않는다".to_owned(), "the statement says no duty".to_owned()),
            ("\"…는 …해야 한다\"로 쓴다", "write \"The <system> shall <response>.\""),
        ));
    } else {
        for sentence in sentences.iter().filter(|sentence| sentence.pattern() != Pattern::None) {
            let Some(response) = &sentence.response else { continue };
            if let Some((start, end)) = joint(&response.text, language) {
                let word = response.text.get(start..end).unwrap_or_default();
                hits.push(hit(
                    "compound",
                    response.start + start,
                    response.start + end,
                    (format!("\"{word}\"이(가) 두 의무를 잇는다"), format!("\"{word}\" joins two duties")),
                    FIX,
                ));
            }
        }
    }
}

static PASSIVE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?:\s*not)?\s*be\s+(?:[a-z]+ly\s+)?([a-z]+ed|built|bought|chosen|done|drawn|driven|found|given|held|hidden|kept|known|led|left|lost|made|met|paid|put|read|run|seen|sent|set|shown|shut|sold|taken|told|thrown|understood|written)\b",
    )
});
static KOREAN_PASSIVE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[가-힣]+(?:되어야|돼야|되야|어져야|아져야|해져야|려져야|여져야)(?:\s?[가-힣]+)?$"));
static ACTOR: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bby\s+(?:the|an?|each|every|its|[A-Z])"));
static KOREAN_ACTOR: LazyLock<Regex> = LazyLock::new(|| pattern(r"에\s?의해|에\s?의하여|으로부터|에\s?의한"));
static SYSTEM: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:system|service|server|gateway|platform|application|app|module|component|container|node|cluster|controller|api|client|agent)s?\b|시스템|서비스|서버|게이트웨이|플랫폼|애플리케이션|모듈|컴포넌트|컨테이너|노드|클러스터",
    )
});

/// The words that say that something is done to the subject, if the sentence names nobody who does it.
fn passive_words(text: &str, sentence: &Sentence) -> Option<(usize, usize)> {
    let duty = sentence.obligations.first()?;
    let whole = &sentence.whole;
    match sentence.language {
        Language::En => {
            let rest = text.get(duty.end..whole.end).unwrap_or_default();
            PASSIVE.find(rest).filter(|_| !ACTOR.is_match(rest)).map(|found| (duty.start, duty.end + found.end()))
        }
        Language::Ko => KOREAN_PASSIVE
            .find(&whole.text)
            .filter(|_| !KOREAN_ACTOR.is_match(&whole.text))
            .map(|found| (whole.start + found.start(), whole.start + found.end())),
    }
}

static COPULA: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:이어야|(?:이내|이하|개|회|초|자|배|자리|가지)여야)\s?(?:한다|합니다|함)?$"));

/// Whether the subject of a sentence acts. That of "the price shall be shown" and "비밀번호는 9자 이상이어야 한다" does not.
pub(crate) fn subject_acts(text: &str, sentence: &Sentence) -> bool {
    let Some(duty) = sentence.obligations.first() else { return false };
    let passive = match sentence.language {
        Language::En => PASSIVE.is_match(text.get(duty.end..sentence.whole.end).unwrap_or_default()),
        Language::Ko => KOREAN_PASSIVE.is_match(&sentence.whole.text) || COPULA.is_match(&duty.text),
    };
    !passive
}

fn passive(text: &str, language: Language, sentences: &[Sentence], hits: &mut Vec<Hit>) {
    for sentence in sentences {
        let named = sentence.system.as_ref().is_some_and(|system| SYSTEM.is_match(&system.text));
        let found = passive_words(text, sentence).filter(|_| language == Language::En || !named);
        if let Some((start, end)) = found {
            let phrase = text.get(start..end).unwrap_or_default();
            hits.push(hit(
                "passive-without-actor",
                start,
                end,
                (
                    format!("\"{phrase}\"은(는) 누가 하는지 말하지 않는다"),
                    format!("\"{phrase}\" does not say who does it"),
                ),
                (
                    "행위자를 주어로 쓴다: \"주문 서비스는 …해야 한다\"",
                    "name the actor: \"The order service shall …\", or \"… by the …\"",
                ),
            ));
        }
    }
}

static RESPONSE_TIME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:respond|response|repl(?:y|ies)|answer|latency|load(?:ed|s)?|return|display|render|complete[ds]?|process(?:ed)?)\b|응답|지연|답변|반환|표시|조회|완료|처리|로딩|출력",
    )
});
static RECOVERY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:recover|restore|restart|rto|rpo|fail ?over|retention|retain|expire|backup)|복구|복원|재시작|백업|보관|보존|만료|장애",
    )
});
static SHARE_OF_TIME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:availab|uptime|downtime|error rate|error ratio|failure rate|success rate)|가용|가동률|오류율|실패율|성공률|에러율",
    )
});
static EVERY: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?i)\bpercentile\b|\bp\d\d|백분위|퍼센타일"));
static WINDOW: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:per|a|an|each|every|any|one|rolling|calendar|over|daily|weekly|monthly|yearly|annual(?:ly)?)\s?-?\s?(?:minute|hour|day|week|month|quarter|year|\d+)?s?\b.{0,12}\b(?:minutes?|hours?|days?|weeks?|months?|quarters?|years?|window)\b|\b(?:daily|weekly|monthly|yearly|annually|annual)\b|하루|한 달|한달|매일|매월|매주|매년|월간|주간|연간|일간|월 기준|\d+\s?(?:일|주|개월|시간|분)\s?(?:동안|간|기준|평균|마다|단위)|1\s?(?:일|개월|년|시간)|분기",
    )
});
static LOAD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)concurrent|simultaneous|\bload\b|\brps\b|\btps\b|\bqps\b|동시|부하|초당|분당|시간당|TPS|RPS")
});

/// Response times need a percentile, a window and a load; shares need a window.
fn numbers(text: &str, quantities: &[Found], hits: &mut Vec<Hit>) {
    let limit = quantities
        .iter()
        .find(|found| found.bound && matches!(found.quantity, Quantity::Time(nanos) if nanos < 3_600_000_000_000));
    let share = quantities.iter().find(|found| matches!(found.quantity, Quantity::Share(_)));
    let window = WINDOW.is_match(text);
    let rule = |rule, found: &Found, ko: &str, en: &str, fix: (&'static str, &'static str)| {
        let phrase = text.get(found.start..found.end).unwrap_or_default();
        hit(rule, found.start, found.end, (format!("\"{phrase}\": {ko}"), format!("\"{phrase}\": {en}")), fix)
    };
    let window_fix = (
        "기간을 쓴다: 하루, 30일 동안; 또는 criterion.window",
        "write over which time: a day, 30 days; or criterion.window",
    );
    if let Some(limit) = limit.filter(|_| RESPONSE_TIME.is_match(text) && !RECOVERY.is_match(text)) {
        if share.is_none() && !EVERY.is_match(text) {
            hits.push(rule(
                "missing-percentile",
                limit,
                "요청의 몇 %가 지켜야 하는지 없다",
                "it is not said which share of the requests must hold it",
                (
                    "백분위를 쓴다: 요청의 99.9%; 또는 criterion.quantile",
                    "write the percentile: 99.9 % of requests; or criterion.quantile",
                ),
            ));
        }
        if !window {
            hits.push(rule(
                "missing-window",
                limit,
                "어느 기간에 판단하는지 없다",
                "it is not said over which time it is judged",
                window_fix,
            ));
        }
        let rate = quantities.iter().any(|found| matches!(found.quantity, Quantity::Rate(_)));
        if !rate && !LOAD.is_match(text) {
            hits.push(rule(
                "missing-load",
                limit,
                "어떤 부하에서인지 없다",
                "it is not said under which load",
                (
                    "부하를 쓴다: 초당 50건; 또는 criterion.atLoad",
                    "write the load: 50 requests per second; or criterion.atLoad",
                ),
            ));
        }
    } else if let Some(share) = share.filter(|_| SHARE_OF_TIME.is_match(text) && !window) {
        hits.push(rule(
            "missing-window",
            share,
            "어느 기간에 판단하는지 없다",
            "it is not said over which time it is judged",
            window_fix,
        ));
    }
}
