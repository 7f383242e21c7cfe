//! The command line: what each command prints, how it ends, and that a running server hears of it at once.

use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use crate::emails_api::{email_to, with};
use crate::harness::browser::make_user;
use crate::harness::{Server, ServerOptions, embedded_only, eventually, http};

fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// Exit code 1, the reason on standard error, nothing on standard output.
#[track_caller]
fn refused(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(told.starts_with("posthaste: "), "{told}");
    told
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[test]
fn an_installation_is_prepared_before_any_server_ran() {
    let mut server = Server::prepare(ServerOptions::default());
    let client = server.cli_json(&["client", "create", "--name", "Tickets", "--department", "Sales"]);
    assert_eq!(members(&client), ["client_id", "name"]);
    let key = server.cli_json(&["key", "create", "--client", "Tickets", "--rate-limit", "60/min"]);
    assert_eq!(members(&key), ["client_id", "id", "key"]);
    assert_eq!(key["client_id"], client["client_id"]);
    let domain = server.cli_json(&[
        "domain",
        "create",
        "example.com",
        "--client",
        "Tickets",
        "--default-from",
        "Shop <shop@example.com>",
    ]);
    assert_eq!(members(&domain), ["id", "name"]);
    assert_eq!(mode(&server.data()), 0o700);

    server.spawn();
    server.wait_ready();
    let key = key["key"].as_str().expect("a key");
    let email = json!({"domain": "example.com", "to": "user@client.com", "subject": "Hi", "text": "Hi"});
    let accepted = server.post_with("/api/emails", &[("X-Api-Key", key)], &email).expect(202);
    assert_eq!(accepted.header("x-ratelimit-limit"), Some("60"));
    let id = accepted.json()["email_id"].clone();
    let path = format!("/api/emails/{}", id.as_str().expect("an id"));
    let shown = server.get_with(&path, &[("X-Api-Key", key)]).expect(200).json();
    assert_eq!(shown["from"], "Shop <shop@example.com>");
}

#[test]
fn an_event_made_before_any_server_ran_belongs_to_the_default_client() {
    let mut server = Server::prepare(ServerOptions::default());
    server.cli_json(&["client", "create", "--name", "Tickets"]);
    make_user(&server, "organizer@example.com", "eo");
    let event =
        server.cli_json(&["event", "create", "--name", "Concert", "--owner", "organizer@example.com"]);
    assert_eq!(members(&event), ["id", "name"]);

    server.spawn();
    server.wait_ready();
    eventually("the first start makes its key all the same", || {
        server.stdout().contains("ph_live_").then_some(())
    });
    let key = server.new_key(&["--client", "default"]);
    let email = with(email_to("user@client.com", "x"), json!({"event_id": event["id"]}));
    server.post_with("/api/emails", &[("X-Api-Key", &key)], &email).expect(202);
    let other = server.new_key(&["--client", "Tickets"]);
    server.post_with("/api/emails", &[("X-Api-Key", &other)], &email).expect(422);
}

#[test]
fn changes_hold_at_once_on_a_running_server() {
    let server = Server::inbox();
    let made = server.cli_json(&["key", "create", "--client", "default", "--permission", "emails:send"]);
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    let send = |key: &str| server.post_with("/api/emails", &[("X-Api-Key", key)], &email_to("a@b.com", "x"));
    send(key).expect(202);
    let reading = server.get_with("/api/emails", &[("X-Api-Key", key)]);
    reading.expect(403);

    let rotated = server.cli_json(&["key", "rotate", id, "--overlap", "1h"]);
    assert_eq!(members(&rotated), ["client_id", "id", "key", "replaces"]);
    let new_key = rotated["key"].as_str().expect("a key");
    send(key).expect(202);
    send(new_key).expect(202);

    let revoked = server.cli_json(&["key", "revoke", id]);
    assert_eq!(revoked, json!({"id": id, "revoked": true}));
    send(key).expect(401);
    send(new_key).expect(202);
    let keys = server.cli_json(&["key", "list", "--client", "default"]);
    let listed = keys.as_array().expect("a list").iter().find(|one| one["id"] == id).expect("the key");
    assert!(listed["revoked_at"].is_string() && listed.get("key").is_none(), "{listed}");
    assert!(!keys.to_string().contains(key), "a key is shown once");
}

#[test]
fn faults_go_to_standard_error_with_their_exit_code() {
    let server = Server::prepare(ServerOptions::default());
    server.cli_json(&["client", "create", "--name", "Tickets"]);
    assert!(refused(&server.cli(&["client", "create", "--name", "Tickets"])).contains("stands already"));
    assert!(refused(&server.cli(&["client", "create", "--name", "a\nb"])).contains("control"));
    assert!(refused(&server.cli(&["key", "create", "--client", "Nobody"])).contains("client"));
    server.cli_json(&["domain", "create", "tickets.example", "--client", "Tickets"]);
    let bound = ["key", "create", "--client", "Tickets", "--domain", "none.example"];
    assert!(refused(&server.cli(&bound)).contains("none.example"));
    assert!(refused(&server.cli(&["domain", "create", "not a domain"])).contains("domain"));
    let foreign = ["domain", "create", "example.com", "--default-from", "a@other.example"];
    assert!(refused(&server.cli(&foreign)).contains("default_from"));
    refused(&server.cli(&["key", "revoke", "0192f0c1-0000-7000-8000-000000000000"]));
    refused(&server.cli(&["restore", "/nonexistent"]));
    for wrong in [
        ["client"].as_slice(),
        &["nonsense"],
        &["client", "create"],
        &["key", "create", "--client", "Tickets", "--permission", "everything"],
        &["key", "create", "--client", "Tickets", "--rate-limit", "many"],
        &["key", "create", "--client", "Tickets", "--mode", "maybe"],
        &["key", "revoke", "7"],
        &["serve", "--port", "80"],
        &["serve", "--role", "banana"],
    ] {
        let output = server.cli(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stderr.is_empty(), "{wrong:?}");
    }
}

#[test]
fn a_test_key_never_sends_for_real() {
    let relay = crate::harness::Relay::accepting();
    let server = Server::to_relay(&relay);
    let key = server.new_key(&["--client", "default", "--mode", "test"]);
    assert!(key.starts_with("ph_test_"));
    let answer =
        server.post_with("/api/emails", &[("X-Api-Key", &key)], &email_to("a@b.com", "x")).expect(202);
    let id = answer.json()["email_id"].as_str().expect("an id").to_owned();
    assert_eq!(server.wait_status(&id, "sent")["provider"], "inbox");
}

#[test]
fn a_test_mail_goes_through_the_running_server() {
    let server = Server::inbox();
    let sent =
        server.cli_json(&["send", "--to", "user@client.com", "--from", "me@example.com", "--wait", "20s"]);
    assert_eq!(members(&sent), ["email_id", "error", "requested_at", "sent_at", "status"]);
    assert_eq!(sent["status"], "sent");
    let shown = server.email(sent["email_id"].as_str().expect("an id"));
    assert_eq!(shown["provider"], "inbox");
    assert!(refused(&server.cli(&["send", "--to", "nobody", "--from", "me@example.com"])).contains("to"));
}

#[test]
fn templates_come_from_files() {
    let server = Server::inbox();
    let folder = tempfile::tempdir().expect("a directory");
    let html = folder.path().join("welcome.html");
    std::fs::write(&html, "<p>Halo {{ name }}</p>").expect("a file");
    let create =
        ["template", "create", "--code", "welcome", "--subject", "Halo {{name}}", "--html", text(&html)];
    assert_eq!(server.cli_json(&create)["version"], 1);
    assert_eq!(server.cli_json(&create)["version"], 2);
    let email = json!({
        "from": "me@example.com", "to": "a@b.com", "template_code": "welcome", "variables": {"name": "Andi"},
    });
    assert_eq!(server.email(&server.send(&email))["subject"], "Halo Andi");
    std::fs::write(&html, "{{ broken").expect("a file");
    assert!(refused(&server.cli(&create)).contains("html"));
    assert_eq!(server.cli_json(&["template", "list"])[0]["code"], "welcome");
    assert_eq!(
        server.cli_json(&["template", "delete", "welcome"]),
        json!({"code": "welcome", "deleted": true})
    );
    refused(&server.cli(&["template", "show", "welcome"]));
}

#[test]
fn signing_keys_are_shown_as_records_to_publish() {
    let server = Server::inbox();
    let records = server.cli_json(&["domain", "dkim", "example.com"]);
    let records = records.as_array().expect("a list");
    assert_eq!(records.len(), 2);
    for record in records {
        assert_eq!(record["type"], "TXT");
        assert!(
            record["name"].as_str().is_some_and(|name| name.ends_with("._domainkey.example.com")),
            "{record}"
        );
        assert!(record["value"].as_str().is_some_and(|value| value.starts_with("v=DKIM1; k=")), "{record}");
    }
    assert_eq!(server.cli_json(&["domain", "dkim", "example.com"]), json!(records), "no new keys");
    let id = server.send(&email_to("a@b.com", "x"));
    server.wait_status(&id, "sent");
    let raw = server.get(&format!("/api/emails/{id}/raw")).expect(200).text();
    assert!(raw.contains("DKIM-Signature:"), "{raw}");
}

#[test]
fn a_backup_is_for_its_owner_alone_and_never_overwrites() {
    embedded_only!("the backup holds the embedded store's file");
    let server = Server::inbox();
    let place = tempfile::tempdir().expect("a directory");
    let backup = place.path().join("backup");
    let made = server.cli_json(&["backup", text(&backup)]);
    assert_eq!(made["store"], "sqlite");
    assert_eq!(mode(&backup), 0o700);
    for file in ["store.db", "backup.json", "secrets/encryption.key"] {
        assert_eq!(mode(&backup.join(file)), 0o600, "{file}");
    }
    assert!(refused(&server.cli(&["backup", text(&backup)])).contains("not empty"));
    assert!(refused(&server.cli(&["restore", text(&backup)])).contains("server runs"));
    let mut server = server;
    server.kill9();
    assert!(refused(&server.cli(&["restore", text(&backup)])).contains("not empty"));
}

#[test]
fn a_damaged_backup_is_refused_and_leaves_no_store() {
    embedded_only!("the backup holds the embedded store's file");
    let server = Server::inbox();
    let place = tempfile::tempdir().expect("a directory");
    let backup = place.path().join("backup");
    server.cli_json(&["backup", text(&backup)]);
    let copy = backup.join("store.db");
    let mut bytes = std::fs::read(&copy).expect("a store");
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x55);
    std::fs::write(&copy, bytes).expect("a file");
    let other = Server::prepare(ServerOptions::default());
    refused(&other.cli(&["restore", text(&backup)]));
    assert!(!other.data().join("posthaste.db").exists());
}

#[test]
fn documents_and_completions_are_printed() {
    let server = Server::prepare(ServerOptions::default());
    let document: Value =
        serde_json::from_slice(&server.cli(&["openapi"]).stdout).expect("the OpenAPI document is JSON");
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = server.cli(&["completions", shell]);
        assert!(script.status.success() && script.stdout.len() > 1000, "{shell}");
    }
    assert!(!server.data().exists(), "printing makes no installation");
}

#[test]
fn the_configuration_is_shown_without_its_secrets() {
    let relay = [("SMTP_HOST", "relay"), ("SMTP_USERNAME", "me"), ("SMTP_PASSWORD", "hunter2")];
    let options =
        relay.into_iter().fold(ServerOptions::default(), |options, (name, value)| options.env(name, value));
    let server = Server::prepare(options);
    let output = server.cli(&["config", "show", "--json"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && !told.contains("hunter2"), "{told}");
    let shown: Value = serde_json::from_str(&told).expect("JSON");
    let listen = shown.as_array().expect("a list").iter().find(|one| one["key"] == "http.listen");
    assert_eq!(listen.expect("the key")["value"], "127.0.0.1:0");
    let manual = server.cli(&["config", "docs"]);
    assert!(String::from_utf8_lossy(&manual.stdout).starts_with("# Configuration"));
}

#[test]
fn doctor_knows_its_own_server_and_a_stranger_on_its_port() {
    let server = Server::inbox();
    let own = server.cli_json(&["doctor"]);
    let check = |report: &Value, name: &str| -> Value {
        let mut checks = report["checks"].as_array().expect("a list").iter();
        checks.rfind(|one| one["name"] == name).expect("the check").clone()
    };
    assert_eq!(own["status"], "warning", "only the inbox: {own:#}");
    assert!(
        check(&own, "http.listen")["message"].as_str().is_some_and(|told| told.contains("served")),
        "{own:#}"
    );
    assert!(
        check(&own, "store")["message"]
            .as_str()
            .is_some_and(|told| ["sqlite 3.", "postgresql "].iter().any(|engine| told.contains(engine))),
        "{own:#}"
    );

    let stranger = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = stranger.local_addr().expect("an address").to_string();
    let other = Server::prepare(ServerOptions::default().env("HTTP_LISTEN", address));
    let output = other.cli(&["doctor", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(check(&report, "http.listen")["status"], "failed");
    assert!(check(&report, "http.listen")["remedy"].is_string(), "{report:#}");
}

/// A process that ends with its value.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already: as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn due_mail_without_a_worker_shows_in_health_while_mail_is_accepted() {
    let server = Server::prepare(ServerOptions::default());
    server.new_client("Tickets");
    server.cli_json(&["send", "--to", "a@b.com", "--from", "me@example.com"]);
    let mut api = server.command();
    api.args(["serve", "--role", "api"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let _api = Running(api.spawn().expect("the program starts"));
    let get = |path: &str| {
        let address =
            std::fs::read_to_string(server.data().join("run/http.addr")).ok()?.trim().parse().ok()?;
        http::request(address, "GET", path, &[], b"").ok()
    };
    eventually("the queue is unhealthy", || {
        let health = get("/health")?;
        let told = health.json();
        (health.status == 503
            && told["checks"]["queue"]["status"] == "unhealthy"
            && told["status"] == "degraded")
            .then_some(())
    });
    assert_eq!(get("/readyz").expect("an answer").status, 200, "mail is accepted all the same");
    assert_eq!(server.cli_json(&["queue", "process"]), json!({"left": 0}));
    eventually("the queue is healthy again", || (get("/health")?.status == 200).then_some(()));
    assert_eq!(server.cli_json(&["queue", "status"])["pending"], 0);
}

#[test]
fn clearing_the_queue_asks_first_and_cancels() {
    let server = Server::prepare(ServerOptions::default());
    server.new_client("Tickets");
    for _ in 0..3 {
        server.cli_json(&["send", "--to", "a@b.com", "--from", "me@example.com"]);
    }
    let unasked = server.cli(&["queue", "clear"]);
    assert_eq!(unasked.status.code(), Some(2), "no terminal to ask on");
    assert_eq!(server.cli_json(&["queue", "status"])["pending"], 3);
    assert_eq!(server.cli_json(&["queue", "clear", "--yes"]), json!({"cancelled": 3}));
    assert_eq!(server.cli_json(&["queue", "status"])["pending"], 0);
}
