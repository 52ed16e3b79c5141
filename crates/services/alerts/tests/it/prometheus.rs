//! Debian's Prometheus as the sender.

use std::process::{Child, Command, Stdio};

use maru_task::Scope;
use maru_testkit::{TempDir, free_port, wait_for};

use crate::{Ear, PATIENCE, Running, has_program, serve};

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn prometheus_sends_its_alerts_here() {
    if !has_program("prometheus", "prometheus") {
        return;
    }
    let scope = Scope::root("ear");
    let ear = Ear::default();
    let url = serve(&scope, ear.handler()).await;
    let config = format!(
        "route: {{receiver: ops, group_wait: 0s}}\nreceivers: [{{name: ops, webhook_configs: [{{url: '{url}/'}}]}}]\n"
    );
    let running = Running::start(&config).await;
    let folder = TempDir::new();
    let target = running.url.trim_start_matches("http://");
    let rules = "groups: [{name: g, rules: [{alert: Always, expr: 'vector(1)', labels: {severity: page}, annotations: {summary: 'value {{ $value }}'}}]}]\n";
    std::fs::write(folder.join("rules.yml"), rules).unwrap();
    let prometheus = format!(
        "global: {{evaluation_interval: 1s, external_labels: {{cluster: a}}}}\nrule_files: [rules.yml]\nalerting: {{alertmanagers: [{{static_configs: [{{targets: ['{target}']}}]}}]}}\n"
    );
    std::fs::write(folder.join("prometheus.yml"), prometheus).unwrap();
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
        // The first send comes before Prometheus knows its Alertmanagers.
        .arg("--rules.alert.resend-delay=1s")
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{}", free_port()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _prometheus = Program(child);
    let told = wait_for(PATIENCE, "the alert", || async { ear.heard().first().cloned() }).await;
    assert_eq!(told["commonLabels"]["alertname"], "Always");
    assert_eq!((&told["commonLabels"]["cluster"], &told["commonLabels"]["severity"]), (&"a".into(), &"page".into()));
    assert_eq!(told["commonAnnotations"]["summary"], "value 1");
    assert!(told["alerts"][0]["generatorURL"].as_str().unwrap().contains("vector%281%29"), "{told}");
    scope.cancel();
}
