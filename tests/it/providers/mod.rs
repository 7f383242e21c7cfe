//! The mail providers, each played by a stand-in that refuses what the real one refuses: what arrives, what each answer
//! leads to, and what happens when a provider dies.

mod doctor;
mod failover;
mod graph;
mod mailgun;
mod routes;
mod secrets;
mod sendgrid;
mod ses;
mod suite;

use serde_json::{Value, json};

use crate::harness::ServerOptions;

/// Waits short enough for a test, and no transport but those of the test.
pub fn options() -> ServerOptions {
    ServerOptions::default()
        .env("POSTHASTE_DELIVERY__RETRY_SCHEDULE", "1s")
        .env("POSTHASTE_DELIVERY__UNCERTAIN_DELAY", "1s")
        .env("POSTHASTE_DELIVERY__BREAKER_OPEN", "1s")
}

/// An email with everything.
pub fn full() -> Value {
    json!({
        "from": "Example <noreply@example.com>",
        "to": ["Ann <ann@client.com>", "bob@client.com"],
        "cc": ["cc@client.com"],
        "bcc": ["blind@client.com"],
        "reply_to": "desk@example.com",
        "subject": "Grüße",
        "html": "<p>Hello <img src=\"cid:logo\"></p>",
        "text": "Something else",
        "headers": {"X-Campaign": "spring"},
        "tags": ["welcome"],
        "attachments": [
            {"filename": "a.pdf", "mime": "application/pdf", "content_base64": "JVBERi0xLjQK"},
            {"filename": "logo.png", "mime": "image/png", "content_id": "logo", "disposition": "inline",
             "content_base64": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="}
        ],
    })
}

/// A small one.
pub fn small() -> Value {
    json!({"from": "noreply@example.com", "to": ["ann@client.com"], "subject": "Hi", "text": "Hello"})
}

/// A message taken whole must be the very one: Python reads subject, recipients shown, text, HTML and files.
#[track_caller]
pub fn assert_is_full(raw: &[u8]) {
    let read = crate::harness::message::read_by_python(raw);
    assert_eq!(read["subject"], "Grüße");
    assert_eq!(read["to"], json!([["Ann", "ann@client.com"], ["", "bob@client.com"]]));
    assert_eq!(read["cc"], json!([["", "cc@client.com"]]));
    assert_eq!(read["reply_to"][0][1], "desk@example.com");
    let headers = read["headers"].as_array().expect("headers");
    assert!(headers.iter().any(|one| one[0] == "X-Campaign" && one[1] == "spring"), "{headers:?}");
    let parts = read["parts"].as_array().expect("parts");
    let has = |kind: &str| parts.iter().any(|part| part["type"] == kind);
    assert!(
        ["text/plain", "text/html", "application/pdf", "image/png"].iter().all(|kind| has(kind)),
        "{parts:#?}"
    );
    assert_eq!(read["stray"], 0);
}
