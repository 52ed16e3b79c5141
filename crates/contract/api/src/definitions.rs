//! The CustomResourceDefinitions: structural schemas and the columns that `kubectl get` prints.
//!
//! Long because it is one table: what each kind's fields are.
//! Source: apiextensions.k8s.io/v1, "Specifying a structural schema".

use serde_json::{Map, Value, json};

use crate::criterion::INDICATORS;
use crate::{GROUP, VERSION};

/// One kind's definition.
struct Definition {
    kind: &'static str,
    plural: &'static str,
    short: &'static [&'static str],
    description: &'static str,
    spec: Value,
    status: Value,
    /// Name, JSON path, type, and whether only `-o wide` shows it.
    columns: &'static [(&'static str, &'static str, &'static str, bool)],
}

/// Returns the CustomResourceDefinitions of all kinds, in the order of their names.
#[must_use]
pub fn crds() -> Vec<Value> {
    let mut all = vec![
        requirement(),
        evidence(),
        architecture(),
        project(),
        objective(),
        gate(),
        glossary(),
        method(),
        approval(),
        baseline(),
        document(),
        model(),
        work_item(),
        environment(),
    ];
    all.sort_by_key(|definition| definition.plural);
    all.iter().map(render).collect()
}

fn render(definition: &Definition) -> Value {
    let mut columns: Vec<Value> = definition
        .columns
        .iter()
        .map(|(name, path, kind, wide)| {
            json!({"name": name, "jsonPath": path, "type": kind, "priority": i32::from(*wide)})
        })
        .collect();
    columns.push(json!({"name": "Age", "jsonPath": ".metadata.creationTimestamp", "type": "date"}));
    let singular = definition.kind.to_lowercase();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{}.{GROUP}", definition.plural)},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": definition.kind,
                "listKind": format!("{}List", definition.kind),
                "plural": definition.plural,
                "singular": singular,
                "shortNames": definition.short,
                "categories": ["maru"],
            },
            "scope": "Namespaced",
            "versions": [{
                "name": VERSION,
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": columns,
                "schema": {"openAPIV3Schema": {
                    "type": "object",
                    "description": definition.description,
                    "required": ["spec"],
                    "properties": {
                        "apiVersion": {"type": "string"},
                        "kind": {"type": "string"},
                        "metadata": {"type": "object"},
                        "spec": definition.spec,
                        "status": definition.status,
                    },
                }},
            }],
        },
    })
}

// The parts that schemas are made of.

fn object(required: &[&str], properties: Value) -> Value {
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn text() -> Value {
    json!({"type": "string"})
}

fn one_of(values: &[&str]) -> Value {
    json!({"type": "string", "enum": values})
}

fn list(items: Value) -> Value {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("array"));
    schema.insert("items".to_owned(), items);
    Value::Object(schema)
}

/// A text or `{ko, en}`; a share that may be a number or percent: the reader checks it.
fn free(description: &str) -> Value {
    json!({"description": description, "x-kubernetes-preserve-unknown-fields": true})
}

fn local() -> Value {
    free("A text, or an object with ko and en.")
}

fn ratio() -> Value {
    free("A share of one like 0.999, or percent like \"99.9%\".")
}

fn open_object() -> Value {
    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

fn whole() -> Value {
    json!({"type": "integer", "format": "int64"})
}

fn number() -> Value {
    json!({"type": "number"})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn time() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn digest() -> Value {
    json!({"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"})
}

fn named(required: &[&str], pairs: &[(&str, Value)]) -> Value {
    let properties: Map<String, Value> =
        pairs.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    object(required, Value::Object(properties))
}

fn criterion() -> Value {
    let target = object(&[], json!({"service": text(), "route": text(), "component": text()}));
    let mut schema = named(
        &["indicator"],
        &[
            ("indicator", one_of(&INDICATORS)),
            ("of", target),
            ("quantile", ratio()),
            ("atMost", free("The bound with its unit: 100ms, 0.1%, 90000 KRW/month.")),
            ("atLeast", free("The bound with its unit: 99.9%, 50/s, 500 GB.")),
            ("per", text()),
            ("window", text()),
            ("atLoad", text()),
            ("in", list(text())),
            ("id", text()),
            ("by", text()),
        ],
    );
    schema["description"] = json!("What is asked for, as a quantity.");
    schema
}

fn check() -> Value {
    named(
        &[],
        &[
            ("slo", text()),
            ("test", object(&["suite"], json!({"suite": text(), "case": text()}))),
            ("approval", object(&["role"], json!({"role": text()}))),
            ("scan", text()),
            ("load", text()),
            ("drill", text()),
            ("install", text()),
            ("survey", text()),
            ("experiment", text()),
            ("bom", text()),
            ("provenance", text()),
            ("in", text()),
            ("confidence", ratio()),
            ("validFor", text()),
        ],
    )
}

fn requirement() -> Definition {
    let link = object(&["name"], json!({"name": text(), "fingerprint": digest()}));
    let spec = named(
        &["statement"],
        &[
            ("title", local()),
            ("statement", local()),
            ("priority", json!({"type": "string", "enum": ["must", "should", "could", "wont"], "default": "must"})),
            ("stakeholders", list(text())),
            ("source", object(&["document"], json!({"document": text(), "clause": text()}))),
            ("derivedFrom", list(link)),
            ("allocatedTo", list(text())),
            ("criterion", criterion()),
            ("verify", list(check())),
        ],
    );
    Definition {
        kind: "Requirement",
        plural: "requirements",
        short: &["req", "reqs"],
        description: "What the system must do or be. Its verdict follows from evidence; nobody writes it.",
        spec,
        status: requirement_status(),
        columns: &[
            ("Verdict", ".status.verdict", "string", false),
            ("Class", ".status.class.kind", "string", false),
            ("Priority", ".spec.priority", "string", false),
            ("Reason", ".status.reason", "string", false),
            ("Category", ".status.class.category", "string", true),
            ("Volatility", ".status.class.volatility", "string", true),
            ("Fingerprint", ".status.fingerprint", "string", true),
        ],
    }
}

fn requirement_status() -> Value {
    let class = object(
        &[],
        json!({"kind": text(), "category": text(), "why": local(), "volatility": text(), "origin": text(), "impact": whole()}),
    );
    let finding = object(
        &["rule"],
        json!({"rule": text(), "severity": text(), "place": text(), "message": local(), "fix": local()}),
    );
    let check = object(
        &["check", "outcome"],
        json!({"check": whole(), "outcome": outcome(), "reason": local(), "evidence": digest(), "at": time(), "expires": time()}),
    );
    named(
        &[],
        &[
            ("observedGeneration", whole()),
            ("fingerprint", digest()),
            ("class", class),
            ("lint", list(finding)),
            ("suspect", list(object(&["name"], json!({"name": text(), "reviewed": digest(), "current": digest()})))),
            ("verdict", one_of(&["Conforming", "Nonconforming", "NotMeasured"])),
            ("reason", text()),
            ("reasonText", local()),
            ("checks", list(check)),
            ("conflicts", list(list(text()))),
            ("since", time()),
            ("changed", list(time())),
        ],
    )
}

fn outcome() -> Value {
    one_of(&["Met", "Violated", "Insufficient"])
}

fn subject() -> Value {
    let kinds = one_of(&["image", "configuration", "commit", "requirement", "environment", "artifact"]);
    object(&["kind", "name"], json!({"kind": kinds, "name": text(), "digest": digest(), "fingerprint": digest()}))
}

fn evidence() -> Definition {
    let result = named(
        &["outcome"],
        &[
            ("outcome", outcome()),
            ("value", number()),
            ("low", number()),
            ("high", number()),
            ("confidence", number()),
            ("samples", whole()),
            ("unit", text()),
            ("threshold", number()),
            ("quantile", number()),
            ("load", number()),
            ("notes", list(text())),
        ],
    );
    let spec = named(
        &["envelope", "predicateType", "subjects", "producer", "window", "result"],
        &[
            ("envelope", digest()),
            ("predicateType", text()),
            ("name", text()),
            ("subjects", list(subject())),
            ("environment", text()),
            ("producer", object(&["tool"], json!({"tool": text(), "version": text(), "parameters": digest()}))),
            ("window", object(&["from", "to"], json!({"from": time(), "to": time()}))),
            ("result", result),
            ("raw", digest()),
            ("validUntil", time()),
            ("previous", digest()),
        ],
    );
    Definition {
        kind: "Evidence",
        plural: "evidence",
        short: &["ev"],
        description: "The index of one signed envelope: what was seen about what, when, by which tool. Immutable.",
        spec,
        status: object(&[], json!({"verified": flag(), "reason": text(), "sequence": whole()})),
        columns: &[
            ("Check", ".spec.name", "string", false),
            ("Outcome", ".spec.result.outcome", "string", false),
            ("Environment", ".spec.environment", "string", false),
            ("Verified", ".status.verified", "boolean", false),
            ("Until", ".spec.validUntil", "string", true),
            ("Type", ".spec.predicateType", "string", true),
        ],
    }
}

fn architecture() -> Definition {
    let relation = object(&["to"], json!({"to": text(), "type": text()}));
    let context =
        object(&["name"], json!({"name": text(), "team": text(), "terms": list(text()), "relations": list(relation)}));
    let option = named(
        &["name"],
        &[
            ("name", text()),
            ("node", text()),
            ("replicas", json!({"type": "integer", "format": "int32", "minimum": 0})),
            ("needed", json!({"type": "integer", "format": "int32", "minimum": 0})),
            ("availability", ratio()),
            ("commonCause", ratio()),
            ("latency", json!({"type": "object", "additionalProperties": {"type": "string"}})),
            ("capacity", text()),
            ("cost", text()),
            ("recoveryPoint", text()),
            ("recoveryTime", text()),
            ("from", one_of(&["estimate", "measured"])),
            ("evidence", digest()),
        ],
    );
    let call = object(
        &["to"],
        json!({"to": text(), "per": text(), "critical": flag(), "times": {"type": "integer", "format": "int32", "minimum": 0}}),
    );
    let service = object(
        &["name"],
        json!({"name": text(), "context": text(), "database": text(), "calls": list(call), "options": list(option), "runs": text()}),
    );
    Definition {
        kind: "Architecture",
        plural: "architectures",
        short: &["arch"],
        description: "The services of a system, what they call, and the ways to run them.",
        spec: object(&[], json!({"contexts": list(context), "services": list(service)})),
        status: open_object(),
        columns: &[
            ("Outcome", ".status.outcome", "string", false),
            ("Cost", ".status.cost", "string", false),
            ("Reason", ".status.reason", "string", false),
        ],
    }
}

fn blocker() -> Value {
    let culprit = object(&["kind", "name"], json!({"kind": text(), "name": text()}));
    named(
        &["expression"],
        &[
            ("from", text()),
            ("expression", text()),
            ("message", local()),
            ("error", text()),
            ("objects", list(culprit)),
            ("count", whole()),
            ("unblock", list(text())),
        ],
    )
}

fn gate_result() -> Value {
    object(&[], json!({"gate": text(), "open": flag(), "reason": text(), "blocked": list(blocker())}))
}

fn change() -> Value {
    named(
        &["change", "kind", "name"],
        &[
            ("change", one_of(&["added", "changed", "removed"])),
            ("kind", text()),
            ("name", text()),
            ("from", digest()),
            ("to", digest()),
            ("impacts", list(text())),
        ],
    )
}

fn term() -> Value {
    object(
        &["expression", "message"],
        json!({"expression": {"type": "string", "minLength": 1, "maxLength": 8192}, "message": local(), "unblock": list(text())}),
    )
}

fn project() -> Definition {
    let spec = named(
        &[],
        &[
            ("title", local()),
            ("goal", local()),
            ("organisation", local()),
            ("author", local()),
            ("language", one_of(&["ko", "en"])),
            ("method", text()),
            ("environments", list(object(&["name"], json!({"name": text(), "namespace": text()})))),
            ("confidence", ratio()),
            ("evidenceValidFor", text()),
            ("policy", object(&[], json!({"changesApprovedBy": text()}))),
        ],
    );
    let status = named(
        &[],
        &[
            ("stage", text()),
            ("conforming", whole()),
            ("nonconforming", whole()),
            ("notMeasured", whole()),
            ("chainHead", digest()),
            ("chainLength", whole()),
            ("keyId", text()),
            ("gates", list(gate_result())),
            ("baseline", text()),
            ("changeCount", whole()),
            ("changes", list(change())),
            ("reason", text()),
        ],
    );
    Definition {
        kind: "Project",
        plural: "projects",
        short: &["prj"],
        description: "What a project is for, and by which rules it is judged. One in a namespace.",
        spec,
        status,
        columns: &[
            ("Stage", ".status.stage", "string", false),
            ("Baseline", ".status.baseline", "string", true),
            ("Changes", ".status.changeCount", "integer", true),
            ("Conforming", ".status.conforming", "integer", false),
            ("Nonconforming", ".status.nonconforming", "integer", false),
            ("Not Measured", ".status.notMeasured", "integer", false),
        ],
    }
}

fn objective() -> Definition {
    Definition {
        kind: "ServiceLevelObjective",
        plural: "servicelevelobjectives",
        short: &["slo"],
        description: "An objective for a service, with the fields of OpenSLO 1.",
        spec: open_object(),
        status: open_object(),
        columns: &[
            ("Service", ".spec.service", "string", false),
            ("Outcome", ".status.outcome", "string", false),
            ("Budget Left", ".status.budgetLeft", "string", false),
            ("Reason", ".status.reason.en", "string", false),
        ],
    }
}

fn gate() -> Definition {
    Definition {
        kind: "Gate",
        plural: "gates",
        short: &[],
        description: "Conditions on entering or leaving a stage.",
        spec: object(
            &["stage", "terms"],
            json!({"stage": text(), "side": one_of(&["entry", "exit"]), "terms": list(term())}),
        ),
        status: gate_result(),
        columns: &[
            ("Stage", ".spec.stage", "string", false),
            ("Side", ".spec.side", "string", false),
            ("Open", ".status.open", "boolean", false),
            ("Reason", ".status.reason", "string", false),
        ],
    }
}

fn glossary() -> Definition {
    let term = object(&["term"], json!({"term": local(), "definition": local(), "aliases": list(text())}));
    Definition {
        kind: "Glossary",
        plural: "glossaries",
        short: &[],
        description: "The words that a project has agreed on.",
        spec: object(&["terms"], json!({"terms": list(term)})),
        status: open_object(),
        columns: &[],
    }
}

fn method() -> Definition {
    let stage = named(
        &["id"],
        &[
            ("id", text()),
            ("title", local()),
            ("outputs", list(local())),
            ("entry", list(term())),
            ("exit", list(term())),
        ],
    );
    let phase = object(&["id", "stages"], json!({"id": text(), "title": local(), "stages": list(stage)}));
    Definition {
        kind: "Method",
        plural: "methods",
        short: &[],
        description: "A way of working: phases of stages with gates. A Project names it.",
        spec: object(&["phases"], json!({"title": local(), "phases": list(phase)})),
        status: open_object(),
        columns: &[],
    }
}

fn approval() -> Definition {
    let approved = object(&["kind", "name"], json!({"kind": text(), "name": text(), "fingerprint": digest()}));
    Definition {
        kind: "Approval",
        plural: "approvals",
        short: &[],
        description: "A person's word on something, at a time. It becomes evidence.",
        spec: object(
            &["role", "of", "decision"],
            json!({"role": text(), "by": text(), "of": list(approved), "decision": one_of(&["approved", "rejected"]),
                   "comment": text(), "at": time()}),
        ),
        status: object(&[], json!({"evidence": digest(), "reason": text()})),
        columns: &[
            ("Role", ".spec.role", "string", false),
            ("By", ".spec.by", "string", false),
            ("Decision", ".spec.decision", "string", false),
            ("Of", ".spec.of[*].name", "string", false),
            ("Evidence", ".status.evidence", "string", true),
            ("Reason", ".status.reason", "string", false),
        ],
    }
}

fn baseline() -> Definition {
    let item =
        object(&["kind", "name", "fingerprint"], json!({"kind": text(), "name": text(), "fingerprint": digest()}));
    Definition {
        kind: "Baseline",
        plural: "baselines",
        short: &[],
        description: "A state of the project that was agreed and signed.",
        spec: object(&[], json!({"title": local(), "previous": text(), "change": local(), "items": list(item)})),
        status: named(
            &[],
            &[
                ("content", digest()),
                ("envelope", digest()),
                ("at", time()),
                ("fingerprint", digest()),
                ("previous", text()),
                ("requirements", whole()),
                ("changeCount", whole()),
                ("changes", list(change())),
                ("reason", text()),
            ],
        ),
        columns: &[
            ("Taken", ".status.at", "string", false),
            ("Requirements", ".status.requirements", "integer", false),
            ("Changes", ".status.changeCount", "integer", false),
            ("Reason", ".status.reason", "string", false),
            ("Content", ".status.content", "string", true),
        ],
    }
}

fn document() -> Definition {
    let kinds = one_of(&["requirementsDefinition", "traceabilityMatrix", "testResult", "auditMatrix"]);
    let file = object(&["format", "digest"], json!({"format": text(), "digest": digest(), "bytes": whole()}));
    Definition {
        kind: "Document",
        plural: "documents",
        short: &["doc"],
        description: "A document that is made of the project's state.",
        spec: object(
            &["type"],
            json!({"type": kinds, "language": one_of(&["ko", "en"]), "baseline": text(),
                   "formats": list(one_of(&["html", "pdf", "docx", "xlsx", "hwpx"]))}),
        ),
        status: object(&[], json!({"files": list(file), "content": digest(), "at": time(), "reason": text()})),
        columns: &[
            ("Type", ".spec.type", "string", false),
            ("Baseline", ".spec.baseline", "string", false),
            ("Made", ".status.at", "string", false),
            ("Reason", ".status.reason", "string", false),
        ],
    }
}

fn model() -> Definition {
    Definition {
        kind: "Model",
        plural: "models",
        short: &[],
        description: "A conceptual model as text: what documents and baselines show.",
        spec: object(&["file", "text"], json!({"file": text(), "text": text()})),
        status: open_object(),
        columns: &[("File", ".spec.file", "string", false)],
    }
}

fn work_item() -> Definition {
    Definition {
        kind: "WorkItem",
        plural: "workitems",
        short: &["wi"],
        description: "Something to do for some requirements.",
        spec: named(
            &["title"],
            &[
                ("title", local()),
                ("type", one_of(&["story", "task", "bug"])),
                ("requirements", list(text())),
                ("assignee", text()),
                ("sprint", text()),
                ("state", one_of(&["todo", "doing", "done"])),
                ("commits", list(text())),
            ],
        ),
        status: open_object(),
        columns: &[
            ("State", ".spec.state", "string", false),
            ("Assignee", ".spec.assignee", "string", false),
            ("Sprint", ".spec.sprint", "string", false),
        ],
    }
}

fn environment() -> Definition {
    Definition {
        kind: "Environment",
        plural: "environments",
        short: &["env"],
        description: "A place where the system runs.",
        spec: object(
            &["namespace"],
            json!({"namespace": text(), "purpose": one_of(&["development", "test", "production"]), "description": local()}),
        ),
        status: object(&[], json!({"subjects": list(subject()), "reason": text()})),
        columns: &[("Namespace", ".spec.namespace", "string", false), ("Purpose", ".spec.purpose", "string", false)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use crate::object::{Object, Spec};
    use crate::requirement::RequirementSpec;

    /// What apiextensions.k8s.io/v1 asks of a structural schema.
    fn assert_structural(schema: &Value, place: &str) {
        let free = schema["x-kubernetes-preserve-unknown-fields"] == true;
        assert!(schema["type"].is_string() || free, "{place} has no type");
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            assert_eq!(schema["type"], "object", "{place}");
            assert_structural(property, &format!("{place}.{name}"));
        }
        if schema["type"] == "array" {
            assert_structural(&schema["items"], &format!("{place}[]"));
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(schema["properties"].get(name.as_str().unwrap()).is_some(), "{place} requires {name}");
        }
    }

    #[test]
    fn schemas_are_structural_and_names_fit() {
        let all = crds();
        assert_eq!(all.len(), 14);
        for definition in &all {
            let spec = &definition["spec"];
            let plural = spec["names"]["plural"].as_str().unwrap();
            assert_eq!(definition["metadata"]["name"], format!("{plural}.maru.dev"));
            let version = &spec["versions"][0];
            assert_structural(&version["schema"]["openAPIV3Schema"], plural);
            assert!(version["subresources"]["status"].is_object());
        }
    }

    #[test]
    fn kubectl_prints_verdict_class_reason_age() {
        let definitions = crds();
        let requirements =
            definitions.iter().find(|definition| definition["spec"]["names"]["kind"] == "Requirement").unwrap();
        let columns = requirements["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap();
        let shown: Vec<&str> = columns
            .iter()
            .filter(|column| column["priority"].as_i64().unwrap_or_default() == 0)
            .map(|column| column["name"].as_str().unwrap())
            .collect();
        assert_eq!(shown, ["Verdict", "Class", "Priority", "Reason", "Age"]);
    }

    fn schema_of(kind: &str) -> (maru_kube::Schema, maru_kube::table::Columns) {
        let all = crds();
        let version =
            all.iter().find(|one| one["spec"]["names"]["kind"] == kind).unwrap()["spec"]["versions"][0].clone();
        let schema = maru_kube::Schema::from_crd(&version["schema"]["openAPIV3Schema"]).unwrap();
        (schema, maru_kube::table::Columns::from_crd(&version["additionalPrinterColumns"]).unwrap())
    }

    #[test]
    fn the_server_reads_every_schema_and_column() {
        for definition in crds() {
            schema_of(definition["spec"]["names"]["kind"].as_str().unwrap());
        }
    }

    #[test]
    fn schemas_keep_and_accept_what_types_write() {
        let digest = crate::Digest::of(b"x");
        let objects = [
            json!({"kind": "Requirement", "spec": {
                "title": "주문", "statement": {"ko": "주문", "en": "order"}, "priority": "must", "stakeholders": ["a"],
                "source": {"document": "RFP", "clause": "3.2"}, "derivedFrom": [{"name": "g", "fingerprint": digest}],
                "allocatedTo": ["orders"],
                "criterion": {"indicator": "latency", "of": {"service": "orders", "route": "POST /orders"},
                              "quantile": 0.999, "atMost": "100ms", "window": "1d", "atLoad": "50/s"},
                "verify": [{"slo": "l", "in": "prod", "confidence": "99%"}, {"test": {"suite": "s", "case": "c/*"}},
                           {"approval": {"role": "customer"}}]},
                "status": {"fingerprint": digest, "verdict": "Conforming", "reason": "met", "reasonText": {"ko": "충족", "en": "met"},
                           "class": {"kind": "nonFunctional", "category": "performance", "why": "latency"},
                           "checks": [{"check": 0, "outcome": "Met", "reason": "met", "evidence": digest}]}}),
            json!({"kind": "Evidence", "spec": {
                "envelope": digest, "predicateType": "https://maru.dev/slo-window/v1", "name": "l",
                "subjects": [{"kind": "image", "name": "orders", "digest": digest}], "environment": "prod",
                "producer": {"tool": "maru", "version": "1", "parameters": digest},
                "window": {"from": "2026-11-22T09:00:00Z", "to": "2026-11-22T10:00:00Z"},
                "result": {"outcome": "Met", "value": 0.99951, "low": 0.9991, "high": 0.9998, "confidence": 0.95,
                           "samples": 48_210, "unit": "ratio", "threshold": 0.1},
                "raw": digest, "validUntil": "2026-11-23T10:00:00Z", "previous": digest}}),
            json!({"kind": "Architecture", "spec": {
                "contexts": [{"name": "ordering", "team": "blue", "terms": ["order"],
                              "relations": [{"to": "payment", "type": "customer-supplier"}]}],
                "services": [{"name": "orders", "context": "ordering", "database": "orders-db",
                    "calls": [{"to": "payments", "per": "request", "critical": true}],
                    "options": [{"name": "small-2", "node": "c2m8", "replicas": 2, "availability": 0.9995,
                        "latency": {"p99": "40ms"}, "capacity": "120/s", "cost": "90000 KRW/month", "from": "estimate"}]}]}}),
        ];
        for mut object in objects {
            object["apiVersion"] = json!(crate::API_VERSION);
            object["metadata"] = json!({"name": "x", "namespace": "shop"});
            let (schema, _) = schema_of(object["kind"].as_str().unwrap());
            assert_eq!(schema.validate(&object), vec![], "{object}");
            assert_eq!(schema.unknown_fields(&object), Vec::<String>::new());
            let back = match object["kind"].as_str().unwrap() {
                "Requirement" => {
                    serde_json::to_value(serde_json::from_value::<crate::Requirement>(object.clone()).unwrap())
                }
                "Evidence" => serde_json::to_value(serde_json::from_value::<crate::Evidence>(object.clone()).unwrap()),
                _ => serde_json::to_value(serde_json::from_value::<crate::Architecture>(object.clone()).unwrap()),
            }
            .unwrap();
            assert_eq!(schema.validate(&back), vec![], "{back}");
            assert_eq!(schema.unknown_fields(&back), Vec::<String>::new());
        }
        let (schema, _) = schema_of("Requirement");
        let wrong = json!({"spec": {"statement": "x", "criterion": {"indicator": "speed"}}});
        assert!(!schema.validate(&wrong).is_empty());
    }

    #[test]
    fn every_kind_of_ours_is_defined() {
        fn defined<S: Spec>() {
            let name = Object::<S>::definition_name();
            let found = crds().into_iter().find(|definition| definition["metadata"]["name"] == name);
            assert_eq!(found.unwrap()["spec"]["names"]["kind"], S::KIND);
        }
        defined::<RequirementSpec>();
        defined::<kinds::EvidenceSpec>();
        defined::<kinds::ArchitectureSpec>();
        defined::<kinds::ProjectSpec>();
        defined::<kinds::ServiceLevelObjectiveSpec>();
        defined::<kinds::GateSpec>();
        defined::<crate::MethodSpec>();
        defined::<crate::GlossarySpec>();
        defined::<kinds::ApprovalSpec>();
        defined::<kinds::BaselineSpec>();
        defined::<kinds::DocumentSpec>();
        defined::<kinds::WorkItemSpec>();
        defined::<kinds::EnvironmentSpec>();
    }
}
