//! A3: several workers on one store; each email goes out once, whoever claims it, and a dead worker's mail is taken over.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::count::{WORKERS, few_at_once, seen, surplus};
use crate::emails_api::{email_to, with};
use crate::harness::wait::PATIENCE;
use crate::harness::{Relay, Server, ServerOptions, eventually, eventually_within, soon};

/// Has emails accepted that all become due at one moment, so that the workers compete for them.
fn due_together(server: &Server, count: usize, ahead: Duration) {
    let at = soon(ahead);
    let numbers: Vec<usize> = (0..count).collect();
    for numbers in numbers.chunks(500) {
        let emails: Vec<Value> = numbers
            .iter()
            .map(|n| with(email_to("user@client.com", &format!("token-{n}.")), json!({"send_at": at})))
            .collect();
        server.post("/api/emails/batch", &json!({ "emails": emails })).expect(202);
    }
}

fn workers(server: &Server, relay: &Relay, count: usize) -> Vec<Server> {
    (1..=count).map(|n| Server::start_bare(ServerOptions::to_relay(relay).worker_beside(server, n))).collect()
}

#[track_caller]
fn all_seen(relay: &Relay, count: usize) -> HashMap<String, usize> {
    // A second for each hundred, on a busy machine.
    let patience = PATIENCE + Duration::from_secs(count as u64 / 100);
    eventually_within(patience, "all mail is at the relay", || {
        let seen = seen(relay);
        (seen.len() >= count).then_some(seen)
    })
}

#[test]
fn a3_four_workers_send_each_email_exactly_once() {
    each_goes_out_once(4, 2000);
}

#[test]
#[ignore = "takes minutes: cargo test --test scaled -- --ignored twenty_thousand"]
fn a3_eight_workers_send_twenty_thousand_exactly_once() {
    each_goes_out_once(8, 20_000);
}

#[track_caller]
fn each_goes_out_once(count: usize, mails: usize) {
    let relay = Relay::accepting();
    let server = Server::start(ServerOptions::to_relay(&relay).api_only());
    let _workers = workers(&server, &relay, count);
    due_together(&server, mails, Duration::from_secs(4));
    let seen = all_seen(&relay, mails);
    eventually("all is recorded", || {
        let sent = server.get("/api/emails?status=sent&count=true").expect(200).json();
        (sent["total"] == mails).then_some(())
    });
    assert!(seen.values().all(|times| *times == 1), "sent twice");
    assert_eq!(relay.messages().len(), mails);
}

#[test]
fn a_worker_starts_beside_a_server_of_the_same_configuration() {
    let relay = Relay::accepting();
    let server = Server::start(ServerOptions::to_relay(&relay).api_only());
    let same = ServerOptions::to_relay(&relay).env("HTTP_LISTEN", server.address().to_string());
    let worker = Server::start_bare(same.worker_beside(&server, 1));
    assert_ne!(worker.address(), server.address(), "its probes");
    let id = server.send(&email_to("user@client.com", "x"));
    server.wait_status(&id, "sent");
}

#[test]
fn a3_what_a_killed_worker_held_is_sent_by_another() {
    let relay = Relay::accepting();
    let server = Server::start(ServerOptions::to_relay(&relay).api_only());
    // The lease is longer than the test: only the worker's silence can end it.
    let lease = |options: ServerOptions| options.env("POSTHASTE_DELIVERY__LEASE", "10m");
    let mut workers: Vec<Server> =
        (1..=2).map(|n| Server::start_bare(lease(few_at_once(&relay).worker_beside(&server, n)))).collect();
    due_together(&server, 1000, Duration::from_secs(2));
    eventually("the worker is at it", || (relay.messages().len() >= 50).then_some(()));
    workers[0].kill9();
    let before = relay.messages().len();
    let seen = all_seen(&relay, 1000);
    let doubles = surplus(&seen);
    assert!(doubles <= WORKERS, "{doubles} of {before} sent twice");
}
