//! A connection, and what is said on it.

use std::path::Path;

use maru_monitoring::probe::TcpProbe;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::line::{self, Talk};
use super::{Findings, host_port, resolve};

/// Bytes of one line that is waited for, and lines that are looked at.
const LINE_BYTES_MAX: u64 = 8 << 10;
const LINES_MAX: usize = 1000;

pub(super) async fn run(probe: &TcpProbe, target: &str, folder: &Path, found: &mut Findings) -> Result<(), String> {
    let target = target.strip_prefix("tcp://").unwrap_or(target);
    let (host, port) = host_port(target)?;
    let (address, _) = resolve(host, port, probe.ip, found).await?;
    let stream = line::connect(address).await?;
    let mut stream: BufReader<Box<dyn Talk>> = if probe.tls {
        BufReader::new(Box::new(line::secure(stream, &probe.tls_config, host, &[], folder, found).await?))
    } else {
        BufReader::new(Box::new(stream))
    };
    let mut groups: Vec<String> = Vec::new();
    for exchange in &probe.exchanges {
        if let Some(pattern) = &exchange.expect {
            let said = wait_for(&mut stream, pattern).await;
            let is_failed = f64::from(u8::from(said.is_err()));
            if said.is_err() {
                found.gauge("probe_failed_due_to_regex", "Indicates if probe failed due to regex", is_failed);
            }
            groups = said?;
        }
        if let Some(text) = &exchange.send {
            let mut text = text.clone();
            for (index, group) in groups.iter().enumerate() {
                text = text.replace(&format!("${{{index}}}"), group);
            }
            let sent = stream.get_mut().write_all(format!("{text}\n").as_bytes()).await;
            sent.map_err(|error| format!("the connection broke off: {error}"))?;
        }
        if exchange.starttls {
            let plain = stream.into_inner();
            let secured = line::secure(plain, &probe.tls_config, host, &[], folder, found).await?;
            stream = BufReader::new(Box::new(secured));
        }
    }
    if !probe.exchanges.is_empty() {
        found.gauge("probe_failed_due_to_regex", "Indicates if probe failed due to regex", 0.0);
    }
    Ok(())
}

/// Reads lines until one matches; returns its groups.
async fn wait_for(stream: &mut BufReader<Box<dyn Talk>>, pattern: &regex::Regex) -> Result<Vec<String>, String> {
    for _ in 0..LINES_MAX {
        let mut line = Vec::new();
        let mut limited = tokio::io::AsyncReadExt::take(&mut *stream, LINE_BYTES_MAX);
        let read = limited.read_until(b'\n', &mut line).await;
        if read.map_err(|error| format!("the connection broke off: {error}"))? == 0 {
            return Err(format!("the connection ended before a line matched \"{pattern}\""));
        }
        let text = String::from_utf8_lossy(&line);
        if let Some(groups) = pattern.captures(text.trim_end_matches(['\r', '\n'])) {
            return Ok(groups.iter().map(|group| group.map_or("", |one| one.as_str()).to_owned()).collect());
        }
    }
    Err(format!("no line matched \"{pattern}\""))
}
