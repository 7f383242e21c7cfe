//! A14: line breaks and control characters in every field that can reach a header or an SMTP command.

use serde_json::{Value, json};

use crate::emails_api::{email_to, with};
use crate::harness::message::read_by_python;
use crate::harness::{Relay, Server};

const HOSTILE: [(&str, bool); 10] = [
    // Whether the text is a control character in the middle, which no field may carry.
    ("a\rX-Evil: 1", true),
    ("a\nX-Evil: 1", true),
    ("a\r\nX-Evil: 1", true),
    ("a\r\n\r\nX-Evil: 1", true),
    ("a\t\r\nX-Evil: 1", true),
    ("a\u{0}b", true),
    ("a\u{7f}b", true),
    ("a\u{85}X-Evil: 1", false),
    ("a\u{2028}X-Evil: 1", false),
    ("a%0d%0aX-Evil: 1", false),
];

/// Every field that can reach a header, with the hostile text in it, and the pointer to be named.
fn emails(hostile: &str) -> Vec<(&'static str, Value)> {
    let base = || email_to("user@client.com", "x");
    let attachment = |member: &str| {
        let mut attachment = json!({"filename": "a.txt", "mime": "text/plain", "content_base64": "aGVsbG8="});
        attachment[member] = json!(hostile);
        with(base(), json!({ "attachments": [attachment] }))
    };
    vec![
        ("/subject", with(base(), json!({"subject": hostile}))),
        ("/from", with(base(), json!({"from": {"email": "noreply@example.com", "name": hostile}}))),
        ("/from", with(base(), json!({"from": format!("\"{hostile}\" <noreply@example.com>")}))),
        ("/from", with(base(), json!({"from": format!("noreply{hostile}@example.com")}))),
        ("/to", with(base(), json!({"to": [{"email": "user@client.com", "name": hostile}]}))),
        ("/to", with(base(), json!({"to": format!("user@client.com{hostile}")}))),
        ("/cc", with(base(), json!({"cc": [{"email": "cc@client.com", "name": hostile}]}))),
        ("/bcc", with(base(), json!({"bcc": [format!("b{hostile}@client.com")]}))),
        ("/reply_to", with(base(), json!({"reply_to": {"email": "r@client.com", "name": hostile}}))),
        ("/headers", with(base(), json!({"headers": {"X-A": hostile}}))),
        ("/headers", with(base(), json!({"headers": {format!("X-{hostile}"): "v"}}))),
        ("/attachments/0/filename", attachment("filename")),
        ("/attachments/0/mime", attachment("mime")),
        ("/attachments/0/content_id", attachment("content_id")),
        ("/tags", with(base(), json!({"tags": [hostile]}))),
        ("/metadata", with(base(), json!({"metadata": {"k": hostile}}))),
        ("/idempotency_key", with(base(), json!({"idempotency_key": hostile}))),
    ]
}

#[test]
fn a14_control_characters_are_refused_and_legal_text_is_encoded() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let mut accepted = Vec::new();
    let mut wrong = Vec::new();
    for (hostile, is_control) in HOSTILE {
        for (pointer, email) in emails(hostile) {
            let answer = server.post("/api/emails", &email);
            let text = answer.text();
            // Metadata reaches no header; only what it may hold at all is checked.
            let may_pass = !is_control || pointer == "/metadata";
            if answer.status == 202 && may_pass {
                accepted.push(answer.json()["email_id"].as_str().expect("an id").to_owned());
            } else if answer.status != 422 || !text.contains(pointer) {
                wrong.push(format!("{hostile:?} in {pointer}: {} {text}", answer.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for id in &accepted {
        server.wait_status(id, "sent");
    }
    let taken = relay.wait_for(accepted.len());
    assert_eq!(taken.len(), accepted.len());
    for message in taken {
        let text = String::from_utf8_lossy(&message.content).into_owned();
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let named_evil = head.lines().any(|line| line.to_lowercase().starts_with("x-evil"));
        assert!(!named_evil, "{head}");
        assert!(head.bytes().all(|byte| byte >= 0x20 || b"\r\n\t".contains(&byte)), "{head:?}");
        assert_eq!(read_by_python(&message.content)["stray"], 0);
    }
    for connection in relay.connections() {
        assert_eq!(connection.violations, Vec::<String>::new());
    }
}

#[test]
fn a14_a_template_variable_cannot_break_out_of_the_subject() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let mut sent = 0;
    for (hostile, is_control) in HOSTILE {
        let email = with(
            email_to("user@client.com", "x"),
            json!({"subject": "Hi {{ name }}", "variables": {"name": hostile}}),
        );
        let answer = server.post("/api/emails", &email);
        // Legal text may go as an encoded word; what breaks a line for some reader may be refused.
        assert!(
            answer.status == 422 || (answer.status == 202 && !is_control),
            "{hostile:?}: {}",
            answer.text()
        );
        sent += usize::from(answer.status == 202);
    }
    for message in relay.wait_for(sent) {
        assert_eq!(
            crate::harness::message::header(&read_by_python(&message.content), "X-Evil"),
            Vec::<String>::new()
        );
    }
}

#[test]
fn a14_a_hostile_correlation_id_is_replaced() {
    let server = Server::inbox();
    let email = email_to("user@client.com", "x");
    for hostile in ["a b\tc", "ünïcode", "", "a\u{7f}"] {
        let answer = server.post_with("/api/emails", &[("X-Correlation-Id", hostile)], &email);
        if answer.status == 202 {
            assert_ne!(answer.header("x-correlation-id"), Some(hostile));
        } else {
            assert_eq!(answer.status, 400, "{hostile:?}");
        }
    }
}

#[test]
fn a46_headers_that_we_write_ourselves_cannot_be_written_twice() {
    let server = Server::inbox();
    let reserved = [
        "From",
        "To",
        "Cc",
        "Bcc",
        "Subject",
        "Date",
        "Message-ID",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
        "Content-Disposition",
        "Return-Path",
        "Received",
        "DKIM-Signature",
        "DKIM-X",
        "sUbJeCt",
        "mime-other",
    ];
    for name in reserved {
        let answer = server
            .post("/api/emails", &with(email_to("user@client.com", "x"), json!({"headers": {name: "v"}})));
        let answer = answer.expect(422).text();
        assert!(answer.contains("reserved_header") && answer.contains(name), "{name}: {answer}");
    }
    // The same name in two spellings is two headers of one name.
    let twice = json!({"headers": {"X-Same": "a", "x-same": "b"}});
    let answer = server.post("/api/emails", &with(email_to("user@client.com", "x"), twice));
    assert!(answer.expect(422).text().contains("stands twice"));
}
