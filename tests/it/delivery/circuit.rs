//! What an email's explanation says while no relay answers.

use std::net::TcpListener;

use crate::emails_api::email_to;
use crate::harness::{Server, ServerOptions, eventually};

#[test]
fn explain_names_the_open_circuit() {
    // A port that was free a moment ago: nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let server = Server::start(
        ServerOptions::to_smtp(address)
            .env("POSTHASTE_DELIVERY__BREAKER_FAILURES", "1")
            .env("POSTHASTE_DELIVERY__BREAKER_OPEN", "60s"),
    );
    let id = server.send(&email_to("ann@client.com", "x"));
    let breaker = eventually("the circuit opens", || {
        let explained = server.get(&format!("/api/emails/{id}/explain")).expect(200).json();
        let decisions = explained["decisions"].as_array()?.clone();
        decisions.into_iter().find(|one| one["step"] == "breaker" && one["outcome"] == "open")
    });
    assert!(breaker["reason"].as_str().is_some_and(|why| why.starts_with("smtp is open for")), "{breaker:#}");
}
