//! Services, names, and what comes in through the gateway.

use maru_tests::{System, can_run};

use super::WEB;

#[test]
fn names_and_addresses_work_from_inside_a_pod() {
    if !can_run(&["busybox", "nft"]) {
        return;
    }
    let system = System::start();
    system.apply(WEB);
    system.maru(&["wait", "deploy/web"]);
    // busybox's wget is broken in some distributions: the request is made by hand.
    let ask = |target: &str| {
        let script = format!("printf 'GET / HTTP/1.0\\r\\nHost: x\\r\\n\\r\\n' | nc -w 5 {target} 80 | tail -1");
        system.maru(&["exec", "deploy/web", "--", "sh", "-c", &script])
    };
    for name in ["web", "web.default", "web.default.svc.cluster.local"] {
        assert!(ask(name).starts_with("web-"), "{name}");
    }
    let names = system.maru(&["exec", "deploy/web", "--", "nslookup", "kubernetes.default.svc.cluster.local"]);
    assert!(names.contains("10.96.0.1"), "{names}");
    let missing = system.try_maru(&["exec", "deploy/web", "--", "nslookup", "nobody.default.svc.cluster.local"]);
    assert!(!missing.status.success());
    // The API answers on its Service address with the account of the pod.
    let script =
        "printf x | nc -w 5 kubernetes.default.svc 443 > /dev/null && ls /var/run/secrets/kubernetes.io/serviceaccount";
    let account = system.maru(&["exec", "deploy/web", "--", "sh", "-c", script]);
    assert!(account.contains("token") && account.contains("ca.crt"), "{account}");
}

#[test]
fn traffic_comes_in_by_ingress_and_moves_on_without_a_failed_request() {
    if !can_run(&["busybox", "nft", "curl"]) {
        return;
    }
    let system = System::start();
    system.apply(WEB);
    system.apply(
        r#"
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  ingressClassName: maru
  rules:
    - host: web.localhost
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}
"#,
    );
    system.maru(&["wait", "deploy/web"]);
    let ask = || system.http("http://127.0.0.1:8080/", &["-H", "Host: web.localhost"]);
    system.wait("the gateway to answer", || ask().0 == 200);
    assert_eq!(system.http("http://127.0.0.1:8080/", &["-H", "Host: other.localhost"]).0, 404);
    system.maru(&["--json", "get", "ingress", "web"]);
    let restart = r#"{"spec":{"template":{"metadata":{"annotations":{"restarted":"1"}}}}}"#;
    if can_run(&["kubectl"]) {
        system.kubectl(&["patch", "deployment", "web", "--type=merge", "-p", restart]);
        let mut failed = Vec::new();
        system.wait("the rollout", || {
            let (status, body) = ask();
            if status != 200 {
                failed.push((status, body));
            }
            system
                .try_kubectl(&["rollout", "status", "deployment/web", "--watch=false"])
                .stdout
                .starts_with(b"deployment \"web\" successfully")
        });
        assert!(failed.is_empty(), "{failed:?}");
    }
}
