//! A disk that is full.

use std::time::Duration;

use maru_prom::Labels;
use maru_prom::remote_write::Version;

use crate::{NOW, Running, labels, request};

/// A small file system, which goes away with the namespace that it is mounted in.
fn mount_small(folder: &std::path::Path) {
    let kind = Some("tmpfs");
    nix::mount::mount(kind, folder, kind, nix::mount::MsFlags::empty(), Some("size=1m")).unwrap();
}

/// Some series at one moment, with values that do not pack well.
fn round(number: i64) -> Vec<(Labels, Vec<(i64, f64)>)> {
    let at = (NOW - 7000 + number) * 1000;
    let one = |series: i64| {
        let value = ((number * 61 + series * 7919) as f64).sin();
        (labels(&[("__name__", "noise"), ("series", &series.to_string())]), vec![(at, value)])
    };
    (0..200).map(one).collect()
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room_and_serves_reads_all_the_time() {
    maru_testkit::require_root_or_skip!();
    maru_testkit::Host::new().block_on(async {
        let folder = maru_testkit::TempDir::new();
        mount_small(folder.path());
        let ballast = folder.join("ballast");
        std::fs::write(&ballast, vec![1; 500 << 10]).unwrap();
        let store = folder.join("metrics");
        let own = store.clone();
        let server = Running::with(|options| options.directory = own).await;
        let send = async |number| server.post("/api/v1/write", &[], request(Version::V1, &round(number))).await;
        let mut taken = 0;
        let (status, headers, text) = loop {
            let answer = send(taken).await;
            if answer.0 != 204 {
                break answer;
            }
            taken += 1;
            assert!(taken < 5000, "the disk does not fill up");
        };
        assert_eq!(status, 503, "{text}");
        assert!(headers["retry-after"].to_str().unwrap().parse::<u32>().unwrap() >= 1);
        assert!(text.contains("disk is full"), "{text}");
        // OTLP and version 2 are told the same.
        let (status, headers, _) =
            server.post("/api/v1/otlp/v1/metrics", &[("content-type", "application/json")], otlp_gauge()).await;
        assert!(status == 503 && headers.contains_key("retry-after"), "{status}");
        let count = async |server: &Running| {
            let end = (NOW - 7000 + taken).to_string();
            let data =
                server.data("/api/v1/query", &[("query", "sum(count_over_time(noise[3h]))"), ("time", &end)]).await;
            data["result"][0]["value"][1].as_str().unwrap().parse::<i64>().unwrap()
        };
        // What was acknowledged is there; of the refused round some may be in memory.
        assert!(count(&server).await >= taken * 200);
        std::fs::remove_file(&ballast).unwrap();
        maru_testkit::wait_until(Duration::from_secs(60), "writes are taken again", async || {
            send(taken).await.0 == 204
        })
        .await;
        assert_eq!(count(&server).await, (taken + 1) * 200);
        server.stop().await;
        let server = Running::with(|options| options.directory = store).await;
        assert_eq!(count(&server).await, (taken + 1) * 200);
        assert_eq!(server.data("/api/v1/status/walreplay", &[]).await["state"], "done");
        server.stop().await;
    });
}

fn otlp_gauge() -> Vec<u8> {
    let point = serde_json::json!({"timeUnixNano": (NOW * 1_000_000_000).to_string(), "asDouble": 1.0});
    let metric = serde_json::json!({"name": "g", "gauge": {"dataPoints": [point]}});
    serde_json::json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).to_string().into_bytes()
}
