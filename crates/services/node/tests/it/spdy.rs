//! The kubelet's HTTP interface over SPDY: exec, attach and port-forward as old clients speak them, and the tunnel of new ones.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use maru_spdy::{Decoder, Encoder, Frame, Headers, StreamId};
use maru_task::Scope;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

use crate::host::{PATIENCE, Socket, on_machine, serve, sh, websocket};

enum Wire {
    Raw(tokio::net::TcpStream),
    Tunnel(Box<Socket>),
}

/// A client, as simple as can be.
struct Client {
    wire: Wire,
    encoder: Encoder,
    decoder: Decoder,
    next: u32,
    /// What came on each stream, and whether that was all.
    streams: BTreeMap<u32, (Vec<u8>, bool)>,
    pings: Vec<u32>,
    resets: Vec<u32>,
}

impl Client {
    fn new(wire: Wire) -> Self {
        let (encoder, decoder) = (Encoder::new(), Decoder::new(maru_spdy::Limits::default()));
        Self { wire, encoder, decoder, next: 1, streams: BTreeMap::new(), pings: Vec::new(), resets: Vec::new() }
    }

    /// Asks for a connection; returns what was answered when that is no upgrade.
    async fn try_connect(address: SocketAddr, target: &str, protocols: &str) -> Result<Self, String> {
        let mut wire = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: {protocols}\r\nContent-Length: 0\r\n\r\n"
        );
        wire.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(wire.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        if !head.starts_with("http/1.1 101") {
            return Err(head);
        }
        let first = protocols.split(',').next().unwrap();
        assert!(head.contains("upgrade: spdy/3.1") && head.contains(&format!("version: {first}\r\n")), "{head}");
        Ok(Self::new(Wire::Raw(wire)))
    }

    async fn connect(address: SocketAddr, target: &str, protocol: &str) -> Self {
        Self::try_connect(address, target, protocol).await.unwrap_or_else(|answer| panic!("{answer}"))
    }

    async fn tunnel(address: SocketAddr, target: &str) -> Self {
        let socket = websocket(address, target, "SPDY/3.1+portforward.k8s.io").await;
        Self::new(Wire::Tunnel(Box::new(socket)))
    }

    async fn send(&mut self, frame: Frame) {
        let mut bytes = Vec::new();
        self.encoder.encode(&frame, &mut bytes).unwrap();
        match &mut self.wire {
            Wire::Raw(socket) => socket.write_all(&bytes).await.unwrap(),
            Wire::Tunnel(socket) => socket.send(Message::Binary(bytes.into())).await.unwrap(),
        }
    }

    async fn open(&mut self, finished: bool, headers: &[(&str, &str)]) -> u32 {
        let number = self.next;
        self.next += 2;
        let headers: Headers = headers.iter().copied().collect();
        let (stream, associated) = (StreamId::new(number), StreamId::new(0));
        self.send(Frame::SynStream { stream, associated, priority: 0, finished, unidirectional: false, headers }).await;
        number
    }

    async fn forward(&mut self, port: &str, request: &str) -> (u32, u32) {
        let names = [("port", port), ("requestID", request)];
        let error = self.open(true, &[&names[..], &[("streamType", "error")]].concat()).await;
        (self.open(false, &[&names[..], &[("streamType", "data")]].concat()).await, error)
    }

    async fn write(&mut self, stream: u32, data: &str, finished: bool) {
        let data = Bytes::copy_from_slice(data.as_bytes());
        self.send(Frame::Data { stream: StreamId::new(stream), finished, data }).await;
    }

    /// Reads once; `false` after the end of the connection.
    async fn read(&mut self) -> bool {
        let bytes = match &mut self.wire {
            Wire::Raw(socket) => {
                let mut block = vec![0; 8192];
                let read = tokio::time::timeout(PATIENCE, socket.read(&mut block)).await.unwrap();
                let count = read.unwrap_or(0);
                block.truncate(count);
                Bytes::from(block)
            }
            Wire::Tunnel(socket) => match tokio::time::timeout(PATIENCE, socket.next()).await.unwrap() {
                Some(Ok(Message::Binary(data))) => data,
                _ => Bytes::new(),
            },
        };
        self.decoder.push(&bytes);
        while let Some(frame) = self.decoder.next_frame().unwrap() {
            match frame {
                Frame::Data { stream, finished, data } => {
                    let entry = self.streams.entry(stream.number()).or_default();
                    entry.0.extend(data);
                    entry.1 |= finished;
                }
                Frame::Ping { id } => self.pings.push(id),
                Frame::RstStream { stream, .. } => self.resets.push(stream.number()),
                _ => {}
            }
        }
        !bytes.is_empty()
    }

    /// Returns all that comes on a stream.
    async fn all(&mut self, stream: u32) -> String {
        while !self.streams.get(&stream).is_some_and(|(_, finished)| *finished) {
            assert!(self.read().await, "the connection ended before stream {stream}");
        }
        String::from_utf8(self.streams[&stream].0.clone()).unwrap()
    }

    async fn until(&mut self, stream: u32, text: &str) {
        while !self.streams.get(&stream).is_some_and(|(data, _)| String::from_utf8_lossy(data).contains(text)) {
            assert!(self.read().await, "the connection ended before {text}");
        }
    }

    async fn status(&mut self, stream: u32) -> Value {
        serde_json::from_str(&self.all(stream).await).unwrap()
    }
}

const FOREVER: &str = "trap 'exit 0' TERM; while true; do sleep 0.1; done";
const V4: &str = "v4.channel.k8s.io,v3.channel.k8s.io,channel.k8s.io";

#[test]
fn programs_run_over_spdy_with_streams_and_exit_codes() {
    on_machine(async |machine| {
        machine.create("shell", json!({"containers": [sh("a", FOREVER)]})).await;
        machine.wait_ready("shell").await;
        let scope = Scope::root("serve");
        let address = serve(machine, &scope).await;
        let target = |query: &str| format!("/exec/default/shell/a?{query}");

        let both = target("output=1&error=1&command=sh&command=-c&command=echo+out;echo+err+%3E%262;exit+7");
        let mut client = Client::connect(address, &both, V4).await;
        let error = client.open(false, &[("streamType", "error")]).await;
        let strange = client.open(false, &[("streamType", "strange")]).await;
        let out = client.open(false, &[("streamType", "stdout")]).await;
        let err = client.open(false, &[("streamType", "stderr")]).await;
        assert_eq!((client.all(out).await, client.all(err).await), ("out\n".to_owned(), "err\n".to_owned()));
        let status = client.status(error).await;
        assert_eq!(status["details"]["causes"][0], json!({"reason": "ExitCode", "message": "7"}));
        assert_eq!(client.resets, [strange]);

        let mut client = Client::connect(address, &target("input=1&output=1&command=cat"), V4).await;
        let error = client.open(false, &[("streamType", "error")]).await;
        let input = client.open(false, &[("streamType", "stdin")]).await;
        let out = client.open(false, &[("streamType", "stdout")]).await;
        let block = "0123456789abcdef".repeat(100);
        client.send(Frame::Ping { id: 5 }).await;
        client.write(input, "head", false).await;
        client.until(out, "head").await;
        client.write(input, &block, false).await;
        client.write(input, &block, true).await;
        assert_eq!(client.all(out).await, format!("head{block}{block}"));
        assert_eq!(client.status(error).await["status"], "Success");
        assert_eq!(client.pings, [5]);

        let tty = target("input=1&output=1&tty=1&command=sh");
        let mut client = Client::connect(address, &tty, V4).await;
        let error = client.open(false, &[("streamType", "error")]).await;
        let input = client.open(false, &[("streamType", "stdin")]).await;
        let out = client.open(false, &[("streamType", "stdout")]).await;
        let size = client.open(false, &[("streamType", "resize")]).await;
        client.write(size, "{\"Width\":101,\"Hei", false).await;
        client.write(size, "ght\":33}\n", false).await;
        client
            .write(
                input,
                "while [ \"$(busybox stty size)\" != '33 101' ]; do sleep 0.1; done; echo si''zed; exit 3\n",
                false,
            )
            .await;
        client.until(out, "sized").await;
        assert_eq!(client.status(error).await["details"]["causes"][0]["message"], "3");

        let refused = Client::try_connect(address, &both, "v1.none").await.err().unwrap();
        assert!(refused.starts_with("http/1.1 400"), "{refused}");
        // A client that goes takes its program along.
        let mut client =
            Client::connect(address, &target("output=1&command=sh&command=-c&command=echo+on;exec+sleep+4321"), V4)
                .await;
        client.open(false, &[("streamType", "error")]).await;
        let out = client.open(false, &[("streamType", "stdout")]).await;
        client.until(out, "on").await;
        drop(client);
        maru_testkit::wait_until(PATIENCE, "the program is gone", async || {
            let processes = std::fs::read_dir("/proc").unwrap().flatten();
            let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
            !lines.into_iter().any(|line| line.starts_with(b"sleep\x004321"))
        })
        .await;
        scope.shutdown(PATIENCE).await.unwrap();
    });
}

#[test]
fn attached_clients_see_the_output() {
    on_machine(async |machine| {
        let mut talks = sh("a", "while read line; do echo got $line; done; echo end");
        talks["stdin"] = json!(true);
        machine.create("talk", json!({"restartPolicy": "Never", "containers": [talks]})).await;
        machine.wait_ready("talk").await;
        let scope = Scope::root("serve");
        let address = serve(machine, &scope).await;
        let mut client = Client::connect(address, "/attach/default/talk/a?input=1&output=1", V4).await;
        let error = client.open(false, &[("streamType", "error")]).await;
        let input = client.open(false, &[("streamType", "stdin")]).await;
        let out = client.open(false, &[("streamType", "stdout")]).await;
        client.write(input, "one\n", false).await;
        client.until(out, "got one\n").await;
        machine.delete("talk").await;
        assert_eq!(client.status(error).await["status"], "Success");
        machine.wait_gone("talk").await;
        scope.shutdown(PATIENCE).await.unwrap();
    });
}

/// A web server on the pod's loopback address alone, and a program that answers after the end of what it was sent.
const SERVERS: &str = r"mkdir -p /www; echo page > /www/index.html; httpd -p 127.0.0.1:8080 -h /www
    printf '#!/bin/sh\ncat > /tmp/in; wc -c < /tmp/in\n' > /count; chmod +x /count
    trap 'exit 0' TERM; while true; do nc -l -p 9000 -e /count; done";

#[test]
fn ports_are_forwarded_to_the_pods_loopback() {
    on_machine(async |machine| {
        machine.create("web", json!({"containers": [sh("a", SERVERS)]})).await;
        machine.wait_ready("web").await;
        let scope = Scope::root("serve");
        let address = serve(machine, &scope).await;
        for is_tunnel in [false, true] {
            let mut client = if is_tunnel {
                Client::tunnel(address, "/portForward/default/web").await
            } else {
                Client::connect(address, "/portForward/default/web", "portforward.k8s.io").await
            };
            // Several at once, asked in turn.
            let mut streams = Vec::new();
            for request in 0..20 {
                streams.push(client.forward("8080", &request.to_string()).await);
            }
            for (data, _) in &streams {
                client.write(*data, "GET / HTTP/1.0\r\n\r\n", false).await;
            }
            for (data, error) in streams {
                let answer = client.all(data).await;
                assert!(answer.ends_with("page\n"), "{answer}");
                assert_eq!(client.all(error).await, "");
                client.write(data, "", true).await;
            }
            // Half-closed: the answer comes after the end of the question.
            let (data, error) = client.forward("9000", "half").await;
            let block = "x".repeat(50_000);
            for last in [false, false, true] {
                client.write(data, &block, last).await;
            }
            assert_eq!(client.all(data).await.trim(), "150000");
            assert_eq!(client.all(error).await, "");
            let (data, error) = client.forward("1", "closed").await;
            let text = client.all(error).await;
            assert!(text.starts_with("error forwarding port 1 to pod web") && text.contains("refused"), "{text}");
            assert_eq!(client.all(data).await, "");
            // A stream that says nothing of use, and two of a kind.
            let none = client.open(false, &[("streamType", "data"), ("port", "x"), ("requestID", "1")]).await;
            let twice = [("streamType", "data"), ("port", "8080"), ("requestID", "twice")];
            let first = client.open(false, &twice).await;
            client.open(false, &twice).await;
            while client.resets.len() < 2 {
                assert!(client.read().await);
            }
            assert_eq!(client.resets, [none, first]);
            // After a reset by the client the other stream ends.
            let (data, error) = client.forward("9000", "reset").await;
            client.write(data, "x", false).await;
            let status = maru_spdy::ResetStatus::Cancel;
            client.send(Frame::RstStream { stream: StreamId::new(data), status }).await;
            assert_eq!(client.all(error).await, "");
        }
        scope.shutdown(PATIENCE).await.unwrap();
    });
}

#[test]
fn too_many_streams_and_broken_frames_are_refused() {
    on_machine(async |machine| {
        machine.create("idle", json!({"containers": [sh("a", FOREVER)]})).await;
        machine.wait_ready("idle").await;
        let scope = Scope::root("serve");
        let address = serve(machine, &scope).await;
        let mut client = Client::connect(address, "/portForward/default/idle", "portforward.k8s.io").await;
        for request in 0..260 {
            let request = request.to_string();
            client.open(false, &[("streamType", "data"), ("port", "80"), ("requestID", &request)]).await;
        }
        while client.resets.len() < 4 {
            assert!(client.read().await);
        }
        assert_eq!(client.resets, [513, 515, 517, 519]);
        let Wire::Raw(socket) = &mut client.wire else { unreachable!() };
        socket.write_all(b"\x80\x02\x00\x06\x00\x00\x00\x04\x00\x00\x00\x01").await.unwrap();
        while client.read().await {}
        scope.shutdown(PATIENCE).await.unwrap();
    });
}
