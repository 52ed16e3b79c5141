//! Checks of pods and pod templates.

use std::collections::BTreeSet;

use maru_kube::{FieldError, Quantity, names};
use serde_json::Value;

use crate::errors::issue;
use crate::meta;
use crate::write::Part;

/// Checks a pod, and what may change of one.
pub(crate) fn pod(object: &Value, old: Option<&Value>, part: Part) -> Vec<FieldError> {
    let Some(spec) = object.get("spec") else { return vec![issue::required("spec", "")] };
    if part == Part::Status {
        return Vec::new();
    }
    let mut issues = spec_issues(spec, "spec", &["Always", "OnFailure", "Never"], &[]);
    if let (Some(old), Part::Main) = (old, part) {
        issues.extend(update_issues(object, old));
    }
    issues
}

/// Checks the pod template at a dotted path.
pub(crate) fn template(object: &Value, path: &str, restart_policies: &[&str]) -> Vec<FieldError> {
    let keys: Vec<&str> = path.split('.').collect();
    let Some(template) = meta::at(object, &keys).filter(|template| template.is_object()) else {
        return vec![issue::required(path, "")];
    };
    let mut issues =
        crate::validation::labels(meta::at(template, &["metadata", "labels"]), &format!("{path}.metadata.labels"));
    match template.get("spec") {
        Some(spec) => {
            // A StatefulSet's claims become volumes of its pods under their names.
            let claims = meta::list(object, &["spec", "volumeClaimTemplates"]);
            let claims: Vec<&str> = claims.iter().map(|claim| meta::text(claim, &["metadata", "name"])).collect();
            issues.extend(spec_issues(spec, &format!("{path}.spec"), restart_policies, &claims));
        }
        None => issues.push(issue::required(format!("{path}.spec"), "")),
    }
    issues
}

fn spec_issues(spec: &Value, field: &str, restart_policies: &[&str], claims: &[&str]) -> Vec<FieldError> {
    let mut issues = Vec::new();
    let policy = meta::text(spec, &["restartPolicy"]);
    if !policy.is_empty() && !restart_policies.contains(&policy) {
        issues.push(issue::not_supported(format!("{field}.restartPolicy"), policy, restart_policies));
    }
    let dns = meta::text(spec, &["dnsPolicy"]);
    const DNS: &[&str] = &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
    if !dns.is_empty() && !DNS.contains(&dns) {
        issues.push(issue::not_supported(format!("{field}.dnsPolicy"), dns, DNS));
    }
    let mut volumes = BTreeSet::new();
    for (index, volume) in meta::list(spec, &["volumes"]).iter().enumerate() {
        let (name, path) = (meta::text(volume, &["name"]), format!("{field}.volumes[{index}]"));
        issues.extend(label_issues(name, &format!("{path}.name")));
        if !volumes.insert(name) {
            issues.push(issue::duplicate(format!("{path}.name"), name));
        }
        if volume.as_object().is_some_and(|map| map.len() > 2) {
            issues.push(issue::forbidden(path, "may not specify more than 1 volume type"));
        }
    }
    volumes.extend(claims.iter().copied());
    let mut names = BTreeSet::new();
    if meta::list(spec, &["containers"]).is_empty() {
        issues.push(issue::required(format!("{field}.containers"), ""));
    }
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for (index, container) in meta::list(spec, &[list]).iter().enumerate() {
            let path = format!("{field}.{list}[{index}]");
            let name = meta::text(container, &["name"]);
            if !name.is_empty() && !names.insert(name) {
                issues.push(issue::duplicate(format!("{path}.name"), name));
            }
            issues.extend(container_issues(container, &path, &volumes));
        }
    }
    issues
}

fn label_issues(name: &str, field: &str) -> Vec<FieldError> {
    if name.is_empty() {
        return vec![issue::required(field, "")];
    }
    names::check_dns1123_label(name).into_iter().map(|why| issue::invalid(field, name, why)).collect()
}

fn container_issues(container: &Value, field: &str, volumes: &BTreeSet<&str>) -> Vec<FieldError> {
    let mut issues = label_issues(meta::text(container, &["name"]), &format!("{field}.name"));
    let image = meta::text(container, &["image"]);
    if image.is_empty() {
        issues.push(issue::required(format!("{field}.image"), ""));
    } else if image.trim() != image {
        issues.push(issue::invalid(format!("{field}.image"), image, "must not have leading or trailing whitespace"));
    }
    const PULL: &[&str] = &["Always", "IfNotPresent", "Never"];
    let pull = meta::text(container, &["imagePullPolicy"]);
    if !pull.is_empty() && !PULL.contains(&pull) {
        issues.push(issue::not_supported(format!("{field}.imagePullPolicy"), pull, PULL));
    }
    issues.extend(port_issues(container, field));
    for (index, mount) in meta::list(container, &["volumeMounts"]).iter().enumerate() {
        let name = meta::text(mount, &["name"]);
        if !volumes.contains(name) {
            issues.push(FieldError::new(
                format!("{field}.volumeMounts[{index}].name"),
                maru_kube::FieldErrorKind::NotFound,
                &Value::from(name),
                "",
            ));
        }
        if meta::text(mount, &["mountPath"]).is_empty() {
            issues.push(issue::required(format!("{field}.volumeMounts[{index}].mountPath"), ""));
        }
    }
    for (index, variable) in meta::list(container, &["env"]).iter().enumerate() {
        let name = meta::text(variable, &["name"]);
        if name.is_empty() {
            issues.push(issue::required(format!("{field}.env[{index}].name"), ""));
        } else if name.contains('=') {
            issues.push(issue::invalid(
                format!("{field}.env[{index}].name"),
                name,
                "a valid environment variable name must consist only of printable ASCII characters other than '='",
            ));
        }
        if variable.get("valueFrom").is_some_and(|from| !from.is_null()) && !meta::text(variable, &["value"]).is_empty()
        {
            issues.push(issue::invalid(
                format!("{field}.env[{index}].valueFrom"),
                "",
                "may not be specified when `value` is not empty",
            ));
        }
    }
    issues.extend(resource_issues(container, field));
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(value) = container.get(probe).filter(|value| value.is_object()) {
            issues.extend(probe_issues(value, &format!("{field}.{probe}")));
        }
    }
    issues
}

fn port_issues(container: &Value, field: &str) -> Vec<FieldError> {
    const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
    let mut issues = Vec::new();
    let mut names = BTreeSet::new();
    for (index, port) in meta::list(container, &["ports"]).iter().enumerate() {
        let path = format!("{field}.ports[{index}]");
        let name = meta::text(port, &["name"]);
        if !name.is_empty() {
            issues.extend(
                maru_kube::names::check_port_name(name)
                    .into_iter()
                    .map(|why| issue::invalid(format!("{path}.name"), name, why)),
            );
            if !names.insert(name) {
                issues.push(issue::duplicate(format!("{path}.name"), name));
            }
        }
        match port.get("containerPort").and_then(Value::as_i64) {
            None => issues.push(issue::required(format!("{path}.containerPort"), "")),
            Some(number) if !(1..=65535).contains(&number) => {
                issues.push(issue::invalid(
                    format!("{path}.containerPort"),
                    number,
                    "must be between 1 and 65535, inclusive",
                ));
            }
            Some(_) => {}
        }
        let protocol = meta::text(port, &["protocol"]);
        if !protocol.is_empty() && !PROTOCOLS.contains(&protocol) {
            issues.push(issue::not_supported(format!("{path}.protocol"), protocol, PROTOCOLS));
        }
    }
    issues
}

fn resource_issues(container: &Value, field: &str) -> Vec<FieldError> {
    let mut issues = Vec::new();
    let amount = |value: &Value| Quantity::from_json(value).ok();
    for list in ["limits", "requests"] {
        for (name, value) in meta::at(container, &["resources", list]).and_then(Value::as_object).into_iter().flatten()
        {
            let path = format!("{field}.resources.{list}[{name}]");
            match amount(value) {
                None => issues.push(issue::invalid(path, value.clone(), "must be a quantity, such as 100m or 64Mi")),
                Some(quantity) if quantity.is_negative() => {
                    issues.push(issue::invalid(path, value.clone(), "must be greater than or equal to 0"));
                }
                Some(quantity) if list == "requests" => {
                    let limit = meta::at(container, &["resources", "limits", name]).and_then(amount);
                    if limit.is_some_and(|limit| quantity.as_f64() > limit.as_f64()) {
                        issues.push(issue::invalid(
                            path,
                            value.clone(),
                            format!("must be less than or equal to {name} limit"),
                        ));
                    }
                }
                Some(_) => {}
            }
        }
    }
    issues
}

fn probe_issues(probe: &Value, field: &str) -> Vec<FieldError> {
    let actions = ["exec", "httpGet", "tcpSocket", "grpc"];
    let count = actions.iter().filter(|action| probe.get(**action).is_some_and(|value| !value.is_null())).count();
    match count {
        1 => Vec::new(),
        0 => vec![issue::required(field, "must specify a handler type")],
        _ => vec![issue::forbidden(field, "may not specify more than 1 handler type")],
    }
}

/// A pod is what it is; only these parts of its spec may change.
fn update_issues(object: &Value, old: &Value) -> Vec<FieldError> {
    let rest = |object: &Value| {
        let mut spec = object.get("spec").cloned().unwrap_or_default();
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                meta::root(container).remove("image");
            }
        }
        for key in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"] {
            meta::root(&mut spec).remove(key);
        }
        spec
    };
    if rest(old) == rest(object) {
        return Vec::new();
    }
    vec![issue::forbidden(
        "spec",
        "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(issues: &[FieldError]) -> Vec<&str> {
        issues.iter().map(|issue| issue.field.as_str()).collect()
    }

    #[test]
    fn each_mistake_names_its_field() {
        let object = json!({"spec": {
            "restartPolicy": "Sometimes",
            "volumes": [{"name": "v"}, {"name": "v"}],
            "containers": [
                {"name": "a", "image": "i", "volumeMounts": [{"name": "w", "mountPath": "/"}], "ports": [{"containerPort": 0}]},
                {"name": "a", "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}, "livenessProbe": {}},
            ],
        }});
        let issues = pod(&object, None, Part::Main);
        assert_eq!(
            fields(&issues),
            [
                "spec.restartPolicy",
                "spec.volumes[1].name",
                "spec.containers[0].ports[0].containerPort",
                "spec.containers[0].volumeMounts[0].name",
                "spec.containers[1].name",
                "spec.containers[1].image",
                "spec.containers[1].resources.requests[cpu]",
                "spec.containers[1].livenessProbe",
            ]
        );
    }

    #[test]
    fn a_claim_template_can_be_mounted() {
        let object = json!({"spec": {
            "volumeClaimTemplates": [{"metadata": {"name": "data"}}],
            "template": {"spec": {"containers": [
                {"name": "a", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/d"}, {"name": "x", "mountPath": "/x"}]},
            ]}},
        }});
        let issues = template(&object, "spec.template", &["Always"]);
        assert_eq!(fields(&issues), ["spec.template.spec.containers[0].volumeMounts[1].name"]);
    }

    #[test]
    fn only_the_image_of_a_pod_changes() {
        let old = json!({"spec": {"containers": [{"name": "a", "image": "i"}]}});
        let mut new = old.clone();
        new["spec"]["containers"][0]["image"] = json!("j");
        assert_eq!(pod(&new, Some(&old), Part::Main), []);
        new["spec"]["nodeName"] = json!("n");
        assert_eq!(fields(&pod(&new, Some(&old), Part::Main)), ["spec"]);
    }
}
