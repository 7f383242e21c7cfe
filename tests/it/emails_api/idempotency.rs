//! A44: the same key sends once, whoever asks how often and whatever happens between.

use std::collections::HashSet;
use std::sync::Barrier;

use serde_json::json;

use super::{email_to, with};
use crate::harness::{Relay, Server, ServerOptions};

#[test]
fn a44_a_hundred_at_once_make_one_email() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let barrier = Barrier::new(100);
    let ids: HashSet<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..100)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let answer = server.post_with(
                        "/api/emails",
                        &[("Idempotency-Key", "once")],
                        &email_to("user@client.com", "once"),
                    );
                    assert!(matches!(answer.status, 202 | 409), "{} {}", answer.status, answer.text());
                    (answer.status == 202)
                        .then(|| answer.json()["email_id"].as_str().expect("an id").to_owned())
                })
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(ids.len(), 1, "{ids:?}");
    let id = ids.into_iter().next().expect("one");
    server.wait_status(&id, "sent");
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 1);
    assert_eq!(relay.messages().len(), 1);
}

#[test]
fn a44_a_replay_equals_the_first_answer_also_after_kill_and_failure() {
    let mut server = Server::inbox();
    let email = email_to("user@client.com", "x");
    let headers = [("Idempotency-Key", "again")];
    let first = server.post_with("/api/emails", &headers, &email).expect(202);
    assert_eq!(first.header("idempotency-replayed"), None);
    let same_in_other_words = r#"{ "text":"x",
        "subject":"Selamat datang", "to":["user@client.com"], "from":"Example <noreply@example.com>" }"#;
    let mut replays = vec![server.post_with("/api/emails", &headers, &email)];
    replays.push(server.post_raw("/api/emails", &headers, same_in_other_words.as_bytes()));
    server.restart();
    replays.push(server.post_with("/api/emails", &headers, &email));
    for replay in replays {
        let replay = replay.expect(202);
        assert_eq!(replay.header("idempotency-replayed"), Some("true"));
        assert_eq!(replay.header("location"), first.header("location"));
        assert_eq!(replay.text(), first.text());
    }
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 1);
}

#[test]
fn a44_another_body_is_422_and_another_client_is_independent() {
    let server = Server::inbox();
    let headers = [("Idempotency-Key", "k")];
    let first =
        server.post_with("/api/emails", &headers, &email_to("user@client.com", "x")).expect(202).json();
    let problem =
        server.post_with("/api/emails", &headers, &email_to("user@client.com", "y")).expect(422).json();
    assert_eq!(problem["code"], "idempotency_key_reused");
    let other = server.new_client("other");
    server.cli_json(&["domain", "create", "other.example", "--client", "other"]);
    let theirs = with(email_to("user@client.com", "x"), json!({"from": "a@other.example"}));
    let headers = [("Idempotency-Key", "k"), ("X-Api-Key", other.as_str())];
    let answer = server.post_with("/api/emails", &headers, &theirs).expect(202);
    assert_eq!(answer.header("idempotency-replayed"), None);
    assert_ne!(answer.json()["email_id"], first["email_id"]);
}

#[test]
fn a44_header_and_body_must_name_the_same_key() {
    let server = Server::inbox();
    let email = with(email_to("user@client.com", "x"), json!({"idempotency_key": "a"}));
    server.post_with("/api/emails", &[("Idempotency-Key", "b")], &email).expect(422);
    let first = server.post_with("/api/emails", &[("Idempotency-Key", "a")], &email).expect(202);
    let again = server.post("/api/emails", &email).expect(202);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(first.text(), again.text());
    let in_the_head = email_to("user@client.com", "x");
    let again = server.post_with("/api/emails", &[("Idempotency-Key", "a")], &in_the_head).expect(202);
    assert_eq!(again.header("idempotency-replayed"), Some("true"), "wherever the key stands");
    assert_eq!(first.text(), again.text());
}

#[test]
fn a44_a_refused_request_keeps_no_key() {
    let server = Server::inbox();
    let headers = [("Idempotency-Key", "retry")];
    let faulty = with(email_to("user@client.com", "x"), json!({"to": "nobody"}));
    server.post_with("/api/emails", &headers, &faulty).expect(422);
    let answer = server.post_with("/api/emails", &headers, &email_to("user@client.com", "x")).expect(202);
    assert_eq!(answer.header("idempotency-replayed"), None);
}

#[test]
fn a44_a_key_is_forgotten_after_its_time() {
    let server = Server::start(ServerOptions::default().env("POSTHASTE_IDEMPOTENCY__KEEP", "1s"));
    let headers = [("Idempotency-Key", "short")];
    let email = email_to("user@client.com", "x");
    let first = server.post_with("/api/emails", &headers, &email).expect(202).json();
    crate::harness::eventually("the key is forgotten", || {
        let answer = server.post_with("/api/emails", &headers, &email).expect(202).json();
        (answer["email_id"] != first["email_id"]).then_some(())
    });
}

#[test]
fn a44_all_or_none_is_another_request_than_each_on_its_own() {
    let server = Server::inbox();
    let batch = json!({"emails": [email_to("user@client.com", "x")]});
    let headers = [("Idempotency-Key", "batch")];
    server.post_with("/api/emails/batch?atomic=false", &headers, &batch).expect(202);
    let replay = server.post_with("/api/emails/batch", &headers, &batch).expect(202);
    assert_eq!(replay.header("idempotency-replayed"), Some("true"), "false is what it is without");
    let atomic = server.post_with("/api/emails/batch?atomic=true", &headers, &batch).expect(422).json();
    assert_eq!(atomic["code"], "idempotency_key_reused");
    let headers = [("Idempotency-Key", "atomic")];
    server.post_with("/api/emails/batch?atomic=true", &headers, &batch).expect(202);
    let replay = server.post_with("/api/emails/batch?atomic=1", &headers, &batch).expect(202);
    assert_eq!(replay.header("idempotency-replayed"), Some("true"));
}
