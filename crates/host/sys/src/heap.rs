//! How the C library's allocator keeps memory.

/// Bounds how many heaps the allocator makes for threads that allocate at the same time. Each keeps what its threads freed, so that a
/// process with many threads holds many times what it uses. Call it before threads exist; other C libraries have nothing to set.
pub fn bound_heaps(count: u8) {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt takes two numbers and changes a setting under the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, libc::c_int::from(count));
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = count;
}
