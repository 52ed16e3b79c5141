//! A program's output on its way to a client, whatever carries it.

use std::time::Duration;

use bytes::Bytes;
use maru_container::{ContainerStream, ExitStatus, ShimError};
use tokio::io::AsyncReadExt as _;
use tokio::sync::watch;

/// Bytes of output in one message or frame.
pub(super) const BLOCK: usize = 32 * 1024;
/// After a program's end its output is read until it ends as well, or is silent for this long: a child in the background
/// may hold it open.
const AFTER_END: Duration = Duration::from_millis(250);

/// Tells those who carry output that the program has ended.
pub(super) type Ended = watch::Receiver<bool>;

/// A program's output, block by block.
pub(super) struct Blocks {
    stream: ContainerStream,
    block: Vec<u8>,
    ended: Ended,
    has_ended: bool,
}

impl Blocks {
    pub(super) fn new(stream: ContainerStream, ended: Ended) -> Self {
        Self { stream, block: vec![0; BLOCK], ended, has_ended: false }
    }

    /// Returns the next block; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let read = async {
                let wait = if self.has_ended { AFTER_END } else { Duration::MAX };
                tokio::time::timeout(wait, self.stream.read(&mut self.block)).await
            };
            tokio::select! {
                biased;
                read = read => return match read {
                    Ok(Ok(count)) if count > 0 => self.block.get(..count).map(Bytes::copy_from_slice),
                    _ => None,
                },
                end = self.ended.wait_for(|ended| *ended), if !self.has_ended => {
                    drop(end);
                    self.has_ended = true;
                }
            }
        }
    }
}

/// Waits until the program and its output have ended; `None` where nobody waits for a program. `output` is made of what tells
/// it about the program's end.
pub(super) async fn until_end<O: Future<Output = ()>>(
    exit: Option<impl Future<Output = Result<ExitStatus, ShimError>>>,
    output: impl FnOnce(Ended) -> O,
) -> Option<Result<ExitStatus, ShimError>> {
    let (end, ended) = watch::channel(false);
    let output = output(ended);
    let Some(exit) = exit else {
        output.await;
        return None;
    };
    let (mut exit, mut output) = (std::pin::pin!(exit), std::pin::pin!(output));
    tokio::select! {
        status = &mut exit => {
            end.send_replace(true);
            output.await;
            Some(status)
        }
        () = &mut output => Some(exit.await),
    }
}
