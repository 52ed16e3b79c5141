//! Volumes, variables and identities.

use serde_json::json;

use crate::host::{on_machine, sh};

fn config_map(value: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"key": value, "other": "o"}})
}

#[test]
fn changed_config_maps_reach_a_running_container() {
    on_machine(async |machine| {
        machine.make(config_map("one")).await;
        let mut one = sh("a", "while true; do echo now $(cat /etc/settings/key); sleep 0.2; done");
        one["volumeMounts"] = json!([{"name": "settings", "mountPath": "/etc/settings"}]);
        machine
            .create(
                "live",
                json!({"containers": [one], "volumes": [{"name": "settings", "configMap": {"name": "settings"}}]}),
            )
            .await;
        machine.wait_log("live", "a", "now one\n").await;
        machine.make(config_map("two")).await;
        machine.wait_log("live", "a", "now two\n").await;
    });
}

#[test]
fn every_kind_of_volume_and_variable_arrives() {
    on_machine(async |machine| {
        machine.make(config_map("one")).await;
        machine
            .make(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}, "stringData": {"user": "shop", "password": "secret"}}))
            .await;
        let host_directory = machine.directory.join("host");
        std::fs::create_dir_all(&host_directory).unwrap();
        std::fs::write(host_directory.join("file"), "from the host").unwrap();
        let script = "env | grep -E '^(FROM_|KEY|POD|IP|MEM|DOUBLE|KUBERNETES_SERVICE_PORT)' | while read l; do echo env $l; done; \
             echo secret $(cat /s/user); echo sub $(cat /sub); echo host $(cat /host/file); echo labels $(cat /all/labels); \
             echo map $(cat /all/o); echo token $(cat /var/run/secrets/kubernetes.io/serviceaccount/token | wc -c); \
             echo ns $(cat /var/run/secrets/kubernetes.io/serviceaccount/namespace); \
             echo x > /mem/x && echo mem ok; touch /host/new 2>/dev/null || echo host read-only; echo arg $0";
        let one = json!({
            "name": "a", "command": ["sh", "-c", script, "$(KEY)!"],
            "resources": {"limits": {"memory": "32Mi"}},
            "envFrom": [{"prefix": "FROM_", "secretRef": {"name": "login"}}],
            "env": [
                {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "key"}}},
                {"name": "DOUBLE", "value": "$(KEY)$(KEY)"},
                {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
            ],
            "volumeMounts": [
                {"name": "s", "mountPath": "/s"}, {"name": "s", "mountPath": "/sub", "subPath": "password"},
                {"name": "host", "mountPath": "/host", "readOnly": true}, {"name": "all", "mountPath": "/all"},
                {"name": "mem", "mountPath": "/mem"},
            ],
        });
        let volumes = json!([
            {"name": "s", "secret": {"secretName": "login"}},
            {"name": "host", "hostPath": {"path": host_directory, "type": "Directory"}},
            {"name": "mem", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            {"name": "all", "projected": {"sources": [
                {"configMap": {"name": "settings", "items": [{"key": "other", "path": "o"}]}},
                {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
            ]}},
        ]);
        machine.create("full", json!({"restartPolicy": "Never", "containers": [one], "volumes": volumes})).await;
        let pod = machine.wait_phase("full", "Succeeded").await;
        let logs = machine.logs("full", "a", "").await;
        let address = pod.status.unwrap().pod_ip.unwrap();
        for line in [
            "env FROM_user=shop",
            "env FROM_password=secret",
            "env KEY=one",
            "env DOUBLE=oneone",
            "env POD=full",
            &format!("env IP={address}"),
            "env MEM=32",
            "secret shop",
            "sub secret",
            "host from the host",
            "labels app=\"full\"",
            "map o",
            "ns default",
            "mem ok",
            "host read-only",
            "arg one!",
        ] {
            assert!(logs.lines().any(|found| found == line), "{line:?} in\n{logs}");
        }
        let token = logs.lines().find_map(|line| line.strip_prefix("token ")).unwrap();
        assert!(token.parse::<u32>().unwrap() > 100, "{logs}");
    });
}

#[test]
fn users_groups_and_limits_are_as_written() {
    on_machine(async |machine| {
        let mut one = sh(
            "a",
            "id; touch /data/x && stat -c '%u:%g' /data/x; touch /x 2>/dev/null || echo read-only; grep NoNewPrivs /proc/self/status; ls -ld /data",
        );
        one["securityContext"] = json!({"readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false});
        one["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
        let spec = json!({
            "restartPolicy": "Never",
            "securityContext": {"runAsUser": 1234, "runAsGroup": 2345, "runAsNonRoot": true, "fsGroup": 3456, "supplementalGroups": [77]},
            "containers": [one], "volumes": [{"name": "data", "emptyDir": {}}],
        });
        machine.create("safe", spec).await;
        machine.wait_phase("safe", "Succeeded").await;
        let logs = machine.logs("safe", "a", "").await;
        for text in ["uid=1234 gid=2345 groups=", "3456", "77", "1234:3456\n", "read-only\n", "NoNewPrivs:\t1\n"] {
            assert!(logs.contains(text), "{text:?} in\n{logs}");
        }
    });
}

#[test]
fn a_claim_is_waited_for_and_its_data_outlives_the_pod() {
    on_machine(async |machine| {
        let path = machine.directory.join("volume");
        let claim = |phase: &str| {
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "volumeName": "pv", "resources": {"requests": {"storage": "1Gi"}}},
                "status": {"phase": phase}})
        };
        let pod = |script: &str| {
            let mut one = sh("a", script);
            one["volumeMounts"] = json!([{"name": "data", "mountPath": "/data"}]);
            json!({"restartPolicy": "Never", "containers": [one],
                   "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]})
        };
        machine.create("first", pod("echo kept > /data/x")).await;
        machine.wait("first", "waiting", |_| true).await;
        let volume: k8s_openapi::api::core::v1::PersistentVolume = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv"},
            "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": path, "type": "DirectoryOrCreate"}},
        }))
        .unwrap();
        kube::Api::all(machine.client.clone()).create(&kube::api::PostParams::default(), &volume).await.unwrap();
        machine.make(claim("Pending")).await;
        let claims: kube::Api<k8s_openapi::api::core::v1::PersistentVolumeClaim> =
            kube::Api::namespaced(machine.client.clone(), "default");
        let bound = kube::api::Patch::Merge(json!({"status": {"phase": "Bound"}}));
        claims.patch_status("data", &kube::api::PatchParams::default(), &bound).await.unwrap();
        machine.wait_phase("first", "Succeeded").await;
        machine.create("second", pod("cat /data/x")).await;
        machine.wait_phase("second", "Succeeded").await;
        assert_eq!(machine.logs("second", "a", "").await, "kept\n");
    });
}
