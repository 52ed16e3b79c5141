//! Gives each pod an address of its own.
//!
//! An address is written into the pod's record before it is used and stays with the pod until its directory is gone, so
//! that the records are the truth after a restart.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// The free and given addresses of the node's range.
#[derive(Debug)]
pub(crate) struct Addresses {
    first: u32,
    last: u32,
    next: u32,
    given: BTreeSet<u32>,
}

/// The range has no free address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no free pod address: all {count} of the node's range are in use")]
pub(crate) struct NoFreeAddress {
    count: usize,
}

impl Addresses {
    /// Creates the pool of a range; its network address, the node's own (the first) and the last are never given.
    pub(crate) fn new(network: Ipv4Addr, prefix_length: u8, given: impl IntoIterator<Item = Ipv4Addr>) -> Self {
        let size = 1u64 << (32 - u32::from(prefix_length.min(30)));
        let base = u32::from(network) & !u32::try_from(size - 1).unwrap_or(u32::MAX);
        let last = base.saturating_add(u32::try_from(size - 2).unwrap_or(u32::MAX));
        let first = base.saturating_add(2);
        let given: BTreeSet<u32> = given.into_iter().map(u32::from).collect();
        // Goes on after the highest one given, so that a freed address rests before it is used again.
        let next = given.range(first..=last).next_back().map_or(first, |highest| highest + 1);
        Self { first, last, next, given }
    }

    /// Takes a free address.
    pub(crate) fn take(&mut self) -> Result<Ipv4Addr, NoFreeAddress> {
        let from = if (self.first..=self.last).contains(&self.next) { self.next } else { self.first };
        let free = (from..=self.last).chain(self.first..from).find(|address| !self.given.contains(address));
        let Some(address) = free else { return Err(NoFreeAddress { count: self.given.len() }) };
        self.given.insert(address);
        self.next = address + 1;
        Ok(Ipv4Addr::from(address))
    }

    /// Gives an address back.
    pub(crate) fn give_back(&mut self, address: Ipv4Addr) {
        self.given.remove(&u32::from(address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_unique_and_rest_before_they_come_again() {
        let mut pool = Addresses::new(Ipv4Addr::new(10, 42, 0, 0), 29, [Ipv4Addr::new(10, 42, 0, 3)]);
        let last = |pool: &mut Addresses| pool.take().unwrap().octets()[3];
        assert_eq!([last(&mut pool), last(&mut pool)], [4, 5]);
        pool.give_back(Ipv4Addr::new(10, 42, 0, 4));
        assert_eq!([last(&mut pool), last(&mut pool), last(&mut pool)], [6, 2, 4]);
        assert!(pool.take().is_err());
        pool.give_back(Ipv4Addr::new(10, 42, 0, 3));
        assert_eq!(last(&mut pool), 3);
    }
}
