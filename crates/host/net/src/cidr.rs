//! Address ranges.

use std::fmt::{self, Display};
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 range in CIDR form, such as `10.42.0.0/16`; host bits are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    network: Ipv4Addr,
    prefix_length: u8,
}

/// A text is not an IPv4 range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is not an IPv4 range such as 10.42.0.0/16")]
pub struct CidrError {
    /// What was given.
    pub text: String,
}

impl Cidr {
    /// Returns the range of an address with this prefix; host bits are cleared. A prefix above 32 counts as 32.
    #[must_use]
    pub fn new(address: Ipv4Addr, prefix_length: u8) -> Self {
        let prefix_length = prefix_length.min(32);
        Self { network: Ipv4Addr::from(u32::from(address) & mask(prefix_length)), prefix_length }
    }

    /// Returns the first address.
    #[must_use]
    pub fn network(&self) -> Ipv4Addr {
        self.network
    }

    /// Returns the number of leading bits that are fixed.
    #[must_use]
    pub fn prefix_length(&self) -> u8 {
        self.prefix_length
    }

    /// Tells whether an address is in the range.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix_length) == u32::from(self.network)
    }

    /// Returns the address at an offset from the first; `None` beyond the range.
    #[must_use]
    pub fn nth(&self, offset: u32) -> Option<Ipv4Addr> {
        let address = Ipv4Addr::from(u32::from(self.network).checked_add(offset)?);
        self.contains(address).then_some(address)
    }
}

fn mask(prefix_length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix_length)).unwrap_or(0)
}

impl Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.network, self.prefix_length)
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let parse = || {
            let (address, prefix_length) = text.split_once('/')?;
            let prefix_length = prefix_length.parse().ok().filter(|length| *length <= 32)?;
            Some(Self::new(address.parse().ok()?, prefix_length))
        };
        parse().ok_or_else(|| CidrError { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_parsed_and_written() {
        let range: Cidr = "10.42.7.9/16".parse().unwrap();
        assert_eq!(range.to_string(), "10.42.0.0/16");
        assert_eq!(range.nth(1), Some(Ipv4Addr::new(10, 42, 0, 1)));
        assert_eq!(range.nth(65536), None);
        for wrong in ["10.42.0.0", "10.42.0.0/33", "x/8", "/8", ""] {
            assert!(wrong.parse::<Cidr>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_edges_of_prefix_lengths_hold() {
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        let one: Cidr = "1.2.3.4/32".parse().unwrap();
        assert!(all.contains(Ipv4Addr::BROADCAST));
        assert!(one.contains(Ipv4Addr::new(1, 2, 3, 4)) && !one.contains(Ipv4Addr::new(1, 2, 3, 5)));
    }
}
