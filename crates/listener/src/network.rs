//! Networks: what tells one place that a device connects from apart from another.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A block of addresses: the /24 of an IPv4 or the /48 of an IPv6 address, unless configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network that an address belongs to, for prefixes of so many bits.
    pub fn of(address: IpAddr, ipv4_prefix: u8, ipv6_prefix: u8) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let prefix = ipv4_prefix.min(32);
                let mask = u32::MAX
                    .checked_shl(u32::from(32 - prefix))
                    .unwrap_or_default();
                Self {
                    address: IpAddr::V4((v4.to_bits() & mask).into()),
                    prefix,
                }
            }
            IpAddr::V6(v6) => {
                let prefix = ipv6_prefix.min(128);
                let mask = u128::MAX
                    .checked_shl(u32::from(128 - prefix))
                    .unwrap_or_default();
                Self {
                    address: IpAddr::V6((v6.to_bits() & mask).into()),
                    prefix,
                }
            }
        }
    }

    /// Whether an address belongs to it.
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::of(address, self.prefix, self.prefix).address == self.address
    }

    /// Its first address.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits its addresses share.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a network: {0} (expected an address and a prefix, such as 10.1.0.0/16)")]
pub struct NotANetwork(String);

impl FromStr for Network {
    type Err = NotANetwork;

    /// Reads `10.1.0.0/16`; bits after the prefix are cleared, an address alone is a network of
    /// one.
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let malformed = || NotANetwork(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|prefix| *prefix <= widest)
                .ok_or_else(malformed)?,
            None => widest,
        };
        Ok(Self::of(address, prefix, prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(ipv4: u8, ipv6: u8, a: &str, b: &str) -> bool {
        let of = |text: &str| Network::of(text.parse().unwrap(), ipv4, ipv6);
        of(a) == of(b)
    }

    #[test]
    fn a_network_is_as_wide_as_its_prefix() {
        assert!(same(24, 48, "10.0.0.1", "10.0.0.200"));
        assert!(!same(24, 48, "10.0.0.1", "10.0.1.1"));
        assert!(same(24, 48, "2001:db8:0:1::1", "2001:db8:0:2::1"));
        assert!(!same(24, 48, "2001:db8::1", "2001:db8:1::1"));
        assert!(same(24, 48, "10.0.0.1", "::ffff:10.0.0.1"));
        assert!(!same(32, 64, "10.0.0.1", "10.0.0.2"));
        assert!(same(0, 0, "10.0.0.1", "192.0.2.1"));
        assert!(same(0, 0, "::1", "2001:db8::1"));
        assert!(!same(0, 0, "10.0.0.1", "2001:db8::1"));
    }

    #[test]
    fn a_network_is_read_and_written() {
        let network: Network = "10.1.2.3/16".parse().unwrap();
        assert_eq!(network.to_string(), "10.1.0.0/16");
        assert!(network.contains("10.1.255.1".parse().unwrap()));
        assert!(!network.contains("10.2.0.1".parse().unwrap()));
        assert!(!network.contains("2001:db8::1".parse().unwrap()));
        let one: Network = "2001:db8::1".parse().unwrap();
        assert_eq!(one.to_string(), "2001:db8::1/128");
        for text in ["", "10.0.0.1/33", "10.0.0.1/x", "10.0.0", "::1/129"] {
            text.parse::<Network>().unwrap_err();
        }
    }
}
