//! Targets in the DNS, and the resolver that asks for them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use maru_monitoring::scrape::{DnsRecord, TargetGroup};
use maru_prom::Labels;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::Output;
use crate::collect::Shared;

/// How long one server may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Servers and search domains that count.
const SERVERS_MAX: usize = 3;
const SEARCH_MAX: usize = 6;

/// Asks the servers of `/etc/resolv.conf`.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    pub(crate) servers: Vec<SocketAddr>,
    search: Vec<String>,
}

impl Resolver {
    /// Reads the machine's own configuration.
    pub(crate) fn of_machine() -> Self {
        let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let words = |keyword: &str| -> Vec<String> {
            let lines = text.lines().filter_map(|line| line.trim().strip_prefix(keyword).map(str::to_owned));
            lines.flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).collect()
        };
        let servers = words("nameserver ").into_iter().filter_map(|word| word.parse::<IpAddr>().ok());
        let mut servers: Vec<SocketAddr> = servers.map(|ip| SocketAddr::new(ip, 53)).take(SERVERS_MAX).collect();
        if servers.is_empty() {
            servers.push(SocketAddr::from(([127, 0, 0, 1], 53)));
        }
        Self { servers, search: words("search ").into_iter().take(SEARCH_MAX).collect() }
    }

    /// Asks for the records of a name: as it is first, then in each search domain.
    async fn look_up(&self, name: &str, kind: RecordType) -> Result<Message, String> {
        let mut names = vec![name.to_owned()];
        if !name.ends_with('.') {
            names.extend(self.search.iter().map(|domain| format!("{name}.{domain}")));
        }
        let mut failure = None;
        for name in &names {
            match self.ask_all(name, kind).await {
                Ok(message) if !message.answers.is_empty() => return Ok(message),
                Ok(_) => {}
                Err(why) => failure = failure.or(Some(why)),
            }
        }
        // A name that is not there has no targets; a server that does not answer leaves those that there are.
        failure.map_or_else(|| Ok(Message::query()), Err)
    }

    async fn ask_all(&self, name: &str, kind: RecordType) -> Result<Message, String> {
        let mut failure = "there is no server".to_owned();
        for server in &self.servers {
            match ask(*server, name, kind, true, false).await {
                Ok(message) => match message.metadata.response_code {
                    ResponseCode::NoError | ResponseCode::NXDomain => return Ok(message),
                    code => failure = format!("the server {server} answers {code}"),
                },
                Err(why) => failure = why,
            }
        }
        Err(failure)
    }
}

/// Asks one server; by TCP also when the answer is too long for UDP.
pub(crate) async fn ask(
    server: SocketAddr,
    name: &str,
    kind: RecordType,
    recursion: bool,
    tcp: bool,
) -> Result<Message, String> {
    let mut absolute = name.to_owned();
    if !absolute.ends_with('.') {
        absolute.push('.');
    }
    let query =
        Query::query(Name::from_utf8(&absolute).map_err(|error| format!("\"{name}\" is no name: {error}"))?, kind);
    let id = next_id(name);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = recursion;
    message.add_query(query);
    let bytes = message.to_vec().map_err(|error| error.to_string())?;
    if !tcp {
        let asked = tokio::time::timeout(TIMEOUT, by_udp(server, &bytes, id)).await;
        let message = asked.map_err(|_| format!("the server {server} does not answer"))??;
        if !message.metadata.truncation {
            return Ok(message);
        }
    }
    let asked = tokio::time::timeout(TIMEOUT, by_tcp(server, &bytes)).await;
    asked.map_err(|_| format!("the server {server} does not answer"))?
}

/// Returns a number that answers are told apart by.
fn next_id(name: &str) -> u16 {
    use std::hash::{BuildHasher as _, RandomState};
    u16::try_from(RandomState::new().hash_one(name) & 0xffff).unwrap_or_default()
}

async fn by_udp(server: SocketAddr, bytes: &[u8], id: u16) -> Result<Message, String> {
    let failed = |error: std::io::Error| format!("the server {server} cannot be asked: {error}");
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await.map_err(failed)?;
    socket.connect(server).await.map_err(failed)?;
    socket.send(bytes).await.map_err(failed)?;
    let mut buffer = vec![0; 65_536];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(failed)?;
        if let Ok(message) = Message::from_vec(buffer.get(..length).unwrap_or_default())
            && message.metadata.id == id
        {
            return Ok(message);
        }
    }
}

pub(crate) async fn by_tcp(server: SocketAddr, bytes: &[u8]) -> Result<Message, String> {
    let failed = |error: std::io::Error| format!("the server {server} cannot be asked: {error}");
    let mut stream = TcpStream::connect(server).await.map_err(failed)?;
    let length = u16::try_from(bytes.len()).map_err(|_| "the question is too long")?;
    stream.write_all(&length.to_be_bytes()).await.map_err(failed)?;
    stream.write_all(bytes).await.map_err(failed)?;
    let length = stream.read_u16().await.map_err(failed)?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await.map_err(failed)?;
    Message::from_vec(&buffer).map_err(|error| format!("the server {server} answers nonsense: {error}"))
}

pub(super) async fn run(
    shared: Arc<Shared>,
    names: Vec<String>,
    record: DnsRecord,
    port: u16,
    refresh: Duration,
    mut output: Output,
) {
    let mut groups: Vec<TargetGroup> =
        names.iter().map(|name| TargetGroup { source: name.clone(), ..TargetGroup::default() }).collect();
    let mut ticks = tokio::time::interval(refresh);
    loop {
        ticks.tick().await;
        let resolver = match shared.dns_servers.as_slice() {
            [] => Resolver::of_machine(),
            servers => Resolver { servers: servers.to_vec(), search: Vec::new() },
        };
        for group in &mut groups {
            match targets(&resolver, &group.source, record, port).await {
                Ok(found) => group.targets = found,
                Err(why) => {
                    tracing::warn!(
                        name = group.source,
                        error = why,
                        "a name cannot be looked up; its targets stay as they are"
                    );
                }
            }
        }
        output.tell(groups.clone()).await;
    }
}

async fn targets(resolver: &Resolver, name: &str, record: DnsRecord, port: u16) -> Result<Vec<Labels>, String> {
    let kind = match record {
        DnsRecord::A => RecordType::A,
        DnsRecord::Aaaa => RecordType::AAAA,
        DnsRecord::Srv => RecordType::SRV,
        DnsRecord::Mx => RecordType::MX,
        DnsRecord::Ns => RecordType::NS,
    };
    let message = resolver.look_up(name, kind).await?;
    let host = |name: &Name| name.to_utf8().trim_end_matches('.').to_owned();
    let mut all: Vec<Labels> = Vec::new();
    for one in &message.answers {
        let mut labels = Labels::empty().to_builder();
        labels.set("__meta_dns_name", name);
        let address = match &one.data {
            RData::A(address) => format!("{}:{port}", address.0),
            RData::AAAA(address) => format!("[{}]:{port}", address.0),
            RData::SRV(service) => {
                labels.set("__meta_dns_srv_record_target", &service.target.to_utf8());
                labels.set("__meta_dns_srv_record_port", &service.port.to_string());
                format!("{}:{}", host(&service.target), service.port)
            }
            RData::MX(exchange) => {
                labels.set("__meta_dns_mx_record_target", &exchange.exchange.to_utf8());
                format!("{}:{port}", host(&exchange.exchange))
            }
            RData::NS(server) => {
                labels.set("__meta_dns_ns_record_target", &server.0.to_utf8());
                format!("{}:{port}", host(&server.0))
            }
            _ => continue,
        };
        labels.set("__address__", &address);
        all.push(labels.build());
    }
    all.sort();
    Ok(all)
}
