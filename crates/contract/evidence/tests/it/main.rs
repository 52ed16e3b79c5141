//! Exported evidence, checked by ourselves and by programs of others.

mod export;
