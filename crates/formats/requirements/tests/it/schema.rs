//! Logs against the schema of SARIF 2.1.0, which `MARU_SARIF_SCHEMA` names (`tools/sarif-schema` prints a path), read by the
//! jsonschema of the Python that `MARU_PYTHON` names (`tools/python-readers`).

use std::io::Write as _;
use std::process::{Command, Stdio};

use maru_requirements::{
    ItemError, Language, LintContext, RULES, Rule, Severity, lint, read_folder, sarif, sarif_log, sarif_run,
};

/// Says of each line, a log, what breaks the schema, and what the schema cannot say: rules and regions.
const VALIDATE: &str = r#"
import json, sys
from jsonschema import validators
schema = json.load(open(sys.argv[1], encoding="utf-8"))
kind = validators.validator_for(schema)
kind.check_schema(schema)
validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
for line in sys.stdin:
    log = json.loads(line)
    wrong = ["%s: %s" % ("/".join(map(str, e.absolute_path)), e.message[:300]) for e in validator.iter_errors(log)]
    for run in log.get("runs", []):
        rules = [rule["id"] for rule in run["tool"]["driver"].get("rules", [])]
        if len(set(rules)) < len(rules): wrong.append("a rule is described twice")
        for result in run["results"]:
            index = result.get("ruleIndex", -1)
            if type(index) is not int or index >= len(rules) or index >= 0 and rules[index] != result["ruleId"]:
                wrong.append("result of %s has rule index %s" % (result["ruleId"], index))
            for location in result.get("locations", []):
                r = location.get("physicalLocation", {}).get("region", {})
                start, end = (r.get("startLine", 1), r.get("startColumn", 1)), (r.get("endLine", r.get("startLine", 1)), r.get("endColumn"))
                if end[1] is not None and end < start: wrong.append("a region ends before it starts: %s" % r)
    print(json.dumps(wrong), flush=True)
"#;

/// Logs of all that the lint can find, in both languages, at hostile places.
fn logs() -> Vec<(String, serde_json::Value)> {
    let texts = [
        "name: x\nstatement: The shop shall be fast.\n---\nname: y\nstatement: 상점은 빨리 100 이내로 응답해야 한다.\nsource: RFP\n",
        "name: a\nstatement: {ko: 주문 서비스는 빠르고 안정적이며 또한 친절해야 한다., en: The order service shall be robust and shall be quick etc.}\nderivedFrom: [b]\n---\nname: b\nstatement: x\nderivedFrom: [a, nobody]\n",
        "name: 요구-1\nstatement: |\n  여러 줄로\n  쓴 문장은 👩‍👩‍👧‍👦 충분히 빨라야 한다.\ncriterion: {indicator: latency, atMost: 100ms}\n",
        "{}\n",
        "",
    ];
    let places =
        ["x.yaml", "폴더/x y.yaml", "/tmp/#?%25[1].yaml", "C:\\a\\b.yaml", "../../a:b/ü\u{301}.yaml", "a\nb.yaml"];
    let mut logs = Vec::new();
    for (at, place) in places.iter().enumerate() {
        for (number, text) in texts.iter().enumerate() {
            let (findings, errors) = match read_folder(&[(*place, *text)]) {
                Ok(items) => (lint(&items.items, &LintContext::default()), Vec::new()),
                Err(errors) => (Vec::new(), errors),
            };
            for language in [Language::Ko, Language::En] {
                let log = sarif(&findings, &errors, language, "0.1.0");
                logs.push((format!("text {number} at place {at} in {language:?}"), log));
            }
        }
        let error = ItemError { file: (*place).to_owned(), line: 0, column: 0, message: "x\u{0}\u{1b}[31m".to_owned() };
        logs.push((format!("error at place {at}"), sarif(&[], &[error], Language::En, "0.1.0-alpha.1+5")));
    }
    // Runs of several tools in one log, and one that found nothing.
    let rule =
        Rule {
            id: "state-unreachable", severity: Severity::Warning, ko: "닿을 수 없다", en: "It is not reached."
        };
    let runs = vec![
        sarif_run("maru req lint", &RULES, &[], &[], Language::Ko, "0.1.0"),
        sarif_run("maru model check", &[rule], &[], &[], Language::En, "0.1.0"),
    ];
    logs.push(("two runs".to_owned(), sarif_log(runs)));
    logs.push(("no run".to_owned(), sarif_log(Vec::new())));
    logs
}

#[test]
fn logs_keep_to_the_schema() {
    let variable = |name| std::env::vars().find(|(key, _)| key == name).map(|(_, value)| value);
    let Some(schema) = variable("MARU_SARIF_SCHEMA") else {
        println!("skipped: MARU_SARIF_SCHEMA names no schema of SARIF 2.1.0 (tools/sarif-schema prints one)");
        return;
    };
    let python = variable("MARU_PYTHON").unwrap_or_else(|| "python3".to_owned());
    let there = Command::new(&python).args(["-c", "import jsonschema"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} has no jsonschema; name one that has by MARU_PYTHON");
        return;
    }
    let logs = logs();
    let mut child = Command::new(&python)
        .args(["-c", VALIDATE, &schema])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = logs.iter().map(|(_, log)| format!("{log}\n")).collect();
    // What is wrong is noticed: a level that is none, and a region that begins before the file.
    let mut bad = logs[0].1.clone();
    bad["runs"][0]["results"][0]["level"] = "fatal".into();
    bad["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0.into();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(format!("{lines}{bad}\n").as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "the validator ended with {}", output.status);
    let told = String::from_utf8(output.stdout).unwrap();
    let told: Vec<Vec<String>> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.len(), logs.len() + 1);
    for ((name, log), wrong) in logs.iter().zip(&told) {
        assert!(wrong.is_empty(), "{name}: {wrong:#?}\n{log:#}");
    }
    assert!(told[logs.len()].len() >= 2, "{:?}", told[logs.len()]);
    let results = logs.iter().map(|(_, log)| log["runs"][0]["results"].as_array().map_or(0, Vec::len)).sum::<usize>();
    assert!(results > 100, "{results} results");
}
