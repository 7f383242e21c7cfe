//! The webhook of the default client, as Aegis Mailer had it: `WEBHOOK_URL` and `WEBHOOK_SECRET`.

use serde_json::{Value, json};

use super::{deliveries, text, wait_for};
use crate::emails_api::email_to;
use crate::harness::relay::{Action, Relay, Script, Step};
use crate::harness::{Receiver, Server, ServerOptions, eventually};

const SECRET: &str = "a-secret-of-the-operator";

fn to(receiver: &Receiver, options: ServerOptions) -> ServerOptions {
    options.env("WEBHOOK_URL", receiver.url()).env("WEBHOOK_SECRET", SECRET)
}

/// `sha256=` and the HMAC of the body, as Python makes it.
fn signature(body: &[u8]) -> String {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let code = "import hmac,sys;print('sha256='+hmac.new(sys.argv[1].encode(),sys.stdin.buffer.read(),'sha256').hexdigest())";
    let mut python = Command::new("python3")
        .args(["-c", code, SECRET])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    python.stdin.take().expect("its input").write_all(body).expect("a body");
    String::from_utf8(python.wait_with_output().expect("an answer").stdout).expect("text").trim().to_owned()
}

#[test]
fn sent_is_told_word_for_word() {
    let receiver = Receiver::start();
    let server = Server::start(to(&receiver, ServerOptions::default()));
    server.send(&email_to("user@client.com", "x"));
    let call = &wait_for(&receiver, 1)[0];
    assert_eq!(call.header("user-agent"), "Aegis-Mailer/1.0.0 (Posthaste)");
    assert_eq!(call.header("content-type"), "application/json");
    assert_eq!(call.header("x-aegis-signature"), signature(&call.body));
    let told = call.json();
    let id = text(&told, "message_id");
    assert!(
        id.starts_with("msg_") && id.len() >= 24 && id[4..].bytes().all(|b| b.is_ascii_alphanumeric()),
        "{id}"
    );
    let at = text(&told, "timestamp");
    assert!(at.len() == 25 && at.ends_with("+00:00"), "{at}");
    let expected = format!(r#"{{"message_id":"{id}","status":"sent","timestamp":"{at}"}}"#);
    assert_eq!(String::from_utf8_lossy(&call.body), expected);
}

#[test]
fn only_the_final_failure_is_told_with_its_error_and_attempts() {
    let relay = Relay::start(Script::accepting().on(Step::Rcpt, Action::reply("451 4.3.0 try again later")));
    let receiver = Receiver::start();
    let options = to(&receiver, ServerOptions::to_relay(&relay)).env("POSTHASTE_DELIVERY__MAX_ATTEMPTS", "3");
    let server = Server::start(options.env("POSTHASTE_DELIVERY__RETRY_SCHEDULE", "100ms"));
    let id = server.send(&email_to("user@client.com", "x"));
    let call = &wait_for(&receiver, 1)[0];
    let told = call.json();
    let members: Vec<&String> = told.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["message_id", "status", "timestamp", "error", "attempts"]);
    assert_eq!((&told["status"], &told["attempts"]), (&json!("failed"), &json!(3)));
    assert!(text(&told, "error").contains("4.3.0 try again later"), "{told:#}");
    assert_eq!(server.email(&id)["status"], "failed");
    assert_eq!(receiver.calls().len(), 1);
}

#[test]
fn several_recipients_are_told_once() {
    let receiver = Receiver::start();
    let relay = Relay::start(Script::accepting());
    let server = Server::start(to(&receiver, ServerOptions::to_relay(&relay)));
    let mut email = email_to("a@client.com", "x");
    email["to"] = json!(["a@client.com", "b@client.com", "c@client.com"]);
    server.send(&email);
    let second = server.send(&email_to("d@client.com", "x"));
    server.wait_status(&second, "sent");
    wait_for(&receiver, 2);
    let hooks = server.get("/api/webhooks").expect(200).json();
    let hook = &hooks["data"][0];
    assert_eq!((&hook["managed_by"], &hook["url"]), (&json!("configuration"), &json!(receiver.url())));
    eventually("both are told, nothing else", || {
        let log = deliveries(&server, text(hook, "id"));
        (log.len() == 2 && log.iter().all(|one| one["status"] == "delivered")).then_some(())
    });
    // Its client cannot change what the operator has set.
    let path = format!("/api/webhooks/{}", text(hook, "id"));
    assert_eq!(server.try_request("DELETE", &path, &[], b"").expect("an answer").status, 409);
    server.post(&format!("{path}/rotate"), &json!({})).expect(409);
}

#[test]
fn mail_of_other_clients_is_not_told_and_another_url_takes_over() {
    let (first, second) = (Receiver::start(), Receiver::start());
    let mut server = Server::start(to(&first, ServerOptions::default()));
    let other = server.new_client("other");
    server.cli_json(&["domain", "create", "other.example", "--client", "other"]);
    let mut foreign = email_to("user@client.com", "x");
    foreign["from"] = json!("a@other.example");
    server.post_with("/api/emails", &[("X-Api-Key", &other)], &foreign).expect(202);
    server.send(&email_to("user@client.com", "x"));
    wait_for(&first, 1);
    server.restart_with(|options| options.env("WEBHOOK_URL", second.url()));
    server.send(&email_to("user@client.com", "y"));
    wait_for(&second, 1);
    assert_eq!((first.calls().len(), second.calls().len()), (1, 1));
    assert_eq!(server.get("/api/webhooks").expect(200).json()["data"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_link_local_address_is_refused_at_the_start() {
    for url in ["http://169.254.169.254/latest", "http://[fe80::1]/", "http://0.0.0.0:80/"] {
        let server = Server::prepare(ServerOptions::default().env("WEBHOOK_URL", url));
        let checked = server.cli(&["config", "check"]);
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(!checked.status.success() && said.contains("webhooks.url"), "{url}: {said}");
    }
}

#[test]
fn without_a_secret_nothing_is_signed() {
    let receiver = Receiver::start();
    let server = Server::start(ServerOptions::default().env("WEBHOOK_URL", receiver.url()));
    server.send(&email_to("user@client.com", "x"));
    let call = &wait_for(&receiver, 1)[0];
    assert!(!call.has("x-aegis-signature") && !call.has("webhook-signature"));
    assert!(server.stderr().contains("WEBHOOK_SECRET is not set"));
    assert_ne!(call.json()["message_id"], Value::Null);
}

#[test]
fn the_queue_worked_off_by_hand_tells_it_before_it_ends() {
    let receiver = Receiver::start();
    let relay = Relay::start(Script::accepting());
    let server = Server::start(to(&receiver, ServerOptions::to_relay(&relay)).api_only());
    server.send(&email_to("user@client.com", "x"));
    let output = server.cli(&["queue", "process"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(receiver.calls().len(), 1);
    assert_eq!(receiver.calls()[0].json()["status"], "sent");
}
