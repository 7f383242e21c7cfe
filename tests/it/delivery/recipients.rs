//! A41: several recipients, each with its own answer.

use serde_json::{Value, json};

use crate::emails_api::{email_to, with};
use crate::harness::relay::{Action, Script, Step};
use crate::harness::{Relay, Server, eventually};

fn three() -> Value {
    with(
        email_to("x@client.com", "x"),
        json!({"to": ["good@client.com", "busy@client.com", "gone@client.com"]}),
    )
}

fn recipient<'a>(email: &'a Value, address: &str) -> &'a Value {
    let recipients = email["recipients"].as_array().expect("a list");
    recipients
        .iter()
        .find(|one| one["email"].as_str().is_some_and(|email| email.contains(address)))
        .expect("there")
}

#[test]
fn a41_only_the_deferred_recipient_is_tried_again() {
    // 450 twice for one of them: rules with a count apply over all connections.
    let script = Script::accepting()
        .on_matching(Step::Rcpt, "<gone@", Action::reply("550 5.1.1 no such user"))
        .on_matching(Step::Rcpt, "<good@", Action::reply("250 2.1.5 ok"))
        .first(2, Step::Rcpt, Action::reply("450 4.2.1 busy"));
    let relay = Relay::start(script);
    let server = Server::to_relay(&relay);
    let id = server.send(&three());
    let done = eventually("all recipients are done", || {
        let email = server.email(&id);
        (recipient(&email, "busy@")["status"] == "sent").then_some(email)
    });
    assert_eq!(done["status"], "sent");
    assert_eq!(recipient(&done, "good@")["status"], "sent");
    assert_eq!(recipient(&done, "gone@")["status"], "failed");
    assert!(recipient(&done, "gone@")["last_reply"].to_string().contains("5.1.1"));
    assert_eq!(done["next_attempt_at"], Value::Null);
    let taken: Vec<Vec<String>> = relay.messages().into_iter().map(|taken| taken.recipients).collect();
    assert_eq!(taken, [vec!["good@client.com".to_owned()], vec!["busy@client.com".to_owned()]]);
    // The refused one was named once, the accepted one once.
    let named: String = relay.connections().iter().map(posthaste_smtp_sink::relay::Recorded::text).collect();
    assert_eq!(named.matches("<gone@client.com>").count(), 1, "{named}");
    assert_eq!(named.matches("RCPT TO:<good@client.com>").count(), 1, "{named}");
}

#[test]
fn a41_all_refused_is_failed_and_not_tried_again() {
    let relay = Relay::start(Script::accepting().on(Step::Rcpt, Action::reply("550 5.1.1 no")));
    let server = Server::to_relay(&relay);
    let id = server.send(&three());
    let failed = server.wait_status(&id, "failed");
    assert_eq!(failed["failure_code"], "invalid_email");
    assert_eq!(relay.messages().len(), 0);
}

#[test]
fn a41_too_many_recipients_for_the_relay_go_in_turns() {
    // RFC 5321 section 4.5.3.1.10: 452 (or 552) to RCPT means "no more now".
    for code in ["452 4.5.3 too many", "552 too many"] {
        let script = Script::accepting().on_matching(Step::Rcpt, "<good@", Action::reply("250 ok")).first(
            2,
            Step::Rcpt,
            Action::reply(code),
        );
        let relay = Relay::start(script);
        let server = Server::to_relay(&relay);
        server.send(&three());
        let mut all: Vec<String> = eventually(code, || {
            let all: Vec<String> = relay.messages().into_iter().flat_map(|taken| taken.recipients).collect();
            (all.len() >= 3).then_some(all)
        });
        all.sort();
        assert_eq!(all, ["busy@client.com", "gone@client.com", "good@client.com"], "{code}");
    }
}

#[test]
fn a41_an_early_354_without_recipients_sends_no_content() {
    let relay = Relay::start(Script::accepting().on(Step::Rcpt, Action::reply("550 5.1.1 no")).early_354());
    let server = Server::to_relay(&relay);
    let id = server.send(&email_to("user@client.com", "must not arrive"));
    server.wait_status(&id, "failed");
    let text: String = relay.connections().iter().map(posthaste_smtp_sink::relay::Recorded::text).collect();
    assert!(!text.contains("must not arrive"), "{text}");
}

#[test]
fn a41_421_in_the_middle_is_tried_again_on_another_connection() {
    let relay = Relay::start(Script::accepting().first(1, Step::Rcpt, Action::reply("421 4.3.2 going down")));
    let server = Server::to_relay(&relay);
    let id = server.send(&email_to("user@client.com", "x"));
    assert_eq!(server.wait_status(&id, "sent")["retries"], 1);
    assert_eq!(relay.messages().len(), 1);
}
