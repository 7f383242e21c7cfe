//! The OAuth API: log in with client credentials, send with the token, read one's own history.

mod authlib;
mod login;
mod send;
mod tokens;

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::server::NONE;
use crate::harness::{Response, Server};

/// Makes the client of the contract's examples.
pub fn client(server: &Server, id: &str, secret: &str, scopes: &[&str]) {
    let mut command = server.command();
    command.args(["oauth-client", "create", "--id", id, "--secret-stdin", "--json"]);
    for scope in scopes {
        command.args(["--scope", scope]);
    }
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a start");
    child.stdin.take().expect("a pipe").write_all(secret.as_bytes()).expect("taken");
    let output = child.wait_with_output().expect("an end");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(made, json!({"client_id": id, "scopes": scopes}));
}

/// `POST /authorize` with these fields beside those that every login has.
pub fn login(server: &Server, id: &str, secret: &str) -> Response {
    let body = json!({
        "grant_type": "client_credentials", "client_id": id, "client_secret": secret, "scope": "basic email",
    });
    server.post_with("/authorize", &[("X-Api-Key", NONE)], &body)
}

/// An access token of a new client `myawesomeapp`.
pub fn token(server: &Server) -> String {
    client(server, "myawesomeapp", "abc123", &["basic", "email"]);
    bearer(server, "myawesomeapp", "abc123")
}

/// An access token of a client that stands.
pub fn bearer(server: &Server, id: &str, secret: &str) -> String {
    let answer = login(server, id, secret).expect(200).json();
    format!("Bearer {}", answer["access_token"].as_str().expect("a token"))
}

/// An access token with one scope.
pub fn login_for(server: &Server, id: &str, secret: &str, scope: &str) -> String {
    let body = json!({
        "grant_type": "client_credentials", "client_id": id, "client_secret": secret, "scope": scope,
    });
    let answer = server.post_with("/authorize", &[("X-Api-Key", NONE)], &body).expect(200).json();
    format!("Bearer {}", answer["access_token"].as_str().expect("a token"))
}

/// `POST /send` with a token.
pub fn send(server: &Server, bearer: &str, headers: &[(&str, &str)], body: &Value) -> Response {
    let mut all = vec![("X-Api-Key", NONE), ("Authorization", bearer)];
    all.extend(headers);
    server.post_with("/send", &all, body)
}

/// `GET` with a token.
pub fn get(server: &Server, bearer: &str, path: &str) -> Response {
    server.get_with(path, &[("X-Api-Key", NONE), ("Authorization", bearer)])
}

/// The smallest email.
pub fn email() -> Value {
    json!({
        "email": "ann@app.example", "name": "Ann", "to_email": "bob@client.com", "to_name": "Bob",
        "subject": "Hello", "body": "Literal {{ text }}",
    })
}
