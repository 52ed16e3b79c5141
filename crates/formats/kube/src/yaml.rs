//! YAML text into JSON values, read as Kubernetes' clients read it, with repeated keys reported.

use serde_json::Value;
use serde_saphyr::options::DuplicateKeyPolicy;

use crate::documents::Parsed;

/// A text that is not YAML, or that is beyond a limit.
#[derive(Debug, thiserror::Error)]
#[error("the text is not YAML: {0}")]
pub struct YamlError(String);

/// Parses one document; an empty text is `null`.
///
/// Numbers with a leading zero are octal and `yes`/`on` are true, as in the YAML 1.1 that manifests are written in.
///
/// # Errors
/// Fails when the text is not YAML, holds several documents, or exceeds the limits on depth, aliases and nodes.
pub fn parse(text: &str) -> Result<Parsed, YamlError> {
    let mut documents = parse_many(text)?;
    match (documents.pop(), documents.is_empty()) {
        (Some(document), true) => Ok(document),
        (None, _) => Ok(Parsed::default()),
        (Some(_), false) => Err(YamlError("one document is expected, several were found".to_owned())),
    }
}

/// Parses the documents of a text in their order; empty ones are left out.
///
/// # Errors
/// As [`parse`]; the first broken document fails the whole text.
pub fn parse_many(text: &str) -> Result<Vec<Parsed>, YamlError> {
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        legacy_octal_numbers: true,
        // They mean nothing here; kept, more than a few dozen of them behind a key would be an error.
        emit_comments: false,
    };
    let documents: Vec<Parsed> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| YamlError(error.to_string()))?;
    Ok(documents.into_iter().filter(|document| !document.value.is_null()).collect())
}

/// Prints a value as YAML.
#[must_use]
pub fn to_text(value: &Value) -> String {
    serde_saphyr::to_string(value).expect("a JSON value has a YAML form")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn comments_may_be_as_many_as_one_likes() {
        let comments = "# a\n".repeat(5000);
        let parsed = super::parse(&format!("{comments}a:\n{comments}- b\n{comments}")).unwrap();
        assert_eq!(parsed.value, json!({"a": ["b"]}));
    }

    #[test]
    fn manifests_are_read_as_kubernetes_reads_them() {
        let parsed = super::parse("a: 0644\nb: yes\nc: \"yes\"\nd:\n- x: 1\n  x: 2\ne: 1.5\nf: ~\n1: one\n").unwrap();
        assert_eq!(
            parsed.value,
            json!({"a": 420, "b": true, "c": "yes", "d": [{"x": 2}], "e": 1.5, "f": null, "1": "one"})
        );
        assert_eq!(parsed.duplicates, ["d[0].x"]);
    }

    #[test]
    fn many_documents_keep_their_order_and_empty_ones_vanish() {
        let parsed = super::parse_many("---\na: 1\n---\n# nothing\n---\nb: 2\n---\n").unwrap();
        assert_eq!(parsed.iter().map(|p| p.value.clone()).collect::<Vec<_>>(), [json!({"a": 1}), json!({"b": 2})]);
        assert!(super::parse("a: 1\n---\nb: 2\n").is_err());
        assert!(super::parse("").unwrap().value.is_null());
    }

    #[test]
    fn json_is_yaml() {
        assert_eq!(super::parse(r#"{"a":["b",{"c":null}]}"#).unwrap().value, json!({"a":["b",{"c":null}]}));
    }

    #[test]
    fn anchors_and_merge_keys_are_expanded() {
        let parsed = super::parse("base: &b {x: 1, y: 2}\nused:\n  <<: *b\n  y: 3\n").unwrap();
        assert_eq!(parsed.value["used"], json!({"x": 1, "y": 3}));
        assert!(parsed.duplicates.is_empty());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails_without_a_panic(text in "\\PC{0,200}") {
            drop(super::parse_many(&text));
        }

        #[test]
        fn what_is_printed_is_read_back(map in proptest::collection::btree_map("[a-z]{1,8}", "\\PC{0,20}", 0..6)) {
            let value = json!(map);
            prop_assert_eq!(super::parse(&super::to_text(&value)).unwrap().value, if map.is_empty() { json!({}) } else { value });
        }
    }
}
