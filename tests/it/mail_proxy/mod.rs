//! The Mail Proxy API, `/api/v1/*`: the contract's examples word for word, each error row, tenants and tokens.

mod auth;
mod batch;
mod cancel;
mod history;
mod limits;
mod send;
mod sender_configs;
mod tokens;

use serde_json::{Value, json};

use crate::harness::server::NONE;
use crate::harness::{Response, Server};

/// A department's token: its `Authorization` header and its `client_id`.
pub struct Token {
    pub bearer: String,
    pub id: String,
    pub client_id: String,
}

/// Makes a token on the command line.
#[track_caller]
pub fn token(server: &Server, name: &str, permissions: &[&str]) -> Token {
    let mut arguments = vec!["token", "create", "--name", name];
    for permission in permissions {
        arguments.extend(["--permission", permission]);
    }
    let made = server.cli_json(&arguments);
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    Token { bearer: format!("Bearer {}", text("token")), id: text("id"), client_id: text("client_id") }
}

/// A token of the default client, which may send from example.com, that may send, read and cancel.
#[track_caller]
pub fn sender(server: &Server) -> Token {
    token(server, "default", &["mail:send", "mail:read", "mail:cancel"])
}

#[track_caller]
pub fn call(
    server: &Server,
    method: &str,
    path: &str,
    bearer: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Response {
    let mut all = vec![("X-Api-Key", NONE), ("Authorization", bearer)];
    if body.is_some() && method != "POST" {
        all.push(("Content-Type", "application/json"));
    }
    all.extend(headers);
    let body = body.map(Value::to_string).unwrap_or_default();
    let answer = server.try_request(method, &format!("/api/v1{path}"), &all, body.as_bytes());
    answer.unwrap_or_else(|fault| panic!("{method} {path}: {fault}"))
}

#[track_caller]
pub fn get(server: &Server, token: &Token, path: &str) -> Response {
    call(server, "GET", path, &token.bearer, &[], None)
}

#[track_caller]
pub fn post(server: &Server, token: &Token, path: &str, body: &Value) -> Response {
    call(server, "POST", path, &token.bearer, &[], Some(body))
}

#[track_caller]
pub fn delete(server: &Server, token: &Token, path: &str) -> Response {
    call(server, "DELETE", path, &token.bearer, &[], None)
}

/// Sends a mail; answers its id.
#[track_caller]
pub fn sent(server: &Server, token: &Token, mail: &Value) -> String {
    let answer = post(server, token, "/mail/send", mail).expect(200).json();
    answer["mail_id"].as_str().expect("an id").to_owned()
}

/// The status and the code of an error of exactly this surface's shape.
#[track_caller]
pub fn error(answer: &Response) -> (u16, String) {
    let body = answer.json();
    let members: Vec<&String> = body.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["success", "error", "message"], "{}", answer.text());
    assert_eq!(body["success"], false);
    assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()));
    (answer.status, body["error"].as_str().expect("a code").to_owned())
}

/// The smallest mail.
pub fn mail() -> Value {
    json!({
        "from": "noreply@example.com", "to": ["bob@client.com"], "subject": "Hello", "body": "Literal {{ text }}",
    })
}
