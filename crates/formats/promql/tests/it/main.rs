//! The engine as its users meet it.

mod hints;
mod promqltest;
mod scripts;
