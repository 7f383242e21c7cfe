//! C28: whether a client, a user or a key exists is told by nothing of an answer. That its time does not tell it either is
//! measured (`bench/run refusals`).

use posthaste_model::credential::{ApiKey, KeyMode};
use serde_json::json;

use crate::harness::browser::{Browser, make_user};
use crate::harness::server::NONE;
use crate::harness::{Response, Server, ServerOptions};
use crate::{oauth, smtp_ingress};

const ANN: &str = "ann@example.com";
const NOBODY: &str = "bob@example.com";

/// A server on which nobody is ever blocked for trying.
fn server() -> Server {
    let server = Server::start(
        ServerOptions::default()
            .env("POSTHASTE_OAUTH__LOGIN_ATTEMPTS", "1000000/h")
            .env("POSTHASTE_LIMITS__LOGIN_ATTEMPTS", "1000000/h"),
    );
    oauth::client(&server, "myawesomeapp", "abc123", &["basic", "email"]);
    make_user(&server, ANN, "admin");
    server
}

/// What an answer says, but for what differs between any two.
fn told(answer: &Response, own: &[&str]) -> (u16, Vec<(String, String)>, String) {
    let differ = ["date", "x-ratelimit-remaining", "x-ratelimit-reset"];
    let headers = answer.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let headers = headers.filter(|(name, _)| !differ.contains(&name.as_str())).map(|(name, value)| {
        let value =
            if name == "set-cookie" { value.split('=').next().unwrap_or_default().into() } else { value };
        (name, value)
    });
    let body = own.iter().fold(answer.text(), |text, own| text.replace(own, "*"));
    (answer.status, headers.collect(), body)
}

/// A key with a right checksum that nobody has, and that begins as `known` does up to what lists of keys show of it.
fn of_the_same_prefix(known: &str) -> String {
    let with = |bytes: &[u8; 64]| ApiKey::new(KeyMode::Live, bytes).expose().to_owned();
    let byte_of = |wanted: &str| (0..62_u8).find(|byte| &with(&[*byte; 64])[8..9] == wanted).expect("a byte");
    let mut bytes = [7; 64];
    for (place, byte) in bytes.iter_mut().enumerate().take(4) {
        *byte = byte_of(&known[8 + place..9 + place]);
    }
    let key = with(&bytes);
    assert_eq!(key[..12], known[..12]);
    key
}

/// A key with a right checksum and a prefix that nobody has.
fn of_no_prefix(known: &str) -> String {
    let mut keys = (0..62_u8).map(|byte| ApiKey::new(KeyMode::Live, &[byte; 64]).expose().to_owned());
    keys.find(|key| key[..12] != known[..12]).expect("another key")
}

fn by_secret(server: &Server, id: &str) -> Response {
    let body = json!({"grant_type": "client_credentials", "client_id": id, "client_secret": "wrong!"});
    server.post_with("/authorize", &[("X-Api-Key", NONE), ("X-Correlation-Id", "c")], &body)
}

fn by_key(server: &Server, path: &str, key: &str) -> Response {
    server.post_with(path, &[("X-Api-Key", key), ("X-Correlation-Id", "c")], &json!({}))
}

fn by_password(browser: &Browser, email: &str) -> Response {
    let token = browser.token();
    let fields = [("_token", token.as_str()), ("email", email), ("password", "wrong!")];
    browser.post_form("/login", &[("X-Correlation-Id", "c")], &fields)
}

#[test]
fn c28_who_exists_is_told_by_no_answer() {
    let server = server();
    let wrong = told(&by_secret(&server, "myawesomeapp"), &[]);
    assert_eq!(wrong.0, 401);
    assert_eq!(wrong, told(&by_secret(&server, "yourotherapp"), &[]));
    let basic = |pair: &str| {
        use base64::Engine as _;
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        let headers = [("X-Api-Key", NONE), ("Authorization", &basic), ("X-Correlation-Id", "c"), kind];
        server.post_raw("/oauth/introspect", &headers, b"token=x")
    };
    let wrong = told(&basic("myawesomeapp:wrong!"), &[]);
    assert_eq!(wrong.0, 401);
    assert_eq!(wrong, told(&basic("yourotherapp:wrong!"), &[]));

    let (same, other) = (of_the_same_prefix(server.key()), of_no_prefix(server.key()));
    for path in ["/api/emails", "/send"] {
        let wrong = told(&by_key(&server, path, &same), &[]);
        assert_eq!(wrong.0, 401, "{path}");
        // A key without its checksum is refused before it is looked up; that is told alike too.
        for key in [other.as_str(), "ph_live_short", "guess"] {
            // The time of an Aegis answer is its own.
            let strip = |(status, headers, body): (u16, Vec<(String, String)>, String)| {
                (status, headers, body.split("\"timestamp\"").next().unwrap_or_default().to_owned())
            };
            assert_eq!(strip(wrong.clone()), strip(told(&by_key(&server, path, key), &[])), "{path} {key}");
        }
    }
    let mut session = smtp_ingress::session(&server);
    let wrong = session.login("default", &same).to_string();
    assert!(wrong.starts_with("535 "), "{wrong}");
    assert_eq!(wrong, session.login("default", &other).to_string());
    assert_eq!(wrong, session.login("nobody", server.key()).to_string());

    let tried = |email: &str| {
        let browser = Browser::new(&server);
        browser.get("/login").expect(200);
        let token = browser.token();
        let answer = by_password(&browser, email);
        told(&answer, &[email, &token, &browser.token()])
    };
    let wrong = tried(ANN);
    assert_eq!(wrong.0, 422);
    assert_eq!(wrong, tried(NOBODY));
}
