//! The console of the built binary: what it prints, what a browser gets, and what of a real pod comes through it.

use std::process::{Child, Command, Stdio};

use futures::{SinkExt as _, StreamExt as _};
use maru_tests::{PATIENCE, System, can_run};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

const SITE: &str = "http://console.localhost:7080";

/// A pod that says something twice a second, and whose shell can be used.
const TALKER: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: talker
      image: test/busybox
      imagePullPolicy: IfNotPresent
      command: [sh, -c, "i=0; while true; do echo line $i; i=$((i + 1)); sleep 0.5; done"]
"#;

type Socket = WebSocketStream<TcpStream>;

/// A browser's cookie.
struct Browser<'a> {
    system: &'a System,
    cookie: String,
}

impl<'a> Browser<'a> {
    /// Opens a login link.
    fn login(system: &'a System, link: &str) -> Self {
        let (status, answer) = system.http(link, &["-i"]);
        assert_eq!(status, 303, "{answer}");
        let set = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("a cookie");
        Self { system, cookie: set.split(';').next().expect("its name and value").to_owned() }
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.system.http(&format!("{SITE}{path}"), &["-H", &format!("Cookie: {}", self.cookie)])
    }

    fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// Opens a WebSocket as the page does. Runs on the system's host.
    async fn socket(&self, path: &str, protocol: Option<&str>) -> Socket {
        let mut request = format!("ws://console.localhost:7080{path}").into_client_request().expect("an address");
        let headers =
            [("cookie", Some(self.cookie.as_str())), ("origin", Some(SITE)), ("sec-websocket-protocol", protocol)];
        for (name, value) in headers {
            if let Some(value) = value {
                request.headers_mut().insert(name, value.parse().expect("a header's value"));
            }
        }
        let stream = TcpStream::connect("127.0.0.1:7080").await.expect("the console listens");
        tokio_tungstenite::client_async(request, stream).await.expect("a WebSocket").0
    }
}

async fn next(socket: &mut Socket) -> Message {
    let message = async {
        loop {
            let message = socket.next().await.expect("a message").expect("a whole one");
            if !matches!(message, Message::Ping(_) | Message::Pong(_)) {
                return message;
            }
        }
    };
    tokio::time::timeout(PATIENCE, message).await.expect("a message in time")
}

/// Returns the link that the last start printed.
fn greeting(system: &System) -> String {
    let log = system.server_log();
    let link =
        log.lines().filter_map(|line| line.trim().strip_prefix("console ")).rfind(|line| line.contains("/login?code="));
    link.unwrap_or_else(|| panic!("no link was printed:\n{log}")).trim().to_owned()
}

#[test]
fn a_browser_logs_in_and_sees_what_the_pods_do() {
    if !can_run(&["busybox", "nft", "curl"]) {
        return;
    }
    let mut system = System::start();
    starts_soon(&system);
    system.apply(TALKER);
    let link = greeting(&system);
    let admin = Browser::login(&system, &link);
    assert_eq!(system.http(&link, &[]).0, 403, "a link works once");
    let session = admin.json("/console/v1/session");
    assert_eq!(session["user"], "maru-admin");
    assert_eq!(session["rooms"]["prometheus"], "/prometheus", "{session}");
    assert!(admin.json("/prometheus/api/v1/query?query=1")["data"]["result"][1] == "1");
    assert!(admin.json("/alertmanager/api/v2/status")["config"].is_object());
    let (status, page) = system.http(SITE, &["-H", "Accept: text/html"]);
    assert_eq!(status, 200);
    assert!(page.contains("<div id=\"root\">") || page.contains("make console"), "{page}");
    a_viewer_gets_the_answers_of_kubectl(&system);
    system.maru(&["wait", "pod/talker"]);
    system.host().block_on(async {
        events_logs_and_commands_come_through(&admin).await;
    });
    the_end_of_a_session_ends_its_commands(&system, &admin);
    pages_take_little_memory(&system);
    a_restart_keeps_sessions_and_others_get_tls(&mut system);
}

/// The room's own part of a start is small.
fn starts_soon(system: &System) {
    let log = system.server_log();
    let at = |step: &str| -> f64 {
        let line =
            log.lines().find(|line| line.contains(&format!(" ms  {step} "))).unwrap_or_else(|| panic!("{step}: {log}"));
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("milliseconds")
    };
    let took = at("console") - at("gateway");
    println!("the console starts in {took} ms");
    assert!(took < 1000.0, "{log}");
}

fn a_viewer_gets_the_answers_of_kubectl(system: &System) {
    system.apply(
        r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: viewers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: viewers}]
"#,
    );
    let printed = system.maru(&["console", "link", "--user", "kim", "--group", "viewers"]);
    let kim = Browser::login(system, printed.trim());
    assert_eq!(kim.get("/api/v1/namespaces/default/pods").0, 200);
    let rooms = &kim.json("/console/v1/session")["rooms"];
    assert!(rooms["prometheus"].is_null() && rooms["alertmanager"].is_null(), "{rooms}");
    let (status, answer) = kim.get("/api/v1/nodes");
    assert_eq!(status, 403, "{answer}");
    let refusal: Value = serde_json::from_str(&answer).expect("a Status");
    if maru_tests::find_program("kubectl").is_some() {
        let output = system.try_kubectl(&["--as", "kim", "--as-group", "viewers", "get", "nodes"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(refusal["message"].as_str().expect("a message")), "{said} {answer}");
    }
    let refused = system.refused(&["console", "link", "--user", "system:maru:node"]);
    assert!(refused.contains("a part of Maru itself"), "{refused}");
}

async fn events_logs_and_commands_come_through(admin: &Browser<'_>) {
    let mut watch = admin.socket("/api/v1/namespaces/default/pods?watch=true&as=table", None).await;
    let event: Value = serde_json::from_str(next(&mut watch).await.to_text().expect("text")).expect("an event");
    assert_eq!((&event["type"], &event["object"]["kind"]), (&"ADDED".into(), &"Table".into()), "{event}");

    let mut log = admin.socket("/api/v1/namespaces/default/pods/talker/log?follow=true", None).await;
    let mut text = String::new();
    while text.matches("line ").count() < 3 {
        text.push_str(next(&mut log).await.to_text().expect("text"));
    }
    assert!(text.starts_with("line 0\nline 1\n"), "{text}");

    let path = "/api/v1/namespaces/default/pods/talker/exec?command=sh&stdin=true&stdout=true&stderr=true&tty=true";
    let mut shell = admin.socket(path, Some("v5.channel.k8s.io")).await;
    shell.send(Message::binary(b"\x04{\"Width\":80,\"Height\":24}".to_vec())).await.expect("the window's size");
    shell.send(Message::binary(b"\x00echo $((40 + 2)); exit 7\n".to_vec())).await.expect("a command");
    let (mut output, mut status) = (Vec::new(), Value::Null);
    while status.is_null() {
        let data = next(&mut shell).await.into_data();
        match data.split_first() {
            Some((1, bytes)) => output.extend_from_slice(bytes),
            Some((3, bytes)) => status = serde_json::from_slice(bytes).expect("a Status"),
            _ => {}
        }
    }
    let output = String::from_utf8_lossy(&output).into_owned();
    assert!(output.contains("42\r\n"), "{output}");
    assert_eq!(status["details"]["causes"][0]["message"], "7", "{status}");
}

/// A command of a session ends with it, in the pod as well.
fn the_end_of_a_session_ends_its_commands(system: &System, admin: &Browser<'_>) {
    let path =
        "/api/v1/namespaces/default/pods/talker/exec?command=sleep&command=54321&stdin=true&stdout=true&tty=true";
    let other = Browser::login(system, system.maru(&["console", "link"]).trim());
    let sessions = system.maru(&["console", "sessions"]);
    assert_eq!(sessions.matches("maru-admin").count(), 2, "{sessions}");
    let runs = || system.try_maru(&["exec", "talker", "--", "sh", "-c", "ps | grep '[s]leep 54321'"]).status.success();
    system.host().block_on(async {
        let mut shell = other.socket(path, Some("v5.channel.k8s.io")).await;
        shell.send(Message::binary(b"\x00".to_vec())).await.expect("it runs");
        let list = other.json("/console/v1/sessions");
        let id =
            list["items"].as_array().into_iter().flatten().find(|one| one["current"] == true).expect("its own")["id"]
                .clone();
        maru_testkit::wait_until(PATIENCE, "the command to run", async || runs()).await;
        system.maru(&["console", "logout", id.as_str().expect("an id")]);
        let end = tokio::time::timeout(PATIENCE, async {
            while let Some(Ok(message)) = shell.next().await {
                if message.is_close() {
                    break;
                }
            }
        });
        end.await.expect("the session's end cuts the connection");
    });
    system.wait("the command to end in the pod", || !runs());
    assert_eq!(other.get("/console/v1/session").0, 401);
    assert_eq!(admin.get("/console/v1/session").0, 200);
}

/// Bytes of memory that a process holds.
fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().expect("a number") * 1024
}

/// An open page: what it is live about, and one request now and then.
fn pages_take_little_memory(system: &System) {
    const PAGES: u64 = 40;
    const LIVE: [&str; 6] = [
        "/api/v1/pods?watch=true",
        "/api/v1/events?watch=true&as=table",
        "/api/v1/serviceaccounts?watch=true",
        "/api/v1/services?watch=true",
        "/api/v1/namespaces?watch=true&as=metadata",
        "/api/v1/namespaces/default/pods/talker/log?follow=true",
    ];
    let browser = Browser::login(system, system.maru(&["console", "link"]).trim());
    let pid = system.server_pid();
    system.host().block_on(async {
        let open = async || {
            let mut sockets = Vec::new();
            for path in LIVE {
                let mut socket = browser.socket(path, None).await;
                drop(next(&mut socket).await);
                sockets.push(socket);
            }
            sockets
        };
        // The first pages warm up what all share.
        let mut pages = vec![open().await, open().await];
        let before = resident_bytes(pid);
        for _ in 0..PAGES {
            pages.push(open().await);
        }
        let taken = resident_bytes(pid).saturating_sub(before) / PAGES;
        println!("an open page with {} WebSockets takes {} kB of the server's memory", LIVE.len(), taken / 1024);
        assert!(taken < 2_000_000, "{taken} bytes");
    });
}

/// A server of this test's own.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn a_restart_keeps_sessions_and_others_get_tls(system: &mut System) {
    let cookie = Browser::login(system, system.maru(&["console", "link"]).trim()).cookie;
    system.terminate();
    let refused = system.refused(&["console", "link"]);
    assert!(refused.contains("does not run"), "{refused}");
    system.up();
    assert_eq!(Browser { system, cookie: cookie.clone() }.get("/console/v1/session").0, 200);
    system.terminate();

    let mut command: Command = system.command(&["up", "--node-name", "node", "--console-listen", "0.0.0.0:7080"]);
    command.args(["--console-host", "box.example"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Server(system.host().spawn(&mut command));
    let resolve = ["--resolve", "box.example:7080:127.0.0.1"];
    system.wait("the console to answer", || system.http("https://box.example:7080/", &resolve).0 == 200);
    assert_eq!(system.http("http://127.0.0.1:7080/", &[]).0, 0, "nothing is served in the clear");
    system.wait("the server to be ready", || system.try_maru(&["console", "link"]).status.success());
    let link = system.maru(&["console", "link"]);
    assert!(link.starts_with("https://box.example:7080/login?code="), "{link}");
    let (status, answer) = system.http(link.trim(), &[resolve[0], resolve[1], "-i"]);
    assert_eq!(status, 303, "{answer}");
    assert!(answer.contains("set-cookie: __Host-maru-session-") && answer.contains("; Secure"), "{answer}");
    let authority = system.data().join("keys/ca.crt");
    if system.host().run(|| authority.exists()) {
        let words = [resolve[0], resolve[1], "--cacert", &authority.to_string_lossy()];
        assert_eq!(system.http("https://box.example:7080/", &words).0, 200);
    }
    system.maru(&["down"]);
    drop(server);
}
