//! The solver against brute force, its certificates against the checker, and both against other solvers.

mod brute;
mod certificates;
mod negotiation;
mod oracles;
mod search;
