//! `attachments.link_above_bytes`: files too large to be carried are linked to.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{email_to, with};
use crate::harness::{Relay, Server, ServerOptions};

const BASE: &str = "https://mail.example.com";

#[test]
fn a_large_file_is_linked_to_and_a_small_one_carried() {
    let relay = Relay::accepting();
    let options = ServerOptions::to_relay(&relay)
        .env("PUBLIC_URL", BASE)
        .env("POSTHASTE_ATTACHMENTS__LINK_ABOVE_BYTES", "1KB");
    let server = Server::start(options);
    let large = vec![b'a'; 3000];
    let files = json!({"html": "<p>x</p>", "attachments": [
        {"filename": "large.txt", "mime": "text/plain", "content_base64": STANDARD.encode(&large)},
        {"filename": "small.txt", "mime": "text/plain", "content_base64": STANDARD.encode("small")},
    ]});
    let id = server.send(&with(email_to("ann@client.com", "x"), files));
    server.wait_status(&id, "sent");
    let raw = server.get(&format!("/api/emails/{id}/raw")).expect(200).text();
    assert!(raw.contains("filename=\"small.txt\"") && !raw.contains("filename=\"large.txt\""), "{raw}");
    let html = server.get(&format!("/api/emails/{id}/content")).expect(200).json()["html"].to_string();
    let start = html.find(&format!("{BASE}/files/")).expect("a link in the message") + BASE.len();
    let end = start + html[start..].find(['\\', '"']).expect("the link's end");
    let path = &html[start..end];

    let file = server.get_with(path, &[("x-api-key", "")]).expect(200);
    assert_eq!(file.text().as_bytes(), large);
    let disposition = file.header("content-disposition").unwrap_or_default();
    assert!(disposition.starts_with("attachment; filename=\"large.txt\""), "{disposition}");
    assert_eq!(file.header("x-content-type-options"), Some("nosniff"));
    let changed = path.replace("/files/A", "/files/B");
    assert_ne!(changed, path);
    server.get(&changed).expect(404);
    server.get("/files/x").expect(404);
}
