//! From the binary's start to its first answer, and to a Ready pod whose image is present.

use std::time::Duration;

use maru_benches::{Row, median_millis};
use maru_tests::System;
use tokio::time::Instant;

const RUNS: usize = 5;

pub(super) fn run() -> Vec<Row> {
    let mut answers = Vec::new();
    let mut pods = Vec::new();
    for _ in 0..RUNS {
        let mut system = System::new();
        system.build_image();
        let started = Instant::now();
        system.spawn();
        while system.http("https://127.0.0.1:6443/readyz", &[]).0 != 200 {
            std::thread::sleep(Duration::from_millis(2));
        }
        answers.push(started.elapsed());
        system.wait_ready();
        let asked = Instant::now();
        system.apply(
            "{apiVersion: v1, kind: Pod, metadata: {name: one}, spec: {containers: [{name: main, image: test/busybox, imagePullPolicy: IfNotPresent, command: [sleep, '1000']}], terminationGracePeriodSeconds: 0}}",
        );
        system.maru(&["wait", "pod/one"]);
        pods.push(asked.elapsed());
    }
    let row = |what: &str, durations: &mut [Duration], budget: &str| Row {
        what: what.to_owned(),
        maru: median_millis(durations),
        peer: None,
        budget: budget.to_owned(),
    };
    vec![
        row("binary start to first API answer, ms", &mut answers, "1000"),
        row("apply to a Ready pod, image present, by the command line, ms", &mut pods, "2000 from the binary's start"),
    ]
}
