//! Content arrives byte for byte, or does not leave.

use crate::{assert_accepted, assert_refused, connected, envelope, only};
use posthaste_smtp::client::{Connection, Envelope, RecipientOutcome};
use posthaste_smtp::failure::{FailureClass, Stage};
use posthaste_smtp_sink::relay::{Relay, Script};
use posthaste_smtp_sink::sink::{Sink, SinkOptions};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

async fn deliver(connection: &mut Connection, message: &[u8]) -> RecipientOutcome {
    let envelope = Envelope { size: message.len(), ..envelope(&["a@b.example"]) };
    only(connection.send(&envelope, message, || true).await)
}

/// A relay for each way the content can go out.
async fn sessions() -> Vec<(Relay, Connection)> {
    let plain = || Script::accepting().without("SIZE");
    vec![
        connected(plain()).await,
        connected(plain().without("CHUNKING")).await,
        connected(plain().without("PIPELINING")).await,
        connected(plain().without("PIPELINING").without("CHUNKING")).await,
    ]
}

#[tokio::test]
async fn dots_at_every_edge_arrive_as_they_were() {
    let long = |length: usize| {
        // Dots at line starts around every block's edge.
        let mut message = vec![b'x'; length - 2];
        message.extend_from_slice(b"\r\n.\r\n..\r\n.x\r\n\r\n.\r\n");
        message
    };
    let mut messages: Vec<Vec<u8>> = vec![
        b".".to_vec(),
        b".\r\n".to_vec(),
        b"..\r\n.".to_vec(),
        b"a\r\n.\r\nb\r\n".to_vec(),
        b"\r\n.\r\n\r\n.\r\nMAIL FROM:<evil@x>\r\n".to_vec(),
        b"".to_vec(),
        b"no end".to_vec(),
    ];
    messages.extend((0..6).map(|shift| long(64 * 1024 - 3 + shift)));
    messages.extend((0..6).map(|shift| long(128 * 1024 - 3 + shift)));
    messages.push(b"01234567890123456789012345678901234567890123456789012345678901234\r\n".repeat(20_000));
    for (relay, mut connection) in sessions().await {
        for message in &messages {
            assert_accepted(&deliver(&mut connection, message).await);
        }
        let taken = relay.wait_for(messages.len()).await;
        assert_eq!(taken.len(), messages.len());
        for (taken, message) in taken.iter().zip(&messages) {
            let mut expected = message.clone();
            if !expected.ends_with(b"\r\n") {
                expected.extend_from_slice(b"\r\n");
            }
            assert!(taken.content == expected, "{} bytes differ", message.len());
        }
        let stray: Vec<_> =
            relay.connections()[0].violations.iter().filter(|text| text.contains("stray")).cloned().collect();
        assert!(stray.is_empty(), "{stray:?}");
    }
}

#[tokio::test]
async fn a_stray_line_end_does_not_leave() {
    for (relay, mut connection) in sessions().await {
        for message in
            [&b"a\nb\r\n"[..], b"a\rb\r\n", b"a\r\n.\n\r\n", b"a\n.\nMAIL FROM:<x@y>\r\n", b"a\r\n.\r\r\n"]
        {
            assert_refused(&deliver(&mut connection, message).await, Stage::Data, FailureClass::ServerError);
        }
        connection.quit().await;
        let text = relay.wait_closed(0).await.text();
        assert_eq!(text, "EHLO client.example\r\nQUIT\r\n");
    }
}

#[tokio::test]
async fn ten_thousand_random_bodies_arrive_whole() {
    let mut runner = TestRunner::deterministic();
    let line = proptest::collection::vec(
        proptest::sample::select(vec!["", ".", "..", "a", "=", "é", "\0", " "]),
        0..6,
    );
    let body = proptest::collection::vec(line.prop_map(|words| words.concat()), 0..12);
    for chunking in [true, false] {
        let options = SinkOptions { chunking, keep_messages: true, ..SinkOptions::default() };
        let sink = Sink::start(([127, 0, 0, 1], 0).into(), options).await.expect("a free port");
        let mut sent = Vec::new();
        let relay = Relay::start(Script::accepting()).await.expect("a free port");
        let settings = posthaste_smtp::client::ConnectSettings {
            port: sink.address().port(),
            ..crate::settings(&relay)
        };
        let mut connection = Connection::connect(&settings).await.expect("a session");
        for _ in 0..5_000 {
            let lines = body.new_tree(&mut runner).expect("a body").current();
            let message = format!("Subject: x\r\n\r\n{}\r\n", lines.join("\r\n")).into_bytes();
            assert_accepted(&deliver(&mut connection, &message).await);
            sent.push(message);
        }
        let got: Vec<Vec<u8>> = sink.tally().messages().into_iter().map(|message| message.content).collect();
        assert!(got == sent, "bodies differ");
        assert_eq!(sink.tally().summary().violations, 0);
    }
}
