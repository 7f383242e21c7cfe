//! `POST /send`: every field, the sender, and who may.

use super::{KEY, error, get, inbox, message, moved, post, sent, server};
use crate::emails_api::with;
use crate::harness::server::NONE;
use crate::harness::{Relay, Server, ServerOptions, eventually};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

#[test]
fn every_field_reaches_the_message() {
    let relay = Relay::accepting();
    let server = server(&relay);
    let body = json!({
        "to": "bob@client.com", "toName": "Bob", "subject": "Größe", "body": "<p>Hi {{ you }}</p>", "isHtml": true,
        "cc": [{"email": "cay@client.com", "name": "Cay"}], "bcc": [{"email": "dee@client.com"}],
        "replyTo": "answers@shop.example", "priority": 1, "headers": {"X-Campaign": "may"},
        "attachments": [{"name": "a.pdf", "content": BASE64.encode(b"%PDF-1.4\n")},
            {"name": "run.exe", "content": BASE64.encode(b"MZ")}],
        "unknown": {"is": ["ignored"]},
    });
    let id = sent(&server, &body);
    assert!(id.starts_with("msg_") && id.len() >= 24, "{id}");
    assert!(id[4..].bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    let taken = relay.wait_for(1).remove(0);
    let mut recipients = taken.recipients.clone();
    recipients.sort();
    assert_eq!(recipients, ["bob@client.com", "cay@client.com", "dee@client.com"]);
    let text = String::from_utf8_lossy(&taken.content).into_owned();
    for line in [
        "From: The Shop <noreply@shop.example>",
        "To: Bob <bob@client.com>",
        "Cc: Cay <cay@client.com>",
        "Reply-To: answers@shop.example",
        "X-Priority: 1",
        "X-Campaign: may",
        "<p>Hi {{ you }}</p>",
        "application/pdf",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("dee@client.com"), "a blind copy is shown");
}

#[test]
fn a_plain_message_has_the_usual_priority() {
    let relay = Relay::accepting();
    let server = server(&relay);
    let twice = with(message(), json!({"cc": [{"email": "BOB@client.com"}], "headers": []}));
    sent(&server, &twice);
    let taken = relay.wait_for(1).remove(0);
    assert_eq!(taken.recipients, ["bob@client.com"], "one copy for whom stands twice");
    let text = String::from_utf8_lossy(&taken.content).into_owned();
    assert!(text.contains("X-Priority: 3\r\n") && text.contains("Literal {{ text }}"), "{text}");
    assert!(text.contains("text/plain") && !text.contains("text/html"), "{text}");
    let own = with(message(), json!({"headers": {"x-priority": "5"}}));
    sent(&server, &own);
    let text = String::from_utf8_lossy(&relay.wait_for(2).remove(1).content).into_owned();
    assert_eq!(text.to_lowercase().matches("x-priority:").count(), 1, "{text}");
}

#[test]
fn any_key_that_may_send_is_good_and_a_bound_one_sends_as_its_domain() {
    let relay = Relay::accepting();
    let server = server(&relay);
    post(&server, server.key(), &[], &message()).expect(202);
    let reader = server.new_key(&["--client", "default", "--permission", "emails:read"]);
    let refused = post(&server, &reader, &[], &message());
    assert_eq!(error(&refused), (403, "Forbidden".into(), "PERMISSION_DENIED".into(), String::new()));
    server.cli_json(&["domain", "create", "news.example", "--default-from", "News <news@news.example>"]);
    server.cli_json(&["domain", "create", "mute.example"]);
    let bound = server.new_key(&["--client", "default", "--domain", "news.example"]);
    let mute = server.new_key(&["--client", "default", "--domain", "mute.example"]);
    post(&server, &bound, &[], &message()).expect(202);
    let refused = post(&server, &mute, &[], &message());
    assert_eq!(error(&refused), (400, "Validation Failed".into(), "INVALID_FIELD".into(), "from".into()));
    let texts: Vec<String> =
        relay.wait_for(2).iter().map(|one| String::from_utf8_lossy(&one.content).into_owned()).collect();
    assert!(texts.iter().any(|text| text.contains("From: The Shop <noreply@shop.example>")));
    assert!(texts.iter().any(|text| text.contains("From: News <news@news.example>")));
}

#[test]
fn the_classic_key_is_a_credential_like_any_other() {
    let mut server = inbox();
    sent(&server, &message());
    let keys = server.cli_json(&["key", "list"]);
    let classic =
        keys.as_array().expect("a list").iter().find(|key| key["name"] == "API_KEY").expect("a key").clone();
    assert!(!keys.to_string().contains(KEY), "it is kept nowhere");
    assert_eq!(classic["permissions"], json!(["emails:send"]));
    for wrong in ["my-old-aegis-kez", "my-old-aegis-ke", "my-old-aegis-keyy", "", "x"] {
        assert_eq!(error(&post(&server, wrong, &[], &message())).2, "INVALID_API_KEY", "{wrong}");
    }
    assert_eq!(server.get_with("/api/emails", &[("X-Api-Key", KEY)]).status, 401, "it is Aegis's alone");
    // A restart does not make a second one.
    assert!(server.sigterm().success());
    server.spawn();
    server.wait_ready();
    sent(&server, &message());
    assert_eq!(server.cli_json(&["key", "list"]).as_array().map(Vec::len), keys.as_array().map(Vec::len));
    server.cli_json(&["key", "revoke", classic["id"].as_str().expect("an id")]);
    assert_eq!(error(&post(&server, KEY, &[], &message())).0, 401, "revoked at once");
}

#[test]
fn what_went_out_as_the_operator_goes_out_so_again() {
    let server = Server::start(moved(ServerOptions::default()));
    server.cli_json(&["domain", "create", "own.example", "--client", "default"]);
    post(&server, KEY, &[], &message()).expect(202);
    let listed = server.get("/api/emails").expect(200).json();
    let id = listed["data"][0]["id"].as_str().expect("an id");
    let again = server.post_raw(&format!("/api/emails/{id}/resend"), &[], b"").expect(202).json();
    let again = server.email(again["email_id"].as_str().expect("an id"));
    assert_eq!(again["from"], "The Shop <noreply@shop.example>", "{again}");
}

#[test]
fn without_a_configured_sender_the_answer_says_so() {
    let server = Server::start(ServerOptions::default().env("API_KEY", KEY));
    let refused = post(&server, KEY, &[], &message());
    assert_eq!(error(&refused), (400, "Validation Failed".into(), "INVALID_FIELD".into(), "from".into()));
    assert!(refused.text().contains("MAIL_FROM_ADDRESS"), "{}", refused.text());
    server.wait_healthy();
    let health = get(&server, "/health").expect(200).json();
    assert_eq!(health["checks"]["config"]["status"], "warning", "{health}");
}

#[test]
fn the_credential_says_which_api_is_spoken() {
    let server = inbox();
    let both = post(&server, KEY, &[("Authorization", "Bearer x")], &message());
    assert_eq!(error(&both), (400, "Bad Request".into(), "AMBIGUOUS_CREDENTIALS".into(), String::new()));
    assert!(both.header("x-ratelimit-remaining").is_some());
    for headers in [&[("X-Api-Key", NONE)][..], &[("X-Api-Key", NONE), ("Authorization", "Basic eDp5")]] {
        let neither = server.post_with("/send", headers, &message());
        assert_eq!(error(&neither), (401, "Unauthorized".into(), "INVALID_API_KEY".into(), String::new()));
        assert_eq!(neither.header("www-authenticate"), Some("Bearer"));
    }
    let bearer = server.post_with("/send", &[("X-Api-Key", NONE), ("Authorization", "Bearer x")], &message());
    assert_eq!((bearer.status, &bearer.json()["error"]), (401, &json!("invalid_token")));
}

#[test]
fn an_env_file_of_the_original_is_enough() {
    let relay = Relay::accepting();
    let server = Server::prepare(ServerOptions::default());
    let address = relay.address();
    let text = format!(
        "APP_ENV=production\nAPI_KEY={KEY}\nRATE_LIMIT=7\nSMTP_HOST={}\nSMTP_PORT={}\nSMTP_AUTH=false\n\
         SMTP_ENCRYPTION=none\nMAIL_FROM_ADDRESS=noreply@shop.example\nMAIL_FROM_NAME=\"The Shop\"\n",
        address.ip(),
        address.port()
    );
    let folder = server.data().parent().expect("a folder").to_owned();
    std::fs::write(folder.join(".env"), text).expect("a file");
    let mut server = server;
    server.spawn();
    server.wait_ready();
    let answer = post(&server, KEY, &[], &message()).expect(202);
    assert_eq!(answer.header("x-ratelimit-limit"), Some("7"));
    let id = answer.json()["message_id"].as_str().expect("an id").to_owned();
    let text = String::from_utf8_lossy(&relay.wait_for(1).remove(0).content).into_owned();
    assert!(text.contains("From: The Shop <noreply@shop.example>"), "{text}");
    eventually("it is sent", || {
        (get(&server, &format!("/send/{id}/status")).expect(200).json()["status"] == "sent").then_some(())
    });
}

#[test]
fn the_same_key_sends_once_and_another_body_is_a_conflict() {
    let server = Server::start(moved(ServerOptions::default()));
    let key = [("Idempotency-Key", "once")];
    let first = post(&server, KEY, &key, &message()).expect(202);
    let again = post(&server, KEY, &key, &message()).expect(202);
    assert_eq!((again.header("idempotency-replayed"), &again.body), (Some("true"), &first.body));
    let spaced =
        format!("  {}", json!({"subject": "Hello", "body": "Literal {{ text }}", "to": "bob@client.com"}));
    let again = super::raw(&server, KEY, &key, spaced.as_bytes()).expect(202);
    assert_eq!(again.body, first.body, "order and white space do not matter");
    let other = post(&server, KEY, &key, &with(message(), json!({"subject": "Other"})));
    assert_eq!(error(&other), (409, "Conflict".into(), "IDEMPOTENCY_KEY_REUSED".into(), String::new()));
    let bad = post(&server, KEY, &[("Idempotency-Key", "")], &message());
    assert_eq!(error(&bad).2, "INVALID_FIELD");
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 1);
}
