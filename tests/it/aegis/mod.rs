//! The Aegis API: the contract's examples word for word, each error row, limits, what is hostile, and its queue commands.

mod errors;
mod hostile;
mod limits;
mod queue;
mod send;
mod status;

use serde_json::{Value, json};

use crate::harness::server::NONE;
use crate::harness::{Relay, Response, Server, ServerOptions};

/// The classic key of these journeys.
pub const KEY: &str = "my-old-aegis-key";

/// An installation as an Aegis `.env` describes it.
pub fn moved(options: ServerOptions) -> ServerOptions {
    options
        .env("API_KEY", KEY)
        .env("MAIL_FROM_ADDRESS", "noreply@shop.example")
        .env("MAIL_FROM_NAME", "The Shop")
}

/// A server that sends to `relay`.
#[track_caller]
pub fn server(relay: &Relay) -> Server {
    Server::start(moved(ServerOptions::to_relay(relay)))
}

/// A server that keeps its mail.
#[track_caller]
pub fn inbox() -> Server {
    Server::start(moved(ServerOptions::default()))
}

/// `POST /send` with a key.
#[track_caller]
pub fn post(server: &Server, key: &str, headers: &[(&str, &str)], body: &Value) -> Response {
    raw(server, key, headers, body.to_string().as_bytes())
}

/// [`post`] with any bytes.
#[track_caller]
pub fn raw(server: &Server, key: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let all = [&[("X-Api-Key", key)], headers].concat();
    server.post_raw("/send", &all, body)
}

/// Has a message accepted; answers its id.
#[track_caller]
pub fn sent(server: &Server, body: &Value) -> String {
    let answer = post(server, KEY, &[], body).expect(202).json();
    assert_eq!(answer["success"], true);
    assert_eq!(answer["message"], "Email queued successfully");
    assert_eq!(answer.as_object().map(serde_json::Map::len), Some(3), "{answer}");
    answer["message_id"].as_str().expect("an id").to_owned()
}

/// `GET` without any credential.
#[track_caller]
pub fn get(server: &Server, path: &str) -> Response {
    server.get_with(path, &[("X-Api-Key", NONE)])
}

/// The smallest message.
pub fn message() -> Value {
    json!({"to": "bob@client.com", "subject": "Hello", "body": "Literal {{ text }}"})
}

/// An error of exactly this surface's shape: status, heading, code and field.
#[track_caller]
pub fn error(answer: &Response) -> (u16, String, String, String) {
    let body = answer.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let known = ["error", "message", "code", "field", "retry_after", "timestamp"];
    assert!(body.as_object().expect("an object").keys().all(|name| known.contains(&name.as_str())), "{body}");
    assert!(!text("message").is_empty(), "{body}");
    assert!(is_time(&text("timestamp")), "{body}");
    (answer.status, text("error"), text("code"), text("field"))
}

/// `2024-08-02T19:30:00+00:00`.
pub fn is_time(text: &str) -> bool {
    text.len() == 25 && text.ends_with("+00:00") && text.parse::<jiff::Timestamp>().is_ok()
}
