//! A15, A24, A44: what becomes of a message.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{MESSAGE, session, without_received};
use crate::harness::{Relay, Server, ServerOptions, eventually};

#[test]
fn a15_two_thousand_random_messages_go_on_byte_for_byte() {
    const MESSAGES: usize = 2_000;
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let sent: Vec<Vec<u8>> = (0..MESSAGES).map(random_message).collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut session = session(&server);
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(content) = sent.get(number) else { break };
                    session.envelope("ann@example.com", &format!("to-{number}@client.com"));
                    let reply =
                        if number.is_multiple_of(3) { session.bdat(content) } else { session.data(content) };
                    reply.id();
                }
            });
        }
    });
    let taken = relay.wait_for(MESSAGES);
    assert_eq!(taken.len(), MESSAGES);
    let by_recipient: HashMap<&str, &[u8]> =
        taken.iter().map(|taken| (&*taken.recipients[0], &*taken.content)).collect();
    for (number, content) in sent.iter().enumerate() {
        let arrived = by_recipient[format!("to-{number}@client.com").as_str()];
        assert!(without_received(arrived) == *content, "message {number} was changed");
    }
    for connection in relay.connections() {
        assert_eq!(connection.violations, Vec::<String>::new());
    }
}

/// Any octets that may stand in a message, lines up to the longest, dots everywhere.
fn random_message(number: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ (number as u64 + 1).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut content = format!("From: ann@example.com\r\nX-Number: {number}\r\n\r\n").into_bytes();
    for _ in 0..next() % 40 {
        let length = match next() % 8 {
            0 => 998,
            1 => 0,
            _ => next() % 100,
        };
        let kind = next() % 4;
        for _ in 0..length {
            let octet = match kind {
                0 => b'.',
                1 => b' ' + (next() % 95) as u8,
                _ => next() as u8,
            };
            content.push(if matches!(octet, b'\r' | b'\n' | 0) { b'.' } else { octet });
        }
        content.extend_from_slice(b"\r\n");
    }
    content
}

#[test]
fn a24_bcc_stays_behind_and_the_envelope_decides() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let mut session = session(&server);
    session.say("MAIL FROM:<ann@example.com> BODY=8BITMIME RET=HDRS ENVID=abc").expect("250");
    for rcpt in [
        "RCPT TO:<to@client.com> NOTIFY=FAILURE ORCPT=rfc822;to@client.com",
        "RCPT TO:<cc@client.com>",
        "RCPT TO:<hidden@client.com>",
        "RCPT TO:<TO@client.com>",
    ] {
        session.say(rcpt).expect("250 2.1.5");
    }
    let content = "Received: from earlier\r\nFrom: \"Ann, A.\" <ann@example.com>\r\nTo: to@client.com\r\n\
        Cc: C <cc@client.com>\r\nbcc: hidden@client.com,\r\n  other@client.com\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
        Message-ID: <m1@example.com>\r\nReply-To: Help <help@example.com>\r\n\
        DKIM-Signature: v=1\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n\
        <p>H\u{e4}llo</p>\r\n";
    let id = session.data(content.as_bytes()).id();
    let email = server.wait_status(&id, "sent");
    assert_eq!(email["subject"], "Grüße");
    assert_eq!(email["from"], "\"Ann, A.\" <ann@example.com>");
    assert_eq!((&email["to"][0], &email["cc"][0]), (&"to@client.com".into(), &"cc@client.com".into()));
    assert_eq!(email["bcc"], serde_json::json!(["hidden@client.com"]));
    assert_eq!(email["reply_to"], "help@example.com");
    let taken = relay.only_message();
    assert_eq!(taken.sender, "ann@example.com");
    assert_eq!(taken.recipients, ["to@client.com", "cc@client.com", "hidden@client.com"]);
    let expected = content.replace("bcc: hidden@client.com,\r\n  other@client.com\r\n", "");
    assert_eq!(String::from_utf8_lossy(&without_received(&taken.content)), expected);
    let received = String::from_utf8_lossy(&taken.content[..200]).into_owned();
    assert!(received.contains("from client.example ([127.0.0.1])") && received.contains(&id), "{received}");
    // What the API shows of it.
    let shown = server.get(&format!("/api/emails/{id}/content")).expect(200).json();
    assert_eq!(shown["html"], "<p>Hällo</p>\n");
    assert_eq!(server.get(&format!("/api/emails/{id}/raw")).expect(200).body, taken.content);
    let explained = server.get(&format!("/api/emails/{id}/explain")).expect(200).text();
    assert!(explained.contains("RET=HDRS ENVID=abc <to@client.com> NOTIFY=FAILURE"), "{explained}");
    let resent = server.post(&format!("/api/emails/{id}/resend"), &serde_json::json!({})).expect(202).json();
    assert_ne!(resent["email_id"], id.as_str());
    assert_eq!(relay.wait_for(2)[1].content, taken.content);
}

#[test]
fn a44_a_message_with_the_same_key_is_sent_once() {
    let relay = Relay::accepting();
    let mut server = Server::to_relay(&relay);
    let with_key = |key: &str| [format!("X-Idempotency-Key: {key}\r\n").as_bytes(), MESSAGE].concat();
    let send = |server: &Server, content: &[u8], to: &str| {
        let mut session = session(server);
        session.envelope("ann@example.com", to);
        session.data(content)
    };
    let id = send(&server, &with_key("k1"), "bob@client.com").id();
    assert_eq!(send(&server, &with_key("k1"), "bob@client.com").id(), id);
    send(&server, &with_key("k1"), "eve@client.com").expect("554 5.5.0");
    let other = [with_key("k1").as_slice(), b"more\r\n"].concat();
    send(&server, &other, "bob@client.com").expect("554 5.5.0");
    server.restart();
    assert_eq!(send(&server, &with_key("k1"), "bob@client.com").id(), id);
    assert_ne!(send(&server, &with_key("k2"), "bob@client.com").id(), id);
    for bad in ["", "a b", "k\r\nX-Idempotency-Key: l"] {
        send(&server, &with_key(bad), "bob@client.com").expect("554 5.5.0");
    }
    relay.wait_for(2);
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 2);
}

#[test]
fn a30_nobody_sends_in_anothers_name() {
    let server = Server::inbox();
    let key = server.new_key(&["--client", "default", "--domain", "example.com"]);
    server.new_client("other");
    server.cli_json(&["domain", "create", "other.example", "--client", "other"]);
    let mut session = session(&server);
    session.login("default", &key).expect("235");
    for sender in
        ["eve@other.example", "eve@evil-example.com", "eve@example.com.evil.example", "eve@sub.example.com"]
    {
        session.say(&format!("MAIL FROM:<{sender}>")).expect("550 5.7.1");
    }
    for header in [
        "From: eve@other.example",
        "From: ann@example.com, eve@other.example",
        "From: ann@example.com\r\nFrom: eve@other.example",
        "From: \"ceo@bank.example\" <ann@example.com>",
        "From: =?utf-8?q?ceo=40bank.example?= <ann@example.com>",
        "From: ann@example.com (eve@other.example)",
        "From: <ann@example.com> <eve@other.example>",
        "From: @other.example:ann@example.com",
        "From: ann",
        "Sender: eve@other.example\r\nFrom: ann@example.com",
        "Resent-From: eve@other.example\r\nFrom: ann@example.com",
    ] {
        session.envelope("ann@example.com", "bob@client.com");
        session.data(format!("{header}\r\n\r\nx\r\n").as_bytes()).expect("550 5.7.1");
    }
    session.envelope("ann@example.com", "bob@client.com");
    session.data(b"From: Ann <Ann@EXAMPLE.com>\r\n\r\nx\r\n").id();
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 1);
}

#[test]
fn limits_are_told_in_smtp() {
    let options = ServerOptions::default()
        .env("POSTHASTE_SMTP__MAX_BYTES", "2KB")
        .env("POSTHASTE_SMTP__MAX_RECIPIENTS", "3")
        .env("POSTHASTE_SMTP__MAX_CONNECTIONS", "2");
    let server = Server::start(options);
    let address = super::address_of(&server, "smtp");
    let key = server.new_key(&["--client", "default", "--rate-limit", "2/h"]);
    let mut limited = session(&server);
    limited.say("MAIL FROM:<ann@example.com> SIZE=2049").expect("552 5.3.4");
    limited.say("MAIL FROM:<ann@example.com>").expect("250");
    for n in 0..3 {
        limited.say(&format!("RCPT TO:<r{n}@client.com>")).expect("250");
    }
    limited.say("RCPT TO:<r4@client.com>").expect("452 4.5.3");
    limited.data(&b"x\r\n".repeat(1000)).expect("552 5.3.4");
    let mut second = session(&server);
    let mut third = crate::harness::smtp::Session::connect(address).expect("a connection");
    third.reply().expect("421 4.3.2");
    second.login("default", &key).expect("235");
    for _ in 0..2 {
        second.envelope("ann@example.com", "bob@client.com");
        second.data(MESSAGE).id();
    }
    second.say("MAIL FROM:<ann@example.com>").expect("451 4.7.1");
    drop(limited);
    eventually("a place is free", || {
        let mut session = crate::harness::smtp::Session::connect(address).ok()?;
        (session.try_reply().ok()?.code == 220).then_some(())
    });
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("posthaste_accepted_total{surface=\"smtp\"} 2"), "{metrics}");
    assert!(metrics.contains("posthaste_rate_limited_total{scope=\"smtp\"} 1"), "{metrics}");
}
