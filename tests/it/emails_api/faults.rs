//! Every way to ask wrongly: the status, the field and the code; nothing is stored and nothing is sent.

use serde_json::{Value, json};

use super::{email_to, with};
use crate::harness::Server;

/// A problem as RFC 9457 has it, with every member of the contract.
#[track_caller]
fn assert_problem(problem: &Value, status: u16) {
    assert_eq!(problem["status"], status, "{problem:#}");
    for member in ["type", "title", "detail", "code", "correlation_id"] {
        assert!(problem[member].is_string(), "{member}: {problem:#}");
    }
    assert!(problem["errors"].is_array(), "{problem:#}");
    let code = problem["code"].as_str().expect("a code");
    assert!(code.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()), "{code}");
}

#[track_caller]
fn has_fault(problem: &Value, field: Option<&str>, code: Option<&str>) -> bool {
    problem["errors"].as_array().is_some_and(|faults| {
        faults.iter().any(|fault| {
            field.is_none_or(|field| fault["field"] == field)
                && code.is_none_or(|code| fault["code"] == code)
                && fault["message"].as_str().is_some_and(|message| !message.is_empty())
        })
    })
}

fn attachment(patch: Value) -> Value {
    let plain = json!({"filename": "a.txt", "mime": "text/plain", "content_base64": "aGVsbG8="});
    json!({"attachments": [with(plain, patch)]})
}

/// What is wrong, as members to set; the pointer (where the contract leaves no choice); the code.
type Row = (Value, Option<&'static str>, Option<&'static str>);

fn recipients_and_sender() -> Vec<Row> {
    let many: Vec<String> = (0..51).map(|n| format!("user{n}@client.com")).collect();
    vec![
        (json!({"to": null}), Some("/to"), Some("required")),
        (json!({"to": []}), Some("/to"), Some("required")),
        (json!({"to": ["user@client.com", "not an address"]}), Some("/to/1"), Some("invalid_email")),
        (json!({"to": "a@b@c"}), None, Some("invalid_email")),
        (json!({"to": [{"email": "nobody", "name": "N"}]}), None, Some("invalid_email")),
        (json!({"cc": ["@client.com"]}), Some("/cc/0"), Some("invalid_email")),
        (json!({"bcc": ["user@"]}), Some("/bcc/0"), Some("invalid_email")),
        (json!({"cc": ["user@CLIENT.com"]}), Some("/cc/0"), Some("duplicate_recipient")),
        (json!({"to": many}), None, Some("too_many_recipients")),
        (json!({"to": 5}), Some("/to"), Some("invalid_type")),
        (json!({"to": [true]}), Some("/to/0"), Some("invalid_type")),
        (json!({"from": "nonsense"}), Some("/from"), Some("invalid_email")),
        (
            json!({"from": "a@other.example", "domain": "example.com"}),
            Some("/from"),
            Some("from_domain_mismatch"),
        ),
        (
            json!({"from": "a@sub.example.com", "domain": "example.com"}),
            Some("/from"),
            Some("from_domain_mismatch"),
        ),
        (json!({"from": "a@other.example"}), None, None),
        (json!({"from": null}), None, None),
        (json!({"from": "A\r\nBcc: x@y.z <a@example.com>"}), Some("/from"), None),
        (json!({"reply_to": "x"}), None, Some("invalid_email")),
    ]
}

fn content() -> Vec<Row> {
    vec![
        (json!({"subject": null}), Some("/subject"), Some("required")),
        (json!({"subject": 5}), Some("/subject"), Some("invalid_type")),
        (json!({"subject": "a\r\nBcc: x@y.z"}), Some("/subject"), Some("control_character")),
        (json!({"text": null}), None, Some("missing_body")),
        (json!({"text": "Halo {{ name }}"}), None, Some("missing_variable")),
        (json!({"subject": "Halo {{ name }}"}), None, Some("missing_variable")),
        (json!({"html": "{{ a.b }}", "variables": {"a": {}}}), None, Some("missing_variable")),
        (json!({"html": "{{ oops"}), Some("/html"), Some("template_syntax")),
        (json!({"template_code": "absent"}), Some("/template_code"), Some("template_not_found")),
        (json!({"variables": []}), Some("/variables"), Some("invalid_type")),
        (json!({"priority": 0}), Some("/priority"), Some("out_of_range")),
        (json!({"priority": 6}), Some("/priority"), Some("out_of_range")),
        (json!({"priority": "3"}), Some("/priority"), Some("invalid_type")),
        (json!({"send_at": "2001-01-01T00:00:00Z"}), Some("/send_at"), Some("invalid_send_at")),
        (json!({"send_at": "2999-01-01T00:00:00Z"}), Some("/send_at"), Some("invalid_send_at")),
        (json!({"send_at": "tomorrow"}), Some("/send_at"), None),
        (json!({"colour": "red"}), Some("/colour"), Some("unknown_field")),
        (json!({"tags": ["a\u{0}b"]}), Some("/tags/0"), None),
        (json!({"tags": "a"}), Some("/tags"), Some("invalid_type")),
        (json!({"metadata": []}), Some("/metadata"), Some("invalid_type")),
    ]
}

fn headers_and_attachments() -> Vec<Row> {
    let png =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let content = Some("/attachments/0/content_base64");
    vec![
        (json!({"headers": {"From": "a@b.c"}}), Some("/headers/From"), Some("reserved_header")),
        (json!({"headers": {"content-type": "x"}}), Some("/headers/content-type"), Some("reserved_header")),
        (
            json!({"headers": {"DKIM-Signature": "x"}}),
            Some("/headers/DKIM-Signature"),
            Some("reserved_header"),
        ),
        (json!({"headers": {"Received": "x"}}), Some("/headers/Received"), Some("reserved_header")),
        (json!({"headers": {"Message-ID": "<a@b>"}}), Some("/headers/Message-ID"), Some("reserved_header")),
        (json!({"headers": {"X A": "x"}}), Some("/headers/X A"), Some("invalid_header")),
        (json!({"headers": {"X-A": "a\r\nBcc: x@y.z"}}), Some("/headers/X-A"), None),
        (json!({"headers": {"X-A": 5}}), Some("/headers/X-A"), Some("invalid_type")),
        (attachment(json!({"content_base64": "!!"})), content, Some("invalid_base64")),
        (attachment(json!({"content_base64": "aGVsbG8"})), content, Some("invalid_base64")),
        (attachment(json!({"content_base64": "aGV=bG8="})), content, Some("invalid_base64")),
        (attachment(json!({"mime": "application/x-msdownload"})), Some("/attachments/0/mime"), None),
        (
            attachment(json!({"mime": "application/pdf", "content_base64": png})),
            None,
            Some("attachment_type_mismatch"),
        ),
        (attachment(json!({"filename": "a\r\nb.txt"})), Some("/attachments/0/filename"), None),
        (attachment(json!({"filename": null})), Some("/attachments/0/filename"), Some("required")),
        (attachment(json!({"content_base64": null})), content, Some("required")),
        (attachment(json!({"content_id": "a\r\nb"})), Some("/attachments/0/content_id"), None),
        (attachment(json!({"disposition": "floating"})), Some("/attachments/0/disposition"), None),
        (attachment(json!({"colour": 1})), Some("/attachments/0/colour"), Some("unknown_field")),
        (json!({"attachments": {}}), Some("/attachments"), Some("invalid_type")),
    ]
}

#[test]
fn each_fault_is_422_and_names_its_field() {
    let server = Server::inbox();
    let rows = [recipients_and_sender(), content(), headers_and_attachments()].concat();
    let mut wrong = Vec::new();
    for (patch, field, code) in rows {
        let answer = server.post("/api/emails", &with(email_to("user@client.com", "x"), patch.clone()));
        let told = answer.status == 422 && has_fault(&answer.json(), field, code);
        if !told {
            wrong.push(format!(
                "{patch}: wanted {field:?} {code:?}, got {} {}",
                answer.status,
                answer.text()
            ));
            continue;
        }
        assert_problem(&answer.json(), 422);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    }
    assert!(wrong.is_empty(), "{} of the faults:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(
        server.get("/api/emails?count=true").expect(200).json()["total"],
        0,
        "a faulty email was stored"
    );
}

#[test]
fn all_faults_are_told_at_once() {
    let server = Server::inbox();
    let email = json!({"from": "x", "to": ["ok@client.com", "y"], "subject": "a\nb", "text": "t", "priority": 9,
        "surprise": 1});
    let problem = server.post("/api/emails", &email).expect(422).json();
    for field in ["/from", "/to/1", "/subject", "/priority", "/surprise"] {
        assert!(has_fault(&problem, Some(field), None), "{field}: {problem:#}");
    }
}

#[test]
fn a_body_that_is_no_json_is_400_and_of_another_type_415() {
    let server = Server::inbox();
    for body in ["", "{", "[1,", "nonsense", "{\"to\": \"a\",}", "\u{feff}{}"] {
        let answer = server.post_raw("/api/emails", &[], body.as_bytes());
        assert_problem(&answer.clone().expect(400).json(), 400);
    }
    let valid = email_to("user@client.com", "x").to_string();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let answer = server.post_raw("/api/emails", &[("Content-Type", kind)], valid.as_bytes());
        assert_problem(&answer.expect(415).json(), 415);
    }
    server
        .post_raw("/api/emails", &[("Content-Type", "application/json; charset=utf-8")], valid.as_bytes())
        .expect(202);
}

#[test]
fn an_attachment_past_25_mib_and_a_body_past_40_mib_are_413() {
    let server = Server::inbox();
    let large = "A".repeat((25 * 1024 * 1024 + 3) / 3 * 4);
    let email = with(email_to("user@client.com", "x"), attachment(json!({"content_base64": large})));
    assert_problem(&server.post("/api/emails", &email).expect(413).json(), 413);
    let body = vec![b' '; 40 * 1024 * 1024 + 1];
    assert_problem(&server.post_raw("/api/emails", &[], &body).expect(413).json(), 413);
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 0);
}

#[test]
fn unknown_paths_and_methods_are_404_and_405() {
    let server = Server::inbox();
    assert_problem(&server.get("/api/nothing").expect(404).json(), 404);
    assert_problem(&server.get("/api/emails/0192aaaa-0000-7000-8000-000000000000").expect(404).json(), 404);
    assert_problem(&server.get("/api/emails/not-an-id").expect(404).json(), 404);
    let answer = server.try_request("DELETE", "/api/emails", &[], b"").expect("an answer");
    assert_eq!(answer.status, 405);
}
