//! `POST /api/emails/batch`: each on its own, or all or none.

use serde_json::{Value, json};

use super::{email_to, with};
use crate::harness::{Relay, Server};

fn mixed() -> Value {
    json!({"emails": [
        email_to("one@client.com", "one"),
        with(email_to("two@client.com", "two"), json!({"to": "broken"})),
        email_to("three@client.com", "three"),
    ]})
}

#[test]
fn each_email_is_judged_on_its_own() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let answer = server.post("/api/emails/batch", &mixed()).expect(202).json();
    let results = answer["results"].as_array().expect("a list");
    assert_eq!(results.len(), 3);
    assert_eq!((&results[0]["status"], &results[2]["status"]), (&json!("queued"), &json!("queued")));
    let problem = &results[1]["error"];
    assert_eq!(problem["status"], 422, "{answer:#}");
    assert!(problem["errors"][0]["field"].as_str().is_some_and(|field| field.contains("/to")), "{problem:#}");
    let mut recipients: Vec<_> = relay.wait_for(2).into_iter().flat_map(|taken| taken.recipients).collect();
    recipients.sort();
    assert_eq!(recipients, ["one@client.com", "three@client.com"]);
}

#[test]
fn an_atomic_batch_with_a_fault_stores_nothing() {
    let server = Server::inbox();
    let problem = server.post("/api/emails/batch?atomic=true", &mixed()).expect(422).json();
    assert!(problem.to_string().contains("/emails/1"), "{problem:#}");
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 0);
    let fine = json!({"emails": [email_to("a@client.com", "a"), email_to("b@client.com", "b")]});
    let answer = server.post("/api/emails/batch?atomic=true", &fine).expect(202).json();
    assert_eq!(answer["results"].as_array().map(Vec::len), Some(2));
}

#[test]
fn five_hundred_pass_and_one_more_does_not() {
    let server = Server::inbox();
    let batch = |count: usize| {
        let emails: Vec<_> = (0..count).map(|n| email_to(&format!("user{n}@client.com"), "x")).collect();
        json!({ "emails": emails })
    };
    let answer = server.post("/api/emails/batch", &batch(500)).expect(202).json();
    let results = answer["results"].as_array().expect("a list");
    assert_eq!(results.iter().filter(|result| result["email_id"].is_string()).count(), 500);
    let refused = server.post("/api/emails/batch", &batch(501));
    assert!(matches!(refused.status, 413 | 422), "{} {}", refused.status, refused.text());
    server.post("/api/emails/batch", &json!({"emails": []})).expect(422);
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 500);
}

#[test]
fn a_batch_is_idempotent_as_a_whole() {
    let server = Server::inbox();
    let batch = json!({"emails": [email_to("a@client.com", "a"), email_to("b@client.com", "b")]});
    let headers = [("Idempotency-Key", "batch-1")];
    let first = server.post_with("/api/emails/batch", &headers, &batch).expect(202);
    let again = server.post_with("/api/emails/batch", &headers, &batch).expect(202);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.json(), again.json());
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 2);
}
