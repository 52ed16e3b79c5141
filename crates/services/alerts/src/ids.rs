//! Hashes and identities.

/// Returns SHA-256 as hexadecimal digits: what services take as a key for repeated messages.
pub(crate) fn hash_hex(bytes: &[u8]) -> String {
    maru_ids::to_hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}
