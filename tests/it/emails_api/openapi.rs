//! `GET /api/openapi.json` says what the server does: each operation answers as documented, each route is documented.

use serde_json::{Value, json};

use super::email_to;
use crate::harness::browser::make_user;
use crate::harness::server::NONE;
use crate::harness::{Server, ServerOptions, eventually};

/// Where the surface's routes stand.
const ROUTES: [&str; 4] = [
    include_str!("../../../src/surfaces/emails_api/mod.rs"),
    include_str!("../../../src/surfaces/emails_api/admin_calls.rs"),
    include_str!("../../../src/surfaces/emails_api/webhooks.rs"),
    include_str!("../../../src/surfaces/provider_webhooks/mod.rs"),
];
/// Owns the event that is made.
const ORGANIZER: &str = "organizer@example.com";
/// The tag of what providers call, without a key and without a limit.
const NEWS: [&str; 1] = ["news"];
/// The style of a page, and what answers 404.
const UNDOCUMENTED: [&str; 2] = ["/api/docs.css", "/api/{*rest}"];

struct Documented {
    document: Value,
    server: Server,
    admin: String,
}

impl Documented {
    fn start() -> Self {
        let server = Server::start(ServerOptions::default().env("WEBHOOKS_ALLOW_PRIVATE", "true"));
        let admin = server.new_key(&["--client", "default", "--permission", "admin"]);
        make_user(&server, ORGANIZER, "eo");
        let document = server.get_with("/api/openapi.json", &[("X-Api-Key", NONE)]).expect(200).json();
        Self { document, server, admin }
    }

    /// Every operation: method, path, description.
    fn operations(&self) -> Vec<(String, String, &Value)> {
        let paths = self.document["paths"].as_object().expect("paths");
        let of_path = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods");
            methods.iter().map(move |(method, described)| (method.to_uppercase(), path.clone(), described))
        });
        of_path.collect()
    }

    /// Sends a request and says what of its answer is not as documented.
    fn answers(
        &self,
        method: &str,
        path: &str,
        described: &Value,
        key: &str,
        body: &str,
    ) -> (u16, Option<String>) {
        let headers = [("X-Api-Key", key), ("Content-Type", "application/json")];
        let answer = self.server.try_request(method, path, &headers, body.as_bytes()).expect("an answer");
        let status = answer.status;
        let told = |fault: String| (status, Some(format!("{method} {path} {body}: {status}: {fault}")));
        let documented = &described["responses"][status.to_string()];
        if documented.is_null() {
            return told(format!("is not documented: {}", answer.text()));
        }
        for name in documented["headers"].as_object().expect("heads").keys() {
            if answer.header(name).is_none() && name != "Idempotency-Replayed" {
                return told(format!("{name} is missing"));
            }
        }
        let Some(content) = documented["content"].as_object() else {
            return if answer.body.is_empty() { (status, None) } else { told("has a body".into()) };
        };
        let media = answer.header("content-type").unwrap_or_default().split(';').next().unwrap_or_default();
        let Some(shape) = content.get(media) else { return told(format!("the media type {media}")) };
        if !media.ends_with("json") {
            return (status, None);
        }
        let mut schema = shape["schema"].clone();
        schema["components"] = self.document["components"].clone();
        let schema = jsonschema::validator_for(&schema).expect("a schema");
        let faults: Vec<String> = schema.iter_errors(&answer.json()).map(|fault| fault.to_string()).collect();
        if faults.is_empty() { (status, None) } else { told(format!("{faults:?} in {}", answer.text())) }
    }
}

/// A request that succeeds, by operation; `{}` stands for an id made before.
fn success(id: &str) -> Option<String> {
    let body = match id {
        "sendEmail" => email_to("user@client.com", "x"),
        "sendBatch" => json!({"emails": [email_to("user@client.com", "x"), {"to": "nobody"}]}),
        "putTemplate" => json!({"code": "fresh", "subject": "s", "text": "t"}),
        "previewTemplate" => json!({"variables": {"name": "Andi"}}),
        "createClient" => json!({"name": "fresh"}),
        "changeClient" => json!({"retain_bodies": "7d", "retain_records": null}),
        "createEoEvent" => json!({"name": "Concert", "owner": ORGANIZER}),
        "createKey" => json!({"client": "default", "mode": "test", "rate_limit": "5/min"}),
        "rotateKey" | "rotateWebhook" => json!({"overlap": "1h"}),
        "createDomain" => json!({"name": "fresh.example", "default_from": "a@fresh.example"}),
        "createWebhook" => json!({"url": "https://example.com/hook", "events": ["email.sent"]}),
        "changeWebhook" => json!({"events": ["*"]}),
        "addSuppression" => json!({"email": "fresh@client.com", "reason": "asked to"}),
        "changeDomain" => json!({"bounce_webhook_enabled": false}),
        _ => return None,
    };
    Some(body.to_string())
}

/// What stands behind each path's parameter.
struct Made {
    email: String,
    key: String,
    webhook: String,
    delivery: String,
}

impl Made {
    fn path(&self, path: &str, operation: &str) -> String {
        let id = match path {
            _ if path.starts_with("/api/keys") => &self.key,
            _ if path.starts_with("/api/webhooks") => &self.webhook,
            _ => &self.email,
        };
        let path = path.replace("{delivery}", &self.delivery);
        let path = path.replace("{id}", id).replace("{code}", "known").replace("{name}", "example.com");
        // As what is there and what is not: by its name, and by an id.
        let client = if self.email == self.key { &self.key } else { "default" };
        let path = path.replace("{client}", client);
        let path = path.replace("{address}", "gone@client.com");
        let listed = if self.email == self.key { "nobody@client.com" } else { "listed@client.com" };
        let path = path.replace("{email}", listed);
        if operation == "getEmail" { format!("{path}?wait=1s") } else { path }
    }
}

/// What the operations are asked about; made anew for each, as some of them take it away.
fn make(documented: &Documented) -> Made {
    let server = &documented.server;
    let admin = [("X-Api-Key", documented.admin.as_str())];
    let template = json!({"code": "known", "subject": "Hi {{name}}", "html": "<p>{{name}}</p>"});
    let answer = server.post_with("/api/templates", &admin, &template);
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
    let key = server.post_with("/api/keys", &admin, &json!({"client": "default"})).expect(201).json();
    server.post_with("/api/suppressions", &admin, &json!({"email": "listed@client.com"}));
    let mut email = email_to("user@client.com", "x");
    email["send_at"] = json!(crate::harness::soon(std::time::Duration::from_secs(3600)));
    let (webhook, delivery) = told(documented);
    let key = key["id"].as_str().expect("an id").to_owned();
    Made { email: server.send(&email), key, webhook, delivery }
}

/// A webhook that cannot be reached, and its delivery that has ended.
fn told(documented: &Documented) -> (String, String) {
    let server = &documented.server;
    let hook = json!({"url": "http://127.0.0.1:1024/", "events": ["email.clicked"]});
    let hook =
        server.post("/api/webhooks", &hook).expect(201).json()["id"].as_str().expect("an id").to_owned();
    let test = server.post(&format!("/api/webhooks/{hook}/test"), &json!({})).expect(202).json();
    eventually("the test call has failed", || {
        let log = server.get(&format!("/api/webhooks/{hook}/deliveries")).expect(200).json();
        (log["data"][0]["status"] == "failed").then_some(())
    });
    (hook, test["id"].as_str().expect("an id").to_owned())
}

#[test]
fn each_operation_answers_as_documented() {
    let documented = Documented::start();
    let mut wrong = Vec::new();
    for (method, path, described) in documented.operations() {
        let operation = described["operationId"].as_str().expect("an id");
        if operation == "streamEvents" {
            continue; // Never ends; stream.rs reads it.
        }
        let made = make(&documented);
        let body = success(operation).unwrap_or_default();
        let there = made.path(&path, operation);
        let mut judge = |wanted: Option<u16>, key: &str, path: &str, body: &str| {
            let (status, fault) = documented.answers(&method, path, described, key, body);
            wrong.extend(fault);
            if wanted.is_some_and(|wanted| wanted != status) {
                wrong.push(format!("{method} {path} {body}: {status}, not {wanted:?}"));
            }
        };
        if described["tags"] == json!(NEWS) {
            // By a provider's key alone; tests/it/news signs.
            judge(Some(401), NONE, &there, "[]");
            judge(Some(401), NONE, &there, "{");
            continue;
        }
        let first = described["responses"].as_object().expect("answers").keys().find(|s| s.starts_with('2'));
        let first = first.and_then(|status| status.parse().ok());
        // A template by a code that is there already is 200, and a dry run has a test of its own.
        let first = if matches!(operation, "sendEmail" | "putTemplate") { None } else { first };
        judge(first, &documented.admin, &there, &body);
        let is_open = described["security"].as_array().is_some_and(Vec::is_empty);
        if !is_open {
            judge(Some(401), NONE, &there, &body);
            judge(Some(401), "ph_live_nonsense", &there, &body);
        }
        if path.contains('{') && operation != "eraseRecipient" {
            let other = uuid::Uuid::now_v7().to_string();
            let nothing =
                Made { email: other.clone(), key: other.clone(), webhook: other.clone(), delivery: other };
            let nowhere =
                nothing.path(&path, operation).replace("known", "none").replace("example.com", "b.c");
            judge(Some(404), &documented.admin, &nowhere, &body);
            let undecodable = path.replace("{id}", "%ff").replace("{code}", "%ff").replace("{name}", "%ff");
            let undecodable = undecodable.replace("{client}", "%ff").replace("{delivery}", "%ff");
            let undecodable = undecodable.replace("{email}", "%ff");
            judge(Some(404), &documented.admin, &undecodable, &body);
        }
        if described["requestBody"].is_object() {
            judge(Some(400), &documented.admin, &there, "{");
            judge(Some(422), &documented.admin, &there, r#"{"surprise":1}"#);
            judge(Some(422), &documented.admin, &there, "[]");
        }
        let Some(parameters) = described["parameters"].as_array() else { continue };
        if parameters.iter().any(|one| one["in"] == "query") {
            let (path, _) = there.split_once('?').unwrap_or((&there, ""));
            judge(None, &documented.admin, &format!("{path}?surprise=1"), &body);
        }
    }
    assert!(wrong.is_empty(), "{} answers:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_key_without_the_permission_is_403_everywhere() {
    let documented = Documented::start();
    let key = |word| documented.server.new_key(&["--client", "default", "--permission", word]);
    let (webhooks, templates) = (key("webhooks:write"), key("templates:write"));
    let made = make(&documented);
    for (method, path, described) in documented.operations() {
        if described["security"].as_array().is_some_and(Vec::is_empty) {
            continue;
        }
        let there = made.path(&path, "");
        // Before the body is looked at: it need not be right.
        let is_of_webhooks = described["description"] == "Needs the permission `webhooks:write`.";
        let powerless = if is_of_webhooks { &templates } else { &webhooks };
        let (status, fault) = documented.answers(&method, &there, described, powerless, "{");
        assert_eq!((status, fault), (403, None), "{method} {there}");
    }
}

#[test]
fn each_route_is_documented_and_other_methods_are_405() {
    let documented = Documented::start();
    let paths = documented.document["paths"].as_object().expect("paths");
    let routes = ROUTES.iter().flat_map(|text| text.split(".route(\"").skip(1));
    let mut count = 0;
    for route in routes.filter_map(|rest| rest.split('"').next()) {
        assert!(paths.contains_key(route) || UNDOCUMENTED.contains(&route), "{route} is not documented");
        count += 1;
    }
    assert_eq!(count, paths.len() + UNDOCUMENTED.len(), "a documented path has no route");
    let made = make(&documented);
    for (path, methods) in paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if methods.get(method.to_lowercase()).is_some() {
                continue;
            }
            let there = made.path(path, "");
            let answer = documented.server.try_request(method, &there, &[], b"{}").expect("an answer");
            assert_eq!(answer.status, 405, "{method} {there}");
            assert_eq!(answer.json()["code"], "method_not_allowed");
            assert!(answer.header("x-ratelimit-limit").is_some(), "{method} {there}");
        }
    }
}

#[test]
fn the_page_names_each_operation_and_runs_nothing() {
    let documented = Documented::start();
    let page = documented.server.get_with("/api/docs", &[("X-Api-Key", NONE)]).expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let text = page.text();
    for (_, _, described) in documented.operations() {
        let id = described["operationId"].as_str().expect("an id");
        assert!(text.contains(&format!("id=\"{id}\"")), "{id}");
    }
    assert!(!text.contains("<script"), "a script");
    documented.server.get_with("/api/docs.css", &[("X-Api-Key", NONE)]).expect(200);
}
