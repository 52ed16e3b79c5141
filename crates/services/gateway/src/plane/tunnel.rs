//! Bytes both ways, as long as there are any.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// How long nothing may pass: peers that vanished without a word do not hold a tunnel for ever.
const IDLE_MAX: Duration = Duration::from_secs(3600);
/// How often that is looked at.
const PERIOD: Duration = Duration::from_secs(60);
const BUFFER_BYTES: usize = 16 * 1024;

/// Passes bytes until both sides have ended, one has failed, or nothing has passed for an hour. Returns how many the
/// client got.
pub(crate) async fn run(
    client: impl AsyncRead + AsyncWrite + Unpin,
    upstream: impl AsyncRead + AsyncWrite + Unpin,
) -> u64 {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_upstream, mut to_upstream) = tokio::io::split(upstream);
    let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
    let both = async {
        tokio::try_join!(
            pump(&mut from_client, &mut to_upstream, &received),
            pump(&mut from_upstream, &mut to_client, &sent)
        )
    };
    tokio::select! {
        result = both => {
            if let Err(error) = result {
                tracing::debug!(%error, "a tunnel ended early");
            }
        }
        () = idle(&sent, &received) => tracing::debug!("a tunnel was idle for too long"),
    }
    sent.load(Ordering::Relaxed)
}

async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    passed: &AtomicU64,
) -> std::io::Result<()> {
    let mut buffer = vec![0u8; BUFFER_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(buffer.get(..count).unwrap_or_default()).await?;
        to.flush().await?;
        passed.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
    }
}

async fn idle(sent: &AtomicU64, received: &AtomicU64) {
    let total = || sent.load(Ordering::Relaxed).wrapping_add(received.load(Ordering::Relaxed));
    let (mut last, mut quiet) = (total(), Duration::ZERO);
    while quiet < IDLE_MAX {
        tokio::time::sleep(PERIOD).await;
        let now = total();
        quiet = if now == last { quiet + PERIOD } else { Duration::ZERO };
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_idle_tunnel_ends_and_a_busy_one_does_not() {
        let (mut client, inner) = tokio::io::duplex(64);
        let (outer, mut upstream) = tokio::io::duplex(64);
        let scope = maru_task::Scope::root("test");
        let tunnel = scope.spawn("tunnel", run(inner, outer));
        for _ in 0..5 {
            tokio::time::sleep(IDLE_MAX / 2).await;
            upstream.write_all(b"ping").await.unwrap();
            let mut four = [0u8; 4];
            client.read_exact(&mut four).await.unwrap();
        }
        let before = tokio::time::Instant::now();
        assert_eq!(tunnel.await.unwrap(), 20);
        assert!(before.elapsed() >= IDLE_MAX - PERIOD);
    }
}
