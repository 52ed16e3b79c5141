//! Models as people write them: what is read, what is refused and where, what is found, what is drawn.
#![expect(clippy::unwrap_used, reason = "tests")]

mod checks;
mod drawing;
mod reading;
mod shop;
