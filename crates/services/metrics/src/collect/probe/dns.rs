//! A question of DNS.

use hickory_proto::rr::{Record, RecordType};
use maru_monitoring::probe::{DnsProbe, RecordConditions};
use tokio::time::Instant;

use super::{Findings, resolve};
use crate::collect::discovery;
use crate::collect::state::float;

pub(super) async fn run(probe: &DnsProbe, target: &str, found: &mut Findings) -> Result<(), String> {
    let (host, port) = match target.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().map_err(|_| format!("\"{port}\" is no port"))?)
        }
        _ => (target, 53),
    };
    let (address, resolved) = resolve(host, port, probe.ip, found).await?;
    let kind = if probe.query_type.is_empty() { "ANY" } else { probe.query_type.as_str() };
    let kind: RecordType = kind.to_uppercase().parse().map_err(|_| format!("\"{kind}\" is no type of records"))?;
    let started = Instant::now();
    let answer = discovery::ask(address, &probe.query_name, kind, probe.recursion, probe.tcp).await?;
    found.phases(
        "probe_dns_duration_seconds",
        "Duration of DNS request by phase",
        &[("resolve", resolved), ("request", started.elapsed())],
    );
    let sections = [
        ("probe_dns_answer_rrs", "Returns number of entries in the answer resource record list", &answer.answers),
        (
            "probe_dns_authority_rrs",
            "Returns number of entries in the authority resource record list",
            &answer.authorities,
        ),
        (
            "probe_dns_additional_rrs",
            "Returns number of entries in the additional resource record list",
            &answer.additionals,
        ),
    ];
    found.gauge("probe_dns_query_succeeded", "Displays whether or not the query was executed successfully", 1.0);
    for (name, help, records) in &sections {
        found.gauge(name, help, float(records.len() as u64));
    }
    let code = answer.metadata.response_code;
    let name = format!("{code:?}").to_uppercase();
    let is_valid = if probe.valid_rcodes.is_empty() {
        name == "NOERROR"
    } else {
        probe.valid_rcodes.iter().any(|valid| valid.eq_ignore_ascii_case(&name))
    };
    if !is_valid {
        return Err(format!("the server answers {code}"));
    }
    for ((what, _, records), conditions) in sections.iter().zip(&probe.conditions) {
        check(what, records, conditions)?;
    }
    Ok(())
}

fn check(what: &str, records: &[Record], conditions: &RecordConditions) -> Result<(), String> {
    let texts: Vec<String> = records.iter().map(ToString::to_string).collect();
    let fails = conditions.fail_if_matches.iter().any(|pattern| texts.iter().any(|text| pattern.is_match(text)))
        || conditions.fail_if_all_match.iter().any(|pattern| texts.iter().all(|text| pattern.is_match(text)))
        || conditions.fail_if_not_matches.iter().any(|pattern| texts.iter().any(|text| !pattern.is_match(text)))
        || conditions.fail_if_none_matches.iter().any(|pattern| !texts.iter().any(|text| pattern.is_match(text)));
    if fails { Err(format!("{what}: a pattern of the module does not hold")) } else { Ok(()) }
}
