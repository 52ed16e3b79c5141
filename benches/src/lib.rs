//! See the tests folder.
