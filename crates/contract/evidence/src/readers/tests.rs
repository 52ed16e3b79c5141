//! Reports of real tools and hostile ones.

use maru_api::Ratio;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const JUNIT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="5" failures="1">
  <testsuite name="orders" tests="4" failures="1" skipped="1" timestamp="2026-11-22T09:00:00Z" time="1.5">
    <testcase classname="contract" name="create &amp; read" time="0.1"/>
    <testcase classname="contract" name="cancel"><failure message="expected 409, got 500">at line 7</failure></testcase>
    <testcase classname="unit" name="total"><skipped/></testcase>
    <testcase classname="orders" name="bare"><system-out><![CDATA[<&]]></system-out></testcase>
  </testsuite>
  <testsuite name="payments" tests="1"><testcase name="pay"/></testsuite>
</testsuites>"#;

fn criterion(written: serde_json::Value) -> Criterion {
    serde_json::from_value(written).unwrap()
}

fn latency(quantile: f64, at_most: &str) -> Criterion {
    criterion(json!({"indicator": "latency", "quantile": quantile, "atMost": at_most}))
}

#[test]
fn junit_is_read_by_suite() {
    let report = read(Format::Junit, JUNIT.as_bytes()).unwrap();
    assert_eq!(Format::guess(JUNIT.as_bytes()), Some(Format::Junit));
    assert_eq!(report.names(), ["orders", "payments"]);
    let (result, cases) = report.measure("orders", None, 0.95);
    assert_eq!(result.outcome, Outcome::Violated);
    assert_eq!(result.notes, ["contract/cancel: expected 409, got 500"]);
    let names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["contract/create & read", "contract/cancel", "unit/total", "bare"]);
    assert_eq!(report.measure("payments", None, 0.95).0.outcome, Outcome::Met);
    assert_eq!(report.measure("nowhere", None, 0.95).0.outcome, Outcome::Insufficient);
    assert_eq!(report.window.unwrap().to.to_string(), "2026-11-22T09:00:01.5Z");
}

#[test]
fn junit_that_passes_by_not_running_does_not_pass() {
    let outcome = |text: &str| read(Format::Junit, text.as_bytes()).unwrap().measure("a", None, 0.95).0.outcome;
    assert_eq!(outcome("<testsuite name='a'/>"), Outcome::Insufficient);
    assert_eq!(
        outcome("<testsuite name='a'><testcase name='x'><skipped/></testcase></testsuite>"),
        Outcome::Insufficient
    );
    assert_eq!(outcome("<testsuite name='a' tests='9'><testcase name='x'/></testsuite>"), Outcome::Insufficient);
    assert_eq!(outcome("<testsuite name='a' errors='1'><testcase name='x'/></testsuite>"), Outcome::Violated);
    assert_eq!(outcome("<testsuite name='a'><testcase name='x' status='notrun'/></testsuite>"), Outcome::Insufficient);
    assert_eq!(outcome("<testsuite name='a' tests='1'><testcase name='x'/></testsuite>"), Outcome::Met);
    for bad in ["<html/>", "<testsuite>", "<!DOCTYPE x><testsuite/>", "{}", ""] {
        assert!(read(Format::Junit, bad.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn junit_cases_outside_of_suites_count() {
    // Node's reporter writes tests that stand in no suite so.
    let text = "<testsuites>\n<testcase name='adds' classname='test'/>\n<testcase name='sells' classname='test'>                <failure type='testCodeFailure' message='2 == 3'/></testcase>\n<testsuite name='cart' tests='1'>                <testcase name='keeps' classname='test'/></testsuite></testsuites>";
    let report = read(Format::Junit, text.as_bytes()).unwrap();
    assert_eq!(report.names(), ["cart", "testsuites"]);
    assert_eq!(report.measure("*", None, 0.95).0.outcome, Outcome::Violated);
    let (result, cases) = report.measure("testsuites", None, 0.95);
    assert_eq!((result.outcome, cases.len(), cases[1].name.as_str()), (Outcome::Violated, 2, "test/sells"));
    assert_eq!(report.measure("cart", None, 0.95).0.outcome, Outcome::Met);
}

/// What a report says of all its suites, and its cases as "outcome name: note".
fn all_cases(text: &str) -> (Measured, Vec<String>, Report) {
    let report = read(Format::Junit, text.as_bytes()).unwrap();
    let (result, cases) = report.measure("*", None, 0.95);
    let lines = cases.iter().map(|case| format!("{:?} {}: {}", case.outcome, case.name, case.note));
    (result, lines.collect(), report)
}

#[test]
fn junit_of_go_says_what_the_tests_said() {
    // As gotestsum writes it: a package without tests has no name and begins in the year 1; a line of the test is below its name.
    let text = "<testsuites tests='3' failures='2'>\
        <testsuite tests='0' failures='0' time='0.000000' name='' timestamp='0001-01-01T00:00:00Z'/>\
        <testsuite tests='2' failures='1' skipped='1' time='2.5' name='shop/orders' timestamp='2026-11-22T09:00:00Z'>\
        <testcase classname='shop/orders' name='TestPlace/재고_없음' time='0.1'><failure message='Failed' type=''>\
        === RUN   TestPlace/재고_없음&#xA;    place_test.go:12: got 500, want 409&#xA;--- FAIL: TestPlace/재고_없음 (0.10s)&#xA;</failure></testcase>\
        <testcase classname='shop/orders' name='TestPay'><skipped message='=== RUN   TestPay&#xA;    pay_test.go:3: no bank&#xA;--- SKIP: TestPay (0.00s)&#xA;'/></testcase>\
        </testsuite><testsuite tests='0' failures='0' name='shop/cart' time='0.0' timestamp='2026-11-22T09:00:01Z'>\
        <testcase classname='' name='TestMain'><failure message='Failed' type=''>FAIL&#x9;shop/cart [build failed]&#xA;</failure></testcase></testsuite></testsuites>";
    let (result, cases, report) = all_cases(text);
    assert_eq!(result.outcome, Outcome::Violated);
    let wanted = [
        "Violated TestPlace/재고_없음: place_test.go:12: got 500, want 409",
        "Insufficient TestPay: pay_test.go:3: no bank",
        "Violated TestMain: FAIL shop/cart [build failed]",
    ];
    assert_eq!(cases, wanted);
    assert_eq!(report.names(), ["shop/cart", "shop/orders"]);
    assert_eq!(report.window.unwrap().from.to_string(), "2026-11-22T09:00:00Z");
    // As go-junit-report writes it: the text is beside an empty word.
    let text = "<testsuites><testsuite name='shop'><testcase name='TestBad' classname='shop'>\
        <failure message='Failed'><![CDATA[    bad_test.go:4: 상태 <500>]]></failure></testcase>\
        <testcase name='TestAll' classname='shop'><failure message='Failed'></failure></testcase>\
        <testcase name='[build failed]' classname='shop/x'><error message='Build error'><![CDATA[x.go:2:1: oops]]></error></testcase>\
        </testsuite></testsuites>";
    let wanted = [
        "Violated TestBad: bad_test.go:4: 상태 <500>",
        "Violated TestAll: Failed",
        "Violated shop/x/[build failed]: x.go:2:1: oops",
    ];
    assert_eq!(all_cases(text).1, wanted);
}

#[test]
fn junit_of_jest_has_one_name_and_does_not_pass_what_is_to_be_written() {
    // Jest's writer gives class and name alike, and a case without a word for `test.todo`, which its suite does not count.
    let suite = |tests: u32| {
        format!(
            "<testsuites name='jest tests'><testsuite name='주문' errors='0' failures='0' skipped='0' tests='{tests}' timestamp='2026-11-22T09:00:00'>\
             <testcase classname='주문 받는다' name='주문 받는다' time='0.007'></testcase>\
             <testcase classname='주문 물린다' name='주문 물린다' time='0'></testcase></testsuite></testsuites>"
        )
    };
    let (result, cases, report) = all_cases(&suite(2));
    assert_eq!((result.outcome, report.window), (Outcome::Met, None));
    assert_eq!(cases, ["Met 주문 받는다: ", "Met 주문 물린다: "]);
    for tests in [0, 1] {
        let (result, ..) = all_cases(&suite(tests));
        assert_eq!(result.outcome, Outcome::Insufficient);
        let wanted = format!("the suite counts {tests} tests, but holds 2 cases: some are still to be written");
        assert_eq!(result.notes, [wanted]);
    }
    // Surefire counts the tests that it ran again, and holds them all; what failed before any test has no name.
    let schema = "xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' \
                  xsi:noNamespaceSchemaLocation='https://maven.apache.org/surefire/maven-surefire-plugin/xsd/surefire-test-report.xsd'";
    let again = format!(
        "<testsuite {schema} name='x.OrderTest' tests='1'><testcase name='places' classname='x.OrderTest'/>\
         <testcase name='pays' classname='x.OrderTest'><flakyFailure message='first' type='E'><stackTrace>at</stackTrace></flakyFailure></testcase></testsuite>"
    );
    assert_eq!(all_cases(&again).0.outcome, Outcome::Met);
    let broken = format!(
        "<testsuite {schema} name='x.CartTest' tests='1' errors='1'><testcase name='' classname='x.CartTest'>\
         <error message='no database' type='E'>E: no database</error><rerunError message='no database' type='E'/></testcase></testsuite>"
    );
    assert_eq!(all_cases(&broken).1, ["Violated x.CartTest: no database"]);
}

#[test]
fn junit_of_node_does_not_fail_by_what_is_to_be_done() {
    let suite = |more: &str, failures: u32| {
        format!(
            "<testsuites><testsuite name='주문' tests='2' failures='{failures}' skipped='1'><testcase name='ok' classname='test'/>\
             <testcase name='later' classname='test' failure='x'><skipped type='todo' message='나중'/>\
             <failure type='testCodeFailure' message='x'>Error: x</failure></testcase>{more}</testsuite></testsuites>"
        )
    };
    let (result, cases, _) = all_cases(&suite("", 1));
    assert_eq!((result.outcome, result.notes.len()), (Outcome::Insufficient, 0));
    assert_eq!(cases, ["Met test/ok: ", "Insufficient test/later: 나중"]);
    let bad = "<testcase name='bad' classname='test'><failure message='1 == 2'/></testcase>";
    assert_eq!(all_cases(&suite(bad, 2)).0.outcome, Outcome::Violated);
    // A failure that is in none of the cases is still one.
    assert_eq!(all_cases(&suite("", 2)).0.outcome, Outcome::Violated);
    // Mocha's date is that of mail.
    let mocha = "<testsuite name='Mocha Tests' tests='1' timestamp='Sun, 22 Nov 2026 09:00:00 GMT' time='0.5'><testcase classname='주문' name='ok'/></testsuite>";
    assert_eq!(all_cases(mocha).2.window.unwrap().to.to_string(), "2026-11-22T09:00:00.5Z");
}

#[test]
fn sarif_finds_levels_of_rules_in_extensions_and_of_parts_of_rules() {
    let outcome = |finding: serde_json::Value| {
        let report = json!({"version": "2.1.0", "runs": [{"results": [finding], "tool": {
            "driver": {"name": "CodeQL", "rules": [
                {"id": "quiet", "defaultConfiguration": {"level": "note"}}, {"id": "CA1000"}]},
            "extensions": [{"name": "pack", "rules": [{"id": "js/sqli", "defaultConfiguration": {"level": "error"}}]},
                {"name": "none"}, {"name": "notes", "rules": [{"id": "js/style", "defaultConfiguration": {"level": "note"}}]}]}}]});
        let report = read(Format::Sarif, report.to_string().as_bytes()).unwrap();
        report.measure("CodeQL", None, 0.95).0.outcome
    };
    let of = |component: u32, id: Option<&str>| json!({"ruleIndex": 0, "ruleId": id, "rule": {"index": 0, "toolComponent": {"index": component}}});
    // The index alone would name the driver's first rule, a note.
    assert_eq!(outcome(of(0, Some("js/sqli"))), Outcome::Violated);
    assert_eq!(outcome(of(0, None)), Outcome::Violated);
    assert_eq!(outcome(json!({"ruleIndex": 0, "ruleId": "js/sqli"})), Outcome::Violated);
    assert_eq!(outcome(of(2, Some("js/style"))), Outcome::Met);
    assert_eq!(outcome(of(1, Some("js/style"))), Outcome::Met);
    assert_eq!(outcome(json!({"ruleIndex": 0, "ruleId": "quiet/part"})), Outcome::Met);
    assert_eq!(outcome(json!({"ruleId": "CA1000/1"})), Outcome::Violated);
    assert_eq!(outcome(json!({"ruleIndex": -1, "ruleId": "quiet"})), Outcome::Met);
}

#[test]
fn sarif_weighs_levels_and_suppressions() {
    let sarif = |results: serde_json::Value, successful: bool| {
        let report = json!({"version": "2.1.0", "runs": [{
            "tool": {"driver": {"name": "checkov", "version": "3.3", "rules": [
                {"id": "image-signed"}, {"id": "style", "defaultConfiguration": {"level": "note"}}]}},
            "invocations": [{"executionSuccessful": successful}], "results": results}]});
        let report = read(Format::Sarif, report.to_string().as_bytes()).unwrap();
        assert_eq!(report.names(), ["checkov"]);
        report.measure("checkov", None, 0.95)
    };
    let finding = |rule: &str, rest: serde_json::Value| {
        let mut finding = json!({"ruleId": rule, "message": {"text": "bad"}});
        finding.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        json!([finding])
    };
    assert_eq!(sarif(json!([]), true).0.outcome, Outcome::Met);
    assert_eq!(sarif(json!([]), false).0.outcome, Outcome::Insufficient);
    assert_eq!(sarif(json!(null), true).0.outcome, Outcome::Insufficient);
    let (result, cases) = sarif(finding("image-signed", json!({})), true);
    assert_eq!((result.outcome, result.notes[1].as_str()), (Outcome::Violated, "image-signed: bad"));
    assert_eq!(cases[0], Case { name: "image-signed".into(), outcome: Outcome::Violated, note: "bad".into() });
    assert_eq!(sarif(finding("style", json!({})), true).0.outcome, Outcome::Met);
    assert_eq!(sarif(finding("style", json!({"level": "error"})), true).0.outcome, Outcome::Violated);
    assert_eq!(
        sarif(finding("image-signed", json!({"suppressions": [{"kind": "inSource"}]})), true).0.outcome,
        Outcome::Met
    );
    let rejected = json!({"suppressions": [{"kind": "external", "status": "rejected"}]});
    assert_eq!(sarif(finding("image-signed", rejected), true).0.outcome, Outcome::Violated);
    assert_eq!(sarif(finding("image-signed", json!({"kind": "pass"})), true).0.outcome, Outcome::Met);
    assert_eq!(sarif(finding("image-signed", json!({"kind": "review"})), true).0.outcome, Outcome::Insufficient);
    assert!(read(Format::Sarif, br#"{"version":"2.0.0","runs":[]}"#).is_err());
    assert!(read(Format::Sarif, br#"{"version":"2.1.0","runs":[]}"#).is_err());
}

#[test]
fn cyclonedx_weighs_licences_and_vulnerabilities() {
    let allowed = criterion(json!({"indicator": "licence", "in": ["MIT", "Apache-2.0"]}));
    let bom = |components: serde_json::Value, vulnerabilities: serde_json::Value| {
        let mut bom = json!({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components});
        if !vulnerabilities.is_null() {
            bom["vulnerabilities"] = vulnerabilities;
        }
        read(Format::CycloneDx, bom.to_string().as_bytes()).unwrap()
    };
    let part = |licences: serde_json::Value| json!([{"name": "a", "version": "1", "licenses": licences}]);
    let licences = |list: serde_json::Value| bom(part(list), json!(null)).measure("x", Some(&allowed), 0.95).0;
    assert_eq!(licences(json!([{"license": {"id": "MIT"}}])).outcome, Outcome::Met);
    assert_eq!(licences(json!([{"expression": "GPL-3.0-only OR MIT"}])).outcome, Outcome::Met);
    assert_eq!(licences(json!([{"license": {"id": "GPL-3.0-only"}}])).notes, ["a@1: GPL-3.0-only"]);
    assert_eq!(licences(json!([])).outcome, Outcome::Insufficient);
    assert_eq!(bom(json!([]), json!(null)).measure("x", Some(&allowed), 0.95).0.outcome, Outcome::Insufficient);
    let nested = json!([{"name": "a", "licenses": [{"license": {"id": "MIT"}}], "components": [
        {"name": "b", "licenses": [{"license": {"name": "Secret EULA"}}]}]}]);
    assert_eq!(bom(nested, json!(null)).measure("x", Some(&allowed), 0.95).0.outcome, Outcome::Violated);

    let found = |severity: &str, state: &str| json!([{"id": "CVE-2026-1", "ratings": [{"severity": severity}], "analysis": {"state": state}}]);
    let control = criterion(json!({"indicator": "control", "id": "no-critical-vulnerabilities"}));
    let outcome = |list: serde_json::Value| bom(part(json!([])), list).measure("x", Some(&control), 0.95).0.outcome;
    assert_eq!(outcome(json!(null)), Outcome::Insufficient);
    assert_eq!(outcome(json!([])), Outcome::Met);
    assert_eq!(outcome(found("critical", "in_triage")), Outcome::Violated);
    assert_eq!(outcome(found("critical", "not_affected")), Outcome::Met);
    assert_eq!(outcome(found("high", "in_triage")), Outcome::Met);
    let all = bom(part(json!([])), found("high", "")).measure("x", None, 0.95).0;
    assert_eq!(all.outcome, Outcome::Violated);
}

#[test]
fn cyclonedx_in_xml_is_refused_by_name() {
    let text = br#"<?xml version="1.0"?><bom xmlns="http://cyclonedx.org/schema/bom/1.6" version="1"/>"#;
    assert_eq!(Format::guess(text), Some(Format::CycloneDx));
    let error = read(Format::CycloneDx, text).unwrap_err().to_string();
    assert!(error.contains("XML is not supported: let the tool write JSON"), "{error}");
}

#[test]
fn k6_percentiles_bound_the_quantile() {
    let exported = json!({"metrics": {
        "http_reqs": {"count": 10_000, "rate": 100.0},
        "http_req_failed": {"value": 0, "passes": 0, "fails": 10_000, "thresholds": {"rate<0.01": false}},
        "http_req_duration": {"avg": 20.0, "min": 1.0, "med": 18.0, "max": 95.0, "p(90)": 30.0, "p(95)": 40.0,
                              "p(99)": 60.0, "p(99.5)": 70.0, "thresholds": {"p(95)<50": false}}}});
    let report = read(Format::K6, exported.to_string().as_bytes()).unwrap();
    assert_eq!(Format::guess(exported.to_string().as_bytes()), Some(Format::K6));
    let (result, _) = report.measure("x", Some(&latency(0.99, "75ms")), 0.95);
    assert_eq!((result.low, result.value, result.high), (Some(0.04), Some(0.06), Some(0.07)));
    assert_eq!((result.outcome, result.load), (Outcome::Met, Some(100.0)));
    assert_eq!(report.measure("x", Some(&latency(0.99, "65ms")), 0.95).0.outcome, Outcome::Insufficient);
    assert_eq!(report.measure("x", Some(&latency(0.99, "30ms")), 0.95).0.outcome, Outcome::Violated);
    // Ten thousand samples bound the 99.99th percentile by nothing.
    assert_eq!(report.measure("x", Some(&latency(0.9999, "1h")), 0.95).0.outcome, Outcome::Insufficient);
    let errors = criterion(json!({"indicator": "errorRatio", "atMost": "0.1%"}));
    assert_eq!(report.measure("x", Some(&errors), 0.95).0.outcome, Outcome::Met);
    assert_eq!(report.measure("x", None, 0.95).0.outcome, Outcome::Met);
    let throughput = criterion(json!({"indicator": "throughput", "atLeast": "95/s"}));
    assert_eq!(report.measure("x", Some(&throughput), 0.95).0.outcome, Outcome::Met);
    // The form that scripts are given: values apart, thresholds with "ok".
    let handled = json!({"state": {"testRunDurationMs": 50_000.0}, "metrics": {
        "http_reqs": {"type": "counter", "contains": "default", "values": {"count": 100, "rate": 2.0}},
        "http_req_duration": {"type": "trend", "contains": "time", "values": {"med": 1.0, "max": 2.0},
                              "thresholds": {"max<1": {"ok": false}}}}});
    let report = read(Format::K6, handled.to_string().as_bytes()).unwrap();
    assert_eq!(report.measure("x", None, 0.95).0.outcome, Outcome::Violated);
    assert!(read(Format::K6, br#"{"metrics":{}}"#).is_err());
    // The form for machines of k6 1: a list of metrics, rates with `matches`, percentiles without brackets, and when it was.
    let listed = json!({"version": "1.0.0", "config": {"duration": 100.0, "script": "x", "execution": "local"},
        "metadata": {"generated_at": "2026-11-22T09:01:40.25Z", "k6_version": "1.8.1"},
        "results": {"checks": {"metrics": [], "results": []}, "metrics": [
            {"name": "http_reqs", "type": "counter", "contains": "default", "values": {"count": 10_000}},
            {"name": "http_req_failed", "type": "rate", "contains": "default",
             "values": {"matches": 50, "rate": 0.005, "total": 10_000}},
            {"name": "http_req_duration", "type": "trend", "contains": "time",
             "values": {"avg": 20.0, "max": 95.0, "med": 18.0, "min": 1.0, "p90": 30.0, "p95": 40.0}}]}});
    assert_eq!(Format::guess(listed.to_string().as_bytes()), Some(Format::K6));
    let report = read(Format::K6, listed.to_string().as_bytes()).unwrap();
    let window = report.window.unwrap();
    assert_eq!((window.from.to_string(), report.version.as_str()), ("2026-11-22T09:00:00.25Z".to_owned(), "1.8.1"));
    assert_eq!(window.to.to_string(), "2026-11-22T09:01:40.25Z");
    let (result, _) = report.measure("x", Some(&latency(0.92, "50ms")), 0.95);
    assert_eq!((result.low, result.high, result.load), (Some(0.03), Some(0.04), Some(100.0)));
    assert_eq!(report.measure("x", Some(&errors), 0.95).0.outcome, Outcome::Violated);
    let (result, _) = report.measure("x", None, 0.95);
    assert_eq!(result.outcome, Outcome::Insufficient);
    assert_eq!(result.notes, ["the run has no thresholds, and no criterion says what it should reach"]);
    // The stream of points is another thing.
    let stream = "{\"type\":\"Metric\",\"data\":{\"name\":\"http_reqs\"},\"metric\":\"http_reqs\"}\n{\"metric\":\"http_reqs\"}\n";
    assert_eq!(
        read(Format::K6, stream.as_bytes()).unwrap_err().to_string(),
        "the report is no k6: it is the stream of `--out json`; give the summary, as `--summary-export` writes it"
    );
}

#[test]
fn wrk_is_read() {
    let text = "Running 30s test @ http://127.0.0.1:8080/\n  2 threads and 10 connections\n  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency   635.91us    0.89ms  12.92ms   93.69%\n    Req/Sec    56.20k     8.07k   62.00k    86.54%\n  Latency Distribution\n     50%  250.00us\n     75%  491.00us\n     90%  700.00us\n     99%    5.80ms\n  224646 requests in 30.00s, 17.76GB read\n  Socket errors: connect 0, read 0, write 0, timeout 3\n  Non-2xx or 3xx responses: 5\nRequests/sec: 7488.20\nTransfer/sec:    606.33MB\n";
    assert_eq!(Format::guess(text.as_bytes()), Some(Format::Wrk));
    let report = read(Format::Wrk, text.as_bytes()).unwrap();
    let (result, _) = report.measure("x", Some(&latency(0.95, "10ms")), 0.95);
    assert_eq!((result.low, result.high, result.samples), (Some(0.0007), Some(0.0058), Some(224_649)));
    assert_eq!(result.outcome, Outcome::Met);
    let errors = criterion(json!({"indicator": "errorRatio", "atMost": "0.001%"}));
    assert_eq!(report.measure("x", Some(&errors), 0.95).0.outcome, Outcome::Violated);
    assert!(read(Format::Wrk, b"Running 30s test @ http://x\n").is_err());
    // wrk2 with --u_latency: the second list leaves away how long requests waited to be sent.
    let text = "Running 30s test @ http://127.0.0.1:8080/\n  2 threads and 10 connections\n    Latency   635.91ms    0.89s     1.92s   93.69%\n  Latency Distribution (HdrHistogram - Recorded Latency)\n 50.000%    0.60s \n 99.000%    1.80s \n100.000%    1.92s \n\n  Detailed Percentile spectrum:\n       Value   Percentile   TotalCount 1/(1-Percentile)\n\n       1.920     1.000000         9999         1.00\n#[Mean    =        3.120, StdDeviation   =        1.030]\n----------------------------------------------------------\n\n  Latency Distribution (HdrHistogram - Uncorrected Latency (measured without taking delayed starts into account))\n 50.000%    1.00ms\n 99.000%    2.00ms\n100.000%    3.00ms\n  9999 requests in 30.00s, 1.76MB read\nRequests/sec: 333.20\n";
    let report = read(Format::Wrk, text.as_bytes()).unwrap();
    assert_eq!(report.measure("x", Some(&latency(0.9, "10ms")), 0.95).0.outcome, Outcome::Violated);
    assert_eq!(report.measure("x", Some(&latency(0.9, "2s")), 0.95).0.outcome, Outcome::Met);
}

#[test]
fn our_own_summary_counts_within_bounds() {
    let summary = |valid: bool, within: u64| {
        json!({"kind": "maru.dev/load/v1", "scenario": "orders-50", "from": "2026-11-22T09:00:00Z",
               "to": "2026-11-22T09:10:00Z", "requests": 30_000, "failed": 2, "lost": 1,
               "within": [[0.05, 20_000], [0.1, within]], "valid": valid, "why": "it could not keep the rate"})
    };
    let measure = |summary: &serde_json::Value, at_most: &str| {
        let report = read(Format::Load, summary.to_string().as_bytes()).unwrap();
        assert_eq!(report.names(), ["orders-50"]);
        report.measure("orders-50", Some(&latency(0.999, at_most)), 0.95).0
    };
    let good = measure(&summary(true, 29_995), "100ms");
    assert_eq!((good.outcome, good.unit.as_str(), good.load), (Outcome::Met, "ratio", Some(50.0)));
    assert_eq!(measure(&summary(true, 29_000), "100ms").outcome, Outcome::Violated);
    let unfit = measure(&summary(false, 29_995), "100ms");
    assert_eq!(unfit.outcome, Outcome::Insufficient);
    assert!(unfit.notes[0].contains("could not keep the rate"));
    let wrong = summary(true, 40_000);
    assert!(read(Format::Load, wrong.to_string().as_bytes()).is_err());
}

#[test]
fn slo_windows_have_exact_bounds() {
    let window = |good: u64, blocks: serde_json::Value| {
        json!({"kind": "maru.dev/slo-window/v1", "objective": "orders-latency", "from": "2026-11-22T00:00:00Z",
               "to": "2026-11-22T09:00:00Z", "good": good, "total": 48_210, "threshold": 0.1, "blocks": blocks})
    };
    let read_window = |value: serde_json::Value| read(Format::SloWindow, value.to_string().as_bytes());
    let report = read_window(window(48_186, json!([]))).unwrap();
    let (result, _) = report.measure("orders-latency", Some(&latency(0.999, "100ms")), 0.95);
    assert_eq!((result.outcome, result.samples), (Outcome::Met, Some(48_210)));
    // The same failures at once say less.
    let report = read_window(window(48_186, json!([[24_105, 24_105], [12_053, 12_053], [12_028, 12_052]]))).unwrap();
    let (result, _) = report.measure("orders-latency", Some(&latency(0.999, "100ms")), 0.95);
    assert_eq!(result.outcome, Outcome::Insufficient);
    assert!(read_window(window(48_186, json!([[1, 1]]))).unwrap_err().to_string().contains("do not add up"));
    assert!(read_window(window(50_000, json!([]))).is_err());
}

#[test]
fn drills_and_approvals_are_read() {
    let drill = |succeeded: bool, time: &str| {
        let report = json!({"kind": "maru.dev/drill/v1", "scenario": "restore", "from": "2026-11-22T09:00:00Z",
            "to": "2026-11-22T09:20:00Z", "succeeded": succeeded, "recoveryTime": time,
            "steps": [{"name": "restored", "succeeded": true}]});
        let report = read(Format::Drill, report.to_string().as_bytes()).unwrap();
        let asked = criterion(json!({"indicator": "recoveryTime", "atMost": "15m"}));
        report.measure("restore", Some(&asked), 0.95).0.outcome
    };
    assert_eq!(drill(true, "12m"), Outcome::Met);
    assert_eq!(drill(true, "16m"), Outcome::Violated);
    assert_eq!(drill(false, "12m"), Outcome::Violated);

    let approval = |decision: &str| {
        let report =
            json!({"kind": "Approval", "spec": {"role": "customer", "by": "kim", "of": [], "decision": decision}});
        let report = read(Format::Approval, report.to_string().as_bytes()).unwrap();
        assert_eq!(report.names(), ["customer"]);
        report.measure("customer", None, 0.95).0.outcome
    };
    assert_eq!(approval("approved"), Outcome::Met);
    assert_eq!(approval("rejected"), Outcome::Violated);
    assert!(read(Format::Approval, br#"{"role": " ", "by": "x", "of": [], "decision": "approved"}"#).is_err());
}

#[test]
fn surveys_count_when_all_was_looked_at() {
    let outcome = |text: &str| {
        let report = read(Format::Survey, text.as_bytes()).unwrap();
        report.measure("x", None, 0.95)
    };
    let own = |assets: &str, scope: &str| {
        format!(
            "kind: maru.dev/survey/v1\nname: as-is\nfrom: 2026-11-02T00:00:00Z\nto: 2026-11-06T00:00:00Z\nscope: {scope}\nassets: {assets}\n"
        )
    };
    let whole = own(
        "[{name: web, type: server, seen: ssh, facts: {cpu: 4}}, {name: db, type: server, facts: {os: AIX}}]",
        "[web, db]",
    );
    assert_eq!(Format::guess(whole.as_bytes()), Some(Format::Survey));
    let (result, cases) = outcome(&whole);
    assert_eq!((result.outcome, result.notes[0].as_str()), (Outcome::Met, "2 assets: 2 server"));
    assert_eq!(cases[0].note, "1 facts by ssh");
    let (result, _) = outcome(&own("[{name: web, facts: {cpu: 4}}, {name: nas, missed: no account}]", "[web, db]"));
    assert_eq!((result.outcome, result.notes[0].as_str()), (Outcome::Insufficient, "1 assets seen, not nas, db"));
    assert_eq!(outcome(&own("[]", "[]")).0.outcome, Outcome::Insufficient);
    let register = "자산명;종류;CPU;OS\n\"web;1\";서버;4;CentOS 6\ndb;서버;8;\n";
    let (result, cases) = outcome(register);
    assert_eq!((result.outcome, cases[0].name.as_str()), (Outcome::Met, "web;1"));
    assert_eq!(outcome("name,type,cpu\nweb,server,\n").0.notes, ["0 assets seen, not web"]);
    // As Ansible writes it: "ansible-inventory --list".
    let inventory = json!({"_meta": {"hostvars": {"web1": {"ansible_host": "10.0.0.1"}}},
        "all": {"children": ["web"]}, "web": {"hosts": ["web1", "web2"]}});
    assert_eq!(Format::guess(inventory.to_string().as_bytes()), Some(Format::Survey));
    assert_eq!(outcome(&inventory.to_string()).0.notes, ["1 assets seen, not web2"]);
    for bad in ["", "a,b\n1,2\n", "name,cpu\nweb\n", "name,cpu\nweb,1\nweb,2\n", "name,cpu\n\"web,1\n", "{}"] {
        assert!(read(Format::Survey, bad.as_bytes()).is_err(), "{bad}");
    }
    let report = read(Format::Survey, whole.as_bytes()).unwrap();
    assert!(report.is_of_project() && report.names() == ["as-is"]);
    assert_eq!(report.subjects("as-is", b"raw")[0].digest, Digest::of(b"raw"));
}

#[test]
fn installations_count_with_their_steps_and_time() {
    let install = |steps: serde_json::Value, within: serde_json::Value| {
        json!({"kind": "maru.dev/install/v1", "name": "dev", "from": "2026-11-22T09:00:00Z", "to": "2026-11-22T09:05:00Z",
            "within": within, "tool": "make", "steps": steps})
        .to_string()
    };
    let measure = |text: String| read(Format::Install, text.as_bytes()).unwrap().measure("dev", None, 0.95);
    let steps =
        json!([{"name": "images", "took": "4m", "succeeded": true}, {"name": "pods", "took": "1m", "succeeded": true}]);
    let (result, cases) = measure(install(steps.clone(), json!("10m")));
    assert_eq!((result.outcome, result.value), (Outcome::Met, Some(300.0)));
    assert_eq!(result.notes, ["2 steps in 300.0 s, within 10m"]);
    assert_eq!(cases[0].note, "4m");
    assert_eq!(measure(install(steps.clone(), json!("4m"))).0.outcome, Outcome::Violated);
    assert_eq!(measure(install(json!([]), json!(null))).0.outcome, Outcome::Insufficient);
    let failed = json!([{"name": "images", "succeeded": false}]);
    assert_eq!(measure(install(failed, json!(null))).0.notes, ["\"images\" did not succeed"]);
    let restored = criterion(json!({"indicator": "recoveryTime", "atMost": "6m"}));
    let report = read(Format::Install, install(steps, json!(null)).as_bytes()).unwrap();
    assert_eq!(report.measure("dev", Some(&restored), 0.95).0.outcome, Outcome::Met);
    let impossible = json!([{"name": "images", "took": "1h", "succeeded": true}]);
    assert!(read(Format::Install, install(impossible, json!(null)).as_bytes()).is_err());
}

#[test]
fn experiments_are_judged_by_their_criteria_not_by_their_conclusion() {
    let measure = |criteria: serde_json::Value| {
        let text = json!({"kind": "maru.dev/experiment/v1", "name": "mesh", "from": "2026-11-22T09:00:00Z",
            "to": "2026-11-23T09:00:00Z", "criteria": criteria, "conclusion": "adopt"});
        read(Format::Experiment, text.to_string().as_bytes()).unwrap().measure("mesh", None, 0.95).0
    };
    let fast = json!({"name": "burst", "unit": "s", "atMost": 60, "measured": 41.2});
    let result = measure(json!([fast, {"name": "answers while a node is drained", "passed": true}]));
    assert_eq!((result.outcome, result.notes[0].as_str()), (Outcome::Met, "2 criteria met; concluded: adopt"));
    for (one, outcome) in [
        (json!({"name": "a", "atMost": 60, "measured": 61}), Outcome::Violated),
        (json!({"name": "a", "atMost": 60, "low": 55, "high": 65}), Outcome::Insufficient),
        (json!({"name": "a", "atLeast": 0.99, "low": 0.995, "high": 1}), Outcome::Met),
        (json!({"name": "a", "atLeast": 1, "atMost": 2}), Outcome::Insufficient),
        (json!({"name": "a", "passed": false}), Outcome::Violated),
        (json!({"name": "a"}), Outcome::Insufficient),
    ] {
        assert_eq!(measure(json!([fast, one])).outcome, outcome, "{one}");
    }
    assert_eq!(measure(json!([])).outcome, Outcome::Insufficient);
    for bad in [
        json!({"name": "a", "measured": 1}),
        json!({"name": "a", "atMost": 1, "passed": true}),
        json!({"name": "a", "atMost": 1, "low": 2, "high": 1}),
    ] {
        let text = json!({"kind": "maru.dev/experiment/v1", "name": "mesh", "from": "2026-11-22T09:00:00Z",
            "to": "2026-11-23T09:00:00Z", "criteria": [bad]});
        assert!(read(Format::Experiment, text.to_string().as_bytes()).is_err());
    }
}

fn provenance(name: &str, digest: &str) -> serde_json::Value {
    json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"name": name, "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1", "predicate": {
            "buildDefinition": {"buildType": "https://build.example/docker/v1", "externalParameters": {},
                "resolvedDependencies": [{"uri": "git+https://code.example/shop", "digest": {"gitCommit": "0a1b2c"}}]},
            "runDetails": {"builder": {"id": "https://build.example"},
                "metadata": {"startedOn": "2026-11-22T09:00:00Z", "finishedOn": "2026-11-22T09:05:00Z"}}}})
}

#[test]
fn provenance_counts_when_the_builder_signed_it() {
    let signer = crate::Signer::from_pkcs8(&crate::Signer::generate().unwrap()).unwrap();
    let other = crate::Signer::from_pkcs8(&crate::Signer::generate().unwrap()).unwrap();
    let key = |signer: &crate::Signer| ForeignKey::from_pem(&signer.public_key().to_pem()).unwrap();
    let hex = Digest::of(b"image").hex();
    let envelope = signer.sign(provenance("orders", &hex).to_string().as_bytes());
    assert_eq!(Format::guess(&envelope), Some(Format::Provenance));
    let mut report = read(Format::Provenance, &envelope).unwrap();
    assert_eq!(report.names(), ["https://build.example"]);
    let measure = |report: &Report| report.measure("https://build.example", None, 0.95).0;
    assert_eq!(measure(&report).outcome, Outcome::Insufficient, "nobody checked the signature");
    assert!(report.trust(&[key(&other)]).is_err());
    report.trust(&[key(&other), key(&signer)]).unwrap();
    assert_eq!(measure(&report).outcome, Outcome::Met);
    let subjects = report.subjects("https://build.example", &envelope);
    let named: Vec<_> = subjects.iter().map(|one| (one.kind, one.name.as_str())).collect();
    assert_eq!(named, [(SubjectKind::Commit, "0a1b2c"), (SubjectKind::Artifact, "orders")]);
    // One a line, as generators write several, and in a bundle.
    let second = signer.sign(provenance("cart", &hex).to_string().as_bytes());
    let mut both = read(Format::Provenance, &[envelope.as_slice(), b"\n", &second, b"\n"].concat()).unwrap();
    both.trust(&[key(&signer)]).unwrap();
    assert_eq!(measure(&both).notes, ["2 builds, signed"]);
    let envelope: serde_json::Value = serde_json::from_slice(&envelope).unwrap();
    let bundle = json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": {}, "dsseEnvelope": envelope});
    read(Format::Provenance, bundle.to_string().as_bytes()).unwrap().trust(&[key(&signer)]).unwrap();
    let mut plain = read(Format::Provenance, provenance("orders", &hex).to_string().as_bytes()).unwrap();
    assert_eq!(measure(&plain).notes, ["it is not signed: nothing shows who wrote it"]);
    assert!(plain.trust(&[key(&signer)]).is_err());
    let mut old = provenance("orders", &hex);
    old["predicateType"] = json!("https://slsa.dev/provenance/v0.2");
    let error = read(Format::Provenance, old.to_string().as_bytes()).unwrap_err().to_string();
    assert!(error.contains("v0.2"), "{error}");
    for bad in [json!({}), provenance("orders", "xy"), json!({"dsseEnvelope": 1})] {
        assert!(read(Format::Provenance, bad.to_string().as_bytes()).is_err(), "{bad}");
    }
    assert!(read(Format::Junit, JUNIT.as_bytes()).unwrap().trust(&[key(&signer)]).is_err());
}

/// Keys and signatures that OpenSSL made, as other builders use them.
#[test]
fn signatures_of_other_tools_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &[&str]| {
        let done = std::process::Command::new("openssl").args(arguments).current_dir(folder.path()).output();
        done.is_ok_and(|output| output.status.success())
    };
    if !openssl(&["version"]) {
        println!("skipped: there is no openssl");
        return;
    }
    let statement = provenance("orders", &Digest::of(b"image").hex()).to_string();
    let message = crate::pre_authentication_encoding("application/vnd.in-toto+json", statement.as_bytes());
    std::fs::write(folder.path().join("message"), message).unwrap();
    for (algorithm, digest) in [
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..], "sha256"),
        (&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"][..], "sha384"),
        (&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..], "sha256"),
    ] {
        assert!(openssl(&[&["genpkey", "-out", "key.pem"], algorithm].concat()));
        assert!(openssl(&["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"]));
        assert!(openssl(&["dgst", &format!("-{digest}"), "-sign", "key.pem", "-out", "signature", "message"]));
        let key = ForeignKey::from_pem(&std::fs::read_to_string(folder.path().join("public.pem")).unwrap()).unwrap();
        let base64 = |bytes: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, bytes);
        let signature = base64(&std::fs::read(folder.path().join("signature")).unwrap());
        let envelope = |payload: &str| {
            json!({"payloadType": "application/vnd.in-toto+json", "payload": base64(payload.as_bytes()),
                "signatures": [{"keyid": "", "sig": signature}]})
            .to_string()
        };
        let mut report = read(Format::Provenance, envelope(&statement).as_bytes()).unwrap();
        report.trust(std::slice::from_ref(&key)).unwrap();
        let altered = statement.replace("orders", "0rders");
        assert!(read(Format::Provenance, envelope(&altered).as_bytes()).unwrap().trust(&[key]).is_err());
    }
}

fn formats() -> impl Iterator<Item = Format> {
    FORMATS.iter().map(|(format, _)| *format)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn readers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for format in formats() {
            if let Ok(report) = read(format, &bytes) {
                prop_assert!(report.measure("x", None, 0.95).1.len() <= REPORT_ITEMS_MAX);
            }
        }
    }

    #[test]
    fn cut_and_changed_reports_never_panic(cut in 0..JUNIT.len(), change in any::<u8>(), place in 0..JUNIT.len()) {
        let mut bytes = JUNIT.as_bytes()[..cut].to_vec();
        if let Some(byte) = bytes.get_mut(place) {
            *byte = change;
        }
        for format in formats() {
            if let Ok(report) = read(format, &bytes) {
                prop_assert!(report.measure("orders", Some(&latency(0.99, "1s")), 0.95).1.len() <= REPORT_ITEMS_MAX);
            }
        }
    }

    #[test]
    fn any_numbers_of_a_load_are_judged_or_refused(
        requests in any::<u64>(), failed in any::<u64>(), slowest in any::<f64>(), share in 0u64..=1_000_000_000,
    ) {
        let summary = json!({"kind": "maru.dev/load/v1", "scenario": "x", "from": "2026-11-22T09:00:00Z",
            "to": "2026-11-22T09:10:00Z", "requests": requests, "failed": failed, "valid": true,
            "slowest": slowest.is_finite().then_some(slowest)});
        if let Ok(report) = read(Format::Load, summary.to_string().as_bytes()) {
            let quantile = Ratio::from_nano(share).as_f64();
            prop_assert!(report.measure("x", Some(&latency(quantile, "1s")), 0.95).1.len() <= REPORT_ITEMS_MAX);
        }
    }
}
