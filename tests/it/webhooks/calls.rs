//! A call: its body, its headers, its signatures; the order of calls, and what is tried again.

use std::time::Duration;

use serde_json::{Value, json};

use super::{deliveries, options, text, wait_for, wait_newest, webhook};
use crate::emails_api::{email_to, with};
use crate::harness::receiver::status;
use crate::harness::{Receiver, Server, eventually};

#[test]
fn an_email_is_told_as_it_goes_in_the_documented_shape() {
    let (server, receiver) = (Server::start(options()), Receiver::start());
    let made = webhook(&server, &receiver.url(), &["*"]);
    let email =
        with(email_to("user@client.com", "x"), json!({"tags": ["onboarding"], "metadata": {"order": "42"}}));
    let id = server.send(&email);
    let calls = wait_for(&receiver, 2);
    let told: Vec<Value> = calls.iter().map(super::Received::json).collect();
    assert_eq!((&told[0]["type"], &told[1]["type"]), (&json!("email.queued"), &json!("email.sent")));
    for (call, body) in calls.iter().zip(&told) {
        assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/hook"));
        assert_eq!(call.header("content-type"), "application/json");
        assert!(call.header("user-agent").starts_with("Posthaste/"));
        let members: Vec<&String> = body.as_object().expect("an object").keys().collect();
        assert_eq!(members, ["type", "timestamp", "data"]);
        let members: Vec<&String> = body["data"].as_object().expect("an object").keys().collect();
        let expected =
            ["email_id", "message_id", "status", "seq", "recipient", "attempt", "error", "tags", "metadata"];
        assert_eq!(members, expected);
        assert_eq!(body["data"]["email_id"], id.as_str());
        assert_eq!(
            (&body["data"]["tags"], &body["data"]["metadata"]),
            (&json!(["onboarding"]), &json!({"order": "42"}))
        );
    }
    assert_eq!((&told[0]["data"]["status"], &told[1]["data"]["status"]), (&json!("queued"), &json!("sent")));
    assert!(told[0]["data"]["seq"].as_u64() < told[1]["data"]["seq"].as_u64());
    assert_eq!(
        (&told[1]["data"]["recipient"], &told[1]["data"]["attempt"]),
        (&json!("user@client.com"), &json!(1))
    );
    let newest = wait_newest(&server, text(&made, "id"), "delivered");
    assert_eq!(newest["id"], calls[1].header("webhook-id"));
    assert_eq!((&newest["attempts"][0]["status_code"], &newest["email_id"]), (&json!(204), &json!(id)));
    assert_eq!(newest["payload"], String::from_utf8_lossy(&calls[1].body).as_ref());
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("posthaste_webhook_deliveries_total{result=\"ok\"}"), "{metrics}");
}

#[test]
fn only_what_was_asked_for_is_told() {
    let (server, receiver) = (Server::start(options()), Receiver::start());
    let made = webhook(&server, &receiver.url(), &["email.sent", "email.bounced"]);
    let ids: Vec<String> = (0..3).map(|n| server.send(&email_to(&format!("u{n}@client.com"), "x"))).collect();
    let calls = wait_for(&receiver, 3);
    assert!(calls.iter().all(|call| call.json()["type"] == "email.sent"));
    let mut told: Vec<String> =
        calls.iter().map(|call| text(&call.json()["data"], "email_id").to_owned()).collect();
    told.sort();
    let mut ids = ids;
    ids.sort();
    assert_eq!(told, ids);
    assert_eq!(deliveries(&server, text(&made, "id")).len(), 3);
}

#[test]
fn a55_what_fails_is_called_again_with_its_id_and_a_new_time_in_order() {
    let server = Server::start(options());
    let receiver = Receiver::answering(|_, before| Some(status(if before < 3 { 503 } else { 200 })));
    let made = webhook(&server, &receiver.url(), &["*"]);
    server.send(&email_to("user@client.com", "x"));
    let calls = wait_for(&receiver, 5);
    let names: Vec<Value> = calls.iter().map(|call| call.json()["type"].clone()).collect();
    let queued = json!("email.queued");
    assert_eq!(names, [&queued, &queued, &queued, &queued, &json!("email.sent")].map(Clone::clone));
    let (first, again) = (&calls[0], &calls[3]);
    assert_eq!(first.header("webhook-id"), again.header("webhook-id"));
    assert_ne!(first.header("webhook-id"), calls[4].header("webhook-id"));
    assert_eq!(first.body, again.body, "the same bytes");
    let log = eventually("all is told", || {
        let log = deliveries(&server, text(&made, "id"));
        (log.len() == 2 && log.iter().all(|one| one["status"] == "delivered")).then_some(log)
    });
    let attempts = log[1]["attempts"].as_array().expect("calls");
    let codes: Vec<&Value> = attempts.iter().map(|one| &one["status_code"]).collect();
    assert_eq!(codes, [&json!(503), &json!(503), &json!(503), &json!(200)]);
    assert_eq!(log[1]["attempt_count"], 4);
}

#[test]
fn gone_ends_a_delivery_and_a_redirect_is_no_success() {
    let server = Server::start(options().env("POSTHASTE_WEBHOOKS__GIVE_UP_AFTER", "1s"));
    let inside = Receiver::start();
    let location = inside.url();
    let receiver = Receiver::answering(move |call, _| {
        Some(if call.json()["type"] == "email.queued" {
            status(410)
        } else {
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
        })
    });
    let made = webhook(&server, &receiver.url(), &["*"]);
    server.send(&email_to("user@client.com", "x"));
    let log = eventually("both are given up", || {
        let log = deliveries(&server, text(&made, "id"));
        (log.len() == 2 && log.iter().all(|one| one["status"] == "failed")).then_some(log)
    });
    assert_eq!((&log[1]["attempt_count"], &log[1]["attempts"][0]["status_code"]), (&json!(1), &json!(410)));
    assert_eq!(log[0]["attempts"][0]["status_code"], 302);
    assert!(log[0]["attempt_count"].as_u64() >= Some(2), "tried again until its time was over");
    assert_eq!(log[0]["next_attempt_at"], Value::Null);
    assert_eq!(inside.calls(), [], "a redirect was followed");
}

#[test]
fn a_webhook_that_answers_nothing_holds_up_nobody() {
    let server = Server::start(options().env("POSTHASTE_WEBHOOKS__TIMEOUT", "2s"));
    let (silent, good) = (Receiver::answering(|_, _| None), Receiver::start());
    let dead = webhook(&server, &silent.url(), &["*"]);
    webhook(&server, &good.url(), &["email.sent"]);
    for n in 0..30 {
        server.send(&email_to(&format!("u{n}@client.com"), "x"));
    }
    wait_for(&good, 30);
    let log = eventually("a call has timed out", || {
        let log = deliveries(&server, text(&dead, "id"));
        log.iter().any(|one| one["attempts"][0]["error"] == "timeout").then_some(log)
    });
    assert!(log.iter().all(|one| one["status"] == "pending"));
    server.wait_healthy();
    assert_eq!(server.get("/health").expect(200).json()["status"], "healthy");
    let shown = server.get(&format!("/api/webhooks/{}", text(&dead, "id"))).expect(200).json();
    assert!(shown["failing_since"].is_string(), "{shown:#}");
    eventually("what waits is counted", || {
        let metrics = server.get("/metrics").text();
        let line = metrics.lines().find(|line| line.starts_with("posthaste_webhooks_waiting "))?;
        line.rsplit(' ').next()?.parse::<u64>().ok().filter(|waiting| *waiting >= 30)
    });
}

#[test]
fn a_failed_email_tells_why() {
    use crate::harness::relay::{Action, Relay, Script, Step};
    let relay = Relay::start(Script::accepting().on(Step::Rcpt, Action::reply("550 5.1.1 no such user")));
    let server =
        Server::start(crate::harness::ServerOptions::to_relay(&relay).env("WEBHOOKS_ALLOW_PRIVATE", "true"));
    let receiver = Receiver::start();
    webhook(&server, &receiver.url(), &["email.failed"]);
    server.send(&email_to("nobody@client.com", "x"));
    let told = wait_for(&receiver, 1)[0].json();
    assert_eq!((&told["type"], &told["data"]["status"]), (&json!("email.failed"), &json!("failed")));
    assert!(text(&told["data"], "error").contains("5.1.1 no such user"), "{told:#}");
}

#[test]
fn many_emails_are_told_in_order_each() {
    let server = Server::start(options());
    // One in three calls fails once.
    let receiver = Receiver::answering(|_, before| Some(status(if before % 3 == 0 { 500 } else { 200 })));
    webhook(&server, &receiver.url(), &["email.queued", "email.sent"]);
    let emails: Vec<Value> = (0..40).map(|n| email_to(&format!("u{n}@client.com"), "x")).collect();
    server.post("/api/emails/batch", &json!({ "emails": emails })).expect(202);
    let told = crate::harness::eventually_within(Duration::from_secs(90), "all are told", || {
        let mut last = std::collections::BTreeMap::<String, Vec<u64>>::new();
        for call in receiver.calls() {
            let data = call.json()["data"].clone();
            let seq = data["seq"].as_u64().expect("a number");
            last.entry(text(&data, "email_id").to_owned()).or_default().push(seq);
        }
        let is_done = last.len() == 40 && last.values().all(|seqs| seqs.iter().max() > seqs.first());
        is_done.then_some(last)
    });
    for (email, seqs) in told {
        assert!(seqs.is_sorted(), "{email}: {seqs:?}");
    }
}

#[test]
fn what_waits_is_told_without_pauses() {
    let (server, receiver) = (Server::start(options()), Receiver::start());
    webhook(&server, &receiver.url(), &["email.sent"]);
    let emails: Vec<Value> = (0..400).map(|n| email_to(&format!("u{n}@client.com"), "x")).collect();
    server.post("/api/emails/batch", &json!({ "emails": emails })).expect(202);
    // Eight calls at each look, with a quarter of a second between two, would take more than 12 s.
    crate::harness::eventually_within(Duration::from_secs(10), "all are told", || {
        (receiver.calls().len() >= 400).then_some(())
    });
}
