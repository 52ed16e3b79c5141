//! Asks other servers, each question once at a time, and keeps what they say.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use maru_net::Cidr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::time::Instant;

use super::foreign::Foreign;
use super::metrics::Metrics;
use super::wire::Query;
use crate::NetworkOptions;

/// One server gets this long before the next is asked.
const TRY_TIMEOUT: Duration = Duration::from_secs(2);
/// The file of servers is looked at no more often.
const REREAD_PERIOD: Duration = Duration::from_secs(2);
const POSITIVE_TTL_MAX_SECONDS: u32 = 300;
const NEGATIVE_TTL_MAX_SECONDS: u32 = 30;
/// Larger answers are not kept.
const KEPT_BYTES_MAX: usize = 4096;
const UDP_BUFFER_BYTES: usize = 4096;
const DNS_PORT: u16 = 53;

/// Servers that know other names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstreams(Vec<SocketAddr>);

impl Upstreams {
    /// Reads a `resolv.conf`, leaving out what would lead back here: the given addresses and the given range.
    #[must_use]
    pub fn parse(text: &str, own: &[SocketAddr], own_range: Cidr) -> Self {
        let servers = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            if words.next() != Some("nameserver") {
                return None;
            }
            // A link-local IPv6 server has a zone, which its socket would need; such servers have others beside them.
            let address: IpAddr = words.next()?.parse().ok()?;
            let leads_back = own.contains(&SocketAddr::new(address, DNS_PORT))
                || matches!(address, IpAddr::V4(address) if own_range.contains(address));
            (!leads_back).then_some(SocketAddr::new(address, DNS_PORT))
        });
        let mut list: Vec<SocketAddr> = Vec::new();
        for server in servers {
            if !list.contains(&server) {
                list.push(server);
            }
        }
        Self(list)
    }

    /// Returns the servers in the order in which they are asked.
    #[must_use]
    pub fn servers(&self) -> &[SocketAddr] {
        &self.0
    }
}

/// What tells questions apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    name: Vec<u8>,
    kind: u16,
    dnssec_ok: bool,
    checking_disabled: bool,
}

impl Key {
    fn of(query: &Query) -> Self {
        Self {
            name: query.name.clone(),
            kind: query.kind,
            dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok),
            checking_disabled: query.checking_disabled,
        }
    }
}

/// An answer and how old it is.
#[derive(Debug, Clone)]
pub(super) struct Aged {
    pub(super) foreign: Arc<Foreign>,
    pub(super) age_seconds: u32,
}

#[derive(Debug)]
struct Kept {
    foreign: Arc<Foreign>,
    since: Instant,
    until: Instant,
}

/// Answers that may be given again; the oldest go first when there are too many.
#[derive(Debug, Default)]
struct Cache {
    kept: HashMap<Key, Kept>,
    order: VecDeque<Key>,
    entries_max: usize,
}

impl Cache {
    fn get(&self, key: &Key, now: Instant) -> Option<Aged> {
        let kept = self.kept.get(key).filter(|kept| now < kept.until)?;
        let age_seconds = u32::try_from(now.duration_since(kept.since).as_secs()).unwrap_or(u32::MAX);
        Some(Aged { foreign: Arc::clone(&kept.foreign), age_seconds })
    }

    fn insert(&mut self, key: Key, foreign: &Arc<Foreign>, now: Instant) {
        let seconds = foreign.ttl_seconds(POSITIVE_TTL_MAX_SECONDS, NEGATIVE_TTL_MAX_SECONDS);
        if seconds == 0 || foreign.len() > KEPT_BYTES_MAX || self.entries_max == 0 {
            return;
        }
        let until = now + Duration::from_secs(u64::from(seconds));
        if self.kept.insert(key.clone(), Kept { foreign: Arc::clone(foreign), since: now, until }).is_none() {
            self.order.push_back(key);
        }
        while self.kept.len() > self.entries_max {
            let Some(oldest) = self.order.pop_front() else { break };
            self.kept.remove(&oldest);
        }
    }
}

#[derive(Debug, Default)]
struct Servers {
    upstreams: Upstreams,
    modified: Option<SystemTime>,
    checked: Option<Instant>,
}

type Outcome = Option<Option<Arc<Foreign>>>;

/// Asks the servers of the machine.
pub(super) struct Forwarder {
    path: PathBuf,
    own: Vec<SocketAddr>,
    own_range: Cidr,
    timeout: Duration,
    servers: Mutex<Servers>,
    cache: Mutex<Cache>,
    asked: Mutex<HashMap<Key, watch::Receiver<Outcome>>>,
    metrics: Arc<Metrics>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets that a question is being asked, also when the one who asks is dropped.
struct Asking<'a> {
    forwarder: &'a Forwarder,
    key: Key,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        lock(&self.forwarder.asked).remove(&self.key);
    }
}

impl Forwarder {
    pub(super) fn new(options: &NetworkOptions, own: Vec<SocketAddr>, metrics: Arc<Metrics>) -> Self {
        let entries_max = options.dns.cache_entries_max;
        Self {
            path: options.dns.resolv_conf.clone(),
            own,
            own_range: options.service_cidr,
            timeout: options.dns.forward_timeout,
            servers: Mutex::default(),
            cache: Mutex::new(Cache { entries_max, ..Cache::default() }),
            asked: Mutex::default(),
            metrics,
        }
    }

    /// Returns what is kept of an answer.
    pub(super) fn cached(&self, query: &Query) -> Option<Aged> {
        let found = lock(&self.cache).get(&Key::of(query), Instant::now());
        if found.is_some() {
            self.metrics.cache_hits.inc()
        } else {
            self.metrics.cache_misses.inc()
        }
        found
    }

    /// Asks; `None` when nobody answers in time. The same question is asked once at a time: this also ends a loop of servers
    /// that ask each other after one turn.
    pub(super) async fn ask(&self, query: &Query) -> Option<Arc<Foreign>> {
        let key = Key::of(query);
        let (sender, receiver) = watch::channel(None);
        let other = {
            let mut asked = lock(&self.asked);
            let other = asked.get(&key).cloned();
            if other.is_none() {
                asked.insert(key.clone(), receiver);
            }
            other
        };
        if let Some(mut other) = other {
            let waiting = other.wait_for(Option::is_some);
            return tokio::time::timeout(self.timeout, waiting).await.ok()?.ok()?.clone().flatten();
        }
        let asking = Asking { forwarder: self, key };
        let found = tokio::time::timeout(self.timeout, self.ask_servers(query)).await.ok().flatten().map(Arc::new);
        if let Some(found) = &found {
            lock(&self.cache).insert(asking.key.clone(), found, Instant::now());
        }
        drop(asking);
        // Nobody waits when nobody asked the same.
        drop(sender.send(Some(found.clone())));
        found
    }

    /// Asks one server after the other, twice; a refusal or failure is passed on only when nobody does better.
    async fn ask_servers(&self, query: &Query) -> Option<Foreign> {
        let upstreams = self.upstreams().await;
        let mut poor = None;
        for server in upstreams.servers().iter().chain(upstreams.servers()) {
            let start = Instant::now();
            let answer = match tokio::time::timeout(TRY_TIMEOUT, ask_server(*server, query)).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(error)) => {
                    tracing::debug!(%server, %error, "upstream DNS server failed");
                    self.metrics.forward_failures.inc();
                    continue;
                }
                Err(_) => {
                    tracing::debug!(%server, "upstream DNS server did not answer");
                    self.metrics.forward_failures.inc();
                    continue;
                }
            };
            self.metrics.forward_duration.observe(start.elapsed());
            if matches!(answer.code, 0 | 3) {
                return Some(answer);
            }
            if poor.is_some() {
                break;
            }
            poor = Some(answer);
        }
        poor
    }

    async fn upstreams(&self) -> Upstreams {
        let now = Instant::now();
        let modified_before = {
            let mut servers = lock(&self.servers);
            if servers.checked.is_some_and(|checked| now.duration_since(checked) < REREAD_PERIOD) {
                return servers.upstreams.clone();
            }
            servers.checked = Some(now);
            servers.modified
        };
        let modified = tokio::fs::metadata(&self.path).await.and_then(|metadata| metadata.modified()).ok();
        if modified.is_none() || modified != modified_before {
            let text = tokio::fs::read_to_string(&self.path).await.unwrap_or_default();
            let upstreams = Upstreams::parse(&text, &self.own, self.own_range);
            let mut servers = lock(&self.servers);
            if servers.upstreams != upstreams {
                tracing::info!(servers = ?upstreams.servers(), path = %self.path.display(), "upstream DNS servers");
            }
            (servers.upstreams, servers.modified) = (upstreams, modified);
        }
        lock(&self.servers).upstreams.clone()
    }
}

/// Asks over UDP from a port that nobody can guess, and over TCP when the answer is too long.
async fn ask_server(server: SocketAddr, query: &Query) -> std::io::Result<Foreign> {
    let mut random = [0; 2];
    maru_ids::fill_random(&mut random);
    let id = u16::from_ne_bytes(random);
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    let question = query.forwarded(id);
    socket.send(&question).await?;
    let mut buffer = vec![0; UDP_BUFFER_BYTES];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // What does not fit the question is somebody's guess or a late answer.
        let Some(answer) = Foreign::parse(buffer.get(..length).unwrap_or_default(), query, id) else { continue };
        return if answer.truncated { ask_over_tcp(server, query, id, &question).await } else { Ok(answer) };
    }
}

async fn ask_over_tcp(server: SocketAddr, query: &Query, id: u16, question: &[u8]) -> std::io::Result<Foreign> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Foreign::parse(&answer, query, id).ok_or_else(|| std::io::Error::other("the answer does not fit the question"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_lead_back_here_are_left_out() {
        let own = ["127.0.0.1:53".parse().unwrap()];
        let text = "# comment\nsearch example.com\nnameserver 192.0.2.1\nnameserver 127.0.0.1\nnameserver 127.0.0.53\n\
                    nameserver 10.96.0.10\nnameserver fe80::1%eth0\nnameserver 192.0.2.1\nnameserver 2001:db8::1 \nnameserver";
        let upstreams = Upstreams::parse(text, &own, "10.96.0.0/16".parse().unwrap());
        let expected: Vec<SocketAddr> =
            ["192.0.2.1:53", "127.0.0.53:53", "[2001:db8::1]:53"].iter().map(|text| text.parse().unwrap()).collect();
        assert_eq!(upstreams.servers(), expected);
    }
}
