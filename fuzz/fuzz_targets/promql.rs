//! The language: what is read is written in a form that is read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use maru_promql::{ParseOptions, parse};

fuzz_target!(|text: &str| {
    let options = ParseOptions::default();
    if let Ok(expression) = parse(text, &options) {
        let written = expression.to_string();
        assert!(parse(&written, &options).is_ok(), "{text:?} became {written:?}");
    }
});
