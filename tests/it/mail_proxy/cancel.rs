//! `DELETE /mail/cancel/{id}`, and what is another client's.

use super::{call, delete, error, get, mail, sender, sent, token};
use crate::emails_api::with;
use crate::harness::{Relay, Server, eventually};
use serde_json::json;

#[test]
fn a_queued_mail_is_taken_back_once() {
    // Nobody listens: mail stays queued between its tries.
    let server = Server::start(
        crate::harness::ServerOptions::to_smtp("127.0.0.1:1".parse().expect("an address"))
            .env("POSTHASTE_DELIVERY__RETRY_SCHEDULE", "1h"),
    );
    let mine = sender(&server);
    let id = sent(&server, &mine, &mail());
    let path = format!("/mail/cancel/{id}");
    let answer = eventually("the mail waits for its next try", || {
        let status = get(&server, &mine, &format!("/mail/status/{id}")).expect(200).json();
        (status["status"] == "queued" && status["error_message"] != "").then(|| delete(&server, &mine, &path))
    });
    assert_eq!(
        answer.expect(200).json(),
        json!({"success": true, "mail_id": id, "status": "cancelled", "message": "郵件已取消"})
    );
    let status = get(&server, &mine, &format!("/mail/status/{id}")).expect(200).json();
    assert_eq!(status["status"], "cancelled");
    let again = delete(&server, &mine, &path);
    assert_eq!(error(&again), (400, "cannot_cancel".into()));
    assert_eq!(again.json()["message"], "Only queued mails can be cancelled");
}

#[test]
fn a_sent_mail_cannot_be_taken_back() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let mine = sender(&server);
    let id = sent(&server, &mine, &mail());
    eventually("the mail is sent", || {
        let status = get(&server, &mine, &format!("/mail/status/{id}")).expect(200).json();
        (status["status"] == "sent").then_some(())
    });
    assert_eq!(error(&delete(&server, &mine, &format!("/mail/cancel/{id}"))), (400, "cannot_cancel".into()));
}

#[test]
fn a29_another_clients_mail_is_not_there() {
    let server = Server::inbox();
    let mine = sender(&server);
    let theirs = token(&server, "Accounting", &["mail:send", "mail:read", "mail:cancel"]);
    let id = sent(&server, &mine, &mail());
    for (method, path) in [("GET", "/mail/status"), ("DELETE", "/mail/cancel")] {
        let ask = |id: &str| call(&server, method, &format!("{path}/{id}"), &theirs.bearer, &[], None);
        let hidden = ask(&id);
        assert_eq!(error(&hidden), (404, "mail_not_found".into()));
        for nothing in ["0192f0c1-d2a3-7000-8000-000000000000", "x", "%2e%2e", "%ff"] {
            assert_eq!(ask(nothing).body, hidden.body, "{method} {nothing}");
        }
    }
    let history = get(&server, &theirs, "/mail/history").expect(200).json();
    assert_eq!(history, json!({"total": 0, "page": 1, "limit": 20, "data": []}));
    let stolen = with(mail(), json!({"client_id": mine.client_id, "from": "a@accounting.example"}));
    sent(&server, &theirs, &stolen);
    assert_eq!(get(&server, &mine, "/mail/history").expect(200).json()["total"], 1);
}
