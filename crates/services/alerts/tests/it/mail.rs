//! Mail to a real SMTP server: aiosmtpd.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use maru_auth::{CertificateAuthority, ServerNames};
use maru_testkit::{TempDir, free_port, wait_for, wait_until};
use maru_time::{Clock, Timestamp};
use serde_json::{Value as Json, json};

use crate::{PATIENCE, Running, has_program};

struct MailServer {
    child: Child,
    port: u16,
    mails: Arc<Mutex<Vec<Json>>>,
    folder: TempDir,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl MailServer {
    fn start(mode: &str, without: &str) -> Self {
        let folder = TempDir::new();
        let authority = CertificateAuthority::load_or_create(&folder.join("ca"), maru_time::system_clock()).unwrap();
        let names = ServerNames { dns: vec!["localhost".to_owned()], ips: vec!["127.0.0.1".parse().unwrap()] };
        let pair = authority.issue_server(&names).unwrap();
        std::fs::write(folder.join("ca.crt"), authority.certificate_pem()).unwrap();
        std::fs::write(folder.join("tls.crt"), pair.certificate_pem).unwrap();
        std::fs::write(folder.join("tls.key"), pair.key_pem.reveal()).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/smtp.py");
        let mut child = Command::new("/usr/bin/python3")
            .args([script, mode])
            .args([folder.join("tls.crt"), folder.join("tls.key")])
            .arg(without)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let held = Arc::clone(&mails);
        // Ends with the child's output.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                held.lock().unwrap_or_else(PoisonError::into_inner).push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, port, mails, folder }
    }

    async fn mail(&self, number: usize) -> Json {
        wait_for(PATIENCE, "a mail", || async {
            self.mails.lock().unwrap_or_else(PoisonError::into_inner).get(number).cloned()
        })
        .await
    }
}

fn config(server: &MailServer, more: &str) -> String {
    format!(
        "
global: {{smtp_smarthost: 'localhost:{}', smtp_from: 'Maru <maru@example.org>', smtp_tls_config: {{ca_file: '{}'}}}}
route: {{receiver: ops, group_wait: 0s, group_by: [alertname]}}
receivers:
  - name: ops
    email_configs:
      - to: 'ops@example.org, \"Kim, 지수\" <kim@example.org>'
        headers: {{Subject: '알림: {{{{ .CommonLabels.alertname }}}}', X-Team: db}}
        text: '{{{{ range .Alerts }}}}- {{{{ .Labels.alertname }}}}{{{{ end }}}}'
        threading: {{enabled: true}}
        {more}
",
        server.port,
        server.folder.join("ca.crt").display()
    )
}

/// The machine's clock, and what a test puts on top.
#[derive(Debug, Default)]
struct MovedClock(std::sync::atomic::AtomicI64);

impl MovedClock {
    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        let ahead = self.0.load(std::sync::atomic::Ordering::SeqCst);
        let now = maru_time::system_clock().now();
        Timestamp::from_millisecond(now.as_millisecond() + ahead * 1000).unwrap()
    }
}

#[tokio::test]
async fn a_mail_server_that_is_away_for_an_hour_gets_each_mail_once() {
    if !can_run() {
        return;
    }
    let server = MailServer::start("plain", "");
    let port = free_port();
    let clock = Arc::new(MovedClock::default());
    // Nobody listens where mail goes.
    let text = config(&server, "require_tls: false").replace(&server.port.to_string(), &port.to_string());
    let text = text.replace("group_wait: 0s,", "group_wait: 0s, group_interval: 2s,");
    let running = Running::start_in(TempDir::new(), &text, |options| options.clock = clock.clone()).await;
    let attempts = async || {
        let (_, traces) = running.get("/api/v2/alerts/traces").await;
        let of = |trace: &Json| trace["decisions"].as_array().cloned().unwrap_or_default();
        let decisions: Vec<Json> = traces.as_array().unwrap().iter().flat_map(of).collect();
        decisions
            .iter()
            .flat_map(|decision| decision["integrations"][0]["attempts"].as_array().cloned().unwrap_or_default())
            .count()
    };
    for tried in 0..2 {
        running.fire(&[json!({"alertname": "away"})]).await;
        wait_until(PATIENCE, "an attempt", || async { attempts().await > tried }).await;
        clock.advance(1800);
    }
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let to = server.port;
    let scope = running.scope.clone();
    drop(running.scope.spawn_until_cancelled("forward", async move {
        loop {
            let (mut from, _) = listener.accept().await.unwrap();
            drop(scope.spawn_until_cancelled("connection", async move {
                let mut to = tokio::net::TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
            }));
        }
    }));
    running.fire(&[json!({"alertname": "away"})]).await;
    let mail = server.mail(0).await;
    assert!(mail["content"].as_str().unwrap().contains("Subject: "), "{mail}");
    // Said again and again, within the time after which it would be repeated: no second mail; another alert's mail is the next.
    for _ in 0..5 {
        clock.advance(120);
        running.fire(&[json!({"alertname": "away"})]).await;
    }
    running.fire(&[json!({"alertname": "next", "severity": "page"})]).await;
    server.mail(1).await;
    let count = server.mails.lock().unwrap_or_else(PoisonError::into_inner).len();
    assert_eq!(count, 2);
    running.kill();
}

fn can_run() -> bool {
    has_program("aiosmtpd", "python3-aiosmtpd")
}

#[tokio::test]
async fn mail_goes_by_starttls_with_text_and_html() {
    if !can_run() {
        return;
    }
    let server = MailServer::start("starttls", "");
    let running = Running::start(&config(&server, "auth_username: user\n        auth_password: pass word")).await;
    running.fire(&[json!({"alertname": "디스크 <full>"})]).await;
    let mail = server.mail(0).await;
    assert_eq!(
        (&mail["from"], &mail["to"]),
        (&json!("maru@example.org"), &json!(["ops@example.org", "kim@example.org"]))
    );
    assert_eq!((&mail["tls"], &mail["authenticated"]), (&json!(true), &json!(true)));
    let content = mail["content"].as_str().unwrap();
    for part in [
        "From: \"Maru\" <maru@example.org>\r\n",
        "To: <ops@example.org>, =?utf-8?B?",
        "Subject: =?utf-8?B?",
        "X-Team: db\r\n",
        "References: <alert-",
        "Content-Type: multipart/alternative; boundary=",
        "Content-Type: text/plain; charset=UTF-8\r\n",
        "Content-Type: text/html; charset=UTF-8\r\n",
    ] {
        assert!(content.contains(part), "{part}\n{content}");
    }
    // What the alert says is escaped in HTML.
    use base64::Engine as _;
    let html = content.rsplit("\r\n\r\n").next().unwrap();
    let html: String = html.lines().take_while(|line| !line.starts_with("--")).collect();
    let html = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(html).unwrap()).unwrap();
    assert!(html.contains("디스크 &lt;full&gt;") && !html.contains("<full>"), "{html}");
}

#[tokio::test]
async fn the_other_ways_to_say_who_one_is_work_too() {
    if !can_run() {
        return;
    }
    let table = [
        ("starttls", "PLAIN", "auth_username: user\n        auth_password: pass word"),
        ("implicit", "", "auth_username: user\n        auth_password: pass word\n        force_implicit_tls: true"),
        ("plain", "", "require_tls: false"),
    ];
    for (mode, without, more) in table {
        let server = MailServer::start(mode, without);
        let running = Running::start(&config(&server, more)).await;
        running.fire(&[json!({"alertname": "a"})]).await;
        let mail = server.mail(0).await;
        assert_eq!(mail["authenticated"] == true, more.contains("auth_username"), "{mode}");
    }
}

#[tokio::test]
async fn what_a_mail_server_refuses_is_told() {
    if !can_run() {
        return;
    }
    let table = [
        ("plain", "", "does not offer STARTTLS"),
        ("starttls", "auth_username: user\n        auth_password: wrong", "AUTH LOGIN: 535"),
    ];
    for (mode, more, expected) in table {
        let server = MailServer::start(mode, "");
        let running = Running::start(&config(&server, more)).await;
        running.fire(&[json!({"alertname": "a"})]).await;
        let answer = wait_for(PATIENCE, "a refusal", || async {
            let (_, traces) = running.get("/api/v2/alerts/traces").await;
            traces[0]["decisions"][0]["integrations"][0]["attempts"][0]["answer"].as_str().map(str::to_owned)
        })
        .await;
        assert!(answer.contains(expected), "{answer}");
    }
}
