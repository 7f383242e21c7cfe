//! The operator's calls: clients, keys, domains, the audit, erasing a person; and that nobody else may make them.

use serde_json::{Value, json};

use crate::emails_api::email_to;
use crate::harness::browser::{make_event, make_user};
use crate::harness::{Response, Server};

/// A server with an admin's key.
struct Operated {
    server: Server,
    key: String,
}

impl Operated {
    fn start() -> Self {
        let server = Server::inbox();
        let key = server.new_key(&["--client", "default", "--permission", "admin"]);
        Self { server, key }
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, body: &Value) -> Response {
        self.call_as(&self.key, method, path, body)
    }

    #[track_caller]
    fn call_as(&self, key: &str, method: &str, path: &str, body: &Value) -> Response {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("X-Api-Key", key), ("Content-Type", "application/json")];
        self.server.try_request(method, path, &headers, body.as_bytes()).expect("an answer")
    }

    #[track_caller]
    fn fields_at_fault(&self, path: &str, body: &Value) -> Vec<(String, String)> {
        let problem = self.call("POST", path, body).expect(422).json();
        let errors = problem["errors"].as_array().expect("errors").iter();
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        errors.map(|error| (text(&error["field"]), text(&error["code"]))).collect()
    }
}

#[test]
fn a_client_a_key_and_a_domain_are_made_and_used() {
    let it = Operated::start();
    let client =
        it.call("POST", "/api/clients", &json!({"name": "Shop", "department": "Sales"})).expect(201).json();
    assert_eq!(client["name"], "Shop");
    assert_eq!(client["is_active"], true);
    let again = it.call("POST", "/api/clients", &json!({"name": "Shop"})).expect(409).json();
    assert_eq!(again["code"], "conflict");
    let domain = json!({"name": "shop.example", "client": "Shop", "default_from": "Shop <hi@shop.example>"});
    let domain = it.call("POST", "/api/domains", &domain).expect(201).json();
    assert_eq!(domain["bounce_webhook_enabled"], true);

    let asked = json!({
        "client": client["id"], "name": "web", "domain": "shop.example", "rate_limit": "5/min",
        "permissions": ["emails:send", "emails:read"],
    });
    let made = it.call("POST", "/api/keys", &asked).expect(201).json();
    let key = made["key"].as_str().expect("the key");
    assert_eq!(
        (&made["domain"], &made["rate_limit"], &made["mode"]),
        (&json!("shop.example"), &json!("5/min"), &json!("live"))
    );
    let sent = json!({"to": "a@b.com", "subject": "Hi", "text": "Hi"});
    let accepted = it.call_as(key, "POST", "/api/emails", &sent).expect(202);
    assert_eq!(accepted.header("x-ratelimit-limit"), Some("5"));
    let foreign = json!({"from": "me@example.com", "to": "a@b.com", "subject": "Hi", "text": "Hi"});
    it.call_as(key, "POST", "/api/emails", &foreign).expect(422);

    let changed =
        it.call("PATCH", "/api/domains/shop.example", &json!({"default_from": null})).expect(200).json();
    assert_eq!(changed["default_from"], Value::Null);
    it.call_as(key, "POST", "/api/emails", &sent).expect(422);
    for (path, name) in [("/api/clients", "Shop"), ("/api/keys", "web"), ("/api/domains", "shop.example")] {
        let list = it.call("GET", path, &Value::Null).expect(200);
        assert!(!list.text().contains(key), "{path} shows a key");
        assert!(
            list.json()["data"].as_array().expect("a list").iter().any(|one| one["name"] == name),
            "{path}"
        );
    }
}

#[test]
fn only_an_admin_may_and_no_other_permission_becomes_one() {
    let it = Operated::start();
    let calls = [
        ("GET", "/api/clients"),
        ("POST", "/api/clients"),
        ("GET", "/api/keys"),
        ("POST", "/api/keys"),
        ("POST", "/api/keys/0192f0c1-0000-7000-8000-000000000000/rotate"),
        ("DELETE", "/api/keys/0192f0c1-0000-7000-8000-000000000000"),
        ("GET", "/api/domains"),
        ("POST", "/api/domains"),
        ("PATCH", "/api/domains/example.com"),
        ("GET", "/api/audit"),
        ("DELETE", "/api/recipients/a@b.com"),
    ];
    let strongest = it.server.new_key(&[
        "--client",
        "default",
        "--permission",
        "emails:send",
        "--permission",
        "emails:read",
        "--permission",
        "emails:cancel",
        "--permission",
        "templates:write",
        "--permission",
        "webhooks:write",
    ]);
    for (method, path) in calls {
        let body = if matches!(method, "POST" | "PATCH") { json!({}) } else { Value::Null };
        let refused = it.call_as(&strongest, method, path, &body).expect(403).json();
        assert_eq!(refused["code"], "forbidden", "{method} {path}");
        it.call_as("ph_live_nonsense", method, path, &body).expect(401);
    }
}

#[test]
fn unknown_and_wrong_fields_are_all_named() {
    let it = Operated::start();
    let body = json!({"name": 7, "is_active": false, "id": "x"});
    assert_eq!(
        it.fields_at_fault("/api/clients", &body),
        [
            ("/name".to_owned(), "invalid_type".to_owned()),
            ("/is_active".to_owned(), "unknown_field".to_owned()),
            ("/id".to_owned(), "unknown_field".to_owned()),
        ]
    );
    let body = json!({
        "client": "default", "mode": "prod", "permissions": ["emails:send", "root"], "rate_limit": "lots",
        "expires_at": "tomorrow", "key_hash": "0",
    });
    let fields: Vec<String> =
        it.fields_at_fault("/api/keys", &body).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["/mode", "/permissions/1", "/rate_limit", "/expires_at", "/key_hash"]);
    let past = json!({"client": "Nobody", "expires_at": "2001-01-01T00:00:00Z", "domain": "no domain"});
    let fields: Vec<String> =
        it.fields_at_fault("/api/keys", &past).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["/client", "/expires_at", "/domain"]);
    it.call("POST", "/api/keys", &json!({"client": "default", "permissions": []})).expect(422);
    let foreign = json!({"name": "a.example", "default_from": "x@b.example"});
    assert_eq!(
        it.fields_at_fault("/api/domains", &foreign),
        [("/default_from".to_owned(), "from_domain_mismatch".to_owned())]
    );
    it.call("PATCH", "/api/domains/none.example", &json!({"bounce_webhook_enabled": false})).expect(404);
    it.call("POST", "/api/keys/7/rotate", &json!({})).expect(404);
}

#[test]
fn a_key_is_rotated_and_revoked() {
    let it = Operated::start();
    let made = it.call("POST", "/api/keys", &json!({"client": "default"})).expect(201).json();
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    let send = |key: &str| it.call_as(key, "POST", "/api/emails", &email_to("a@b.com", "x"));
    let rotated =
        it.call("POST", &format!("/api/keys/{id}/rotate"), &json!({"overlap": "0s"})).expect(201).json();
    send(key).expect(401);
    let (new_id, new_key) = (rotated["id"].as_str().expect("an id"), rotated["key"].as_str().expect("a key"));
    send(new_key).expect(202);
    it.call("DELETE", &format!("/api/keys/{new_id}"), &Value::Null).expect(204);
    send(new_key).expect(401);
    it.call("POST", &format!("/api/keys/{new_id}/rotate"), &json!({})).expect(409);
}

#[test]
fn the_audit_says_who_did_what_from_where() {
    let it = Operated::start();
    it.call("POST", "/api/clients", &json!({"name": "Shop"})).expect(201);
    let page = it.call("GET", "/api/audit?limit=1", &Value::Null).expect(200).json();
    let entry = &page["data"][0];
    assert_eq!(entry["action"], "client.create");
    assert_eq!(entry["actor"]["kind"], "api");
    assert_eq!(entry["actor"]["address"], "127.0.0.1");
    let before = page["next_before"].as_i64().expect("more");
    let next =
        it.call("GET", &format!("/api/audit?before={before}&limit=100"), &Value::Null).expect(200).json();
    assert!(next["data"].as_array().is_some_and(|rows| rows.iter().any(|row| row["actor"]["kind"] == "cli")));
    assert_eq!(next["next_before"], Value::Null);
    it.call("GET", "/api/audit?limit=0", &Value::Null).expect(422);
    it.call("GET", "/api/audit?sort=asc", &Value::Null).expect(422);
}

#[test]
fn a_person_is_erased_and_it_is_said_what_went() {
    let it = Operated::start();
    let id = it.server.send(&email_to("Person@Client.com", "private"));
    it.server.wait_status(&id, "sent");
    let erased = it.call("DELETE", "/api/recipients/person@client.com", &Value::Null).expect(200).json();
    assert_eq!((&erased["emails"], &erased["inbox_messages"]), (&json!(1), &json!(1)), "{erased}");
    let shown = it.server.email(&id).to_string().to_ascii_lowercase();
    assert!(!shown.contains("person@client.com"), "{shown}");
    let again = it.call("DELETE", "/api/recipients/person@client.com", &Value::Null).expect(200).json();
    assert_eq!(again["emails"], 0);
    it.call("DELETE", "/api/recipients/nobody", &Value::Null).expect(422);
}

#[test]
fn a_client_may_keep_its_email_longer_or_shorter() {
    let it = Operated::start();
    let asked = json!({"name": "Shop", "retain_bodies": "7d", "retain_records": "90d"});
    let client = it.call("POST", "/api/clients", &asked).expect(201).json();
    assert_eq!((&client["retain_bodies"], &client["retain_records"]), (&json!("7d"), &json!("90d")));
    let default = it.call("GET", "/api/clients", &Value::Null).expect(200).json()["data"][0].clone();
    assert_eq!((&default["retain_bodies"], &default["retain_records"]), (&Value::Null, &Value::Null));
    let path = "/api/clients/Shop";
    let changed = it.call("PATCH", path, &json!({"retain_bodies": "36h"})).expect(200).json();
    assert_eq!((&changed["retain_bodies"], &changed["retain_records"]), (&json!("36h"), &json!("90d")));
    let back = it.call("PATCH", path, &json!({"retain_records": null})).expect(200).json();
    assert_eq!((&back["retain_bodies"], &back["retain_records"]), (&json!("36h"), &Value::Null));
    for (change, field, code) in [
        (json!({"retain_bodies": "soon"}), "/retain_bodies", "invalid_value"),
        (json!({"retain_bodies": 7}), "/retain_bodies", "invalid_type"),
        (json!({"retain_bodies": "0s"}), "/retain_bodies", "out_of_range"),
        (json!({"retain_records": "1h"}), "/retain_bodies", "out_of_range"),
        (json!({"name": "Other"}), "/name", "unknown_field"),
    ] {
        let problem = it.call("PATCH", path, &change).expect(422).json();
        let fault = &problem["errors"][0];
        assert_eq!((&fault["field"], &fault["code"]), (&json!(field), &json!(code)), "{change}");
    }
    it.call("PATCH", "/api/clients/nobody", &json!({})).expect(404);
    let actions = it.call("GET", "/api/audit", &Value::Null).expect(200).json()["data"].to_string();
    assert!(actions.contains("client.retention"), "{actions}");

    // The command line says the same.
    let set = it.server.cli_json(&[
        "client",
        "set",
        "Shop",
        "--retain-bodies",
        "default",
        "--retain-records",
        "2d",
    ]);
    assert_eq!((&set["retain_bodies"], &set["retain_records"]), (&Value::Null, &json!("2d")));
    let made = ["client", "create", "--name", "Desk", "--retain-bodies", "3d", "--retain-records", "2d"];
    assert!(!it.server.cli(&made).status.success(), "a body cannot outlive its record");
    assert!(!it.server.cli(&["client", "set", "Shop"]).status.success(), "nothing to change");
}

#[test]
fn a_client_is_switched_off_and_on_and_a_domain_and_an_event_are_taken_away() {
    let it = Operated::start();
    it.call("POST", "/api/clients", &json!({"name": "Shop"})).expect(201);
    it.call("POST", "/api/domains", &json!({"name": "shop.example", "client": "Shop"})).expect(201);
    let asked = json!({"client": "Shop", "permissions": ["emails:send"]});
    let key = it.call("POST", "/api/keys", &asked).expect(201).json()["key"].as_str().expect("it").to_owned();
    let email = json!({"from": "a@shop.example", "to": "b@client.com", "subject": "s", "text": "t"});
    let send = |status: u16| it.call_as(&key, "POST", "/api/emails", &email).expect(status);
    send(202);
    let revoked = it.server.cli_json(&["client", "revoke", "Shop"]);
    assert_eq!(revoked["revoked"], true);
    send(401);
    let shown = it.server.cli_json(&["client", "show", "Shop"]);
    assert_eq!((&shown["client_id"], &shown["is_active"]), (&revoked["client_id"], &json!(false)));
    it.call("PATCH", "/api/clients/Shop", &json!({"is_active": true})).expect(200);
    send(202);
    it.call("PATCH", "/api/clients/Shop", &json!({"is_active": false})).expect(200);
    send(401);
    assert_eq!(it.server.cli_json(&["client", "set", "Shop", "--active", "true"])["is_active"], true);
    send(202);
    // Whoever asks would shut itself out.
    let own = it.call("PATCH", "/api/clients/default", &json!({"is_active": false})).expect(409).json();
    assert_eq!(own["code"], "conflict");

    // Without any domain it might send from all.
    let last = it.server.cli(&["domain", "revoke", "shop.example"]);
    assert!(!last.status.success() && String::from_utf8_lossy(&last.stderr).contains("the last domain"));
    it.call("POST", "/api/domains", &json!({"name": "other.example", "client": "Shop"})).expect(201);
    let gone = it.server.cli_json(&["domain", "revoke", "shop.example"]);
    assert_eq!((&gone["name"], &gone["revoked"]), (&json!("shop.example"), &json!(true)));
    send(422);
    assert!(!it.server.cli(&["domain", "revoke", "shop.example"]).status.success(), "it is gone");

    make_user(&it.server, "eo@example.com", "eo");
    let event = make_event(&it.server, "Konser", "eo@example.com");
    assert_eq!(it.server.cli_json(&["event", "revoke", &event.to_string()])["revoked"], true);
    assert!(!it.server.cli(&["event", "show", &event.to_string()]).status.success(), "it is gone");
    let actions = it.call("GET", "/api/audit", &Value::Null).expect(200).json()["data"].to_string();
    for action in ["client.revoke", "client.activate", "domain.remove", "eo_event.remove"] {
        assert!(actions.contains(action), "{action}: {actions}");
    }
}
