//! `posthaste queue`: what Aegis's `bin/queue` did, by the real program.

use super::{get, message, moved, sent, status};
use crate::harness::{Server, ServerOptions, eventually};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};

fn api_only() -> Server {
    Server::start(moved(ServerOptions::default()).api_only())
}

/// Ends the daemon, also when the test fails.
struct Daemon<'s>(&'s Server);

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.0.cli(&["queue", "stop"]);
    }
}

fn workers(server: &Server) -> Value {
    server.cli_json(&["queue", "status"])["workers"].clone()
}

#[test]
fn a_daemon_is_started_restarted_and_stopped() {
    let server = api_only();
    let id = sent(&server, &message());
    assert_eq!(workers(&server), 0);
    let _daemon = Daemon(&server);
    let started = server.cli_json(&["queue", "start", "--daemon"]);
    assert_eq!(started["started"], true, "{started}");
    let pid = started["pid"].as_u64().expect("a process id");
    assert_eq!(workers(&server), 1, "it is at work when the command returns");
    let noted = std::fs::read_to_string(server.data().join("run/queue.pid")).expect("a pid file");
    assert_eq!(noted.trim(), pid.to_string());
    status::wait(&server, &id, "sent");
    let again = server.cli(&["queue", "start", "--daemon"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains(&format!("process {pid}")), "{again:?}");

    let restarted = server.cli_json(&["queue", "restart", "--daemon"]);
    assert_ne!(restarted["pid"].as_u64(), Some(pid));
    let id = sent(&server, &message());
    status::wait(&server, &id, "sent");

    let stopped = server.cli_json(&["queue", "stop"]);
    assert_eq!(stopped, json!({"stopped": true, "pid": restarted["pid"]}));
    assert!(!server.data().join("run/queue.pid").exists());
    assert_eq!(workers(&server), 0, "it struck itself off");
    assert_eq!(server.cli_json(&["queue", "stop"]), json!({"stopped": false, "pid": null}));
    let shown = get(&server, "/status").expect(200).json();
    assert_eq!(shown["workers"]["status"], "stopped");
}

#[test]
fn a_worker_in_the_foreground_ends_when_it_is_told() {
    let server = api_only();
    let mut command = server.command();
    command.args(["queue", "start"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("a start");
    let id = sent(&server, &message());
    status::wait(&server, &id, "sent");
    let stopped = server.cli_json(&["queue", "stop"]);
    assert_eq!(stopped, json!({"stopped": true, "pid": child.id()}));
    let ended = eventually("the worker has ended", || child.try_wait().expect("a status"));
    assert!(ended.success(), "{ended}");
}

#[test]
fn a_killed_daemon_leaves_nothing_in_the_way() {
    let server = api_only();
    let _daemon = Daemon(&server);
    let pid = server.cli_json(&["queue", "start", "--daemon"])["pid"].as_u64().expect("a process id");
    let killed = Command::new("sh").args(["-c", &format!("kill -KILL {pid}")]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    eventually("its lock is free", || {
        let started = server.cli(&["queue", "start", "--daemon", "--json"]);
        started.status.success().then_some(())
    });
    let id = sent(&server, &message());
    status::wait(&server, &id, "sent");
}

#[test]
fn process_clear_status_and_logs_tell_in_json() {
    let server = api_only();
    let id = sent(&server, &message());
    let told = server.cli_json(&["queue", "status"]);
    assert_eq!((&told["pending"], &told["processing"], &told["workers"]), (&json!(1), &json!(0), &json!(0)));
    assert!(told["size_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "{told}");
    let words = String::from_utf8(server.cli(&["queue", "status"]).stdout).expect("text");
    for word in ["pending", "leased", "size", "workers"] {
        assert!(words.lines().any(|line| line.starts_with(word)), "{word}: {words}");
    }
    assert_eq!(server.cli_json(&["queue", "process"]), json!({"left": 0}));
    status::wait(&server, &id, "sent");
    let id = sent(&server, &message());
    assert_eq!(server.cli(&["queue", "clear"]).status.code(), Some(2), "nobody answers");
    let answered = |answer: &str| {
        let mut command = server.command();
        command.args(["queue", "clear", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().expect("a start");
        child.stdin.take().expect("a pipe").write_all(answer.as_bytes()).expect("taken");
        child.wait_with_output().expect("an end")
    };
    assert_eq!(answered("n\n").status.code(), Some(1));
    assert_eq!(get(&server, &format!("/send/{id}/status")).expect(200).json()["status"], "queued");
    let cleared = answered("y\n");
    let told: Value = serde_json::from_slice(&cleared.stdout).expect("JSON");
    assert_eq!(told, json!({"cancelled": 1}));
    let id = sent(&server, &message());
    assert_eq!(server.cli_json(&["queue", "clear", "--yes"]), json!({"cancelled": 1}));
    assert_eq!(status::wait(&server, &id, "failed")["details"]["last_error"], "cancelled");
    let lines = server.cli_json(&["queue", "logs", "3"]);
    assert_eq!(lines.as_array().map(Vec::len), Some(3), "{lines}");
}
