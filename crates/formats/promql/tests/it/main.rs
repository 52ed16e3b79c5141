//! The engine as its users meet it.

mod engine;
mod engine_limits;
mod engine_properties;
mod hints;
mod language;
mod language_properties;
mod language_scripts;
mod promqltest;
mod scripts;
