//! C28: whether a client, a user or a key exists is told by nothing: neither status, headers and body, nor the time.

use std::time::{Duration, Instant};

use posthaste_model::credential::{ApiKey, KeyMode};
use serde_json::json;

use crate::harness::browser::{Browser, make_user};
use crate::harness::server::NONE;
use crate::harness::{Response, Server, ServerOptions};
use crate::{oauth, smtp_ingress};

const ANN: &str = "ann@example.com";
const NOBODY: &str = "bob@example.com";
/// Requests of each kind when times are compared, and how far apart the medians may lie.
const SAMPLES: usize = 2_000;
const TOLERANCE: f64 = 0.05;

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

/// The medians of both, asked in turns.
fn medians(mut known: impl FnMut(), mut unknown: impl FnMut()) -> [Duration; 2] {
    let mut times = [Vec::with_capacity(SAMPLES), Vec::with_capacity(SAMPLES)];
    for sample in 0..SAMPLES {
        // Whoever comes first must not be the same each time.
        for place in if sample % 2 == 0 { [0, 1] } else { [1, 0] } {
            let began = Instant::now();
            if place == 0 {
                known();
            } else {
                unknown();
            }
            times[place].push(began.elapsed());
        }
    }
    times.map(|mut times| {
        times.sort_unstable();
        times[SAMPLES / 2]
    })
}

#[test]
#[ignore = "16,000 requests, most of them slow on purpose: minutes, and a machine that does nothing else"]
fn c28_who_exists_is_told_by_no_time() {
    let server = server();
    let (same, other) = (of_the_same_prefix(server.key()), of_no_prefix(server.key()));
    let browser = Browser::new(&server);
    browser.get("/login").expect(200);
    let measured = [
        (
            "OAuth client",
            medians(
                || drop(by_secret(&server, "myawesomeapp").expect(401)),
                || drop(by_secret(&server, "yourotherapp").expect(401)),
            ),
        ),
        (
            "API key",
            medians(
                || drop(by_key(&server, "/api/emails", &same).expect(401)),
                || drop(by_key(&server, "/api/emails", &other).expect(401)),
            ),
        ),
        (
            "Aegis key",
            medians(
                || drop(by_key(&server, "/send", &same).expect(401)),
                || drop(by_key(&server, "/send", &other).expect(401)),
            ),
        ),
        (
            "user",
            medians(
                || drop(by_password(&browser, ANN).expect(422)),
                || drop(by_password(&browser, NOBODY).expect(422)),
            ),
        ),
    ];
    for (what, [known, unknown]) in &measured {
        eprintln!("{what}: known {known:?}, unknown {unknown:?}");
    }
    for (what, [known, unknown]) in measured {
        let ratio = known.as_secs_f64() / unknown.as_secs_f64();
        assert!((1.0 - TOLERANCE..=1.0 + TOLERANCE).contains(&ratio), "{what}: {ratio:.3}");
    }
}
