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

/// Gives memory that the allocator keeps free back to the kernel. Takes milliseconds when there is much.
pub fn release_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes a number, looks at free memory alone and does so under the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn freed_memory_goes_back() {
        let resident = || {
            let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
            statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
        };
        super::bound_heaps(2);
        // Small pieces with one kept at the end: the heap cannot shrink by itself.
        let mut pieces: Vec<Vec<u8>> = (0..100_000).map(|_| vec![1; 1000]).collect();
        let last = pieces.pop();
        let full = resident();
        drop(pieces);
        super::release_free_memory();
        if cfg!(target_env = "gnu") {
            assert!(resident() + 50_000_000 < full, "{} of {full}", resident());
        }
        drop(last);
    }
}
