//! Through a real Postfix into a maildir.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use crate::harness::message::{header, part, read_by_python};
use crate::harness::postfix::Postfix;
use crate::harness::{Server, ServerOptions, eventually};

#[test]
fn postfix_takes_the_mail_and_python_reads_it() {
    let postfix = Postfix::start();
    let server = Server::start(ServerOptions::to_smtp(postfix.address()));
    let picture = BASE64.decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==").expect("base64");
    let id = server.send(&json!({
        "from": "Büro Süd <noreply@example.com>",
        "to": ["Ann <ann@example.org>"],
        "bcc": ["bob@example.org"],
        "subject": "Größe: 25 € – и ещё кое-что, a subject long enough to be folded over more than one line",
        "html": "<p>Grüße</p>\n.\n<p>.</p>",
        "text": "Grüße\n.\n..\n.text",
        "attachments": [{"filename": "bild ü.png", "mime": "image/png", "content_base64": BASE64.encode(&picture)}],
    }));
    server.wait_status(&id, "sent");
    for local_part in ["ann", "bob"] {
        let raw = eventually("the mail lies in the maildir", || postfix.delivered_to(local_part).pop());
        // A maildir keeps lines ended by LF.
        let read = read_by_python(&String::from_utf8_lossy(&raw).replace('\n', "\r\n").into_bytes());
        assert_eq!(read["defects"], json!([]));
        assert_eq!(read["from"], json!([["Büro Süd", "noreply@example.com"]]));
        assert_eq!(read["to"], json!([["Ann", "ann@example.org"]]));
        let subject =
            "Größe: 25 € – и ещё кое-что, a subject long enough to be folded over more than one line";
        assert_eq!(read["subject"], subject);
        assert_eq!(
            part(&read, "text/plain")["text"].as_str().map(str::trim_end),
            Some("Grüße\n.\n..\n.text")
        );
        assert_eq!(
            part(&read, "text/html")["text"].as_str().map(str::trim_end),
            Some("<p>Grüße</p>\n.\n<p>.</p>")
        );
        let attachment = part(&read, "image/png");
        assert_eq!(
            (&attachment["filename"], &attachment["size"]),
            (&json!("bild ü.png"), &json!(picture.len()))
        );
        assert_eq!(header(&read, "Bcc"), Vec::<String>::new());
        assert_eq!(postfix.delivered_to(local_part).len(), 1);
    }
}
