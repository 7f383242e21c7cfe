//! `POST /send` with a token, and the client's own history.

use super::{client, email, get, send, token};
use crate::emails_api::with;
use crate::harness::server::NONE;
use crate::harness::{Relay, Server, ServerOptions, eventually};
use serde_json::json;

#[test]
fn the_answer_is_exactly_what_it_always_was() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let mine = token(&server);
    let answer = send(&server, &mine, &[], &email()).expect(202);
    assert_eq!(answer.text(), "Start Queue Email");
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")));
    let id = answer.header("x-email-id").expect("an id").to_owned();
    assert_eq!(answer.header("location"), Some(format!("/emails/{id}").as_str()));
    let message = String::from_utf8_lossy(&relay.wait_for(1).remove(0).content).into_owned();
    assert!(message.contains("Literal {{ text }}"), "{message}");
    let done = eventually("the email is sent", || {
        let shown = get(&server, &mine, &format!("/emails/{id}")).expect(200).json();
        (shown["status"] == "sent").then_some(shown)
    });
    let names = ["id", "from", "to", "subject", "status", "error", "created_at", "sent_at"];
    assert_eq!(done.as_object().expect("an object").keys().collect::<Vec<_>>(), names);
    assert_eq!(
        (&done["from"], &done["to"]),
        (&json!("Ann <ann@app.example>"), &json!("Bob <bob@client.com>"))
    );
    let json = send(&server, &mine, &[("Accept", "application/json")], &email()).expect(202).json();
    assert_eq!(json["message"], "Start Queue Email");
    let list = get(&server, &mine, "/emails?limit=1").expect(200).json();
    assert_eq!(list["data"][0]["id"], json["email_id"]);
    let cursor = list["next_cursor"].as_str().expect("more");
    let next = get(&server, &mine, &format!("/emails?limit=1&cursor={cursor}")).expect(200).json();
    assert_eq!((&next["data"][0]["id"], &next["next_cursor"]), (&json!(id), &json!(null)));
}

#[test]
fn a_mail_without_a_body_gets_the_shipped_one_and_forms_work() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let mine = token(&server);
    let form = "email=ann%40app.example&name=Ann&to_email=bob%40client.com&to_name=Bob&subject=Hi";
    let headers = [
        ("X-Api-Key", NONE),
        ("Authorization", mine.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    server.post_raw("/send", &headers, form.as_bytes()).expect(202);
    let text = String::from_utf8_lossy(&relay.wait_for(1).remove(0).content).into_owned();
    assert!(text.contains("Hello Bob,") && text.contains("Ann wrote to you: Hi"), "{text}");
    for (with_nul, field) in [
        (form.replace("Hi", "H%00i"), "subject"),
        (form.replace("Bob", "B%00b"), "to_name"),
        (format!("{form}&template_code=a%00b"), "template_code"),
    ] {
        let refused = server.post_raw("/send", &headers, with_nul.as_bytes()).expect(422).json();
        assert_eq!((&refused["error"], &refused["field"]), (&json!("invalid_request"), &json!(field)));
    }
    for path in ["/emails/%ff", "/emails/%00"] {
        server.get_with(path, &headers[..2]).expect(404);
    }
}

#[test]
fn bad_input_names_its_field() {
    let server = Server::inbox();
    let mine = token(&server);
    for (patch, field) in [
        (json!({"email": null}), "email"),
        (json!({"email": "nobody"}), "email"),
        (json!({"to_email": "a@b@c"}), "to_email"),
        (json!({"subject": ""}), "subject"),
        (json!({"subject": "a\r\nBcc: x@y.com"}), "subject"),
        (json!({"name": "a\nb"}), "name"),
        (json!({"to_name": "a\nb"}), "to_name"),
        (json!({"template_code": "nothing", "body": null}), "template_code"),
        (json!({"variables": []}), "variables"),
        (json!({"body": 7}), "body"),
    ] {
        let answer = send(&server, &mine, &[], &with(email(), patch.clone())).expect(422).json();
        assert_eq!(answer["error"], "invalid_request", "{patch}");
        assert_eq!(answer["field"], field, "{patch}: {answer}");
    }
    let headers = [("X-Api-Key", NONE), ("Authorization", mine.as_str())];
    let broken = server.post_raw("/send", &headers, b"{").expect(400).json();
    assert_eq!(broken["error"], "invalid_request");
    assert_eq!(get(&server, &mine, "/emails").expect(200).json()["data"], json!([]));
}

#[test]
fn the_scope_and_the_tenant_are_walls() {
    let server = Server::inbox();
    let mine = token(&server);
    let id = send(&server, &mine, &[], &email()).expect(202).header("x-email-id").expect("an id").to_owned();
    client(&server, "reader", "abc456", &["basic"]);
    let basic = super::login_for(&server, "reader", "abc456", "basic");
    let refused = send(&server, &basic, &[], &email()).expect(403);
    assert_eq!(refused.json()["error"], "insufficient_scope");
    assert!(refused.header("www-authenticate").is_some_and(|value| value.contains("insufficient_scope")));
    client(&server, "other", "abc789", &["email"]);
    let other = super::login_for(&server, "other", "abc789", "email");
    let hidden = get(&server, &other, &format!("/emails/{id}")).expect(404);
    let nothing = get(&server, &other, "/emails/0192f0c1-d2a3-7000-8000-000000000000").expect(404);
    assert_eq!(hidden.body, nothing.body);
    for bad in ["/emails/none", "/emails/%ff"] {
        assert_eq!(get(&server, &mine, bad).expect(404).body, nothing.body, "{bad}");
    }
}

#[test]
fn the_same_key_sends_once_and_another_body_is_a_conflict() {
    let server = Server::inbox();
    let mine = token(&server);
    let key = [("Idempotency-Key", "once")];
    let first = send(&server, &mine, &key, &email()).expect(202);
    let again = send(&server, &mine, &key, &email()).expect(202);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &first.body));
    assert_eq!(again.header("x-email-id"), first.header("x-email-id"));
    let other = send(&server, &mine, &key, &with(email(), json!({"subject": "Other"}))).expect(409).json();
    assert_eq!(other["error"], "idempotency_key_reused");
    assert_eq!(get(&server, &mine, "/emails").json()["data"].as_array().map(Vec::len), Some(1));
}

#[test]
fn over_the_limit_it_says_when_to_come_back() {
    let server = Server::start(ServerOptions::default().env("POSTHASTE_LIMITS__PER_KEY", "60/h"));
    let mine = token(&server);
    for left in (0..60).rev() {
        let answer = send(&server, &mine, &[], &json!({})).expect(422);
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
    }
    let refused = send(&server, &mine, &[], &email()).expect(429);
    assert_eq!(refused.json()["error"], "too_many_requests");
    assert!(refused.header("retry-after").is_some());
}

#[test]
fn an_address_has_a_limit_of_its_own() {
    let limits = [("POSTHASTE_LIMITS__PER_KEY", "60/h"), ("POSTHASTE_LIMITS__PER_IP", "3/h")];
    let with = |options: ServerOptions, (name, rate)| options.env(name, rate);
    let server = Server::start(limits.into_iter().fold(ServerOptions::default(), with));
    let mine = token(&server);
    for left in [59, 58, 57] {
        let answer = send(&server, &mine, &[], &json!({})).expect(422);
        assert_eq!(
            answer.header("x-ratelimit-remaining"),
            Some(left.to_string().as_str()),
            "the client's own"
        );
    }
    let refused = send(&server, &mine, &[], &email()).expect(429);
    assert_eq!(refused.header("x-ratelimit-limit"), Some("3"));
    assert!(refused.header("retry-after").is_some());
}
