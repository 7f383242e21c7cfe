//! C26 on both surfaces that take a JWT: the longest tokens, tokens that name places, and each other's.

use std::io;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::harness::server::NONE;
use crate::harness::{Response, Server, ServerOptions};
use crate::{mail_proxy, oauth};

const SECRET: &str = "an-hs256-secret-that-is-long-enough";
/// The product's bound is 10 ms, which `bench/run refusals` measures; this is a debug build on a machine that does other
/// things too.
const AT_ONCE: Duration = Duration::from_millis(250);

fn server() -> Server {
    Server::start(ServerOptions::default().env("JWT_SECRET", SECRET))
}

fn ask(server: &Server, path: &str, token: &str) -> Response {
    server.get_with(path, &[("X-Api-Key", NONE), ("Authorization", &format!("Bearer {token}"))])
}

/// Both surfaces refuse the token, each in its words; at their quickest of three they take no time for it.
#[track_caller]
fn refused_at_once(server: &Server, token: &str) {
    let shown = &token[..token.len().min(100)];
    for (path, members) in [("/api/v1/mail/history", "message"), ("/emails", "error_description")] {
        let mut quickest = Duration::MAX;
        for _ in 0..3 {
            let began = Instant::now();
            let answer = ask(server, path, token);
            quickest = quickest.min(began.elapsed());
            let body = answer.json();
            assert_eq!(answer.status, 401, "{path} {shown}");
            assert_eq!(body["error"], "invalid_token", "{path} {shown}");
            assert!(body[members].is_string(), "{path} {shown}");
        }
        assert!(quickest < AT_ONCE, "{quickest:?} for {path} {shown}");
    }
}

/// A token under HS256 with exactly this head and these claims.
fn signed(secret: &[u8], head: &str, claims: &str) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
}

#[test]
fn c26_tokens_of_any_length_are_refused_at_once() {
    let server = server();
    // Nearly all of what a request's head may hold.
    let long = "A".repeat(30_000);
    let head = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256"}"#);
    for token in [
        long.clone(),
        ".".repeat(30_000),
        format!("{head}.{long}.{}", "B".repeat(43)),
        format!("{head}.e30.{long}"),
        format!("{long}.e30.AAAA"),
        signed(SECRET.as_bytes(), r#"{"alg":"HS256"}"#, &format!(r#"{{"sub":"{}"}}"#, "x".repeat(20_000))),
    ] {
        refused_at_once(&server, &token);
    }
    // A head of a megabyte is refused before anybody reads what stands in it; it may be cut off in its middle.
    for token in ["A".repeat(1 << 20), ".".repeat(1_000_000)] {
        for path in ["/api/v1/mail/history", "/emails"] {
            let mut connection = server.connect();
            let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
            let _ = connection.write(head.as_bytes());
            if let Ok(answer) = connection.read_response() {
                assert_eq!(answer.status, 431, "{path}");
            }
        }
    }
    server.get("/livez").expect(200);
}

#[test]
fn c26_a_long_token_in_a_body_is_no_token() {
    let server = server();
    oauth::client(&server, "myawesomeapp", "abc123", &["email"]);
    for token in ["A".repeat(60_000), ".".repeat(60_000)] {
        let body =
            serde_json::json!({"client_id": "myawesomeapp", "client_secret": "abc123", "token": token});
        let seen = server.post_with("/oauth/introspect", &[("X-Api-Key", NONE)], &body).expect(200).json();
        assert_eq!(seen, serde_json::json!({"active": false}));
        server.post_with("/oauth/revoke", &[("X-Api-Key", NONE)], &body).expect(200);
    }
    let million = ".".repeat(1_000_000);
    let body = serde_json::json!({"client_id": "myawesomeapp", "client_secret": "abc123", "token": million});
    server.post_with("/oauth/introspect", &[("X-Api-Key", NONE)], &body).expect(413);
}

#[test]
fn c26_a_token_that_names_a_place_leads_nowhere() {
    let server = server();
    let trap = TcpListener::bind("127.0.0.1:0").expect("a free port");
    trap.set_nonblocking(true).expect("a socket");
    let place = format!("http://{}/keys", trap.local_addr().expect("an address"));
    let good = oauth::token(&server);
    let good = good.strip_prefix("Bearer ").expect("a bearer");
    let [head, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let head: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).expect("base64url")).expect("JSON");
    let kid = head["kid"].as_str().expect("a kid");
    let keys = server.get("/.well-known/jwks.json").expect(200).json();
    let modulus = keys["keys"][0]["n"].as_str().expect("a modulus");
    for algorithm in ["RS256", "HS256", "none"] {
        for member in ["jku", "x5u", "kid"] {
            let head = format!(r#"{{"alg":"{algorithm}","kid":"{kid}","{member}":"{place}"}}"#);
            let forged = format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode(&head));
            if member == "jku" && algorithm == "RS256" {
                // Signed anew, under the key that everybody may read, as if that were the secret.
                refused_at_once(&server, &signed(modulus.as_bytes(), &head, r#"{"aud":"myawesomeapp"}"#));
            }
            refused_at_once(&server, &forged);
        }
    }
    let own_key = format!(
        r#"{{"alg":"RS256","kid":"{kid}","jwk":{{"kty":"RSA","n":"{modulus}","e":"AQAB"}},"x5c":["MIIB"]}}"#
    );
    refused_at_once(&server, &format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode(own_key)));
    for odd in ["../../../../etc/passwd", "' OR 1=1 --", "\\u0000", ""] {
        let head = format!(r#"{{"alg":"RS256","kid":"{odd}"}}"#);
        refused_at_once(&server, &format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode(head)));
    }
    let called = trap.accept().map(|_| ()).map_err(|fault| fault.kind());
    assert_eq!(called, Err(io::ErrorKind::WouldBlock), "somebody called");
}

#[test]
fn c26_a_claim_that_stands_twice_is_none() {
    let server = server();
    let mine = mail_proxy::sender(&server);
    let head = r#"{"alg":"HS256"}"#;
    let of = |claims: &str| signed(SECRET.as_bytes(), head, claims);
    let (id, client) = (&mine.id, &mine.client_id);
    let right = format!(r#"{{"sub":"{client}","jti":"{id}","iat":1,"permissions":[]}}"#);
    ask(&server, "/api/v1/mail/history", &of(&right)).expect(200);
    for twice in [
        format!(r#"{{"sub":"x","sub":"{client}","jti":"{id}","iat":1,"permissions":[]}}"#),
        format!(r#"{{"sub":"{client}","jti":"x","jti":"{id}","iat":1,"permissions":[]}}"#),
        format!(r#"{{"sub":"{client}","jti":"{id}","iat":1,"exp":1,"exp":9999999999,"permissions":[]}}"#),
        format!(r#"{{"sub":"{client}","jti":"{id}","iat":9999999999,"iat":1,"permissions":[]}}"#),
    ] {
        refused_at_once(&server, &of(&twice));
    }
}

#[test]
fn c26_each_surface_refuses_the_others_credentials() {
    let server = server();
    let (theirs, ours) = (oauth::token(&server), mail_proxy::sender(&server).bearer);
    let of_proxy = |bearer: &str| mail_proxy::call(&server, "GET", "/mail/history", bearer, &[], None);
    for foreign in [theirs.clone(), format!("Bearer {}", server.key())] {
        assert_eq!(mail_proxy::error(&of_proxy(&foreign)), (401, "invalid_token".into()));
    }
    of_proxy(&ours).expect(200);
    for foreign in [ours, format!("Bearer {}", server.key())] {
        let answer = oauth::send(&server, &foreign, &[], &oauth::email()).expect(401);
        assert_eq!(answer.json()["error"], "invalid_token");
    }
    oauth::send(&server, &theirs, &[], &oauth::email()).expect(202);
}
