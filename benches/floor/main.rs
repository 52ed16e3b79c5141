//! The floor's figures beside its peers: start, pods, durable writes, gateway, idle.
//!
//! `cargo bench -p maru-benches` runs all; names after `--` choose: start pods writes gateway idle.
//! Peers are Debian's packages runc, etcd-server, nginx and wrk; one that is missing leaves its column empty.

mod gateway;
mod idle;
mod pods;
mod start;
mod writes;

use maru_benches::{Row, print};

/// A bench and its name on the command line.
type Bench = (&'static str, fn() -> Vec<Row>);

#[expect(clippy::print_stderr, reason = "a bench's progress")]
fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let benches: [Bench; 5] = [
        ("start", start::run),
        ("pods", pods::run),
        ("writes", writes::run),
        ("gateway", gateway::run),
        ("idle", idle::run),
    ];
    if !maru_tests::can_run(&["busybox", "nft", "curl"]) {
        return;
    }
    let mut rows = Vec::new();
    for (name, bench) in benches {
        if chosen.is_empty() || chosen.iter().any(|one| one == name) {
            eprintln!("{name} …");
            rows.extend(bench());
        }
    }
    print(&rows);
}
