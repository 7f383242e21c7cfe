//! The rate limit holds on the sending endpoints only; other doors' health shows what this one documents.

use super::{error, get, mail, post, sender};
use crate::harness::{Installation, Server, ServerOptions, eventually};
use serde_json::json;

#[test]
fn a58_only_sending_counts() {
    let server = Server::start(ServerOptions::default().env("POSTHASTE_LIMITS__PER_KEY", "5/h"));
    let mine = sender(&server);
    for _ in 0..20 {
        let answer = get(&server, &mine, "/mail/history").expect(200);
        assert_eq!(answer.header("x-ratelimit-limit"), None);
    }
    for left in (0..5).rev() {
        // A refused mail counts too.
        let body = if left % 2 == 0 { mail() } else { json!({}) };
        let answer = post(&server, &mine, "/mail/send", &body);
        assert_eq!(answer.header("x-ratelimit-limit"), Some("5"));
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(left.to_string().as_str()));
    }
    for path in ["/mail/send", "/mail/send/batch"] {
        let refused = post(&server, &mine, path, &mail());
        assert_eq!(error(&refused), (429, "rate_limit_exceeded".into()));
        assert!(refused.header("retry-after").is_some());
        assert_eq!(refused.header("x-ratelimit-remaining"), Some("0"));
    }
    get(&server, &mine, "/mail/history").expect(200);
}

#[test]
fn health_names_the_parts() {
    let server = Server::inbox();
    let services = match Installation::chosen() {
        Installation::Embedded => json!({"sqlite": "ok"}),
        Installation::Scaled => json!({"postgresql": "ok", "rabbitmq": "ok", "keydb": "ok"}),
    };
    // A start does not wait for the broker.
    let health = eventually("all parts are there", || {
        let health = server.get("/health").json();
        (health["services"] == services).then_some(health)
    });
    assert!(health["version"] == "1.0.0" && health["checks"].is_object(), "{health}");
}

#[test]
fn its_settings_have_effect() {
    let server = Server::start(ServerOptions::default().env("ORG_DOMAINS", "org.example"));
    assert!(!server.stderr().contains("mail_proxy."), "{}", server.stderr());
}
