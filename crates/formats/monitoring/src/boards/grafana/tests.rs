//! Dashboards of two eras, and what is none.

use super::*;
use crate::boards::{Draw, PanelKind, Reduce, Stack, VariableKind};

const NEW: &str = r##"{
  "__inputs": [{"name": "DS_PROM", "type": "datasource"}, {"name": "VAR_JOB", "type": "constant", "value": "api"}],
  "title": "Shop", "tags": ["a"], "schemaVersion": 39, "refresh": "10s", "time": {"from": "now-6h", "to": "now"}, "uid": "x",
  "annotations": {"list": [{"builtIn": 1, "name": "Annotations & Alerts"}, {"name": "deploys", "enable": true}]},
  "templating": {"list": [
    {"type": "datasource", "name": "ds", "query": "prometheus"},
    {"type": "query", "name": "job", "query": {"query": "label_values(up{zone=\"a,b\"}, job)", "refId": "x"}, "refresh": 1,
     "multi": true, "includeAll": true, "allValue": ".+", "current": {"value": ["$__all"]}, "regex": "/api-(.*)/i", "sort": 1},
    {"type": "query", "name": "pod", "query": "query_result(count by (pod) (up{job=~\"$job\"}))"},
    {"type": "interval", "name": "win", "query": "1m,5m", "auto": true, "current": {"value": "$__auto_interval_win"}},
    {"type": "custom", "name": "env", "query": "production : prod, test", "hide": 2},
    {"type": "adhoc", "name": "filters"}]},
  "panels": [
    {"id": 9, "type": "row", "title": "Second", "collapsed": true, "gridPos": {"h": 1, "w": 24, "x": 0, "y": 9}, "panels": [
      {"id": 10, "type": "logs", "title": "Logs", "datasource": {"type": "loki"}, "targets": [{"refId": "A", "expr": "{a=\"b\"}"}],
       "gridPos": {"h": 8, "w": 12, "x": 0, "y": 10}},
      {"id": 11, "type": "table", "title": "Pods", "gridPos": {"h": 8, "w": 12, "x": 12, "y": 10},
       "targets": [{"refId": "A", "expr": "sum by (pod, node) (up)", "format": "table", "instant": true},
                   {"refId": "B", "expr": "count by (pod) (up)", "format": "table", "instant": true}],
       "transformations": [{"id": "merge"}, {"id": "organize", "options": {"excludeByName": {"Time": true},
          "renameByName": {"Value #A": "Up", "pod": "Pod"}, "indexByName": {}}}, {"id": "reduce"}],
       "fieldConfig": {"defaults": {}, "overrides": [
          {"matcher": {"id": "byName", "options": "Up"}, "properties": [{"id": "unit", "value": "percentunit"}]},
          {"matcher": {"id": "byName", "options": "node"}, "properties": [{"id": "custom.hidden", "value": true}]}]}}]},
    {"id": 2, "type": "timeseries", "title": "Rate", "gridPos": {"h": 9, "w": 16, "x": 8, "y": 0}, "repeat": "job",
     "datasource": {"type": "prometheus", "uid": "${ds}"}, "links": [{"title": "more", "url": "https://x.example/$job"}],
     "targets": [{"refId": "A", "expr": "sum by (code) (rate(x_total{job=~\"[[job]]\",own=\"${VAR_JOB}\"}[$__rate_interval]))", "legendFormat": "{{code}}"},
                 {"refId": "B", "expr": "up{job=~\"${job:pipe}\"}", "legendFormat": "__auto", "hide": true}],
     "options": {"legend": {"calcs": []}, "tooltip": {"mode": "single"}, "wonder": 1},
     "fieldConfig": {"defaults": {"unit": "reqps", "min": 0, "decimals": 1,
        "custom": {"drawStyle": "line", "fillOpacity": 20, "stacking": {"mode": "normal"}, "lineWidth": 2},
        "thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": null}, {"color": "dark-red", "value": 80}]}},
        "overrides": []}},
    {"id": 1, "type": "stat", "title": "Up", "gridPos": {"h": 4, "w": 8, "x": 0, "y": 0},
     "targets": [{"refId": "A", "expr": "up{", "instant": true}],
     "options": {"reduceOptions": {"calcs": ["mean"], "values": false}, "colorMode": "value"},
     "fieldConfig": {"defaults": {"unit": "furlong", "mappings": [
        {"type": "value", "options": {"0": {"text": "down", "color": "red"}, "1": {"text": "up"}}},
        {"type": "range", "options": {"from": 2, "to": 9, "result": {"text": "many"}}},
        {"type": "special", "options": {"match": "null+nan", "result": {"text": "none"}}}]}}},
    {"id": 3, "type": "text", "gridPos": {"h": 4, "w": 24, "x": 0, "y": 8}, "options": {"mode": "markdown", "content": "# Hi"}}]
}"##;

#[test]
fn a_dashboard_of_today_becomes_a_board() {
    let board = import_grafana(NEW).unwrap();
    assert_eq!((board.title.as_str(), board.refresh.as_str(), board.time.from.as_str()), ("Shop", "10s", "now-6h"));
    let [job, pod, win, env] = board.variables.as_slice() else { panic!("{:#?}", board.variables) };
    assert_eq!(
        (job.kind, job.label.as_str(), job.selector.as_str()),
        (VariableKind::LabelValues, "job", "up{zone=\"a,b\"}")
    );
    assert_eq!((job.regex.as_str(), job.all_value.as_str(), job.default.len()), ("(?i)api-(.*)", ".+", 0));
    assert!(job.all && job.multiple && env.hidden);
    assert_eq!((pod.kind, pod.query.as_str()), (VariableKind::Query, "count by (pod) (up{job=~\"$job\"})"));
    assert_eq!((win.values.len(), win.default.as_slice()), (3, ["auto".to_owned()].as_slice()));
    assert_eq!((env.values[0].value.as_str(), env.values[0].text.as_str()), ("prod", "production"));

    let [first, second] = board.rows.as_slice() else { panic!("{:#?}", board.rows) };
    assert_eq!((second.title.as_str(), second.collapsed), ("Second", true));
    let [up, rate, text] = first.panels.as_slice() else { panic!("{first:#?}") };
    assert_eq!((up.kind, up.reduce, up.width, up.unit.as_str()), (PanelKind::Stat, Reduce::Mean, 8, "furlong"));
    assert_eq!(up.mappings.len(), 5);
    assert_eq!((rate.draw, rate.stack, rate.unit.as_str()), (Draw::Area, Stack::Normal, "requests/s"));
    let query = "sum by (code) (rate(x_total{job=~\"${job}\",own=\"api\"}[$__rate_interval]))";
    assert_eq!((rate.queries[0].query.as_str(), rate.queries[0].legend.as_str()), (query, "{{code}}"));
    assert_eq!((rate.queries[1].query.as_str(), rate.queries[1].legend.as_str()), ("up{job=~\"${job:raw}\"}", ""));
    assert_eq!((rate.thresholds[1].from, rate.thresholds[1].color.as_str()), (Some(80.0), "red"));
    assert_eq!((rate.repeat.as_str(), rate.links[0].title.as_str()), ("job", "more"));
    assert_eq!((text.kind, text.text.as_str()), (PanelKind::Text, "# Hi"));

    let [logs, pods] = second.panels.as_slice() else { panic!("{second:#?}") };
    assert_eq!(logs.kind, PanelKind::Text);
    let columns: Vec<_> =
        pods.columns.iter().map(|one| (one.field.as_str(), one.title.as_str(), one.unit.as_str())).collect();
    assert_eq!(columns, [("pod", "Pod", ""), ("value A", "Up", "ratio"), ("value B", "", "")]);

    let notes = board.notes.join("\n");
    for part in [
        "the annotation \"deploys\" is left out",
        "variable \"ds\": it chooses a data source",
        "variable \"filters\": the kind \"adhoc\" is not supported",
        "panel \"Logs\": the query \"A\" is none of PromQL",
        "panel \"Pods\": the transformation \"reduce\" is left out",
        "panel \"Up\": unit \"furlong\" is not known",
        "panel \"Up\": \"up{\"",
        "panel \"Rate\", options: \"wonder\" is not understood",
        "only looks, left out:",
    ] {
        assert!(notes.contains(part), "{part}:\n{notes}");
    }
    assert_eq!(board.notes.len(), 11, "{notes}");
}

const OLD: &str = r##"{"dashboard": {"title": "Old", "schemaVersion": 14, "rows": [
  {"title": "Row", "showTitle": true, "collapse": false, "height": 250, "panels": [
    {"id": 1, "type": "singlestat", "title": "Now", "span": 4, "format": "percent", "valueName": "avg", "thresholds": "80,90",
     "colors": ["rgba(50, 172, 45, 0.97)", "orange", "#d44a3a"], "valueMaps": [{"op": "=", "text": "N/A", "value": "null"}],
     "gauge": {"show": true, "minValue": 0, "maxValue": 100}, "targets": [{"expr": "a", "refId": "A", "intervalFactor": 2, "step": 60}]},
    {"id": 2, "type": "graph", "title": "Lines", "span": 8, "stack": true, "fill": 1, "lines": true, "percentage": true,
     "yaxes": [{"format": "bytes", "min": "0", "logBase": 1}, {"format": "short"}], "legend": {"show": true},
     "thresholds": [{"value": 5, "op": "gt", "colorMode": "critical"}], "alert": {"name": "x"},
     "seriesOverrides": [{"alias": "/max/", "stack": false, "transform": "negative-Y"}],
     "targets": [{"expr": "b{x=\"$job\"}", "refId": "A"}, {"refId": "B", "target": "graphite.a"}]}]}]}, "meta": {}}"##;

#[test]
fn a_dashboard_of_old_becomes_a_board() {
    let board = import_grafana(OLD).unwrap();
    let [now, lines] = board.rows[0].panels.as_slice() else { panic!("{board:#?}") };
    assert_eq!(
        (board.rows[0].title.as_str(), now.kind, now.width, now.reduce),
        ("Row", PanelKind::Gauge, 8, Reduce::Mean)
    );
    let colors: Vec<_> = now.thresholds.iter().map(|one| (one.from, one.color.as_str())).collect();
    assert_eq!(colors, [(None, "#32ac2d"), (Some(80.0), "orange"), (Some(90.0), "#d44a3a")]);
    assert_eq!((now.max, now.mappings[0].text.as_str()), (Some(100.0), "N/A"));
    assert_eq!(
        (lines.draw, lines.stack, lines.unit.as_str(), lines.min),
        (Draw::Area, Stack::Percent, "bytes", Some(0.0))
    );
    let notes = board.notes.join("\n");
    for part in [
        "its alert is left out",
        "the series \"/max/\" alone",
        "the query \"B\" is none of PromQL",
        "there is no variable \"job\"",
    ] {
        assert!(notes.contains(part), "{part}:\n{notes}");
    }
}

#[test]
fn what_is_no_dashboard_is_told() {
    for (text, part) in [
        ("{", "no JSON"),
        ("[]", "no object"),
        ("{\"title\": \"x\"}", "neither"),
        ("{\"elements\": {}, \"title\": \"x\"}", "\"v2\""),
    ] {
        let told = import_grafana(text).unwrap_err().to_string();
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_board_reads_what_it_wrote() {
    let board = import_grafana(NEW).unwrap();
    let text = serde_json::to_string(&board).unwrap();
    assert_eq!(serde_json::from_str::<Board>(&text).unwrap(), board);
}
