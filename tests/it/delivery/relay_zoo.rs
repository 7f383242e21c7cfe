//! A11: relays that misbehave. The mail is neither lost nor sent in a hurry, the server lives on, its memory is bounded.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::Value;

use crate::emails_api::email_to;
use crate::harness::relay::{Action, Script, Step};
use crate::harness::{Relay, Server, ServerOptions, eventually};

/// Sends one email into a relay that misbehaves once and then works; the email must arrive by a retry.
#[track_caller]
fn arrives_after(what: &str, script: Script) -> Value {
    let relay = Relay::start(script);
    let server = Server::to_relay(&relay);
    let id = server.send(&email_to("user@client.com", what));
    let email = server.wait_status(&id, "sent");
    assert!(email["retries"].as_u64().is_some_and(|retries| retries >= 1), "{what}: {email:#}");
    email
}

fn once(step: Step, action: Action) -> Script {
    Script::accepting().first(1, step, action)
}

#[test]
fn a11_trouble_before_the_content_is_tried_again_and_sent_once() {
    let zoo = [
        ("reset at connect", once(Step::Connect, Action::Reset)),
        ("closed at connect", once(Step::Connect, Action::Close)),
        ("banner 421", once(Step::Connect, Action::reply("421 4.3.2 busy"))),
        ("banner 554", once(Step::Connect, Action::ReplyThenClose("554 5.3.2 no service here".into()))),
        ("EHLO and HELO refused", once(Step::Ehlo, Action::ReplyThenClose("421 no".into()))),
        ("half closed after EHLO", once(Step::Ehlo, Action::ReplyThenHalfClose("250 hello".into()))),
        ("closed at EHLO", once(Step::Ehlo, Action::Close)),
        ("451 to MAIL", once(Step::Mail, Action::reply("451 4.3.0 later"))),
        ("450 to RCPT", once(Step::Rcpt, Action::reply("450 4.2.0 greylisted"))),
        ("reset at RCPT", once(Step::Rcpt, Action::Reset)),
        ("451 to DATA", once(Step::Data, Action::reply("451 4.3.0 later"))),
        ("closed at DATA", once(Step::Data, Action::Close)),
        ("451 after the dot", once(Step::Content, Action::reply("451 4.3.0 disk full"))),
        ("a reply that is none", once(Step::Mail, Action::Raw(b"hello there\r\n".to_vec()))),
        ("a reply that is not UTF-8", once(Step::Mail, Action::Raw(b"451 \xff\xfe\r\n".to_vec()))),
    ];
    for (what, script) in zoo {
        let relay = Relay::start(script.without("CHUNKING"));
        let server = Server::to_relay(&relay);
        let id = server.send(&email_to("user@client.com", what));
        let email = server.wait_status(&id, "sent");
        assert!(email["retries"].as_u64().is_some_and(|retries| retries >= 1), "{what}: {email:#}");
        assert_eq!(relay.messages().len(), 1, "{what}");
    }
}

#[test]
fn a11_loss_after_the_final_dot_is_told_as_a_possible_duplicate() {
    for (what, action) in [("closed after the dot", Action::Close), ("reset after the dot", Action::Reset)] {
        let email = arrives_after(what, once(Step::Content, action).without("CHUNKING"));
        assert!(email["events"].to_string().contains("possible_duplicate"), "{what}: {:#}", email["events"]);
    }
}

#[test]
fn a11_lost_after_the_dot_keeps_the_message_id() {
    let relay = Relay::start(once(Step::Content, Action::Close).without("CHUNKING"));
    let server = Server::to_relay(&relay);
    let id = server.send(&email_to("user@client.com", "x"));
    server.wait_status(&id, "sent");
    let taken = relay.wait_for(2);
    assert_eq!(taken[0].content, taken[1].content);
}

#[test]
fn a11_endless_replies_are_cut_off_and_memory_stays_flat() {
    for (what, action) in
        [("a line of 10 MB", Action::LongLine(10_000_000)), ("lines without end", Action::Endless)]
    {
        let relay = Relay::start(once(Step::Mail, action).without("PIPELINING"));
        let server = Server::to_relay(&relay);
        let before = server.memory_kib("VmRSS");
        let id = server.send(&email_to("user@client.com", what));
        server.wait_status(&id, "sent");
        let grown = server.memory_kib("VmHWM").saturating_sub(before);
        assert!(grown < 30_000, "{what}: {grown} KiB");
    }
}

#[test]
fn a11_a_slow_but_correct_relay_is_waited_for() {
    let slow = Action::Trickle("250 2.1.0 slowly".into(), Duration::from_millis(50));
    let relay = Relay::start(once(Step::Mail, slow));
    let server = Server::to_relay(&relay);
    let id = server.send(&email_to("user@client.com", "x"));
    assert_eq!(server.wait_status(&id, "sent")["retries"], 0);
}

#[test]
fn a11_permanent_refusals_fail_at_once_with_their_reason() {
    let rows = [
        (Step::Mail, "550 5.7.1 not allowed", "bounce"),
        (Step::Mail, "553 5.1.8 no such domain", "server_error"),
        (Step::Rcpt, "550 5.1.1 no such user", "invalid_email"),
        (Step::Content, "554 5.6.0 looks like spam", "bounce"),
        (Step::Content, "552 5.3.4 too big", "server_error"),
    ];
    for (step, reply, code) in rows {
        let relay = Relay::start(Script::accepting().on(step, Action::reply(reply)));
        let server = Server::to_relay(&relay);
        let id = server.send(&email_to("user@client.com", "x"));
        let email = server.wait_status(&id, "failed");
        assert!(email.to_string().contains(reply.split(' ').nth(1).expect("a code")), "{email:#}");
        assert_eq!(email["failure_code"], code, "{reply}: {email:#}");
        assert_eq!(email["retries"], 0, "{reply}: {email:#}");
        assert_eq!(relay.messages().len(), 0);
    }
}

#[test]
fn a11_a_relay_that_is_down_costs_nothing_and_its_mail_goes_out_later() {
    let address =
        TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
    let server = Server::start(ServerOptions::to_smtp(address).env("POSTHASTE_DELIVERY__MAX_ATTEMPTS", "50"));
    let ids: Vec<String> =
        (0..20).map(|n| server.send(&email_to("user@client.com", &format!("n{n}")))).collect();
    eventually("an attempt was made", || {
        server.email(&ids[0])["events"].as_array().filter(|events| events.len() > 2).map(|_| ())
    });
    let relay = Relay::start_at(address, Script::accepting());
    for id in &ids {
        server.wait_status(id, "sent");
    }
    assert_eq!(relay.messages().len(), 20);
}

#[test]
fn a11_the_retry_limit_ends_it() {
    let relay = Relay::start(Script::accepting().on(Step::Rcpt, Action::reply("450 4.2.0 never")));
    let server = Server::start(ServerOptions::to_relay(&relay).env("POSTHASTE_DELIVERY__MAX_ATTEMPTS", "3"));
    let id = server.send(&email_to("user@client.com", "x"));
    let email = server.wait_status(&id, "failed");
    assert_eq!(email["retries"], 2, "{email:#}");
    assert!(email["failure_message"].as_str().is_some_and(|message| !message.is_empty()));
}
