//! What tests share: isolated hosts, temporary directories, waiting with a deadline.
