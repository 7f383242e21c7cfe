//! A1, B62: retention is killed in the middle, a request dies between its file and its row; nothing stays half, no file
//! stays that nobody names.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::emails_api::{email_to, with};
use crate::harness::{Relay, Server, ServerOptions, embedded_only, eventually, scaled_only};

/// The files of all attachments.
fn files(server: &Server) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    };
    let folders = list(&server.data().join("blobs"));
    let folders = folders.iter().filter(|folder| !folder.ends_with("unfinished"));
    folders.flat_map(|folder| list(folder)).collect()
}

/// Makes every file old: older than any request.
fn age(server: &Server) {
    for path in files(server) {
        let file = File::options().write(true).open(path).expect("a file");
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000))
            .expect("an older file");
    }
}

fn send_with_file(server: &Server, content: &str) -> String {
    let file = json!([{"filename": "a.txt", "mime": "text/plain", "content_base64": content}]);
    let id = server.send(&with(email_to("user@client.com", "x"), json!({"attachments": file})));
    server.wait_status(&id, "sent");
    id
}

/// Retention dies in its transaction, behind its commit, and before it removes files: each time the next start goes on.
#[test]
fn a1_killed_while_retention_removes_old_email() {
    embedded_only!("it looks at the files and sets their age");
    for spec in ["retention_step:1", "retention_step:2", "retention_step:3"] {
        let relay = Relay::accepting();
        let mut server = Server::start(ServerOptions::to_relay(&relay));
        let ids = ["b25l", "dHdv", "dGhyZWU="].map(|content| send_with_file(&server, content));
        // The newest email stays: its number is never given twice.
        let newest = server.send(&email_to("user@client.com", "newest"));
        server.wait_status(&newest, "sent");
        assert_eq!(files(&server).len(), 3, "{spec}");
        server.sigterm();
        age(&server);
        dies_of(&mut server, spec);
        eventually("old email and its files are gone", || {
            let total = server.get("/api/emails?count=true").expect(200).json()["total"].clone();
            (total == 1 && files(&server).is_empty()).then_some(())
        });
        for id in ids {
            server.get(&format!("/api/emails/{id}")).expect(404);
        }
        assert_eq!(server.email(&newest)["status"], "sent", "{spec}");
        assert_eq!(relay.messages().len(), 4, "{spec}: sent once each");
    }
}

/// PostgreSQL's retention dies behind its last commit, and before files are thought of.
#[test]
fn a1_killed_while_retention_removes_old_email_from_postgresql() {
    scaled_only!("the embedded store's is proved with its files");
    for spec in ["retention_step:1", "retention_step:2"] {
        let relay = Relay::accepting();
        let mut server = Server::start(ServerOptions::to_relay(&relay));
        let ids = ["b25l", "dHdv", "dGhyZWU="].map(|content| send_with_file(&server, content));
        server.sigterm();
        dies_of(&mut server, spec);
        eventually("old email is gone", || {
            let total = server.get("/api/emails?count=true").expect(200).json()["total"].clone();
            (total == 0).then_some(())
        });
        for id in ids {
            server.get(&format!("/api/emails/{id}")).expect(404);
        }
        assert_eq!(relay.messages().len(), 3, "{spec}: sent once each");
        // What comes after is kept like anything else.
        server.restart_with(|options| {
            options.without("POSTHASTE_RETENTION__BODIES").without("POSTHASTE_RETENTION__RECORDS")
        });
        let later = send_with_file(&server, "b25l");
        assert_eq!(server.email(&later)["status"], "sent", "{spec}");
    }
}

/// Starts a server that keeps nothing for long, lets it die at `spec`, and starts it again without the fault.
#[track_caller]
fn dies_of(server: &mut Server, spec: &str) {
    // Retention begins with the start: it may be over before anybody could ask.
    server.change(|options| {
        let options = options.env("POSTHASTE_RETENTION__BODIES", "1ms");
        options.env("POSTHASTE_RETENTION__RECORDS", "1ms").fault(spec)
    });
    server.spawn();
    assert!(!server.wait_exit(Duration::from_secs(60)).success(), "{spec}: it did not crash");
    server.restart_with(|options| options.without("POSTHASTE_FAULT"));
}

#[test]
fn b62_a_file_whose_email_was_never_committed_is_swept_and_those_in_use_are_not() {
    embedded_only!("it looks at the files and sets their age");
    let relay = Relay::accepting();
    let mut server = Server::start(ServerOptions::to_relay(&relay));
    let kept = send_with_file(&server, "a2VwdA==");
    server.restart_with(|options| options.fault("blob_renamed:1"));
    let file = json!([{"filename": "a.txt", "mime": "text/plain", "content_base64": "bG9zdA=="}]);
    let email = with(email_to("user@client.com", "x"), json!({"attachments": file}));
    let headers = [("Content-Type", "application/json")];
    let lost = server.try_request("POST", "/api/emails", &headers, email.to_string().as_bytes());
    assert!(lost.is_err(), "it answered {lost:?}");
    server.wait_exit(Duration::from_secs(30));
    assert_eq!(files(&server).len(), 2);
    age(&server);
    server.restart_with(|options| options.without("POSTHASTE_FAULT"));
    eventually("the file is swept", || (files(&server).len() == 1).then_some(()));
    let raw = server.get(&format!("/api/emails/{kept}/raw")).expect(200).text();
    assert!(raw.contains("a2VwdA=="), "{raw}");
}
