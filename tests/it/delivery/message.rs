//! A15, A21, A45: the bytes on the wire.

use serde_json::{Value, json};

use crate::emails_api::{email_to, with};
use crate::harness::message::{header, part, read_all_by_python, read_by_python};
use crate::harness::relay::{Action, Script, Step};
use crate::harness::{Relay, Server, ServerOptions, eventually};

#[test]
fn a15_bodies_with_dots_and_odd_line_ends_arrive_as_one_message() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let bodies = [
        "one\r\n.\r\nMAIL FROM:<x@y.z>\r\n",
        "one\n.\nRCPT TO:<x@y.z>\n",
        "one\r.\rDATA\r",
        ".",
        "..",
        ".\n.\n.",
        "\n\n.\n\n",
        "a\r\n.\nb\n.\r\nc",
    ];
    for (n, body) in bodies.iter().enumerate() {
        server.send(&email_to("user@client.com", body));
        let taken = relay.wait_for(n + 1);
        assert_eq!(taken.len(), n + 1, "{body:?}");
        let read = read_by_python(&taken[n].content);
        assert_eq!(read["stray"], 0, "{body:?}");
        let expected = body.replace("\r\n", "\n").replace('\r', "\n");
        let text = part(&read, "text/plain")["text"].as_str().expect("text").to_owned();
        assert_eq!(text.trim_end_matches('\n'), expected.trim_end_matches('\n'), "{body:?}");
    }
    for connection in relay.connections() {
        assert_eq!(connection.violations, Vec::<String>::new());
    }
}

#[test]
fn a15_random_bodies_arrive_as_they_were_sent() {
    // A fixed sequence (xorshift), so that a failure can be repeated.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let pieces =
        [".", "..", "\r\n", "\n", "\r\n.\r\n", " ", "a", "é", "😀", "=", "==20", "long ", "From ", "\t"];
    let bodies: Vec<String> = (0..300)
        .map(|_| {
            (0..next() % 400).map(|_| pieces[(next() % pieces.len() as u64) as usize]).collect::<String>()
                + "end"
        })
        .collect();
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let emails: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(n, body)| {
            with(email_to("user@client.com", body), json!({"headers": {"X-Number": n.to_string()}}))
        })
        .collect();
    server.post("/api/emails/batch", &json!({ "emails": emails })).expect(202);
    let taken = relay.wait_for(bodies.len());
    assert_eq!(taken.len(), bodies.len());
    let contents: Vec<&[u8]> = taken.iter().map(|taken| taken.content.as_slice()).collect();
    for read in read_all_by_python(&contents) {
        let number: usize = header(&read, "X-Number")[0].parse().expect("a number");
        assert_eq!(read["stray"], 0);
        assert!(read["longest_line"].as_u64().is_some_and(|length| length <= 998), "body {number}");
        let text =
            part(&read, "text/plain")["text"].as_str().expect("text").trim_end_matches('\n').to_owned();
        assert_eq!(text, bodies[number].replace("\r\n", "\n"), "body {number}");
    }
}

#[test]
fn a15_a_very_long_line_is_wrapped_by_the_encoding_and_comes_back_whole() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let line = "word ".repeat(10_000);
    server.send(&with(email_to("user@client.com", &line), json!({"html": format!("<p>{line}</p>")})));
    let read = read_by_python(&relay.only_message().content);
    assert!(read["longest_line"].as_u64().is_some_and(|length| length <= 998));
    assert_eq!(part(&read, "text/plain")["text"].as_str().map(str::trim_end), Some(line.trim_end()));
}

#[test]
fn a45_each_attempt_sends_the_same_bytes() {
    let script = Script::accepting().first(2, Step::Content, Action::reply("451 4.3.0 not now"));
    let relay = Relay::start(script);
    let server = Server::to_relay(&relay);
    let email =
        with(email_to("user@client.com", "the same"), json!({"html": "<p>the same</p>", "subject": "Größe"}));
    let id = server.send(&email);
    assert_eq!(server.wait_status(&id, "sent")["retries"], 2);
    let taken = relay.only_message();
    let read = read_by_python(&taken.content);
    for name in ["Message-ID", "Date"] {
        assert_eq!(header(&read, name).len(), 1, "{name}");
    }
    // What went over each connection, from the first header on; the raw message has dots unstuffed.
    let content = String::from_utf8_lossy(&taken.content).into_owned();
    let sent: String = relay.connections().iter().map(posthaste_smtp_sink::relay::Recorded::text).collect();
    assert_eq!(sent.matches(content.trim_end()).count(), 3, "the attempts differ:\n{sent}");
}

#[test]
fn a45_keys_that_come_between_two_attempts_change_no_byte() {
    let script = Script::accepting().first(1, Step::Content, Action::reply("451 4.3.0 not now"));
    let relay = Relay::start(script);
    let mut server =
        Server::start(ServerOptions::to_relay(&relay).env("POSTHASTE_DELIVERY__RETRY_SCHEDULE", "2s"));
    let keys = |server: &Server, algorithm: &str| {
        server.cli_json(&["domain", "dkim", "example.com", "--new", algorithm]).to_string()
    };
    keys(&server, "ed25519");
    let email = with(email_to("user@client.com", "the same"), json!({"html": "<p>the same</p>"}));
    let id = server.send(&email);
    eventually("the first attempt", || {
        (server.email(&id)["status"] == "queued" && relay.connections().len() == 1).then_some(())
    });
    // Stopped, so that the key is there before the second attempt, however slow this machine is.
    server.sigterm();
    assert!(keys(&server, "rsa").contains("rsa"));
    server.restart();
    server.wait_status(&id, "sent");
    let taken = relay.only_message();
    let content = String::from_utf8_lossy(&taken.content).into_owned();
    assert_eq!(content.matches("DKIM-Signature:").count(), 1, "{content}");
    let sent: String = relay.connections().iter().map(posthaste_smtp_sink::relay::Recorded::text).collect();
    assert_eq!(sent.matches(content.trim_end()).count(), 2, "the attempts differ:\n{sent}");
    assert_eq!(server.get(&format!("/api/emails/{id}/raw")).expect(200).body, taken.content);
    // What is accepted from now on has both signatures.
    let next = server.send(&email_to("user@client.com", "next"));
    server.wait_status(&next, "sent");
    let content = String::from_utf8_lossy(&relay.wait_for(2)[1].content).into_owned();
    assert_eq!(content.matches("DKIM-Signature:").count(), 2, "{content}");
}

#[test]
fn a21_addresses_beyond_ascii() {
    // An international domain goes as A-label; a local part beyond ASCII needs SMTPUTF8.
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let id = server.send(&email_to("user@bücher.example", "x"));
    server.wait_status(&id, "sent");
    assert_eq!(relay.only_message().recipients, ["user@xn--bcher-kva.example"]);
    let id = server.send(&email_to("jörg@bücher.example", "x"));
    server.wait_status(&id, "sent");
    let taken = relay.wait_for(2);
    assert!(taken[1].sender_parameters.contains("SMTPUTF8"), "{}", taken[1].sender_parameters);
    let old = Relay::start(Script::accepting().without("SMTPUTF8"));
    let server = Server::to_relay(&old);
    let id = server.send(&email_to("jörg@client.com", "x"));
    assert_eq!(server.wait_status(&id, "failed")["failure_code"], "invalid_email");
    assert_eq!(old.messages().len(), 0);
}

#[test]
fn a24_a_blind_copy_alone_is_delivered_and_never_shown() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let id = server.send(&with(email_to("open@client.com", "x"), json!({"bcc": ["secret@client.com"]})));
    server.wait_status(&id, "sent");
    let all = relay.messages();
    let mut recipients: Vec<String> = all.iter().flat_map(|taken| taken.recipients.clone()).collect();
    recipients.sort();
    assert_eq!(recipients, ["open@client.com", "secret@client.com"]);
    for taken in all {
        assert!(!String::from_utf8_lossy(&taken.content).contains("secret@client.com"));
    }
}
