//! A container's environment variables, from everywhere that a pod may name.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVarSource, Pod, Service};

use super::expand::expand;
use super::fields::{FieldFacts, field, resource_field};
use crate::objects::{ObjectError, Objects, config_map_data, secret_data};
use crate::pod;

/// The environment could not be made; the container waits with `CreateContainerConfigError`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvironmentError {
    /// An object that it needs is missing or unreadable.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// The object lacks the key.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    Key { key: String, kind: &'static str, namespace: String, name: String },
    /// The variable names what cannot be shown.
    #[error("env \"{variable}\": \"{source_text}\" is not supported")]
    Source { variable: String, source_text: String },
}

/// Variables in the order in which they were made; later ones replaced earlier ones of the same name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment(Vec<(String, String)>);

impl Environment {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some(entry) => entry.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Expands `$(NAME)` in an argument or a path.
    pub(crate) fn expand(&self, text: &str) -> String {
        expand(text, |name| self.get(name).map(str::to_owned))
    }

    pub(crate) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

/// Makes the environment of a container: Services, then `envFrom`, then `env`.
pub(crate) async fn environment(
    objects: &Objects,
    pod: &Pod,
    container: &Container,
    facts: &FieldFacts,
    kubernetes_service: (&str, &str),
) -> Result<Environment, EnvironmentError> {
    let mut result = Environment::default();
    for service in linked_services(objects, pod, kubernetes_service).await? {
        for (name, value) in service_variables(&service) {
            result.set(&name, value);
        }
    }
    add_from(objects, pod, container, &mut result).await?;
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(value), _) => Some(result.expand(value)),
            (None, Some(source)) => from_source(objects, pod, container, facts, &variable.name, source).await?,
            (None, None) => Some(String::new()),
        };
        if let Some(value) = value {
            result.set(&variable.name, value);
        }
    }
    Ok(result)
}

async fn add_from(
    objects: &Objects,
    pod: &Pod,
    container: &Container,
    result: &mut Environment,
) -> Result<(), EnvironmentError> {
    let namespace = pod::namespace(pod);
    for source in container.env_from.iter().flatten() {
        let data = if let Some(reference) = &source.config_map_ref {
            let map = optional(objects.config_map(namespace, &reference.name).await, reference.optional)?;
            map.as_ref().map(config_map_data)
        } else if let Some(reference) = &source.secret_ref {
            let secret = optional(objects.secret(namespace, &reference.name).await, reference.optional)?;
            secret.as_ref().map(secret_data)
        } else {
            None
        };
        let prefix = source.prefix.as_deref().unwrap_or_default();
        for (key, value) in data.into_iter().flatten() {
            let name = format!("{prefix}{key}");
            if is_variable_name(&name) {
                result.set(&name, text(value));
            }
        }
    }
    Ok(())
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'=')
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Lets a missing object pass when the reference is optional.
fn optional<T>(found: Result<T, ObjectError>, optional: Option<bool>) -> Result<Option<T>, ObjectError> {
    match found {
        Ok(object) => Ok(Some(object)),
        Err(ObjectError::Missing { .. }) if optional == Some(true) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn from_source(
    objects: &Objects,
    pod: &Pod,
    container: &Container,
    facts: &FieldFacts,
    variable: &str,
    source: &EnvVarSource,
) -> Result<Option<String>, EnvironmentError> {
    let namespace = pod::namespace(pod);
    let refuse = |source_text: &str| EnvironmentError::Source {
        variable: variable.to_owned(),
        source_text: source_text.to_owned(),
    };
    let keyed = |data: Option<BTreeMap<String, Vec<u8>>>, key: &str, kind, name: &str, is_optional: Option<bool>| {
        let Some(mut data) = data else { return Ok(None) };
        match data.remove(key) {
            Some(value) => Ok(Some(text(value))),
            None if is_optional == Some(true) => Ok(None),
            None => Err(EnvironmentError::Key {
                key: key.to_owned(),
                kind,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            }),
        }
    };
    if let Some(selector) = &source.field_ref {
        return field(pod, &selector.field_path, facts).map(Some).ok_or_else(|| refuse(&selector.field_path));
    }
    if let Some(selector) = &source.resource_field_ref {
        let of = match selector.container_name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => {
                pod::member(pod, name).map(|member| member.container).ok_or_else(|| refuse(&selector.resource))?
            }
            None => container.clone(),
        };
        return resource_field(&of, selector, facts).map(Some).ok_or_else(|| refuse(&selector.resource));
    }
    if let Some(selector) = &source.config_map_key_ref {
        let map = optional(objects.config_map(namespace, &selector.name).await, selector.optional)?;
        return keyed(map.as_ref().map(config_map_data), &selector.key, "ConfigMap", &selector.name, selector.optional);
    }
    if let Some(selector) = &source.secret_key_ref {
        let secret = optional(objects.secret(namespace, &selector.name).await, selector.optional)?;
        return keyed(secret.as_ref().map(secret_data), &selector.key, "Secret", &selector.name, selector.optional);
    }
    Err(refuse("valueFrom"))
}

/// Returns the Services that the pod finds in its environment: the API server's always, its namespace's unless it declined.
async fn linked_services(
    objects: &Objects,
    pod: &Pod,
    kubernetes_service: (&str, &str),
) -> Result<Vec<Service>, ObjectError> {
    let namespace = pod::namespace(pod);
    let (own_namespace, own_name) = kubernetes_service;
    let mut services = match objects.service(own_namespace, own_name).await {
        Ok(service) => vec![service],
        Err(ObjectError::Missing { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    if pod::spec(pod).enable_service_links.unwrap_or(true) {
        let own = objects.services(namespace).await?;
        services.extend(
            own.into_iter().filter(|one| namespace != own_namespace || one.metadata.name.as_deref() != Some(own_name)),
        );
    }
    Ok(services)
}

fn service_variables(service: &Service) -> Vec<(String, String)> {
    let spec = service.spec.clone().unwrap_or_default();
    let Some(address) = spec.cluster_ip.filter(|ip| !ip.is_empty() && ip != "None") else { return Vec::new() };
    let ports = spec.ports.unwrap_or_default();
    let Some(first) = ports.first() else { return Vec::new() };
    let host = if address.contains(':') { format!("[{address}]") } else { address.clone() };
    let upper = |text: &str| text.to_uppercase().replace('-', "_");
    let name = upper(service.metadata.name.as_deref().unwrap_or_default());
    let mut out = vec![
        (format!("{name}_SERVICE_HOST"), address.clone()),
        (format!("{name}_SERVICE_PORT"), first.port.to_string()),
    ];
    for port in &ports {
        if let Some(port_name) = port.name.as_deref().filter(|text| !text.is_empty()) {
            out.push((format!("{name}_SERVICE_PORT_{}", upper(port_name)), port.port.to_string()));
        }
    }
    for (index, port) in ports.iter().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let url = format!("{}://{host}:{}", protocol.to_lowercase(), port.port);
        if index == 0 {
            out.push((format!("{name}_PORT"), url.clone()));
        }
        let prefix = format!("{name}_PORT_{}_{}", port.port, protocol.to_uppercase());
        out.push((prefix.clone(), url));
        out.push((format!("{prefix}_PROTO"), protocol.to_lowercase()));
        out.push((format!("{prefix}_PORT"), port.port.to_string()));
        out.push((format!("{prefix}_ADDR"), address.clone()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_api::objects;
    use serde_json::json;

    async fn env(
        container: serde_json::Value,
        existing: Vec<serde_json::Value>,
    ) -> Result<Environment, EnvironmentError> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"containers": [container]},
        }))
        .unwrap();
        environment(
            &objects(existing),
            &pod,
            &pod::spec(&pod).containers[0],
            &FieldFacts::default(),
            ("default", "kubernetes"),
        )
        .await
    }

    fn config_map() -> serde_json::Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"},
               "data": {"A": "1", "with=sign": "x"}, "binaryData": {"B": "Mg=="}})
    }

    #[tokio::test]
    async fn later_sources_win_and_values_see_earlier_variables() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "data": {"A": "c2VjcmV0"}});
        let container = json!({"name": "x",
        "envFrom": [{"configMapRef": {"name": "c"}}, {"prefix": "S_", "secretRef": {"name": "s"}},
                    {"configMapRef": {"name": "none", "optional": true}}],
        "env": [
            {"name": "A", "value": "over"},
            {"name": "TWO", "value": "$(A)-$(S_A)-$(NONE)"},
            {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "B"}}},
            {"name": "OPT", "valueFrom": {"secretKeyRef": {"name": "s", "key": "none", "optional": true}}},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ]});
        let env = env(container, vec![config_map(), secret]).await.unwrap();
        for (name, expected) in [
            ("A", Some("over")),
            ("B", Some("2")),
            ("S_A", Some("secret")),
            ("TWO", Some("over-secret-$(NONE)")),
            ("KEY", Some("2")),
            ("OPT", None),
            ("POD", Some("p")),
            ("with=sign", None),
        ] {
            assert_eq!(env.get(name), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        for (source, message) in [
            (json!({"configMapKeyRef": {"name": "none", "key": "k"}}), "configmap \"none\" not found"),
            (json!({"secretKeyRef": {"name": "none", "key": "k"}}), "secret \"none\" not found"),
            (json!({"configMapKeyRef": {"name": "c", "key": "k"}}), "couldn't find key k in ConfigMap n/c"),
            (json!({"fieldRef": {"fieldPath": "spec.x"}}), "env \"V\": \"spec.x\" is not supported"),
        ] {
            let container = json!({"name": "x", "env": [{"name": "V", "valueFrom": source}]});
            assert_eq!(env(container, vec![config_map()]).await.unwrap_err().to_string(), message);
        }
    }

    #[tokio::test]
    async fn services_of_the_namespace_and_the_api_server_are_found() {
        let service = |namespace: &str, name: &str, ip: &str| {
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
                   "spec": {"clusterIP": ip, "ports": [{"name": "http-web", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]}})
        };
        let existing = vec![
            service("default", "kubernetes", "10.96.0.1"),
            service("n", "my-shop", "10.96.0.5"),
            service("n", "headless", "None"),
        ];
        let found = env(json!({"name": "x"}), existing.clone()).await.unwrap();
        for (name, expected) in [
            ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
            ("MY_SHOP_SERVICE_HOST", "10.96.0.5"),
            ("MY_SHOP_SERVICE_PORT", "80"),
            ("MY_SHOP_SERVICE_PORT_HTTP_WEB", "80"),
            ("MY_SHOP_PORT", "tcp://10.96.0.5:80"),
            ("MY_SHOP_PORT_53_UDP", "udp://10.96.0.5:53"),
            ("MY_SHOP_PORT_53_UDP_ADDR", "10.96.0.5"),
        ] {
            assert_eq!(found.get(name), Some(expected), "{name}");
        }
        assert_eq!(found.get("HEADLESS_SERVICE_HOST"), None);
    }
}
