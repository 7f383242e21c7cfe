//! A9: attachments in a bucket, and what happens while it is away.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::emails_api::{email_to, with};
use crate::harness::message::read_by_python;
use crate::harness::{ObjectStore, Relay, Server, ServerOptions, eventually, scaled_only, soon};

/// More than one part of an upload, less than the relay takes.
const LARGE: usize = 6_500_000;
/// What makes it a file of an allowed type.
const PDF: &[u8] = b"%PDF-1.7\n";

fn attached(content: &[u8]) -> Value {
    let file = json!({"filename": "a.pdf", "mime": "application/pdf",
        "content_base64": BASE64.encode([PDF, content].concat())});
    with(email_to("user@client.com", "x"), json!({ "attachments": [file] }))
}

fn server(store: &ObjectStore, relay: &Relay) -> Server {
    Server::start(store.used_by(ServerOptions::to_relay(relay)))
}

fn wait_health(server: &Server, status: &str) {
    eventually(&format!("/health says {status}"), || {
        (server.get("/health").json()["status"] == status).then_some(())
    });
}

#[test]
fn attachments_lie_in_the_bucket_once() {
    let (store, relay) = (ObjectStore::start(), Relay::accepting());
    let server = server(&store, &relay);
    let content: Vec<u8> = (0..=255_u8).cycle().take(LARGE).collect();
    for sent in 1..=2 {
        server.post("/api/emails", &attached(&content)).expect(202);
        let read = read_by_python(&relay.wait_for(sent)[sent - 1].content);
        let parts = read["parts"].as_array().expect("a list");
        assert!(
            parts.iter().any(|part| part["filename"] == "a.pdf" && part["size"] == PDF.len() + LARGE),
            "{read:#}"
        );
    }
    assert_eq!((store.blobs(), store.pending_uploads()), (1, 0));
    assert!(!server.data().join("blobs").exists(), "nothing lies beside the bucket");
}

#[test]
fn without_a_bucket_and_a_folder_the_database_keeps_attachments_for_every_node() {
    scaled_only!("the embedded installation keeps files");
    let relay = Relay::accepting();
    let mut options = ServerOptions::to_relay(&relay);
    for name in ["S3_ENDPOINT", "S3_BUCKET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"] {
        // Empty counts as not set.
        options = options.env(name, "");
    }
    let server = Server::start(options.clone());
    let api = Server::start_bare(options.api_only().data_at(&server.data()));
    let content: Vec<u8> = (0..=255_u8).cycle().take(LARGE).collect();
    for (sent, node) in [&server, &api].into_iter().enumerate() {
        node.post_with("/api/emails", &[("X-Api-Key", server.key())], &attached(&content)).expect(202);
        let read = read_by_python(&relay.wait_for(sent + 1)[sent].content);
        let parts = read["parts"].as_array().expect("a list");
        assert!(parts.iter().any(|part| part["size"] == PDF.len() + LARGE), "{read:#}");
    }
    assert!(!server.data().join("blobs").exists(), "nothing lies beside the database");
}

#[test]
fn a9_without_the_bucket_mail_without_attachments_goes_on() {
    let (mut store, relay) = (ObjectStore::start(), Relay::accepting());
    store.stop();
    // Down at the start already.
    let server = server(&store, &relay);
    wait_health(&server, "degraded");
    server.get("/readyz").expect(200);
    let refused = server.post("/api/emails", &attached(b"file")).expect(503);
    assert!(refused.header("retry-after").is_some());
    server.send(&email_to("user@client.com", "without"));
    relay.wait_for(1);

    store.begin();
    wait_health(&server, "healthy");
    server.post("/api/emails", &attached(b"file")).expect(202);
    relay.wait_for(2);

    // Accepted while it ran, due while it is away: delivered when it is back, once.
    let later = with(attached(b"for later"), json!({"send_at": soon(Duration::from_secs(2))}));
    let id = server.send(&later);
    store.stop();
    wait_health(&server, "degraded");
    server.post("/api/emails", &attached(b"another")).expect(503);
    server.send(&email_to("user@client.com", "without again"));
    relay.wait_for(3);
    store.begin();
    server.wait_status(&id, "sent");
    assert_eq!(relay.messages().len(), 4);
}

#[test]
fn a9_a_write_cut_in_the_middle_leaves_nothing() {
    let (store, relay) = (ObjectStore::start(), Relay::accepting());
    let server = server(&store, &relay);
    let email = attached(&vec![7; LARGE]);
    store.line().cut_after(LARGE as u64 / 2);
    server.post("/api/emails", &email).expect(503);
    assert_eq!(store.blobs(), 0);
    store.line().mend();
    server.post("/api/emails", &email).expect(202);
    relay.wait_for(1);
    assert_eq!((store.blobs(), store.pending_uploads()), (1, 0));
}

#[test]
fn doctor_says_what_is_wrong_with_the_bucket() {
    let mut store = ObjectStore::start();
    let options = store.used_by(ServerOptions::default());
    let told = |options: ServerOptions| -> String {
        let output = Server::prepare(options).cli(&["doctor", "--json"]);
        let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let checks = all["checks"].as_array().expect("a list").clone();
        let found = checks.into_iter().find(|check| check["name"] == "attachments").expect("its check");
        assert_eq!(output.status.success(), found["status"] == "ok", "{all:#}");
        found.to_string()
    };
    assert!(told(options.clone()).contains("takes writes"));
    assert!(told(options.clone().env("S3_SECRET_ACCESS_KEY", "guess")).contains("S3_SECRET_ACCESS_KEY"));
    assert!(told(options.clone().env("S3_BUCKET", "none")).contains("bucket does not exist"));
    store.stop();
    assert!(told(options).contains("cannot be reached"));
}
