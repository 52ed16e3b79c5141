//! The engine as its users meet it.

mod promqltest;
mod scripts;
