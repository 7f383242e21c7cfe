//! Suppressed addresses: accepted, never attempted, the others still go.

use crate::harness::{Relay, Server, eventually, soon};
use serde_json::json;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

const LIST: &str = "/api/suppressions";

fn delete(server: &Server, path: &str) -> u16 {
    server.try_request("DELETE", path, &[], b"").expect("an answer").status
}

#[test]
fn a_suppressed_recipient_ends_without_an_attempt_and_the_others_go() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let entry =
        server.post(LIST, &json!({"email": "Gone@Client.com", "reason": "asked to"})).expect(201).json();
    assert_eq!(entry["reason"], "asked to");
    let email = json!({"from": "a@example.com", "to": ["gone@CLIENT.com", "here@client.com"], "subject": "s", "text": "t"});
    let dry = server.post("/api/emails?dry_run=true", &email).expect(200).json();
    let of_step = |decisions: &serde_json::Value| {
        let decisions = decisions["decisions"].as_array().expect("decisions");
        decisions.iter().find(|decision| decision["step"] == "suppression").cloned().expect("suppression")
    };
    assert_eq!(of_step(&dry)["outcome"], "1 of 2 recipients", "{dry:#}");
    let id = server.send(&email);
    let shown = server.wait_status(&id, "sent");
    assert_eq!(shown["recipients"][0]["status"], "failed", "{shown:#}");
    assert_eq!(shown["recipients"][0]["last_reply"], "on the suppression list: asked to");
    assert_eq!(shown["recipients"][1]["status"], "sent");
    assert_eq!(
        of_step(&server.get(&format!("/api/emails/{id}/explain")).expect(200).json())["outcome"],
        "1 of 2 recipients"
    );
    assert_eq!(relay.only_message().recipients, ["here@client.com"]);

    let id =
        server.send(&json!({"from": "a@example.com", "to": "gone@client.com", "subject": "s", "text": "t"}));
    let shown = server.email(&id);
    assert_eq!(
        (&shown["status"], &shown["failure_code"]),
        (&json!("failed"), &json!("suppressed")),
        "{shown:#}"
    );
    assert_eq!(shown["retries"], 0);
    assert_eq!(relay.messages().len(), 1);

    assert_eq!(delete(&server, "/api/suppressions/gone@client.com"), 204);
    assert_eq!(delete(&server, "/api/suppressions/gone@client.com"), 404);
    let id =
        server.send(&json!({"from": "a@example.com", "to": "gone@client.com", "subject": "s", "text": "t"}));
    server.wait_status(&id, "sent");
}

#[test]
fn an_address_entered_after_the_acceptance_is_not_attempted() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let email = json!({"from": "a@example.com", "to": ["gone@client.com", "here@client.com"], "subject": "s", "text": "t",
        "send_at": soon(Duration::from_secs(4))});
    let id = server.send(&email);
    server.post(LIST, &json!({"email": "gone@client.com"})).expect(201);
    let shown = server.wait_status(&id, "sent");
    assert_eq!(shown["recipients"][0]["status"], "failed", "{shown:#}");
    assert_eq!(relay.only_message().recipients, ["here@client.com"]);
}

#[test]
fn a_stream_is_suppressed_by_itself() {
    let server = Server::inbox();
    server.post(LIST, &json!({"email": "a@client.com", "stream": "news"})).expect(201);
    let send = |tags: serde_json::Value| {
        let email =
            json!({"from": "a@example.com", "to": "a@client.com", "subject": "s", "text": "t", "tags": tags});
        server.email(&server.send(&email))["status"].clone()
    };
    assert_eq!(send(json!(["news"])), "failed");
    assert_ne!(send(json!(["receipts"])), "failed");
}

#[test]
fn another_clients_list_is_another_list() {
    let server = Server::inbox();
    server.new_client("rival");
    let theirs = server.new_key(&["--client", "rival"]);
    let headers = [("X-Api-Key", theirs.as_str())];
    server.post(LIST, &json!({"email": "a@client.com"})).expect(201);
    assert_eq!(server.get_with(LIST, &headers).expect(200).json()["data"], json!([]));
    let answer =
        server.try_request("DELETE", "/api/suppressions/a@client.com", &headers, b"").expect("an answer");
    assert_eq!(answer.status, 404);
    assert_eq!(server.get(LIST).expect(200).json()["data"].as_array().map(Vec::len), Some(1));
}

#[test]
fn faults_are_named_and_pages_go_on() {
    let server = Server::inbox();
    for (body, field) in [
        (json!({"email": "nobody"}), "/email"),
        (json!({"email": "a@b.example", "expires_at": "2020-01-01T00:00:00Z"}), "/expires_at"),
        (json!({"email": "a@b.example", "reason": "x\ny"}), "/reason"),
        (json!({"email": "a@b.example", "surprise": 1}), "/surprise"),
    ] {
        let problem = server.post(LIST, &body).expect(422).json();
        assert_eq!(problem["errors"][0]["field"], field, "{problem:#}");
    }
    for n in 0..5 {
        server.post(LIST, &json!({"email": format!("a{n}@client.com")})).expect(201);
    }
    let (mut path, mut seen) = ("/api/suppressions?limit=2".to_owned(), Vec::new());
    loop {
        let page = server.get(&path).expect(200).json();
        seen.extend(page["data"].as_array().expect("data").iter().map(|entry| entry["email"].clone()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/api/suppressions?limit=2&cursor={next}");
    }
    assert_eq!(seen, ["a4@client.com", "a3@client.com", "a2@client.com", "a1@client.com", "a0@client.com"]);
}

#[test]
fn the_command_line_imports_all_or_nothing_and_exports() {
    let server = Server::inbox();
    let import = |text: &str| {
        let mut command = server.command();
        command.args(["suppression", "import", "-", "--json"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("a process");
        child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
        child.wait_with_output().expect("an end")
    };
    let refused = import("email\na@client.com\nnobody\n");
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("record 3"));
    assert_eq!(server.get(LIST).expect(200).json()["data"], json!([]));
    // As spreadsheets save it, and with the column that Mailgun's export calls `address`.
    let empty = import("\u{feff}\"address\",code,error,created_at\r\n");
    assert!(empty.status.success(), "{}", String::from_utf8_lossy(&empty.stderr));
    let done = import(
        "email,reason,stream,expires_at\na@client.com,bounce,,\nb@client.com,\"said \"\"no\"\"\",news,2099-01-01T00:00:00Z\n",
    );
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let exported = server.cli(&["suppression", "export"]);
    let text = String::from_utf8(exported.stdout).expect("UTF-8");
    assert!(text.contains("\nb@client.com,\"said \"\"no\"\"\",news,2099-01-01T00:00:00.000Z\n"), "{text}");
    assert!(text.contains("\na@client.com,bounce,,\n"), "{text}");
    let listed = server.cli_json(&["suppression", "list"]);
    assert_eq!(server.cli_json(&["suppression", "export"]), listed);
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    let id =
        server.send(&json!({"from": "a@example.com", "to": "a@client.com", "subject": "s", "text": "t"}));
    eventually("the email has failed", || (server.email(&id)["status"] == "failed").then_some(()));
    server.cli_json(&["suppression", "remove", "a@client.com"]);
    assert_eq!(server.get(LIST).expect(200).json()["data"].as_array().map(Vec::len), Some(1));
}
