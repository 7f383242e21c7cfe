//! A40: a peer with an IPv4 address, on a listener that takes IPv6 too, comes as `::ffff:a.b.c.d`, and is judged by the
//! address that it has.

use std::net::SocketAddr;

use super::{MESSAGE, address_of};
use crate::harness::smtp::Session;
use crate::harness::{Server, ServerOptions};

/// A server on every address of both families; how it is reached by IPv4.
fn on_both(networks: &str) -> (Server, SocketAddr) {
    let options = ServerOptions::default()
        .env("SMTP_LISTEN", "[::]:0")
        .env("POSTHASTE_SMTP__ALLOWED_NETWORKS", networks);
    let server = Server::start(options);
    let listens = address_of(&server, "smtp");
    assert!(listens.is_ipv6(), "{listens}");
    (server, SocketAddr::from(([127, 0, 0, 1], listens.port())))
}

#[test]
fn a40_a_mapped_address_is_in_the_networks_of_ipv4() {
    for networks in ["127.0.0.0/8", "10.0.0.0/8,127.0.0.1/32", "0.0.0.0/0"] {
        let (server, address) = on_both(networks);
        let mut session = Session::open(address);
        session.envelope("ann@example.com", "bob@client.com");
        let id = session.data(MESSAGE).id();
        server.wait_status(&id, "sent");
    }
}

#[test]
fn a40_a_mapped_address_is_in_no_other_network() {
    // Among them that of all mapped addresses, which would let everybody in.
    for networks in ["192.0.2.0/24", "::1/128", "fe80::/10", "::ffff:192.0.2.0/120"] {
        let (server, address) = on_both(networks);
        let mut session = Session::open(address);
        session.say("MAIL FROM:<ann@example.com>").expect("530 5.7.0");
        session.say("RCPT TO:<bob@client.com>").expect("503 5.5.1");
        session.login("default", server.key()).expect("235");
        session.envelope("ann@example.com", "bob@client.com");
        session.data(MESSAGE).id();
    }
}
