//! All paths, with what they need and what they are for: the router and the OpenAPI document both read this table.

use http::Method;

use crate::access::AccessScope;

/// What answers a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Query,
    QueryRange,
    QueryExemplars,
    FormatQuery,
    ParseQuery,
    Series,
    Labels,
    LabelValues,
    Metadata,
    Targets,
    TargetsMetadata,
    ScrapePools,
    RelabelSteps,
    Alertmanagers,
    Rules,
    Alerts,
    AlertsExplain,
    RulesRehearse,
    StatusConfig,
    StatusFlags,
    StatusRuntime,
    StatusBuild,
    StatusTsdb,
    StatusBlocks,
    StatusReplay,
    StatusCardinality,
    Features,
    Notifications,
    RemoteRead,
    RemoteWrite,
    Otlp,
    DeleteSeries,
    CleanTombstones,
    Flush,
    Snapshot,
    OpenApi,
    Federate,
    OwnMetrics,
    Healthy,
    Ready,
    Reload,
    Probe,
    Lifecycle,
    Root,
}

/// One path.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) call: Call,
    /// A segment in braces stands for any.
    pub(crate) path: &'static str,
    /// As in the header `Allow`; HEAD goes with GET.
    pub(crate) methods: &'static str,
    /// What a token must reach; `None` for everybody.
    pub(crate) scope: Option<AccessScope>,
    pub(crate) summary: &'static str,
    /// Names of parameters, see [`PARAMETERS`].
    pub(crate) parameters: &'static [&'static str],
}

impl Route {
    /// Tells whether a method may be used.
    pub(crate) fn allows(&self, method: &Method) -> bool {
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        self.methods.split(", ").any(|own| own == method)
    }
}

/// A parameter: its name, its type in OpenAPI, what it means.
pub(crate) type Parameter = (&'static str, &'static str, &'static str);

/// All parameters.
pub(crate) const PARAMETERS: &[Parameter] = &[
    ("query", "string", "A PromQL expression."),
    ("time", "string", "The moment: RFC 3339 or seconds since 1970; now by default."),
    ("start", "string", "The first moment: RFC 3339 or seconds since 1970."),
    ("end", "string", "The last moment: RFC 3339 or seconds since 1970."),
    ("step", "string", "Between two moments: seconds, or a text such as 1m30s."),
    ("timeout", "string", "How long it may take: seconds, or a text such as 30s."),
    ("lookback_delta", "string", "How far back an instant selector looks, for this query."),
    ("stats", "string", "Any text adds statistics to the answer; \"all\" adds those of each step."),
    ("limit", "integer", "How many results at most; 0 for all."),
    ("limit_per_metric", "integer", "How many entries for each metric at most."),
    ("metric", "string", "One metric's name; all by default."),
    ("match[]", "array", "Selectors of series such as up{job=\"api\"}; may be repeated."),
    ("name", "path", "The label's name; one that is not [a-zA-Z0-9_] may be written as U__my_2e_label."),
    ("window", "string", "How far back to look: seconds, or a text such as 1h."),
    ("type", "string", "Which rules: alert or record; both by default."),
    ("rule_name[]", "array", "Names of rules; may be repeated."),
    ("rule_group[]", "array", "Names of groups; may be repeated."),
    ("file[]", "array", "Files of rules; may be repeated."),
    ("exclude_alerts", "boolean", "Leaves the alerts of rules out."),
    ("group_limit", "integer", "How many groups at most; the answer says how to go on."),
    ("group_next_token", "string", "Where an earlier answer ended."),
    ("rule", "string", "The name of an alerting rule."),
    ("labels", "string", "Matchers such as {instance=\"a\"} for labels of alerts."),
    ("target", "string", "What is looked at: an address, a host and port, or a host."),
    ("module", "string", "How it is looked at: a module of the probe file, or a built-in one such as http_2xx."),
    ("state", "string", "Which targets: active, dropped or any."),
    ("scrapePool", "string", "The name of a job."),
    ("match_target", "string", "A selector of targets by their labels."),
    ("labels", "string", "A label set as JSON."),
    ("skip_head", "boolean", "Leaves out what is not in blocks yet."),
];

const QUERY: &[&str] = &["query", "time", "timeout", "limit", "lookback_delta", "stats"];
const QUERY_RANGE: &[&str] = &["query", "start", "end", "step", "timeout", "limit", "lookback_delta", "stats"];
const RULES: &[&str] =
    &["type", "rule_name[]", "rule_group[]", "file[]", "match[]", "exclude_alerts", "group_limit", "group_next_token"];
const READ: Option<AccessScope> = Some(AccessScope::Read);
const WRITE: Option<AccessScope> = Some(AccessScope::Write);
const ADMIN: Option<AccessScope> = Some(AccessScope::Admin);

const fn route(
    call: Call,
    path: &'static str,
    methods: &'static str,
    scope: Option<AccessScope>,
    summary: &'static str,
    parameters: &'static [&'static str],
) -> Route {
    Route { call, path, methods, scope, summary, parameters }
}

/// All paths, in the order of the document.
#[rustfmt::skip]
pub(crate) const ROUTES: &[Route] = &[
    route(Call::Query, "/api/v1/query", "GET, POST", READ, "Evaluates a query at one moment.", QUERY),
    route(Call::QueryRange, "/api/v1/query_range", "GET, POST", READ, "Evaluates a query at each step of a range.", QUERY_RANGE),
    route(Call::QueryExemplars, "/api/v1/query_exemplars", "GET, POST", READ, "Returns the exemplars of a query's series.", &["query", "start", "end"]),
    route(Call::FormatQuery, "/api/v1/format_query", "GET, POST", READ, "Lays a query out.", &["query"]),
    route(Call::ParseQuery, "/api/v1/parse_query", "GET, POST", READ, "Returns a query as a tree.", &["query"]),
    route(Call::Series, "/api/v1/series", "GET, POST", READ, "Returns the label sets that selectors find.", &["match[]", "start", "end", "limit"]),
    route(Call::Labels, "/api/v1/labels", "GET, POST", READ, "Returns label names.", &["match[]", "start", "end", "limit"]),
    route(Call::LabelValues, "/api/v1/label/{name}/values", "GET", READ, "Returns a label's values.", &["name", "match[]", "start", "end", "limit"]),
    route(Call::Metadata, "/api/v1/metadata", "GET", READ, "Returns what is known about metrics.", &["metric", "limit", "limit_per_metric"]),
    route(Call::Targets, "/api/v1/targets", "GET", READ, "Returns what is scraped.", &["state", "scrapePool"]),
    route(Call::TargetsMetadata, "/api/v1/targets/metadata", "GET", READ, "Returns what targets say about metrics.", &["match_target", "metric", "limit"]),
    route(Call::RelabelSteps, "/api/v1/targets/relabel_steps", "GET", READ, "Returns what each relabeling rule of a job makes of labels.", &["scrapePool", "labels"]),
    route(Call::ScrapePools, "/api/v1/scrape_pools", "GET", READ, "Returns the names of what is scraped.", &[]),
    route(Call::Alertmanagers, "/api/v1/alertmanagers", "GET", READ, "Returns where alerts are sent.", &[]),
    route(Call::Rules, "/api/v1/rules", "GET", READ, "Returns recording and alerting rules with their alerts.", RULES),
    route(Call::RulesRehearse, "/api/v1/rules/rehearse", "POST", READ, "Runs rules over recorded samples: what would have fired when. The body is a rule file.", &["start", "end", "step"]),
    route(Call::Alerts, "/api/v1/alerts", "GET", READ, "Returns active alerts.", &[]),
    route(Call::AlertsExplain, "/api/v1/alerts/explain", "GET", READ, "Says why alerts of a rule fire, or do not.", &["rule", "labels"]),
    route(Call::StatusConfig, "/api/v1/status/config", "GET", READ, "Returns the configuration that is in force.", &[]),
    route(Call::StatusFlags, "/api/v1/status/flags", "GET", READ, "Returns the flags.", &[]),
    route(Call::StatusRuntime, "/api/v1/status/runtimeinfo", "GET", READ, "Returns facts about the running process.", &[]),
    route(Call::StatusBuild, "/api/v1/status/buildinfo", "GET", READ, "Returns facts about the program.", &[]),
    route(Call::StatusTsdb, "/api/v1/status/tsdb", "GET", READ, "Returns what takes most room in memory.", &["limit"]),
    route(Call::StatusBlocks, "/api/v1/status/tsdb/blocks", "GET", READ, "Returns the blocks on disk.", &[]),
    route(Call::StatusReplay, "/api/v1/status/walreplay", "GET", READ, "Returns how far the log has been read: always to its end.", &[]),
    route(Call::StatusCardinality, "/api/v1/status/cardinality", "GET", READ, "Returns who added series, the limits, and what was refused.", &["window", "limit"]),
    route(Call::Features, "/api/v1/features", "GET", READ, "Returns what this server can do.", &[]),
    route(Call::Notifications, "/api/v1/notifications", "GET", READ, "Returns notices to people: none yet.", &[]),
    route(Call::RemoteRead, "/api/v1/read", "POST", READ, "Remote read: samples or streamed chunks.", &[]),
    route(Call::RemoteWrite, "/api/v1/write", "POST", WRITE, "Remote write 1.0 and 2.0.", &[]),
    route(Call::Otlp, "/api/v1/otlp/v1/metrics", "POST", WRITE, "OTLP metrics, as protobuf or JSON.", &[]),
    route(Call::DeleteSeries, "/api/v1/admin/tsdb/delete_series", "POST, PUT", ADMIN, "Deletes samples.", &["match[]", "start", "end"]),
    route(Call::CleanTombstones, "/api/v1/admin/tsdb/clean_tombstones", "POST, PUT", ADMIN, "Takes deleted samples off the disk.", &[]),
    route(Call::Flush, "/api/v1/admin/tsdb/flush", "POST, PUT", ADMIN, "Writes all that is in memory into closed blocks.", &[]),
    route(Call::Snapshot, "/api/v1/admin/tsdb/snapshot", "POST, PUT", ADMIN, "Copies all data into a folder beside it.", &["skip_head"]),
    route(Call::OpenApi, "/api/v1/openapi.json", "GET", None, "Returns this document.", &[]),
    route(Call::OpenApi, "/api/v1/openapi.yaml", "GET", None, "Returns this document: JSON is YAML.", &[]),
    route(Call::Probe, "/probe", "GET", READ, "Looks at a target from outside and returns what is to be seen as text.", &["target", "module"]),
    route(Call::Federate, "/federate", "GET", READ, "Returns the newest sample of series as text.", &["match[]"]),
    route(Call::OwnMetrics, "/metrics", "GET", READ, "Returns this server's own metrics as text.", &[]),
    route(Call::Healthy, "/-/healthy", "GET", None, "Tells that the server runs.", &[]),
    route(Call::Ready, "/-/ready", "GET", None, "Tells that the server can serve.", &[]),
    route(Call::Reload, "/-/reload", "POST, PUT", ADMIN, "Reads the configuration file again; when it is wrong, all stays as it is.", &[]),
    route(Call::Lifecycle, "/-/quit", "POST, PUT", None, "Refused: stop the process instead.", &[]),
    route(Call::Root, "/", "GET", None, "Says what this is.", &[]),
];

/// Finds the path's row, with the text that stands for its segment in braces.
pub(crate) fn find(path: &str) -> Option<(&'static Route, &str)> {
    ROUTES.iter().find_map(|route| match route.path.split_once("{name}") {
        None => (route.path == path).then_some((route, "")),
        Some((before, after)) => {
            let name = path.strip_prefix(before)?.strip_suffix(after)?;
            (!name.contains('/')).then_some((route, name))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_explained_and_every_path_is_found() {
        for route in ROUTES {
            for name in route.parameters {
                assert!(PARAMETERS.iter().any(|(own, ..)| own == name), "{name}");
            }
            assert_eq!(find(&route.path.replace("{name}", "job")).unwrap().0.path, route.path);
        }
        assert_eq!(find("/api/v1/label/a.b/values").unwrap().1, "a.b");
        assert!(find("/api/v1/label/a/b/values").is_none() && find("/api/v1/nothing").is_none());
    }

    #[test]
    fn head_goes_with_get() {
        let (route, _) = find("/-/ready").unwrap();
        assert!(route.allows(&Method::HEAD) && !route.allows(&Method::POST));
    }
}
