//! A19, A20: attachments that lie, and file names that lead elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::emails_api::{email_to, with};
use crate::harness::message::read_by_python;
use crate::harness::{Relay, Server};

fn attached(filename: &str, mime: &str, content: &[u8]) -> Value {
    let attachment = json!({"filename": filename, "mime": mime, "content_base64": BASE64.encode(content)});
    with(email_to("user@client.com", "x"), json!({ "attachments": [attachment] }))
}

#[test]
fn a20_file_names_lose_their_paths_and_nothing_is_written_outside() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let long = format!("{}.txt", "n".repeat(1000));
    let names = [
        ("../../x.txt", "x.txt"),
        ("..\\..\\x.txt", "x.txt"),
        ("C:\\dir\\x.txt", "x.txt"),
        ("/etc/passwd", "passwd"),
        ("a \"quoted\"; name=b.txt", ""),
        ("größe €.txt", "größe €.txt"),
        ("日本語.txt", "日本語.txt"),
        (&long, ""),
        ("a'b.txt", "a'b.txt"),
        ("%2e%2e%2fx.txt", "%2e%2e%2fx.txt"),
        ("gpj.\u{202e}exe.txt", ""),
    ];
    let mut sent = 0;
    for (name, expected) in names {
        let answer = server.post("/api/emails", &attached(name, "text/plain", b"hello"));
        if answer.status == 422 {
            assert!(answer.text().contains("/attachments/0/filename"), "{name}: {}", answer.text());
            assert!(expected.is_empty(), "{name} is legal: {}", answer.text());
            continue;
        }
        answer.expect(202);
        sent += 1;
        let read = read_by_python(&relay.wait_for(sent)[sent - 1].content);
        assert_eq!(read["defects"], json!([]), "{name}");
        let parts = read["parts"].as_array().expect("a list");
        let shown = parts.iter().find_map(|part| part["filename"].as_str()).expect("a file name");
        assert!(!shown.contains(['/', '\\', '\u{202e}']), "{name} became {shown}");
        assert!(expected.is_empty() || shown == expected, "{name} became {shown}");
        assert!(shown.len() <= 255, "{} bytes", shown.len());
    }
    for id in ["..%2f..%2fetc%2fpasswd", "%2e%2e", "a%5cb", "%00"] {
        let answer = server.get(&format!("/api/emails/{id}"));
        assert!(matches!(answer.status, 400 | 404), "{id}: {}", answer.status);
    }
}

#[test]
fn a19_content_that_is_not_what_it_says_is_refused() {
    let server = Server::inbox();
    let lies: [(&str, &[u8]); 6] = [
        ("application/pdf", b"\x89PNG\r\n\x1a\n0000"),
        ("image/png", b"%PDF-1.4\n"),
        ("image/jpeg", b"GIF89a000000"),
        ("application/zip", b"%PDF-1.4\n"),
        ("text/plain", b"\x7fELF\x02\x01\x01\x00\x00\x00\x00"),
        ("image/gif", b"MZ\x90\x00\x03\x00\x00\x00"),
    ];
    for (mime, content) in lies {
        let answer = server.post("/api/emails", &attached("a.bin", mime, content)).expect(422).text();
        assert!(answer.contains("/attachments/0"), "{mime}: {answer}");
    }
    for mime in [
        "application/x-msdownload",
        "application/x-sh",
        "text/x-php",
        "nonsense",
        "image/*",
        "text/plain; x=\"\n\"",
    ] {
        server.post("/api/emails", &attached("a.txt", mime, b"hello")).expect(422);
    }
    // The folder of attachments comes into being with the first one that is taken.
    let blobs = server.data().join("blobs");
    let mut kept = 0;
    let mut folders = vec![blobs];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                kept += 1;
            }
        }
    }
    assert_eq!(kept, 0, "a refused attachment lies on disk");
}

#[test]
fn a19_a_compressed_body_is_refused() {
    let server = Server::inbox();
    for encoding in ["gzip", "deflate", "br", "zstd"] {
        let answer = server.post_raw("/api/emails", &[("Content-Encoding", encoding)], b"\x1f\x8b\x08\x00");
        assert!(matches!(answer.status, 400 | 415), "{encoding}: {}", answer.status);
    }
}

#[test]
fn an_inline_picture_is_found_by_its_content_id() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let png =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    server.send(&with(
        email_to("user@client.com", "x"),
        json!({"html": "<img src=\"cid:logo\">", "attachments": [{"filename": "logo.png", "mime": "image/png",
            "content_base64": png, "content_id": "logo", "disposition": "inline"}]}),
    ));
    let read = read_by_python(&relay.only_message().content);
    let part = crate::harness::message::part(&read, "image/png");
    assert_eq!((&part["content_id"], &part["disposition"]), (&json!("<logo>"), &json!("inline")));
    assert!(
        read["parts"]
            .as_array()
            .is_some_and(|parts| parts.iter().any(|part| part["type"] == "multipart/related"))
    );
}
