//! Label selectors of typed objects.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use maru_kube::selector::LabelSelector as Requirements;

/// A label selector that is ready to match. What cannot be understood matches nothing.
#[derive(Debug, Clone)]
pub(crate) struct Matcher(Requirements);

impl Matcher {
    /// Understands a selector; an empty one matches everything.
    pub(crate) fn new(selector: &LabelSelector) -> Self {
        let value = serde_json::to_value(selector).unwrap_or_default();
        Self(Requirements::from_object(&value).unwrap_or_else(|_| Requirements::nothing()))
    }

    /// A selector by equality, as of Services.
    pub(crate) fn of_labels(labels: Option<&BTreeMap<String, String>>) -> Self {
        Self::new(&LabelSelector { match_labels: labels.cloned(), match_expressions: None })
    }

    pub(crate) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.matches_with(|key| labels.get(key).map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_selector_matches_all_and_a_wrong_one_nothing() {
        let labels: BTreeMap<String, String> = [("app".to_owned(), "shop".to_owned())].into();
        let cases = [
            (r#"{}"#, true),
            (r#"{"matchLabels":{"app":"shop"}}"#, true),
            (r#"{"matchLabels":{"app":"other"}}"#, false),
            (r#"{"matchExpressions":[{"key":"tier","operator":"NotIn","values":["shop"]}]}"#, true),
            (r#"{"matchExpressions":[{"key":"app","operator":"Near"}]}"#, false),
        ];
        for (text, expected) in cases {
            let selector: LabelSelector = serde_json::from_str(text).unwrap();
            assert_eq!(Matcher::new(&selector).matches(&labels), expected, "{text}");
        }
    }
}
