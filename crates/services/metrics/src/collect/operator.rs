//! The objects of the Prometheus operator: their kinds, and what they mean as jobs and rules.
//!
//! Long because each kind's fields are one list, to be read beside the operator's API reference.

use std::collections::BTreeMap;

use base64::Engine as _;
use maru_monitoring::rules::{RuleFile, read_groups};
use maru_monitoring::scrape::{Global, ScrapeConfig, read_jobs_value};
use maru_promql::ParseOptions;
use maru_yaml::{Cursor, Document};
use serde_json::{Map, Value, json};

use super::objects::Kind;

const GROUP: &str = "monitoring.coreos.com";

/// Returns the definitions of the four kinds of the operator, and of boards.
#[must_use]
pub fn crds() -> Vec<Value> {
    let anything = || json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let list = || json!({"type": "array", "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let mut all: Vec<Value> = [
        (Kind::ServiceMonitor, "servicemonitors", "smon", vec!["selector", "endpoints"], json!({"selector": anything(), "endpoints": list()})),
        (Kind::PodMonitor, "podmonitors", "pmon", vec!["selector"], json!({"selector": anything(), "podMetricsEndpoints": list()})),
        (Kind::Probe, "probes", "prb", vec![], json!({"targets": anything(), "prober": anything()})),
        (Kind::PrometheusRule, "prometheusrules", "promrule", vec![], json!({"groups": list()})),
    ]
    .map(|(kind, plural, short, required, properties)| {
        let spec = json!({
            "type": "object", "required": required, "properties": properties, "x-kubernetes-preserve-unknown-fields": true,
        });
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{GROUP}")},
            "spec": {
                "group": GROUP, "scope": "Namespaced",
                "names": {"kind": kind.name(), "listKind": format!("{}List", kind.name()), "plural": plural,
                    "singular": kind.name().to_lowercase(), "shortNames": [short], "categories": ["prometheus-operator"]},
                "versions": [{
                    "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {"name": "Accepted", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Accepted\")].status"},
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
                    "schema": {"openAPIV3Schema": {
                        "type": "object", "required": ["spec"],
                        "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
                            "spec": spec, "status": anything()},
                    }},
                }],
            },
        })
    })
    .into();
    all.push(super::boards::definition());
    all
}

/// Objects that hold secrets, by kind (`Secret`, `ConfigMap`), namespace and name; `None`: it is known not to be there.
pub(super) type Holders = BTreeMap<(&'static str, String, String), Option<Value>>;

/// One translation.
pub(super) struct Translation<'a> {
    namespace: String,
    holders: &'a Holders,
    /// What is needed and was not read yet.
    pub(super) wanted: Vec<(&'static str, String, String)>,
}

/// What a translation gives: jobs, or all that is wrong.
pub(super) type Jobs = Result<Vec<ScrapeConfig>, Vec<String>>;

impl<'a> Translation<'a> {
    pub(super) fn new(namespace: &str, holders: &'a Holders) -> Self {
        Self { namespace: namespace.to_owned(), holders, wanted: Vec::new() }
    }

    /// Returns the jobs of a monitor or a probe.
    pub(super) fn jobs(&mut self, kind: Kind, object: &Value, global: &Global) -> Jobs {
        let document = Document::of_value(&object["spec"]);
        let top = document.top();
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let jobs = match kind {
            Kind::ServiceMonitor => self.service_monitor(&top, &name),
            Kind::PodMonitor => self.pod_monitor(&top, &name),
            _ => self.probe(&top, &name),
        };
        top.finish();
        let problems: Vec<String> =
            document.problems().iter().map(|one| format!("{}: {}", one.path, one.message)).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        read_jobs_value(&Value::from(jobs), global)
            .map_err(|problems| problems.iter().map(|one| format!("{}: {}", one.path, one.message)).collect())
    }

    fn service_monitor(&mut self, spec: &Cursor<'_>, name: &str) -> Vec<Value> {
        let mut rules = vec![json!({"source_labels": ["job"], "target_label": "__tmp_prometheus_job_name"})];
        selector(&spec.field("selector"), "service", &mut rules);
        let job_label = spec.field("jobLabel").string();
        let (target_labels, pod_labels) =
            (spec.field("targetLabels").strings(), spec.field("podTargetLabels").strings());
        let role = spec.field("serviceDiscoveryRole").string().unwrap_or_else(|| "EndpointSlice".to_owned());
        let (role, prefix, address) = if role == "Endpoints" {
            ("endpoints", "endpoint", "endpoint")
        } else {
            ("endpointslice", "endpointslice", "endpointslice")
        };
        let shared = self.shared(spec, role);
        let mut jobs = Vec::new();
        for (index, endpoint) in spec.field("endpoints").list().iter().enumerate() {
            let mut job = shared.clone();
            job.insert("job_name".to_owned(), json!(format!("serviceMonitor/{}/{name}/{index}", self.namespace)));
            let mut rules = rules.clone();
            let port = endpoint.field("port").string().unwrap_or_default();
            let target_port = endpoint.field("targetPort").string().unwrap_or_default();
            if !port.is_empty() {
                rules.push(keep(&[&format!("__meta_kubernetes_{prefix}_port_name")], &port));
            } else if !target_port.is_empty() {
                let is_number = target_port.bytes().all(|byte| byte.is_ascii_digit());
                let part = if is_number { "number" } else { "name" };
                rules.push(keep(&[&format!("__meta_kubernetes_pod_container_port_{part}")], &target_port));
            }
            for kind in ["Node", "Pod"] {
                rules.push(json!({
                    "source_labels": [format!("__meta_kubernetes_{address}_address_target_kind"),
                        format!("__meta_kubernetes_{address}_address_target_name")],
                    "regex": format!("{kind};(.*)"), "replacement": "${1}", "target_label": kind.to_lowercase(),
                }));
            }
            for (from, to) in [
                ("namespace", "namespace"),
                ("service_name", "service"),
                ("pod_name", "pod"),
                ("pod_container_name", "container"),
            ] {
                rules.push(json!({"source_labels": [format!("__meta_kubernetes_{from}")], "target_label": to}));
            }
            drop_finished(endpoint, &mut rules);
            for (labels, of) in [(&target_labels, "service"), (&pod_labels, "pod")] {
                for label in labels {
                    rules.push(copy_label(&format!("__meta_kubernetes_{of}_label_{}", clean(label)), &clean(label)));
                }
            }
            rules.push(json!({"source_labels": ["__meta_kubernetes_service_name"], "target_label": "job", "replacement": "${1}"}));
            if let Some(label) = &job_label {
                rules.push(copy_label(&format!("__meta_kubernetes_service_label_{}", clean(label)), "job"));
            }
            let shown = if port.is_empty() { target_port } else { port };
            if !shown.is_empty() {
                rules.push(json!({"target_label": "endpoint", "replacement": shown}));
            }
            self.endpoint(endpoint, &mut job, rules);
            jobs.push(job.into());
        }
        jobs
    }

    fn pod_monitor(&mut self, spec: &Cursor<'_>, name: &str) -> Vec<Value> {
        let mut rules = vec![json!({"source_labels": ["job"], "target_label": "__tmp_prometheus_job_name"})];
        selector(&spec.field("selector"), "pod", &mut rules);
        let job_label = spec.field("jobLabel").string();
        let pod_labels = spec.field("podTargetLabels").strings();
        let shared = self.shared(spec, "pod");
        let mut jobs = Vec::new();
        for (index, endpoint) in spec.field("podMetricsEndpoints").list().iter().enumerate() {
            let mut job = shared.clone();
            job.insert("job_name".to_owned(), json!(format!("podMonitor/{}/{name}/{index}", self.namespace)));
            let mut rules = rules.clone();
            drop_finished(endpoint, &mut rules);
            let port = endpoint.field("port").string().unwrap_or_default();
            let number = ["portNumber", "targetPort"].iter().find_map(|field| endpoint.field(field).string());
            if !port.is_empty() {
                rules.push(keep(&["__meta_kubernetes_pod_container_port_name"], &port));
            } else if let Some(number) = &number {
                let part = if number.bytes().all(|byte| byte.is_ascii_digit()) { "number" } else { "name" };
                rules.push(keep(&[&format!("__meta_kubernetes_pod_container_port_{part}")], number));
            }
            for (from, to) in [("namespace", "namespace"), ("pod_container_name", "container"), ("pod_name", "pod")] {
                rules.push(json!({"source_labels": [format!("__meta_kubernetes_{from}")], "target_label": to}));
            }
            for label in &pod_labels {
                rules.push(copy_label(&format!("__meta_kubernetes_pod_label_{}", clean(label)), &clean(label)));
            }
            rules.push(json!({"target_label": "job", "replacement": format!("{}/{name}", self.namespace)}));
            if let Some(label) = &job_label {
                rules.push(copy_label(&format!("__meta_kubernetes_pod_label_{}", clean(label)), "job"));
            }
            let shown = if port.is_empty() { number.unwrap_or_default() } else { port };
            if !shown.is_empty() {
                rules.push(json!({"target_label": "endpoint", "replacement": shown}));
            }
            self.endpoint(endpoint, &mut job, rules);
            jobs.push(job.into());
        }
        jobs
    }

    fn probe(&mut self, spec: &Cursor<'_>, name: &str) -> Vec<Value> {
        let mut job = Map::new();
        job.insert("job_name".to_owned(), json!(format!("probe/{}/{name}", self.namespace)));
        job.insert("honor_timestamps".to_owned(), json!(true));
        limits(spec, &mut job);
        let prober = spec.field("prober");
        prober.unsupported(
            &["proxyUrl", "noProxy", "proxyFromEnvironment", "proxyConnectHeader"],
            "; requests go straight to their address",
        );
        let url = prober.field("url").string();
        let path = prober.field("path").string().unwrap_or_else(|| "/probe".to_owned());
        let scheme = prober.field("scheme").string().unwrap_or_else(|| "http".to_owned()).to_lowercase();
        prober.finish();
        job.insert("metrics_path".to_owned(), json!(path));
        job.insert("scheme".to_owned(), json!(if url.is_some() { scheme.as_str() } else { "in-process" }));
        if let Some(module) = spec.field("module").string() {
            job.insert("params".to_owned(), json!({"module": [module]}));
        }
        let mut rules = vec![json!({"source_labels": ["job"], "target_label": "__tmp_prometheus_job_name"})];
        if let Some(name) = spec.field("jobName").string() {
            rules.push(json!({"target_label": "job", "replacement": name}));
        }
        let targets = spec.field("targets");
        let (fixed, ingress) = (targets.field("staticConfig"), targets.field("ingress"));
        let mut own_rules = Vec::new();
        if fixed.is_present() {
            let labels: Map<String, Value> =
                fixed.field("labels").string_map().into_iter().map(|(name, value)| (name, value.into())).collect();
            let mut labels = labels;
            labels.insert("namespace".to_owned(), json!(self.namespace));
            job.insert("static_configs".to_owned(), json!([{"targets": [], "labels": labels}]));
            // Targets of probes may be whole addresses: they become labels, not hosts.
            let all: Vec<Value> = fixed.field("static").strings().into_iter().map(Value::from).collect();
            job.insert("probe_targets".to_owned(), Value::from(all));
            own_rules = relabelings(&fixed.field("relabelingConfigs"));
            fixed.finish();
        } else if ingress.is_present() {
            selector(&ingress.field("selector"), "ingress", &mut rules);
            let namespaces = self.namespaces(&ingress.field("namespaceSelector"));
            job.insert(
                "kubernetes_sd_configs".to_owned(),
                json!([{"role": "ingress", "namespaces": {"names": namespaces}}]),
            );
            rules.push(json!({
                "source_labels": ["__meta_kubernetes_ingress_scheme", "__address__", "__meta_kubernetes_ingress_path"],
                "regex": "(.+);(.+);(.+)", "replacement": "${1}://${2}${3}", "target_label": "__param_target",
            }));
            for (from, to) in [("namespace", "namespace"), ("ingress_name", "ingress")] {
                rules.push(json!({"source_labels": [format!("__meta_kubernetes_{from}")], "target_label": to}));
            }
            own_rules = relabelings(&ingress.field("relabelingConfigs"));
            ingress.finish();
        } else {
            targets.problem("either staticConfig or ingress is needed");
        }
        targets.finish();
        if job.contains_key("static_configs") {
            rules.push(json!({"source_labels": ["__address__"], "target_label": "__param_target"}));
        }
        rules.push(json!({"source_labels": ["__param_target"], "target_label": "instance"}));
        rules.push(json!({"target_label": "__address__", "replacement": url.unwrap_or_else(|| "probe".to_owned())}));
        rules.extend(own_rules);
        if let Some(interval) = spec.field("interval").string() {
            job.insert("scrape_interval".to_owned(), json!(interval));
        }
        if let Some(timeout) = spec.field("scrapeTimeout").string() {
            job.insert("scrape_timeout".to_owned(), json!(timeout));
        }
        self.client(spec, &mut job);
        job.insert("relabel_configs".to_owned(), Value::from(rules));
        job.insert("metric_relabel_configs".to_owned(), Value::from(relabelings(&spec.field("metricRelabelings"))));
        vec![job.into()]
    }

    /// Reads what all endpoints of a monitor share.
    fn shared(&mut self, spec: &Cursor<'_>, role: &str) -> Map<String, Value> {
        let mut job = Map::new();
        let namespaces = self.namespaces(&spec.field("namespaceSelector"));
        let attach = spec.field("attachMetadata");
        let node = attach.field("node").boolean().unwrap_or_default();
        attach.finish();
        job.insert(
            "kubernetes_sd_configs".to_owned(),
            json!([{"role": role, "namespaces": {"names": namespaces}, "attach_metadata": {"node": node}}]),
        );
        limits(spec, &mut job);
        spec.unsupported(&["selectorMechanism", "scrapeClass", "bodySizeLimitBytes"], "; leave it out");
        job
    }

    fn namespaces(&self, selector: &Cursor<'_>) -> Vec<String> {
        let any = selector.field("any").boolean().unwrap_or_default();
        let names = selector.field("matchNames").strings();
        selector.finish();
        match (any, names.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => vec![self.namespace.clone()],
            (false, false) => names,
        }
    }

    /// Reads one endpoint of a monitor into its job.
    fn endpoint(&mut self, endpoint: &Cursor<'_>, job: &mut Map<String, Value>, mut rules: Vec<Value>) {
        for (from, to) in
            [("interval", "scrape_interval"), ("scrapeTimeout", "scrape_timeout"), ("path", "metrics_path")]
        {
            if let Some(text) = endpoint.field(from).string().filter(|text| !text.is_empty()) {
                job.insert(to.to_owned(), json!(text));
            }
        }
        if let Some(scheme) = endpoint.field("scheme").string() {
            job.insert("scheme".to_owned(), json!(scheme.to_lowercase()));
        }
        let flags = [
            ("honorLabels", "honor_labels"),
            ("honorTimestamps", "honor_timestamps"),
            ("trackTimestampsStaleness", "track_timestamps_staleness"),
            ("followRedirects", "follow_redirects"),
            ("enableHttp2", "enable_http2"),
        ];
        for (from, to) in flags {
            if let Some(value) = endpoint.field(from).boolean() {
                job.insert(to.to_owned(), json!(value));
            }
        }
        let params = endpoint.field("params");
        let params: Map<String, Value> =
            params.entries().iter().map(|(name, values)| ((*name).to_owned(), json!(values.strings()))).collect();
        if !params.is_empty() {
            job.insert("params".to_owned(), params.into());
        }
        endpoint.unsupported(
            &["proxyUrl", "noProxy", "proxyFromEnvironment", "proxyConnectHeader"],
            "; requests go straight to their address",
        );
        self.client(endpoint, job);
        rules.extend(relabelings(&endpoint.field("relabelings")));
        job.insert("relabel_configs".to_owned(), Value::from(rules));
        job.insert("metric_relabel_configs".to_owned(), Value::from(relabelings(&endpoint.field("metricRelabelings"))));
        endpoint.finish();
    }

    /// Reads how targets are reached.
    fn client(&mut self, of: &Cursor<'_>, job: &mut Map<String, Value>) {
        of.unsupported(&["oauth2"], "; use authorization with a Secret that something else renews");
        let basic = of.field("basicAuth");
        if basic.is_present() {
            let username = self.secret("Secret", &basic.field("username"));
            let password = self.secret("Secret", &basic.field("password"));
            basic.finish();
            job.insert("basic_auth".to_owned(), json!({"username": username, "password": password}));
        }
        let authorization = of.field("authorization");
        if authorization.is_present() {
            let kind = authorization.field("type").string().unwrap_or_else(|| "Bearer".to_owned());
            let credentials = self.secret("Secret", &authorization.field("credentials"));
            authorization.finish();
            job.insert("authorization".to_owned(), json!({"type": kind, "credentials": credentials}));
        }
        let bearer = of.field("bearerTokenSecret");
        if bearer.is_present() && bearer.field("key").string().is_some_and(|key| !key.is_empty()) {
            let credentials = self.secret("Secret", &bearer);
            job.insert("authorization".to_owned(), json!({"credentials": credentials}));
        }
        of.unsupported(&["bearerTokenFile"], "; name a Secret by authorization");
        let tls = of.field("tlsConfig");
        if tls.is_present() {
            let mut config = Map::new();
            for (field, to) in [("ca", "ca"), ("cert", "cert")] {
                let source = tls.field(field);
                let (secret, map) = (source.field("secret"), source.field("configMap"));
                let text = if secret.is_present() {
                    self.secret("Secret", &secret)
                } else if map.is_present() {
                    self.secret("ConfigMap", &map)
                } else {
                    String::new()
                };
                source.finish();
                if !text.is_empty() {
                    config.insert(to.to_owned(), json!(text));
                }
            }
            let key = tls.field("keySecret");
            if key.is_present() {
                config.insert("key".to_owned(), json!(self.secret("Secret", &key)));
            }
            if let Some(name) = tls.field("serverName").string() {
                config.insert("server_name".to_owned(), json!(name));
            }
            if let Some(skip) = tls.field("insecureSkipVerify").boolean() {
                config.insert("insecure_skip_verify".to_owned(), json!(skip));
            }
            tls.unsupported(&["caFile", "certFile", "keyFile"], "; name a Secret");
            tls.finish();
            job.insert("tls_config".to_owned(), config.into());
        }
    }

    /// Returns what a reference to a key of a Secret or ConfigMap means.
    fn secret(&mut self, kind: &'static str, reference: &Cursor<'_>) -> String {
        let (name, key) = (reference.field("name").string(), reference.field("key").string());
        let optional = reference.field("optional").boolean().unwrap_or_default();
        reference.finish();
        let (Some(name), Some(key)) = (name, key) else {
            reference.problem("name and key are needed");
            return String::new();
        };
        let place = (kind, self.namespace.clone(), name.clone());
        let Some(holder) = self.holders.get(&place) else {
            self.wanted.push(place);
            return String::new();
        };
        let value = holder.as_ref().and_then(|holder| {
            let text = holder["data"][&key].as_str()?;
            if kind == "ConfigMap" {
                return Some(text.to_owned());
            }
            let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
            String::from_utf8(bytes).ok()
        });
        if value.is_none() && !optional {
            reference.problem(format!("the {kind} \"{name}\" has no \"{key}\""));
        }
        value.unwrap_or_default()
    }
}

fn limits(spec: &Cursor<'_>, job: &mut Map<String, Value>) {
    for (from, to) in [
        ("sampleLimit", "sample_limit"),
        ("targetLimit", "target_limit"),
        ("labelLimit", "label_limit"),
        ("labelNameLengthLimit", "label_name_length_limit"),
        ("labelValueLengthLimit", "label_value_length_limit"),
        ("keepDroppedTargets", "keep_dropped_targets"),
        ("nativeHistogramBucketLimit", "native_histogram_bucket_limit"),
        ("scrapeClassicHistograms", "always_scrape_classic_histograms"),
        ("scrapeNativeHistograms", "scrape_native_histograms"),
        ("bodySizeLimit", "body_size_limit"),
        ("fallbackScrapeProtocol", "fallback_scrape_protocol"),
        ("scrapeProtocols", "scrape_protocols"),
    ] {
        let field = spec.field(from);
        if field.is_present() {
            job.insert(to.to_owned(), field.json());
        }
    }
    spec.unsupported(
        &["convertClassicHistogramsToNHCB", "nativeHistogramMinBucketFactor"],
        "; histograms are kept as they are",
    );
}

fn keep(labels: &[&str], regex: &str) -> Value {
    json!({"source_labels": labels, "regex": regex, "action": "keep"})
}

fn copy_label(from: &str, to: &str) -> Value {
    json!({"source_labels": [from], "regex": "(.+)", "replacement": "${1}", "target_label": to})
}

/// Pods that have ended show nothing.
fn drop_finished(endpoint: &Cursor<'_>, rules: &mut Vec<Value>) {
    if endpoint.field("filterRunning").boolean() != Some(false) {
        rules.push(
            json!({"source_labels": ["__meta_kubernetes_pod_phase"], "regex": "(Failed|Succeeded)", "action": "drop"}),
        );
    }
}

fn clean(name: &str) -> String {
    name.chars().map(|one| if one.is_ascii_alphanumeric() || one == '_' { one } else { '_' }).collect()
}

/// Reads a selector of labels into rules that keep what it selects.
fn selector(of: &Cursor<'_>, object: &str, rules: &mut Vec<Value>) {
    let labels = |name: &str| {
        let name = clean(name);
        [format!("__meta_kubernetes_{object}_label_{name}"), format!("__meta_kubernetes_{object}_labelpresent_{name}")]
    };
    let quote = |text: &str| regex::escape(text);
    for (name, value) in of.field("matchLabels").string_map() {
        rules.push(
            json!({"source_labels": labels(&name), "regex": format!("({});true", quote(&value)), "action": "keep"}),
        );
    }
    for expression in of.field("matchExpressions").list() {
        let key = expression.field("key").required().string().unwrap_or_default();
        let values: Vec<String> = expression.field("values").strings().iter().map(|text| quote(text)).collect();
        let operators = [
            ("In", ("keep", true)),
            ("NotIn", ("drop", true)),
            ("Exists", ("keep", false)),
            ("DoesNotExist", ("drop", false)),
        ];
        let Some((action, with_values)) = expression.field("operator").required().one_of(&operators) else { continue };
        expression.finish();
        let [value, present] = labels(&key);
        rules.push(if with_values {
            json!({"source_labels": [value, present], "regex": format!("({});true", values.join("|")), "action": action})
        } else {
            json!({"source_labels": [present], "regex": "true", "action": action})
        });
    }
    of.finish();
}

/// Reads relabeling rules, whose fields are written in another style here.
fn relabelings(of: &Cursor<'_>) -> Vec<Value> {
    let rules = of.list().into_iter().map(|rule| {
        let mut written = Map::new();
        for (from, to) in [
            ("separator", "separator"),
            ("targetLabel", "target_label"),
            ("regex", "regex"),
            ("replacement", "replacement"),
            ("action", "action"),
        ] {
            if let Some(text) = rule.field(from).string() {
                written.insert(to.to_owned(), json!(text));
            }
        }
        let sources = rule.field("sourceLabels").strings();
        if !sources.is_empty() {
            written.insert("source_labels".to_owned(), json!(sources));
        }
        if let Some(modulus) = rule.field("modulus").count() {
            written.insert("modulus".to_owned(), json!(modulus));
        }
        rule.finish();
        Value::Object(written)
    });
    rules.collect()
}

/// Returns the rules of a `PrometheusRule`.
pub(super) fn rules(object: &Value) -> Result<RuleFile, Vec<String>> {
    read_groups(&object["spec"], &ParseOptions::default())
        .map_err(|problems| problems.iter().map(|one| format!("{}: {}", one.path, one.message)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(kind: Kind, spec: Value) -> Jobs {
        let holders = Holders::from([(
            ("Secret", "shop".to_owned(), "auth".to_owned()),
            Some(json!({"data": {"user": "dQ==", "pass": "cA=="}})),
        )]);
        let object = json!({"metadata": {"name": "m", "namespace": "shop"}, "spec": spec});
        Translation::new("shop", &holders).jobs(kind, &object, &Global::default())
    }

    #[test]
    fn monitors_become_jobs() {
        let jobs = translated(
            Kind::ServiceMonitor,
            json!({
                "selector": {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]},
                "sampleLimit": 100,
                "endpoints": [{"port": "http", "interval": "30s", "honorLabels": true,
                    "basicAuth": {"username": {"name": "auth", "key": "user"}, "password": {"name": "auth", "key": "pass"}},
                    "relabelings": [{"sourceLabels": ["a"], "targetLabel": "b"}]}, {"targetPort": 8080}],
            }),
        )
        .unwrap();
        assert_eq!(jobs.len(), 2);
        assert_eq!(jobs[0].job_name, "serviceMonitor/shop/m/0");
        assert_eq!(jobs[0].limits.samples, Some(100));
        assert_eq!(jobs[0].relabel.last().unwrap().target_label, "b");
        let jobs =
            translated(Kind::PodMonitor, json!({"selector": {}, "podMetricsEndpoints": [{"port": "m"}]})).unwrap();
        assert_eq!(jobs[0].job_name, "podMonitor/shop/m/0");
        let probe = json!({"module": "http_2xx", "targets": {"staticConfig": {"static": ["https://a.example/x"]}}});
        let jobs = translated(Kind::Probe, probe).unwrap();
        assert_eq!((jobs[0].scheme.as_str(), jobs[0].discoveries.len()), ("in-process", 1));
    }

    #[test]
    fn what_is_wrong_is_told_by_name() {
        let told = translated(
            Kind::ServiceMonitor,
            json!({"selector": {}, "endpoints": [{"port": "a", "intervall": "1s", "oauth2": {}, "interval": "soon",
                "basicAuth": {"username": {"name": "auth", "key": "nobody"}, "password": {"name": "auth", "key": "pass"}}}]}),
        )
        .unwrap_err()
        .join("\n");
        for part in ["\"intervall\"; did you mean \"interval\"?", "\"oauth2\" is not supported", "has no \"nobody\""] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let told = translated(Kind::PodMonitor, json!({"selector": {}, "podMetricsEndpoints": [{"interval": "soon"}]}));
        assert!(told.unwrap_err()[0].contains("\"soon\": it is no duration"));
    }
}
