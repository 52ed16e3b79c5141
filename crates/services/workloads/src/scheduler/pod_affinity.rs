//! Whether a pod may be with, or must be with, the pods that are on the node.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Node, Pod, PodAffinityTerm};

use crate::machinery::{Matcher, MetaExt as _};

/// Returns what the required affinity and anti-affinity of the pod, or of those that are there, has against the node.
pub(crate) fn affinity_problem(
    pod: &Pod,
    node: &Node,
    there: &[&Arc<Pod>],
    namespaces: &[Arc<Namespace>],
) -> Option<String> {
    let problem = |rule: &str| Some(format!("node(s) didn't {rule}"));
    let terms = Terms { node, namespaces };
    let wants = affinity_terms(pod);
    let is_met =
        wants.iter().all(|term| terms.has_domain(term) && there.iter().any(|other| terms.selects(term, pod, other)));
    // The first pod of a group that wants to be together would wait for itself.
    let is_first = wants.iter().all(|term| terms.has_domain(term) && terms.selects(term, pod, pod))
        && !there.iter().any(|other| wants.iter().any(|term| terms.selects(term, pod, other)));
    if !wants.is_empty() && !is_met && !is_first {
        return problem("match pod affinity rules");
    }
    let forbids = |owner: &Pod, other: &Pod| {
        anti_affinity_terms(owner).iter().any(|term| terms.has_domain(term) && terms.selects(term, owner, other))
    };
    if there.iter().any(|other| forbids(pod, other)) {
        return problem("match pod anti-affinity rules");
    }
    if there.iter().any(|other| forbids(other, pod)) {
        return problem("satisfy existing pods anti-affinity rules");
    }
    None
}

fn affinity_terms(pod: &Pod) -> Vec<PodAffinityTerm> {
    let affinity = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()).and_then(|one| one.pod_affinity.as_ref());
    affinity.and_then(|one| one.required_during_scheduling_ignored_during_execution.clone()).unwrap_or_default()
}

fn anti_affinity_terms(pod: &Pod) -> Vec<PodAffinityTerm> {
    let affinity =
        pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()).and_then(|one| one.pod_anti_affinity.as_ref());
    affinity.and_then(|one| one.required_during_scheduling_ignored_during_execution.clone()).unwrap_or_default()
}

struct Terms<'a> {
    node: &'a Node,
    namespaces: &'a [Arc<Namespace>],
}

impl Terms<'_> {
    /// With one node, all pods share each topology domain that the node is labelled with.
    fn has_domain(&self, term: &PodAffinityTerm) -> bool {
        self.node.label(&term.topology_key).is_some()
    }

    fn selects(&self, term: &PodAffinityTerm, owner: &Pod, other: &Pod) -> bool {
        let named = term.namespaces.as_deref().unwrap_or_default();
        let in_namespace = match &term.namespace_selector {
            Some(selector) => {
                let matcher = Matcher::new(selector);
                let of_other = self.namespaces.iter().find(|namespace| namespace.name() == other.namespace());
                of_other.is_some_and(|namespace| matcher.matches(namespace.label_map()))
                    || named.iter().any(|name| name == other.namespace())
            }
            None if named.is_empty() => other.namespace() == owner.namespace(),
            None => named.iter().any(|name| name == other.namespace()),
        };
        in_namespace
            && term.label_selector.as_ref().is_some_and(|selector| Matcher::new(selector).matches(other.label_map()))
    }
}
