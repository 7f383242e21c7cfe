//! `POST /mail/send` and `GET /mail/status/{id}`.

use super::{call, error, get, mail, post, sender, sent, token};
use crate::emails_api::with;
use crate::harness::message::read_by_python;
use crate::harness::server::NONE;
use crate::harness::{Relay, Server, ServerOptions, eventually};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use posthaste_smtp_sink::relay::{Action, Script, Step};
use serde_json::{Value, json};

#[test]
fn a_mail_with_everything_arrives_and_the_answers_are_as_documented() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let mine = sender(&server);
    let full = json!({
        "from": "Example <noreply@example.com>", "to": ["bob@client.com"], "cc": ["carol@client.com"],
        "bcc": ["dan@client.com"], "subject": "報告 {{ x }}", "body": "Literal {{ text }}", "html": "<p>{{ html }}</p>",
        "attachments": [{"filename": "report.pdf", "content": BASE64.encode("%PDF-1.4"), "content_type": "application/pdf"}],
        "metadata": {"case": 7},
    });
    let answer = post(&server, &mine, "/mail/send", &full).expect(200).json();
    let id = answer["mail_id"].as_str().expect("an id").to_owned();
    assert_eq!(
        answer,
        json!({"success": true, "mail_id": id, "status": "queued", "message": "郵件已加入發送隊列"})
    );
    let received = relay.wait_for(1).remove(0);
    let read = read_by_python(&received.content);
    assert_eq!(read["subject"], "報告 {{ x }}");
    assert_eq!(read["to"], json!([["", "bob@client.com"]]));
    assert_eq!(read["cc"], json!([["", "carol@client.com"]]));
    let texts: Vec<&str> =
        read["parts"].as_array().expect("parts").iter().filter_map(|part| part["text"].as_str()).collect();
    assert!(texts.iter().any(|text| text.contains("Literal {{ text }}")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("<p>{{ html }}</p>")), "{texts:?}");
    assert!(read["parts"].as_array().expect("parts").iter().any(|part| part["filename"] == "report.pdf"));
    assert!(!String::from_utf8_lossy(&received.content).contains("dan@client.com"));
    let status = eventually("the mail is sent", || {
        let status = get(&server, &mine, &format!("/mail/status/{id}")).expect(200).json();
        (status["status"] == "sent").then_some(status)
    });
    let members: Vec<&String> = status.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["mail_id", "status", "retry_count", "created_at", "sent_at", "error_message"]);
    assert_eq!((&status["mail_id"], &status["retry_count"]), (&json!(id), &json!(0)));
    assert_eq!(status["error_message"], "");
    for time in ["created_at", "sent_at"] {
        assert!(status[time].as_str().is_some_and(|time| time.ends_with('Z')), "{status}");
    }
}

#[test]
fn who_stands_twice_gets_one_copy() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let mine = sender(&server);
    let twice = json!({
        "to": ["bob@client.com", "Bob <bob@client.com>"], "cc": ["bob@client.com"], "bcc": ["bob@client.com"],
    });
    sent(&server, &mine, &with(mail(), twice));
    assert_eq!(relay.wait_for(1).remove(0).recipients, ["bob@client.com"]);
}

#[test]
fn english_where_it_is_preferred() {
    let server = Server::inbox();
    let mine = sender(&server);
    for (asked, text) in [
        ("en-US,en;q=0.9", "Mail queued for delivery"),
        ("zh-TW,zh;q=0.9,en;q=0.8", "郵件已加入發送隊列"),
        ("de", "郵件已加入發送隊列"),
    ] {
        let headers = [("Accept-Language", asked)];
        let answer = call(&server, "POST", "/mail/send", &mine.bearer, &headers, Some(&mail()));
        assert_eq!(answer.expect(200).json()["message"], text, "{asked}");
    }
}

#[test]
fn a_failure_can_be_read_at_every_step() {
    let relay = Relay::start(Script::accepting().on(Step::Rcpt, Action::reply("550 5.1.1 nobody")));
    let server = Server::to_relay(&relay);
    let mine = sender(&server);
    let id = sent(&server, &mine, &mail());
    let failed = eventually("the mail failed", || {
        let status = get(&server, &mine, &format!("/mail/status/{id}")).expect(200).json();
        (status["status"] == "failed").then_some(status)
    });
    assert_eq!(failed["sent_at"], json!(null));
    assert!(failed["error_message"].as_str().is_some_and(|message| !message.is_empty()), "{failed}");
}

#[test]
fn each_400_has_its_code() {
    let server = Server::start(ServerOptions::default().env("ORG_DOMAINS", "org.example"));
    let mine = sender(&server);
    let file =
        |patch: Value| json!({"attachments": [with(json!({"filename": "a.txt", "content": "YQ=="}), patch)]});
    let table = [
        (json!({"from": null}), "missing_field"),
        (json!({"from": " "}), "missing_field"),
        (json!({"to": null}), "missing_field"),
        (json!({"to": [], "cc": ["a@client.com"]}), "missing_field"),
        (json!({"subject": null}), "missing_field"),
        (json!({"subject": ""}), "missing_field"),
        (json!({"body": null}), "missing_field"),
        (json!({"body": "", "html": ""}), "missing_field"),
        (file(json!({"filename": null})), "missing_field"),
        (file(json!({"content": null})), "missing_field"),
        (json!({"from": 1}), "invalid_request"),
        (json!({"to": "bob@client.com"}), "invalid_request"),
        (json!({"to": ["bob@client.com", 7]}), "invalid_request"),
        (json!({"subject": []}), "invalid_request"),
        (json!({"body": {}}), "invalid_request"),
        (json!({"html": true}), "invalid_request"),
        (json!({"metadata": "x"}), "invalid_request"),
        (json!({"attachments": {}}), "invalid_request"),
        (json!({"attachments": ["x"]}), "invalid_request"),
        (json!({"subject": "a\r\nBcc: x@y.com"}), "invalid_request"),
        (json!({"metadata": {"a": "b\u{0}"}}), "invalid_request"),
        (json!({"from": "nobody"}), "invalid_email"),
        (json!({"to": ["a@b@c"]}), "invalid_email"),
        (json!({"cc": ["@client.com"]}), "invalid_email"),
        (json!({"bcc": ["a\r\nb@client.com"]}), "invalid_email"),
        (file(json!({"content": "***"})), "invalid_attachment"),
        (file(json!({"filename": "a\r\nb.txt"})), "invalid_attachment"),
        (file(json!({"content_type": "no type"})), "invalid_attachment"),
        (file(json!({"content_type": "text/plain\r\nX-Evil: 1"})), "invalid_attachment"),
        (
            json!({"attachments": vec![json!({"filename": "a.txt", "content": ""}); 101]}),
            "invalid_attachment",
        ),
        (json!({"from": "a@evil.example"}), "sender_not_configured"),
        (json!({"from": "a@example.com.evil.example"}), "sender_not_configured"),
    ];
    for (patch, code) in table {
        let answer = post(&server, &mine, "/mail/send", &with(mail(), patch.clone()));
        assert_eq!(error(&answer), (400, code.into()), "{patch}: {}", answer.text());
    }
    for broken in ["", "{", "[]", "7", "{\"from\":1,\"from\":2}"] {
        let headers = [("X-Api-Key", NONE), ("Authorization", mine.bearer.as_str())];
        let answer = server.post_raw("/api/v1/mail/send", &headers, broken.as_bytes());
        assert_eq!(error(&answer), (400, "invalid_request".into()), "{broken}");
    }
    assert_eq!(get(&server, &mine, "/mail/history").expect(200).json()["total"], 0);
}

#[test]
fn large_files_are_named_and_large_bodies_refused() {
    let server = Server::inbox();
    let mine = sender(&server);
    let content = BASE64.encode(vec![b'x'; 26 * 1024 * 1024]);
    let large = with(mail(), json!({"attachments": [{"filename": "report.pdf", "content": content}]}));
    let answer = post(&server, &mine, "/mail/send", &large);
    assert_eq!(error(&answer), (400, "attachment_too_large".into()));
    assert_eq!(answer.json()["message"], "report.pdf exceeds maximum size of 25MB");
    let huge = with(mail(), json!({"body": "x".repeat(41 * 1024 * 1024)}));
    assert_eq!(error(&post(&server, &mine, "/mail/send", &huge)), (413, "payload_too_large".into()));
}

#[test]
fn a44_one_key_sends_once() {
    let mut server = Server::inbox();
    let mine = sender(&server);
    let send = |server: &Server, key: &str, body: &Value| {
        call(server, "POST", "/mail/send", &mine.bearer, &[("Idempotency-Key", key)], Some(body))
    };
    let bad = with(mail(), json!({"to": ["nobody"]}));
    send(&server, "once", &bad).expect(400);
    let first = send(&server, "once", &mail()).expect(200);
    assert_eq!(first.header("idempotency-replayed"), None);
    server.restart();
    let again = send(&server, "once", &mail()).expect(200);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &first.body));
    let other = send(&server, "once", &with(mail(), json!({"subject": "Other"})));
    assert_eq!(error(&other), (409, "idempotency_key_reused".into()));
    assert_eq!(error(&send(&server, "ä", &mail())), (400, "invalid_request".into()));
    let theirs = token(&server, "Accounting", &["mail:send"]);
    let headers = [("Idempotency-Key", "once")];
    let independent = with(mail(), json!({"from": "a@accounting.example"}));
    let answer =
        call(&server, "POST", "/mail/send", &theirs.bearer, &headers, Some(&independent)).expect(200);
    assert_ne!(answer.json()["mail_id"], first.json()["mail_id"]);
    assert_eq!(get(&server, &mine, "/mail/history").expect(200).json()["total"], 1);
}

#[test]
fn other_media_paths_and_methods_have_errors_of_this_shape() {
    let server = Server::inbox();
    let mine = sender(&server);
    let headers =
        |media| [("X-Api-Key", NONE), ("Authorization", mine.bearer.as_str()), ("Content-Type", media)];
    for media in ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"] {
        let answer = server.post_raw("/api/v1/mail/send", &headers(media), mail().to_string().as_bytes());
        assert_eq!(error(&answer), (415, "unsupported_media_type".into()), "{media}");
    }
    for path in ["", "/", "/mail", "/mail/status", "/mail/status/a/b", "/nothing"] {
        assert_eq!(error(&get(&server, &mine, path)), (404, "not_found".into()), "{path}");
    }
    let answer = get(&server, &mine, "/mail/send");
    assert_eq!(error(&answer), (405, "method_not_allowed".into()));
    assert_eq!(answer.header("allow"), Some("POST"));
}
