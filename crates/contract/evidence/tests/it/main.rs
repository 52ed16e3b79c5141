//! Exported evidence, checked by ourselves and by programs of others.
#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

mod export;
