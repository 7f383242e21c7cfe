//! Reading one email: wait, timeline, content, raw, explain.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{email_to, with};
use crate::harness::relay::{Action, Script, Step};
use crate::harness::{Relay, Server, soon};

#[test]
fn wait_answers_when_the_email_is_sent() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let id = server.send(&email_to("user@client.com", "x"));
    for wait in ["30s", "1m"] {
        let shown = server.get(&format!("/api/emails/{id}?wait={wait}")).expect(200).json();
        assert_eq!(shown["status"], "sent");
        assert_eq!(shown["provider"], "smtp");
    }
}

#[test]
fn wait_answers_when_its_time_is_over() {
    let server = Server::inbox();
    let id = server
        .send(&with(email_to("user@client.com", "x"), json!({"send_at": soon(Duration::from_secs(3600))})));
    let began = Instant::now();
    let shown = server.get(&format!("/api/emails/{id}?wait=1s")).expect(200).json();
    assert_eq!(shown["status"], "scheduled");
    assert!(began.elapsed() >= Duration::from_millis(900), "it did not wait");
    server.get(&format!("/api/emails/{id}?wait=61s")).expect(422);
}

#[test]
fn the_timeline_tells_each_change_in_order() {
    let relay = Relay::start(Script::accepting().first(1, Step::Rcpt, Action::reply("450 4.2.0 busy")));
    let server = Server::to_relay(&relay);
    let id = server.send(&email_to("user@client.com", "x"));
    let shown = server.wait_status(&id, "sent");
    assert_eq!(shown["retries"], 1);
    let events = shown["events"].as_array().expect("a list");
    for event in events {
        for member in ["id", "seq", "type", "at"] {
            assert!(!event[member].is_null(), "{member}: {event}");
        }
    }
    let numbers: Vec<i64> = events.iter().map(|event| event["seq"].as_i64().expect("a number")).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    let text = shown["events"].to_string();
    assert!(text.contains("4.2.0") || text.contains("450"), "the relay's word: {text}");
}

#[test]
fn content_and_raw_are_what_was_sent() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let id = server.send(&with(
        email_to("user@client.com", "Halo {{ name }}"),
        json!({"html": "<p>{{ name }}</p>", "variables": {"name": "Andi"}}),
    ));
    let taken = relay.only_message();
    server.wait_status(&id, "sent");
    let content = server.get(&format!("/api/emails/{id}/content")).expect(200).json();
    assert_eq!((&content["html"], &content["text"]), (&json!("<p>Andi</p>"), &json!("Halo Andi")));
    assert!(!content["headers"].is_null());
    let raw = server.get(&format!("/api/emails/{id}/raw")).expect(200);
    assert_eq!(raw.header("content-type").and_then(|kind| kind.split(';').next()), Some("message/rfc822"));
    assert_eq!(raw.text(), String::from_utf8_lossy(&taken.content));
}

#[test]
fn explain_lists_the_decisions() {
    let server = Server::inbox();
    let id = server.send(&email_to("user@client.com", "x"));
    server.wait_status(&id, "sent");
    let explained = server.get(&format!("/api/emails/{id}/explain")).expect(200).json();
    assert!(explained["decisions"].as_array().is_some_and(|list| list.len() >= 2), "{explained:#}");
    assert!(
        explained.as_object().is_some_and(|members| members.contains_key("next_attempt_at")),
        "{explained:#}"
    );
}

#[test]
fn a_refused_recipient_fails_with_code_and_the_relay_s_words() {
    let relay = Relay::start(Script::accepting().on(Step::Rcpt, Action::reply("550 5.1.1 no such user")));
    let server = Server::to_relay(&relay);
    let id = server.send(&email_to("user@client.com", "x"));
    let shown = server.wait_status(&id, "failed");
    assert_eq!(shown["failure_code"], "invalid_email");
    assert!(shown["failure_message"].as_str().is_some_and(|message| !message.is_empty()));
    assert!(!shown["error"].is_null());
    assert!(
        shown["recipients"][0]["last_reply"].as_str().is_some_and(|reply| reply.contains("5.1.1")),
        "{shown:#}"
    );
    assert_eq!(shown["sent_at"], Value::Null);
}
