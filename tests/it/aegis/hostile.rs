//! What attackers send.

use super::{KEY, error, get, inbox, message, post, raw, sent, server};
use crate::emails_api::with;
use crate::harness::Relay;
use crate::harness::relay::{Action, Script, Step};
use serde_json::json;

#[test]
fn nothing_breaks_out_of_its_place() {
    let server = inbox();
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let body = format!("{{\"to\":\"a@b.example\",\"x\":{deep}}}");
    assert_eq!(error(&raw(&server, KEY, &[], body.as_bytes())).2, "INVALID_JSON");
    for patch in [
        json!({"to": "a@b.example\u{0}"}),
        json!({"toName": "x\u{0}"}),
        json!({"subject": "x\u{0}y"}),
        json!({"replyTo": "a@b.example\nX: y"}),
        json!({"headers": {"X-A\r\nBcc": "x"}}),
        json!({"headers": {"From": "ceo@bank.example"}}),
        json!({"headers": {"Sender": "ceo@bank.example"}}),
        json!({"headers": {"Content-Type": "text/html"}}),
        json!({"cc": [{"email": "a@b.example\r\nRCPT TO:<x@y.example>"}]}),
        json!({"attachments": [{"name": "a\r\nX: y", "content": "YQ=="}]}),
        json!({"cc": vec![json!({"email": "a@b.example"}); 5000]}),
    ] {
        let answer = post(&server, KEY, &[], &with(message(), patch.clone()));
        assert_eq!(answer.status, 400, "{patch}: {}", answer.text());
        error(&answer);
    }
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 0);
    server.wait_healthy();
}

#[test]
fn ids_of_others_are_not_to_be_found_by_trying() {
    let server = inbox();
    let id = sent(&server, &message());
    let last = if id.ends_with('0') { "1" } else { "0" };
    let neighbour = format!("{}{last}", &id[..id.len() - 1]);
    for wrong in [
        neighbour.as_str(),
        &id[..id.len() - 1],
        &format!("{id}0"),
        &id.to_uppercase(),
        &id.replace("msg_", "MSG_"),
        "msg_",
        "..%2f..%2fetc%2fpasswd",
        "%00",
        "%ff",
        "msg_%27%20OR%201=1--",
    ] {
        let answer = get(&server, &format!("/send/{wrong}/status"));
        assert_eq!(error(&answer).2, "MESSAGE_NOT_FOUND", "{wrong}");
    }
}

#[test]
fn an_error_shows_nobodys_address() {
    let said = "550 5.1.1 <Bob@Client.com>: no such user, write to postmaster@client.com";
    let relay = Relay::start(Script::accepting().on(Step::Rcpt, Action::reply(said)));
    let server = server(&relay);
    let id = sent(&server, &message());
    let shown = super::status::wait(&server, &id, "failed");
    let told = shown["details"]["last_error"].as_str().expect("an error");
    assert!(told.contains("5.1.1 <[address]>: no such user, write to [address]"), "{told}");
    assert!(!shown.to_string().contains("client.com"), "{shown}");
}
