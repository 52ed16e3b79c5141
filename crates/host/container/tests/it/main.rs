//! Real containers: each test makes a pod of its own and checks that nothing of it is left.

mod exec;
mod life;
mod limits;
mod once;
mod pod;
mod runtimes;
mod speed;
