//! Controllers of the built-in kinds.
