//! The process dies while a report is asked for: the retry goes on where it stopped, and the report is sent once.

use super::organizer::{OWNER, organizer};
use crate::harness::browser::Browser;
use crate::harness::http::Response;
use crate::harness::{Relay, Server, ServerOptions, eventually};
use serde_json::Value;
use std::io;
use std::time::Duration;

/// Asks for a report of the event under one key.
fn ask(server: &Server, browser: &Browser, event: i64) -> io::Result<Response> {
    let token = browser.token();
    let cookie = format!("posthaste_session={}", browser.cookie("posthaste_session").expect("a login"));
    let headers = [
        ("X-Api-Key", crate::harness::server::NONE),
        ("X-CSRF-TOKEN", token.as_str()),
        ("Cookie", cookie.as_str()),
        ("Idempotency-Key", "k1"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let body = format!("event_id={event}&to_email=ann%40client.com");
    server.try_request("POST", "/eo/email-reports/send", &headers, body.as_bytes())
}

fn deliveries(browser: &Browser) -> Vec<Value> {
    let data = browser.get_json("/eo/email-reports/data").expect(200).json();
    data["deliveries"].as_array().expect("a list").clone()
}

/// A server that died at `fault` while it was asked for a report, started again without it.
fn after_a_crash(relay: &Relay, fault: &str) -> (Server, Browser, i64) {
    let mut server = Server::start(ServerOptions::to_relay(relay));
    let (_, event) = organizer(&server, "Nama Event");
    server.restart_with(|options| options.fault(fault));
    let browser = Browser::logged_in(&server, OWNER);
    let lost = ask(&server, &browser, event);
    assert!(lost.is_err(), "{fault}: it answered {lost:?}");
    server.wait_exit(Duration::from_secs(60));
    server.restart_with(|options| options.without("POSTHASTE_FAULT"));
    let browser = Browser::logged_in(&server, OWNER);
    (server, browser, event)
}

/// One delivery, sent once, and the answer to the request names it.
fn is_sent_once(relay: &Relay, browser: &Browser, answer: &Value) {
    eventually("the report is sent", || {
        deliveries(browser).iter().all(|one| one["status"] == "sent").then_some(())
    });
    let made = deliveries(browser);
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(answer["delivery_id"], made[0]["id"], "{answer}");
    assert_eq!(relay.only_message().recipients, ["ann@client.com"]);
}

#[test]
fn a_retry_goes_on_with_a_report_that_was_left_without_its_email() {
    let relay = Relay::accepting();
    let (server, browser, event) = after_a_crash(&relay, "validated");
    assert_eq!(deliveries(&browser).len(), 1, "it died before the delivery was written down");
    let first = ask(&server, &browser, event).expect("an answer").expect(200).json();
    let second = ask(&server, &browser, event).expect("an answer").expect(200).json();
    assert_eq!(first, second);
    is_sent_once(&relay, &browser, &first);
}

#[test]
fn a_retry_after_the_watch_finished_a_report_gets_its_answer() {
    let relay = Relay::accepting();
    let (server, browser, event) = after_a_crash(&relay, "validated");
    eventually("the report is finished", || (relay.messages().len() == 1).then_some(()));
    let answer = ask(&server, &browser, event).expect("an answer").expect(200);
    assert_eq!(answer.header("idempotency-replayed"), Some("true"));
    is_sent_once(&relay, &browser, &answer.json());
}

#[test]
fn a_retry_after_the_email_was_on_disk_gets_the_same_answer() {
    let relay = Relay::accepting();
    let (server, browser, event) = after_a_crash(&relay, "rung");
    let answer = ask(&server, &browser, event).expect("an answer").expect(200);
    assert_eq!(answer.header("idempotency-replayed"), Some("true"));
    is_sent_once(&relay, &browser, &answer.json());
}
