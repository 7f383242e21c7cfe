//! Whole sessions over a stream in memory, its octets cut everywhere.

use super::super::handler::Login;
use super::*;
use crate::command::{MailFrom, RcptTo};
use crate::server::replies::reply;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use tokio::io::ReadBuf;

/// A peer that says its pieces one after the other, then closes; what it is told is kept.
struct Peer {
    pieces: VecDeque<Vec<u8>>,
    told: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Peer {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(piece) = this.pieces.front_mut() {
            let take = piece.len().min(buf.remaining());
            buf.put_slice(&piece[..take]);
            piece.drain(..take);
            if piece.is_empty() {
                this.pieces.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.told.lock().unwrap().extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Takes everything, but recipients called `no` and logins without the password `secret`.
#[derive(Clone, Default)]
struct Keeper(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    messages: Vec<(Option<String>, Vec<String>, Vec<u8>)>,
    logins: Vec<String>,
    room: usize,
}

impl Handler for Keeper {
    async fn authenticate(&mut self, _: &Facts, login: Login) -> Result<(), Reply> {
        let is_good = login.password == "secret";
        self.0.lock().unwrap().logins.push(login.username);
        if is_good { Ok(()) } else { Err(replies::login_refused()) }
    }

    async fn sender(&mut self, _: &Facts, mail: &MailFrom) -> Result<(), Reply> {
        match &mail.sender {
            Some(sender) if sender.local() == "stranger" => Err(reply(530, (5, 7, 0), "no")),
            _ => Ok(()),
        }
    }

    async fn recipient(&mut self, _: &MailFrom, rcpt: &RcptTo) -> Result<(), Reply> {
        if rcpt.address.local() == "no" { Err(reply(550, (5, 1, 1), "no")) } else { Ok(()) }
    }

    async fn room(&mut self, bytes: usize) -> Result<(), Reply> {
        let mut kept = self.0.lock().unwrap();
        kept.room = kept.room.max(bytes);
        Ok(())
    }

    async fn message(&mut self, _: &Facts, message: Message) -> Reply {
        let sender = message.envelope.mail.sender.map(|sender| sender.to_string());
        let recipients = message.envelope.recipients.iter().map(|rcpt| rcpt.address.to_string()).collect();
        self.0.lock().unwrap().messages.push((sender, recipients, message.content));
        reply(250, (2, 0, 0), "kept")
    }

    fn reset(&mut self) {}

    fn secured(&mut self) {}
}

/// What a session came to.
struct Ran {
    told: String,
    kept: Keeper,
}

impl Ran {
    /// The codes of the replies, without the lines that are continued.
    fn codes(&self) -> Vec<&str> {
        let last = |line: &&str| line.as_bytes().get(3) == Some(&b' ');
        self.told.split_terminator("\r\n").filter(last).map(|line| &line[..3]).collect()
    }

    fn messages(&self) -> Vec<(Option<String>, Vec<String>, Vec<u8>)> {
        self.kept.0.lock().unwrap().messages.clone()
    }
}

fn settings() -> ServerSettings {
    ServerSettings {
        greeting_pause: std::time::Duration::ZERO,
        max_bytes: 4000,
        ..ServerSettings::new("mx.example")
    }
}

fn run_with(settings: ServerSettings, peer: &str, pieces: Vec<Vec<u8>>) -> Ran {
    let (told, kept) = (Arc::new(Mutex::new(Vec::new())), Keeper::default());
    let stream = Peer { pieces: pieces.into(), told: told.clone() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let session = serve(
        stream,
        peer.parse().unwrap(),
        false,
        Arc::new(settings),
        kept.clone(),
        CancellationToken::new(),
    );
    runtime.block_on(session);
    let told = String::from_utf8(told.lock().unwrap().clone()).unwrap();
    Ran { told, kept }
}

fn run_cut(input: &[u8], piece: usize) -> Ran {
    run_with(settings(), "127.0.0.1:9", input.chunks(piece.max(1)).map(<[u8]>::to_vec).collect())
}

fn run(input: &str) -> Ran {
    run_cut(input.as_bytes(), input.len())
}

const HELLO: &str = "EHLO me.example\r\n";
const ENVELOPE: &str = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

#[test]
fn a_session_is_the_same_wherever_it_is_cut() {
    let input = format!(
        "{HELLO}{ENVELOPE}DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\n{ENVELOPE}BDAT 3\r\na\r\nBDAT 6 LAST\r\n\nb\r\n.\rNOOP\r\n\
         {ENVELOPE}BDAT 4 LAST\r\nx\r\n.RSET\r\nVRFY x\r\nQUIT\r\n"
    );
    let whole = run(&input);
    for piece in 1..input.len() {
        let cut = run_cut(input.as_bytes(), piece);
        assert_eq!(cut.told, whole.told, "pieces of {piece}");
        assert_eq!(cut.messages(), whole.messages(), "pieces of {piece}");
    }
    assert_eq!(whole.messages()[0].2, b"Subject: x\r\n\r\n.dot\r\n");
    assert_eq!(
        whole.codes().join(" "),
        "220 250 250 250 354 250 250 250 250 554 250 250 250 250 250 252 221",
        "{}",
        whole.told
    );
}

#[test]
fn what_is_offered_depends_on_who_asks() {
    let local = run("EHLO x\r\nHELO x\r\n");
    assert_eq!(
        local.told,
        "220 mx.example ESMTP Posthaste\r\n250-mx.example\r\n250-PIPELINING\r\n250-SIZE 4000\r\n250-8BITMIME\r\n\
         250-SMTPUTF8\r\n250-CHUNKING\r\n250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250 AUTH PLAIN LOGIN\r\n250 mx.example\r\n"
    );
    let input = "EHLO x\r\nAUTH PLAIN\r\nAUTH PLAIN AGEAc2VjcmV0\r\nSTARTTLS\r\n";
    let far = run_with(settings(), "192.0.2.1:9", vec![input.into()]);
    assert!(!far.told.contains("AUTH"), "{}", far.told);
    assert_eq!(far.codes(), ["220", "250", "538", "538", "502"]);
    assert!(far.kept.0.lock().unwrap().logins.is_empty());
}

#[test]
fn commands_out_of_order_are_refused_and_leave_nothing() {
    for (input, codes) in [
        ("MAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n", "503 503 503"),
        ("EHLO x\r\nDATA\r\nBDAT 2 LAST\r\n\r\nRCPT TO:<a@b.c>\r\n", "250 503 503 503"),
        ("EHLO x\r\nMAIL FROM:<a@b.c>\r\nMAIL FROM:<a@b.c>\r\nDATA\r\n", "250 250 503 503"),
        ("EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<no@b.c>\r\nDATA\r\n", "250 250 550 503"),
        ("EHLO x\r\nMAIL FROM:<stranger@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n", "250 530 503 503"),
        ("EHLO x\r\nMAIL FROM:<a@b.c> SIZE=4001\r\nRCPT TO:<a@b.c>\r\n", "250 552 503"),
        ("EHLO x\r\nMAIL FROM:<a@b.c>\r\nRSET\r\nRCPT TO:<a@b.c>\r\n", "250 250 250 503"),
        ("EHLO x\r\nMAIL FROM:<a@b.c>\r\nEHLO y\r\nRCPT TO:<a@b.c>\r\n", "250 250 250 503"),
        (
            "EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nBDAT 1\r\nxDATA\r\nBDAT 1 LAST\r\nx",
            "250 250 250 250 503 503",
        ),
        (
            "EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nBDAT 1\r\nxRCPT TO:<d@b.c>\r\nMAIL FROM:<x@y.z>\r\n",
            "250 250 250 250 503 503",
        ),
        (
            "EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nBDAT 1\r\n\nBDAT 1 LAST\r\nxDATA\r\n",
            "250 250 250 554 503 503",
        ),
        ("EHLO x\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<ä@b.c>\r\nVRFY ä\r\nDATA\r\n", "250 250 553 252 503"),
        ("EHLO x\r\nMAIL FROM:<a@b.c> SMTPUTF8\r\nRCPT TO:<ä@b.c>\r\n", "250 250 250"),
        ("HELO\r\nFOO\r\nEXPN x\r\nMAIL FROM:<a@b.c>\r\nNOOP\r\n", "501 500 502 503 250"),
        (
            "EHLO x\r\nPROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\nXCLIENT ADDR=127.0.0.1\r\nETRN x\r\n",
            "250 500 500 500",
        ),
    ] {
        let ran = run(input);
        assert_eq!(ran.codes().join(" "), format!("220 {codes}"), "{input}");
        assert!(ran.messages().is_empty(), "{input}");
    }
}

#[test]
fn content_that_ends_wrongly_is_refused_whole() {
    for fake in
        ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\n.\r", "\r.\r\n", "\r\n.\r\r\n", "\0\r\n"]
    {
        let inner = format!("body{fake}MAIL FROM:<evil@b.c>\r\nRCPT TO:<x@b.c>\r\nDATA\r\ninner\r\n");
        let data = format!("{HELLO}{ENVELOPE}DATA\r\n{inner}.\r\n{ENVELOPE}DATA\r\ngood\r\n.\r\n");
        let bdat =
            format!("{HELLO}{ENVELOPE}BDAT {} LAST\r\n{inner}{ENVELOPE}DATA\r\ngood\r\n.\r\n", inner.len());
        for input in [data, bdat] {
            for piece in 1..input.len() {
                let ran = run_cut(input.as_bytes(), piece);
                let messages = ran.messages();
                assert_eq!(messages.len(), 1, "{input:?} by {piece}: {}", ran.told);
                assert_eq!(messages[0].2, b"good\r\n");
                assert!(ran.told.contains("554 5.6.0"), "{}", ran.told);
            }
        }
    }
}

#[test]
fn a_stray_line_end_among_commands_ends_the_session() {
    for line in ["NOOP\n", "NOOP\rRSET\r\n", "\n", "EHLO x\n", "\r\r\n"] {
        let ran = run(&format!("EHLO x\r\n{line}{ENVELOPE}DATA\r\nx\r\n.\r\n"));
        assert_eq!(ran.codes().last(), Some(&"554"), "{line:?}: {}", ran.told);
        assert!(ran.messages().is_empty());
    }
}

#[test]
fn web_clients_are_sent_away() {
    let ran = run("POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\nMAIL FROM:<a@b.c>\r\n");
    assert_eq!(ran.codes(), ["220", "554"]);
    let early = ServerSettings { greeting_pause: std::time::Duration::from_secs(5), ..settings() };
    let ran = run_with(early, "127.0.0.1:9", vec![b"EHLO x\r\n".to_vec()]);
    assert_eq!(ran.codes(), ["554"]);
}

#[test]
fn sizes_are_bounded() {
    let body = "0123456789abcdef\r\n".repeat(300);
    let ran = run(&format!("{HELLO}{ENVELOPE}DATA\r\n{body}.\r\nNOOP\r\n"));
    assert_eq!(ran.codes()[4..], ["354", "552", "250"]);
    let ran = run(&format!("{HELLO}{ENVELOPE}BDAT {}\r\n{body}BDAT 0 LAST\r\nNOOP\r\n", body.len()));
    assert_eq!(ran.codes()[4..], ["552", "503", "250"]);
    let ran = run(&format!("{HELLO}{ENVELOPE}BDAT 99999999999\r\n{ENVELOPE}"));
    assert_eq!(ran.codes()[4..], ["552"], "what cannot be read away ends the session");
    assert!(run(&format!("{HELLO}{ENVELOPE}DATA\r\n{}", body.repeat(5))).codes().contains(&"552"));
}

#[test]
fn long_lines_are_refused_and_the_session_lives() {
    for (line, code) in [
        (format!("NOOP {}\r\n", "a".repeat(506)), "500"),
        (format!("RCPT TO:<a@b.c> X={}\r\n", "a".repeat(2029)), "500"),
        (format!("AUTH PLAIN {}\r\n", "A".repeat(100_000)), "500"),
        (format!("{}\r\n", "x".repeat(100_000)), "500"),
        ("NOOP \u{fffd}\0\r\n".to_owned(), "500"),
    ] {
        for piece in [1000, 7, 100_000] {
            let ran = run_cut(format!("{HELLO}{line}NOOP\r\n").as_bytes(), piece);
            assert_eq!(ran.codes(), ["220", "250", code, "250"], "{}", &line[..20]);
        }
    }
    let ran = run_cut(b"EHLO x\r\nNOOP \xff\xfe\r\nNOOP\r\n", 5);
    assert_eq!(ran.codes(), ["220", "250", "500", "250"]);
}

#[test]
fn recipients_and_errors_are_bounded() {
    let few = ServerSettings { max_recipients: 2, max_errors: 3, ..settings() };
    let rcpt = "RCPT TO:<a@b.c>\r\n".repeat(5);
    let ran = run_with(
        few.clone(),
        "127.0.0.1:9",
        vec![format!("{HELLO}MAIL FROM:<a@b.c>\r\n{rcpt}NOOP\r\n").into()],
    );
    assert_eq!(ran.codes(), ["220", "250", "250", "250", "250", "452", "452", "452", "250"]);
    let ran = run_with(few, "127.0.0.1:9", vec![b"A\r\nB\r\nC\r\nD\r\nE\r\n".to_vec()]);
    assert_eq!(ran.codes(), ["220", "500", "500", "500", "421"]);
    assert!(ran.told.contains("421 4.7.0"));
}

#[test]
fn logins() {
    // \0a\0secret, b\0a\0secret, a\0a\0secret, \0a\0wrong
    let (good, other, same, wrong) = ("AGEAc2VjcmV0", "YgBhAHNlY3JldA==", "YQBhAHNlY3JldA==", "AGEAd3Jvbmc=");
    for (input, codes) in [
        (format!("AUTH PLAIN {good}\r\n"), "235"),
        (format!("AUTH plain {same}\r\n"), "235"),
        (format!("AUTH PLAIN\r\n{good}\r\nAUTH PLAIN {good}\r\n"), "334 235 503"),
        (format!("AUTH PLAIN {other}\r\n"), "535"),
        (format!("AUTH PLAIN {wrong}\r\n"), "535"),
        ("AUTH LOGIN\r\nYQ==\r\nc2VjcmV0\r\n".into(), "334 334 235"),
        ("AUTH LOGIN YQ==\r\nc2VjcmV0\r\n".into(), "334 235"),
        ("AUTH LOGIN\r\nYQ==\r\n*\r\nNOOP\r\n".into(), "334 334 501 250"),
        (
            "AUTH PLAIN !!!\r\nAUTH PLAIN YQ==\r\nAUTH PLAIN =\r\nAUTH PLAIN\r\n\r\n".into(),
            "501 501 501 334 501",
        ),
        ("AUTH LOGIN\r\n%%\r\nAUTH CRAM-MD5\r\nAUTH\r\n".into(), "334 501 504 501"),
        (format!("AUTH PLAIN\r\n{}\r\nNOOP\r\n", "A".repeat(100_000)), "334 500 250"),
        (format!("MAIL FROM:<a@b.c>\r\nAUTH PLAIN {good}\r\n"), "250 503"),
        (format!("AUTH PLAIN {wrong}\r\n").repeat(6), "535 535 535 535 421"),
    ] {
        let ran = run(&format!("{HELLO}{input}"));
        assert_eq!(ran.codes().join(" "), format!("220 250 {codes}"), "{input}");
    }
    assert_eq!(run(&format!("AUTH PLAIN {good}\r\n")).codes(), ["220", "503"]);
}

#[test]
fn announced_sizes_cost_nothing() {
    let ran = run(&format!("{HELLO}MAIL FROM:<a@b.c> SIZE=4000\r\nRCPT TO:<a@b.c>\r\nDATA\r\nx\r\n.\r\n"));
    assert_eq!(ran.messages().len(), 1);
    assert!(ran.kept.0.lock().unwrap().room <= 4000 + 16 * 1024);
    let tiny = "BDAT 0\r\n".repeat(50_000);
    let ran = run(&format!("{HELLO}{ENVELOPE}{tiny}BDAT 0 LAST\r\n"));
    assert_eq!(ran.messages(), [(Some("a@b.example".into()), vec!["c@d.example".into()], Vec::new())]);
}

/// One step of a session, with what it needs.
fn steps() -> impl Strategy<Value = Vec<&'static str>> {
    let step = proptest::sample::select(vec![
        "EHLO x\r\n",
        "HELO x\r\n",
        "MAIL FROM:<a@b.c>\r\n",
        "MAIL FROM:<stranger@b.c>\r\n",
        "MAIL FROM:<>\r\n",
        "MAIL FROM:<bad\r\n",
        "RCPT TO:<a@b.c>\r\n",
        "RCPT TO:<no@b.c>\r\n",
        "RCPT TO:<>\r\n",
        "RSET\r\n",
        "NOOP\r\n",
        "VRFY \u{e4}\r\n",
        "DATA\r\n",
        "body\r\n",
        ".\r\n",
        "BDAT 0\r\n",
        "BDAT 4\r\n\r\n\r\n",
        "BDAT 2 LAST\r\nab",
        "BDAT 1 LAST\r\n\n",
        "BDAT x\r\n",
        "AUTH PLAIN AGEAd3Jvbmc=\r\n",
        "AUTH PLAIN AGEAc2VjcmV0\r\n",
        "STARTTLS\r\n",
        "BDAT 5000\r\n",
        "HELP\r\n",
    ]);
    proptest::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn no_message_without_an_envelope(steps in steps(), piece in 1..50_usize) {
        let ran = run_cut(steps.concat().as_bytes(), piece);
        for (sender, recipients, content) in ran.messages() {
            prop_assert!(sender.as_deref() != Some("stranger@b.c"));
            prop_assert!(!recipients.is_empty() && recipients.iter().all(|rcpt| rcpt == "a@b.c"));
            prop_assert!(!content.contains(&0));
        }
        let mut replies = ran.codes().into_iter();
        prop_assert_eq!(replies.next(), Some("220"));
    }

    #[test]
    fn no_bytes_are_a_panic(input in proptest::collection::vec(any::<u8>(), 0..300), piece in 1..50_usize) {
        let _ = run_cut(&input, piece);
    }
}
