//! `POST /authorize` by RFC 6749, its errors, and what it does not tell.

use super::{client, login};
use crate::harness::server::NONE;
use crate::harness::{Server, ServerOptions};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

#[test]
fn a_token_is_a_jwt_with_the_documented_claims() {
    let server = Server::inbox();
    client(&server, "myawesomeapp", "abc123", &["basic", "email"]);
    let answer = login(&server, "myawesomeapp", "abc123").expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)));
    assert_eq!(body.as_object().expect("an object").len(), 3, "{body}");
    let token = body["access_token"].as_str().expect("a token");
    let read = |part: usize| -> Value {
        let coded = token.split('.').nth(part).expect("three parts");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(coded).expect("base64url")).expect("JSON")
    };
    let (header, claims) = (read(0), read(1));
    assert_eq!((&header["typ"], &header["alg"]), (&json!("JWT"), &json!("RS256")));
    assert_eq!((&claims["aud"], &claims["sub"]), (&json!("myawesomeapp"), &json!("")));
    assert_eq!(claims["scopes"], json!(["basic", "email"]));
    assert_eq!(claims["nbf"], claims["iat"]);
    assert_eq!(claims["exp"].as_i64(), claims["iat"].as_i64().map(|at| at + 3600));
    assert!(claims["jti"].is_string() && claims["iss"].is_string());
    let keys = server.get("/.well-known/jwks.json").expect(200).json();
    assert_eq!(keys["keys"][0]["kid"], header["kid"]);
    let metadata = server.get("/.well-known/oauth-authorization-server").expect(200).json();
    assert_eq!(metadata["issuer"], claims["iss"]);
    assert_eq!(metadata["grant_types_supported"], json!(["client_credentials"]));
}

#[test]
fn forms_and_basic_log_in_too() {
    let server = Server::inbox();
    client(&server, "myawesomeapp", "abc123", &["email"]);
    let in_body = "grant_type=client_credentials&client_id=myawesomeapp&client_secret=abc123";
    server.post_raw("/oauth/token", &[("X-Api-Key", NONE), FORM], in_body.as_bytes()).expect(200);
    let basic = format!("Basic {}", STANDARD.encode("myawesomeapp:abc123"));
    let headers = [("X-Api-Key", NONE), FORM, ("Authorization", basic.as_str())];
    let answer = server.post_raw("/authorize", &headers, b"grant_type=client_credentials").expect(200).json();
    assert_eq!(answer["scope"], "email", "told where none was asked for");
    let twice = server.post_raw("/authorize", &headers, in_body.as_bytes()).expect(400).json();
    assert_eq!(twice["error"], "invalid_request");
}

#[test]
fn basic_logs_in_with_and_without_the_form_code() {
    let server = Server::inbox();
    for (id, secret, coded) in [
        ("base64", "p+q/r==", "p%2Bq%2Fr%3D%3D"),
        ("percent", "100%25 sure", "100%2525+sure"),
        ("other", "50%&more", "50%25%26more"),
    ] {
        client(&server, id, secret, &["email"]);
        let asked = |secret: &str| {
            let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
            let headers = [("X-Api-Key", NONE), FORM, ("Authorization", basic.as_str())];
            server.post_raw("/authorize", &headers, b"grant_type=client_credentials")
        };
        asked(secret).expect(200);
        asked(coded).expect(200);
        assert_eq!(asked("wrong+one").expect(401).json()["error"], "invalid_client");
    }
}

#[test]
fn each_error_is_that_of_the_rfc() {
    let server = Server::inbox();
    client(&server, "myawesomeapp", "abc123", &["basic"]);
    let right =
        json!({"grant_type": "client_credentials", "client_id": "myawesomeapp", "client_secret": "abc123"});
    let with = |patch: Value| crate::emails_api::with(right.clone(), patch);
    for (body, status, error) in [
        (with(json!({"grant_type": null})), 400, "invalid_request"),
        (with(json!({"grant_type": ""})), 400, "invalid_request"),
        (with(json!({"grant_type": "password"})), 400, "unsupported_grant_type"),
        (with(json!({"client_secret": "wrong!"})), 401, "invalid_client"),
        (with(json!({"client_id": "nobody"})), 401, "invalid_client"),
        (with(json!({"client_secret": null})), 401, "invalid_client"),
        (with(json!({"client_id": 7})), 400, "invalid_request"),
        (with(json!({"client_id": "my\u{0}app"})), 400, "invalid_request"),
        (with(json!({"scope": "email"})), 400, "invalid_scope"),
        (with(json!({"scope": "root"})), 400, "invalid_scope"),
    ] {
        let answer = server.post_with("/authorize", &[("X-Api-Key", NONE)], &body).expect(status);
        assert_eq!(answer.json()["error"], error, "{body}");
        assert!(answer.json()["error_description"].is_string(), "{body}");
        assert_eq!(answer.header("www-authenticate"), None, "{body}");
    }
    let broken = server.post_raw("/authorize", &[("X-Api-Key", NONE)], b"{").expect(400).json();
    assert_eq!(broken["error"], "invalid_request");
    let twice = b"grant_type=client_credentials&grant_type=client_credentials";
    server.post_raw("/authorize", &[("X-Api-Key", NONE), FORM], twice).expect(400);
    let basic = format!("Basic {}", STANDARD.encode("myawesomeapp:wrong!"));
    let headers = [("X-Api-Key", NONE), FORM, ("Authorization", basic.as_str())];
    let refused = server.post_raw("/authorize", &headers, b"grant_type=client_credentials").expect(401);
    assert!(refused.header("www-authenticate").is_some_and(|value| value.starts_with("Basic ")));
}

#[test]
fn c28_a_wrong_secret_and_an_unknown_client_are_told_alike_and_soon_not_at_all() {
    // A window that no slow machine leaves behind.
    let server = Server::start(ServerOptions::default().env("POSTHASTE_OAUTH__LOGIN_ATTEMPTS", "20/h"));
    client(&server, "myawesomeapp", "abc123", &["basic", "email"]);
    let wrong = login(&server, "myawesomeapp", "wrong!").expect(401);
    let unknown = login(&server, "nobody", "wrong!").expect(401);
    assert_eq!(wrong.body, unknown.body);
    for _ in 1..20 {
        login(&server, "myawesomeapp", "wrong!").expect(401);
    }
    let stopped = login(&server, "myawesomeapp", "abc123").expect(429);
    assert_eq!(stopped.json()["error"], "too_many_requests");
    assert!(stopped.header("retry-after").is_some());
    login(&server, "nobody", "wrong!").expect(401);
}

#[test]
fn tries_at_one_moment_do_not_pass_the_limit_of_failed_logins() {
    let server = Server::start(ServerOptions::default().env("POSTHASTE_OAUTH__LOGIN_ATTEMPTS", "5/h"));
    client(&server, "myawesomeapp", "abc123", &["email"]);
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let tries: Vec<_> =
            (0..60).map(|_| scope.spawn(|| login(&server, "myawesomeapp", "wrong!").status)).collect();
        tries.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    let of = |status: u16| answers.iter().filter(|one| **one == status).count();
    assert_eq!(of(401) + of(429), 60, "{answers:?}");
    assert!(of(401) >= 5 && of(429) > 0, "{answers:?}");
}
