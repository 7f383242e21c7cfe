//! A18, A25: JSON and HTTP that try the parser.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::emails_api::email_to;
use crate::harness::Server;
use crate::harness::server::NONE;
use crate::harness::wait::eventually;
use crate::{mail_proxy, oauth};

/// An id that nothing has.
const NOBODYS: &str = "0192f0c1-d2a3-7000-8000-000000000000";

/// Where JSON is taken, and by which credential.
struct Route {
    method: String,
    path: String,
    credential: Vec<(&'static str, String)>,
}

/// Every one that the generated document knows, so that one that is added is tried by being documented; and those of
/// the other doors.
fn routes(server: &Server) -> Vec<Route> {
    let admin = server.new_key(&["--client", "default", "--permission", "admin"]);
    let by_key = |key: &str| vec![("X-Api-Key", key.to_owned())];
    let by_bearer = |bearer: String| vec![("X-Api-Key", NONE.to_owned()), ("Authorization", bearer)];
    let template = json!({"code": "known", "subject": "Hi {{ name }}", "text": "{{ name }}"});
    server.post_with("/api/templates", &[("X-Api-Key", admin.as_str())], &template).expect(201);
    let document = server.get("/api/openapi.json").expect(200).json();
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, described) in methods.as_object().expect("methods") {
            if !described["requestBody"].is_object() {
                continue;
            }
            let path = path.replace("{client}", "default").replace("{name}", "example.com");
            let path = path.replace("{code}", "known");
            let parts = path.split('/').map(|part| if part.starts_with('{') { NOBODYS } else { part });
            let path = parts.collect::<Vec<_>>().join("/");
            routes.push(Route { method: method.to_uppercase(), path, credential: by_key(&admin) });
        }
    }
    assert!(routes.len() >= 12, "only {} routes were found", routes.len());
    let mut post = |path: &str, credential| {
        routes.push(Route { method: "POST".to_owned(), path: path.to_owned(), credential });
    };
    post("/api/emails?dry_run=true", by_key(&admin));
    post("/send", by_key(server.key()));
    post("/send", by_bearer(oauth::token(server)));
    post("/authorize", by_key(NONE));
    let bearer = mail_proxy::token(server, "default", &["admin"]).bearer;
    for path in ["/mail/send", "/mail/send/batch", "/auth/token", "/auth/sender-config"] {
        post(&format!("/api/v1{path}"), by_bearer(bearer.clone()));
    }
    routes
}

/// Where providers tell their news.
const PROVIDERS: [&str; 3] = ["/api/webhooks/sendgrid", "/api/webhooks/mailgun", "/api/webhooks/ses"];

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
    let routes = routes(&server);
    // What is made once is made by small requests, too.
    let small: Vec<_> = bodies.iter().filter(|(_, body)| body.len() < 1_000_000).cloned().collect();
    refuses(&server, &routes, &small);
    let before = server.memory_kib("RssAnon");
    refuses(&server, &routes, &bodies);
    eventually("all but 10 MiB of it is given back", || {
        let grown = server.memory_kib("RssAnon").saturating_sub(before) / 1024;
        (grown < 10).then_some(())
    });
    server.send(&email_to("user@client.com", "alive"));
}

/// Sends every body to every route, each to be refused.
#[track_caller]
fn refuses(server: &Server, routes: &[Route], bodies: &[(&str, Vec<u8>)]) {
    for Route { method, path, credential } in routes {
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(credential.iter().map(|(name, value)| (*name, value.as_str())));
        for (what, body) in bodies {
            let began = Instant::now();
            let answer = server.try_request(method, path, &headers, body).expect("an answer");
            // A provider shows no key: who cannot prove to be it is refused before, or because, its JSON is read.
            let is_refused = match answer.status {
                400 | 404 | 413 | 422 => true,
                status => status == 401 && PROVIDERS.contains(&path.as_str()),
            };
            assert!(is_refused, "{what} to {path}: {}", answer.status);
            assert!(began.elapsed() < Duration::from_secs(5), "{what} to {path} took {:?}", began.elapsed());
            assert!(
                answer.body.len() < 200_000,
                "{what} to {path}: an answer of {} bytes",
                answer.body.len()
            );
        }
    }
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
