//! Pods: admission, binding, eviction, graceful end.

use std::sync::Arc;

use maru_kube::Quantity;
use maru_kube::selector::LabelSelector;
use maru_time::rfc3339_seconds;
use serde_json::{Value, json};

use super::{Context, pod_admission};
use crate::delete::{self, Deleted};
use crate::errors::{ApiError, Cause};
use crate::formats::Ownership;
use crate::meta;
use crate::options::{DeleteOptions, WriteOptions};
use crate::state::{Call, State};
use crate::write::{Part, Writer, Written, invalid};

/// Completes a new pod.
pub(crate) fn prepare_create(context: &Context<'_>, pod: &mut Value) -> Result<(), ApiError> {
    pod_admission::service_account(context, pod)?;
    pod_admission::priority(context, pod)?;
    let class = quality_class(pod);
    meta::set_at(pod, &["status"], Some(json!({"phase": "Pending", "qosClass": class})));
    Ok(())
}

/// Completes a changed pod.
pub(crate) fn prepare_update(context: &Context<'_>, old: &Value, new: &mut Value) -> Result<(), ApiError> {
    let take = |path: &[&str], new: &mut Value| {
        let wanted = meta::at(new, path).cloned();
        *new = old.clone();
        meta::set_at(new, path, wanted);
    };
    match context.part {
        Part::Other("ephemeralcontainers") => {
            take(&["spec", "ephemeralContainers"], new);
            check_ephemeral_kept(context, old, new)
        }
        Part::Other("resize") => {
            let wanted = meta::list(new, &["spec", "containers"]).to_vec();
            *new = old.clone();
            let containers =
                new.get_mut("spec").and_then(|spec| spec.get_mut("containers")).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                let found = wanted.iter().find(|one| one.get("name") == container.get("name"));
                if let Some(resources) = found.and_then(|one| one.get("resources")) {
                    meta::root(container).insert("resources".to_owned(), resources.clone());
                }
            }
            Ok(())
        }
        Part::Status => {
            meta::default_at(new, &["status", "qosClass"], quality_class(old));
            Ok(())
        }
        _ => Ok(()),
    }
}

fn check_ephemeral_kept(context: &Context<'_>, old: &Value, new: &Value) -> Result<(), ApiError> {
    let (before, after) =
        (meta::list(old, &["spec", "ephemeralContainers"]), meta::list(new, &["spec", "ephemeralContainers"]));
    if before.iter().all(|one| after.contains(one)) {
        return Ok(());
    }
    let issue = crate::errors::issue::forbidden(
        "spec.ephemeralContainers",
        "existing ephemeral containers may not be removed or changed",
    );
    Err(invalid(context.served, meta::name(old), vec![issue]))
}

/// Returns the quality of service class that the requests and limits make.
fn quality_class(pod: &Value) -> &'static str {
    let mut has_any = false;
    let mut is_guaranteed = true;
    for list in ["containers", "initContainers"] {
        for container in meta::list(pod, &["spec", list]) {
            for resource in ["cpu", "memory"] {
                let amount = |kind: &str| {
                    meta::at(container, &["resources", kind, resource])
                        .and_then(|value| Quantity::from_json(value).ok())
                        .filter(|quantity| !quantity.is_zero())
                        .map(Quantity::milli_value)
                };
                let (request, limit) = (amount("requests"), amount("limits"));
                has_any |= request.is_some() || limit.is_some();
                is_guaranteed &= limit.is_some() && request.is_none_or(|request| Some(request) == limit);
            }
        }
    }
    match (has_any, is_guaranteed) {
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
        (false, _) => "BestEffort",
    }
}

/// Returns how many seconds a pod may take to end: none when no node runs it, or when it has ended.
pub(crate) fn grace_period_seconds(pod: &Value, wanted: Option<i64>) -> i64 {
    let own = meta::at(pod, &["spec", "terminationGracePeriodSeconds"]).and_then(Value::as_i64).unwrap_or(30);
    let has_node = !meta::text(pod, &["spec", "nodeName"]).is_empty();
    let has_ended = matches!(meta::text(pod, &["status", "phase"]), "Succeeded" | "Failed");
    if !has_node || has_ended {
        return 0;
    }
    wanted.unwrap_or(own).max(0)
}

/// Puts a pod on a node.
pub(crate) async fn bind(
    state: &Arc<State>,
    call: &Call,
    options: &WriteOptions,
    pod: &str,
    binding: &Value,
) -> Result<Written, ApiError> {
    let node = meta::text(binding, &["target", "name"]).to_owned();
    if node.is_empty() {
        return Err(ApiError::bad_request("target.name: Required value"));
    }
    let table = state.table();
    let served = table.served("", "v1", "pods").ok_or(ApiError::NoSuchPath)?;
    let writer = Writer { served: &served, ..Writer::new(state, call, Part::Other("binding"), options) };
    let now = rfc3339_seconds(state.now());
    let annotations = meta::at(binding, &["metadata", "annotations"]).cloned();
    let uid = meta::uid(binding).to_owned();
    writer
        .update(pod, Ownership::Update, |current| {
            let refuse = |message: String| {
                Err(ApiError::Conflict { resource: served.group_resource(), name: pod.to_owned(), message })
            };
            if !uid.is_empty() && uid != meta::uid(current) {
                return refuse(format!(
                    "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                    meta::uid(current)
                ));
            }
            if meta::is_being_deleted(current) {
                return refuse(format!("pod {pod} is being deleted, cannot be assigned to a host"));
            }
            let bound = meta::text(current, &["spec", "nodeName"]);
            if !bound.is_empty() {
                return refuse(format!("pod {pod} is already assigned to node \"{bound}\""));
            }
            let mut object = current.clone();
            meta::set_at(&mut object, &["spec", "nodeName"], Some(node.clone().into()));
            for (key, value) in annotations.as_ref().and_then(Value::as_object).into_iter().flatten() {
                meta::map_at(&mut object, &["metadata", "annotations"]).insert(key.clone(), value.clone());
            }
            let condition =
                json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
            set_condition(&mut object, condition);
            Ok(object)
        })
        .await
}

fn set_condition(object: &mut Value, condition: Value) {
    let status = meta::map_at(object, &["status"]);
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    let Some(list) = conditions.as_array_mut() else { return };
    match list.iter_mut().find(|one| one.get("type") == condition.get("type")) {
        Some(one) => *one = condition,
        None => list.push(condition),
    }
}

/// Deletes a pod as far as its disruption budgets allow.
pub(crate) async fn evict(state: &Arc<State>, call: &Call, eviction: &Value) -> Result<(), ApiError> {
    let served = &call.served;
    let pod = state.read(served, &call.path.namespace, &call.path.name)?.object;
    let empty = Value::Null;
    let mut options = DeleteOptions::read(&call.query, eviction.get("deleteOptions").unwrap_or(&empty))?;
    options.uid.get_or_insert_with(|| meta::uid(&pod).to_owned());
    let is_running = !matches!(meta::text(&pod, &["status", "phase"]), "Succeeded" | "Failed" | "Pending");
    if is_running && !meta::is_being_deleted(&pod) {
        take_from_budgets(state, call, &pod, options.is_dry_run).await?;
    }
    match delete::remove(state, call, &call.path.name, &options).await? {
        Deleted::Gone(_) | Deleted::Marked(_) => Ok(()),
    }
}

async fn take_from_budgets(state: &Arc<State>, call: &Call, pod: &Value, is_dry_run: bool) -> Result<(), ApiError> {
    let table = state.table();
    let Some(served) = table.stored("policy", "poddisruptionbudgets") else { return Ok(()) };
    let budgets = state.list_raw(&served.kind.store, Some(&call.path.namespace));
    let matching: Vec<&Value> = budgets
        .iter()
        .filter(|budget| {
            let selector = meta::at(budget, &["spec", "selector"]).map(LabelSelector::from_object);
            matches!(selector, Some(Ok(selector)) if selector.matches_object(pod))
        })
        .collect();
    let budget = match matching.as_slice() {
        [] => return Ok(()),
        [one] => *one,
        _ => {
            return Err(ApiError::internal(
                "this pod has more than one PodDisruptionBudget, which the eviction subresource does not support",
            ));
        }
    };
    let options = WriteOptions { is_dry_run, ..WriteOptions::own() };
    let writer = Writer { served: &served, ..Writer::new(state, call, Part::Status, &options) };
    let (pod_name, now) = (meta::name(pod).to_owned(), rfc3339_seconds(state.now()));
    writer
        .update(meta::name(budget), Ownership::Update, |current| {
            let allowed =
                meta::at(current, &["status", "disruptionsAllowed"]).and_then(Value::as_i64).unwrap_or_default();
            if allowed < 1 {
                return Err(over_budget(meta::name(current)));
            }
            let mut object = current.clone();
            meta::set_at(&mut object, &["status", "disruptionsAllowed"], Some((allowed - 1).into()));
            meta::map_at(&mut object, &["status", "disruptedPods"]).insert(pod_name.clone(), now.clone().into());
            Ok(object)
        })
        .await
        .map(drop)
}

fn over_budget(budget: &str) -> ApiError {
    ApiError::TooManyRequests {
        message: "Cannot evict pod as it would violate the pod's disruption budget.".to_owned(),
        retry_after_seconds: 10,
        causes: vec![Cause {
            reason: "DisruptionBudget".to_owned(),
            message: format!("The disruption budget {budget} does not allow another disruption now"),
            field: String::new(),
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_follows_requests_and_limits() {
        let pod = |resources: Value| json!({"spec": {"containers": [{"resources": resources}]}});
        let full = json!({"cpu": "1", "memory": "1Gi"});
        assert_eq!(quality_class(&pod(json!({}))), "BestEffort");
        assert_eq!(quality_class(&pod(json!({"requests": {"cpu": "1"}}))), "Burstable");
        assert_eq!(quality_class(&pod(json!({"requests": full, "limits": full}))), "Guaranteed");
        assert_eq!(quality_class(&pod(json!({"limits": {"cpu": "1"}}))), "Burstable");
    }

    #[test]
    fn a_pod_without_a_node_ends_at_once() {
        assert_eq!(grace_period_seconds(&json!({"spec": {}}), None), 0);
        let running = json!({"spec": {"nodeName": "n", "terminationGracePeriodSeconds": 7}});
        assert_eq!(grace_period_seconds(&running, None), 7);
        assert_eq!(grace_period_seconds(&running, Some(2)), 2);
        let ended = json!({"spec": {"nodeName": "n"}, "status": {"phase": "Succeeded"}});
        assert_eq!(grace_period_seconds(&ended, None), 0);
    }
}
