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

/// A parameter that does not fit is a fault with its name, as everywhere: a mistyped dry run sends nothing.
#[test]
fn a_parameter_that_does_not_fit_is_named_and_nothing_is_stored() {
    let server = Server::inbox();
    let email = email_to("user@client.com", "x");
    let batch = json!({ "emails": [email] });
    for (path, body, field, code) in [
        ("/api/emails?dry_run=yes", &email, "/dry_run", "invalid_value"),
        ("/api/emails?dryrun=true", &email, "/dryrun", "unknown_field"),
        ("/api/emails/batch?atomic=yes", &batch, "/atomic", "invalid_value"),
        ("/api/emails/batch?dry_run=true", &batch, "/dry_run", "unknown_field"),
    ] {
        let problem = server.post(path, body).expect(422).json();
        assert_eq!(problem["errors"][0]["field"], field, "{path}: {problem:#}");
        assert_eq!(problem["code"], code, "{path}: {problem:#}");
    }
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 0);
}
