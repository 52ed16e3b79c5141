//! Reads the file.

use std::collections::HashSet;

use maru_prom::Labels;
use maru_prom::exposition::{Escaping, ScrapeProtocol};
use maru_prom::otlp::{NameTranslation, OtlpOptions, Promotion};
use maru_yaml::{Cursor, Document, ParseLimits, Problem};
use serde_json::Value;

use super::discovery::{Discovery, is_label_name, read_discoveries};
use super::http::read_client;
use super::remote::{read_alerting, read_remote_write, read_scheme};
use super::values::{duration, duration_or, limit, parse_size};
use super::{Configuration, Global, LabelConflict, ScrapeConfig, TimestampRules};
use crate::relabel::read_rules;

/// Reads a configuration. `variable` gives the values for `${NAME}` in external labels.
///
/// # Errors
/// All that is wrong, in the order of the file.
pub fn read_configuration(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Configuration, Vec<Problem>> {
    let document = Document::parse(text, ParseLimits { aliases: 1000, ..ParseLimits::default() });
    let top = document.top();
    let defaults = Defaults::read(&top.field("global"), variable);
    let storage = top.field("storage");
    let tsdb = storage.field("tsdb");
    let retention = tsdb.field("retention");
    retention.unsupported(&["percentage"], "; write a size");
    tsdb.unsupported(&["chunk_encoding"], "; each chunk takes the smallest encoding");
    tsdb.unsupported(&["stale_series_compaction_threshold"], "; series without samples leave memory by themselves");
    storage.field("exemplars").unsupported(&["max_exemplars"], "; the store keeps the newest 100,000");
    let configuration = Configuration {
        rule_files: read_paths(&top.field("rule_files")),
        scrape_config_files: read_paths(&top.field("scrape_config_files")),
        scrape_configs: read_jobs(&top.field("scrape_configs"), &defaults, &[]),
        alerting: read_alerting(&top.field("alerting")),
        remote_write: top.field("remote_write").list().iter().map(read_remote_write).collect(),
        out_of_order_window: duration(&tsdb.field("out_of_order_time_window")),
        retention: duration(&retention.field("time")),
        retention_bytes: retention.field("size").read(parse_size),
        otlp: read_otlp(&top.field("otlp"), defaults.job.legacy_names),
        global: defaults.global,
    };
    retention.finish();
    tsdb.finish();
    storage.finish();
    top.unsupported(&["remote_read"], "; the other server is queried at its own address");
    top.unsupported(&["tracing"], "; Maru traces itself");
    top.unsupported(&["runtime"], "; there is no Go runtime here");
    top.finish();
    let mut names: Vec<&str> = configuration.remote_write.iter().map(|one| one.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1] && !pair[0].is_empty()) {
        top.field("remote_write").problem(format!("the name \"{}\" is given twice", pair[0]));
    }
    let problems = document.problems();
    if problems.is_empty() { Ok(configuration) } else { Err(problems) }
}

/// Reads a file of `scrape_config_files`; `known` are the jobs that there are already.
///
/// # Errors
/// All that is wrong, in the order of the file.
pub fn read_scrape_file(
    text: &str,
    global: &Global,
    known: &[ScrapeConfig],
) -> Result<Vec<ScrapeConfig>, Vec<Problem>> {
    let document = Document::parse(text, ParseLimits { aliases: 1000, ..ParseLimits::default() });
    let top = document.top();
    let defaults = Defaults { global: global.clone(), job: ScrapeConfig::new("", global) };
    let names: Vec<&str> = known.iter().map(|job| job.job_name.as_str()).collect();
    let jobs = read_jobs(&top.field("scrape_configs"), &defaults, &names);
    top.finish();
    let problems = document.problems();
    if problems.is_empty() { Ok(jobs) } else { Err(problems) }
}

/// Reads jobs that were made of objects: as in `scrape_configs`, and besides with the scheme `in-process` and with
/// `probe_targets`, which are addresses of any form.
///
/// # Errors
/// All that is wrong, with the fields' paths.
pub fn read_jobs_value(jobs: &Value, global: &Global) -> Result<Vec<ScrapeConfig>, Vec<Problem>> {
    let mut plain = jobs.clone();
    let mut extras = Vec::new();
    for job in plain.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        let is_inside = job.get("scheme").is_some_and(|scheme| scheme == "in-process");
        if is_inside {
            job.remove("scheme");
        }
        extras.push((is_inside, job.remove("probe_targets")));
    }
    let document = Document::of_value(&plain);
    let defaults = Defaults { global: global.clone(), job: ScrapeConfig::new("", global) };
    let mut jobs = read_jobs(&document.top(), &defaults, &[]);
    let problems = document.problems();
    if !problems.is_empty() {
        return Err(problems);
    }
    for (job, (is_inside, targets)) in jobs.iter_mut().zip(extras) {
        if is_inside {
            "in-process".clone_into(&mut job.scheme);
        }
        let targets = targets.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let targets: Vec<Labels> = targets.map(|target| Labels::from_pairs([("__address__", target)])).collect();
        if let Some(Discovery::Static(groups)) = job.discoveries.first_mut()
            && let Some(group) = groups.first_mut()
        {
            group.targets.extend(targets);
        }
    }
    Ok(jobs)
}

/// Reads paths whose last part may have `*` in it.
fn read_paths(of: &Cursor<'_>) -> Vec<String> {
    for item in of.list() {
        let path = item.string().unwrap_or_default();
        if path.split_once('*').is_some_and(|(_, rest)| rest.contains('/')) {
            item.problem(format!("\"{path}\" has a * before its last part"));
        }
    }
    of.strings()
}

/// Reads how OTLP metrics become series.
fn read_otlp(of: &Cursor<'_>, legacy_names: bool) -> Option<OtlpOptions> {
    if !of.is_present() {
        return None;
    }
    let strategy = of.field("translation_strategy");
    let names = strategy.read(|text| NameTranslation::of_name(text).ok_or(STRATEGIES)).unwrap_or_default();
    if legacy_names && matches!(names, NameTranslation::NoUtf8EscapingWithSuffixes | NameTranslation::NoTranslation) {
        strategy.problem("names are to be legacy ones, so they must be escaped");
    }
    let [promoted, ignored] = ["promote_resource_attributes", "ignore_resource_attributes"].map(|name| of.field(name));
    let takes_all = of.field("promote_all_resource_attributes").boolean().unwrap_or_default();
    if takes_all && !promoted.list().is_empty() {
        promoted.problem("all are promoted already by promote_all_resource_attributes");
    }
    if !takes_all && !ignored.list().is_empty() {
        ignored.problem("attributes are ignored only with promote_all_resource_attributes: true");
    }
    let promotion = if takes_all {
        Promotion::AllBut(read_attributes(&ignored))
    } else {
        Promotion::Only(read_attributes(&promoted))
    };
    let default = OtlpOptions::default();
    let flag = |name: &'static str| of.field(name).boolean();
    let options = OtlpOptions {
        names,
        promotion,
        keeps_identifying_attributes: flag("keep_identifying_resource_attributes").unwrap_or_default(),
        histograms_become_native: flag("convert_histograms_to_nhcb").unwrap_or_default(),
        promotes_scope: flag("promote_scope_metadata").unwrap_or_default(),
        guards_underscore: flag("label_name_underscore_sanitization").unwrap_or(default.guards_underscore),
        keeps_repeated_underscores: flag("label_name_preserve_multiple_underscores")
            .unwrap_or(default.keeps_repeated_underscores),
        ..default
    };
    of.finish();
    Some(options)
}

const STRATEGIES: &str = "use UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, \
                          NoUTF8EscapingWithSuffixes or NoTranslation";

fn read_attributes(of: &Cursor<'_>) -> HashSet<String> {
    let mut all = HashSet::new();
    for item in of.list() {
        let Some(name) = item.string().map(|name| name.trim().to_owned()) else { continue };
        if name.is_empty() {
            item.problem("an attribute's name is not empty");
        } else if !all.insert(name.clone()) {
            item.problem(format!("\"{name}\" is in the list twice"));
        }
    }
    all
}

/// What jobs take over from the global part.
struct Defaults {
    global: Global,
    job: ScrapeConfig,
}

impl Defaults {
    fn read(of: &Cursor<'_>, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let default = Global::default();
        let scrape_interval = duration_or(&of.field("scrape_interval"), default.scrape_interval);
        let timeout = of.field("scrape_timeout");
        let scrape_timeout = duration_or(&timeout, default.scrape_timeout.min(scrape_interval));
        if scrape_timeout > scrape_interval {
            timeout.problem("the timeout is longer than the interval");
        }
        let evaluation_interval = duration_or(&of.field("evaluation_interval"), default.evaluation_interval);
        let rule_query_offset = duration(&of.field("rule_query_offset")).unwrap_or_default();
        let external = of.field("external_labels");
        let mut pairs = Vec::new();
        for (name, value) in external.entries() {
            if !is_label_name(name) {
                value.problem(format!("\"{name}\" is no name of a label"));
            }
            pairs.push((name.to_owned(), expand(&value.string().unwrap_or_default(), variable)));
        }
        of.unsupported(
            &["query_log_file", "scrape_failure_log_file"],
            "; queries and failures are told in Maru's own log",
        );
        let global = Global {
            scrape_interval,
            scrape_timeout,
            evaluation_interval,
            rule_query_offset,
            external_labels: Labels::from_pairs(pairs),
        };
        let mut job = ScrapeConfig::new("", &global);
        read_shared(of, &mut job);
        of.finish();
        Self { global, job }
    }
}

/// Replaces `$NAME` and `${NAME}`; `$$` is a dollar. What is not set becomes nothing.
fn expand(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, behind)) = after.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            out.push_str(&variable(name).unwrap_or_default());
            rest = behind;
        } else {
            let end = after.find(|one: char| !(one.is_ascii_alphanumeric() || one == '_')).unwrap_or(after.len());
            let (name, behind) = after.split_at_checked(end).unwrap_or((after, ""));
            if name.is_empty() {
                out.push('$')
            } else {
                out.push_str(&variable(name).unwrap_or_default())
            }
            rest = behind;
        }
    }
    out + rest
}

/// Reads what may stand in the global part and in a job.
fn read_shared(of: &Cursor<'_>, job: &mut ScrapeConfig) {
    let limits = &mut job.limits;
    let set = |slot: &mut Option<usize>, name: &'static str| {
        let field = of.field(name);
        if field.is_present() {
            *slot = limit(&field);
        }
    };
    set(&mut limits.samples, "sample_limit");
    set(&mut limits.labels, "label_limit");
    set(&mut limits.label_name_length, "label_name_length_limit");
    set(&mut limits.label_value_length, "label_value_length_limit");
    set(&mut limits.targets, "target_limit");
    set(&mut limits.kept_dropped_targets, "keep_dropped_targets");
    let body = of.field("body_size_limit");
    if body.is_present() {
        let bytes = body.read(parse_size).filter(|bytes| *bytes > 0);
        limits.body_bytes = bytes.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    let schemes = [("utf8", false), ("legacy", true)];
    if let Some(legacy) = of.field("metric_name_validation_scheme").one_of(&schemes) {
        job.legacy_names = legacy;
        if legacy {
            job.escaping = Escaping::Underscores;
        }
    }
    let escaping = of.field("metric_name_escaping_scheme");
    if let Some(scheme) =
        escaping.read(|text| Escaping::of_name(text).ok_or("use allow-utf-8, underscores, dots or values"))
    {
        if job.legacy_names && scheme == Escaping::AllowUtf8 {
            escaping.problem("names are to be legacy ones, so they cannot be asked for as UTF-8");
        }
        job.escaping = scheme;
    }
    let histograms = &mut job.histograms;
    let flag = |slot: &mut bool, name: &'static str| *slot = of.field(name).boolean().unwrap_or(*slot);
    flag(&mut histograms.scrape_native, "scrape_native_histograms");
    flag(&mut histograms.always_classic, "always_scrape_classic_histograms");
    flag(&mut histograms.convert_classic, "convert_classic_histograms_to_nhcb");
    if histograms.convert_classic {
        histograms.convert_classic = false;
        of.unsupported(&["convert_classic_histograms_to_nhcb"], "; classic histograms are kept as they are");
    }
    flag(&mut job.extra_metrics, "extra_scrape_metrics");
    let protocols = of.field("scrape_protocols");
    if protocols.is_present() {
        job.protocols = read_protocols(&protocols);
    } else if job.histograms.scrape_native && !job.protocols.contains(&ScrapeProtocol::PrometheusProto) {
        job.protocols.insert(0, ScrapeProtocol::PrometheusProto);
    }
}

const PROTOCOLS: &str =
    "use OpenMetricsText0.0.1, OpenMetricsText1.0.0, PrometheusProto, PrometheusText0.0.4 or PrometheusText1.0.0";

fn read_protocols(of: &Cursor<'_>) -> Vec<ScrapeProtocol> {
    let mut all = Vec::new();
    for item in of.list() {
        let Some(protocol) = item.read(|text| ScrapeProtocol::of_name(text).ok_or(PROTOCOLS)) else { continue };
        if all.contains(&protocol) {
            item.problem("it is in the list twice");
        }
        all.push(protocol);
    }
    if of.list().is_empty() {
        of.problem("at least one format is needed");
    }
    all
}

fn read_jobs(of: &Cursor<'_>, defaults: &Defaults, known: &[&str]) -> Vec<ScrapeConfig> {
    let mut jobs: Vec<ScrapeConfig> = Vec::new();
    for item in of.list() {
        if !item.is_present() {
            item.problem("the job is empty");
            continue;
        }
        let job = read_job(&item, defaults);
        if jobs.iter().any(|other| other.job_name == job.job_name) || known.contains(&job.job_name.as_str()) {
            item.problem(format!("there is another job with the name \"{}\"", job.job_name));
        }
        jobs.push(job);
    }
    jobs
}

fn read_job(item: &Cursor<'_>, defaults: &Defaults) -> ScrapeConfig {
    let name = item.field("job_name");
    if name.string().unwrap_or_default().is_empty() {
        name.problem("is missing");
    }
    let mut job = ScrapeConfig { job_name: name.string().unwrap_or_default(), ..defaults.job.clone() };
    read_shared(item, &mut job);
    job.scrape_interval = duration_or(&item.field("scrape_interval"), defaults.global.scrape_interval);
    let timeout = item.field("scrape_timeout");
    job.scrape_timeout = duration_or(&timeout, defaults.global.scrape_timeout.min(job.scrape_interval));
    if job.scrape_timeout > job.scrape_interval {
        timeout.problem("the timeout is longer than the interval");
    }
    job.metrics_path = item.field("metrics_path").string().filter(|path| !path.is_empty()).unwrap_or(job.metrics_path);
    job.scheme = read_scheme(&item.field("scheme"));
    let params = item.field("params");
    job.params = params.entries().iter().map(|(name, values)| ((*name).to_owned(), values.strings())).collect();
    if item.field("honor_labels").boolean() == Some(true) {
        job.conflict = LabelConflict::SampleWins;
    }
    job.timestamps = TimestampRules {
        honor: item.field("honor_timestamps").boolean().unwrap_or(true),
        track_staleness: item.field("track_timestamps_staleness").boolean().unwrap_or_default(),
    };
    let fallback = item.field("fallback_scrape_protocol");
    job.fallback_protocol = fallback.read(|text| ScrapeProtocol::of_name(text).ok_or(PROTOCOLS));
    job.enable_compression = item.field("enable_compression").boolean().unwrap_or(true);
    job.limits.histogram_buckets = limit(&item.field("native_histogram_bucket_limit"));
    job.histograms.min_bucket_factor = item.field("native_histogram_min_bucket_factor").number().unwrap_or_default();
    item.unsupported(&["scrape_failure_log_file"], "; failures are told in Maru's own log and by the targets' state");
    job.client = read_client(item);
    job.discoveries = read_discoveries(item);
    job.relabel = read_rules(&item.field("relabel_configs"));
    job.metric_relabel = read_rules(&item.field("metric_relabel_configs"));
    item.finish();
    job
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scrape::{Authentication, Discovery};

    fn read(text: &str) -> Result<Configuration, Vec<String>> {
        let variable = |name: &str| (name == "ZONE").then(|| "seoul".to_owned());
        read_configuration(text, &variable).map_err(|all| all.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_whole_file_is_read() {
        let configuration = read(
            "global:\n  scrape_interval: 15s\n  external_labels: {zone: '${ZONE}-1', price: '$$5'}\nrule_files: ['*.yml']\n\
             scrape_configs:\n- job_name: a\n  honor_labels: true\n  sample_limit: 10\n  body_size_limit: 1MB\n  \
             basic_auth: {username: u, password: p}\n  static_configs:\n  - {targets: ['h:1', 'h:2'], labels: {x: y}}\n  \
             file_sd_configs: [{files: ['t/*.json']}]\n  dns_sd_configs: [{names: [n]}]\n  \
             kubernetes_sd_configs: [{role: pod, namespaces: {names: [shop]}}]\n\
             remote_write:\n- url: http://r/api/v1/write\n  queue_config: {capacity: 5, retry_on_http_429: true}\n\
             alerting:\n  alertmanagers: [{static_configs: [{targets: ['am:9093']}]}]\n",
        )
        .unwrap();
        let job = &configuration.scrape_configs[0];
        assert_eq!((job.scrape_interval, job.scrape_timeout), (Duration::from_secs(15), Duration::from_secs(10)));
        assert_eq!((job.limits.samples, job.limits.body_bytes), (Some(10), Some(1 << 20)));
        assert!(matches!(job.client.authentication, Authentication::Basic { .. }));
        assert_eq!(job.discoveries.len(), 4);
        assert!(matches!(&job.discoveries[0], Discovery::Static(groups) if groups[0].targets.len() == 2));
        let external: Vec<(&str, &str)> = configuration.global.external_labels.iter().collect();
        assert_eq!(external, [("price", "$5"), ("zone", "seoul-1")]);
        assert_eq!(configuration.remote_write[0].queue.capacity, 5);
        assert_eq!(configuration.alerting.alertmanagers[0].timeout, Duration::from_secs(10));
        assert!(!format!("{configuration:?}").contains("\"p\""));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_with_lines() {
        let told = read(
            "global: {scrape_interval: 5}\nscrape_configs:\n- job_name: a\n  scrape_intervall: 5s\n  scrape_timeout: 2m\n\
             - job_name: a\n  consul_sd_configs: []\n  ec2_sd_configs: [{}]\n  proxy_url: http://p\n  static_configs: [{targets: ['http://h/']}]\n\
             remote_read: [{url: x}]\n",
        )
        .unwrap_err()
        .join("\n");
        for part in [
            "line 1, column 10: global.scrape_interval: \"5\": it is no duration",
            "line 4, column 3: scrape_configs[0]: there is no field \"scrape_intervall\"; did you mean \"scrape_interval\"?",
            "scrape_configs[0].scrape_timeout: the timeout is longer",
            "another job with the name \"a\"",
            "\"ec2_sd_configs\" is not supported",
            "\"proxy_url\" is not supported",
            "\"http://h/\" is no host and port",
            "line 11, column 1: remote_read: \"remote_read\" is not supported",
        ] {
            assert!(told.contains(part), "{part}\n{told}");
        }
        assert!(read("scrape_configs: [{job_name: a").is_err());
        assert!(read("").unwrap().scrape_configs.is_empty());
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let queue = |rest: &str| format!("remote_write: [{{url: 'http://a/', queue_config: {{{rest}}}}}]");
        let kubernetes = |rest: &str| format!("scrape_configs: [{{job_name: a, kubernetes_sd_configs: [{{{rest}}}]}}]");
        for (text, told) in [
            ("scrape_configs: [{job_name: a, static_configs: [null]}]".to_owned(), "the group is empty"),
            ("rule_files: ['a/*/b.yml']".to_owned(), "rule_files[0]: \"a/*/b.yml\" has a * before its last part"),
            ("scrape_config_files: ['*/*']".to_owned(), "a * before its last part"),
            ("storage: {tsdb: {chunk_encoding: {floats: xor}}}".to_owned(), "\"chunk_encoding\" is not supported"),
            ("scrape_configs: [{job_name: a, oci_sd_configs: [{}]}]".to_owned(), "\"oci_sd_configs\" is not supported"),
            (
                kubernetes("role: pod, kubeconfig_file: k, namespaces: {own_namespace: true}"),
                "own_namespace is that of a pod in its own cluster",
            ),
            (
                kubernetes("role: pod, api_server: 'https://k:1', namespaces: {own_namespace: true}"),
                "own_namespace is that of a pod in its own cluster",
            ),
            (queue("capacity: 0"), "queue_config.capacity: it must be more than 0"),
            (queue("max_shards: 0"), "queue_config.max_shards: it must be more than 0"),
            (queue("min_shards: 0"), "queue_config.min_shards: it must be more than 0"),
            (queue("max_samples_per_send: 0"), "queue_config.max_samples_per_send: it must be more than 0"),
            (queue("min_backoff: 6s"), "min_backoff is more than max_backoff"),
            (kubernetes("role: endpoints, selectors: [{role: node}]"), "endpoints cannot be selected by node"),
            (
                kubernetes("role: pod, selectors: [{role: pod, label: a=b}, {role: pod}]"),
                "another selector of the role pod",
            ),
            (kubernetes("role: pod, selectors: [{role: pod, field: spec.a}]"), "\"spec.a\" is no selector of fields"),
        ] {
            let problems = read(&text).unwrap_err().join("\n");
            assert!(problems.contains(told), "{text}\n{problems}");
        }
        let selectors = "role: endpoints, selectors: [{role: pod, field: 'a=b,c!=d'}, {role: service, label: x}]";
        assert!(read(&kubernetes(selectors)).is_ok());
    }

    #[test]
    fn addresses_that_rules_take_apart_may_be_anything() {
        let job = |rules: &str| {
            format!(
                "scrape_configs:\n- job_name: probes\n  static_configs: [{{targets: ['https://a.example/x?y=z']}}]\n  {rules}\n"
            )
        };
        let rules = "relabel_configs: [{source_labels: [__address__], target_label: __param_target}, \
                     {target_label: __address__, replacement: 'blackbox:9115'}]";
        let read_job = read(&job(rules)).unwrap().scrape_configs.remove(0);
        let Discovery::Static(groups) = &read_job.discoveries[0] else { panic!("{read_job:?}") };
        assert_eq!(groups[0].targets[0].get("__address__"), Some("https://a.example/x?y=z"));
        assert!(read(&job("")).unwrap_err()[0].contains("is no host and port"));
        let found = super::super::read_target_groups("[{targets: ['https://a.example/']}]", "file");
        assert_eq!(found.map(|groups| groups.len()), Ok(1));
    }

    #[test]
    fn otlp_is_read_and_checked() {
        assert_eq!(read("global: {}").unwrap().otlp, None);
        assert_eq!(read("otlp: {}").unwrap().otlp, Some(OtlpOptions::default()));
        let all = "otlp:\n  translation_strategy: NoUTF8EscapingWithSuffixes\n  promote_all_resource_attributes: true\n  \
                   ignore_resource_attributes: [' a.b ', c]\n  keep_identifying_resource_attributes: true\n  \
                   convert_histograms_to_nhcb: true\n  promote_scope_metadata: true\n  \
                   label_name_underscore_sanitization: false\n  label_name_preserve_multiple_underscores: false\n";
        let options = OtlpOptions {
            names: NameTranslation::NoUtf8EscapingWithSuffixes,
            promotion: Promotion::AllBut(["a.b".to_owned(), "c".to_owned()].into()),
            keeps_identifying_attributes: true,
            histograms_become_native: true,
            promotes_scope: true,
            guards_underscore: false,
            keeps_repeated_underscores: false,
            ..OtlpOptions::default()
        };
        assert_eq!(read(all).unwrap().otlp, Some(options));
        for (text, told) in [
            ("{translation_strategy: Other}", "use UnderscoreEscapingWithSuffixes"),
            ("{promote_resource_attributes: [a, '']}", "an attribute's name is not empty"),
            ("{promote_resource_attributes: [a, ' a']}", "\"a\" is in the list twice"),
            ("{promote_all_resource_attributes: true, promote_resource_attributes: [a]}", "all are promoted already"),
            ("{ignore_resource_attributes: [a]}", "only with promote_all_resource_attributes: true"),
            ("{promote_scope: true}", "there is no field \"promote_scope\""),
        ] {
            let problems = read(&format!("otlp: {text}")).unwrap_err().join("\n");
            assert!(problems.contains(told), "{text}\n{problems}");
        }
        let legacy = "global: {metric_name_validation_scheme: legacy}\notlp: {translation_strategy: NoTranslation}";
        assert!(read(legacy).unwrap_err()[0].contains("they must be escaped"));
    }
}
