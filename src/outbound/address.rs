//! Which addresses may be called: the registries of IANA (special-purpose addresses, RFC 6890) as a rule.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far calls reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Addresses that everybody in the Internet reaches, and no others.
    Public,
    /// This machine and private networks too. Never link-local addresses and those at which clouds hand out
    /// credentials, nor what is no host: unspecified, multicast, reserved.
    Private,
}

impl Reach {
    /// May this address be called? One that carries an IPv4 address inside counts as that one.
    pub fn allows(self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(v4) => self.allows_v4(v4),
            IpAddr::V6(v6) => self.allows_v6(v6),
        }
    }

    fn allows_v4(self, ip: Ipv4Addr) -> bool {
        let [a, b, c, d] = ip.octets();
        match (a, b, c) {
            // Alibaba's metadata, in the midst of addresses shared by carriers.
            (100, 100, 100) if d == 200 => false,
            // Private, shared by carriers, loopback.
            (10 | 127, ..) | (100, 64..=127, _) | (172, 16..=31, _) | (192, 168, _) => self == Self::Private,
            // This network, link-local (and with it most clouds' metadata), multicast, reserved.
            (0 | 224..=255, ..) | (169, 254, _)
            // IETF protocol assignments, documentation, the old 6to4 relay, benchmarks.
            | (192, 0, 0 | 2) | (192, 88, 99) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => false,
            _ => true,
        }
    }

    fn allows_v6(self, ip: Ipv6Addr) -> bool {
        if let Some(v4) = inner(ip) {
            return self.allows_v4(v4);
        }
        if ip == Ipv6Addr::LOCALHOST {
            return self == Self::Private;
        }
        match ip.segments() {
            // Amazon's metadata, in the midst of private addresses; of the one block that is routed at all: protocol
            // assignments (Teredo among them), documentation, 6to4.
            [0xfd00, 0x0ec2, ..]
            | [0x2001, 0..=0x01ff | 0x0db8, ..]
            | [0x2002, ..]
            | [0x3fff, 0..=0x0fff, ..] => false,
            [0xfc00..=0xfdff, ..] => self == Self::Private,
            [first, ..] => first & 0xe000 == 0x2000,
        }
    }
}

/// The IPv4 address inside an IPv4-mapped, IPv4-compatible or NAT64 (RFC 6052) one.
fn inner(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(joined(high, low)),
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) != (0, 0) && (high, low) != (0, 1) => {
            Some(joined(high, low))
        }
        _ => None,
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Neither reach, private only, both.
    const ADDRESSES: [(&str, bool, bool); 57] = [
        ("0.0.0.0", false, false),
        ("0.1.2.3", false, false),
        ("169.254.169.254", false, false),
        ("169.254.0.1", false, false),
        ("100.100.100.200", false, false),
        ("192.0.0.8", false, false),
        ("192.0.2.1", false, false),
        ("192.88.99.1", false, false),
        ("198.18.0.1", false, false),
        ("198.19.255.255", false, false),
        ("198.51.100.7", false, false),
        ("203.0.113.7", false, false),
        ("224.0.0.1", false, false),
        ("239.255.255.255", false, false),
        ("240.0.0.1", false, false),
        ("255.255.255.255", false, false),
        ("::", false, false),
        ("::ffff:169.254.169.254", false, false),
        ("::ffff:0.0.0.0", false, false),
        ("::169.254.169.254", false, false),
        ("64:ff9b::a9fe:a9fe", false, false),
        ("64:ff9b:1::1", false, false),
        ("100::1", false, false),
        ("2001::1", false, false),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", false, false),
        ("2001:2::1", false, false),
        ("2001:10::1", false, false),
        ("2001:db8::1", false, false),
        ("2002:7f00:1::", false, false),
        ("2002:a9fe:a9fe::1", false, false),
        ("3fff::1", false, false),
        ("fd00:ec2::254", false, false),
        ("fe80::1", false, false),
        ("febf::1", false, false),
        ("fec0::1", false, false),
        ("ff02::1", false, false),
        ("4000::1", false, false),
        ("10.0.0.1", false, true),
        ("10.255.255.255", false, true),
        ("100.64.0.1", false, true),
        ("100.127.255.255", false, true),
        ("127.0.0.1", false, true),
        ("127.255.255.254", false, true),
        ("172.16.0.1", false, true),
        ("172.31.255.255", false, true),
        ("192.168.0.1", false, true),
        ("::1", false, true),
        ("::ffff:10.0.0.1", false, true),
        ("::ffff:127.0.0.1", false, true),
        ("64:ff9b::7f00:1", false, true),
        ("fc00::1", false, true),
        ("fdff::1", false, true),
        ("8.8.8.8", true, true),
        ("172.32.0.1", true, true),
        ("100.128.0.1", true, true),
        ("2606:4700::1111", true, true),
        ("64:ff9b::808:808", true, true),
    ];

    #[test]
    fn every_kind_of_address_is_judged() {
        for (text, public, private) in ADDRESSES {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(Reach::Public.allows(ip), public, "public {text}");
            assert_eq!(Reach::Private.allows(ip), private, "private {text}");
        }
    }

    proptest! {
        #[test]
        fn an_address_inside_another_is_judged_as_itself(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            for reach in [Reach::Public, Reach::Private] {
                let mapped = IpAddr::V6(v4.to_ipv6_mapped());
                prop_assert_eq!(reach.allows(mapped), reach.allows(IpAddr::V4(v4)));
            }
            prop_assert!(!Reach::Public.allows(v4.into()) || Reach::Private.allows(v4.into()));
        }
    }
}
