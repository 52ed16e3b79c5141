//! The console's types come from a committed copy of the API's own document: it must be what is served.

use std::path::Path;

use maru_tests::{System, can_run};
use serde_json::Value;

const SERVED: &str = "/openapi/v3/apis/maru.dev/v1alpha1";
const COMMITTED: &str = "console/openapi/maru.dev.v1alpha1.json";

#[test]
fn the_document_that_the_consoles_types_come_from_is_the_one_that_is_served() {
    if !can_run(&["kubectl"]) {
        return;
    }
    let system = System::start();
    let mut served = Value::Null;
    // Kinds are made one after the other; boards, of the room of metrics, come last.
    system.wait("all kinds of maru.dev are in the document", || {
        let output = system.try_kubectl(&["get", "--raw", SERVED]);
        served = serde_json::from_slice(&output.stdout).unwrap_or_default();
        !served["components"]["schemas"]["dev.maru.v1alpha1.Board"].is_null()
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(COMMITTED);
    let text = std::fs::read_to_string(path).expect("the document is committed");
    let committed: Value = serde_json::from_str(&text).expect("the document is JSON");
    let differing = differing(&committed, &served);
    assert!(
        differing.is_empty(),
        "{COMMITTED} is not what the API serves; in the folder console run: kubectl get --raw {SERVED} | npm run document && npm run types\n{}",
        differing.join("\n")
    );
}

/// The schemas and paths that are not the same, by name.
fn differing(committed: &Value, served: &Value) -> Vec<String> {
    let mut names = Vec::new();
    for part in ["/components/schemas", "/paths"] {
        let of = |document: &Value| document.pointer(part).and_then(Value::as_object).cloned().unwrap_or_default();
        let (old, new) = (of(committed), of(served));
        names.extend(new.iter().filter(|(name, value)| old.get(*name) != Some(*value)).map(|(name, _)| name.clone()));
        names.extend(old.keys().filter(|name| !new.contains_key(*name)).cloned());
    }
    names
}
