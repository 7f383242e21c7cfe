//! The SMTP door: the built program, spoken to in SMTP, sending on to a scripted relay.

mod auth;
mod clients;
mod crash;
mod mapped;
mod messages;
mod protocol;

use std::net::SocketAddr;

use crate::harness::smtp::Session;
use crate::harness::{Server, eventually};

/// Where the server takes SMTP; `name` is `smtp` or `smtps`.
pub fn address_of(server: &Server, name: &str) -> SocketAddr {
    let file = server.data().join("run").join(format!("{name}.addr"));
    eventually("the SMTP listener's address", || std::fs::read_to_string(&file).ok()?.trim().parse().ok())
}

/// A session with the server, greeted.
pub fn session(server: &Server) -> Session {
    Session::open(address_of(server, "smtp"))
}

/// A message on its way out, without the `Received` line that was put before it.
fn without_received(content: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = content.split_inclusive(|byte| *byte == b'\n').collect();
    assert!(lines[0].starts_with(b"Received: from "), "{}", String::from_utf8_lossy(lines[0]));
    let folded = lines[1..].iter().take_while(|line| line.starts_with(b"\t")).count();
    lines[1 + folded..].concat()
}

pub const MESSAGE: &[u8] =
    b"From: Ann <ann@example.com>\r\nTo: bob@client.com\r\nSubject: Hi\r\n\r\nHello\r\n";
