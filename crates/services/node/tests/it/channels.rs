//! Ports and running programs over a plain WebSocket, as clients other than kubectl reach them.

use futures::{SinkExt as _, StreamExt as _};
use maru_task::Scope;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::host::{PATIENCE, Socket, on_machine, serve, sh, websocket};

const PROTOCOL: &str = "v4.channel.k8s.io";

/// Reads until channel `wanted` has said `text`, and returns all that each channel has said.
async fn read_until(socket: &mut Socket, wanted: usize, text: &str) -> Vec<Vec<u8>> {
    let mut said = vec![Vec::new(); 8];
    while !String::from_utf8_lossy(&said[wanted]).contains(text) {
        let message =
            tokio::time::timeout(PATIENCE, socket.next()).await.expect("an answer").expect("not the end").unwrap();
        if let Message::Binary(data) = message {
            let (channel, content) = data.split_first().expect("a channel");
            said[usize::from(*channel)].extend_from_slice(content);
        }
    }
    said
}

async fn say(socket: &mut Socket, channel: u8, content: &[u8]) {
    socket.send(Message::Binary([&[channel], content].concat().into())).await.unwrap();
}

#[test]
fn ports_are_forwarded_over_channels() {
    on_machine(async |machine| {
        let server = "mkdir -p /www; echo page > /www/index.html; trap 'exit 0' TERM; \
                      httpd -p 127.0.0.1:8080 -h /www; while true; do sleep 0.1; done";
        machine.create("web", json!({"containers": [sh("a", server)]})).await;
        machine.wait_ready("web").await;
        let scope = Scope::root("serve");
        let address = serve(machine, &scope).await;
        let mut socket = websocket(address, "/portForward/default/web?ports=8080,1", PROTOCOL).await;
        // Each channel begins with its port; the second port has nobody who listens.
        let first = read_until(&mut socket, 3, "refused").await;
        assert_eq!((&first[0][..], &first[1][..], &first[2][..]), (&[0x90, 0x1f][..], &[0x90, 0x1f][..], &[1, 0][..]));
        assert!(String::from_utf8_lossy(&first[3]).contains("error forwarding port 1 to pod web"));
        say(&mut socket, 0, b"GET / HTTP/1.0\r\n\r\n").await;
        let answer = read_until(&mut socket, 0, "page\n").await;
        assert!(answer[0].starts_with(b"HTTP/1."), "{answer:?}");
        // All connections have ended, so the whole ends well.
        let last = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().expect("a close").unwrap();
        assert!(matches!(last, Message::Close(Some(frame)) if u16::from(frame.code) == 1000));
        let refused = std::panic::AssertUnwindSafe(websocket(address, "/portForward/default/web?ports=0", PROTOCOL));
        assert!(futures::FutureExt::catch_unwind(refused).await.is_err(), "a port of 0 was accepted");
        scope.shutdown(PATIENCE).await.unwrap();
    });
}

#[test]
fn attached_clients_speak_with_the_program() {
    on_machine(async |machine| {
        let mut container = sh("a", "echo ready; while read line; do echo got $line; done");
        container["stdin"] = json!(true);
        machine.create("talk", json!({"containers": [container], "restartPolicy": "Never"})).await;
        machine.wait_ready("talk").await;
        let scope = Scope::root("serve");
        let address = serve(machine, &scope).await;
        let mut socket = websocket(address, "/attach/default/talk/a?stdin=1&stdout=1&stderr=1", PROTOCOL).await;
        say(&mut socket, 0, b"one\n").await;
        read_until(&mut socket, 1, "got one\n").await;
        say(&mut socket, 0, b"two\n").await;
        read_until(&mut socket, 1, "got two\n").await;
        machine.delete("talk").await;
        let said = read_until(&mut socket, 3, "}").await;
        let status: Value = serde_json::from_slice(&said[3]).unwrap();
        assert_eq!(status["status"], "Success");
        machine.wait_gone("talk").await;
        scope.shutdown(PATIENCE).await.unwrap();
    });
}
