//! The engine as its users meet it.

mod hints;
mod language;
mod language_properties;
mod language_scripts;
mod promqltest;
mod scripts;
