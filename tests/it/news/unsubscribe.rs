//! One-click unsubscribe (RFC 8058): signed, asked first, by stream.

use super::suppressed;
use crate::harness::server::NONE;
use crate::harness::{Relay, Server, ServerOptions};
use serde_json::{Value, json};

fn server(relay: &Relay) -> Server {
    Server::start(ServerOptions::to_relay(relay).env("PUBLIC_URL", "https://mail.example.com"))
}

fn newsletter(list_unsubscribe: Value) -> Value {
    json!({"from": "a@example.com", "to": "reader@client.com", "subject": "s", "text": "t",
        "list_unsubscribe": list_unsubscribe})
}

#[test]
fn a_reader_unsubscribes_from_one_stream_with_one_click() {
    let relay = Relay::accepting();
    let server = server(&relay);
    server.cli_json(&["domain", "dkim", "example.com", "--new", "ed25519"]);
    let id = server.send(&newsletter(json!("news")));
    server.wait_status(&id, "sent");
    let message =
        String::from_utf8_lossy(&relay.only_message().content).replace("\r\n\t", " ").replace("\r\n ", " ");
    assert!(message.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click"), "{message}");
    let signature = message.lines().find(|line| line.starts_with("DKIM-Signature")).expect("signed");
    assert!(signature.replace(' ', "").contains(":List-Unsubscribe:List-Unsubscribe-Post"), "{signature}");
    let header = message.lines().find(|line| line.starts_with("List-Unsubscribe:")).expect("the header");
    let url = header.split(['<', '>']).nth(1).expect("a link");
    let path = url.strip_prefix("https://mail.example.com").expect("our address");

    let page = server.get_with(path, &[("X-Api-Key", NONE)]).expect(200).text();
    assert!(page.contains("<form method=\"post\">") && page.contains("news"), "{page}");
    assert!(suppressed(&server).is_empty(), "a GET changes nothing");
    server.get_with(&path.replace("/unsubscribe/", "/unsubscribe/A"), &[("X-Api-Key", NONE)]).expect(404);
    let unknown = server.get_with("/unsubscribe/AAAA", &[("X-Api-Key", NONE)]).expect(404).json();
    for token in ["%ff", "%zz", "%", "%00", "a%2fb"] {
        let answer = server.get_with(&format!("/unsubscribe/{token}"), &[("X-Api-Key", NONE)]).expect(404);
        assert_eq!(answer.json()["detail"], unknown["detail"], "{token}: as any link that is none");
    }
    let form = [("X-Api-Key", NONE), ("Content-Type", "application/x-www-form-urlencoded")];
    for _ in 0..2 {
        server.post_raw(path, &form, b"List-Unsubscribe=One-Click").expect(200);
    }
    let listed = suppressed(&server);
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["email"], &listed[0]["stream"]), (&json!("reader@client.com"), &json!("news")));
    assert_eq!(listed[0]["reason"], "unsubscribe");
    assert!(super::timeline(&server.email(&id)).contains(&"unsubscribed".to_owned()));
    let again = server.send(&newsletter(json!("news")));
    assert_eq!(server.email(&again)["failure_code"], "suppressed");
    let receipt = server
        .send(&json!({"from": "a@example.com", "to": "reader@client.com", "subject": "s", "text": "t"}));
    server.wait_status(&receipt, "sent");
}

#[test]
fn what_cannot_be_is_told() {
    let relay = Relay::accepting();
    let server = server(&relay);
    let mut two = newsletter(json!(true));
    two["to"] = json!(["a@client.com", "b@client.com"]);
    let mut own = newsletter(json!(true));
    own["headers"] = json!({"List-Unsubscribe": "<mailto:x@example.com>"});
    for email in [two, own, newsletter(json!(7)), newsletter(json!("x\ny"))] {
        let problem = server.post("/api/emails", &email).expect(422).json();
        assert_eq!(problem["errors"][0]["field"], "/list_unsubscribe", "{problem:#}");
    }
    server.send(&newsletter(json!(true)));
    server.send(&newsletter(json!(false)));
    let bare = Server::to_relay(&relay);
    bare.post("/api/emails", &newsletter(json!(true))).expect(422);
}
