//! `POST /mail/send/batch`.

use super::{call, error, get, mail, post, sender};
use crate::emails_api::with;
use crate::harness::{Server, ServerOptions};
use serde_json::{Value, json};

#[test]
fn good_ones_are_queued_and_bad_ones_rejected_in_their_places() {
    let server = Server::inbox();
    let mine = sender(&server);
    let mails =
        [mail(), with(mail(), json!({"to": ["nobody"]})), json!("x"), with(mail(), json!({"subject": "2"}))];
    let answer = post(&server, &mine, "/mail/send/batch", &json!({"mails": mails})).expect(200).json();
    assert_eq!(answer["success"], true);
    assert_eq!(answer["batch_id"].as_str().map(str::len), Some(36));
    let results = answer["results"].as_array().expect("results");
    assert_eq!(results.len(), 4);
    for place in [0, 3] {
        let members: Vec<&String> = results[place].as_object().expect("an object").keys().collect();
        assert_eq!(members, ["mail_id", "status"]);
        assert_eq!(results[place]["status"], "queued");
    }
    for (place, code) in [(1, "invalid_email"), (2, "invalid_request")] {
        let members: Vec<&String> = results[place].as_object().expect("an object").keys().collect();
        assert_eq!(members, ["status", "error", "message"]);
        assert_eq!((&results[place]["status"], &results[place]["error"]), (&json!("rejected"), &json!(code)));
    }
    let history = get(&server, &mine, "/mail/history").expect(200).json();
    assert_eq!((&history["total"], &history["data"][0]["id"]), (&json!(2), &results[3]["mail_id"]));
    let none = post(&server, &mine, "/mail/send/batch", &json!({"mails": [{}, 1]})).expect(200).json();
    assert_eq!(none["success"], false);
    assert_eq!(none["results"][0]["error"], "missing_field");
}

#[test]
fn its_number_of_mails_is_bounded() {
    let server = Server::start(ServerOptions::default().env("POSTHASTE_MAIL_PROXY__BATCH", "3"));
    let mine = sender(&server);
    let batch = |count: usize| json!({"mails": vec![mail(); count]});
    for (body, code) in [
        (batch(0), "batch_empty"),
        (batch(4), "batch_too_large"),
        (json!({}), "missing_field"),
        (json!({"mails": {}}), "invalid_request"),
        (json!([]), "invalid_request"),
    ] {
        let answer = post(&server, &mine, "/mail/send/batch", &body);
        assert_eq!(error(&answer), (400, code.into()), "{body}");
    }
    post(&server, &mine, "/mail/send/batch", &batch(3)).expect(200);
    let default = Server::inbox();
    let theirs = sender(&default);
    let answer = post(&default, &theirs, "/mail/send/batch", &batch(101));
    assert_eq!(error(&answer), (400, "batch_too_large".into()));
    let answer = post(&default, &theirs, "/mail/send/batch", &batch(100)).expect(200).json();
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(100));
}

#[test]
fn one_key_sends_a_batch_once() {
    let server = Server::inbox();
    let mine = sender(&server);
    let send = |body: &Value| {
        call(&server, "POST", "/mail/send/batch", &mine.bearer, &[("Idempotency-Key", "k")], Some(body))
    };
    let body = json!({"mails": [mail(), {}]});
    let first = send(&body).expect(200);
    let again = send(&body).expect(200);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &first.body));
    assert_eq!(error(&send(&json!({"mails": [mail()]}))), (409, "idempotency_key_reused".into()));
    assert_eq!(get(&server, &mine, "/mail/history").expect(200).json()["total"], 1);
}
