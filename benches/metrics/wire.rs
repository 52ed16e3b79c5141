//! The least of HTTP/1.1 that a load generator needs: one connection, one request after the other.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

/// A connection that stays open.
pub(crate) struct Connection {
    port: u16,
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket has TCP_NODELAY");
        stream.set_read_timeout(Some(crate::PATIENCE)).expect("a timeout above zero");
        Self { port, stream: BufReader::with_capacity(1 << 16, stream) }
    }

    pub(crate) fn get(&mut self, path: &str) -> (u16, Vec<u8>) {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", self.port), &[])
    }

    pub(crate) fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: {}\r\n{headers}\r\n",
            self.port,
            body.len()
        );
        self.request(&head, body)
    }

    fn request(&mut self, head: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let socket = self.stream.get_mut();
        socket.write_all(head.as_bytes()).expect("the server reads");
        socket.write_all(body).expect("the server reads");
        let mut line = String::new();
        self.read_line(&mut line);
        let status = line.split_whitespace().nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        let (mut length, mut chunked) = (0, false);
        loop {
            self.read_line(&mut line);
            if line.trim().is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
                _ => {}
            }
        }
        let mut content = Vec::new();
        if !chunked {
            content.resize(length, 0);
            self.stream.read_exact(&mut content).expect("the body comes whole");
            return (status, content);
        }
        loop {
            self.read_line(&mut line);
            let length = usize::from_str_radix(line.trim(), 16).expect("a chunk's length");
            let start = content.len();
            content.resize(start + length, 0);
            self.stream.read_exact(&mut content[start..]).expect("the chunk comes whole");
            self.read_line(&mut line);
            if length == 0 {
                return (status, content);
            }
        }
    }

    fn read_line(&mut self, line: &mut String) {
        line.clear();
        self.stream.read_line(line).expect("the server answers");
        assert!(!line.is_empty(), "the server closed the connection");
    }
}

/// Asks once on a connection of its own; `None` when nobody answers.
pub(crate) fn try_get(port: u16, path: &str) -> Option<(u16, Vec<u8>)> {
    TcpStream::connect(("127.0.0.1", port)).ok()?;
    std::panic::catch_unwind(|| Connection::open(port).get(path)).ok()
}
