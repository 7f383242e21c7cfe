//! Who may call: C26 to C28 and C33 on this surface, each row of the table of errors.

use super::{call, delete, error, get, mail, post, sender, token};
use crate::harness::server::NONE;
use crate::harness::{Server, ServerOptions};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

const SECRET: &str = "an-hs256-secret-that-is-long-enough";

fn server() -> Server {
    Server::start(ServerOptions::default().env("JWT_SECRET", SECRET))
}

/// A token with these claims, signed as asked.
fn forged(algorithm: Algorithm, secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    format!("Bearer {}", jsonwebtoken::encode(&Header::new(algorithm), claims, &key).expect("a token"))
}

#[test]
fn each_401_has_its_code() {
    let server = server();
    let ask = |headers: &[(&str, &str)]| {
        let all = [&[("X-Api-Key", NONE)], headers].concat();
        server.get_with("/api/v1/mail/history", &all)
    };
    let missing = ask(&[]);
    assert_eq!(error(&missing), (401, "missing_token".into()));
    assert_eq!(missing.header("www-authenticate"), Some("Bearer"));
    for bad in ["", "abc", "Basic YTpi", "Bearer", "Bearer a b"] {
        assert_eq!(error(&ask(&[("Authorization", bad)])), (401, "invalid_token_format".into()), "{bad}");
    }
    let by_key = format!("Bearer {}", server.key());
    assert_eq!(error(&ask(&[("Authorization", &by_key)])), (401, "invalid_token".into()));
    let mine = sender(&server);
    get(&server, &mine, "/mail/history").expect(200);
    server.cli_json(&["token", "revoke", &mine.id]);
    for (method, path) in [("GET", "/mail/history"), ("POST", "/mail/send"), ("POST", "/mail/send/batch")] {
        let answer = call(&server, method, path, &mine.bearer, &[], Some(&mail()));
        assert_eq!(error(&answer), (401, "token_revoked".into()), "{method} {path}");
    }
}

#[test]
fn c26_only_our_own_hs256_tokens_are_taken() {
    let server = server();
    let mine = sender(&server);
    let parts: Vec<&str> = mine.bearer["Bearer ".len()..].split('.').collect();
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).expect("base64url")).expect("JSON");
    assert_eq!((&claims["sub"], &claims["jti"]), (&json!(mine.client_id), &json!(mine.id)));
    assert_eq!(claims["permissions"], json!(["mail:send", "mail:read", "mail:cancel"]));
    assert!(claims["iat"].is_i64() && claims.get("exp").is_none(), "{claims}");
    let coded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let unknown = json!({"sub": "client_x", "jti": "0192f0c1-d2a3-7000-8000-000000000000", "iat": 1, "permissions": []});
    let patched = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let mut bad = vec![
        format!("Bearer {}.{}.", coded(r#"{"alg":"none"}"#), parts[1]),
        format!(
            "Bearer {}.{}.{}",
            coded(r#"{"alg":"RS256","jku":"http://127.0.0.1:9/"}"#),
            parts[1],
            parts[2]
        ),
        format!("Bearer {}.{}.{}", parts[0], coded(r#"{"permissions":["admin"]}"#), parts[2]),
        format!("Bearer {}", ".".repeat(20_000)),
        forged(Algorithm::HS512, SECRET, &claims),
        forged(Algorithm::HS256, "", &claims),
        forged(Algorithm::HS256, "another-secret", &claims),
        forged(Algorithm::HS256, SECRET, &unknown),
    ];
    for (name, value) in [
        ("exp", json!(1)),
        ("exp", json!("9999999999")),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("nbf", json!(9_999_999_999_i64)),
        ("iat", json!("1")),
        ("iat", json!(9_999_999_999_i64)),
        ("jti", json!("x")),
        ("jti", json!(7)),
        ("sub", json!(null)),
    ] {
        bad.push(forged(Algorithm::HS256, SECRET, &patched(name, value)));
    }
    for name in ["sub", "jti", "iat", "permissions"] {
        let mut without = claims.clone();
        without.as_object_mut().expect("an object").remove(name);
        bad.push(forged(Algorithm::HS256, SECRET, &without));
    }
    for bearer in bad {
        let answer = call(&server, "GET", "/mail/history", &bearer, &[], None);
        assert_eq!(error(&answer), (401, "invalid_token".into()), "{}", &bearer[..bearer.len().min(120)]);
    }
    // What it may do stands in the store, whatever the token says.
    let grown = forged(Algorithm::HS256, SECRET, &patched("permissions", json!(["admin"])));
    let answer = call(&server, "GET", "/auth/tokens", &grown, &[], None);
    assert_eq!(error(&answer), (403, "permission_denied".into()));
}

#[test]
fn each_permission_opens_its_own_endpoints() {
    let server = Server::inbox();
    let id = "0192f0c1-d2a3-7000-8000-000000000000";
    let calls = [
        ("POST", "/mail/send".to_owned(), "mail:send"),
        ("POST", "/mail/send/batch".to_owned(), "mail:send"),
        ("GET", format!("/mail/status/{id}"), "mail:read"),
        ("GET", "/mail/history".to_owned(), "mail:read"),
        ("DELETE", format!("/mail/cancel/{id}"), "mail:cancel"),
        ("POST", "/auth/token".to_owned(), "admin"),
        ("GET", format!("/auth/token/{id}"), "admin"),
        ("DELETE", format!("/auth/token/{id}"), "admin"),
        ("GET", "/auth/tokens".to_owned(), "admin"),
        ("POST", "/auth/sender-config".to_owned(), "admin"),
        ("GET", "/auth/sender-configs".to_owned(), "admin"),
        ("GET", format!("/auth/sender-config/{id}"), "admin"),
        ("PUT", format!("/auth/sender-config/{id}"), "admin"),
        ("DELETE", format!("/auth/sender-config/{id}"), "admin"),
    ];
    // Spelled with a dot it means the same.
    for granted in ["mail.send", "mail:read", "mail.cancel", "admin"] {
        let bearer = token(&server, "default", &[granted]).bearer;
        for (method, path, needed) in &calls {
            let answer = call(&server, method, path, &bearer, &[], Some(&json!({})));
            let may = granted == "admin" || granted.replace('.', ":") == *needed;
            assert_eq!(answer.status != 403, may, "{granted}: {method} {path}: {}", answer.text());
            if !may {
                assert_eq!(error(&answer).1, "permission_denied");
            }
        }
    }
}

#[test]
fn c33_nobody_grants_himself_more() {
    let server = Server::inbox();
    let mine = sender(&server);
    let wish = json!({"client_name": "default", "permissions": ["admin"]});
    assert_eq!(error(&post(&server, &mine, "/auth/token", &wish)), (403, "permission_denied".into()));
    assert_eq!(error(&delete(&server, &mine, &format!("/auth/token/{}", mine.id))).0, 403);
}
