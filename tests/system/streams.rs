//! What kubectl carries through the API server: commands and ports, as new ones do (WebSocket) and old ones (SPDY/3.1).

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use maru_tests::{System, can_run};

/// A web server that only the pod itself can reach.
const LOOPBACK_WEB: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: web
      image: test/busybox
      imagePullPolicy: IfNotPresent
      command: [sh, -c, "mkdir -p /www && echo page > /www/index.html && head -c 8000000 /dev/zero > /www/large && exec httpd -f -p 127.0.0.1:8080 -h /www"]
      readinessProbe: {exec: {command: [wget, -q, -O, /dev/null, "http://127.0.0.1:8080/"]}, periodSeconds: 1}
"#;

/// How a kubectl speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    WebSocket,
    /// A new kubectl is made to speak as an old one.
    Spdy,
    /// An old kubectl knows nothing else.
    Old,
}

/// One program in one way of speaking.
struct Kubectl<'a> {
    system: &'a System,
    program: PathBuf,
    way: Way,
}

impl Kubectl<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("HOME", self.system.folder().path())
            .arg("--kubeconfig")
            .arg(self.system.data().join("admin.kubeconfig"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if self.way == Way::Spdy {
            command.env("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false");
            command.env("KUBECTL_PORT_FORWARD_WEBSOCKETS", "false");
        }
        command
    }

    fn spawn(&self, arguments: &[&str]) -> Running {
        Running(self.system.host().spawn(&mut self.command(arguments)))
    }

    fn run(&self, arguments: &[&str], input: Vec<u8>) -> Output {
        let mut child = self.system.host().spawn(&mut self.command(arguments));
        let mut stdin = child.stdin.take().expect("it is piped");
        let writer = std::thread::spawn(move || {
            // A program may end before it has read everything.
            drop(stdin.write_all(&input));
        });
        let output = child.wait_with_output().expect("the program can be waited for");
        writer.join().expect("the writer does not panic");
        output
    }

    fn check_commands(&self) {
        let script = ["exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7"];
        let output = self.run(&script, Vec::new());
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((output.status.code(), &*out), (Some(7), "out\n"), "{err}");
        assert!(err.starts_with("err\n"), "{err}");
        // Input ends, and the program sees that.
        let output = self.run(&["exec", "-i", "web", "--", "wc", "-c"], vec![b'x'; 3_000_000]);
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "3000000", "{output:?}");
        let output = self.run(&["exec", "web", "--", "head", "-c", "5000000", "/dev/zero"], Vec::new());
        assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 5_000_000));
        let output = self.run(&["exec", "web", "--", "/no/such"], Vec::new());
        assert!(!output.status.success(), "{output:?}");
        let output = self.run(&["exec", "web", "-c", "other", "--", "true"], Vec::new());
        assert!(String::from_utf8_lossy(&output.stderr).contains("container other is not valid"), "{output:?}");
    }

    fn check_ports(&self, port: u16) {
        let forward = self.spawn(&["port-forward", "pod/web", &format!("{port}:8080")]);
        let url = |path: &str| format!("http://127.0.0.1:{port}/{path}");
        self.system.wait("the port to be forwarded", || self.system.http(&url(""), &[]) == (200, "page\n".to_owned()));
        // Many at once, each whole.
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let (status, body) = self.system.http(&url("large"), &[]);
                    assert_eq!((status, body.len()), (200, 8_000_000));
                });
            }
        });
        for _ in 0..40 {
            assert_eq!(self.system.http(&url(""), &[]).0, 200);
        }
        if self.way != Way::Old {
            // A client that leaves in the middle disturbs nobody. An old kubectl stops reading from its server then: without
            // a reset of the stream the server cannot know.
            drop(self.system.http(&url("large"), &["--limit-rate", "100K", "-m", "0.3"]));
            assert_eq!(self.system.http(&url(""), &[]).0, 200);
        }
        drop(forward);
        // Nobody listens in the pod: the message says so.
        let mut forward = self.spawn(&["port-forward", "pod/web", &format!("{port}:9")]);
        let mut line = [0; 10];
        let stdout = forward.0.stdout.as_mut().expect("it is piped");
        stdout.read_exact(&mut line).expect("it tells where it listens");
        assert_eq!(self.system.http(&url(""), &[]).0, 0);
        let mut text = String::new();
        let stderr = forward.0.stderr.as_mut().expect("it is piped");
        let mut byte = [0];
        while !text.contains("refused") && stderr.read_exact(&mut byte).is_ok() {
            text.push(char::from(byte[0]));
        }
        assert!(text.contains("refused"), "{text}");
    }
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn check(program: &Path, ways: &[Way]) {
    let system = System::start();
    system.apply(LOOPBACK_WEB);
    system.wait("the pod to be ready", || {
        system.object("default", "pod", "web")["status"]["containerStatuses"][0]["ready"] == true
    });
    for (way, port) in ways.iter().zip(18080..) {
        let kubectl = Kubectl { system: &system, program: program.to_owned(), way: *way };
        kubectl.check_commands();
        kubectl.check_ports(port);
    }
}

#[test]
fn kubectl_runs_commands_and_forwards_ports_by_websocket_and_spdy() {
    if can_run(&["busybox", "nft", "kubectl", "curl"]) {
        check(Path::new("kubectl"), &[Way::WebSocket, Way::Spdy]);
    }
}

/// `MARU_KUBECTL_OLD` names a kubectl that speaks SPDY only, such as the 1.20 of Debian's kubernetes-client.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests are configured by their environment")]
fn an_old_kubectl_runs_commands_and_forwards_ports() {
    let Ok(program) = std::env::var("MARU_KUBECTL_OLD") else {
        println!("skipped: MARU_KUBECTL_OLD does not name an old kubectl (Debian: apt-get download kubernetes-client)");
        return;
    };
    if can_run(&["busybox", "nft", "curl"]) {
        check(Path::new(&program), &[Way::Old]);
    }
}
