//! Modules of probes, as `blackbox.yml` writes them.

use std::time::Duration;

use maru_yaml::{Cursor, Document, ParseLimits, Problem};
use regex::Regex;

use crate::scrape::{HttpClientConfig, TlsConfig, parse_duration, parse_size, read_http_client, read_tls_config};

/// How a target is probed.
#[derive(Debug, Clone)]
pub struct ProbeModule {
    /// How long it may take; the scrape's own timeout where it says none.
    pub timeout: Option<Duration>,
    /// By what.
    pub prober: Prober,
}

/// By what a target is probed.
#[derive(Debug, Clone)]
pub enum Prober {
    /// A request of HTTP.
    Http(Box<HttpProbe>),
    /// A connection, and what is said on it.
    Tcp(Box<TcpProbe>),
    /// A question of DNS.
    Dns(Box<DnsProbe>),
    /// gRPC's health check.
    Grpc(Box<GrpcProbe>),
    /// An echo of ICMP.
    Icmp(IcmpProbe),
}

/// Which version of IP is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpPreference {
    /// Whether IPv6 is preferred.
    pub prefers_v6: bool,
    /// Whether the other one will do.
    pub falls_back: bool,
}

impl Default for IpPreference {
    fn default() -> Self {
        Self { prefers_v6: true, falls_back: true }
    }
}

/// A condition on a header of the answer.
#[derive(Debug, Clone)]
pub struct HeaderCondition {
    /// The header's name.
    pub header: String,
    /// What its value is compared with.
    pub pattern: Regex,
    /// Whether an answer without the header passes.
    pub allow_missing: bool,
}

/// A request of HTTP.
#[derive(Debug, Clone, Default)]
pub struct HttpProbe {
    /// Which IP.
    pub ip: IpPreference,
    /// Codes that count as success; 200 to 299 when empty.
    pub valid_status_codes: Vec<u16>,
    /// Versions such as `HTTP/1.1` that count as success; all when empty.
    pub valid_http_versions: Vec<String>,
    /// The method; GET when empty.
    pub method: String,
    /// Headers that are sent.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: String,
    /// Whether TLS is a failure.
    pub fail_if_ssl: bool,
    /// Whether the lack of TLS is a failure.
    pub fail_if_not_ssl: bool,
    /// Patterns that must not be found in the body.
    pub fail_if_body_matches: Vec<Regex>,
    /// Patterns that must be found in the body.
    pub fail_if_body_not_matches: Vec<Regex>,
    /// Headers that must not match.
    pub fail_if_header_matches: Vec<HeaderCondition>,
    /// Headers that must match.
    pub fail_if_header_not_matches: Vec<HeaderCondition>,
    /// Bytes of the body that are read.
    pub body_bytes_max: Option<u64>,
    /// How the server is reached.
    pub client: HttpClientConfig,
}

/// One step of a talk.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// A line that must come.
    pub expect: Option<Regex>,
    /// A line that is sent; `${1}` stands for a group of what came.
    pub send: Option<String>,
    /// Whether TLS begins now.
    pub starttls: bool,
}

/// A connection, and what is said on it.
#[derive(Debug, Clone, Default)]
pub struct TcpProbe {
    /// Which IP.
    pub ip: IpPreference,
    /// What is said.
    pub exchanges: Vec<Exchange>,
    /// Whether TLS is spoken from the start.
    pub tls: bool,
    /// How TLS is spoken.
    pub tls_config: TlsConfig,
}

/// Conditions on the records of one section of an answer.
#[derive(Debug, Clone, Default)]
pub struct RecordConditions {
    /// Fails when one matches.
    pub fail_if_matches: Vec<Regex>,
    /// Fails when all match.
    pub fail_if_all_match: Vec<Regex>,
    /// Fails when one does not match.
    pub fail_if_not_matches: Vec<Regex>,
    /// Fails when none matches.
    pub fail_if_none_matches: Vec<Regex>,
}

/// A question of DNS.
#[derive(Debug, Clone, Default)]
pub struct DnsProbe {
    /// Which IP.
    pub ip: IpPreference,
    /// The name that is asked for.
    pub query_name: String,
    /// The type of records; ANY when empty.
    pub query_type: String,
    /// Whether TCP is used.
    pub tcp: bool,
    /// Whether the server shall ask others.
    pub recursion: bool,
    /// Codes that count as success; NOERROR when empty.
    pub valid_rcodes: Vec<String>,
    /// Conditions on the answer, the authorities and the additional records.
    pub conditions: [RecordConditions; 3],
}

/// gRPC's health check.
#[derive(Debug, Clone, Default)]
pub struct GrpcProbe {
    /// Which IP.
    pub ip: IpPreference,
    /// The service that is asked about; the whole server when empty.
    pub service: String,
    /// Whether TLS is spoken.
    pub tls: bool,
    /// How TLS is spoken.
    pub tls_config: TlsConfig,
}

/// An echo of ICMP.
#[derive(Debug, Clone, Copy, Default)]
pub struct IcmpProbe {
    /// Which IP.
    pub ip: IpPreference,
    /// Bytes that are sent.
    pub payload_bytes: Option<u16>,
}

/// The modules that there are without a file.
pub const BUILT_IN: &str = r#"
modules:
  http_2xx: {prober: http}
  http_post_2xx: {prober: http, http: {method: POST}}
  tcp_connect: {prober: tcp}
  tls_connect: {prober: tcp, tcp: {tls: true}}
  dns: {prober: dns, dns: {query_name: localhost, query_type: A}}
  grpc: {prober: grpc, grpc: {tls: true}}
  grpc_plain: {prober: grpc}
  icmp: {prober: icmp}
  ssh_banner: {prober: tcp, tcp: {query_response: [{expect: "^SSH-2.0-"}, {send: "SSH-2.0-blackbox-ssh-check"}]}}
"#;

/// Reads a file of modules.
///
/// # Errors
/// All that is wrong, with lines.
pub fn read_modules(text: &str) -> Result<Vec<(String, ProbeModule)>, Vec<Problem>> {
    let document = Document::parse(text, ParseLimits { aliases: 1000, ..ParseLimits::default() });
    let top = document.top();
    let modules = top.field("modules").required();
    let all =
        modules.entries().iter().filter_map(|(name, item)| Some(((*name).to_owned(), read_module(item)?))).collect();
    top.finish();
    let problems = document.problems();
    if problems.is_empty() { Ok(all) } else { Err(problems) }
}

fn read_module(item: &Cursor<'_>) -> Option<ProbeModule> {
    let kinds = [("http", 0), ("tcp", 1), ("dns", 2), ("grpc", 3), ("icmp", 4)];
    let kind = item.field("prober").required().one_of(&kinds);
    let timeout = item.field("timeout").read(parse_duration).filter(|time| !time.is_zero());
    let (http, tcp, dns) = (item.field("http"), item.field("tcp"), item.field("dns"));
    let (grpc, icmp) = (item.field("grpc"), item.field("icmp"));
    let (http, tcp, dns) = (read_http(&http), read_tcp(&tcp), read_dns(&dns, kind == Some(2)));
    let (grpc, icmp) = (read_grpc(&grpc), read_icmp(&icmp));
    item.finish();
    let prober = match kind? {
        0 => Prober::Http(Box::new(http)),
        1 => Prober::Tcp(Box::new(tcp)),
        2 => Prober::Dns(Box::new(dns)),
        3 => Prober::Grpc(Box::new(grpc)),
        _ => Prober::Icmp(icmp),
    };
    Some(ProbeModule { timeout, prober })
}

fn read_ip(of: &Cursor<'_>) -> IpPreference {
    let prefers_v6 = of.field("preferred_ip_protocol").one_of(&[("ip4", false), ("ip6", true)]).unwrap_or(true);
    of.unsupported(&["source_ip_address"], "; the machine's routes choose it");
    IpPreference { prefers_v6, falls_back: of.field("ip_protocol_fallback").boolean().unwrap_or(true) }
}

fn pattern(of: &Cursor<'_>) -> Option<Regex> {
    of.read(|text| Regex::new(text).map_err(|error| error.to_string()))
}

fn patterns(of: &Cursor<'_>) -> Vec<Regex> {
    of.list().iter().filter_map(pattern).collect()
}

fn header_conditions(of: &Cursor<'_>) -> Vec<HeaderCondition> {
    let read = |item: Cursor<'_>| {
        let condition = HeaderCondition {
            header: item.field("header").required().string()?,
            pattern: pattern(&item.field("regexp").required())?,
            allow_missing: item.field("allow_missing").boolean().unwrap_or_default(),
        };
        item.finish();
        Some(condition)
    };
    of.list().into_iter().filter_map(read).collect()
}

fn read_http(of: &Cursor<'_>) -> HttpProbe {
    of.unsupported(
        &["compression", "body_file", "fail_if_body_json_matches_cel", "fail_if_body_json_not_matches_cel"],
        "",
    );
    of.unsupported(&["skip_resolve_phase_with_proxy"], "; there is no proxy");
    let codes = of.field("valid_status_codes");
    let codes = codes.list().iter().filter_map(Cursor::count).filter_map(|code| u16::try_from(code).ok()).collect();
    let follows = of.field("follow_redirects").boolean().unwrap_or(true)
        && !of.field("no_follow_redirects").boolean().unwrap_or_default();
    let mut client = read_http_client(of);
    client.follow_redirects = follows;
    let probe = HttpProbe {
        ip: read_ip(of),
        valid_status_codes: codes,
        valid_http_versions: of.field("valid_http_versions").strings(),
        method: of.field("method").string().unwrap_or_default(),
        headers: of.field("headers").string_map(),
        body: of.field("body").string().unwrap_or_default(),
        fail_if_ssl: of.field("fail_if_ssl").boolean().unwrap_or_default(),
        fail_if_not_ssl: of.field("fail_if_not_ssl").boolean().unwrap_or_default(),
        fail_if_body_matches: patterns(&of.field("fail_if_body_matches_regexp")),
        fail_if_body_not_matches: patterns(&of.field("fail_if_body_not_matches_regexp")),
        fail_if_header_matches: header_conditions(&of.field("fail_if_header_matches")),
        fail_if_header_not_matches: header_conditions(&of.field("fail_if_header_not_matches")),
        body_bytes_max: of.field("body_size_limit").read(parse_size).filter(|bytes| *bytes > 0),
        client,
    };
    of.finish();
    probe
}

fn read_tcp(of: &Cursor<'_>) -> TcpProbe {
    let exchanges = of.field("query_response").list().into_iter().map(|item| {
        item.unsupported(&["expect_bytes", "labels"], "");
        let exchange = Exchange {
            expect: pattern(&item.field("expect")),
            send: item.field("send").string().filter(|text| !text.is_empty()),
            starttls: item.field("starttls").boolean().unwrap_or_default(),
        };
        item.finish();
        exchange
    });
    let probe = TcpProbe {
        exchanges: exchanges.collect(),
        ip: read_ip(of),
        tls: of.field("tls").boolean().unwrap_or_default(),
        tls_config: read_tls_config(&of.field("tls_config")),
    };
    of.finish();
    probe
}

fn read_dns(of: &Cursor<'_>, is_used: bool) -> DnsProbe {
    let name = of.field("query_name");
    if is_used && name.string().unwrap_or_default().is_empty() {
        name.problem("is missing");
    }
    of.unsupported(&["dns_over_tls", "tls_config"], "; ask by UDP or TCP");
    let class = of.field("query_class");
    if class.string().is_some_and(|class| class != "IN") {
        class.problem("only the class IN is asked");
    }
    let conditions = ["validate_answer_rrs", "validate_authority_rrs", "validate_additional_rrs"].map(|field| {
        let section = of.field(field);
        let conditions = RecordConditions {
            fail_if_matches: patterns(&section.field("fail_if_matches_regexp")),
            fail_if_all_match: patterns(&section.field("fail_if_all_match_regexp")),
            fail_if_not_matches: patterns(&section.field("fail_if_not_matches_regexp")),
            fail_if_none_matches: patterns(&section.field("fail_if_none_matches_regexp")),
        };
        section.finish();
        conditions
    });
    let probe = DnsProbe {
        ip: read_ip(of),
        query_name: name.string().unwrap_or_default(),
        query_type: of.field("query_type").string().unwrap_or_default(),
        tcp: of.field("transport_protocol").one_of(&[("udp", false), ("tcp", true)]).unwrap_or_default(),
        recursion: of.field("recursion_desired").boolean().unwrap_or(true),
        valid_rcodes: of.field("valid_rcodes").strings(),
        conditions,
    };
    of.finish();
    probe
}

fn read_grpc(of: &Cursor<'_>) -> GrpcProbe {
    let probe = GrpcProbe {
        ip: read_ip(of),
        service: of.field("service").string().unwrap_or_default(),
        tls: of.field("tls").boolean().unwrap_or_default(),
        tls_config: read_tls_config(&of.field("tls_config")),
    };
    of.finish();
    probe
}

fn read_icmp(of: &Cursor<'_>) -> IcmpProbe {
    of.unsupported(&["dont_fragment", "ttl", "max_ttl"], "");
    let size = of.field("payload_size").count().filter(|size| *size > 0);
    let probe = IcmpProbe { ip: read_ip(of), payload_bytes: size.map(|size| u16::try_from(size).unwrap_or(u16::MAX)) };
    of.finish();
    probe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_read_and_what_is_wrong_is_told() {
        assert_eq!(read_modules(BUILT_IN).unwrap().len(), 9);
        let told =
            read_modules("modules:\n  a: {prober: http, http: {methode: GET}}\n  b: {prober: dns}\n  c: {prober: x}\n");
        let told: Vec<String> = told.unwrap_err().iter().map(ToString::to_string).collect();
        assert!(
            told[0].contains("did you mean \"method\"?")
                && told[1].contains("query_name")
                && told[2].contains("none of"),
            "{told:?}"
        );
    }
}
