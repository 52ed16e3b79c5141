//! Which built-in kind has which columns.

use super::{Column, network, pod, policy, storage, workload};

/// Returns the columns of a built-in kind; kinds without columns of their own show name and age.
pub(super) fn of_kind(group: &str, kind: &str) -> Option<Vec<Column>> {
    let columns = match (group, kind) {
        ("", "Pod") => pod::columns(),
        ("", "PodTemplate") => workload::pod_template(),
        ("", "ReplicationController") => workload::replication_controller(),
        ("", "Service") => network::service(),
        ("", "Endpoints") => network::endpoints(),
        ("", "Node") => network::node(),
        ("", "Namespace") => policy::namespace(),
        ("", "Secret") => storage::secret(),
        ("", "ConfigMap") => storage::config_map(),
        ("", "ServiceAccount") => policy::service_account(),
        ("", "PersistentVolume") => storage::persistent_volume(),
        ("", "PersistentVolumeClaim") => storage::persistent_volume_claim(),
        ("", "ResourceQuota") => policy::resource_quota(),
        ("", "Event") | ("events.k8s.io", "Event") => policy::event(),
        ("", "LimitRange")
        | ("rbac.authorization.k8s.io", "Role" | "ClusterRole")
        | ("apiextensions.k8s.io", "CustomResourceDefinition") => policy::created_at(),
        ("apps", "Deployment") => workload::deployment(),
        ("apps", "ReplicaSet") => workload::replica_set(),
        ("apps", "StatefulSet") => workload::stateful_set(),
        ("apps", "DaemonSet") => workload::daemon_set(),
        ("apps", "ControllerRevision") => workload::controller_revision(),
        ("batch", "Job") => workload::job(),
        ("batch", "CronJob") => workload::cron_job(),
        ("autoscaling", "HorizontalPodAutoscaler") => workload::horizontal_pod_autoscaler(),
        ("autoscaling", "Scale") => workload::scale(),
        ("networking.k8s.io", "Ingress") => network::ingress(),
        ("networking.k8s.io", "IngressClass") => network::ingress_class(),
        ("networking.k8s.io", "NetworkPolicy") => network::network_policy(),
        ("discovery.k8s.io", "EndpointSlice") => network::endpoint_slice(),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => policy::role_binding(),
        ("policy", "PodDisruptionBudget") => policy::pod_disruption_budget(),
        ("scheduling.k8s.io", "PriorityClass") => policy::priority_class(),
        ("node.k8s.io", "RuntimeClass") => policy::runtime_class(),
        ("coordination.k8s.io", "Lease") => policy::lease(),
        ("storage.k8s.io", "StorageClass") => storage::storage_class(),
        ("storage.k8s.io", "VolumeAttachment") => storage::volume_attachment(),
        ("storage.k8s.io", "CSINode") => storage::csi_node(),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration") => {
            policy::webhook_configuration()
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => policy::admission_policy(),
        ("apiregistration.k8s.io", "APIService") => policy::api_service(),
        ("certificates.k8s.io", "CertificateSigningRequest") => policy::certificate_signing_request(),
        _ => return None,
    };
    Some(columns)
}
