//! Picks free service addresses and node ports. Pure: what is taken is handed in.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A range of IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    base: u32,
    prefix: u8,
}

/// A text that is not a range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an IPv4 range such as 10.96.0.0/16")]
pub struct CidrError(String);

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || CidrError(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let prefix: u8 = prefix.parse().map_err(|_| wrong())?;
        if !(8..=28).contains(&prefix) {
            return Err(wrong());
        }
        let mask = u32::MAX << (32 - prefix);
        Ok(Self { base: u32::from(address) & mask, prefix })
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

impl Cidr {
    /// Returns the address at a place in the range, counted from its base; `None` beyond its end.
    #[must_use]
    pub fn nth(&self, index: u32) -> Option<Ipv4Addr> {
        (index < self.size()).then(|| Ipv4Addr::from(self.base + index))
    }

    fn size(&self) -> u32 {
        1 << (32 - self.prefix)
    }

    fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & (u32::MAX << (32 - self.prefix)) == self.base
    }
}

/// Nothing could be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AllocationError {
    #[error("must be a valid IP address")]
    NotAnAddress,
    #[error("failed to allocate IP {0}: the provided IP is not in the valid range. The range of valid IPs is {1}")]
    OutOfRange(Ipv4Addr, String),
    #[error("failed to allocate IP {0}: provided IP is already allocated")]
    AddressTaken(Ipv4Addr),
    #[error("range is full")]
    Full,
    #[error("provided port is not in the valid range. The range of valid ports is {0}-{1}")]
    PortOutOfRange(u16, u16),
    #[error("provided port is already allocated")]
    PortTaken,
}

/// The first addresses stay free for those that are named: the API server's, DNS.
const RESERVED_FIRST: u32 = 16;

/// Returns the wanted address if it is free, or a free one when none is named.
pub(crate) fn address(cidr: Cidr, taken: &[Ipv4Addr], wanted: &str) -> Result<Ipv4Addr, AllocationError> {
    let last = cidr.size() - 1;
    if !wanted.is_empty() {
        let address: Ipv4Addr = wanted.parse().map_err(|_| AllocationError::NotAnAddress)?;
        if !cidr.contains(address) || cidr.nth(0) == Some(address) || cidr.nth(last) == Some(address) {
            return Err(AllocationError::OutOfRange(address, cidr.to_string()));
        }
        return if taken.contains(&address) { Err(AllocationError::AddressTaken(address)) } else { Ok(address) };
    }
    let first = if cidr.size() > 4 * RESERVED_FIRST { RESERVED_FIRST } else { 2 };
    let taken: std::collections::HashSet<Ipv4Addr> = taken.iter().copied().collect();
    let mut random = [0u8; 4];
    maru_ids::fill_random(&mut random);
    // A random start: an address that was just given back is not soon another service's.
    let span = last - first;
    let start = u32::from_le_bytes(random) % span;
    (0..span)
        .filter_map(|step| cidr.nth(first + (start + step) % span))
        .find(|address| !taken.contains(address))
        .ok_or(AllocationError::Full)
}

/// Returns the wanted port if it is free, or a free one when none is named.
pub(crate) fn port(range: &RangeInclusive<u16>, taken: &[u16], wanted: Option<u16>) -> Result<u16, AllocationError> {
    if let Some(port) = wanted {
        if !range.contains(&port) {
            return Err(AllocationError::PortOutOfRange(*range.start(), *range.end()));
        }
        return if taken.contains(&port) { Err(AllocationError::PortTaken) } else { Ok(port) };
    }
    let span = u32::from(range.end() - range.start()) + 1;
    let mut random = [0u8; 4];
    maru_ids::fill_random(&mut random);
    let start = u32::from_le_bytes(random) % span;
    (0..span)
        .filter_map(|step| u16::try_from(u32::from(*range.start()) + (start + step) % span).ok())
        .find(|port| !taken.contains(port))
        .ok_or(AllocationError::Full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_free_and_in_range() {
        let cidr: Cidr = "10.96.0.0/28".parse().unwrap();
        let mut taken = vec![cidr.nth(1).unwrap()];
        while let Ok(address) = address(cidr, &taken, "") {
            assert!(cidr.contains(address) && !taken.contains(&address));
            taken.push(address);
        }
        assert_eq!(taken.len(), 14);
        assert_eq!(address(cidr, &taken, "10.96.0.1"), Err(AllocationError::AddressTaken(Ipv4Addr::new(10, 96, 0, 1))));
        assert!(matches!(address(cidr, &[], "10.97.0.1"), Err(AllocationError::OutOfRange(..))));
        assert_eq!(address(cidr, &[], "x"), Err(AllocationError::NotAnAddress));
        assert!("10.96.0.0/40".parse::<Cidr>().is_err());
    }

    #[test]
    fn ports_are_free_and_in_range() {
        let range = 30000..=30001;
        let first = port(&range, &[], None).unwrap();
        let second = port(&range, &[first], None).unwrap();
        assert_ne!(first, second);
        assert_eq!(port(&range, &[first, second], None), Err(AllocationError::Full));
        assert_eq!(port(&range, &[first], Some(first)), Err(AllocationError::PortTaken));
        assert_eq!(port(&range, &[], Some(80)), Err(AllocationError::PortOutOfRange(30000, 30001)));
    }
}
