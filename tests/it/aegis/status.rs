//! `GET /send/{id}/status`, `GET /status` and `GET /health`: the examples, and true values.

use super::{KEY, error, get, inbox, is_time, message, moved, post, sent, server};
use crate::harness::relay::{Action, Script, Step};
use crate::harness::{Relay, Server, ServerOptions, eventually, soon};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

/// Waits until a message has a status; answers the whole of it.
#[track_caller]
pub fn wait(server: &Server, id: &str, status: &str) -> Value {
    eventually(&format!("the message is {status}"), || {
        let shown = get(server, &format!("/send/{id}/status")).expect(200).json();
        (shown["status"] == status).then_some(shown)
    })
}

/// Puts the values of an example in the place of those that differ from run to run.
fn as_documented(mut shown: Value, id: &str) -> Value {
    assert_eq!(shown["lookup_date"].as_str().map(str::len), Some(10));
    assert!(is_time(shown["timestamp"].as_str().expect("a time")), "{shown}");
    assert_eq!(shown["message_id"], id);
    shown["message_id"] = "msg_...".into();
    shown["lookup_date"] = "2024-08-02".into();
    shown["timestamp"] = "2024-08-02T19:30:00+00:00".into();
    if shown["details"].is_object() {
        assert!(is_time(shown["details"]["failed_at"].as_str().expect("a time")), "{shown}");
        assert_eq!(shown["details"]["message_id"], id);
        shown["details"]["message_id"] = "msg_...".into();
        shown["details"]["failed_at"] = "2024-08-02T18:45:00+00:00".into();
    }
    shown
}

#[test]
fn a_sent_message_reads_as_documented() {
    let relay = Relay::accepting();
    let server = server(&relay);
    let id = sent(&server, &message());
    let shown = wait(&server, &id, "sent");
    let today = shown["lookup_date"].as_str().expect("a day").to_owned();
    let documented = r#"{"message_id": "msg_...", "lookup_date": "2024-08-02", "timestamp": "2024-08-02T19:30:00+00:00", "status": "sent", "message": "Email delivered successfully"}"#;
    assert_eq!(
        as_documented(shown, &id).to_string(),
        serde_json::from_str::<Value>(documented).expect("JSON").to_string()
    );
    // The hint may be right, wrong or far off: the message is found on its own day.
    for date in [today.as_str(), "1999-12-31", "9999-12-31", "2024-02-29"] {
        let found = get(&server, &format!("/send/{id}/status?date={date}")).expect(200).json();
        assert_eq!(found["lookup_date"], today.as_str());
    }
    for date in ["", "2024-13-01", "2023-02-29", "02.08.2024", "2024-08-02T00:00:00Z", "20240802", "x", "%ff"]
    {
        let answer = get(&server, &format!("/send/{id}/status?date={date}"));
        assert_eq!(
            error(&answer),
            (400, "Validation Failed".into(), "INVALID_DATE".into(), "date".into()),
            "{date}"
        );
    }
}

#[test]
fn a_failed_message_says_why() {
    let relay = Relay::start(Script::accepting().on(Step::Rcpt, Action::reply("550 5.1.1 no such user")));
    let server = server(&relay);
    let id = sent(&server, &message());
    let mut shown = as_documented(wait(&server, &id, "failed"), &id);
    let why = shown["details"]["last_error"].as_str().expect("an error").to_owned();
    assert!(why.contains("no such user"), "{why}");
    shown["details"]["last_error"] = "SMTP connection timeout".into();
    assert_eq!(shown["message"], "Email delivery failed");
    assert_eq!(
        shown["details"],
        json!({
            "message_id": "msg_...", "failed_at": "2024-08-02T18:45:00+00:00", "attempts": 1,
            "last_error": "SMTP connection timeout",
        })
    );
}

#[test]
fn waiting_and_cancelled_messages_have_their_words() {
    let server = Server::start(moved(ServerOptions::default()).api_only());
    let id = sent(&server, &message());
    let shown = get(&server, &format!("/send/{id}/status")).expect(200).json();
    assert_eq!((&shown["status"], &shown["message"]), (&json!("queued"), &json!("Email is queued")));
    let email =
        server.get("/api/emails").expect(200).json()["data"][0]["id"].as_str().expect("an id").to_owned();
    server.post(&format!("/api/emails/{email}/cancel"), &json!({})).expect(200);
    let shown = wait(&server, &id, "failed");
    assert_eq!(shown["details"]["last_error"], "cancelled");
}

#[test]
fn the_status_tells_true_figures() {
    let server = Server::start(moved(ServerOptions::default()).api_only());
    let shape =
        |value: &Value| -> Vec<String> { value.as_object().expect("an object").keys().cloned().collect() };
    let first = get(&server, "/status").expect(200).json();
    assert_eq!(
        shape(&first),
        ["service", "version", "timestamp", "uptime", "queue", "workers", "environment"]
    );
    assert_eq!((&first["service"], &first["version"]), (&json!("Aegis Mailer"), &json!("1.0.0")));
    assert!(is_time(first["timestamp"].as_str().expect("a time")));
    assert_eq!(first["uptime"], "0d 0h 0m");
    assert_eq!(
        first["queue"],
        json!({
            "pending_messages": 0, "lock_files": 0, "total_size_bytes": 0, "total_size_human": "0 B",
            "directory": "data",
        })
    );
    assert_eq!(first["workers"], json!({"count": 0, "pids": [], "status": "stopped"}));
    assert_eq!(shape(&first["environment"]), ["rust_version", "memory_usage", "memory_peak", "memory_limit"]);
    let number = |name: &str| first["environment"][name].as_u64().expect("bytes");
    assert!(number("memory_usage") > 1 << 20 && number("memory_peak") >= number("memory_usage"));
    for _ in 0..3 {
        sent(&server, &message());
    }
    server.send(&json!({
        "from": "a@example.com", "to": "b@client.com", "subject": "s", "text": "t",
        "send_at": soon(Duration::from_hours(1)),
    }));
    let queue = eventually("what waits is counted", || {
        let queue = get(&server, "/status").expect(200).json()["queue"].clone();
        (queue["pending_messages"] == 4).then_some(queue)
    });
    assert!(queue["total_size_bytes"].as_u64().is_some_and(|bytes| bytes > 100), "{queue}");
    let worker = Server::start_bare(moved(ServerOptions::default()).worker_beside(&server, 1));
    let shown = eventually("the worker is seen and works", || {
        let shown = get(&server, "/status").expect(200).json();
        (shown["queue"]["pending_messages"] == 1 && shown["workers"]["count"] == 1).then_some(shown)
    });
    assert_eq!(shown["workers"], json!({"count": 1, "pids": [worker.pid()], "status": "running"}));
}

#[test]
fn health_has_every_check() {
    let server = inbox();
    server.wait_healthy();
    let health = get(&server, "/health").expect(200).json();
    assert_eq!(health["status"], "healthy");
    for name in ["queue", "config", "smtp_config", "logging", "queue_storage"] {
        let check = &health["checks"][name];
        let expected = if name == "smtp_config" { "warning" } else { "healthy" };
        assert_eq!(check["status"], expected, "{name}: {health}");
        assert!(check["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    assert_eq!(health["version"], "1.0.0");
    assert!(health["services"].is_object() && health["timestamp"].is_string());
    let relay = Relay::accepting();
    let outward = super::server(&relay);
    outward.wait_healthy();
    let health = get(&outward, "/health").expect(200).json();
    assert_eq!(health["checks"]["smtp_config"]["status"], "healthy", "{health}");
}

#[test]
fn mail_that_nobody_sends_makes_the_queue_unhealthy() {
    let server = Server::start(moved(ServerOptions::default()).api_only());
    post(&server, KEY, &[], &message()).expect(202);
    eventually("the queue is unhealthy", || {
        let answer = get(&server, "/health");
        let body = answer.json();
        (answer.status == 503 && body["checks"]["queue"]["status"] == "unhealthy").then_some(())
    });
}

#[test]
fn a_log_that_cannot_be_written_and_an_open_directory_are_told() {
    let server = inbox();
    server.wait_healthy();
    let (data, logs) = (server.data(), server.data().join("logs"));
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).expect("a directory");
    std::fs::rename(&logs, data.join("logs-away")).expect("a directory");
    std::fs::write(&logs, "in the way").expect("a file");
    let health = eventually("the log is told to be unhealthy", || {
        let answer = get(&server, "/health");
        (answer.status == 503).then(|| answer.json())
    });
    assert_eq!(health["status"], "degraded", "{health}");
    assert_eq!(health["checks"]["logging"]["status"], "unhealthy", "{health}");
    assert_eq!(health["checks"]["config"]["status"], "warning", "{health}");
    assert!(!health.to_string().contains("logs-away"), "{health}");
    sent(&server, &message());
    std::fs::remove_file(&logs).expect("a file");
    std::fs::rename(data.join("logs-away"), &logs).expect("a directory");
    eventually("it is healthy again", || (get(&server, "/health").status == 200).then_some(()));
}
