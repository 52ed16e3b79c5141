//! `/portForward` over a plain WebSocket, as clients other than kubectl ask for it (`v4.channel.k8s.io`).
//!
//! The request names the ports. The nth port has channel 2n for its one connection and 2n + 1 for what went wrong; the first
//! message of each channel is the port's number in two bytes, the low one first.

use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{SinkExt as _, StreamExt as _};
use http::{Request, Response};
use maru_http::Body;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::Refusal;
use super::output::BLOCK;
use super::port_forward::Target;
use super::query::Query;
use super::websocket::{FromClient, Socket, Upgrade};
use crate::context::Context;

pub(super) const PROTOCOLS: [&str; 1] = ["v4.channel.k8s.io"];
/// Two channels a port, and a channel's number is one byte.
const PORTS_MAX: usize = 127;
/// Messages on their way, for each connection and to the client; who has more waits.
const MESSAGES_MAX: usize = 16;

/// Connects a client with the ports that its request names.
pub(super) fn answer(
    request: Request<Body>,
    context: &Context,
    target: Target,
    query: &Query,
) -> Result<Response<Body>, Refusal> {
    let ports = ports(query)?;
    let upgrade = Upgrade::accept(request, &PROTOCOLS)?;
    let response = upgrade.response();
    drop(context.scope.spawn_until_cancelled("port-forward", async move {
        if let Some(socket) = upgrade.socket().await {
            forward(socket, &target, &ports).await;
        }
    }));
    Ok(response)
}

/// Reads `ports=8080,8081` as the API server's clients write it, and `port=` as the API server itself does.
fn ports(query: &Query) -> Result<Vec<u16>, Refusal> {
    let named = query.all("ports").into_iter().chain(query.all("port"));
    let mut ports = Vec::new();
    for text in named.flat_map(|list| list.split(',').map(str::to_owned).collect::<Vec<_>>()) {
        match text.trim().parse() {
            Ok(port) if port > 0 => ports.push(port),
            _ => return Err(Refusal::Bad(format!("\"{text}\" is no port: use a number from 1 to 65535"))),
        }
    }
    match ports.len() {
        0 => Err(Refusal::Bad("query parameter \"ports\" is required: name the ports to forward".to_owned())),
        1..=PORTS_MAX => Ok(ports),
        count => Err(Refusal::Bad(format!("{count} ports are more than the {PORTS_MAX} that one request may forward"))),
    }
}

async fn forward(socket: Socket, target: &Target, ports: &[u16]) {
    let (mut to_client, from_client) = socket.split();
    let (messages, mut outgoing) = mpsc::channel(MESSAGES_MAX);
    let mut inputs = Vec::new();
    let mut connections = FuturesUnordered::new();
    for (port, channel) in ports.iter().zip((0_u8..).step_by(2)) {
        let (input, incoming) = mpsc::channel(MESSAGES_MAX);
        inputs.push(Some(input));
        connections.push(connection(target, *port, channel, incoming, messages.clone()));
    }
    let carry = async { while connections.next().await.is_some() {} };
    let send = async {
        while let Some(message) = outgoing.recv().await {
            if to_client.send(message).await.is_err() {
                return;
            }
        }
    };
    let mut carry = Box::pin(carry);
    let mut receive = Box::pin(receive(from_client, inputs, messages));
    {
        let mut send = std::pin::pin!(send);
        tokio::select! {
            () = &mut carry => {}
            () = &mut receive => return,
            () = &mut send => return,
        }
        // Without those who fill it, the queue ends when all of it is sent.
        drop((carry, receive));
        send.await;
    }
    drop(to_client.send(Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))).await);
}

/// Carries the one connection of a port to its end.
async fn connection(
    target: &Target,
    port: u16,
    channel: u8,
    mut incoming: mpsc::Receiver<Bytes>,
    messages: mpsc::Sender<Message>,
) {
    for channel in [channel, channel + 1] {
        drop(messages.send(message(channel, &port.to_le_bytes())).await);
    }
    let backend = match target.connect(port).await {
        Ok(backend) => backend,
        Err(reason) => {
            drop(messages.send(message(channel + 1, target.failure(port, &reason).as_bytes())).await);
            return;
        }
    };
    let (mut from_backend, mut to_backend) = backend.into_split();
    let upstream = async {
        while let Some(data) = incoming.recv().await {
            if to_backend.write_all(&data).await.is_err() {
                // It does not read any more; what it has to say still counts.
                break;
            }
        }
        // The channel form knows no end of one side: the client goes when it has enough.
        std::future::pending::<()>().await;
    };
    let downstream = async {
        let mut block = vec![0; BLOCK];
        loop {
            // A connection that breaks has ended, for the client as well.
            let count = from_backend.read(&mut block).await.unwrap_or(0);
            let data = block.get(..count).unwrap_or_default();
            if data.is_empty() || messages.send(message(channel, data)).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = upstream => {}
        () = downstream => {}
    }
}

fn message(channel: u8, content: &[u8]) -> Message {
    let mut data = Vec::with_capacity(content.len() + 1);
    data.push(channel);
    data.extend_from_slice(content);
    Message::Binary(Bytes::from(data))
}

/// Takes what the client sends to its connections, until it leaves.
async fn receive(
    mut from_client: FromClient,
    mut inputs: Vec<Option<mpsc::Sender<Bytes>>>,
    messages: mpsc::Sender<Message>,
) {
    while let Some(Ok(message)) = from_client.next().await {
        let data = match message {
            Message::Binary(data) => data,
            Message::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            Message::Ping(data) => {
                drop(messages.send(Message::Pong(data)).await);
                continue;
            }
            Message::Pong(_) | Message::Frame(_) => continue,
            Message::Close(_) => return,
        };
        // Nothing is said on the odd channels, which are for errors.
        let Some(channel) = data.first().filter(|channel| *channel % 2 == 0) else { continue };
        if let Some(slot) = inputs.get_mut(usize::from(channel / 2))
            && let Some(input) = slot
            && input.send(data.slice(1..)).await.is_err()
        {
            *slot = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_clients_write_them() {
        let read = |text| ports(&Query::parse(text)).ok();
        assert_eq!(read("ports=80,8080"), Some(vec![80, 8080]));
        assert_eq!(read("ports=80&ports=81&port=82"), Some(vec![80, 81, 82]));
        for wrong in ["", "ports=", "ports=0", "ports=80,x", "ports=70000"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        let many: Vec<String> = (1..=128).map(|port| port.to_string()).collect();
        assert_eq!(read(&format!("ports={}", many.join(","))), None);
    }
}
