//! Real containers: each test makes a pod of its own and checks that nothing of it is left.

mod life;
mod pod;
