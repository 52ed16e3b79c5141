//! The same files through promtool and through us: the same judgement.

use std::path::Path;
use std::process::Command;

use maru_metrics::rules::{load_files, test_rules};
use maru_promql::ParseOptions;
use maru_testkit::TempDir;

const RULES: &str = r#"
groups:
- name: shop
  rules:
  - record: job:requests:rate5m
    expr: sum by (job) (rate(requests_total[5m]))
    labels: {team: shop}
  - alert: TooManyErrors
    expr: job:requests:rate5m > 0.5
    for: 2m
    labels:
      severity: page
      where: '{{ $labels.job | toUpper }}'
    annotations:
      summary: "{{ $labels.job }} has {{ $value | humanize }}/s, {{ with query \"up\" }}{{ . | first | value }}{{ end }} up"
      system: "{{ $externalLabels.cluster }} {{ $externalURL }}"
  - alert: Absent
    expr: absent(up{job="nobody"})
    keep_firing_for: 3m
- name: late
  rules:
  - record: doubled
    expr: requests_total * 2
  - alert: Down
    expr: up == 0
    for: 3m
    annotations:
      since: '{{ $value }} {{ humanizeDuration 3725.0 }} {{ humanizePercentage 0.123456 }} {{ humanize1024 5000.0 }} {{ reReplaceAll "a(.)" "$1-" "abac" }} {{ title "aB c" }} {{ stripPort "h:1" }} {{ match "^x" "xy" }} {{ 1e9 | humanizeTimestamp }} {{ parseDuration "1h" }} {{ args 1 "b" }}'
"#;

fn tests_file(body: &str) -> String {
    format!("rule_files: ['rul*.yml']\nevaluation_interval: 1m\ngroup_eval_order: [shop, late]\ntests:\n{body}")
}

const INPUT: &str = r#"- interval: 1m
  external_labels: {cluster: home}
  external_url: http://x.test/p
  input_series:
  - series: 'requests_total{job="web"}'
    values: '0+60x10 stale _x5 600'
  - series: 'requests_total{job="db"}'
    values: '0+3x15'
  - series: 'up{job="web"}'
    values: '1 1 0x6 1x10'
"#;

/// Writes files and asks both.
fn both(rules: &str, tests: &str) -> (bool, bool, String) {
    let folder = TempDir::new();
    std::fs::write(folder.join("rules.yml"), rules).unwrap();
    let file = folder.join("tests.yml");
    std::fs::write(&file, tests).unwrap();
    let theirs = Command::new("promtool").args(["test", "rules"]).arg(&file).output().unwrap();
    let ours = test_rules(&file);
    let told = format!(
        "theirs: {}{}\nours: {ours:#?}",
        String::from_utf8_lossy(&theirs.stdout),
        String::from_utf8_lossy(&theirs.stderr)
    );
    (theirs.status.success(), ours.is_ok(), told)
}

#[test]
fn tests_of_rules_pass_and_fail_as_with_promtool() {
    if !super::has("promtool") {
        return;
    }
    let fires = r#"  alert_rule_test:
  - eval_time: 2m
    alertname: TooManyErrors
  - eval_time: 6m
    alertname: TooManyErrors
    exp_alerts:
    - exp_labels: {severity: page, job: web, team: shop, where: WEB}
      exp_annotations:
        summary: "web has 1/s, 0 up"
        system: "home http://x.test/p"
"#;
    let down = r#"  alert_rule_test:
  - eval_time: 5m
    alertname: Down
    exp_alerts:
    - exp_labels: {job: web}
      exp_annotations:
        since: '0 1h 2m 5s 12.35% 4.883ki b-c- AB C h true 2001-09-09 01:46:40 +0000 UTC 3600 map[arg0:1 arg1:b]'
  - eval_time: 9m
    alertname: Down
"#;
    let absent = r#"  alert_rule_test:
  - eval_time: 0m
    alertname: Absent
    exp_alerts: [{exp_labels: {job: nobody}}]
"#;
    let queries = r#"  promql_expr_test:
  - expr: ALERTS
    eval_time: 4m
    exp_samples:
    - {labels: 'ALERTS{alertname="TooManyErrors",alertstate="pending",job="web",severity="page",team="shop",where="WEB"}', value: 1}
    - {labels: 'ALERTS{alertname="Down",alertstate="pending",job="web"}', value: 1}
    - {labels: 'ALERTS{alertname="Absent",alertstate="firing",job="nobody"}', value: 1}
  - expr: ALERTS_FOR_STATE{alertname="TooManyErrors"}
    eval_time: 4m
    exp_samples:
    - {labels: 'ALERTS_FOR_STATE{alertname="TooManyErrors",job="web",severity="page",team="shop",where="WEB"}', value: 180}
  - expr: doubled
    eval_time: 10m
    exp_samples:
    - {labels: 'doubled{job="web"}', value: 1200}
    - {labels: 'doubled{job="db"}', value: 60}
  - expr: doubled
    eval_time: 11m
    exp_samples:
    - {labels: 'doubled{job="db"}', value: 66}
  - expr: sum(doubled) + 0.5
    eval_time: 11m
    exp_samples: [{value: 66.5}]
  - expr: time()
    eval_time: 90s
    exp_samples: [{value: 90}]
  - expr: nothing
    eval_time: 1m
"#;
    for good in [fires, down, absent, queries, ""] {
        let (theirs, ours, told) = both(RULES, &tests_file(&format!("{INPUT}{good}")));
        assert!(theirs && ours, "{good}\n{told}");
    }
    let wrong = [
        fires.replace("eval_time: 2m", "eval_time: 5m"),
        fires.replace("severity: page", "severity: ticket"),
        fires.replace("1/s", "2/s"),
        fires.replace("alertname: TooManyErrors\n    exp_alerts", "alertname: Other\n    exp_alerts"),
        down.replace("3600", "3601"),
        absent.replace("nobody", "somebody"),
        queries.replace("value: 1200", "value: 1201"),
        queries.replace("doubled{job=\"db\"}', value: 60", "doubled{job=\"dx\"}', value: 60"),
        queries.replace("value: 66.5", "value: 66.50001"),
    ];
    for bad in wrong {
        let (theirs, ours, told) = both(RULES, &tests_file(&format!("{INPUT}{bad}")));
        assert!(!theirs && !ours, "{bad}\n{told}");
    }
}

#[test]
fn rule_files_are_refused_as_by_promtool() {
    if !super::has("promtool") {
        return;
    }
    let group = |rules: &str| format!("groups:\n- name: a\n  rules:\n{rules}");
    let files = [
        (true, RULES.to_owned()),
        (true, group("  - record: a:b\n    expr: 1\n")),
        (true, "groups: []\n".to_owned()),
        (
            true,
            "groups:\n- name: a\n  interval: 1h30m\n  limit: 5\n  rules:\n  - {alert: x, expr: up, for: 0s}\n"
                .to_owned(),
        ),
        (false, group("  - record: a:b\n    expr: sum(\n")),
        (false, group("  - record: a:b\n")),
        (false, group("  - record: a:b\n    alert: c\n    expr: up\n")),
        (false, group("  - expr: up\n")),
        (false, group("  - record: a:b\n    expr: up\n    for: 5m\n")),
        (false, group("  - record: a:b\n    expr: up\n    annotations: {a: b}\n")),
        (false, group("  - alert: x\n    expr: up\n    labels: {__name__: b}\n")),
        (false, group("  - alert: x\n    expr: up\n    for: 5 minutes\n")),
        (false, group("  - alert: x\n    expr: up\n    annotations: {a: '{{ $labels.x'}\n")),
        (false, group("  - alert: x\n    expr: up\n    annotations: {a: '{{ nofunction 1 }}'}\n")),
        (false, group("  - alert: x\n    expr: up\n    colour: red\n")),
        (false, "groups:\n- name: a\n- name: a\n".to_owned()),
        (false, "groups:\n- rules: []\n".to_owned()),
        (false, "rules: []\n".to_owned()),
        (false, "groups:\n- name: a\n  interval: soon\n".to_owned()),
    ];
    let folder = TempDir::new();
    for (is_good, text) in files {
        let file = folder.join("rules.yml");
        std::fs::write(&file, &text).unwrap();
        let theirs = Command::new("promtool").args(["check", "rules", "--lint=none"]).arg(&file).output().unwrap();
        let ours = load_files(Path::new(""), &[file.display().to_string()], &ParseOptions::default());
        let told = format!("{text}\n{}\n{ours:?}", String::from_utf8_lossy(&theirs.stderr));
        assert_eq!((theirs.status.success(), ours.is_ok()), (is_good, is_good), "{told}");
    }
}

#[test]
fn what_newer_programs_know_is_tested_too() {
    let folder = TempDir::new();
    let rules = "groups:\n- name: a\n  labels: {team: x, level: low}\n  query_offset: 1m\n  rules:\n  - {record: later, expr: m, labels: {level: high}}\n  - {alert: Held, expr: m > 4, keep_firing_for: 2m}\n";
    std::fs::write(folder.join("rules.yml"), rules).unwrap();
    let tests = r#"rule_files: [rules.yml]
fuzzy_compare: true
tests:
- name: newer
  start_timestamp: 2026-11-22T09:00:00Z
  input_series:
  - {series: m, values: '1+1x4 0x10'}
  - {series: '{"a.b", "c d"="e"}', values: '{{schema:0 sum:1 count:2 buckets:[2]}}x5'}
  alert_rule_test:
  - {eval_time: 6m, alertname: Held, exp_alerts: [{exp_labels: {team: x, level: low}}]}
  - {eval_time: 7m, alertname: Held, exp_alerts: [{exp_labels: {team: x, level: low}}]}
  - {eval_time: 8m, alertname: Held}
  promql_expr_test:
  - {expr: 'later @ 1795338240', eval_time: 4m, exp_samples: [{labels: 'later{team="x",level="high"}', value: 5}]}
  - {expr: '0.1 + 0.2 + vector(0)', eval_time: 4m, exp_samples: [{value: 0.3}]}
  - {expr: '{"a.b"}', eval_time: 1m, exp_samples: [{labels: '{"a.b", "c d"="e"}', histogram: '{{schema:0 sum:1 count:2 counter_reset_hint:not_reset buckets:[2]}}'}]}
  - {expr: 'time()', eval_time: 0s, exp_samples: [{value: 1795338000}]}
"#;
    let file = folder.join("tests.yml");
    std::fs::write(&file, tests).unwrap();
    assert_eq!(test_rules(&file), Ok(()));
}

#[test]
fn the_guides_examples_hold() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/guide/rules.md");
    let text = std::fs::read_to_string(guide).unwrap();
    let folder = TempDir::new();
    let mut files = 0;
    for block in text.split("```yaml\n# ").skip(1) {
        let (name, rest) = block.split_once('\n').unwrap();
        std::fs::write(folder.join(name), rest.split("```").next().unwrap()).unwrap();
        files += 1;
    }
    assert_eq!((files, test_rules(&folder.join("tests.yml"))), (2, Ok(())));
}
