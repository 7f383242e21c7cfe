//! Blocks of IP addresses, for the proxies that are trusted and the machines that may send without a password.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A block of addresses such as `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// The address with the bits beyond the prefix cleared, IPv4 as an IPv4-mapped IPv6 address.
    bits: u128,
    /// Leading bits that count, of 128.
    prefix: u8,
}

/// Text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a network; write 10.0.0.0/8, 192.0.2.7 or fd00::/8")]
pub struct NetworkError;

impl Network {
    /// Both loopback networks, IPv4's and IPv6's.
    pub fn loopback() -> [Self; 2] {
        let v4 = Self { bits: mapped(IpAddr::from([127, 0, 0, 0])), prefix: 96 + 8 };
        [v4, Self { bits: u128::from(Ipv6Addr::LOCALHOST), prefix: 128 }]
    }

    /// Is `ip` in the block? An IPv4-mapped IPv6 address counts as its IPv4 address.
    pub fn contains(&self, ip: IpAddr) -> bool {
        (mapped(ip) & mask(self.prefix)) == self.bits
    }
}

fn mapped(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

fn mask(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Bits beyond the prefix may be set (`10.1.2.3/8`); they are ignored.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let ip: IpAddr = address.trim().parse().map_err(|_| NetworkError)?;
        let (width, offset) = if ip.is_ipv4() { (32, 96) } else { (128, 0) };
        let prefix: u8 = prefix.map_or(Ok(width), |p| p.trim().parse().map_err(|_| NetworkError))?;
        if prefix > width {
            return Err(NetworkError);
        }
        let prefix = prefix + offset;
        Ok(Self { bits: mapped(ip) & mask(prefix), prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ip = Ipv6Addr::from(self.bits);
        match ip.to_ipv4_mapped() {
            Some(v4) if self.prefix >= 96 => write!(f, "{v4}/{}", self.prefix - 96),
            _ => write!(f, "{ip}/{}", self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_contain_their_addresses() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.1.2", "11.0.0.1"),
            ("10.1.2.3/8", "::ffff:10.9.9.9", "::a09:909"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("fd00::/8", "fdff::1", "fe80::1"),
            ("::/0", "2001:db8::1", ""),
            ("::1", "::1", "127.0.0.1"),
        ] {
            let block: Network = network.parse().unwrap();
            assert!(block.contains(inside.parse().unwrap()), "{network} {inside}");
            if let Ok(ip) = outside.parse() {
                assert!(!block.contains(ip), "{network} {outside}");
            }
        }
        assert!(Network::loopback().iter().any(|n| n.contains("127.8.8.8".parse().unwrap())));
        assert_eq!("10.1.2.3/8".parse::<Network>().unwrap().to_string(), "10.0.0.0/8");
    }

    #[test]
    fn other_text_is_refused() {
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "localhost", "10.0.0.0/8/8", "10.0.0.0/-1", "/8"]
        {
            assert_eq!(bad.parse::<Network>(), Err(NetworkError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_reads_back(v6: u128, prefix in 0_u8..=128) {
            let network: Network = format!("{}/{prefix}", Ipv6Addr::from(v6)).parse().unwrap();
            prop_assert!(network.contains(Ipv6Addr::from(v6).into()));
            prop_assert_eq!(network.to_string().parse::<Network>(), Ok(network));
        }
    }
}
