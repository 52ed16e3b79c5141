//! The store against real files: a model, watches under load, kills, full disks.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod crash;
mod disk_full;
mod model;
mod restart;
mod watching;

use maru_objects::{Change, Durability, Expected, Key, Store, StoreOptions, Write};

fn open(directory: &std::path::Path) -> Store {
    Store::open(StoreOptions::new(directory)).unwrap()
}

fn put(key: &Key, expected: Expected, value: impl Into<Vec<u8>>, durability: Durability) -> Write {
    Write { key: key.clone(), expected, change: Change::Put(value.into().into()), durability }
}

fn delete(key: &Key, expected: Expected) -> Write {
    Write { key: key.clone(), expected, change: Change::Delete, durability: Durability::Durable }
}
