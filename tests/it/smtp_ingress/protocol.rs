//! A36, A39, A40, A42: the protocol as attackers speak it.

use super::{MESSAGE, address_of, session};
use crate::harness::smtp::Session;
use crate::harness::{Relay, Server, ServerOptions};

/// What other servers have taken for the end of a message.
const FAKE_ENDS: [&str; 12] = [
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r\n.\r",
    "\n.\r",
    "\r.\r\n",
    "\r\n.\r\r\n",
    "\0\r\n.\r\n\0",
    "\r\n\0.\r\n",
    "\r.\n",
    "\r\n.\0\r\n",
];

#[test]
fn a36_no_message_within_a_message_gets_through() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let address = address_of(&server, "smtp");
    for fake in FAKE_ENDS {
        let inner = format!(
            "From: ann@example.com\r\n\r\nouter{fake}MAIL FROM:<ann@example.com>\r\nRCPT TO:<smuggled@client.com>\r\nDATA\r\n\
             From: ann@example.com\r\n\r\ninner\r\n"
        );
        let by_data = format!("DATA\r\n{inner}.\r\n");
        let by_bdat = format!("BDAT {} LAST\r\n{inner}", inner.len());
        for whole in [by_data, by_bdat] {
            for cut in [1, whole.find(fake).unwrap_or(7) + 1, whole.len() / 2, whole.len() - 2] {
                let mut session = Session::open(address);
                session.envelope("ann@example.com", "bob@client.com");
                session.send(&whole.as_bytes()[..cut]).expect("the server reads");
                session.send(&whole.as_bytes()[cut..]).expect("the server reads");
                let mut reply = session.reply();
                if reply.code == 354 {
                    reply = session.reply();
                }
                if fake == "\0\r\n.\r\n\0" && whole.starts_with("DATA") {
                    // A true end stands there, behind NUL: the message is refused, and what follows is no content
                    // but commands of this client's own, which are out of place.
                    reply.expect("554 5.6.0");
                    continue;
                }
                reply.expect("554 5.6.0");
                session.say("NOOP").expect("250 2.0.0");
            }
        }
    }
    let mut session = session(&server);
    session.envelope("ann@example.com", "good@client.com");
    session.data(MESSAGE).id();
    let taken = relay.only_message();
    assert_eq!(taken.recipients, ["good@client.com"]);
}

#[test]
fn a36_a_stray_line_end_among_commands_ends_the_session() {
    let server = Server::inbox();
    for line in ["NOOP\n", "NOOP\rNOOP\r\n", "MAIL FROM:<a@example.com>\nRCPT TO:<b@client.com>\n"] {
        let mut session = session(&server);
        session.send(line.as_bytes()).expect("the server reads");
        session.reply().expect("554 5.6.0");
        assert_eq!(session.rest(), "");
    }
}

#[test]
fn a39_nothing_is_left_behind_by_an_error() {
    let server = Server::inbox();
    let errors: [(&[&str], &str); 10] = [
        (&["MAIL FROM:<bad"], "501"),
        (&["MAIL FROM:<ann@example.com> SIZE=99999999999"], "552 5.3.4"),
        (&["MAIL FROM:<eve@evil.example>"], "550 5.7.1"),
        (&["MAIL FROM:<ann@example.com>", "RSET"], "250"),
        (&["MAIL FROM:<ann@example.com>", "RCPT TO:<b@client.com>", "BDAT 2\r\n\n\n"], "554 5.6.0"),
        (&["MAIL FROM:<ann@example.com>", "RCPT TO:<b@client.com>", "BDAT 99999999"], "552 5.3.4"),
        (&["MAIL FROM:<ann@example.com>", "RCPT TO:<b@client.com>", "DATA", "a\nb\r\n."], "554 5.6.0"),
        (&["MAIL FROM:<ann@example.com>", "RCPT TO:<b@client.com>", "BDAT 1\r\nx", "DATA"], "503 5.5.1"),
        (&["AUTH PLAIN AGEAYg=="], "535 5.7.8"),
        (&["VRFY \u{e4}"], "252"),
    ];
    let after = [
        ("DATA", "503 5.5.1"),
        ("RCPT TO:<b@client.com>", "503 5.5.1"),
        ("BDAT 1 LAST\r\nx", "503 5.5.1"),
        ("BDAT 0", "503 5.5.1"),
        ("RSET", "250 2.0.0"),
        ("NOOP", "250 2.0.0"),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2", "500 5.5.1"),
    ];
    for (lines, expected) in errors {
        for (next, code) in after {
            let mut session = session(&server);
            let mut reply = None;
            for line in lines {
                // A chunk's octets carry no line end of their own.
                let text = line
                    .strip_prefix("BDAT 1\r\n")
                    .map_or_else(|| format!("{line}\r\n"), |_| (*line).to_owned());
                let text = if line.starts_with("BDAT 2") { (*line).to_owned() } else { text };
                session.send(text.as_bytes()).expect("the server reads");
                reply = Some(session.reply());
            }
            reply.expect("a line was said").expect(expected);
            if expected == "552 5.3.4" && lines.len() > 1 {
                assert!(session.try_say(next).is_err(), "a chunk that cannot be read ends the session");
                continue;
            }
            session
                .send(format!("{next}{}", if next.ends_with('x') { "" } else { "\r\n" }).as_bytes())
                .expect("sent");
            let said = session.reply();
            assert!(said.to_string().starts_with(code), "{lines:?} then {next}: {said}");
        }
    }
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 0);
}

#[test]
fn a39_tiny_chunks_cost_no_memory() {
    let server = Server::inbox();
    let mut session = session(&server);
    session.envelope("ann@example.com", "bob@client.com");
    // A million of them, a thousand ahead of their answers.
    let chunks = "BDAT 0\r\n".repeat(1000);
    let before = server.memory_kib("VmRSS");
    for _ in 0..1000 {
        session.send(chunks.as_bytes()).expect("the server reads");
        assert_eq!(session.codes(1000), ["250"; 1000]);
    }
    let grown = server.memory_kib("VmRSS").saturating_sub(before);
    assert!(grown < 10 * 1024, "{grown} KiB");
    session.bdat(MESSAGE).id();
}

#[test]
fn a40_strangers_relay_nothing() {
    let relay = Relay::accepting();
    let options = ServerOptions::to_relay(&relay).env("POSTHASTE_SMTP__ALLOWED_NETWORKS", "192.0.2.0/24");
    let server = Server::start(options);
    let mut session = session(&server);
    for mail in ["<ann@example.com>", "<>", "<bob@client.com>", "<postmaster@example.com> SIZE=5"] {
        session.say(&format!("MAIL FROM:{mail}")).expect("530 5.7.0");
        for rcpt in [
            "<bob@client.com>",
            "<bob%client.com@example.com>",
            "<@example.com:bob@client.com>",
            "<\"bob@client.com\"@example.com>",
            "<client.com!bob@example.com>",
            "<bob@[192.0.2.1]>",
        ] {
            let reply = session.say(&format!("RCPT TO:{rcpt}"));
            assert!(matches!(reply.code, 503 | 553), "{rcpt}: {reply}");
        }
        session.say("DATA").expect("503 5.5.1");
    }
    session.say("XCLIENT ADDR=192.0.2.1").expect("500");
    session.say("MAIL FROM:<ann@example.com>").expect("530 5.7.0");
    // Whoever logs in is no stranger.
    session.login("default", server.key()).expect("235");
    session.envelope("ann@example.com", "bob@client.com");
    session.data(MESSAGE).id();
    assert_eq!(relay.wait_for(1).len(), 1);
}

#[test]
fn a40_auth_required_binds_loopback_too() {
    let server = Server::start(ServerOptions::default().env("POSTHASTE_SMTP__AUTH_REQUIRED", "true"));
    session(&server).say("MAIL FROM:<ann@example.com>").expect("530 5.7.0");
}

#[test]
fn a42_other_languages_are_sent_away_and_mistakes_are_not() {
    let server = Server::inbox();
    let address = address_of(&server, "smtp");
    // Before the greeting.
    let mut early = Session::connect(address).expect("a connection");
    early.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").expect("sent");
    let said = early.rest();
    assert!(said.contains("554 ") && !said.contains("250"), "{said}");
    // After it.
    let mut late = Session::connect(address).expect("a connection");
    late.reply().expect("220");
    late.send(b"POST /api HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<ann@example.com>\r\n")
        .expect("sent");
    late.reply().expect("554");
    assert_eq!(late.rest(), "");
    let mut session = session(&server);
    session.say(&format!("NOOP {}", "x".repeat(506))).expect("500 5.5.2");
    session.say(&format!("RCPT TO:<a@b.example> X={}", "x".repeat(2048))).expect("500 5.5.2");
    session.say(&format!("MAIL FROM:<{}@example.com>", "x".repeat(510))).expect("500 5.5.2");
    session.send(b"NOOP \xff\xfe\r\n").expect("sent");
    session.reply().expect("500 5.5.2");
    session.send(b"MAIL FROM:<\xe9@example.com>\r\n").expect("sent");
    session.reply().expect("500 5.5.2");
    session.say("NOOP").expect("250");
}
