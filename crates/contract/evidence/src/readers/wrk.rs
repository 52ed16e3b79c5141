//! What wrk prints, with `--latency` for percentiles.
//!
//! wrk sends the next request when the last was answered: under overload it asks less, and latencies look better than users
//! would see them. Its latencies are those of the load that it reached.

use super::load::Run;
use super::{Content, Format, ReadError, Report, malformed};
use crate::record::EvidenceKind;

pub(super) fn read(report: &[u8]) -> Result<Report, ReadError> {
    let wrong = |why: &str| malformed(Format::Wrk, why);
    let text = std::str::from_utf8(report).map_err(|_| wrong("it is not UTF-8"))?;
    if !text.trim_start().starts_with("Running ") {
        return Err(wrong("it does not begin with \"Running\""));
    }
    let mut run = Run::default();
    let mut requests = None;
    let mut is_corrected = true;
    for line in text.lines().map(str::trim) {
        // wrk2 with --u_latency adds what it would be without the time that requests waited to be sent: nobody's latency.
        if line.starts_with("Latency Distribution") {
            is_corrected = !line.contains("Uncorrected");
        }
        let words: Vec<&str> = line.split_whitespace().take(16).collect();
        match words.as_slice() {
            ["Latency", _, _, max, _] => run.slowest = time(max),
            [share, value] if share.ends_with('%') && is_corrected => {
                let share =
                    share.strip_suffix('%').and_then(|share| share.parse::<f64>().ok()).map(|share| share / 100.0);
                let known = share.filter(|share| (0.0..=1.0).contains(share)).zip(time(value));
                run.percentiles.extend(known.filter(|_| run.percentiles.len() < 1_000));
            }
            [count, "requests", "in", length, ..] => {
                requests = count.parse::<u64>().ok();
                run.seconds = length.strip_suffix(',').and_then(time);
            }
            ["Socket", "errors:", ..] => {
                let numbers = words.iter().filter_map(|word| word.trim_end_matches(',').parse::<u64>().ok());
                run.lost = numbers.fold(0, u64::saturating_add);
            }
            ["Non-2xx", "or", "3xx", "responses:", count] => run.failed = count.parse().unwrap_or_default(),
            _ => {}
        }
    }
    run.answered = requests.ok_or_else(|| wrong("it has no line \"… requests in …\"; the run did not end"))?;
    run.failed = run.failed.min(run.answered);
    Ok(Report {
        kind: EvidenceKind::Load,
        tool: "wrk".to_owned(),
        version: String::new(),
        window: None,
        content: Content::Load(run),
    })
}

/// Reads `635.91us`, `12.92ms`, `1.03s`, `2.00m`.
fn time(text: &str) -> Option<f64> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let (number, unit) = text.split_at(end);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * scale)
}
