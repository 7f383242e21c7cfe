//! `POST /api/emails`: accepted, answered, and on the wire as it was asked for.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{email_to, with};
use crate::harness::message::{header, part, read_by_python};
use crate::harness::{Relay, Server, soon};

const PDF: &[u8] = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n";

/// The example of the contract, every field of it, with a template that exists.
fn full_example() -> Value {
    json!({
        "domain": "example.com",
        "from": "Example <noreply@example.com>",
        "to": ["user@client.com", {"email": "a@b.com", "name": "Ann"}],
        "cc": ["copy@client.com"],
        "bcc": ["hidden@client.com"],
        "reply_to": "help@example.com",
        "subject": "Selamat datang",
        "html": "<p>Halo {{name}}</p>",
        "text": "Halo {{name}}",
        "template_code": "welcome",
        "variables": {"name": "Andi"},
        "attachments": [{
            "filename": "brosur.pdf", "mime": "application/pdf", "content_base64": BASE64.encode(PDF),
            "content_id": "logo", "disposition": "attachment"
        }],
        "headers": {"X-Campaign": "autumn"},
        "tags": ["onboarding"],
        "metadata": {"order": "42"},
        "priority": 3,
        "idempotency_key": "c4f1b2"
    })
}

/// Makes the template that the example names.
fn create_welcome_template(server: &Server) {
    let template =
        json!({"code": "welcome", "name": "Welcome", "subject": "Hi", "html": "<p>Hi</p>", "text": "Hi"});
    server.post_with("/api/templates", &[("X-Api-Key", &server.templates_key())], &template).expect(201);
}

#[test]
fn the_example_is_answered_202_with_id_status_and_location() {
    let server = Server::inbox();
    let answer = server.post("/api/emails", &email_to("user@client.com", "Halo")).expect(202);
    let body = answer.json();
    let id = body["email_id"].as_str().expect("an id");
    assert_eq!(body["status"], "queued");
    assert!(body["requested_at"].as_str().is_some_and(|at| at.ends_with('Z') && at.contains('T')), "{body}");
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(3), "{body}");
    assert_eq!(answer.header("location"), Some(format!("/api/emails/{id}").as_str()));
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
    assert!(id.parse::<uuid::Uuid>().is_ok_and(|id| id.get_version_num() == 7), "{id}");
    for name in ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "x-correlation-id"] {
        assert!(answer.header(name).is_some(), "{name}");
    }
}

#[test]
fn every_field_of_the_example_arrives_on_the_wire() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    create_welcome_template(&server);
    server.send(&full_example());
    let taken = relay.only_message();
    let mut recipients = taken.recipients.clone();
    recipients.sort();
    assert_eq!(recipients, ["a@b.com", "copy@client.com", "hidden@client.com", "user@client.com"]);
    let read = read_by_python(&taken.content);
    assert_eq!(read["defects"], json!([]));
    assert_eq!(read["stray"], 0);
    assert_eq!(read["subject"], "Selamat datang");
    assert_eq!(read["from"], json!([["Example", "noreply@example.com"]]));
    assert_eq!(read["to"], json!([["", "user@client.com"], ["Ann", "a@b.com"]]));
    assert_eq!(read["cc"], json!([["", "copy@client.com"]]));
    assert_eq!(read["reply_to"], json!([["", "help@example.com"]]));
    assert_eq!(header(&read, "X-Campaign"), ["autumn"]);
    assert!(!String::from_utf8_lossy(&taken.content).contains("hidden@client.com"), "a blind copy shows");
    // Inline parts win over the template's.
    assert_eq!(part(&read, "text/plain")["text"].as_str().map(str::trim_end), Some("Halo Andi"));
    assert_eq!(part(&read, "text/html")["text"].as_str().map(str::trim_end), Some("<p>Halo Andi</p>"));
    let attachment = part(&read, "application/pdf");
    assert_eq!((&attachment["filename"], &attachment["size"]), (&json!("brosur.pdf"), &json!(PDF.len())));
    assert_eq!(attachment["content_id"], "<logo>");
    for name in ["Message-ID", "Date", "MIME-Version", "Subject", "From", "To"] {
        assert_eq!(header(&read, name).len(), 1, "{name}");
    }
}

#[test]
fn every_field_of_the_example_is_shown_again() {
    let server = Server::inbox();
    create_welcome_template(&server);
    let answer = server
        .post_with("/api/emails", &[("X-Correlation-Id", "order-42")], &full_example())
        .expect(202)
        .json();
    let id = answer["email_id"].as_str().expect("an id");
    let shown = server.wait_status(id, "sent");
    let expected = json!({
        "id": id, "domain": "example.com", "from": "Example <noreply@example.com>",
        "to": ["user@client.com", "Ann <a@b.com>"], "cc": ["copy@client.com"], "bcc": ["hidden@client.com"],
        "subject": "Selamat datang", "status": "sent", "failure_code": null, "failure_message": null, "error": null,
        "provider": "inbox", "requested_at": answer["requested_at"], "retries": 0, "next_attempt_at": null,
        "priority": 3, "tags": ["onboarding"], "metadata": {"order": "42"}, "template_code": "welcome",
        "idempotency_key": "c4f1b2", "correlation_id": "order-42", "event_id": null, "scheduled_at": null,
    });
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(&shown[name], value, "{name}");
    }
    let reply_to = &shown["reply_to"];
    assert!(reply_to == "help@example.com" || *reply_to == json!(["help@example.com"]), "{reply_to}");
    assert!(shown["sent_at"].is_string());
    let kinds: Vec<_> =
        shown["recipients"].as_array().expect("a list").iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["to", "to", "cc", "bcc"]);
    for recipient in shown["recipients"].as_array().expect("a list") {
        assert_eq!(recipient["status"], "sent", "{recipient}");
    }
    let attachment = &shown["attachments"][0];
    assert_eq!(attachment["filename"], "brosur.pdf");
    assert_eq!(attachment["mime"], "application/pdf");
    assert_eq!(attachment["size"], PDF.len());
    assert_eq!(attachment["sha256"].as_str().map(str::len), Some(64));
}

#[test]
fn html_alone_gets_a_readable_text_part() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    server.send(&with(
        email_to("user@client.com", ""),
        json!({"text": null, "html": "<h1>Halo</h1><p>Read <a href=\"https://example.com/x\">this</a>.</p>"}),
    ));
    let read = read_by_python(&relay.only_message().content);
    let text = part(&read, "text/plain")["text"].as_str().expect("text");
    assert!(text.contains("Halo") && text.contains("https://example.com/x") && !text.contains('<'), "{text}");
}

#[test]
fn variables_render_and_html_is_escaped() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    server.send(&json!({
        "from": "noreply@example.com", "to": "user@client.com", "subject": "For {{ name }}",
        "html": "<p title=\"{{ name }}\">{{ name }}</p>", "text": "{{ name }}",
        "variables": {"name": "A & <b>\"B\"</b> {{ name }}"},
    }));
    let read = read_by_python(&relay.only_message().content);
    assert_eq!(read["subject"], "For A & <b>\"B\"</b> {{ name }}");
    assert_eq!(
        part(&read, "text/plain")["text"].as_str().map(str::trim_end),
        Some("A & <b>\"B\"</b> {{ name }}")
    );
    let html = part(&read, "text/html")["text"].as_str().expect("text");
    assert!(!html.contains("<b>") && html.contains("&amp;") && html.contains("{{ name }}"), "{html}");
}

#[test]
fn the_domain_s_default_sender_stands_in_for_from() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    server.cli_json(&["domain", "create", "shop.example", "--default-from", "Shop <orders@shop.example>"]);
    server.send(&with(email_to("user@client.com", "x"), json!({"from": null, "domain": "shop.example"})));
    let taken = relay.only_message();
    assert_eq!(read_by_python(&taken.content)["from"], json!([["Shop", "orders@shop.example"]]));
}

#[test]
fn a_scheduled_email_waits_and_says_so() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let at = soon(Duration::from_secs(7200));
    let answer = server
        .post("/api/emails", &with(email_to("user@client.com", "later"), json!({"send_at": at})))
        .expect(202)
        .json();
    assert_eq!(answer["status"], "scheduled");
    let shown = server.email(answer["email_id"].as_str().expect("an id"));
    assert_eq!(shown["status"], "scheduled");
    assert!(shown["scheduled_at"].is_string());
    // Mail that is due passes it.
    server.send(&email_to("user@client.com", "now"));
    assert!(String::from_utf8_lossy(&relay.only_message().content).contains("now"));
}

#[test]
fn the_correlation_id_comes_back_and_stands_on_the_email() {
    let server = Server::inbox();
    let email = email_to("user@client.com", "x");
    let given = server.post_with("/api/emails", &[("X-Correlation-Id", "abc-123")], &email).expect(202);
    assert_eq!(given.header("x-correlation-id"), Some("abc-123"));
    let id = given.json()["email_id"].as_str().expect("an id").to_owned();
    assert_eq!(server.email(&id)["correlation_id"], "abc-123");
    let other = server.post_with("/api/emails", &[("X-Request-Id", "req-9")], &email).expect(202);
    assert_eq!(other.header("x-correlation-id"), Some("req-9"));
    let too_long = "x".repeat(129);
    let made =
        server.post_with("/api/emails", &[("X-Correlation-Id", too_long.as_str())], &email).expect(202);
    assert_ne!(made.header("x-correlation-id"), Some(too_long.as_str()));
    assert!(made.header("x-correlation-id").is_some());
}

#[test]
fn an_email_keeps_the_template_version_it_was_accepted_with() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let key = server.templates_key();
    let headers = [("X-Api-Key", key.as_str())];
    let template = |text: &str| json!({"code": "note", "name": "Note", "subject": "Note", "text": text});
    server.post_with("/api/templates", &headers, &template("first")).expect(201);
    let at = soon(Duration::from_secs(3));
    server.send(&json!({"from": "noreply@example.com", "to": "user@client.com", "template_code": "note",
        "send_at": at}));
    server.post_with("/api/templates", &headers, &template("second")).expect(200);
    let read = read_by_python(&relay.only_message().content);
    assert_eq!(part(&read, "text/plain")["text"].as_str().map(str::trim_end), Some("first"));
}
