//! Folders of items, as people and other programs write them.

mod schema;

use std::collections::BTreeMap;
use std::sync::Arc;

use maru_requirements::{
    FILE_BYTES_MAX, Finding, Graph, Item, ItemError, Items, Language, LintContext, Linter, LocalText, Priority,
    classify, item_from_value, lint, parse_sentences, read_folder, sarif,
};
use proptest::prelude::*;
use serde_json::json;

const NFR: &str = "\
apiVersion: maru.dev/v1alpha1
kind: Requirement
metadata: {name: nfr-007}
spec:
  title: 주문 응답 시간
  statement: 사용자가 주문을 요청하면, 주문 서비스는 하루 요청의 99.9%에 100ms 이내로 응답해야 한다.
  priority: must
  stakeholders: [customer-operations]
  source: {document: RFP-2026-11, clause: \"3.2\"}
  derivedFrom: [{name: goal-002}]
  allocatedTo: [orders]
  criterion: {indicator: latency, of: {service: orders, route: \"POST /orders\"}, quantile: 0.999, atMost: 100ms, window: 1d, atLoad: 50/s}
  verify:
    - {slo: orders-latency, in: prod}
    - {test: {suite: orders, case: \"contract/*\"}, in: test}
    - {approval: {role: customer}}
";

const GOAL: &str = "\
---
priority: should
source: RFP-2026-11
---
# Customers are served

## English
The shop shall sell
to customers.

## 한국어
상점은 고객에게 팔아야 한다.

## Rationale
Money. <script>alert(1)</script>
";

fn errors(files: &[(&str, &str)]) -> Vec<(String, usize, usize, String)> {
    let errors = read_folder(files).expect_err("the files are wrong");
    errors.into_iter().map(|error| (error.file, error.line, error.column, error.message)).collect()
}

#[test]
fn objects_and_markdown_are_read_alike() {
    let files = [
        ("nfr.yaml", NFR),
        ("goal-002.md", GOAL),
        ("README.md", "# About\n"),
        ("notes.txt", "x"),
        (".hidden.yaml", ":"),
    ];
    let Items { items, glossary } = read_folder(&files).unwrap();
    assert!(glossary.is_empty());
    let names: Vec<&str> = items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["goal-002", "nfr-007"]);
    assert_eq!(items[0].title, LocalText::from("Customers are served"));
    assert_eq!(
        items[0].statement,
        LocalText::both("상점은 고객에게 팔아야 한다.", "The shop shall sell to customers.")
    );
    assert_eq!(items[0].priority, Priority::Should);
    assert_eq!(items[1].indicator(), Some("latency"));
    let place = items[0].place_of("statement.en");
    assert_eq!((place.file.as_str(), place.line, place.column), ("goal-002.md", 8, 1));
    let findings = lint(&items, &LintContext::default());
    assert_eq!(findings, []);
    let again = item_from_value(&items[1].to_object("shop")).unwrap();
    assert_eq!((again.fingerprint(), &again), (items[1].fingerprint(), &items[1]));
}

#[test]
fn encodings_do_not_change_an_item() {
    let utf8 = read_folder(&[("a.yaml", NFR)]).unwrap().items.remove(0);
    let wide: Vec<u8> = NFR.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut marked = vec![0xFE, 0xFF];
    marked.extend(NFR.encode_utf16().flat_map(u16::to_be_bytes));
    let (korean, _, _) = encoding_rs::EUC_KR.encode(NFR);
    let decomposed: String = unicode_normalization::UnicodeNormalization::nfd(NFR).collect();
    for bytes in [wide, marked, korean.into_owned(), decomposed.into_bytes()] {
        let item = read_folder(&[("a.yaml", bytes)]).unwrap().items.remove(0);
        assert_eq!((item.fingerprint(), &item), (utf8.fingerprint(), &utf8));
    }
}

#[test]
fn each_error_has_its_place_and_says_what_to_do() {
    for (text, line, column, part) in [
        ("name: a\nstatment: x\n", 2, 1, "did you mean \"statement\"?"),
        ("name: a\nstatement: x\nid: b\n", 3, 1, "did you mean \"name\"?"),
        ("name: a\n", 1, 1, "the statement is missing"),
        ("name: a\nstatement: 3\n", 2, 12, "put it in quotes"),
        ("name: 007\nstatement: x\n", 1, 7, "put it in quotes"),
        ("name: Ab c\nstatement: x\n", 1, 7, "is no name; write small Latin letters"),
        ("name: a\nstatement: x\npriority: high\n", 3, 11, "write must, should, could or wont"),
        ("name: a\nstatement: x\nverdict: Conforming\n", 3, 1, "never written by hand"),
        ("name: a\nstatement: x\nsource: {clause: 3.2}\n", 3, 18, "put it in quotes"),
        ("name: a\nstatement: x\ncriterion: {indicator: speed}\n", 3, 24, "write one of latency, availability"),
        (
            "name: a\nstatement: x\ncriterion: {indicator: latency, quantile: 99.9, atMost: 1s}\n",
            3,
            43,
            "it is more than the whole",
        ),
        (
            "name: a\nstatement: x\ncriterion: {indicator: behaviour, atMost: 1s}\n",
            3,
            35,
            "means nothing for behaviour; remove it",
        ),
        ("name: a\nstatement: x\nverify: [{in: prod}]\n", 3, 10, "write one of slo, test"),
        ("name: a\nstatement: x\nverify: [{slo: a, drill: b}]\n", 3, 10, "make two entries of it"),
        ("name: a\nstatement: x\nderivedFrom: [{name: b, fingerprint: abc}]\n", 3, 38, "is no fingerprint"),
        ("kind: Pod\nname: a\nstatement: x\n", 1, 7, "only Requirement may stand here"),
        ("name: a\nstatement: a: b\n", 2, 13, "not YAML"),
        ("- name: a\n  statement: x\n- statement: y\n", 3, 3, "the name is missing"),
    ] {
        let found = errors(&[("dir/x.yaml", text)]);
        let Some((_, at, col, message)) = found.iter().find(|(.., message)| message.contains(part)) else {
            panic!("{text}: {found:?}");
        };
        assert_eq!((*at, *col), (line, column), "{text}: {message}");
    }
    assert!(errors(&[("x.md", "no front matter")])[0].3.contains("begin it with a line \"---\""));
    assert!(errors(&[("x.md", "---\nname: x\n")])[0].3.contains("does not end"));
}

#[test]
fn a_name_is_taken_once() {
    let found = errors(&[("b.yaml", "name: x\nstatement: b\n"), ("a.yaml", "# first\nname: x\nstatement: a\n")]);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].0.as_str(), found[0].1), ("b.yaml", 1));
    assert!(found[0].3.contains("a.yaml:2"), "{found:?}");
}

#[test]
fn ten_thousand_items_with_errors_in_the_middle_are_refused_whole() {
    let mut text = String::new();
    let mut expected = Vec::new();
    for index in 0..10_000 {
        text.push_str(&format!("---\nname: req-{index}\nstatement: 서비스 {index}는 항목 {index}을 저장해야 한다.\n"));
        if matches!(index, 4_999 | 5_000 | 7_777) {
            expected.push(text.lines().count() + 1);
            text.push_str(["priorty: must\n", "priority: [\n", "criterion: 5\n"][index % 3]);
        } else if index == 1_234 {
            text.push_str("source: RFP\n");
        }
        if index % 1_000 == 0 {
            text.push_str("# a comment\n");
        }
    }
    let found = errors(&[("import.yaml", &text)]);
    let lines: Vec<usize> = found.iter().map(|(_, line, ..)| *line).collect();
    assert_eq!(lines.len(), 3, "{found:?}");
    for (line, expected) in lines.iter().zip(&expected) {
        assert!(line.abs_diff(*expected) <= 1, "{lines:?} {expected:?}");
    }
    let good: String = text.split_inclusive('\n').filter(|line| !line.starts_with(['p', 'c'])).collect();
    let items = read_folder(&[("import.yaml", good)]).unwrap().items;
    assert_eq!(items.len(), 10_000);
    let findings = lint(&items, &LintContext::default());
    assert!(findings.iter().all(|finding| finding.place.line > 0));
    assert_eq!(Graph::new(&items).cycles().len(), 0);
}

#[test]
fn hostile_files_are_refused() {
    let deep = format!("name: a\nstatement: {}", "[".repeat(100_000));
    let bomb = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nstatement: *c\n";
    let long = format!("name: a\nstatement: {}\n", "가".repeat(20_000));
    for text in [deep.as_str(), bomb, long.as_str(), "name: a\nstatement: x\nstatement: y\n"] {
        assert!(read_folder(&[("x.yaml", text)]).is_err());
    }
    assert!(read_folder(&[("x.yaml", vec![b'#'; FILE_BYTES_MAX + 1])]).is_err());
}

#[test]
fn the_glossary_is_read_beside_the_items() {
    let list = "terms:\n  - {term: {ko: 주문, en: order}, definition: 한 번에 사는 것, aliases: [purchase]}\n  - {term: OMS, definition: x}\n";
    let items = read_folder(&[("glossary.yaml", list), ("nfr.yaml", NFR)]).unwrap();
    for word in ["주문", "Order", "orders", "purchase", "oms"] {
        assert!(items.glossary.has(word), "{word}");
    }
    assert!(!items.glossary.has("WMS"));
    assert!(read_folder(&[("glossary.yaml", "주문: 한 번에 사는 것\n")]).unwrap().glossary.has("주문"));
    assert_eq!(errors(&[("glossary.yaml", "- {term: x}\n")])[0].1, 1);
}

#[test]
fn logs_hold_errors_and_findings() {
    let error = ItemError { file: "a b.yaml".to_owned(), line: 3, column: 1, message: "x".to_owned() };
    let items = read_folder(&[("x.yaml", "name: x\nstatement: The shop shall be fast.\n")]).unwrap().items;
    let log = sarif(&lint(&items, &LintContext::default()), &[error], Language::En, "0.1.0");
    assert_eq!(
        log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        json!("a%20b.yaml")
    );
    let results = log["runs"][0]["results"].as_array().unwrap();
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(log["runs"][0]["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
    }
}

/// Reads a log by the model of SARIF 2.1.0 and counts its results; `sarif` then reads it by its own.
const READ: &str = "
import sys, sarif_pydantic
log = sarif_pydantic.Sarif.model_validate_json(open(sys.argv[1], 'rb').read())
run = log.runs[0]
for result in run.results:
    assert run.tool.driver.rules[result.rule_index].id == result.rule_id
    assert result.message.text and result.level in ('error', 'warning', 'note')
print(len(run.results))
";

#[test]
fn logs_are_read_by_others() {
    // A Python that has the readers, perhaps of a virtual environment.
    let python = std::env::var_os("MARU_PYTHON").unwrap_or_else(|| "python3".into());
    let run = |words: &[&std::ffi::OsStr]| std::process::Command::new(&python).args(words).output();
    let is_there = run(&["-c".as_ref(), "import sarif, sarif_pydantic".as_ref()]);
    if !is_there.is_ok_and(|output| output.status.success()) {
        println!("skipped: {} has no sarif and sarif_pydantic; name one that has by MARU_PYTHON", python.display());
        return;
    }
    let yaml = "name: x\nstatement: The shop shall be fast.\n---\nname: y\nstatement: 상점은 빨리 100 이내로 응답해야 한다.\nsource: RFP\n";
    let items = read_folder(&[("폴더/x y.yaml", yaml)]).unwrap().items;
    let error = ItemError { file: "/tmp/a.yaml".to_owned(), line: 3, column: 1, message: "x".to_owned() };
    let folder = std::env::temp_dir().join(format!("maru-sarif-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for (errors, language) in [(vec![], Language::Ko), (vec![error], Language::En)] {
        let findings = lint(&items, &LintContext::default());
        let log = sarif(&findings, &errors, language, "0.1.0");
        let path = folder.join("lint.sarif");
        std::fs::write(&path, log.to_string()).unwrap();
        let output = run(&["-c".as_ref(), READ.as_ref(), path.as_os_str()]).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let count = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert_eq!(count, (findings.len() + errors.len()).to_string());
        let words = ["-m".as_ref(), "sarif".as_ref(), "summary".as_ref(), path.as_os_str()];
        let output = run(&words).unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let bad = findings.iter().filter(|one| one.severity == maru_requirements::Severity::Error).count();
        assert!(said.contains(&format!("error: {}", bad + errors.len())), "{said}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// One item of few names and sentences, so that items repeat each other and are each other's parents.
fn written() -> impl Strategy<Value = String> {
    let statement = prop::sample::select(vec![
        "The shop shall answer within 100 ms.",
        "The order service shall answer 99.9 % of requests within 200 ms and store the order.",
        "상점은 빠르게 응답해야 한다.",
        "상점이 빠르게 응답한다.",
        "The ACME shall answer 100.",
        "개인정보를 암호화하여 저장해야 한다.",
    ]);
    let parent = prop::collection::vec((0..8_u8, any::<bool>()), 0..3);
    let rest = prop::sample::select(vec![
        "",
        "verify: [{test: {suite: orders}}]\n",
        "allocatedTo: [orders]\n",
        "source: RFP\n",
        "criterion: {indicator: latency, quantile: 0.99, atMost: 300ms}\n",
        "priority: wont\n",
    ]);
    (statement, parent, rest, 0..3_usize).prop_map(|(statement, parents, rest, blank)| {
        let link = |(parent, is_reviewed): (u8, bool)| {
            let reviewed = if is_reviewed { format!(", fingerprint: \"sha256:{:064}\"", 0) } else { String::new() };
            format!("{{name: r-{parent}{reviewed}}}")
        };
        let parents: Vec<String> = parents.into_iter().map(link).collect();
        let parents =
            if parents.is_empty() { String::new() } else { format!("derivedFrom: [{}]\n", parents.join(", ")) };
        format!("{}statement: {statement}\n{parents}{rest}", "# a remark\n".repeat(blank))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_linter_that_remembers_finds_what_a_new_one_finds(
        edits in prop::collection::vec((0..8_u8, prop::option::weighted(0.8, written()), 0..10_u8), 1..25),
    ) {
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        let mut linter = Linter::default();
        let mut context = LintContext::default();
        let mut kept: Vec<Arc<Item>> = Vec::new();
        let mut before = BTreeMap::new();
        for (name, text, other) in edits {
            match text {
                Some(text) => drop(files.insert(format!("r-{name}.yaml"), text)),
                None => drop(files.remove(&format!("r-{name}.yaml"))),
            }
            match other {
                0 => context.components = Some(["orders".to_owned()].into()),
                1 => context.components = Some(["payments".to_owned()].into()),
                2 => context = LintContext::default(),
                _ => {}
            }
            let files: Vec<(String, String)> = files.clone().into_iter().collect();
            let mut items = read_folder(&files).unwrap().items;
            // Links that were reviewed at what their parents say now.
            let fingerprints: Vec<(String, String)> =
                items.iter().map(|item| (item.name.clone(), item.fingerprint())).collect();
            for link in items.iter_mut().flat_map(|item| &mut item.derived_from).filter(|_| other % 2 == 1) {
                let parent = fingerprints.iter().find(|(name, _)| *name == link.name);
                link.fingerprint = parent.map(|(_, fingerprint)| fingerprint.clone()).filter(|_| link.fingerprint.is_some());
            }
            // What did not change is now and then the same object, as at the server.
            let same = |item: Item| kept.iter().find(|one| ***one == item && other > 5).cloned().unwrap_or_else(|| Arc::new(item));
            let objects: Vec<Arc<Item>> = items.into_iter().map(same).collect();
            let plain: Vec<Item> = objects.iter().map(|one| (**one).clone()).collect();
            let expected = lint(&plain, &context);
            let look = linter.look(&objects, &context);
            prop_assert_eq!(look.found.len(), plain.len());
            let mut now = BTreeMap::new();
            for (found, item) in look.found.iter().zip(&plain) {
                let of: Vec<Finding> = expected.iter().filter(|one| one.item == item.name).cloned().collect();
                prop_assert_eq!(found.findings(), of.clone());
                prop_assert_eq!(found.class(), &classify(item));
                prop_assert!(found.is_other() || before.get(&item.name) == Some(&of));
                now.insert(item.name.clone(), of);
            }
            prop_assert!(linter.look(&objects, &context).found.iter().all(|found| !found.is_other()));
            (before, kept) = (now, objects);
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_give_items_or_errors_with_places(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        markdown in any::<bool>(),
    ) {
        check_arbitrary(if markdown { "a.md" } else { "a.yaml" }, bytes);
    }

    #[test]
    fn arbitrary_items_give_items_or_errors_with_places(
        lines in prop::collection::vec("(name|statement|criterion|verify|derivedFrom|source|title|---|- x|\\.\\.\\.|#): ?(\\{indicator: latency, atMost: [0-9]{1,3}m?s?\\}|\\[\\{slo: x\\}\\]|[a-z가-힣]{0,9} shall 빠르게 [0-9]{1,4} 이내|\\PC{0,20})", 0..12),
        front in any::<bool>(),
    ) {
        let text = lines.join("\n");
        check_arbitrary("a.yaml", text.clone().into_bytes());
        if front {
            check_arbitrary("b.md", format!("---\n{text}\n---\n{text}\n").into_bytes());
        }
    }
}

fn check_arbitrary(path: &str, bytes: Vec<u8>) {
    match read_folder(&[(path, bytes)]) {
        Ok(items) => {
            for finding in lint(&items.items, &LintContext::default()) {
                assert!(finding.place.line > 0 && finding.place.column > 0, "{finding:?}");
            }
            for item in &items.items {
                assert_eq!(item.fingerprint().len(), 71);
                for (language, text) in item.statement.parts() {
                    drop(parse_sentences(text, language));
                }
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(error.line > 0 && error.column > 0 && error.file == path, "{error:?}");
            }
        }
    }
}
