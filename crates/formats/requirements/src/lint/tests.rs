//! Each rule with a sentence that breaks it and one that does not, in both languages.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::glossary::Term;
use crate::read::{item_from_value, read_folder};

/// Rules that a text breaks, with the phrases.
fn broken(text: &str) -> Vec<(&'static str, String)> {
    let hits = lint_text(text, crate::text::language_of(text));
    hits.into_iter().map(|(rule, range, ..)| (rule, text.get(range).unwrap().to_owned())).collect()
}

/// Rule, bad sentence, the phrase that is found, good sentence.
const SENTENCES: &[(&str, &str, &str, &str)] = &[
    ("vague-word", "The shop shall respond quickly.", "quickly", "The shop shall open."),
    ("vague-word", "The shop shall be user-friendly.", "user-friendly", "The shop shall have a fastener."),
    ("vague-word", "The shop shall store about 100 orders.", "about 100", "The shop shall tell about orders."),
    ("vague-word", "The shop shall sell books, toys, etc.", "etc", "The shop shall sell books."),
    ("vague-word", "상점은 빠르게 응답해야 한다.", "빠르게", "상점은 응답해야 한다."),
    ("vague-word", "상점은 사용자 친화적으로 보여야 한다.", "사용자 친화적으로", "상점은 사용자 목록을 보여야 한다."),
    ("vague-word", "상점은 책, 장난감 등을 팔아야 한다.", "등", "상점은 등록을 받아야 한다."),
    ("vague-word", "상점은 충분한 재고를 두어야 한다.", "충분한", "상점은 재고를 100개 두어야 한다."),
    ("vague-word", "상점은 주문을 적절히 처리해야 한다.", "적절히", "상점은 주문을 처리해야 한다."),
    ("compound", "The shop shall sell books and shall buy toys.", "shall", "The shop shall sell books and toys."),
    (
        "compound",
        "The shop shall store the order and notify the clerk.",
        "and",
        "The shop shall store the order and its receipt.",
    ),
    ("compound", "상점은 주문을 저장해야 하며, 영수증을 보내야 한다.", "보내야 한다", "상점은 주문을 저장해야 한다."),
    (
        "compound",
        "상점은 주문을 저장하고 영수증을 보내야 한다.",
        "저장하고",
        "상점은 휴일을 제외하고 주문을 받아야 한다.",
    ),
    ("missing-unit", "The shop shall answer within 100.", "100", "The shop shall close within 100 days."),
    ("missing-unit", "상점은 100 이내로 닫아야 한다.", "100", "상점은 100일 이내로 닫아야 한다."),
    (
        "missing-percentile",
        "The shop shall respond within 100 ms a day at 50 requests per second.",
        "100 ms",
        "The shop shall respond to 99.9 % of requests within 100 ms.",
    ),
    (
        "missing-percentile",
        "상점은 하루에 초당 50건을 100ms 이내로 응답해야 한다.",
        "100ms",
        "상점은 요청의 99.9%에 100ms 이내로 응답해야 한다.",
    ),
    (
        "missing-window",
        "The availability shall be at least 99.9%.",
        "99.9%",
        "The availability shall be at least 99.9% over 30 days.",
    ),
    (
        "missing-window",
        "상점의 가용성은 99.9% 이상이어야 한다.",
        "99.9%",
        "상점의 가용성은 30일 동안 99.9% 이상이어야 한다.",
    ),
    (
        "missing-load",
        "The shop shall respond to 99% of requests within 1 s.",
        "1 s",
        "The shop shall respond to 99% of 50 requests per second within 1 s.",
    ),
    (
        "missing-load",
        "상점은 요청의 99%에 1초 이내로 응답해야 한다.",
        "1초",
        "상점은 초당 50건의 부하에서 99%에 1초 이내로 응답해야 한다.",
    ),
    ("no-obligation", "Customers like the shop", "Customers like the shop", "The shop shall sell."),
    ("no-obligation", "주문 서비스의 응답 속도", "주문 서비스의 응답 속도", "주문 서비스는 응답해야 한다."),
    (
        "passive-without-actor",
        "The order shall be stored.",
        "shall be stored",
        "The order shall be stored by the order service.",
    ),
    ("passive-without-actor", "The report must be written.", "must be written", "The shop shall be available."),
    (
        "passive-without-actor",
        "주문은 저장되어야 한다.",
        "저장되어야 한다",
        "주문은 주문 서비스에 의해 저장되어야 한다.",
    ),
];

#[test]
fn every_text_rule_finds_the_bad_sentence_and_spares_the_good_one() {
    for (rule, bad, phrase, good) in SENTENCES {
        let found = broken(bad);
        assert!(found.contains(&(*rule, (*phrase).to_owned())), "{bad}: {found:?}");
        let found = broken(good);
        assert!(!found.iter().any(|(other, _)| other == rule), "{good}: {found:?}");
    }
}

#[test]
fn good_sentences_have_no_findings() {
    for text in [
        "When a customer places an order, the order service shall respond to 99.9 % of requests within 100 ms over 30 days at 50 requests per second.",
        "사용자가 주문을 요청하면, 주문 서비스는 초당 50건의 부하에서 하루 요청의 99.9%에 100ms 이내로 응답해야 한다.",
        "결제가 거절되면 주문 서비스는 주문을 취소해야 한다.",
        "The order service shall reject an order without items.",
        "주문 서비스는 30분 이내에 백업에서 복구해야 한다.",
    ] {
        assert_eq!(broken(text), [], "{text}");
    }
}

fn items(written: &[Value]) -> Vec<Item> {
    written.iter().map(|value| item_from_value(value).unwrap()).collect()
}

fn complete(name: &str, change: Value) -> Value {
    let mut item = json!({
        "name": name, "statement": format!("The shop shall sell {name}."), "source": {"document": "RFP"},
        "allocatedTo": ["shop"], "verify": [{"test": {"suite": "shop"}}],
    });
    for (key, value) in change.as_object().unwrap() {
        if value.is_null() {
            item.as_object_mut().unwrap().remove(key);
        } else {
            item[key] = value.clone();
        }
    }
    item
}

fn rules(items: &[Item], context: &LintContext) -> BTreeMap<String, Vec<&'static str>> {
    let mut rules: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
    for finding in lint(items, context) {
        assert!(RULES.iter().any(|rule| rule.id == finding.rule));
        assert_ne!(finding.message.get(Language::Ko), finding.message.get(Language::En));
        assert!(!finding.fix.is_empty());
        rules.entry(finding.item).or_default().push(finding.rule);
    }
    rules
}

#[test]
fn rules_about_the_item_and_its_links() {
    let none = LintContext::default();
    for (change, expected) in [
        (json!({}), vec![]),
        (json!({"source": null}), vec!["orphan"]),
        (json!({"verify": null}), vec!["no-verification"]),
        (json!({"allocatedTo": null}), vec!["unallocated"]),
        (json!({"allocatedTo": null, "verify": null, "priority": "wont"}), vec![]),
        (json!({"derivedFrom": ["nothing"]}), vec!["unknown-parent"]),
        (json!({"derivedFrom": ["a"]}), vec!["cycle"]),
        (
            json!({"statement": {"ko": "상점은 3초 이내에 팔아야 한다.", "en": "The shop shall sell within 4 seconds."}}),
            vec!["languages-disagree"],
        ),
        (
            json!({"criterion": {"indicator": "latency", "quantile": 0.99, "atMost": "1s", "window": "1d", "atLoad": "5/s"}}),
            vec![],
        ),
        (
            json!({"criterion": {"indicator": "latency", "quantile": 0.99, "atMost": "1s", "atLoad": "5/s"}}),
            vec!["missing-window"],
        ),
        (
            json!({"criterion": {"indicator": "latency", "quantile": 0.99, "atMost": "1s", "window": "1d"}}),
            vec!["missing-load"],
        ),
        (
            json!({"criterion": {"indicator": "latency", "atMost": "1s", "window": "1d", "atLoad": "5/s"}}),
            vec!["missing-percentile"],
        ),
        (
            json!({"criterion": {"indicator": "latency", "quantile": 0.99, "atMost": 100, "window": "1d", "atLoad": "5/s"}}),
            vec!["missing-unit"],
        ),
        (json!({"criterion": {"indicator": "recoveryTime"}}), vec!["missing-bound"]),
        (json!({"criterion": {"indicator": "cost", "atMost": "5 USD"}}), vec!["missing-unit"]),
    ] {
        let items = items(&[complete("a", change.clone())]);
        assert_eq!(rules(&items, &none).remove("a").unwrap_or_default(), expected, "{change}");
    }
    let parent = complete("goal", json!({"allocatedTo": null, "verify": null}));
    assert_eq!(rules(&items(&[parent, complete("a", json!({"derivedFrom": ["goal"]}))]), &none), BTreeMap::new());
}

#[test]
fn statement_and_criterion_must_say_the_same_numbers() {
    let latency = |quantile: f64, most: &str, window: &str| json!({"indicator": "latency", "quantile": quantile, "atMost": most, "window": window, "atLoad": "50/s"});
    let ko = "주문 서비스는 초당 50건에서 하루 요청의 99.9%에 100ms 이내로 응답해야 한다.";
    let en = "The shop shall answer 99.9 % of requests over 30 days within 0.1 seconds at 3000 requests per minute.";
    for (statement, criterion, expected) in [
        (ko, latency(0.999, "100ms", "1d"), 0),
        (ko, latency(0.999, "200ms", "1d"), 1),
        (ko, latency(0.99, "200ms", "1d"), 2),
        (en, latency(0.999, "100ms", "30d"), 0),
        (en, latency(0.999, "100ms", "7d"), 1),
        (
            "가용성은 30일 동안 99.9% 이상이어야 한다.",
            json!({"indicator": "availability", "atLeast": "99.95%", "window": "30d"}),
            1,
        ),
        (
            "The shop shall serve 99.9 % of requests.",
            json!({"indicator": "errorRatio", "atMost": "0.1%", "window": "30d"}),
            0,
        ),
        (
            "The shop shall serve 99.9 % of requests.",
            json!({"indicator": "errorRatio", "atMost": "1%", "window": "30d"}),
            1,
        ),
        ("상점은 초당 60건을 받아야 한다.", json!({"indicator": "throughput", "atLeast": "50/s"}), 1),
        ("상점은 30분 이내에 복구해야 한다.", json!({"indicator": "recoveryTime", "atMost": "30m"}), 0),
        ("상점은 1시간 이내에 복구해야 한다.", json!({"indicator": "recoveryTime", "atMost": "30m"}), 1),
        ("The shop shall hold at least 500 GB.", json!({"indicator": "capacity", "atLeast": "400 GB"}), 1),
    ] {
        let items = items(&[complete("a", json!({"statement": statement, "criterion": criterion}))]);
        let found: Vec<Finding> =
            lint(&items, &LintContext::default()).into_iter().filter(|one| one.rule == "criterion-mismatch").collect();
        assert_eq!(found.len(), expected, "{statement} {criterion}: {found:?}");
    }
}

#[test]
fn items_that_say_the_same_are_found_in_both_languages() {
    let none = LintContext::default();
    for (first, second, same) in [
        ("The shop shall sell toys.", "The shop must  sell the toys", true),
        ("The shop shall sell toys.", "The shop shall sell books.", false),
        ("상점은 주문을 저장해야 한다.", "상점은 주문을 저장하여야 합니다", true),
        ("상점은 주문을 저장해야 한다.", "상점은 주문을 삭제해야 한다.", false),
    ] {
        let items = items(&[complete("a", json!({"statement": first})), complete("b", json!({"statement": second}))]);
        let found = rules(&items, &none).remove("b").unwrap_or_default();
        assert_eq!(found, if same { vec!["duplicate"] } else { vec![] }, "{first} / {second}");
    }
}

#[test]
fn terms_must_be_in_the_glossary() {
    let term =
        |word: &str| Term { term: word.into(), definition: "x".into(), aliases: vec!["주문 서비스".to_owned()] };
    let context = LintContext { glossary: Glossary::new(vec![term("OMS"), term("shop")]), components: None };
    for (statement, expected) in [
        ("The shop shall call the OMS over HTTPS.", vec![]),
        ("The shop shall call the WMS.", vec!["WMS"]),
        ("The bazaar shall open.", vec!["bazaar"]),
        ("주문 서비스는 재고를 WMS에서 읽어야 한다.", vec!["WMS"]),
        ("장터는 열려야 한다.", vec!["장터"]),
        ("Every container of the bazaar shall run without root.", vec![]),
        ("장터와 창고는 열려야 한다.", vec![]),
        ("장터의 컨테이너는 열려야 한다.", vec![]),
        ("창고 서비스는 열려야 한다.", vec!["창고 서비스"]),
        ("Running the bazaar shall cost at most 500,000 KRW a month.", vec![]),
        ("장터를 운영하는 비용은 한 달에 500,000원 이하여야 한다.", vec![]),
        ("신속한 처리를 위해 주문 서비스는 목록을 두어야 한다.", vec![]),
        ("신속한 처리를 위해 장터는 목록을 두어야 한다.", vec!["장터"]),
        ("본 주문 서비스는 목록을 두어야 한다.", vec![]),
        ("The price shall be shown in KRW.", vec![]),
        ("비밀번호는 9자 이상이어야 한다.", vec![]),
        ("The API shall answer.", vec![]),
        ("주문 서비스는 '보류' 대신 「가주문」을 만들어야 한다.", vec!["가주문"]),
    ] {
        let items = items(&[complete("a", json!({"statement": statement}))]);
        let found: Vec<String> = lint(&items, &context)
            .into_iter()
            .filter(|one| one.rule == "undefined-term")
            .map(|one| one.phrase)
            .collect();
        assert_eq!(found, expected, "{statement}");
    }
}

#[test]
fn names_verbs_and_verbs_of_two_words_are_no_findings() {
    for good in [
        "시스템은 매월 1일부터 말일까지의 매출을 집계해야 한다.",
        "시스템은 간편결제를 지원해야 한다.",
        "시스템은 상품을 최신순으로 정렬해야 한다.",
        "은행은 보통예금 계좌를 개설할 수 있어야 한다.",
        "시스템은 자주 묻는 질문을 제공해야 한다.",
        "시스템은 우수회원에게 쿠폰을 발급해야 한다.",
        "시스템은 유연근무 신청을 받아야 한다.",
        "시스템은 고객이 보유하고 있는 쿠폰을 표시해야 한다.",
        "시스템은 사용자의 요청을 로그에 기록하고 있어야 한다.",
        "시스템은 로그인하고 나서 30분이 지나면 세션을 끝내야 한다.",
        "시스템은 창고의 재고를 보고서에 표시해야 한다.",
        "비밀번호는 9자 이상이어야 한다.",
        "The storefront shall clear the cart after payment.",
        "The system shall prompt the user for a password.",
        "The agent shall read /etc/agent.yaml.",
        "The system shall post entries to the general ledger.",
    ] {
        assert_eq!(broken(good), [], "{good}");
    }
    for (bad, rule, phrase) in [
        ("시스템은 휴일을 제외하고 주문을 저장하고 영수증을 보내야 한다.", "compound", "저장하고"),
        ("시스템은 알림을 만들고 담당자에게 보내야 한다.", "compound", "만들고"),
        ("시스템은 계좌를 열고, 카드를 발급해야 한다.", "compound", "열고"),
        ("시스템은 일부 주문을 거부해야 한다.", "vague-word", "일부"),
        ("The shop shall send a prompt answer.", "vague-word", "prompt"),
        ("The shop shall show clear messages.", "vague-word", "clear"),
    ] {
        assert_eq!(broken(bad), [(rule, phrase.to_owned())], "{bad}");
    }
}

#[test]
fn findings_stand_where_the_words_are() {
    let yaml = "# first\n---\nname: a\nstatement: >-\n  The shop shall respond\n  very quickly.\nsource: RFP\nallocatedTo: [shop]\nverify:\n  - slo: x\n";
    let items = read_folder(&[("dir/주문.yaml", yaml)]).unwrap().items;
    let findings = lint(&items, &LintContext::default());
    let place = Place {
        file: "dir/주문.yaml".to_owned(),
        line: 6,
        column: 8,
        end_line: 6,
        end_column: 15,
        field: "statement".to_owned(),
    };
    assert_eq!(findings.iter().map(|one| (one.rule, one.place.clone())).collect::<Vec<_>>(), [("vague-word", place)]);
    let log = crate::sarif(&findings, &[], Language::Ko, "0.1.0");
    assert_eq!(
        log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "dir/%EC%A3%BC%EB%AC%B8.yaml"
    );
}
