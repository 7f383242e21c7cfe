//! Webhooks as their clients manage them.

use serde_json::{Value, json};

use super::{deliveries, options, text, wait_for, wait_newest, webhook};
use crate::emails_api::email_to;
use crate::harness::receiver::status;
use crate::harness::{Receiver, Server, eventually};

#[test]
fn a_webhook_is_made_shown_changed_and_removed() {
    let server = Server::start(options());
    let made = webhook(&server, "https://example.com/hook", &["email.sent", "email.queued"]);
    assert_eq!(made["events"], json!(["email.queued", "email.sent"]));
    assert_eq!(made["active"], true);
    let secret = text(&made, "secret");
    assert!(secret.starts_with("whsec_") && secret.len() > 40, "{secret}");
    let path = format!("/api/webhooks/{}", text(&made, "id"));
    let shown = server.get(&path).expect(200).json();
    assert_eq!(shown["secret"], Value::Null, "shown once");
    assert_eq!(server.get("/api/webhooks").expect(200).json()["data"], json!([shown]));
    let patch = |body: Value| {
        server.try_request(
            "PATCH",
            &path,
            &[("Content-Type", "application/json")],
            body.to_string().as_bytes(),
        )
    };
    let changed = patch(json!({"events": ["*"], "active": false})).expect("an answer").expect(200).json();
    assert_eq!((&changed["events"], &changed["active"]), (&json!(["*"]), &json!(false)));
    assert_eq!(changed["url"], "https://example.com/hook");
    server.post(&format!("{path}/test"), &json!({})).expect(409);
    assert_eq!(server.try_request("DELETE", &path, &[], b"").expect("an answer").status, 204);
    server.get(&path).expect(404);
    let audit = server.new_key(&["--client", "default", "--permission", "admin"]);
    let audit = server.get_with("/api/audit", &[("X-Api-Key", &audit)]).expect(200).json();
    let actions: Vec<&Value> =
        audit["data"].as_array().expect("a list").iter().map(|entry| &entry["action"]).collect();
    for action in ["webhook.create", "webhook.update", "webhook.delete"] {
        assert!(actions.contains(&&json!(action)), "{action} in {actions:?}");
    }
}

#[test]
fn every_fault_is_named_at_once() {
    let server = Server::start(options());
    let faults = |body: Value| {
        let problem = server.post("/api/webhooks", &body).expect(422).json();
        let errors = problem["errors"].as_array().expect("faults").clone();
        errors.iter().map(|one| text(one, "field").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(faults(json!({})), ["/url", "/events"]);
    assert_eq!(
        faults(json!({"url": "nonsense", "events": ["email.sent", "sent", "*.x"]})),
        ["/url", "/events/1", "/events/2"]
    );
    assert_eq!(faults(json!({"url": "https://example.com/", "events": []})), ["/events"]);
    assert_eq!(faults(json!({"url": 7, "events": 8, "x": 1})), ["/url", "/events", "/x"]);
    for url in
        ["ftp://example.com/", "https://user:pass@example.com/", "http://example.com:25/", "//example.com"]
    {
        assert_eq!(faults(json!({"url": url, "events": ["*"]})), ["/url"], "{url}");
    }
    assert_eq!(server.get("/api/webhooks").expect(200).json()["data"], json!([]));
    server.get("/api/webhooks/nonsense").expect(404);
}

#[test]
fn a29_nothing_of_another_client_is_there() {
    let (server, receiver) = (Server::start(options()), Receiver::answering(|_, _| Some(status(410))));
    server.cli_json(&["client", "create", "--name", "other"]);
    let other = server.new_key(&["--client", "other", "--permission", "webhooks:write"]);
    let weak = server.new_key(&["--client", "default", "--permission", "emails:send"]);
    let made = webhook(&server, &receiver.url(), &["*"]);
    let id = text(&made, "id");
    server.send(&email_to("user@client.com", "x"));
    let told = wait_newest(&server, id, "failed");
    let random = uuid::Uuid::now_v7().to_string();
    let paths = |hook: &str| {
        [
            ("GET", format!("/api/webhooks/{hook}")),
            ("PATCH", format!("/api/webhooks/{hook}")),
            ("DELETE", format!("/api/webhooks/{hook}")),
            ("POST", format!("/api/webhooks/{hook}/rotate")),
            ("POST", format!("/api/webhooks/{hook}/test")),
            ("GET", format!("/api/webhooks/{hook}/deliveries")),
            ("POST", format!("/api/webhooks/{hook}/deliveries/{}/replay", text(&told, "id"))),
        ]
    };
    for ((method, path), (_, nowhere)) in paths(id).into_iter().zip(paths(&random)) {
        let ask = |key: &str, path: &str| {
            let headers =
                [("X-Api-Key", key), ("Content-Type", "application/json"), ("X-Correlation-Id", "same")];
            server.try_request(method, path, &headers, b"{}").expect("an answer")
        };
        let (there, missing) = (ask(&other, &path), ask(&other, &nowhere));
        assert_eq!((there.status, &there.body), (404, &missing.body), "{method} {path}");
        assert_eq!(ask(&weak, &path).status, 403, "{method} {path}");
    }
    let list = server.get_with("/api/webhooks", &[("X-Api-Key", &other)]).expect(200).json();
    assert_eq!(list["data"], json!([]));
    assert_eq!(server.get(&format!("/api/webhooks/{id}")).expect(200).json()["active"], true);
}

#[test]
fn a_test_call_is_made_once_and_shows_what_came_of_it() {
    let server = Server::start(options());
    let receiver = Receiver::answering(|_, before| Some(status(if before == 0 { 200 } else { 500 })));
    let made = webhook(&server, &receiver.url(), &["email.bounced"]);
    let id = text(&made, "id");
    let test = server.post(&format!("/api/webhooks/{id}/test"), &json!({})).expect(202).json();
    assert_eq!((&test["type"], &test["status"]), (&json!("webhook.test"), &json!("pending")));
    let call = &wait_for(&receiver, 1)[0];
    assert_eq!(call.header("webhook-id"), text(&test, "id"));
    assert_eq!(call.json()["type"], "webhook.test");
    wait_newest(&server, id, "delivered");
    server.post(&format!("/api/webhooks/{id}/test"), &json!({})).expect(202);
    let failed = wait_newest(&server, id, "failed");
    assert_eq!((&failed["attempt_count"], &failed["attempts"][0]["status_code"]), (&json!(1), &json!(500)));
}

#[test]
fn a_delivery_is_made_again_with_the_same_id_and_bytes() {
    let server = Server::start(options());
    let receiver = Receiver::answering(|_, before| Some(status(if before == 0 { 410 } else { 200 })));
    let made = webhook(&server, &receiver.url(), &["email.sent"]);
    let id = text(&made, "id");
    server.send(&email_to("user@client.com", "x"));
    let failed = wait_newest(&server, id, "failed");
    let path = format!("/api/webhooks/{id}/deliveries/{}/replay", text(&failed, "id"));
    let again = server.post(&path, &json!({})).expect(202).json();
    assert_eq!((&again["status"], &again["id"]), (&json!("pending"), &failed["id"]));
    let calls = wait_for(&receiver, 2);
    assert_eq!(calls[0].header("webhook-id"), calls[1].header("webhook-id"));
    assert_eq!(calls[0].body, calls[1].body);
    let done = wait_newest(&server, id, "delivered");
    assert_eq!(done["attempt_count"], 2);
    let random = format!("/api/webhooks/{id}/deliveries/{}/replay", uuid::Uuid::now_v7());
    server.post(&random, &json!({})).expect(404);
}

#[test]
fn the_log_comes_in_pages() {
    let (server, receiver) = (Server::start(options()), Receiver::start());
    let made = webhook(&server, &receiver.url(), &["email.sent"]);
    let id = text(&made, "id");
    for n in 0..5 {
        server.send(&email_to(&format!("u{n}@client.com"), "x"));
    }
    wait_for(&receiver, 5);
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let page = server.get(&format!("/api/webhooks/{id}/deliveries?limit=2{before}")).expect(200).json();
        seen.extend(page["data"].as_array().expect("a list").iter().map(|one| text(one, "id").to_owned()));
        let Some(next) = page["next_before"].as_i64() else { break };
        before = format!("&before={next}");
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
    server.get(&format!("/api/webhooks/{id}/deliveries?limit=0")).expect(422);
}

#[test]
fn a_webhook_that_keeps_failing_is_switched_off_and_can_be_switched_on() {
    let server = Server::start(options().env("POSTHASTE_WEBHOOKS__DISABLE_AFTER", "1s"));
    let receiver = Receiver::answering(|_, _| Some(status(500)));
    let made = webhook(&server, &receiver.url(), &["email.sent"]);
    let path = format!("/api/webhooks/{}", text(&made, "id"));
    server.send(&email_to("user@client.com", "x"));
    let off = eventually("it is switched off", || {
        let shown = server.get(&path).expect(200).json();
        (shown["active"] == false).then_some(shown)
    });
    assert!(text(&off, "disabled_reason").starts_with("no call has succeeded since"), "{off:#}");
    assert!(server.stderr().contains("a webhook was switched off"));
    let audit = server.new_key(&["--client", "default", "--permission", "admin"]);
    let audit = server.get_with("/api/audit", &[("X-Api-Key", &audit)]).expect(200).json();
    let entries = audit["data"].as_array().expect("a list");
    assert!(entries.iter().any(|entry| entry["action"] == "webhook.disable"), "{audit:#}");
    receiver.answer(|_, _| Some(status(200)));
    let on =
        server.try_request("PATCH", &path, &[("Content-Type", "application/json")], br#"{"active":true}"#);
    let on = on.expect("an answer").expect(200).json();
    assert_eq!(
        (&on["active"], &on["disabled_reason"], &on["failing_since"]),
        (&json!(true), &Value::Null, &Value::Null)
    );
    // What waited goes on.
    wait_newest(&server, text(&made, "id"), "delivered");
    assert_eq!(deliveries(&server, text(&made, "id")).len(), 1);
}
