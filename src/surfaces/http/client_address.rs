//! Who is calling, when proxies stand in between. A forwarded address is believed only as far as it was written by
//! a proxy the operator trusts; everything further left is the client's own claim.

use crate::base::network::Network;
use http::{HeaderMap, HeaderName, header};
use std::net::{IpAddr, SocketAddr};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The proxies whose word about the client is taken (`http.trusted_proxies`).
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// Trusts `networks`.
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    /// Whether `address` is one of them.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// The client's address: the peer, or, when the peer is trusted, the right-most address that is not, of
    /// `X-Forwarded-For`, else of `Forwarded` (RFC 7239). An entry that is no address ends the search at the last
    /// proxy before it.
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let lines: Vec<&str> = if headers.contains_key(X_FORWARDED_FOR) {
            headers.get_all(X_FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or("?")).collect()
        } else {
            headers.get_all(header::FORWARDED).iter().map(|line| line.to_str().unwrap_or("?")).collect()
        };
        let mut client = peer;
        for entry in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let Some(address) = entry_address(entry) else { break };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }

    /// Whether the client came by TLS: directly, or by the word of a trusted proxy.
    pub fn came_by_tls(&self, peer: IpAddr, direct: bool, headers: &HeaderMap) -> bool {
        if direct || !self.trusts(peer) {
            return direct;
        }
        let said = headers.get_all(X_FORWARDED_PROTO).iter().next_back().and_then(|line| line.to_str().ok());
        said.is_some_and(|line| {
            line.rsplit(',').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("https"))
        })
    }
}

/// The address of `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80` or a `Forwarded` element with `for=`.
fn entry_address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let node = if entry.contains('=') { forwarded_for(entry)? } else { entry };
    let node = node.trim_matches('"');
    if let Ok(address) = node.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Ok(with_port) = node.parse::<SocketAddr>() {
        return Some(with_port.ip().to_canonical());
    }
    let bare = node.strip_prefix('[')?.strip_suffix(']')?;
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::network::NetworkError;

    fn client(trusted: &[&str], peer: &str, headers: &[(&'static str, &str)]) -> String {
        let proxies = TrustedProxies::new(trusted.iter().map(|t| t.parse().unwrap()).collect());
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        proxies.client_address(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn networks_are_read_and_compared() {
        let contains = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert!(contains("0.0.0.0/0", "203.0.113.9"));
        assert!(contains("::/0", "2001:db8::1"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert!(!contains("192.0.2.7", "192.0.2.8"));
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/-1", "10.0.0.0/", "localhost"] {
            assert_eq!(bad.parse::<Network>(), Err(NetworkError), "{bad}");
        }
    }

    #[test]
    fn an_untrusted_peer_speaks_only_for_itself() {
        let forged = [("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.2")];
        assert_eq!(client(&[], "203.0.113.9", &forged), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "203.0.113.9", &forged), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "::ffff:203.0.113.9", &forged), "203.0.113.9");
    }

    #[test]
    fn the_right_most_untrusted_address_is_the_client() {
        let trusted = ["10.0.0.0/8", "127.0.0.1"];
        for (headers, wanted) in [
            (vec![("x-forwarded-for", "192.0.2.1, 203.0.113.5, 10.0.0.3")], "203.0.113.5"),
            (vec![("x-forwarded-for", "192.0.2.1"), ("x-forwarded-for", "203.0.113.5")], "203.0.113.5"),
            (vec![("x-forwarded-for", "203.0.113.5:4711")], "203.0.113.5"),
            (vec![("x-forwarded-for", "::ffff:203.0.113.5")], "203.0.113.5"),
            (vec![("x-forwarded-for", "10.1.1.1, 10.0.0.3")], "10.1.1.1"),
            (vec![("x-forwarded-for", "192.0.2.1, evil, 10.0.0.3")], "10.0.0.3"),
            (vec![("x-forwarded-for", "unknown")], "127.0.0.1"),
            (vec![("x-forwarded-for", "")], "127.0.0.1"),
            (vec![], "127.0.0.1"),
            (vec![("forwarded", "for=192.0.2.1, for=\"[2001:db8::1]:47\";proto=https")], "2001:db8::1"),
            (vec![("forwarded", "proto=http;For=203.0.113.5")], "203.0.113.5"),
            (vec![("forwarded", "for=_hidden")], "127.0.0.1"),
            (vec![("forwarded", "for=192.0.2.1"), ("x-forwarded-for", "203.0.113.5")], "203.0.113.5"),
        ] {
            assert_eq!(client(&trusted, "127.0.0.1", &headers), wanted, "{headers:?}");
        }
    }

    #[test]
    fn tls_is_believed_from_trusted_proxies_only() {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-proto", "http, https".parse().unwrap());
        let inside = "10.0.0.1".parse().unwrap();
        let outside = "203.0.113.1".parse().unwrap();
        assert!(proxies.came_by_tls(inside, false, &headers));
        assert!(!proxies.came_by_tls(outside, false, &headers));
        assert!(proxies.came_by_tls(outside, true, &HeaderMap::new()));
        assert!(!proxies.came_by_tls(inside, false, &HeaderMap::new()));
    }
}
