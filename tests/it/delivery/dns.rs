//! A13: the name of the relay does not resolve, and then it does.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::emails_api::email_to;
use crate::harness::{Relay, Server, ServerOptions, eventually};

const RELAY: &str = "relay.dns-trouble.test";

/// What the name server answers.
#[derive(Clone, Copy)]
enum Mood {
    /// NXDOMAIN.
    Unknown = 0,
    /// SERVFAIL.
    Broken = 1,
    /// Nothing.
    Silent = 2,
    /// 127.0.0.1.
    Well = 3,
}

/// A name server on an address of its own; it ends with the test's process.
struct NameServer {
    address: Ipv4Addr,
    mood: Arc<AtomicU8>,
    folder: TempDir,
}

impl NameServer {
    /// # Panics
    /// Without root: port 53 is the only one that a system's resolver asks.
    fn start(mood: Mood) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        // An address of 127.0.0.0/8 that no other test has.
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 53, high, low.max(1));
        let socket = UdpSocket::bind(SocketAddrV4::new(address, 53)).expect("port 53, which needs root");
        let server = Self { address, mood: Arc::new(AtomicU8::new(mood as u8)), folder };
        let mood = Arc::clone(&server.mood);
        thread::spawn(move || {
            let mut packet = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                if let Some(answer) = answer(&packet[..length], mood.load(Ordering::SeqCst)) {
                    // Whoever asked and went away does not need it.
                    let _ = socket.send_to(&answer, from);
                }
            }
        });
        server
    }

    fn be(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    /// A line for the shell that becomes the server: it alone asks this name server, as the mounts are its own.
    fn line(&self) -> String {
        let resolver = format!("nameserver {}\noptions timeout:1 attempts:2\n", self.address);
        let file = |name: &str, text: &str| -> String {
            let path = self.folder.path().join(name);
            fs::write(&path, text).expect("a file");
            path.display().to_string()
        };
        let mut mounts = format!("mount --bind {} /etc/resolv.conf", file("resolv.conf", &resolver));
        if Path::new("/etc/nsswitch.conf").exists() {
            let switch = file("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
            mounts.push_str(&format!(" && mount --bind {switch} /etc/nsswitch.conf"));
        }
        format!("exec unshare -m sh -c '{mounts} && exec \"$0\" \"$@\"' \"$0\" \"$@\"")
    }
}

/// RFC 1035, section 4.1: the question comes back, with an address where one is wanted.
fn answer(question: &[u8], mood: u8) -> Option<Vec<u8>> {
    if mood == Mood::Silent as u8 || question.len() < 17 {
        return None;
    }
    let end = 12 + question.get(12..)?.iter().position(|byte| *byte == 0)? + 5;
    let wants_ipv4 = question.get(end - 4..end - 2)? == [0, 1];
    let (code, answers) = match mood {
        m if m == Mood::Unknown as u8 => (3, 0),
        m if m == Mood::Broken as u8 => (2, 0),
        _ => (0, u8::from(wants_ipv4)),
    };
    let mut packet = question.get(..2)?.to_vec();
    packet.extend([0x81, 0x80 | code, 0, 1, 0, answers, 0, 0, 0, 0]);
    packet.extend(question.get(12..end)?);
    if answers == 1 {
        // The name of the question; A, IN, for no time at all; 127.0.0.1.
        packet.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    }
    Some(packet)
}

fn options(relay: &Relay, names: &NameServer) -> ServerOptions {
    ServerOptions::to_relay(relay)
        .env("SMTP_HOST", RELAY)
        .env("POSTHASTE_DELIVERY__MAX_ATTEMPTS", "50")
        .under(&names.line())
}

#[track_caller]
fn wait_for_trouble(server: &Server, id: &str) -> Value {
    eventually("an attempt fails for want of an address", || {
        let email = server.email(id);
        let events = email["events"].as_array()?;
        events.iter().find(|event| event.to_string().contains(RELAY)).map(|_| email.clone())
    })
}

#[test]
fn a13_mail_waits_while_the_relays_name_does_not_resolve_and_goes_out_when_it_does() {
    let names = NameServer::start(Mood::Well);
    for mood in [Mood::Unknown, Mood::Broken, Mood::Silent] {
        names.be(mood);
        let relay = Relay::accepting();
        let server = Server::start(options(&relay, &names));
        let id = server.send(&email_to("user@client.com", "patient"));
        let email = wait_for_trouble(&server, &id);
        assert!(!matches!(email["status"].as_str(), Some("failed" | "bounced")), "{email:#}");
        assert!(relay.messages().is_empty());
        names.be(Mood::Well);
        server.wait_status(&id, "sent");
        assert_eq!(relay.wait_for(1).len(), 1);
    }
}

#[test]
fn a13_a_relay_whose_name_goes_away_is_found_again() {
    let names = NameServer::start(Mood::Well);
    let relay = Relay::accepting();
    let mut server = Server::start(options(&relay, &names));
    let early = server.send(&email_to("user@client.com", "early"));
    server.wait_status(&early, "sent");
    names.be(Mood::Broken);
    // Without the sessions that still stand.
    server.restart();
    let late = server.send(&email_to("user@client.com", "late"));
    wait_for_trouble(&server, &late);
    names.be(Mood::Well);
    server.wait_status(&late, "sent");
    assert_eq!(relay.wait_for(2).len(), 2);
}

#[test]
fn a13_a_name_that_never_resolves_is_trouble_of_the_transport() {
    let names = NameServer::start(Mood::Unknown);
    let relay = Relay::accepting();
    let server = Server::start(options(&relay, &names).env("POSTHASTE_DELIVERY__MAX_ATTEMPTS", "2"));
    let id = server.send(&email_to("user@client.com", "hopeless"));
    let email = server.wait_status(&id, "failed");
    assert_eq!(email["failure_code"], "transport_error", "{email:#}");
}
