//! Models as people write them: what is read, what is refused and where, what is found, what is drawn.

mod checks;
mod drawing;
mod reading;
mod shop;
