//! Measures reading and linting: `cargo run --release -p maru-requirements --example lint_bench`.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement")]

use std::time::Instant;

use maru_requirements::{Graph, LintContext, classify, lint, read_folder};

const ITEMS: usize = 5_000;

fn main() {
    let files: Vec<(String, String)> = (0..ITEMS)
        .map(|index| {
            let text = format!(
                "statement:\n  ko: 사용자가 주문 {index}을 요청하면, 주문 서비스는 하루 요청의 99.9%에 100ms 이내로 응답해야 한다.\n  \
                 en: When a customer asks for order {index}, the order service shall answer 99.9 % of a day's requests within 100 ms.\n\
                 derivedFrom: [{{name: nfr-{:05}}}]\nallocatedTo: [orders]\n\
                 criterion: {{indicator: latency, quantile: 0.999, atMost: 100ms, window: 1d, atLoad: 50/s}}\nverify: [{{load: orders}}]\n",
                index / 10
            );
            (format!("nfr-{index:05}.yaml"), text)
        })
        .collect();
    let begin = Instant::now();
    let items = read_folder(&files).map(|items| items.items).unwrap_or_default();
    println!("{} items read: {:?}", items.len(), begin.elapsed());
    let begin = Instant::now();
    let findings = lint(&items, &LintContext::default());
    println!("{} findings: {:?}", findings.len(), begin.elapsed());
    let begin = Instant::now();
    let graph = Graph::new(&items);
    let reached: usize = items.iter().map(|item| graph.reach(&item.name)).sum();
    println!("{reached} reached: {:?}", begin.elapsed());
    let begin = Instant::now();
    let classes = items.iter().map(classify).filter(|class| class.category.is_some()).count();
    println!("{classes} of a quality: {:?}", begin.elapsed());
}
