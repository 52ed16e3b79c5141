//! What is written into statuses, beside what others have written there. Pure.

use std::net::IpAddr;

use maru_time::{Timestamp, rfc3339_seconds};
use serde_json::{Value, json};

use crate::compile::{CONTROLLER, Condition, GatewayStatus, ParentStatus};
use crate::kinds::GROUP;

/// When and for which version of an object a status is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub generation: i64,
    pub now: Timestamp,
}

/// Returns the conditions as they should be: times change with the status alone, foreign conditions stay.
pub(crate) fn conditions(existing: &Value, desired: &[Condition], stamp: Stamp) -> Value {
    let existing = existing.as_array().map_or(&[][..], Vec::as_slice);
    let mut merged: Vec<Value> =
        existing.iter().filter(|one| !desired.iter().any(|ours| one["type"] == ours.kind)).cloned().collect();
    for condition in desired {
        let status = if condition.holds { "True" } else { "False" };
        let before = existing.iter().find(|one| one["type"] == condition.kind && one["status"] == status);
        let since = before.map(|before| before["lastTransitionTime"].clone());
        merged.push(json!({
            "type": condition.kind,
            "status": status,
            "reason": condition.reason,
            "message": condition.message,
            "observedGeneration": stamp.generation,
            "lastTransitionTime": since.unwrap_or_else(|| rfc3339_seconds(stamp.now).into()),
        }));
    }
    merged.sort_by(|a, b| a["type"].as_str().cmp(&b["type"].as_str()));
    merged.into()
}

/// Returns a GatewayClass's status.
pub(crate) fn class(existing: &Value, desired: &[Condition], stamp: Stamp) -> Value {
    json!({"conditions": conditions(&existing["conditions"], desired, stamp)})
}

/// Returns a Gateway's status.
pub(crate) fn gateway(existing: &Value, desired: &GatewayStatus, address: Option<IpAddr>, stamp: Stamp) -> Value {
    let before = existing["listeners"].as_array().map_or(&[][..], Vec::as_slice);
    let listeners: Vec<Value> = desired
        .listeners
        .iter()
        .map(|listener| {
            let before = before.iter().find(|one| one["name"] == listener.name.as_str());
            let before = before.map_or(&Value::Null, |before| &before["conditions"]);
            let kinds: Vec<Value> = listener.kinds.iter().map(|kind| json!({"group": GROUP, "kind": kind})).collect();
            json!({
                "name": listener.name,
                "supportedKinds": kinds,
                "attachedRoutes": listener.attached,
                "conditions": conditions(before, &listener.conditions, stamp),
            })
        })
        .collect();
    // Its own comes first: there it is alone.
    let addresses: Vec<Value> = desired
        .address
        .iter()
        .chain(&address)
        .map(|address| json!({"type": "IPAddress", "value": address.to_string()}))
        .collect();
    json!({
        "addresses": addresses,
        "conditions": conditions(&existing["conditions"], &desired.conditions, stamp),
        "listeners": listeners,
    })
}

/// Returns a route's status; what other controllers say of their parents stays.
pub(crate) fn route(existing: &Value, desired: &[ParentStatus], stamp: Stamp) -> Value {
    json!({"parents": parents("parentRef", &existing["parents"], desired, stamp)})
}

/// Returns a policy's status; what other controllers say of their Gateways stays.
pub(crate) fn policy(existing: &Value, desired: &[ParentStatus], stamp: Stamp) -> Value {
    json!({"ancestors": parents("ancestorRef", &existing["ancestors"], desired, stamp)})
}

fn parents(field: &str, existing: &Value, desired: &[ParentStatus], stamp: Stamp) -> Vec<Value> {
    let existing = existing.as_array().map_or(&[][..], Vec::as_slice);
    let mut parents: Vec<Value> =
        existing.iter().filter(|parent| parent["controllerName"] != CONTROLLER).cloned().collect();
    for status in desired {
        let reference = serde_json::to_value(&status.parent).unwrap_or_default();
        let before = existing
            .iter()
            .find(|parent| parent["controllerName"] == CONTROLLER && same_parent(&parent[field], &reference));
        let before = before.map_or(&Value::Null, |before| &before["conditions"]);
        parents.push(json!({
            field: reference,
            "controllerName": CONTROLLER,
            "conditions": conditions(before, &status.conditions, stamp),
        }));
    }
    parents
}

fn same_parent(a: &Value, b: &Value) -> bool {
    ["namespace", "name", "sectionName", "port"].iter().all(|field| a.get(*field) == b.get(*field))
}

/// Returns an Ingress's status.
pub(crate) fn ingress(address: IpAddr) -> Value {
    json!({"loadBalancer": {"ingress": [{"ip": address.to_string()}]}})
}

/// Tells whether an observed status says already what is desired. The server may add fields of its own.
pub(crate) fn says(observed: &Value, desired: &Value) -> bool {
    match (observed, desired) {
        (Value::Object(observed), Value::Object(desired)) => desired
            .iter()
            .all(|(name, value)| observed.get(name).map_or(is_empty(value), |observed| says(observed, value))),
        (Value::Array(observed), Value::Array(desired)) => {
            observed.len() == desired.len()
                && observed.iter().zip(desired).all(|(observed, desired)| says(observed, desired))
        }
        _ => observed == desired,
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value == ""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::ParentReference;

    fn stamp(now: &str, generation: i64) -> Stamp {
        Stamp { generation, now: now.parse().unwrap() }
    }

    #[test]
    fn times_change_with_the_status_alone() {
        let accepted = |holds| [Condition::new("Accepted", holds, if holds { "Accepted" } else { "Invalid" }, "")];
        let first = conditions(&Value::Null, &accepted(true), stamp("2026-01-01T00:00:00Z", 1));
        let second = conditions(&first, &accepted(true), stamp("2026-01-02T00:00:00Z", 2));
        assert_eq!(second[0]["lastTransitionTime"], "2026-01-01T00:00:00Z");
        assert_eq!(second[0]["observedGeneration"], 2);
        let third = conditions(&second, &accepted(false), stamp("2026-01-03T00:00:00Z", 3));
        assert_eq!(third[0]["lastTransitionTime"], "2026-01-03T00:00:00Z");
        let foreign = json!([{"type": "Other", "status": "True"}]);
        assert_eq!(
            conditions(&foreign, &accepted(true), stamp("2026-01-01T00:00:00Z", 1)).as_array().unwrap().len(),
            2
        );
    }

    #[test]
    fn what_other_controllers_say_stays() {
        let existing = json!({"parents": [
            {"parentRef": {"name": "a"}, "controllerName": "other.example/x", "conditions": []},
            {"parentRef": {"name": "gone"}, "controllerName": CONTROLLER, "conditions": []},
        ]});
        let parent = ParentReference { name: "b".to_owned(), ..ParentReference::default() };
        let desired = [ParentStatus { parent, conditions: Vec::new() }];
        let written = route(&existing, &desired, stamp("2026-01-01T00:00:00Z", 1));
        let names: Vec<&str> = written["parents"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["parentRef"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["a", "b"]);
        assert!(says(&written, &written));
        assert!(says(&json!({"parents": [], "more": 1}), &json!({"parents": [], "empty": []})));
        assert!(!says(&existing, &written));
    }
}
