//! CPU of the proxy for 100,000 requests of 1 KB, beside nginx, before the same upstream and under the same load.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use maru_benches::{Row, cpu_seconds};
use maru_tests::System;

const REQUESTS_UNIT: f64 = 100_000.0;

pub(super) fn run() -> Vec<Row> {
    if maru_tests::find_program("nginx").is_none() || maru_tests::find_program("wrk").is_none() {
        return Vec::new();
    }
    let system = System::start();
    let upstream = nginx(&system, "upstream", "return 200 $body;", "listen 10.42.0.1:9000;");
    let proxy = nginx(
        &system,
        "proxy",
        "proxy_pass http://upstream; proxy_http_version 1.1; proxy_set_header Connection '';",
        "listen 127.0.0.1:9001;",
    );
    system.apply(ROUTE);
    system.wait("the gateway to answer", || {
        system.http("http://127.0.0.1:8080/", &["-H", "Host: bench.localhost"]).0 == 200
    });
    let measure = |url: &str, pid: u32| {
        let before = cpu_seconds(pid);
        let script = ["-t1", "-c64", "-d10s", "-H", "Host: bench.localhost", url];
        let mut command = Command::new("wrk");
        command.args(script).stdin(Stdio::null()).stdout(Stdio::piped());
        let output = system.host().spawn(&mut command).wait_with_output().expect("wrk runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find(|line| line.contains("requests in")).unwrap_or_default();
        let requests: f64 = line.split_whitespace().next().and_then(|count| count.parse().ok()).unwrap_or(f64::NAN);
        (cpu_seconds(pid) - before) / requests * REQUESTS_UNIT
    };
    let nginx_worker = worker_of(proxy.0.id());
    // Once to warm up, then by turns.
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for round in 0..3 {
        let (one, other) =
            (measure("http://127.0.0.1:8080/", system.server_pid()), measure("http://127.0.0.1:9001/", nginx_worker));
        if round > 0 {
            ours.push(one);
            theirs.push(other);
        }
    }
    let mean = |figures: &[f64]| figures.iter().sum::<f64>() / f64::from(u32::try_from(figures.len()).unwrap_or(1));
    drop((upstream, proxy));
    vec![Row {
        what: "gateway CPU seconds for 100k requests of 1 KB, metrics and access log on".to_owned(),
        maru: mean(&ours),
        peer: Some(("nginx (no log)".to_owned(), mean(&theirs))),
        budget: "3.2".to_owned(),
    }]
}

const ROUTE: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: bench}
spec: {ports: [{name: http, port: 80, targetPort: 9000}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: bench, labels: {kubernetes.io/service-name: bench}}
addressType: IPv4
ports: [{name: http, port: 9000, protocol: TCP}]
endpoints: [{addresses: [10.42.0.1], conditions: {ready: true}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: bench}
spec:
  ingressClassName: maru
  rules:
    - host: bench.localhost
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: bench, port: {name: http}}}}]}
"#;

struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        // A killed master would leave its worker behind.
        let master = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap_or(0));
        nix::sys::signal::kill(master, nix::sys::signal::Signal::SIGTERM).unwrap_or_default();
        drop(self.0.wait());
    }
}

fn nginx(system: &System, name: &str, location: &str, listen: &str) -> Nginx {
    let body = "x".repeat(1000);
    let folder = system.folder().join(name);
    let path = folder.to_string_lossy().into_owned();
    let configuration = format!(
        "daemon off; master_process on; worker_processes 1; pid {path}/pid; error_log {path}/error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;\n\
         fastcgi_temp_path {path}/fastcgi; uwsgi_temp_path {path}/uwsgi; scgi_temp_path {path}/scgi;\n\
         map $host $body {{ default '{body}'; }}\n\
         upstream upstream {{ server 10.42.0.1:9000; keepalive 128; keepalive_requests 1000000; }}\n\
         server {{ {listen} location / {{ {location} }} }} }}\n"
    );
    let file = system.folder().write(format!("{name}/nginx.conf"), configuration);
    let mut command = Command::new("nginx");
    command.args(["-c", &file.to_string_lossy(), "-e", &format!("{path}/error.log")]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = system.host().spawn(&mut command);
    std::thread::sleep(Duration::from_millis(500));
    Nginx(child)
}

/// Returns the only worker of an nginx.
fn worker_of(master: u32) -> u32 {
    let children = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children")).unwrap_or_default();
    children.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("nginx has a worker")
}
