//! What the world says of mail that went out, and what follows from it: suppressions, provider webhooks, bounces,
//! domains.

mod bounces;
mod domains;
mod suppressions;
mod unsubscribe;
pub mod webhooks;

use crate::harness::{Relay, Server, ServerOptions};
use serde_json::{Value, json};

/// An email that a relay has taken: its id.
fn sent(server: &Server, to: &str) -> String {
    let id = server.send(&json!({"from": "a@example.com", "to": to, "subject": "s", "text": "t"}));
    server.wait_status(&id, "sent");
    id
}

fn server_with(relay: &Relay, settings: &[(&str, &str)]) -> Server {
    let options = settings
        .iter()
        .fold(ServerOptions::to_relay(relay), |options, (name, value)| options.env(name, *value));
    Server::start(options)
}

/// The kinds of events in an email's timeline.
fn timeline(shown: &Value) -> Vec<String> {
    let events = shown["events"].as_array().expect("events");
    events.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}

fn suppressed(server: &Server) -> Vec<Value> {
    let list = server.get("/api/suppressions").expect(200).json();
    list["data"].as_array().expect("data").clone()
}
