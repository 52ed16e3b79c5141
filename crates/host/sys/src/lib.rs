//! The only room with unsafe code: thin safe functions over system calls.
