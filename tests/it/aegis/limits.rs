//! 100 requests an hour, in a sliding window, by key.

use super::{KEY, error, get, message, moved, post};
use crate::harness::{Server, ServerOptions};
use serde_json::json;

#[test]
fn a_hundred_an_hour_and_every_answer_says_how_many_are_left() {
    let server = Server::start(moved(ServerOptions::default()));
    let first = post(&server, KEY, &[], &message()).expect(202);
    assert_eq!(first.header("x-ratelimit-limit"), Some("100"));
    for left in (0..99).rev() {
        let answer = post(&server, KEY, &[], &json!({})).expect(400);
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
        assert!(answer.header("x-ratelimit-reset").is_some());
    }
    let refused = post(&server, KEY, &[], &message());
    let (status, heading, code, _) = error(&refused);
    assert_eq!((status, heading.as_str(), code.as_str()), (429, "Too Many Requests", "RATE_LIMIT_EXCEEDED"));
    let seconds = refused.json()["retry_after"].as_u64().expect("seconds");
    assert_eq!(refused.header("retry-after"), Some(seconds.to_string().as_str()));
    assert!((1..=3600).contains(&seconds), "{seconds}");
    assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    let again = post(&server, KEY, &[], &message());
    assert_eq!(
        again.header("x-ratelimit-reset"),
        refused.header("x-ratelimit-reset"),
        "refused is not counted"
    );
    // Another key has its own; reading is not limited.
    post(&server, server.key(), &[], &message()).expect(202);
    let id = first.json()["message_id"].as_str().expect("an id").to_owned();
    server.wait_healthy();
    for path in [format!("/send/{id}/status"), "/status".into(), "/health".into()] {
        let answer = get(&server, &path).expect(200);
        assert_eq!(answer.header("x-ratelimit-limit"), None, "{path}");
    }
}

#[test]
fn a_keys_own_limit_holds() {
    let server = Server::start(moved(ServerOptions::default()).env("RATE_LIMIT", "1"));
    let key = server.new_key(&["--client", "default", "--rate-limit", "2/min"]);
    assert_eq!(post(&server, &key, &[], &message()).expect(202).header("x-ratelimit-limit"), Some("2"));
    post(&server, &key, &[], &message()).expect(202);
    post(&server, &key, &[], &message()).expect(429);
    post(&server, KEY, &[], &message()).expect(202);
    post(&server, KEY, &[], &message()).expect(429);
}

#[test]
fn keys_are_not_found_by_trying() {
    let server = Server::start(moved(ServerOptions::default()).env("POSTHASTE_LIMITS__PER_IP", "5/min"));
    for left in (0..5).rev() {
        let answer = post(&server, "guess", &[], &message());
        assert_eq!(error(&answer).2, "INVALID_API_KEY");
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
    }
    assert_eq!(error(&post(&server, "guess", &[], &message())).2, "RATE_LIMIT_EXCEEDED");
}
