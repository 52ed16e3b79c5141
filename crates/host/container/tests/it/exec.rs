//! Programs in running containers, attaching, terminals.

use std::time::Duration;

use maru_container::{ContainerConfig, ContainerId, ExecConfig, ShimError, TerminalSize};
use maru_testkit::wait_until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::pod::{PATIENCE, Pod, is_alive, program, sh, skip};

fn app() -> ContainerId {
    ContainerId::new("app", 0)
}

#[tokio::test]
async fn a_program_runs_beside_the_first_process() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let env = vec![("COLOUR".to_owned(), "red".to_owned())];
    pod.start("app", ContainerConfig { env, working_directory: "/tmp".into(), ..sh("sleep 1000") }).await.unwrap();
    let (status, output, errors) =
        pod.exec("app", program(&["sh", "-c", "echo $COLOUR $PWD; ls /proc/1/exe; echo bad >&2; exit 6"])).await;
    assert_eq!((status.code, output.as_str(), errors.as_str()), (6, "red /tmp\n/proc/1/exe\n", "bad\n"));
    let other = ExecConfig {
        env: vec![("COLOUR".into(), "blue".into())],
        working_directory: Some("/etc".into()),
        ..program(&["sh", "-c", "echo $COLOUR $PWD"])
    };
    assert_eq!(pod.exec("app", other).await.1, "blue /etc\n");
    let mut killed = pod.shim.exec(&app(), program(&["sleep", "1000"])).await.unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(killed.pid), nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(killed.exit().await.unwrap().signal, Some(15));
    assert_eq!(killed.exit().await.unwrap().code, 143);
    pod.finish().await;
}

#[tokio::test]
async fn a_program_that_cannot_run_says_why() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    pod.start("app", sh("sleep 1000")).await.unwrap();
    let error = pod.shim.exec(&app(), program(&["foo"])).await.unwrap_err();
    assert!(
        matches!(&error, ShimError::Exec { message } if message == "executable \"foo\" not found in $PATH"),
        "{error}"
    );
    let error = pod.shim.exec(&app(), program(&[])).await.unwrap_err();
    assert_eq!(error.to_string(), "the container has no command");
    pod.start("over", sh("true")).await.unwrap();
    pod.exit("over").await;
    let error = pod.shim.exec(&ContainerId::new("over", 0), program(&["true"])).await.unwrap_err();
    assert_eq!(error.to_string(), "container over-0 is not running");
    let error = pod.shim.exec(&ContainerId::new("none", 0), program(&["true"])).await.unwrap_err();
    assert_eq!(error.to_string(), "the pod has no container none-0");
    pod.finish().await;
}

#[tokio::test]
async fn input_reaches_a_program_and_its_end_is_seen() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    pod.start("app", sh("sleep 1000")).await.unwrap();
    let mut handle = pod.shim.exec(&app(), ExecConfig { stdin: true, ..program(&["cat"]) }).await.unwrap();
    let mut stdin = handle.stdin.take().unwrap();
    let mut stdout = handle.stdout.take().unwrap();
    // More than pipes hold: writing and reading at once.
    let sent: Vec<u8> = (0..1_000_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let write = async {
        stdin.write_all(&sent).await.unwrap();
        drop(stdin);
    };
    let mut received = Vec::new();
    let (_, read) = tokio::join!(write, stdout.read_to_end(&mut received));
    read.unwrap();
    assert!(received == sent);
    assert_eq!(handle.exit().await.unwrap().code, 0);
    pod.finish().await;
}

#[tokio::test]
async fn a_program_has_a_terminal_of_the_wanted_size() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    pod.start("app", sh("sleep 1000")).await.unwrap();
    let size = Some(TerminalSize { width: 100, height: 30 });
    let script = "tty; read go; stty size; read again; stty size; exit 3";
    let config = ExecConfig { tty: true, stdin: true, size, ..program(&["sh", "-c", script]) };
    let mut handle = pod.shim.exec(&app(), config).await.unwrap();
    let mut stdin = handle.stdin.take().unwrap();
    let mut stdout = handle.stdout.take().unwrap();
    assert!(handle.stderr.is_none());
    let mut seen = String::new();
    expect(&mut stdout, &mut seen, "/dev/pts/").await;
    stdin.write_all(b"go\n").await.unwrap();
    expect(&mut stdout, &mut seen, "30 100\r\n").await;
    handle.resizer().unwrap().resize(TerminalSize { width: 80, height: 24 }).unwrap();
    stdin.write_all(b"\n").await.unwrap();
    expect(&mut stdout, &mut seen, "24 80\r\n").await;
    drop(stdin);
    stdout.read_to_string(&mut seen).await.unwrap();
    assert_eq!(handle.exit().await.unwrap().code, 3);
    pod.finish().await;
}

async fn expect(stream: &mut (impl tokio::io::AsyncRead + Unpin), seen: &mut String, text: &str) {
    let read = async {
        while !seen.contains(text) {
            let mut buffer = [0; 256];
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "ended before {text:?}: {seen:?}");
            seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
    };
    assert!(tokio::time::timeout(PATIENCE, read).await.is_ok(), "no {text:?} in {seen:?}");
}

#[tokio::test]
async fn a_program_ends_with_its_client_if_wanted() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    pod.start("app", sh("sleep 1000")).await.unwrap();
    let bound = ExecConfig { kill_on_drop: true, ..program(&["sleep", "1000"]) };
    let pid = pod.shim.exec(&app(), bound).await.unwrap().pid;
    wait_until(PATIENCE, "the program's end", || async { !is_alive(pid) }).await;
    let free = pod.shim.exec(&app(), program(&["sleep", "1000"])).await.unwrap().pid;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(is_alive(free));
    pod.finish().await;
    assert!(!is_alive(free));
}

#[tokio::test]
async fn several_clients_see_the_output_and_one_gives_input() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let config =
        ContainerConfig { stdin: true, stdin_once: true, ..sh("while read line; do echo got $line; done; echo over") };
    pod.start("app", config).await.unwrap();
    let mut writer = pod.shim.attach(&app(), true).await.unwrap();
    let mut reader = pod.shim.attach(&app(), false).await.unwrap();
    assert!(reader.stdin.is_none());
    let mut stdin = writer.stdin.take().unwrap();
    let (mut first, mut second) = (String::new(), String::new());
    stdin.write_all(b"one\n").await.unwrap();
    expect(&mut writer.stdout, &mut first, "got one\n").await;
    stdin.write_all(b"two\n").await.unwrap();
    drop(stdin);
    // The container's input was for one client, and that is over.
    writer.stdout.read_to_string(&mut first).await.unwrap();
    reader.stdout.read_to_string(&mut second).await.unwrap();
    assert_eq!((first.as_str(), second.as_str()), ("got one\ngot two\nover\n", "got one\ngot two\nover\n"));
    assert_eq!(pod.exit("app").await.code, 0);
    assert_eq!(pod.output("app"), first);
    assert!(matches!(pod.shim.attach(&app(), false).await, Err(ShimError::Refused { .. })));
    pod.finish().await;
}

#[tokio::test]
async fn a_container_has_a_terminal_if_wanted() {
    if skip() {
        return;
    }
    let pod = Pod::new().await;
    let config =
        ContainerConfig { tty: true, stdin: true, ..sh("read line; stty size; echo $line $TERM >/dev/console; tty") };
    pod.start("app", config).await.unwrap();
    pod.shim.resize(&app(), TerminalSize { width: 120, height: 40 }).await.unwrap();
    let mut client = pod.shim.attach(&app(), true).await.unwrap();
    client.stdin.as_mut().unwrap().write_all(b"hello\n").await.unwrap();
    let mut seen = String::new();
    client.stdout.read_to_string(&mut seen).await.unwrap();
    assert!(seen.contains("40 120\r\n") && seen.contains("hello xterm\r\n") && seen.contains("/dev/"), "{seen:?}");
    assert_eq!(pod.exit("app").await.code, 0);
    let log = std::fs::read_to_string(pod.log_path(&app())).unwrap();
    assert!(log.contains(" stdout F hello xterm\r\n"), "{log}");
    pod.start("plain", sh("sleep 1000")).await.unwrap();
    let error = pod.shim.resize(&ContainerId::new("plain", 0), TerminalSize { width: 1, height: 1 }).await.unwrap_err();
    assert_eq!(error.to_string(), "container plain-0 has no terminal");
    pod.finish().await;
}
