//! C26, C27 on this surface: tokens that are not ours, tokens that are no more, keys that change under them.

use super::{bearer, client, email, get, login, send, token};
use crate::harness::Server;
use crate::harness::server::NONE;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

fn ask(server: &Server, path: &str, id: &str, secret: &str, token: &str) -> crate::harness::Response {
    let token = token.strip_prefix("Bearer ").unwrap_or(token);
    let body = json!({"client_id": id, "client_secret": secret, "token": token});
    server.post_with(path, &[("X-Api-Key", NONE)], &body)
}

#[test]
fn a_client_sees_and_ends_only_its_own_tokens() {
    let server = Server::inbox();
    let mine = token(&server);
    client(&server, "other", "xyz789", &["email"]);
    let seen = ask(&server, "/oauth/introspect", "myawesomeapp", "abc123", &mine).expect(200).json();
    assert_eq!((&seen["active"], &seen["scope"]), (&json!(true), &json!("basic email")));
    assert_eq!(seen["client_id"], "myawesomeapp");
    let theirs = ask(&server, "/oauth/introspect", "other", "xyz789", &mine).expect(200).json();
    assert_eq!(theirs, json!({"active": false}));
    ask(&server, "/oauth/revoke", "other", "xyz789", &mine).expect(200);
    send(&server, &mine, &[], &email()).expect(202);
    ask(&server, "/oauth/revoke", "myawesomeapp", "abc123", &mine).expect(200);
    let refused = send(&server, &mine, &[], &email()).expect(401);
    assert_eq!(refused.json()["error"], "invalid_token");
    assert!(refused.header("www-authenticate").expect("a challenge").contains("error=\"invalid_token\""));
    let gone = ask(&server, "/oauth/introspect", "myawesomeapp", "abc123", &mine).expect(200).json();
    assert_eq!(gone, json!({"active": false}));
    send(&server, &bearer(&server, "myawesomeapp", "abc123"), &[], &email()).expect(202);
}

#[test]
fn c27_a_revoked_client_takes_its_tokens_along() {
    let server = Server::inbox();
    let mine = token(&server);
    get(&server, &mine, "/emails").expect(200);
    server.cli_json(&["oauth-client", "revoke", "myawesomeapp"]);
    get(&server, &mine, "/emails").expect(401);
    send(&server, &mine, &[], &email()).expect(401);
    login(&server, "myawesomeapp", "abc123").expect(401);
}

#[test]
fn rotated_keys_leave_live_tokens_alone() {
    let mut server = Server::inbox();
    let old = token(&server);
    let rotated = server.cli_json(&["keys", "rotate"]);
    let new = bearer(&server, "myawesomeapp", "abc123");
    let kid = |token: &str| -> Value {
        let coded = token["Bearer ".len()..].split('.').next().expect("a header");
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(coded).expect("base64url")).expect("JSON");
        header["kid"].clone()
    };
    assert_eq!(kid(&new), rotated["kid"]);
    assert_ne!(kid(&old), kid(&new));
    assert_eq!(server.get("/.well-known/jwks.json").json()["keys"].as_array().map(Vec::len), Some(2));
    server.restart();
    send(&server, &old, &[], &email()).expect(202);
    send(&server, &new, &[], &email()).expect(202);
}

#[test]
fn c26_tokens_that_are_not_ours_are_refused() {
    let server = Server::inbox();
    let good = token(&server);
    let good = good.strip_prefix("Bearer ").expect("a bearer");
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let coded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let kid: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).expect("base64url")).expect("JSON");
    let kid = kid["kid"].as_str().expect("a kid");
    let bad = [
        String::new(),
        "a".into(),
        ".".repeat(20_000),
        format!("{}.{claims}.", coded(r#"{"alg":"none"}"#)),
        format!("{}.{claims}.{signature}", coded(&format!(r#"{{"alg":"nOnE","kid":"{kid}"}}"#))),
        format!("{}.{claims}.{signature}", coded(&format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#))),
        format!("{}.{claims}.{signature}", coded(r#"{"alg":"RS256","kid":"../../etc/passwd"}"#)),
        format!("{}.{claims}.{signature}", coded(r#"{"alg":"RS256","jku":"http://127.0.0.1:9/"}"#)),
        format!("{header}.{}.{signature}", coded(r#"{"aud":"myawesomeapp","scopes":["email"]}"#)),
        format!("{header}.{claims}."),
        format!("{header}.{claims}.{}", coded("forged")),
        server.key().to_owned(),
    ];
    for token in bad {
        let answer = send(&server, &format!("Bearer {token}"), &[], &email());
        assert_eq!(answer.status, 401, "{} {}", &token[..token.len().min(80)], answer.text());
        assert_eq!(answer.json()["error"], "invalid_token");
    }
    send(&server, &format!("Bearer {good}"), &[], &email()).expect(202);
}
