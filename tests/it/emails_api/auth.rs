//! Who may ask: keys, their clients, permissions and limits (A33, A34, 58).

use serde_json::json;

use super::email_to;
use crate::harness::server::NONE;
use crate::harness::{Server, ServerOptions, eventually};

#[test]
fn a_missing_or_wrong_key_is_401() {
    let server = Server::inbox();
    let email = email_to("user@client.com", "x");
    let flipped = {
        let mut key = server.key().to_owned();
        let last = key.pop().expect("a key");
        key.push(if last == 'a' { 'b' } else { 'a' });
        key
    };
    for key in [NONE, "x", "ph_live_x", flipped.as_str()] {
        let problem = server.post_with("/api/emails", &[("X-Api-Key", key)], &email).expect(401).json();
        assert_eq!(problem["status"], 401, "{problem}");
    }
}

#[test]
fn a_key_is_taken_as_bearer_too() {
    let server = Server::inbox();
    let bearer = format!("Bearer {}", server.key());
    let headers = [("X-Api-Key", NONE), ("Authorization", bearer.as_str())];
    server.post_with("/api/emails", &headers, &email_to("user@client.com", "x")).expect(202);
}

#[test]
fn another_client_s_email_is_404_byte_for_byte_as_a_random_id() {
    let server = Server::inbox();
    let other = server.new_client("other");
    let id = server.send(&email_to("user@client.com", "x"));
    let headers = [("X-Api-Key", other.as_str()), ("X-Correlation-Id", "same")];
    let random = "0192aaaa-0000-7000-8000-000000000000";
    for tail in ["", "/content", "/raw", "/explain"] {
        let theirs = server.get_with(&format!("/api/emails/{id}{tail}"), &headers).expect(404);
        let nobodys = server.get_with(&format!("/api/emails/{random}{tail}"), &headers).expect(404);
        assert_eq!(theirs.text().replace(&id, "ID"), nobodys.text().replace(random, "ID"));
    }
    for tail in ["/cancel", "/resend"] {
        server.post_with(&format!("/api/emails/{id}{tail}"), &headers, &json!({})).expect(404);
    }
    let list = server.get_with("/api/emails?count=true", &headers).expect(200).json();
    assert_eq!((&list["data"], &list["total"]), (&json!([]), &json!(0)));
}

#[test]
fn what_a_key_may_not_do_is_403() {
    let server = Server::inbox();
    let id = server.send(&email_to("user@client.com", "x"));
    let sender = server.new_key(&["--client", "default", "--permission", "emails:send"]);
    let reader = server.new_key(&["--client", "default", "--permission", "emails:read"]);
    let sender = [("X-Api-Key", sender.as_str())];
    let reader = [("X-Api-Key", reader.as_str())];
    server.get_with(&format!("/api/emails/{id}"), &sender).expect(403);
    server.get_with("/api/emails", &sender).expect(403);
    server.post_with(&format!("/api/emails/{id}/cancel"), &sender, &json!({})).expect(403);
    server.post_with("/api/emails", &reader, &email_to("user@client.com", "x")).expect(403);
    server
        .post_with("/api/templates", &reader, &json!({"code": "a", "name": "A", "subject": "s", "text": "t"}))
        .expect(403);
    server.get_with(&format!("/api/emails/{id}"), &reader).expect(200);
}

#[test]
fn a_revoked_key_is_401_from_the_next_request_on() {
    let server = Server::inbox();
    let made = server.cli_json(&["key", "create", "--client", "default"]);
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    let email = email_to("user@client.com", "x");
    server.post_with("/api/emails", &[("X-Api-Key", key)], &email).expect(202);
    let revoked = server.cli(&["key", "revoke", id]);
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    server.post_with("/api/emails", &[("X-Api-Key", key)], &email).expect(401);
    server.get_with("/api/emails", &[("X-Api-Key", key)]).expect(401);
}

#[test]
fn a_key_bound_to_a_domain_sends_from_it_alone() {
    let server = Server::inbox();
    server.cli_json(&["domain", "create", "shop.example"]);
    let key = server.new_key(&["--client", "default", "--domain", "shop.example"]);
    let headers = [("X-Api-Key", key.as_str())];
    let from = |from: &str| json!({"from": from, "to": "user@client.com", "subject": "s", "text": "t"});
    server.post_with("/api/emails", &headers, &from("a@shop.example")).expect(202);
    let problem = server.post_with("/api/emails", &headers, &from("a@example.com")).expect(422).json();
    assert!(problem.to_string().contains("from_domain_mismatch"), "{problem}");
}

#[test]
fn a34_no_key_stands_in_the_data_directory_or_the_store() {
    let server = Server::inbox();
    server.send(&email_to("user@client.com", "x"));
    let secret = server.key().rsplit('_').next().expect("a key").as_bytes().to_vec();
    // A backup has every table of the store, whichever keeps it.
    let place = tempfile::tempdir().expect("a directory");
    let backup = place.path().join("backup");
    server.cli_json(&["backup", backup.to_str().expect("a path")]);
    let mut files = vec![server.data(), backup];
    let mut domains = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(
                std::fs::read_dir(&path).expect("readable").map(|entry| entry.expect("an entry").path()),
            );
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            let holds = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
            assert!(!holds(&secret), "{}", path.display());
            domains += usize::from(path.starts_with(place.path()) && holds(b"example.com"));
        }
    }
    assert!(domains > 0, "what is in the store was not looked at");
}

#[test]
fn a34_a_test_key_s_mail_stays_in_the_inbox() {
    let relay = crate::harness::Relay::accepting();
    let server = Server::to_relay(&relay);
    let key = server.new_key(&["--client", "default", "--mode", "test"]);
    assert!(key.starts_with("ph_test_"), "the key says its mode");
    let headers = [("X-Api-Key", key.as_str())];
    let answer =
        server.post_with("/api/emails", &headers, &email_to("user@client.com", "test")).expect(202).json();
    let shown = server.wait_status(answer["email_id"].as_str().expect("an id"), "sent");
    assert_eq!(shown["provider"], "inbox");
    server.send(&email_to("user@client.com", "live"));
    assert!(String::from_utf8_lossy(&relay.only_message().content).contains("live"));
}

#[test]
fn a58_past_the_limit_is_429_with_retry_after_and_exactly_the_limit_passes() {
    let server = Server::start(ServerOptions::default());
    let key = server.new_key(&["--client", "default", "--rate-limit", "60/min"]);
    let passed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(|| {
                    let email = email_to("user@client.com", "x");
                    let answers =
                        (0..15).map(|_| server.post_with("/api/emails", &[("X-Api-Key", &key)], &email));
                    answers
                        .filter(|answer| {
                            if answer.status == 429 {
                                assert!(
                                    answer.header("retry-after").is_some_and(|s| s.parse::<u32>().is_ok())
                                );
                                assert_eq!(answer.header("x-ratelimit-remaining"), Some("0"));
                            }
                            answer.status == 202
                        })
                        .count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(passed, 60);
    // Another key is not affected.
    server.send(&email_to("user@client.com", "x"));
}

#[test]
fn the_limit_s_headers_count_down() {
    let server = Server::inbox();
    let key = server.new_key(&["--client", "default", "--rate-limit", "5/min"]);
    let left: Vec<_> = (0..5)
        .map(|_| {
            let answer = server.get_with("/api/emails", &[("X-Api-Key", &key)]).expect(200);
            assert_eq!(answer.header("x-ratelimit-limit"), Some("5"));
            answer.header("x-ratelimit-remaining").expect("a header").to_owned()
        })
        .collect();
    assert_eq!(left, ["4", "3", "2", "1", "0"]);
    let refused = server.get_with("/api/emails", &[("X-Api-Key", &key)]).expect(429);
    let reset: u64 =
        refused.header("x-ratelimit-reset").and_then(|at| at.parse().ok()).expect("Unix seconds");
    assert!(reset > 1_700_000_000, "{reset}");
}

#[test]
fn an_expired_key_is_401() {
    let server = Server::inbox();
    let output = server.cli(&["key", "create", "--client", "default", "--expires-in", "1s", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let key = made["key"].as_str().expect("a key");
    eventually("the key expires", || {
        (server.get_with("/api/emails", &[("X-Api-Key", key)]).status == 401).then_some(())
    });
}
