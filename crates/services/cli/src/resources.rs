//! Which kinds the server has, and where they are.

use serde_json::Value;

use crate::CliError;

/// A kind that the server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    singular: String,
    short_names: Vec<String>,
    categories: Vec<String>,
    pub(crate) namespaced: bool,
    listable: bool,
}

impl Kind {
    /// Returns the path of the collection, or of one object in it.
    pub(crate) fn path(&self, namespace: Option<&str>, name: Option<&str>) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if let (true, Some(namespace)) = (self.namespaced, namespace) {
            path.push_str(&format!("/namespaces/{namespace}"));
        }
        path.push('/');
        path.push_str(&self.plural);
        if let Some(name) = name {
            path.push('/');
            path.push_str(name);
        }
        path
    }

    /// Returns the kind as people name it: `deployment.apps`, `pod`.
    pub(crate) fn title(&self) -> String {
        let lower = self.kind.to_lowercase();
        if self.group.is_empty() { lower } else { format!("{lower}.{}", self.group) }
    }

    fn answers_to(&self, name: &str) -> bool {
        let (word, group) = name.split_once('.').map_or((name, None), |(word, group)| (word, Some(group)));
        let word_fits = word == self.plural
            || word == self.singular
            || word.eq_ignore_ascii_case(&self.kind)
            || self.short_names.iter().any(|short| short == word);
        word_fits
            && group.is_none_or(|group| group == self.group || group == format!("{}.{}", self.version, self.group))
    }
}

/// All kinds of a server, in its order of preference.
#[derive(Debug, Clone)]
pub(crate) struct Kinds(Vec<Kind>);

impl Kinds {
    /// Asks the server.
    pub(crate) async fn discover(client: &maru_client::Client) -> Result<Self, CliError> {
        let mut kinds = Vec::new();
        for path in ["/api", "/apis"] {
            let request = http::Request::get(path)
                .header("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
                .body(Vec::new())
                .map_err(|source| CliError::Answer { request: path.to_owned(), source: Box::new(source) })?;
            let answer: Value = client.request(request).await?;
            collect_kinds(&answer, &mut kinds);
        }
        Ok(Self(kinds))
    }

    /// Returns the kind that a person names: plural, singular, kind or short name, with or without `.group`.
    pub(crate) fn named(&self, name: &str) -> Result<&Kind, CliError> {
        let found = self.0.iter().find(|kind| kind.answers_to(name));
        found.ok_or_else(|| CliError::NoSuchKind { name: name.to_owned() })
    }

    /// Returns the kinds of a category such as `all`, or nothing.
    pub(crate) fn category(&self, name: &str) -> Vec<&Kind> {
        self.0.iter().filter(|kind| kind.listable && kind.categories.iter().any(|one| one == name)).collect()
    }

    /// Returns the kind of a manifest.
    pub(crate) fn of_manifest(&self, api_version: &str, kind: &str) -> Result<&Kind, CliError> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let found = self.0.iter().find(|one| one.group == group && one.version == version && one.kind == kind);
        found.ok_or_else(|| CliError::NoSuchKind { name: format!("{kind} ({api_version})") })
    }
}

fn collect_kinds(answer: &Value, kinds: &mut Vec<Kind>) {
    for group in list(answer, "items") {
        let group_name = group.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        for version in list(group, "versions") {
            for resource in list(version, "resources") {
                let text = |key: &str| resource.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                let words = |key: &str| {
                    list(resource, key).iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
                };
                kinds.push(Kind {
                    group: group_name.to_owned(),
                    version: version.get("version").and_then(Value::as_str).unwrap_or_default().to_owned(),
                    kind: resource.pointer("/responseKind/kind").and_then(Value::as_str).unwrap_or_default().to_owned(),
                    plural: text("resource"),
                    singular: text("singularResource"),
                    short_names: words("shortNames"),
                    categories: words("categories"),
                    namespaced: text("scope") == "Namespaced",
                    listable: words("verbs").iter().any(|verb| verb == "list"),
                });
            }
        }
    }
}

/// Returns a list below a key, or an empty one.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Splits `kind/name` or `kind name…` as people type it into a kind's name and the objects' names.
pub(crate) fn split_arguments(arguments: &[String]) -> Result<(String, Vec<String>), CliError> {
    let [first, rest @ ..] = arguments else {
        return Err(CliError::Usage("name a resource type, for example \"pods\" or \"deployment/web\"".to_owned()));
    };
    let Some((kind, name)) = first.split_once('/') else { return Ok((first.clone(), rest.to_vec())) };
    let mut names = vec![name.to_owned()];
    for other in rest {
        match other.split_once('/') {
            Some((other_kind, name)) if other_kind == kind => names.push(name.to_owned()),
            _ => {
                return Err(CliError::Usage(format!(
                    "\"{other}\" does not go with \"{first}\": use {kind}/NAME for each"
                )));
            }
        }
    }
    Ok((kind.to_owned(), names))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployments() -> Kinds {
        let mut kinds = Vec::new();
        collect_kinds(
            &serde_json::json!({"items": [{"metadata": {"name": "apps"}, "versions": [{"version": "v1", "resources": [{
                "resource": "deployments", "responseKind": {"group": "apps", "version": "v1", "kind": "Deployment"},
                "scope": "Namespaced", "singularResource": "deployment", "shortNames": ["deploy"], "categories": ["all"],
                "verbs": ["get", "list"]}]}]}]}),
            &mut kinds,
        );
        Kinds(kinds)
    }

    #[test]
    fn kinds_answer_to_all_their_names() {
        let kinds = deployments();
        for name in ["deployments", "deployment", "Deployment", "deploy", "deployments.apps", "deploy.v1.apps"] {
            assert_eq!(kinds.named(name).unwrap().plural, "deployments", "{name}");
        }
        assert!(matches!(kinds.named("deployments.extensions"), Err(CliError::NoSuchKind { .. })));
        assert_eq!(kinds.category("all").len(), 1);
    }

    #[test]
    fn paths_follow_scope_and_group() {
        let kinds = deployments();
        let kind = kinds.named("deploy").unwrap();
        assert_eq!(kind.path(Some("shop"), Some("web")), "/apis/apps/v1/namespaces/shop/deployments/web");
        assert_eq!(kind.path(None, None), "/apis/apps/v1/deployments");
    }

    #[test]
    fn arguments_are_kind_and_names_in_both_spellings() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(split_arguments(&words("pods a b")).unwrap(), ("pods".to_owned(), words("a b")));
        assert_eq!(split_arguments(&words("pod/a pod/b")).unwrap(), ("pod".to_owned(), words("a b")));
        assert!(split_arguments(&words("pod/a deploy/b")).is_err());
        assert!(split_arguments(&[]).is_err());
    }
}
