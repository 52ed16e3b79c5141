//! Waiting for a state, with a deadline.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

/// Pause between two looks.
const PERIOD: Duration = Duration::from_millis(20);

/// Looks every 20 ms until `probe` returns something, and returns that.
///
/// # Panics
/// When the deadline passes first; the message names `what`.
pub async fn wait_for<T, F, R>(deadline: Duration, what: impl Display, mut probe: F) -> T
where
    F: FnMut() -> R,
    R: Future<Output = Option<T>>,
{
    let looking = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(PERIOD).await;
        }
    };
    match tokio::time::timeout(deadline, looking).await {
        Ok(found) => found,
        Err(_) => panic!("{what}: not within {deadline:?}"),
    }
}

/// Looks every 20 ms until `probe` says true.
///
/// # Panics
/// When the deadline passes first; the message names `what`.
pub async fn wait_until<F, R>(deadline: Duration, what: impl Display, mut probe: F)
where
    F: FnMut() -> R,
    R: Future<Output = bool>,
{
    wait_for(deadline, what, || {
        let looking = probe();
        async { looking.await.then_some(()) }
    })
    .await;
}

/// Like [`wait_until`], for tests without a runtime.
///
/// # Panics
/// When the deadline passes first; the message names `what`.
#[expect(clippy::disallowed_methods, reason = "no runtime, so no paused time either")]
pub fn wait_until_blocking(deadline: Duration, what: impl Display, mut probe: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !probe() {
        assert!(start.elapsed() < deadline, "{what}: not within {deadline:?}");
        std::thread::sleep(PERIOD);
    }
}

/// Returns a TCP port that was free on loopback a moment ago. Prefer binding port 0 where the code under test can.
///
/// # Panics
/// When no port is free.
#[must_use]
pub fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a port is free on loopback")
        .port()
}

/// Tells whether the test runs as root.
#[must_use]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_when_the_state_is_there() {
        let mut looks = 0;
        let found = wait_for(Duration::from_secs(5), "third look", || {
            looks += 1;
            std::future::ready((looks == 3).then_some("here"))
        })
        .await;
        assert_eq!(found, "here");
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "a miracle: not within 1s")]
    async fn waiting_names_what_did_not_come() {
        wait_until(Duration::from_secs(1), "a miracle", || std::future::ready(false)).await;
    }

    #[test]
    fn a_free_port_can_be_bound() {
        assert!(std::net::TcpListener::bind(("127.0.0.1", free_port())).is_ok());
    }
}
