//! What a key may do is looked at anew for every request, also where nothing is committed.

use serde_json::json;

use super::{email_to, with};
use crate::harness::{Server, ServerOptions};

#[test]
fn a_key_revoked_by_another_process_gets_no_replay_fault_or_dry_run() {
    let server = Server::inbox();
    let headers = |key: &str| [("X-Api-Key", key.to_owned()), ("Idempotency-Key", "k".to_owned())];
    let email = email_to("user@client.com", "x");
    let requests = [
        ("/api/emails", email.to_string()),
        ("/api/emails?dry_run=true", email.to_string()),
        ("/api/emails", "{".to_owned()),
        ("/api/emails", "{}".to_owned()),
        ("/api/emails/batch", json!({"emails": [{}]}).to_string()),
    ];
    for (path, body) in requests {
        let made = server.cli_json(&["key", "create", "--client", "default"]);
        let (key, id) = (made["key"].as_str().expect("a key"), made["id"].as_str().expect("an id"));
        let headers = headers(key);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        // Remembered by the server from here on.
        server.post_with("/api/emails", &headers, &email).expect(202);
        let revoked = server.cli(&["key", "revoke", id]);
        assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
        server.post_raw(path, &headers, body.as_bytes()).expect(401);
    }
}

#[test]
fn a_key_bound_to_another_domain_resends_nothing() {
    let server = Server::inbox();
    server.cli_json(&["domain", "create", "other.example"]);
    let bound = server.new_key(&["--client", "default", "--domain", "other.example"]);
    let id = server.send(&email_to("user@client.com", "x"));
    let path = format!("/api/emails/{id}/resend");
    let problem = server.post_raw(&path, &[("X-Api-Key", &bound)], b"").expect(422).json();
    assert_eq!(problem["code"], "from_domain_mismatch");
    server.post_raw(&path, &[], b"").expect(202);
}

#[test]
fn the_last_request_within_the_limit_is_not_told_to_wait() {
    let server = Server::start(ServerOptions::default().env("POSTHASTE_LIMITS__PER_KEY", "2/min"));
    let email = with(email_to("user@client.com", "x"), json!({"tags": ["t"]}));
    for left in ["1", "0"] {
        let answer = server.post("/api/emails", &email).expect(202);
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left));
        assert_eq!(answer.header("retry-after"), None);
    }
    let refused = server.post("/api/emails", &email).expect(429);
    assert!(refused.header("retry-after").is_some());
    for path in ["/api/docs", "/api/nothing", "/api/openapi.json"] {
        assert!(server.get(path).header("x-ratelimit-limit").is_some(), "{path}");
    }
}

#[test]
fn a_key_is_bound_to_a_domain_that_nobody_has() {
    let server = Server::inbox();
    server.cli_json(&["client", "create", "--name", "Tickets"]);
    let key = server.new_key(&["--client", "Tickets", "--domain", "tickets.example"]);
    let from = |sender: &str| with(email_to("user@client.com", "x"), json!({"from": sender}));
    let send = |sender: &str| server.post_with("/api/emails", &[("X-Api-Key", &key)], &from(sender));
    send("shop@tickets.example").expect(202);
    assert_eq!(send("shop@example.net").expect(422).json()["code"], "from_domain_mismatch");
    // It is another's from here on.
    server.cli_json(&["domain", "create", "tickets.example", "--client", "default"]);
    assert_eq!(send("shop@tickets.example").expect(422).json()["code"], "from_domain_mismatch");
}
