//! Probes of real servers.

use tokio::io::AsyncWriteExt as _;

use super::*;

async fn probe(running: &Running, module: &str, target: &str) -> String {
    let (status, text) = running.ask("/probe", &[("module", module), ("target", target)]).await;
    assert_eq!(status, 200, "{module} {target}: {text}");
    text.as_str().unwrap().to_owned()
}

fn has(text: &str, line: &str) {
    assert!(text.lines().any(|one| one == line), "{line}\n{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_looked_at_from_outside() {
    let folder = TempDir::new();
    let authority = CertificateAuthority::load_or_create(folder.path(), maru_time::system_clock()).unwrap();
    let secured = Running::with_tls(|_| {}, Some(authority.clone())).await;
    std::fs::write(folder.join("ca.pem"), authority.certificate_pem()).unwrap();
    let modules = folder.join("blackbox.yml");
    std::fs::write(
        &modules,
        "modules:\n  own: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, tls_config: {ca_file: ca.pem}, fail_if_not_ssl: true, fail_if_body_not_matches_regexp: [healthy]}}\n  \
         strict: {prober: http, http: {valid_status_codes: [204]}}\n  banner: {prober: tcp, timeout: 2s, tcp: {query_response: [{expect: '^HELLO (.*)', send: 'bye ${1}'}]}}\n  \
         tcp: {prober: tcp}\n  http_2xx: {prober: http}\n  ping: {prober: icmp, timeout: 2s}\n",
    )
    .unwrap();
    let running = Running::with(|options| options.collect.probe_file = Some(modules)).await;
    let text = probe(&running, "own", &format!("{}/-/healthy", secured.url)).await;
    for line in [
        "probe_success 1",
        "probe_http_status_code 200",
        "probe_http_ssl 1",
        "probe_failed_due_to_regex 0",
        "probe_tls_version_info{version=\"TLS 1.3\"} 1",
        "probe_ip_protocol 4",
    ] {
        has(&text, line);
    }
    assert!(text.contains("probe_ssl_earliest_cert_expiry 1") && text.contains("phase=\"tls\""), "{text}");
    // Nobody trusts that authority by default.
    has(&probe(&running, "http_2xx", &secured.url).await, "probe_success 0");
    has(&probe(&running, "", &format!("{}/-/healthy", running.url)).await, "probe_success 1");
    has(&probe(&running, "strict", &format!("{}/-/healthy", running.url)).await, "probe_success 0");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(running.scope.spawn_until_cancelled("banner", async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            drop(socket.write_all(b"noise\r\nHELLO world\r\n").await);
        }
    }));
    has(&probe(&running, "banner", &address).await, "probe_success 1");
    has(&probe(&running, "tcp", &address).await, "probe_success 1");
    has(&probe(&running, "tcp", "127.0.0.1:1").await, "probe_success 0");
    let ping = probe(&running, "ping", "127.0.0.1").await;
    // A machine may allow nobody to ping.
    assert!(ping.contains("probe_success"), "{ping}");
    let (status, answer) = running.ask("/probe", &[("module", "none"), ("target", "x")]).await;
    assert_eq!(status, 400, "{answer}");
    running.stop().await;
    secured.stop().await;
}
