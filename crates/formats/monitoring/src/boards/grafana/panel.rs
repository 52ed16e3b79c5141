//! Panels.
//!
//! Long because each kind's fields are one list, of two eras.

use regex::{Captures, Regex};
use serde_json::Value;

use super::fields::{Fields, number};
use super::{columns, style};
use crate::boards::{Draw, Link, Panel, PanelKind, Query, Reduce, Stack};

/// What only says where data are from, and how Grafana keeps a panel.
const KEPT: [&str; 15] = [
    "cacheTimeout",
    "editable",
    "error",
    "id",
    "isNew",
    "libraryPanel",
    "pluginVersion",
    "renderer",
    "repeatDirection",
    "repeatIteration",
    "repeatPanelId",
    "repeatedByRow",
    "scopedVars",
    "maxPerRow",
    "minSpan",
];
/// What only changes looks.
const LOOKS: [&str; 34] = [
    "aliasColors",
    "align",
    "bars.width",
    "color",
    "colorBackground",
    "colorValue",
    "dashLength",
    "dashes",
    "fillGradient",
    "fontSize",
    "height",
    "hiddenSeries",
    "hideEmpty",
    "hideTimeOverride",
    "hideZero",
    "highlightCards",
    "legend",
    "linewidth",
    "nullPointMode",
    "nullText",
    "pageSize",
    "pointradius",
    "postfix",
    "postfixFontSize",
    "prefix",
    "prefixFontSize",
    "reverseYBuckets",
    "scroll",
    "showHeader",
    "spaceLength",
    "sparkline",
    "steppedLine",
    "tooltip",
    "transparent",
];

/// Reads a panel.
pub(super) fn read(fields: &Fields<'_>, constants: &[(String, String)]) -> Panel {
    let title = fields.text("title");
    let mut fields = fields.clone_here();
    fields.set_place(if title.is_empty() {
        format!("panel {}", fields.get("id"))
    } else {
        format!("panel \"{title}\"")
    });
    let fields = &fields;
    fields.ignore(&["title"]);
    fields.ignore(&KEPT);
    fields.looks(&LOOKS);
    let theirs = fields.text("type");
    let grid = fields.get("gridPos");
    let size = |name: &str, max: u32| {
        grid[name].as_u64().and_then(|size| u32::try_from(size).ok()).map(|size| size.clamp(1, max))
    };
    // Rows of old dashboards were of 12 columns.
    let width = size("w", super::super::COLUMNS).or_else(|| fields.count("span").map(|span| (span * 2).clamp(1, 24)));
    let mut panel = Panel {
        description: fields.text("description"),
        kind: kind(fields, &theirs),
        width: width.unwrap_or(12),
        height: size("h", 100).unwrap_or(8),
        repeat: fields.text("repeat"),
        title,
        ..Panel::default()
    };
    for link in fields.children("links") {
        let (title, url) = (link.text("title"), link.text("url"));
        if url.is_empty() {
            fields.note(format!("the link \"{title}\" has no address here"));
        } else {
            panel.links.push(Link { title, url });
        }
    }
    if fields.get("alert").is_object() {
        fields.note("its alert is left out; write a PrometheusRule");
    }
    for name in ["timeFrom", "timeShift", "interval"] {
        let value = fields.text(name);
        if name != "interval" && !value.is_empty() {
            fields.note(format!("\"{name}\": \"{value}\" is left out"));
        }
    }
    fields.ignore(&["maxDataPoints", "alert"]);
    let is_foreign = is_foreign(fields.get("datasource"));
    for target in fields.children("targets") {
        panel.queries.extend(query(&target, fields, is_foreign, constants));
    }
    options(fields, &mut panel, &theirs);
    defaults(fields, &mut panel);
    old_fields(fields, &mut panel);
    let changes = columns::changes(fields);
    columns::choose(fields, &mut panel, changes);
    if panel.kind != PanelKind::Text && panel.queries.is_empty() {
        fields.note("it has no query that can be asked here; it says so itself");
        panel.kind = PanelKind::Text;
        panel.text = format!("This panel of the kind \"{theirs}\" has no query in PromQL.");
    }
    fields.finish();
    panel
}

fn kind(fields: &Fields<'_>, theirs: &str) -> PanelKind {
    let drawn = |kind: PanelKind, as_what: &str| {
        fields.note(format!("the kind \"{theirs}\" is drawn as {as_what}"));
        kind
    };
    match theirs {
        "graph" | "timeseries" | "xychart" | "trend" => PanelKind::TimeSeries,
        "stat" | "singlestat" => PanelKind::Stat,
        "gauge" => PanelKind::Gauge,
        "bargauge" | "barchart" => PanelKind::Bar,
        "table" | "table-old" => PanelKind::Table,
        "heatmap" => PanelKind::Heatmap,
        "text" => PanelKind::Text,
        "piechart" | "grafana-piechart-panel" | "histogram" => drawn(PanelKind::Bar, "bars"),
        "state-timeline" | "status-history" | "candlestick" => drawn(PanelKind::TimeSeries, "lines"),
        _ => drawn(PanelKind::Table, "a table"),
    }
}

/// Tells whether a data source is of another kind than Prometheus.
fn is_foreign(source: &Value) -> bool {
    const OURS: [&str; 6] = ["prometheus", "datasource", "grafana", "mixed", "", "grafana-amazonprometheus-datasource"];
    source["type"].as_str().is_some_and(|kind| !OURS.contains(&kind) && !kind.starts_with('$'))
}

/// Reads a query; `None` for one that is none of PromQL.
fn query(target: &Fields<'_>, panel: &Fields<'_>, is_foreign: bool, constants: &[(String, String)]) -> Option<Query> {
    let name = target.text("refId");
    let text = target.text("expr");
    let is_foreign =
        if target.get("datasource").is_null() { is_foreign } else { self::is_foreign(target.get("datasource")) };
    if text.trim().is_empty() || is_foreign {
        if !(text.is_empty() && target.flag("hide")) {
            panel.note(format!("the query \"{name}\" is none of PromQL, and is left out"));
        }
        return None;
    }
    target.ignore(&[
        "adhocFilters",
        "editorMode",
        "exemplar",
        "fullMetaSearch",
        "includeNullMetadata",
        "key",
        "metric",
        "useBackend",
        "range",
        "step",
        "intervalFactor",
        "hideTimeOverride",
        "rawQuery",
        "query",
        "queryType",
        "resolution",
        "target",
        "legendLink",
        "disableTextWrap",
    ]);
    let legend = target.text("legendFormat");
    let step = target.text("interval");
    let format = target.text("format");
    let found = Query {
        name,
        query: expression(&text, constants),
        legend: if legend == "__auto" { String::new() } else { legend },
        instant: target.flag("instant") && target.get("range") != true,
        step: if step.starts_with('$') { String::new() } else { step },
        hidden: target.flag("hide"),
    };
    if !matches!(format.as_str(), "" | "time_series" | "table" | "heatmap") {
        panel.note(format!("the format \"{format}\" of a query is not known"));
    }
    target.finish();
    Some(found)
}

/// Writes variables as boards have them.
pub(super) fn expression(text: &str, constants: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for (name, value) in constants {
        text = text.replace(name, value);
    }
    let brackets = Regex::new(r"\[\[([A-Za-z_][A-Za-z0-9_]*)(?::[a-z]+)?\]\]").expect("a constant");
    let text = brackets.replace_all(&text, "$${${1}}");
    let formats = Regex::new(r"\$\{([A-Za-z_][A-Za-z0-9_]*):([a-z]+)\}").expect("a constant");
    let text = formats.replace_all(&text, |found: &Captures<'_>| match &found[2] {
        "regex" => format!("${{{}}}", &found[1]),
        _ => format!("${{{}:raw}}", &found[1]),
    });
    text.trim().to_owned()
}

/// Reads `options`, which panels have since version 7.
#[expect(clippy::too_many_lines, reason = "a list of fields")]
fn options(fields: &Fields<'_>, panel: &mut Panel, theirs: &str) {
    let options = fields.child("options");
    options.looks(&[
        "alignValue",
        "barRadius",
        "barWidth",
        "calculation",
        "cellGap",
        "cellHeight",
        "cellValues",
        "color",
        "colorMode",
        "displayLabels",
        "displayMode",
        "exemplars",
        "filterValues",
        "footer",
        "frameIndex",
        "fullHighlight",
        "graphMode",
        "groupWidth",
        "justifyMode",
        "legend",
        "mergeValues",
        "minVizHeight",
        "minVizWidth",
        "namePlacement",
        "percentChangeColorMode",
        "pieType",
        "rowHeight",
        "rowsFrame",
        "showHeader",
        "showPercentChange",
        "showThresholdLabels",
        "showThresholdMarkers",
        "showUnfilled",
        "showValue",
        "showLegend",
        "sizing",
        "sortBy",
        "text",
        "textMode",
        "tooltip",
        "valueMode",
        "wideLayout",
        "xTickLabelRotation",
        "xTickLabelSpacing",
        "yAxis",
        "orientation",
        "calculate",
        "timezone",
        "enablePagination",
        "barShape",
        "clipMode",
        "dedupStrategy",
        "bucketSize",
        "combine",
        "fillOpacity",
        "perPage",
        "fieldColor",
        "hideFrom",
        "maxVizHeight",
        "bucketCount",
        "effects",
        "endpointMarker",
        "segmentCount",
        "segmentSpacing",
        "sparkline",
        "barWidthFactor",
    ]);
    if matches!(theirs, "text") {
        panel.text = options.text("content");
        if options.text("mode") == "html" {
            fields.note("its HTML is shown as Markdown");
        }
        options.ignore(&["code"]);
    }
    let reduce = options.child("reduceOptions");
    let calcs = reduce.texts("calcs");
    if let Some(name) = calcs.first() {
        panel.reduce = reduction(fields, name);
    }
    if calcs.len() > 1 {
        fields.note(format!("of the reductions {} only the first is used", calcs.join(", ")));
    }
    if reduce.flag("values") {
        fields.note("it shows each value; here it shows one for each series");
    }
    reduce.ignore(&["fields", "limit"]);
    reduce.finish();
    let stacking = options.text("stacking");
    panel.stack = stack(&stacking);
    options.ignore(&["xField", "yHeatmap", "yBucketBound"]);
    options.finish();
}

fn stack(name: &str) -> Stack {
    match name {
        "normal" => Stack::Normal,
        "percent" => Stack::Percent,
        _ => Stack::None,
    }
}

fn reduction(fields: &Fields<'_>, name: &str) -> Reduce {
    match name {
        "first" | "firstNotNull" => Reduce::First,
        "mean" | "avg" => Reduce::Mean,
        "min" => Reduce::Min,
        "max" => Reduce::Max,
        "sum" | "total" => Reduce::Sum,
        "count" => Reduce::Count,
        "delta" | "diff" => Reduce::Delta,
        "last" | "lastNotNull" | "current" | "name" | "" => Reduce::Last,
        other => {
            fields.note(format!("the reduction \"{other}\" is not known; the last value is shown"));
            Reduce::Last
        }
    }
}

/// Reads `fieldConfig.defaults`.
#[expect(clippy::too_many_lines, reason = "a list of fields")]
fn defaults(fields: &Fields<'_>, panel: &mut Panel) {
    let config = fields.child("fieldConfig");
    config.ignore(&["overrides"]);
    let defaults = config.child("defaults");
    defaults.looks(&["color", "noValue", "fieldMinMax"]);
    defaults.ignore(&["unitScale", "description"]);
    let unit = defaults.text("unit");
    panel.unit = style::unit(fields, &unit);
    panel.decimals = defaults.count("decimals");
    panel.min = defaults.number("min");
    panel.max = defaults.number("max");
    let ends = style::ends(panel);
    panel.thresholds = style::thresholds(fields, defaults.get("thresholds"), ends);
    panel.mappings = style::mappings(fields, defaults.get("mappings"));
    let name = defaults.text("displayName");
    if !name.is_empty() {
        for query in panel.queries.iter_mut().filter(|query| query.legend.is_empty()) {
            query.legend = labels_of(&name);
        }
    }
    for link in defaults.children("links") {
        panel.links.push(Link { title: link.text("title"), url: link.text("url") });
    }
    let custom = defaults.child("custom");
    custom.looks(&[
        "align",
        "axisBorderShow",
        "axisCenteredZero",
        "axisColorMode",
        "axisGridShow",
        "axisLabel",
        "axisPlacement",
        "axisSoftMax",
        "axisSoftMin",
        "axisWidth",
        "barAlignment",
        "barMaxWidth",
        "barWidthFactor",
        "cellOptions",
        "displayMode",
        "fillBelowTo",
        "fillColor",
        "gradientMode",
        "hideFrom",
        "insertNulls",
        "lineColor",
        "lineInterpolation",
        "lineStyle",
        "lineWidth",
        "pointColor",
        "pointSize",
        "pointSymbol",
        "showPoints",
        "showValues",
        "spanNulls",
        "thresholdsStyle",
        "filterable",
        "inspect",
        "width",
        "minWidth",
        "footer",
        "wrapText",
        "showValue",
    ]);
    let scale = custom.child("scaleDistribution");
    if !matches!(scale.text("type").as_str(), "" | "linear") {
        fields.note("its axis is not linear; here it is");
    }
    let (style, opacity) = (custom.text("drawStyle"), custom.number("fillOpacity").unwrap_or(0.0));
    if panel.kind == PanelKind::TimeSeries {
        panel.draw = match style.as_str() {
            "bars" => Draw::Bars,
            "points" => Draw::Points,
            _ if opacity > 0.0 => Draw::Area,
            _ => Draw::Line,
        };
    }
    let stacking = custom.child("stacking");
    let mode = stacking.text("mode");
    if !mode.is_empty() {
        panel.stack = stack(&mode);
    }
    custom.ignore(&["hidden"]);
    if custom.text("transform") == "negative-Y" {
        fields.note("its values are not turned below the axis");
    }
    custom.finish();
    defaults.finish();
    config.finish();
}

/// Reads `${__field.labels.x}` as `{{x}}`.
fn labels_of(name: &str) -> String {
    let pattern =
        Regex::new(r#"\$\{__field\.labels(?:\.([A-Za-z_][A-Za-z0-9_]*)|\["([^"]+)"\])\}"#).expect("a constant");
    let replaced = pattern.replace_all(name, |found: &Captures<'_>| {
        let label = found.get(1).or_else(|| found.get(2)).map_or("", |label| label.as_str());
        format!("{{{{{label}}}}}")
    });
    replaced.into_owned()
}

/// Reads the fields of the panels `graph`, `singlestat`, `text` and `heatmap` as they were before version 7.
#[expect(clippy::too_many_lines, reason = "a list of fields")]
fn old_fields(fields: &Fields<'_>, panel: &mut Panel) {
    fields.ignore(&[
        "format",
        "yaxes",
        "xaxis",
        "yaxis",
        "datasource",
        "type",
        "percentage",
        "fill",
        "lines",
        "points",
        "gauge",
    ]);
    fields.looks(&[
        "cards",
        "dataFormat",
        "tooltipDecimals",
        "yBucketBound",
        "legendLink",
        "hideLegend",
        "valueFontSize",
        "rightSide",
    ]);
    let yaxis = fields.get("yaxes").get(0).unwrap_or_else(|| fields.get("yaxis"));
    let old_unit = yaxis["format"].as_str().or_else(|| fields.get("format").as_str()).unwrap_or_default();
    if panel.unit.is_empty() && !old_unit.is_empty() {
        panel.unit = style::unit(fields, old_unit);
    }
    panel.decimals = panel.decimals.or_else(|| fields.count("decimals"));
    panel.min = panel.min.or_else(|| number(&yaxis["min"]));
    panel.max = panel.max.or_else(|| number(&yaxis["max"]));
    if yaxis["logBase"].as_u64().is_some_and(|base| base > 1) {
        fields.note("its axis is not linear; here it is");
    }
    if fields.get("yaxes")[1]["show"] == true && fields.get("seriesOverrides").to_string().contains("\"yaxis\":2") {
        fields.note("its second axis is left out");
    }
    if fields.get("type") == "graph" {
        panel.draw = if fields.flag("bars") {
            Draw::Bars
        } else if fields.get("lines") == false && fields.flag("points") {
            Draw::Points
        } else if fields.number("fill").is_some_and(|fill| fill > 0.0) {
            Draw::Area
        } else {
            Draw::Line
        };
        panel.thresholds.extend(style::graph_thresholds(fields.get("thresholds")));
        if fields.flag("stack") {
            panel.stack = if fields.flag("percentage") { Stack::Percent } else { Stack::Normal };
        }
        fields.ignore(&["timeRegions"]);
    }
    fields.ignore(&["bars", "stack"]);
    const SERIES_LOOKS: [&str; 12] = [
        "$$hashKey",
        "alias",
        "bars",
        "color",
        "dashLength",
        "dashes",
        "fill",
        "hiddenSeries",
        "legend",
        "lines",
        "linewidth",
        "zindex",
    ];
    for one in fields.children("seriesOverrides") {
        if one.names().all(|name| SERIES_LOOKS.contains(&name)) {
            fields.look("colours of single series");
            continue;
        }
        fields.note(format!("what is said of the series \"{}\" alone is left out", one.text("alias")));
    }
    if let Some(thresholds) = fields.get("thresholds").as_str() {
        panel.thresholds = style::old_thresholds(thresholds, &fields.texts("colors"));
    }
    fields.ignore(&["colors", "mappingType", "mappingTypes", "tableColumn", "rangeMaps"]);
    let name = fields.text("valueName");
    if !name.is_empty() {
        panel.reduce = reduction(fields, &name);
    }
    let maps = fields.get(if fields.get("mappingType") == 2 { "rangeMaps" } else { "valueMaps" });
    panel.mappings.extend(maps.as_array().into_iter().flatten().map(style::old_mapping));
    fields.ignore(&["valueMaps"]);
    if fields.get("gauge")["show"] == true {
        panel.kind = PanelKind::Gauge;
        panel.min = panel.min.or_else(|| number(&fields.get("gauge")["minValue"]));
        panel.max = panel.max.or_else(|| number(&fields.get("gauge")["maxValue"]));
    }
    let content = fields.text("content");
    if panel.kind == PanelKind::Text && panel.text.is_empty() {
        panel.text = content;
        if fields.text("mode") == "html" {
            fields.note("its HTML is shown as Markdown");
        }
    }
    fields.ignore(&["mode"]);
}
