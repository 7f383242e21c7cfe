//! What every provider must do alike.

use std::time::Duration;

use serde_json::json;

use super::{graph, mailgun, sendgrid, ses, small};
use crate::harness::provider::{Answer, Provider, Trouble};
use crate::harness::{Server, ServerOptions, eventually};

struct Kind {
    name: &'static str,
    start: fn() -> Provider,
    options: fn(&Provider) -> ServerOptions,
}

const KINDS: [Kind; 4] = [
    Kind { name: "sendgrid", start: sendgrid::start, options: sendgrid::options_for },
    Kind { name: "mailgun", start: mailgun::start, options: mailgun::options_for },
    Kind { name: "ses", start: ses::start, options: ses::options_for },
    Kind { name: "graph", start: graph::start, options: graph::options_for },
];

fn say(status: u16) -> Trouble {
    Trouble::Say(Answer::new(status, "{}"))
}

fn events(email: &serde_json::Value) -> Vec<String> {
    let events = email["events"].as_array().cloned().unwrap_or_default();
    events
        .iter()
        .filter_map(|event| event["type"].as_str().or(event["event"].as_str()).map(str::to_owned))
        .collect()
}

#[test]
fn transient_answers_are_tried_again_and_permanent_ones_are_not() {
    for kind in KINDS {
        let provider = (kind.start)();
        let server =
            Server::start((kind.options)(&provider).env("POSTHASTE_DELIVERY__BREAKER_FAILURES", "50"));
        for status in [500, 502, 503, 429] {
            provider.next([say(status)]);
            let id = server.send(&small());
            let email = server.wait_status(&id, "sent");
            assert_eq!(email["retries"], 1, "{} {status}: {email:#}", kind.name);
        }
        for status in [400, 413, 415] {
            provider.next([say(status)]);
            let id = server.send(&small());
            let email = server.wait_status(&id, "failed");
            assert_eq!(email["failure_code"], "server_error", "{} {status}: {email:#}", kind.name);
        }
    }
}

#[test]
fn a_refused_recipient_fails_alone() {
    for kind in KINDS {
        let provider = (kind.start)();
        let server = Server::start((kind.options)(&provider));
        let mut email = small();
        email["to"] = json!(["ann@client.com", "refused@client.com"]);
        let id = server.send(&email);
        let email = server.wait_status(&id, "sent");
        let statuses: Vec<&str> = email["recipients"]
            .as_array()
            .expect("recipients")
            .iter()
            .filter_map(|one| one["status"].as_str())
            .collect();
        assert_eq!(statuses, ["sent", "failed"], "{}: {email:#}", kind.name);
        let alone = {
            let mut email = small();
            email["to"] = json!(["refused@client.com"]);
            server.send(&email)
        };
        assert_eq!(server.wait_status(&alone, "failed")["failure_code"], "invalid_email", "{}", kind.name);
    }
}

#[test]
fn a_pause_that_is_asked_for_is_kept_by_all_mail() {
    for kind in KINDS {
        let provider = (kind.start)();
        let server = Server::start((kind.options)(&provider));
        provider.next([Trouble::Say(Answer::new(429, "{}").header("Retry-After", "3"))]);
        let first = server.send(&small());
        eventually("the first is refused", || (provider.offered().len() == 1).then_some(()));
        let second = server.send(&small());
        for id in [&first, &second] {
            server.wait_status(id, "sent");
        }
        let offered = provider.offered();
        assert_eq!(offered.len(), 3, "{}", kind.name);
        let waited = offered[1].at.duration_since(offered[0].at);
        assert!(waited >= Duration::from_millis(2_900), "{}: {waited:?}", kind.name);
        assert_eq!(server.email(&second)["retries"], 0, "{}: a wait is no attempt", kind.name);
    }
}

#[test]
fn a_wrong_credential_opens_the_circuit_and_fails_nobody() {
    for kind in KINDS {
        let provider = (kind.start)();
        let server = Server::start((kind.options)(&provider).env("POSTHASTE_DELIVERY__BREAKER_OPEN", "60s"));
        // Microsoft's is asked twice: with the token, and with a fresh one.
        provider.next([say(401), say(401)]);
        let first = server.send(&small());
        eventually("the circuit opens", || {
            server.stderr().contains("needs the operator, circuit opened").then_some(())
        });
        let second = server.send(&small());
        eventually("the second waits", || {
            let error = server.email(&second)["error"].as_str().map(str::to_owned);
            error.filter(|error| error.contains("circuit"))
        });
        assert_eq!(server.email(&first)["status"], "queued", "{}", kind.name);
        eventually("health tells of it", || {
            (server.get("/health").json()["status"] == "degraded").then_some(())
        });
        assert_eq!(server.get("/readyz").status, 200);
    }
}

/// a12
#[test]
fn an_uncertain_end_is_tried_once_more_with_the_same_marks() {
    for kind in KINDS {
        let provider = (kind.start)();
        let server = Server::start((kind.options)(&provider));
        for trouble in [Trouble::TakeAndCut, say(504)] {
            let before = provider.offered().len();
            provider.next([trouble.clone()]);
            let id = server.send(&small());
            let email = server.wait_status(&id, "sent");
            let offered = provider.offered();
            assert_eq!(offered.len(), before + 2, "{} {trouble:?}", kind.name);
            let [one, two] = [&offered[before], &offered[before + 1]].map(|request| {
                let text = String::from_utf8_lossy(&request.body).into_owned();
                if kind.name == "mailgun" { text } else { request.json().to_string() }
            });
            assert_eq!(one, two, "{}: the same bytes", kind.name);
            assert!(
                events(&email).iter().any(|event| event == "possible_duplicate"),
                "{} {trouble:?}: {email:#}",
                kind.name
            );
        }
        provider.next([say(504), Trouble::Cut]);
        let id = server.send(&small());
        let email = server.wait_status(&id, "failed");
        assert_eq!(email["failure_code"], "transport_error", "{}", kind.name);
        assert!(email.to_string().contains("possibly delivered"), "{email:#}");
    }
}

#[test]
fn a_slow_answer_is_waited_for() {
    for kind in KINDS {
        let provider = (kind.start)();
        let server = Server::start((kind.options)(&provider));
        provider.next([Trouble::Slow(Duration::from_secs(2))]);
        let id = server.send(&small());
        assert_eq!(server.wait_status(&id, "sent")["retries"], 0, "{}", kind.name);
        assert_eq!(provider.offered().len(), 1, "{}", kind.name);
    }
}
