//! The writers, judged by what is in the files and by the readers that people use.
#![expect(clippy::unwrap_used, reason = "tests")]

mod formats;
mod hostile;
#[cfg(feature = "pdf")]
mod pdf;
mod readers;
mod sample;
mod unzip;
