//! `?dry_run=true`: everything but the sending.

use serde_json::json;

use super::{email_to, with};
use crate::harness::{Relay, Server};

#[test]
fn a_dry_run_shows_message_envelope_and_decisions_and_stores_nothing() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let email = with(
        email_to("user@client.com", "Halo {{ name }}"),
        json!({"variables": {"name": "Andi"}, "bcc": ["hidden@client.com"]}),
    );
    let answer = server.post("/api/emails?dry_run=true", &email).expect(200).json();
    let text = answer.to_string();
    assert!(text.contains("Halo Andi"), "{answer:#}");
    assert!(text.contains("hidden@client.com"), "the envelope has all recipients: {answer:#}");
    assert!(answer["decisions"].as_array().is_some_and(|decisions| !decisions.is_empty()), "{answer:#}");
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 0);
    assert_eq!(relay.messages().len(), 0);
}

#[test]
fn a_dry_run_tells_faults_as_a_real_run_would() {
    let server = Server::inbox();
    let faulty = with(email_to("user@client.com", "x"), json!({"to": "nobody"}));
    let dry = server.post("/api/emails?dry_run=true", &faulty).expect(422).json();
    let real = server.post("/api/emails", &faulty).expect(422).json();
    assert_eq!(dry["errors"], real["errors"]);
}
