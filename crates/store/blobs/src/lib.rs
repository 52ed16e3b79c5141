//! Content-addressed blobs in files.
