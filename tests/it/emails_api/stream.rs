//! `GET /api/events/stream`: events as they happen, resumable, and closed when the key ends.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use super::email_to;
use crate::harness::{Server, eventually_within};

/// An open stream and what it has said.
pub struct Stream {
    socket: TcpStream,
    said: String,
    pub is_closed: bool,
}

impl Stream {
    pub fn open(server: &Server, key: &str, more: &str) -> Self {
        let mut socket = TcpStream::connect(server.address()).expect("the server listens");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        let head = format!(
            "GET /api/events/stream HTTP/1.1\r\nHost: posthaste.test\r\nX-Api-Key: {key}\r\n{more}\r\n"
        );
        socket.write_all(head.as_bytes()).expect("the request is sent");
        let mut stream = Self { socket, said: String::new(), is_closed: false };
        stream.wait_for("retry: 1000");
        stream
    }

    pub fn read(&mut self) {
        let mut bytes = [0; 4096];
        match self.socket.read(&mut bytes) {
            Ok(0) => self.is_closed = true,
            Ok(count) => self.said.push_str(&String::from_utf8_lossy(&bytes[..count])),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => self.is_closed = true,
        }
        // The end of a chunked body is an end, whether or not the connection stays.
        self.is_closed |= self.said.ends_with("\r\n0\r\n\r\n");
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str) {
        eventually_within(Duration::from_secs(30), text, || {
            self.read();
            self.said.contains(text).then_some(())
        });
    }

    fn ids(&self) -> Vec<&str> {
        self.said.lines().filter_map(|line| line.strip_prefix("id: ")).collect()
    }
}

#[test]
fn events_arrive_and_a_reader_that_comes_back_misses_and_doubles_none() {
    let server = Server::inbox();
    let other = server.new_client("other");
    let mut stream = Stream::open(&server, server.key(), "");
    let mut foreign = Stream::open(&server, &other, "");
    let id = server.send(&email_to("user@client.com", "x"));
    stream.wait_for("event: email.queued");
    stream.wait_for("event: email.sent");
    assert!(stream.said.contains(&id), "{}", stream.said);
    foreign.read();
    assert!(!foreign.said.contains("event:"), "another client's events: {}", foreign.said);
    let seen = stream.ids();
    let (first, last) = (seen.first().expect("an id"), seen.last().expect("an id"));
    let mut again = Stream::open(&server, server.key(), &format!("Last-Event-ID: {first}\r\n"));
    again.wait_for("event: email.sent");
    assert_eq!(again.ids(), seen[1..]);
    let next = server.send(&email_to("user@client.com", "y"));
    let mut after = Stream::open(&server, server.key(), &format!("Last-Event-ID: {last}\r\n"));
    after.wait_for(&next);
    assert!(!after.said.contains(&id), "{}", after.said);
    let headers = [("Last-Event-ID", "not-an-id")];
    server.get_with("/api/events/stream", &headers).expect(400);
}

#[test]
fn a27_a_stream_closes_when_its_key_is_revoked() {
    let server = Server::inbox();
    let made = server.cli_json(&["key", "create", "--client", "default"]);
    let (key, id) = (made["key"].as_str().expect("a key"), made["id"].as_str().expect("an id"));
    let mut stream = Stream::open(&server, key, "");
    assert!(server.cli(&["key", "revoke", id]).status.success());
    eventually_within(Duration::from_secs(10), "the stream closes", || {
        stream.read();
        stream.is_closed.then_some(())
    });
}

#[test]
fn a59_a_thousand_readers_that_do_not_read_cost_little_and_hold_nobody_up() {
    // With the one that reads, as many as one process takes.
    const READERS: usize = 999;
    const EMAILS: usize = 60;
    let server = Server::inbox();
    // Each reader is a file on this side, too.
    rlimit::increase_nofile_limit(4096).expect("room for the readers");
    let before = server.memory_kib("VmRSS");
    let head = format!(
        "GET /api/events/stream HTTP/1.1\r\nHost: posthaste.test\r\nX-Api-Key: {}\r\n\r\n",
        server.key()
    );
    let readers: Vec<TcpStream> = (0..READERS)
        .map(|_| {
            let mut socket = TcpStream::connect(server.address()).expect("the server listens");
            socket.write_all(head.as_bytes()).expect("the request is sent");
            socket
        })
        .collect();
    // All are answered: each has a stream of its own.
    for mut socket in &readers {
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let mut first = [0; 12];
        socket.read_exact(&mut first).expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200");
    }
    let mut one_that_reads = Stream::open(&server, server.key(), "");
    let mut last = String::new();
    for number in 0..EMAILS {
        last = server.send(&email_to("user@client.com", &format!("n{number}")));
    }
    one_that_reads.wait_for(&last);
    one_that_reads.wait_for("event: email.sent");
    let grown = server.memory_kib("VmHWM").saturating_sub(before) / 1024;
    assert!(grown < 150, "{grown} MiB for {READERS} readers");
    drop(readers);
}
