//! A7: the disk is full.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::emails_api::{email_to, with};
use crate::harness::{Relay, Server, ServerOptions, embedded_only, eventually};

/// A small disk of its own, unmounted when dropped.
struct SmallDisk {
    directory: TempDir,
}

impl SmallDisk {
    /// # Panics
    /// Without the right to mount: `./test` runs as root where it must.
    fn new(mib: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let options = format!("size={mib}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(directory.path())
            .status();
        assert!(mounted.is_ok_and(|status| status.success()), "mounting a small disk needs root");
        Self { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
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
        let _ = Command::new("umount").arg("-l").arg(self.directory.path()).status();
    }
}

fn large(n: usize) -> Value {
    with(email_to("user@client.com", &format!("token-{n}.")), json!({"html": "x".repeat(200_000)}))
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
    let refused = eventually("the full disk is noticed", || {
        let answer = server.post("/api/emails", &large(100 + acknowledged));
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
    // Everything acknowledged goes out, also while there is no space.
    relay.wait_for(acknowledged);
    disk.free();
    crate::harness::eventually_within(std::time::Duration::from_secs(10), "it accepts again", || {
        (server.post("/api/emails", &large(1)).status == 202).then_some(())
    });
    relay.wait_for(acknowledged + 1);
    assert_eq!(relay.messages().len(), acknowledged + 1, "a refused email was sent");
}

#[test]
fn a7_no_space_for_attachments_refuses_them_alone() {
    embedded_only!("the disk under the embedded store fills");
    let disk = SmallDisk::new(16);
    let relay = Relay::accepting();
    let options = ServerOptions::to_relay(&relay).env("BLOBS_DIR", disk.path().join("blobs"));
    let server = Server::start(options);
    disk.fill();
    let content = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, vec![b'a'; 100_000]);
    let attachment = json!([{"filename": "a.txt", "mime": "text/plain", "content_base64": content}]);
    let email = with(email_to("user@client.com", "x"), json!({"attachments": attachment}));
    server.post("/api/emails", &email).expect(503);
    server.send(&email_to("user@client.com", "without"));
    assert!(String::from_utf8_lossy(&relay.only_message().content).contains("without"));
    disk.free();
    eventually("attachments are taken again", || {
        (server.post("/api/emails", &email).status == 202).then_some(())
    });
    relay.wait_for(2);
}
