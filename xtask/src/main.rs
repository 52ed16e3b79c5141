//! Checks on the house and code generation.
fn main() {}
