//! Defaults of pods and of everything that holds a pod template.

use serde_json::{Map, Value, json};

use crate::meta::{default_at, map_at};

/// Sets the defaults of a pod.
pub(crate) fn pod(object: &mut Value) {
    default_at(object, &["spec", "enableServiceLinks"], true);
    if let Some(spec) = object.get_mut("spec") {
        pod_spec(spec);
        for list in ["initContainers", "containers"] {
            items(spec, list).into_iter().for_each(requests_from_limits);
        }
    }
}

/// Sets the defaults of the pod template at a path.
pub(crate) fn template(object: &mut Value, path: &[&str]) {
    let Some(template) = path.iter().try_fold(object, |value, key| value.get_mut(*key)) else { return };
    if template.is_object() {
        if let Some(spec) = template.get_mut("spec") {
            pod_spec(spec);
        }
        // Upstream's typed templates always print it.
        map_at(template, &["metadata"]);
    }
}

fn items<'a>(parent: &'a mut Value, key: &str) -> Vec<&'a mut Value> {
    parent.get_mut(key).and_then(Value::as_array_mut).map_or_else(Vec::new, |list| list.iter_mut().collect())
}

fn pod_spec(spec: &mut Value) {
    default_at(spec, &["restartPolicy"], "Always");
    default_at(spec, &["dnsPolicy"], "ClusterFirst");
    default_at(spec, &["terminationGracePeriodSeconds"], 30);
    default_at(spec, &["securityContext"], json!({}));
    default_at(spec, &["schedulerName"], "default-scheduler");
    same_account(spec);
    let is_host_network = spec.get("hostNetwork").and_then(Value::as_bool) == Some(true);
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for one in items(spec, list) {
            container(one, is_host_network);
        }
    }
    for one in items(spec, "volumes") {
        volume(one);
    }
}

/// `serviceAccount` is the old name of `serviceAccountName`; both are kept alike.
fn same_account(spec: &mut Value) {
    let name = |key: &str| spec.get(key).and_then(Value::as_str).filter(|name| !name.is_empty()).map(str::to_owned);
    if let Some(name) = name("serviceAccountName").or_else(|| name("serviceAccount")) {
        let map = map_at(spec, &[]);
        map.insert("serviceAccountName".to_owned(), name.clone().into());
        map.insert("serviceAccount".to_owned(), name.into());
    }
}

fn container(container: &mut Value, is_host_network: bool) {
    default_at(container, &["terminationMessagePath"], "/dev/termination-log");
    default_at(container, &["terminationMessagePolicy"], "File");
    default_at(container, &["resources"], json!({}));
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = if is_latest(image) { "Always" } else { "IfNotPresent" };
    default_at(container, &["imagePullPolicy"], policy);
    for port in items(container, "ports") {
        default_at(port, &["protocol"], "TCP");
        if is_host_network && let Some(number) = port.get("containerPort").cloned() {
            default_at(port, &["hostPort"], number);
        }
    }
    for probe_name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(one) = container.get_mut(probe_name).filter(|one| one.is_object()) {
            probe(one);
        }
    }
    for event in ["postStart", "preStop"] {
        if let Some(action) = container.get_mut("lifecycle").and_then(|lifecycle| lifecycle.get_mut(event)) {
            http_get(action);
        }
    }
    for variable in items(container, "env") {
        if let Some(reference) = variable.get_mut("valueFrom").and_then(|from| from.get_mut("fieldRef")) {
            default_at(reference, &["apiVersion"], "v1");
        }
    }
}

/// An image without a tag, or with the tag `latest`, is looked for again at each start.
fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    match last.split_once(':') {
        None => true,
        Some((_, tag)) => tag == "latest",
    }
}

fn probe(probe: &mut Value) {
    default_at(probe, &["timeoutSeconds"], 1);
    default_at(probe, &["periodSeconds"], 10);
    default_at(probe, &["successThreshold"], 1);
    default_at(probe, &["failureThreshold"], 3);
    http_get(probe);
    if let Some(grpc) = probe.get_mut("grpc") {
        default_at(grpc, &["service"], "");
    }
}

fn http_get(action: &mut Value) {
    if let Some(get) = action.get_mut("httpGet").filter(|get| get.is_object()) {
        default_at(get, &["path"], "/");
        default_at(get, &["scheme"], "HTTP");
    }
}

fn requests_from_limits(container: &mut Value) {
    let Some(limits) =
        container.get("resources").and_then(|resources| resources.get("limits")).and_then(Value::as_object).cloned()
    else {
        return;
    };
    let requests = map_at(container, &["resources", "requests"]);
    for (name, amount) in limits {
        requests.entry(name).or_insert(amount);
    }
}

fn volume(volume: &mut Value) {
    let Some(map) = volume.as_object_mut() else { return };
    if map.keys().all(|key| key == "name") {
        map.insert("emptyDir".to_owned(), Value::Object(Map::new()));
    }
    for kind in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(source) = map.get_mut(kind).filter(|source| source.is_object()) {
            default_at(source, &["defaultMode"], 0o644);
            field_references(source);
            for one in items(source, "sources") {
                if let Some(token) = one.get_mut("serviceAccountToken") {
                    default_at(token, &["expirationSeconds"], 3600);
                }
                if let Some(api) = one.get_mut("downwardAPI") {
                    field_references(api);
                }
            }
        }
    }
    if let Some(path) = map.get_mut("hostPath").filter(|path| path.is_object()) {
        default_at(path, &["type"], "");
    }
    if let Some(spec) =
        map.get_mut("ephemeral").and_then(|one| one.get_mut("volumeClaimTemplate")).and_then(|one| one.get_mut("spec"))
    {
        default_at(spec, &["volumeMode"], "Filesystem");
    }
}

fn field_references(source: &mut Value) {
    for item in items(source, "items") {
        if let Some(reference) = item.get_mut("fieldRef") {
            default_at(reference, &["apiVersion"], "v1");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_policy_follows_the_tag() {
        let cases = [
            ("a", true),
            ("a:latest", true),
            ("a:1", false),
            ("host:5000/a", true),
            ("host:5000/a:1", false),
            ("a@sha256:00", false),
        ];
        for (image, expected) in cases {
            assert_eq!(is_latest(image), expected, "{image}");
        }
    }

    #[test]
    fn a_minimal_pod_gets_upstreams_defaults() {
        let mut object = json!({"spec": {
            "containers": [{
                "name": "a", "image": "a:1",
                "ports": [{"containerPort": 80}],
                "livenessProbe": {"httpGet": {"port": 80}},
                "resources": {"limits": {"cpu": "1"}},
            }],
            "initContainers": [{"name": "i", "image": "i", "resources": {"limits": {"memory": "1Mi"}}}],
            "volumes": [{"name": "x"}, {"name": "y", "secret": {"secretName": "s"}}],
        }});
        pod(&mut object);
        let container = &object["spec"]["containers"][0];
        assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        assert_eq!(container["ports"][0]["protocol"], "TCP");
        assert_eq!(container["resources"]["requests"]["cpu"], "1");
        let probe = json!({
            "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
            "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
        });
        assert_eq!(container["livenessProbe"], probe);
        assert_eq!(object["spec"]["initContainers"][0]["resources"]["requests"]["memory"], "1Mi");
        assert_eq!(
            object["spec"]["volumes"],
            json!([
                {"name": "x", "emptyDir": {}},
                {"name": "y", "secret": {"secretName": "s", "defaultMode": 420}},
            ])
        );
        assert_eq!(object["spec"]["terminationGracePeriodSeconds"], 30);
        let once = object.clone();
        pod(&mut object);
        assert_eq!(object, once, "defaults are stable");
    }
}
