//! A7: the disk is full.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::emails_api::{email_to, with};
use crate::harness::smtp::{Reply, Session};
use crate::harness::{Relay, Server, ServerOptions, embedded_only, eventually, eventually_within};
use crate::smtp_ingress::address_of;

/// How long after space is free again everything works as before.
const RECOVERY: Duration = Duration::from_secs(5);

/// A small disk of its own, unmounted when dropped.
struct SmallDisk {
    path: PathBuf,
    _directory: Option<TempDir>,
}

impl SmallDisk {
    fn new(mib: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self::mount(directory.path().to_owned(), mib, Some(directory))
    }

    /// A disk on a directory that stands.
    fn at(path: PathBuf, mib: u32) -> Self {
        Self::mount(path, mib, None)
    }

    /// # Panics
    /// Without the right to mount: `./test` runs as root where it must.
    fn mount(path: PathBuf, mib: u32, directory: Option<TempDir>) -> Self {
        let options = format!("size={mib}m,mode=0700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).status();
        assert!(mounted.is_ok_and(|status| status.success()), "mounting a small disk needs root");
        Self { path, _directory: directory }
    }

    fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all space that is left.
    fn fill(&self) {
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=4k", "status=none"])
            .arg(format!("of={}", self.path().join("filler").display()))
            .output()
            .expect("dd runs until the disk is full");
    }

    fn free(&self) {
        fs::remove_file(self.path().join("filler")).expect("the filler stood there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that is just being killed may still hold a file.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

fn large(n: usize) -> Value {
    with(email_to("user@client.com", &format!("token-{n}.")), json!({"html": "x".repeat(200_000)}))
}

/// What the SMTP door says to a large message: the first word that is no yes, or that to its content.
fn offered_by_smtp(server: &Server) -> Reply {
    let mut session = Session::open(address_of(server, "smtp"));
    for line in ["MAIL FROM:<ann@example.com>", "RCPT TO:<user@client.com>"] {
        let reply = session.say(line);
        if reply.code != 250 {
            return reply;
        }
    }
    let text = "a line of text\r\n".repeat(20_000);
    session.data(format!("From: ann@example.com\r\nSubject: by SMTP\r\n\r\n{text}").as_bytes())
}

/// 451 or 452: nothing was taken, and the client keeps its message (RFC 5321 section 4.2.3).
#[track_caller]
fn is_refused_for_now(reply: &Reply) {
    assert!(matches!(reply.code, 451 | 452), "{reply}");
}

#[track_caller]
fn attached() -> Value {
    let content = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, vec![b'a'; 100_000]);
    let attachment = json!([{"filename": "a.txt", "mime": "text/plain", "content_base64": content}]);
    with(email_to("user@client.com", "x"), json!({"attachments": attachment}))
}

#[test]
fn a7_a_full_disk_refuses_before_acknowledging_and_recovers() {
    embedded_only!("the disk under the embedded store fills");
    let disk = SmallDisk::new(64);
    let relay = Relay::accepting();
    let server = Server::start(ServerOptions::to_relay(&relay).data_at(&disk.path().join("data")));
    let early: Vec<String> = (0..5).map(|n| server.send(&large(n))).collect();
    for id in &early {
        server.wait_status(id, "sent");
    }
    disk.fill();
    let mut acknowledged = early.len();
    let key = |number: usize| format!("key-{number}");
    let offer = |number: usize| {
        server.post_with("/api/emails", &[("Idempotency-Key", &key(number))], &large(100 + number))
    };
    let refused = eventually("the full disk is noticed", || {
        let answer = offer(acknowledged);
        if answer.status == 202 {
            acknowledged += 1;
            return None;
        }
        Some(answer)
    });
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    let problem = refused.json();
    assert!(problem["code"].is_string(), "{problem}");
    is_refused_for_now(&offered_by_smtp(&server));
    // Everything acknowledged goes out, also while there is no space.
    relay.wait_for(acknowledged);
    disk.free();
    // The refusal was kept under no key: the same request is a new one.
    eventually_within(RECOVERY, "it accepts again", || (offer(acknowledged).status == 202).then_some(()));
    offered_by_smtp(&server).id();
    relay.wait_for(acknowledged + 2);
    assert_eq!(relay.messages().len(), acknowledged + 2, "a refused email was sent");
    let total = server.get("/api/emails?count=true").expect(200).json();
    assert_eq!(total["total"], acknowledged + 2, "a refused email was stored");
}

#[test]
fn a7_no_space_for_attachments_refuses_them_alone() {
    embedded_only!("the disk under the embedded store fills");
    let disk = SmallDisk::new(16);
    let relay = Relay::accepting();
    let blobs = disk.path().join("blobs");
    let server = Server::start(ServerOptions::to_relay(&relay).env("BLOBS_DIR", &blobs));
    disk.fill();
    let email = attached();
    server.post("/api/emails", &email).expect(503);
    is_refused_for_now(&offered_by_smtp(&server));
    server.send(&email_to("user@client.com", "without"));
    assert!(String::from_utf8_lossy(&relay.only_message().content).contains("without"));
    disk.free();
    eventually_within(RECOVERY, "attachments are taken again", || {
        (server.post("/api/emails", &email).status == 202).then_some(())
    });
    offered_by_smtp(&server).id();
    relay.wait_for(3);
    // What could not be written whole is gone, and nobody holds a lock on it.
    let left = fs::read_dir(blobs.join("unfinished")).expect("the folder of unfinished files").count();
    assert_eq!(left, 0, "unfinished files are left");
}

#[test]
fn a7_no_space_for_the_log_stops_nothing() {
    let home = tempfile::tempdir().expect("a directory");
    let data = home.path().join("data");
    fs::DirBuilder::new().mode(0o700).create(&data).expect("a data directory");
    fs::create_dir(data.join("logs")).expect("a directory for logs");
    let disk = SmallDisk::at(data.join("logs"), 1);
    let relay = Relay::accepting();
    let options = ServerOptions::to_relay(&relay).env("LOG_FORMAT", "json");
    let server = Server::start(options.data_at(&data));
    server.wait_healthy();
    disk.fill();
    for n in 0..20 {
        let id = server.send(&email_to("user@client.com", &format!("n{n}")));
        server.wait_status(&id, "sent");
    }
    relay.wait_for(20);
    // Whoever watches is told, and no load balancer takes the node away: mail is accepted.
    eventually("health names the log", || {
        let health = server.get("/health").json();
        (health["checks"]["logging"]["status"] == "unhealthy").then_some(())
    });
    server.get("/readyz").expect(200);
    disk.free();
    let mut sent = Vec::new();
    eventually_within(RECOVERY, "lines are kept again", || {
        sent.push(server.send(&email_to("user@client.com", "after")));
        let lines = log_lines(disk.path());
        // The line after one that was cut off is a whole one.
        let whole = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let ids: Vec<Value> = whole.map(|line| line["email.id"].clone()).collect();
        sent.iter().any(|id| ids.contains(&json!(id))).then_some(())
    });
    relay.wait_for(20 + sent.len());
    server.wait_healthy();
    for entry in fs::read_dir(disk.path()).expect("the directory").flatten() {
        let path = entry.path();
        assert!(path.extension().is_some_and(|extension| extension == "log"), "{} is left", path.display());
    }
}

fn log_lines(directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let text = fs::read(entry.path()).unwrap_or_default();
        lines.extend(String::from_utf8_lossy(&text).lines().map(str::to_owned));
    }
    lines
}

#[test]
fn a7_an_output_that_takes_nothing_stops_nothing() {
    let relay = Relay::accepting();
    let options = ServerOptions::to_relay(&relay).env("LOG_LEVEL", "trace");
    // Every write fails with ENOSPC (full(4)), that of the banner and that of a panic included.
    let server = Server::start_bare(options.under("exec >/dev/full 2>&1").fault("render_panic:1"));
    server.cli_json(&["domain", "create", "example.com", "--client", "default"]);
    let key = server.new_key(&["--client", "default"]);
    let headers = [("X-Api-Key", key.as_str())];
    for n in 0..20 {
        server.post_with("/api/emails", &headers, &email_to("user@client.com", &format!("n{n}"))).expect(202);
    }
    relay.wait_for(20);
    server.get_with("/readyz", &headers).expect(200);
    assert!(!log_lines(&server.data().join("logs")).is_empty(), "the file holds the log all the same");
}
