//! Requests of remote read, and both forms of its answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use maru_prom::remote_read::{ReadRequest, SamplesResponse, decode_frames};

fuzz_target!(|data: &[u8]| {
    if let Ok(request) = ReadRequest::decode(data) {
        assert_eq!(ReadRequest::decode(&request.encode()).as_ref(), Ok(&request));
    }
    SamplesResponse::decode(data).ok();
    decode_frames(data).ok();
});
