//! A29: no credential reaches another client's things. The generated OpenAPI document says where things are, so that
//! an endpoint that is added is covered by being documented; the other doors' paths are listed here.

use serde_json::{Value, json};

use crate::emails_api::email_to;
use crate::harness::server::NONE;
use crate::harness::{Response, Server, soon};
use crate::mail_proxy;
use crate::oauth;
use std::time::Duration;

/// Everything that a client may be given but `admin`.
const ALL: [&str; 5] = ["emails:send", "emails:read", "emails:cancel", "templates:write", "webhooks:write"];
/// An id that nothing has.
const NOBODYS: &str = "0192f0c1-d2a3-7000-8000-000000000000";

/// What the first client has.
struct Things {
    email: String,
    key: String,
}

impl Things {
    fn make(server: &Server) -> Self {
        let mut email = email_to("user@client.com", "x");
        email["send_at"] = json!(soon(Duration::from_hours(1)));
        let template = json!({"code": "known", "subject": "Hi {{name}}", "html": "<p>{{name}}</p>"});
        let writer = server.templates_key();
        let made = server.post_with("/api/templates", &[("X-Api-Key", &writer)], &template);
        assert!(matches!(made.status, 200 | 201), "{}", made.text());
        let key = server.cli_json(&["key", "create", "--client", "default"]);
        Self { email: server.send(&email), key: key["id"].as_str().expect("an id").to_owned() }
    }

    /// The path to the first client's thing, and the same to a thing that nobody has.
    fn paths(&self, server: &Server, owner: &str, path: &str) -> (String, String) {
        let id = if path.starts_with("/api/keys/") {
            self.key.clone()
        } else if path.starts_with("/api/emails/") {
            self.email.clone()
        } else {
            // A kind of thing that this journey does not know: one is made by its collection, if it can be guessed how.
            made_by_collection(server, owner, path).unwrap_or_else(|| self.email.clone())
        };
        let filled = |id: &str, code: &str, name: &str, client: &str| {
            let path = path.replace("{code}", code).replace("{name}", name).replace("{client}", client);
            let path = path.replace("{address}", "user@client.com");
            let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
            for part in parts.iter_mut().filter(|part| part.starts_with('{')) {
                id.clone_into(part);
            }
            parts.join("/")
        };
        (filled(&id, "known", "example.com", "default"), filled(NOBODYS, "unknown", "none.example", "nobody"))
    }
}

fn made_by_collection(server: &Server, owner: &str, path: &str) -> Option<String> {
    let collection = path.split("/{").next()?;
    let body = json!({"url": "https://hooks.example.net/posthaste", "events": ["sent"]});
    let answer = server.post_with(collection, &[("X-Api-Key", owner)], &body);
    if answer.status >= 300 {
        return None;
    }
    let body = answer.json();
    let id = body.as_object()?.iter().find(|(name, _)| *name == "id" || name.ends_with("_id"))?;
    id.1.as_str().map(str::to_owned)
}

/// All that the first client can see of its own, and the operator of it.
fn everything(server: &Server, owner: &str, things: &Things) -> Vec<Value> {
    let seen = |path: &str| server.get_with(path, &[("X-Api-Key", owner)]).json();
    vec![
        seen(&format!("/api/emails/{}", things.email)),
        seen("/api/emails?count=true"),
        seen("/api/templates"),
        server.cli_json(&["key", "list"]),
        server.cli_json(&["domain", "list"]),
        server.cli_json(&["client", "list"]),
    ]
}

/// A body that says something, where the endpoint reads one.
fn body(path: &str) -> Value {
    if path.ends_with("/preview") {
        json!({"variables": {"name": "Andi"}})
    } else if path.ends_with("/rotate") {
        json!({"overlap": "1h"})
    } else if path.starts_with("/api/domains/") {
        json!({"bounce_webhook_enabled": false})
    } else if path.starts_with("/api/clients/") {
        json!({"retain_bodies": "7d"})
    } else {
        json!({})
    }
}

/// 403 or 404; where the body is refused first, at least nothing tells the thing from none: but for the names that were
/// asked for, the answers are the same to the byte.
#[track_caller]
fn is_hidden(what: &str, (there, foreign): (&str, &Response), (nowhere, nothing): (&str, &Response)) {
    assert_eq!(foreign.status, nothing.status, "{what}: {} {}", foreign.text(), nothing.text());
    assert!(matches!(foreign.status, 400 | 403 | 404 | 422), "{what}: {} {}", foreign.status, foreign.text());
    let pairs = there.split('/').zip(nowhere.split('/')).filter(|(there, nowhere)| there != nowhere);
    let mut names: Vec<&str> = pairs.flat_map(|(there, nowhere)| [there, nowhere]).collect();
    // `unknown` before the `known` in it.
    names.sort_unstable_by_key(|name| std::cmp::Reverse(name.len()));
    let said = |answer: &Response| {
        let mut body = answer.json();
        if let Some(members) = body.as_object_mut() {
            members.remove("correlation_id");
        }
        names.iter().fold(body.to_string(), |text, name| text.replace(name, "NAME"))
    };
    assert_eq!(said(foreign), said(nothing), "{what}");
}

#[test]
fn a29_no_documented_path_leads_to_another_clients_things() {
    let server = Server::inbox();
    let permissions: Vec<&str> = ALL.iter().flat_map(|name| ["--permission", name]).collect();
    let owner = server.new_key(&[&["--client", "default"], &permissions[..]].concat());
    server.cli_json(&["client", "create", "--name", "other"]);
    let other = server.new_key(&[&["--client", "other"], &permissions[..]].concat());
    let things = Things::make(&server);
    let document = server.get_with("/api/openapi.json", &[("X-Api-Key", NONE)]).expect(200).json();
    let before = everything(&server, &owner, &things);
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        if !path.contains('{') {
            continue;
        }
        let (there, nowhere) = things.paths(&server, &owner, path);
        for (method, described) in methods.as_object().expect("methods") {
            if described["security"].as_array().is_some_and(Vec::is_empty) {
                continue;
            }
            let method = method.to_uppercase();
            let has_body = described["requestBody"].is_object();
            let body = if has_body { body(path).to_string() } else { String::new() };
            let headers = [("X-Api-Key", other.as_str()), ("Content-Type", "application/json")];
            let ask =
                |path: &str| server.try_request(&method, path, &headers, body.as_bytes()).expect("an answer");
            let (foreign, nothing) = (ask(&there), ask(&nowhere));
            is_hidden(&format!("{method} {there}"), (there.as_str(), &foreign), (nowhere.as_str(), &nothing));
            tried += 1;
        }
    }
    assert!(tried >= 14, "only {tried} operations were found");
    assert_eq!(everything(&server, &owner, &things), before, "something was changed");
}

#[test]
fn a29_the_other_doors_hide_other_clients_things_too() {
    let server = Server::inbox();
    let things = Things::make(&server);
    let mail = mail_proxy::token(&server, "other", &["mail:send", "mail:read", "mail:cancel"]);
    let victim = mail_proxy::token(&server, "default", &["mail:send", "mail:read"]);
    oauth::client(&server, "stranger", "abc123", &["basic", "email"]);
    let before = everything(&server, server.key(), &things);
    let email = things.email.as_str();
    for (method, path, id) in [
        ("GET", "/mail/status/", email),
        ("DELETE", "/mail/cancel/", email),
        ("GET", "/auth/token/", victim.id.as_str()),
        ("DELETE", "/auth/token/", victim.id.as_str()),
        ("GET", "/auth/token/", victim.client_id.as_str()),
        ("GET", "/auth/sender-config/", email),
        ("DELETE", "/auth/sender-config/", email),
    ] {
        let ask =
            |id: &str| mail_proxy::call(&server, method, &format!("{path}{id}"), &mail.bearer, &[], None);
        is_hidden(&format!("{method} {path}"), (id, &ask(id)), (NOBODYS, &ask(NOBODYS)));
    }
    let bearer = oauth::bearer(&server, "stranger", "abc123");
    let ask = |id: &str| oauth::get(&server, &bearer, &format!("/emails/{id}"));
    is_hidden("GET /emails/{id}", (email, &ask(email)), (NOBODYS, &ask(NOBODYS)));
    assert_eq!(everything(&server, server.key(), &things), before, "something was changed");
    mail_proxy::get(&server, &victim, &format!("/mail/status/{email}")).expect(200);
}
