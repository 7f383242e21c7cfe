//! `/auth/sender-config*`, and the organization's own domains.

use super::{Token, call, delete, error, get, mail, post, token};
use crate::emails_api::with;
use crate::harness::{Relay, Server, ServerOptions, embedded_only, eventually};
use serde_json::{Value, json};

const SECRET: &str = "your-client-secret";

fn organization() -> Server {
    Server::start(ServerOptions::default().env("ORG_DOMAINS", "ptc-nec.com.tw, org.example"))
}

fn config() -> Value {
    json!({
        "sender_email": "noreply@ptc-nec.com.tw", "ms_tenant_id": "tenant", "ms_client_id": "application",
        "ms_client_secret": SECRET,
    })
}

fn put(server: &Server, token: &Token, path: &str, body: &Value) -> crate::harness::Response {
    call(server, "PUT", path, &token.bearer, &[], Some(body))
}

#[test]
fn the_encryption_key_can_be_rotated() {
    embedded_only!("it rotates the key that the data directory keeps");
    const NEW: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let mut server = organization();
    let admin = token(&server, "Accounting", &["admin"]);
    let made = post(&server, &admin, "/auth/sender-config", &config()).expect(201).json();
    let path = format!("/auth/sender-config/{}", made["data"]["id"].as_str().expect("an id"));
    let mask = |server: &Server| {
        get(server, &admin, &path).expect(200).json()["data"]["ms_client_secret_masked"].clone()
    };
    let kept = std::fs::read_to_string(server.data().join("secrets/encryption.key")).expect("a key");
    server.restart_with(|options| options.env("ENCRYPTION_KEY", format!("{NEW},{}", kept.trim())));
    assert_eq!(mask(&server), "your****cret", "sealed before");
    put(&server, &admin, &path, &json!({"ms_client_secret": "another-client-secret"})).expect(200);
    server.restart_with(|options| options.env("ENCRYPTION_KEY", NEW));
    assert_eq!(mask(&server), "anot****cret", "sealed anew");
}

#[test]
fn a_config_lives_as_documented_and_its_secret_never_comes_back() {
    let server = organization();
    let admin = token(&server, "Accounting", &["admin"]);
    let made = post(&server, &admin, "/auth/sender-config", &config()).expect(201);
    assert!(!made.text().contains(SECRET));
    let made = made.json();
    let (id, created_at) = (&made["data"]["id"], &made["data"]["created_at"]);
    let data = json!({
        "id": id, "sender_email": "noreply@ptc-nec.com.tw", "ms_tenant_id": "tenant",
        "ms_client_id": "application", "ms_client_secret_masked": "your****cret", "is_active": true,
        "created_at": created_at,
    });
    assert_eq!(made, json!({"success": true, "data": data}));
    let path = format!("/auth/sender-config/{}", id.as_str().expect("an id"));
    assert_eq!(get(&server, &admin, &path).expect(200).json(), made);
    let list = get(&server, &admin, "/auth/sender-configs").expect(200).json();
    assert_eq!(list, json!({"success": true, "total": 1, "data": [data]}));
    let again = with(config(), json!({"sender_email": "NoReply@ptc-nec.com.tw"}));
    assert_eq!(
        error(&post(&server, &admin, "/auth/sender-config", &again)),
        (409, "sender_config_exists".into())
    );
    let patch = json!({"ms_client_secret": "short", "is_active": false, "sender_email": "x@org.example"});
    let changed = put(&server, &admin, &path, &patch).expect(200).json();
    let expected = with(data, json!({"ms_client_secret_masked": "****", "is_active": false}));
    assert_eq!(changed, json!({"success": true, "data": expected}));
    for (body, code) in [
        (json!({"ms_tenant_id": ""}), "missing_field"),
        (json!({"ms_client_id": 1}), "invalid_request"),
        (json!({"is_active": "no"}), "invalid_request"),
        (json!({"ms_client_secret": "a\u{0}b"}), "invalid_request"),
        (json!([]), "invalid_request"),
    ] {
        assert_eq!(error(&put(&server, &admin, &path, &body)), (400, code.into()), "{body}");
    }
    let gone = delete(&server, &admin, &path).expect(200).json();
    assert_eq!(gone, json!({"success": true, "message": "Sender config 已刪除"}));
    for answer in
        [get(&server, &admin, &path), delete(&server, &admin, &path), put(&server, &admin, &path, &json!({}))]
    {
        assert_eq!(error(&answer), (404, "sender_config_not_found".into()));
    }
    for file in ["posthaste.db", "posthaste.db-wal"] {
        let bytes = std::fs::read(server.data().join(file)).unwrap_or_default();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()), "{file}");
    }
    assert!(!server.stderr().contains(SECRET));
}

#[test]
fn bad_configs_have_their_codes() {
    let server = organization();
    let admin = token(&server, "Accounting", &["admin"]);
    for (patch, code) in [
        (json!({"sender_email": null}), "missing_field"),
        (json!({"ms_tenant_id": null}), "missing_field"),
        (json!({"ms_client_id": ""}), "missing_field"),
        (json!({"ms_client_secret": null}), "missing_field"),
        (json!({"ms_client_secret": 7}), "invalid_request"),
        (json!({"sender_email": "nobody"}), "invalid_email"),
        (json!({"sender_email": "a@example.com"}), "invalid_sender_domain"),
        (json!({"sender_email": "a@sub.org.example"}), "invalid_sender_domain"),
        (json!({"sender_email": "a@evil-org.example"}), "invalid_sender_domain"),
    ] {
        let answer = post(&server, &admin, "/auth/sender-config", &with(config(), patch.clone()));
        assert_eq!(error(&answer), (400, code.into()), "{patch}: {}", answer.text());
    }
}

#[test]
fn a29_another_clients_config_is_not_there_and_it_may_have_its_own() {
    let server = organization();
    let (ours, theirs) = (token(&server, "A", &["admin"]), token(&server, "B", &["admin"]));
    let made = post(&server, &ours, "/auth/sender-config", &config()).expect(201).json();
    let path = format!("/auth/sender-config/{}", made["data"]["id"].as_str().expect("an id"));
    let nothing = get(&server, &theirs, "/auth/sender-config/0192f0c1-d2a3-7000-8000-000000000000");
    assert_eq!(error(&nothing), (404, "sender_config_not_found".into()));
    assert_eq!(get(&server, &theirs, &path).body, nothing.body);
    assert_eq!(put(&server, &theirs, &path, &json!({"is_active": false})).body, nothing.body);
    assert_eq!(delete(&server, &theirs, &path).body, nothing.body);
    post(&server, &theirs, "/auth/sender-config", &config()).expect(201);
    assert_eq!(get(&server, &ours, &path).expect(200).json(), made);
}

#[test]
fn an_organization_address_needs_its_clients_active_config() {
    let relay = Relay::accepting();
    let server = Server::start(
        ServerOptions::to_relay(&relay)
            .env("ORG_DOMAINS", "org.example")
            // Nobody listens there.
            .env("MICROSOFT_LOGIN_URL", "http://127.0.0.1:1"),
    );
    let admin = token(&server, "Accounting", &["admin"]);
    let send = |from: &str| post(&server, &admin, "/mail/send", &with(mail(), json!({"from": from})));
    let refused = (400, "sender_not_configured".to_owned());
    assert_eq!(error(&send("ann@org.example")), refused);
    let other = token(&server, "Other", &["admin"]);
    let own = with(config(), json!({"sender_email": "ann@org.example"}));
    post(&server, &other, "/auth/sender-config", &own).expect(201);
    assert_eq!(error(&send("ann@org.example")), refused, "another client's config is no config");
    let made = post(&server, &admin, "/auth/sender-config", &own).expect(201).json();
    assert_eq!(error(&send("bob@org.example")), refused, "each address has its own");
    let path = format!("/auth/sender-config/{}", made["data"]["id"].as_str().expect("an id"));
    put(&server, &admin, &path, &json!({"is_active": false})).expect(200);
    assert_eq!(error(&send("ann@org.example")), refused, "an inactive config is no config");
    put(&server, &admin, &path, &json!({"is_active": true})).expect(200);
    let id = send("Ann <Ann@ORG.example>").expect(200).json()["mail_id"].as_str().expect("an id").to_owned();
    // It waits for Microsoft Graph and goes no other way.
    let waiting = eventually("the mail says what it waits for", || {
        let status = get(&server, &admin, &format!("/mail/status/{id}")).expect(200).json();
        (status["error_message"] != "").then_some(status)
    });
    assert_eq!(waiting["status"], "queued");
    let message = waiting["error_message"].as_str().expect("a text");
    assert!(message.contains("Microsoft"), "{message}");
    send("a@accounting.example").expect(200);
    assert_eq!(relay.wait_for(1).len(), 1, "other domains go out as always");
}
