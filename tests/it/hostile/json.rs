//! A18, A25: JSON and HTTP that try the parser.

use std::time::{Duration, Instant};

use crate::emails_api::email_to;
use crate::harness::Server;

#[test]
fn a18_hostile_json_is_refused_at_once_on_every_route_that_takes_json() {
    let server = Server::inbox();
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let nested = |depth: usize| {
        format!("{{\"variables\":{}{}}}", "{\"a\":".repeat(depth), "1".to_owned() + &"}".repeat(depth))
    };
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("depth 33", nested(40).into_bytes()),
        ("depth 100,000", deep(100_000).into_bytes()),
        ("duplicate keys", br#"{"to":"a@client.com","to":"b@client.com"}"#.to_vec()),
        ("invalid UTF-8", b"{\"subject\":\"\xff\xfe\"}".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("1e400", br#"{"priority":1e400}"#.to_vec()),
        ("lone surrogate", br#"{"subject":"\ud800"}"#.to_vec()),
        ("20 MB string", format!("{{\"subject\":\"{}\"}}", "a".repeat(20_000_000)).into_bytes()),
        ("a million elements", format!("{{\"to\":[{}1]}}", "1,".repeat(1_000_000)).into_bytes()),
        ("trailing text", b"{} {}".to_vec()),
        ("NaN", br#"{"priority":NaN}"#.to_vec()),
    ];
    let key = server.templates_key();
    for path in [
        "/api/emails",
        "/api/emails?dry_run=true",
        "/api/emails/batch",
        "/api/templates",
        "/api/templates/x/preview",
    ] {
        for (what, body) in &bodies {
            let began = Instant::now();
            let answer = server.post_raw(path, &[("X-Api-Key", key.as_str())], body);
            assert!(matches!(answer.status, 400 | 404 | 413 | 422), "{what} to {path}: {}", answer.status);
            assert!(began.elapsed() < Duration::from_secs(5), "{what} to {path} took {:?}", began.elapsed());
            assert!(
                answer.body.len() < 200_000,
                "{what} to {path}: an answer of {} bytes",
                answer.body.len()
            );
        }
    }
    server.send(&email_to("user@client.com", "alive"));
}

#[test]
fn a25_a_content_type_that_lies_is_415_and_no_method_is_overridden() {
    let server = Server::inbox();
    let body = email_to("user@client.com", "x").to_string();
    for kind in ["application/json; charset=utf-16", "text/json", "application/xml", "json", ""] {
        let answer = server.post_raw("/api/emails", &[("Content-Type", kind)], body.as_bytes());
        assert!(matches!(answer.status, 400 | 415), "{kind:?}: {}", answer.status);
    }
    let headers = [("X-HTTP-Method-Override", "DELETE")];
    server.get_with("/api/emails", &headers).expect(200);
}

#[test]
fn a43_ambiguous_http_is_refused() {
    let server = Server::inbox();
    let key = server.key();
    let requests = [
        format!(
            "POST /api/emails HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{{}}   "
        ),
        format!(
            "POST /api/emails HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n"
        ),
        format!("GET /api/emails HTTP/1.1\r\nHost: a\r\nX-Api-Key: {key}\r\n folded: x\r\n\r\n"),
        "GET /api/emails\r\n\r\n".to_owned(),
        "EHLO there\r\n".to_owned(),
    ];
    for request in requests {
        let mut connection = server.connect();
        connection.write(request.as_bytes()).expect("the server reads");
        if let Ok(answer) = connection.read_response() {
            assert_eq!(answer.status, 400, "{request:?}");
        }
    }
    server.send(&email_to("user@client.com", "alive"));
}
