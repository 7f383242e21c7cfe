//! Webhooks: clients are told what became of their mail, by calls that they can trust, in order, whatever dies.

mod aegis;
mod bad_receivers;
mod calls;
mod endpoints;
mod feed;
mod guarded;
mod lasting;
mod libraries;

use serde_json::{Value, json};

use crate::harness::receiver::Received;
use crate::harness::{Receiver, Server, ServerOptions, eventually};

/// A server that may call receivers on this machine, and tries again soon.
pub fn options() -> ServerOptions {
    ServerOptions::default()
        .env("WEBHOOKS_ALLOW_PRIVATE", "true")
        .env("POSTHASTE_WEBHOOKS__RETRY_SCHEDULE", "200ms")
}

/// A webhook of the default client; as it was answered, with its secret.
#[track_caller]
pub fn webhook(server: &Server, url: &str, events: &[&str]) -> Value {
    server.post("/api/webhooks", &json!({"url": url, "events": events})).expect(201).json()
}

/// Waits until so many calls came.
#[track_caller]
pub fn wait_for(receiver: &Receiver, count: usize) -> Vec<Received> {
    eventually(&format!("{count} calls"), || {
        let calls = receiver.calls();
        (calls.len() >= count).then_some(calls)
    })
}

/// The log of a webhook, newest first.
#[track_caller]
pub fn deliveries(server: &Server, id: &str) -> Vec<Value> {
    let page = server.get(&format!("/api/webhooks/{id}/deliveries?limit=100")).expect(200).json();
    page["data"].as_array().expect("a list").clone()
}

/// Waits until the newest delivery has a status.
#[track_caller]
pub fn wait_newest(server: &Server, id: &str, status: &str) -> Value {
    eventually(&format!("the newest delivery is {status}"), || {
        deliveries(server, id).into_iter().next().filter(|one| one["status"] == status)
    })
}

pub fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no text {name} in {value:#}"))
}
