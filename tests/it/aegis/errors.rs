//! Each error row, in the documented shape.

use super::{KEY, error, get, inbox, message, moved, post, raw};
use crate::emails_api::with;
use crate::harness::proxy::{Line, Proxy};
use crate::harness::{Postgres, Server, ServerOptions, eventually, scaled_only};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

#[test]
fn the_documented_error_reads_as_documented() {
    let server = inbox();
    let mut answer = post(&server, KEY, &[], &with(message(), json!({"to": "nobody"}))).expect(400).json();
    assert!(super::is_time(answer["timestamp"].as_str().expect("a time")));
    answer["timestamp"] = "2024-08-02T19:30:00+00:00".into();
    let documented = r#"{"error": "Validation Failed", "message": "Invalid email address", "code": "INVALID_EMAIL", "field": "to", "timestamp": "2024-08-02T19:30:00+00:00"}"#;
    assert_eq!(answer, serde_json::from_str::<Value>(documented).expect("JSON"));
    let names: Vec<&String> = answer.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["error", "message", "code", "field", "timestamp"]);
}

#[test]
fn each_fault_of_a_field_has_its_code_and_names_it() {
    let server = inbox();
    let file = |name: &str, content: &str| json!({"attachments": [{"name": name, "content": content}]});
    for (patch, code, field) in [
        (json!({"to": null}), "MISSING_FIELD", "to"),
        (json!({"to": ""}), "MISSING_FIELD", "to"),
        (json!({"subject": null}), "MISSING_FIELD", "subject"),
        (json!({"body": null}), "MISSING_FIELD", "body"),
        (json!({"to": ["a@b.example"]}), "INVALID_FIELD", "to"),
        (json!({"to": "a@b.example, c@d.example"}), "INVALID_EMAIL", "to"),
        (json!({"to": "a@b.example\r\nBcc: x@y.example"}), "INVALID_EMAIL", "to"),
        (json!({"toName": "a\nb"}), "INVALID_FIELD", "toName"),
        (json!({"toName": 1}), "INVALID_FIELD", "toName"),
        (json!({"subject": "a\r\nb"}), "INVALID_FIELD", "subject"),
        (json!({"subject": 7}), "INVALID_FIELD", "subject"),
        (json!({"body": "a\u{0}b"}), "INVALID_FIELD", "body"),
        (json!({"isHtml": "yes"}), "INVALID_FIELD", "isHtml"),
        (json!({"cc": [{"email": "nobody"}]}), "INVALID_EMAIL", "cc.0.email"),
        (json!({"cc": [{"name": "x"}]}), "MISSING_FIELD", "cc.0.email"),
        (json!({"cc": [{"email": "a@b.example", "name": "a\rb"}]}), "INVALID_FIELD", "cc.0.name"),
        (json!({"cc": ["a@b.example"]}), "INVALID_FIELD", "cc.0"),
        (json!({"cc": "a@b.example"}), "INVALID_FIELD", "cc"),
        (json!({"bcc": [{"email": "a@b.example"}, {"email": "x@"}]}), "INVALID_EMAIL", "bcc.1.email"),
        (json!({"replyTo": "nobody"}), "INVALID_EMAIL", "replyTo"),
        (json!({"priority": 0}), "INVALID_FIELD", "priority"),
        (json!({"priority": 6}), "INVALID_FIELD", "priority"),
        (json!({"priority": "1"}), "INVALID_FIELD", "priority"),
        (json!({"priority": 1.5}), "INVALID_FIELD", "priority"),
        (json!({"attachments": [{"content": "YQ=="}]}), "MISSING_FIELD", "attachments.0.name"),
        (json!({"attachments": [{"name": "a"}]}), "MISSING_FIELD", "attachments.0.content"),
        (json!({"attachments": "x"}), "INVALID_ATTACHMENT", "attachments"),
        (file("a.txt", "%%%"), "INVALID_ATTACHMENT", "attachments.0.content"),
        (file("a\nb.txt", "YQ=="), "INVALID_ATTACHMENT", "attachments.0.name"),
        (json!({"headers": {"X-A": "a\r\nBcc: x@y.example"}}), "INVALID_HEADER", "headers.X-A"),
        (json!({"headers": {"Bcc": "x@y.example"}}), "INVALID_HEADER", "headers.Bcc"),
        (json!({"headers": {"X A": "x"}}), "INVALID_HEADER", "headers.X A"),
        (json!({"headers": {"X-A": 1}}), "INVALID_HEADER", "headers.X-A"),
        (json!({"headers": "x"}), "INVALID_HEADER", "headers"),
    ] {
        let answer = post(&server, KEY, &[], &with(message(), patch.clone()));
        assert_eq!(error(&answer), (400, "Validation Failed".into(), code.into(), field.into()), "{patch}");
    }
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 0);
}

#[test]
fn each_other_row_has_its_code() {
    let server = inbox();
    let row = |status: u16, heading: &str, code: &str| (status, heading.to_owned(), code.to_owned());
    let of = |answer: &crate::harness::Response| {
        let (status, heading, code, _) = error(answer);
        (status, heading, code)
    };
    for broken in [&b"{"[..], b"", b"[]", b"\"x\"", b"{\"to\":1,\"to\":2}", b"\xff", b"null"] {
        assert_eq!(of(&raw(&server, KEY, &[], broken)), row(400, "Bad Request", "INVALID_JSON"));
    }
    assert_eq!(of(&post(&server, "wrong", &[], &message())), row(401, "Unauthorized", "INVALID_API_KEY"));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let answer = post(&server, KEY, &[("Content-Type", kind)], &message());
        assert_eq!(of(&answer), row(415, "Unsupported Media Type", "UNSUPPORTED_MEDIA_TYPE"), "{kind}");
    }
    let large = json!({"attachments": [{"name": "a.bin", "content": BASE64.encode(vec![0; 26 << 20])}]});
    let answer = post(&server, KEY, &[], &with(message(), large));
    assert_eq!(of(&answer), row(413, "Payload Too Large", "PAYLOAD_TOO_LARGE"));
    let huge = format!("{{\"body\":\"{}\"}}", "x".repeat(41 << 20));
    let answer = raw(&server, KEY, &[], huge.as_bytes());
    assert_eq!(of(&answer), row(413, "Payload Too Large", "PAYLOAD_TOO_LARGE"));
    let nothing = get(&server, "/send/msg_0192f0c1d2/status");
    assert_eq!(of(&nothing), row(404, "Not Found", "MESSAGE_NOT_FOUND"));
    let date = get(&server, "/send/msg_0192f0c1d2/status?date=yesterday");
    assert_eq!(error(&date), (400, "Validation Failed".into(), "INVALID_DATE".into(), "date".into()));
    let twice = server.post_with("/send", &[("X-Api-Key", KEY), ("X-Api-Key", KEY)], &message());
    assert_eq!(of(&twice), row(401, "Unauthorized", "INVALID_API_KEY"));
}

#[test]
fn while_the_store_is_away_every_answer_says_when_to_come_again() {
    scaled_only!("it brings a database of its own");
    let postgres = Postgres::start();
    let line = Proxy::to(postgres.address(), Line::Open);
    let options = moved(ServerOptions::default()).on_parts_of_its_own();
    let server = Server::start(options.env("DATABASE_URL", Postgres::url_at(line.address())));
    line.set(Line::Cut);
    // One that was never looked up, and the classic one.
    for key in [server.key(), KEY] {
        let refused = post(&server, key, &[], &message());
        let (status, heading, code, _) = error(&refused);
        let expected = (503, "Service Unavailable", "SERVICE_UNAVAILABLE");
        assert_eq!((status, heading.as_str(), code.as_str()), expected);
        for header in ["retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] {
            assert!(refused.header(header).is_some(), "{header}: {refused:?}");
        }
    }
    line.set(Line::Open);
    eventually("it accepts again", || (post(&server, KEY, &[], &message()).status == 202).then_some(()));
}
