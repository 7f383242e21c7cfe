//! What survives the death of a process, and how many times it is told.

use std::time::Duration;

use serde_json::json;

use super::{deliveries, options, text, wait_for, webhook};
use crate::emails_api::email_to;
use crate::harness::receiver::status;
use crate::harness::{Receiver, Server, eventually, eventually_within};

#[test]
fn a55_what_waits_survives_kill_9() {
    let receiver = Receiver::answering(|_, _| Some(status(503)));
    let mut server = Server::start(options());
    let made = webhook(&server, &receiver.url(), &["*"]);
    let ids: Vec<String> = (0..5).map(|n| server.send(&email_to(&format!("u{n}@client.com"), "x"))).collect();
    wait_for(&receiver, 5);
    server.kill9();
    receiver.answer(|_, _| Some(status(200)));
    let before = receiver.calls().len();
    server.restart();
    let log = eventually("all is told", || {
        let log = deliveries(&server, text(&made, "id"));
        (log.len() == 10 && log.iter().all(|one| one["status"] == "delivered")).then_some(log)
    });
    for id in ids {
        assert_eq!(log.iter().filter(|one| one["email_id"] == id.as_str()).count(), 2, "{id}");
    }
    assert!(receiver.calls().len() >= before + 10);
}

#[test]
fn a1_killed_between_an_answer_and_its_commit_it_calls_once_more_with_the_same_id() {
    let receiver = Receiver::start();
    let timeout = ("POSTHASTE_WEBHOOKS__TIMEOUT", "1s");
    let mut server = Server::start(options().env(timeout.0, timeout.1).fault("webhook_sent:2"));
    let made = webhook(&server, &receiver.url(), &["email.sent"]);
    server.send(&email_to("a@client.com", "x"));
    wait_for(&receiver, 1);
    eventually("the first call is written down", || {
        deliveries(&server, text(&made, "id")).first().filter(|one| one["status"] == "delivered").cloned()
    });
    server.send(&email_to("b@client.com", "x"));
    server.wait_exit(Duration::from_secs(30));
    server.restart_with(|options| options.without("POSTHASTE_FAULT"));
    let calls = wait_for(&receiver, 3);
    assert_eq!(calls[1].header("webhook-id"), calls[2].header("webhook-id"));
    assert_eq!(calls[1].body, calls[2].body);
    eventually("all is told", || {
        let log = deliveries(&server, text(&made, "id"));
        (log.len() == 2 && log.iter().all(|one| one["status"] == "delivered")).then_some(())
    });
    assert_eq!(receiver.calls().len(), 3);
}

#[test]
fn two_workers_tell_everything_once() {
    let receiver = Receiver::start();
    let server = Server::start(options());
    let _second = Server::start_bare(options().worker_beside(&server, 1));
    let made = webhook(&server, &receiver.url(), &["*"]);
    let emails: Vec<_> = (0..50).map(|n| email_to(&format!("u{n}@client.com"), "x")).collect();
    server.post("/api/emails/batch", &json!({ "emails": emails })).expect(202);
    eventually_within(Duration::from_secs(90), "all is told", || {
        let log = deliveries(&server, text(&made, "id"));
        (log.len() == 100 && log.iter().all(|one| one["status"] == "delivered")).then_some(())
    });
    let mut ids: Vec<String> =
        receiver.calls().iter().map(|call| call.header("webhook-id").to_owned()).collect();
    let calls = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), calls), (100, 100));
}
