//! The built binary with the clients that people use: its own command line, kubectl, curl, dig.

mod analysis;
mod clients;
mod collect;
#[expect(clippy::print_stdout, reason = "says what was measured")]
mod console;
#[expect(clippy::print_stdout, reason = "a test that is left out says so")]
mod console_pages;
mod demo;
mod document;
mod faults;
mod gates;
mod images;
mod libraries;
mod life;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod metrics;
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod metrics_differential;
// Takes in the runner of scripts beside the language, which uses maru_promql and regex.
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod scripts;
mod slo;
mod spine;
mod streams;
mod traffic;

/// A Deployment that answers HTTP with the pod's name, and a Service before it.
const WEB: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
        - name: web
          image: test/busybox
          imagePullPolicy: IfNotPresent
          command: [sh, -c, "mkdir -p /www && hostname > /www/index.html && echo started && exec httpd -f -p 8080 -h /www"]
          ports: [{name: http, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
"#;
