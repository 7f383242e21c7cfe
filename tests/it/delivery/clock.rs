//! A13: the machine's clock is put forward and back while mail waits, is on its way, and is scheduled.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::emails_api::{email_to, with};
use crate::harness::relay::{Action, Script, Step};
use crate::harness::{Relay, Server, ServerOptions, eventually, soon};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The clock that all servers of a test share: as wrong as its file says.
struct WrongClock {
    folder: tempfile::TempDir,
}

impl WrongClock {
    fn ahead_by(ahead: Duration) -> Self {
        let clock = Self { folder: tempfile::tempdir().expect("a directory") };
        clock.put_ahead_by(ahead);
        clock
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("shift")
    }

    /// Sets it in one step: no reader sees half a number.
    fn put_ahead_by(&self, ahead: Duration) {
        let fresh = self.folder.path().join("fresh");
        fs::write(&fresh, ahead.as_millis().to_string()).expect("a file");
        fs::rename(fresh, self.file()).expect("its name");
    }

    /// Two attempts stand half an hour apart, so that only the clock brings the second.
    fn options(&self, relay: &Relay) -> ServerOptions {
        ServerOptions::to_relay(relay)
            .env("POSTHASTE_CLOCK_SHIFT", self.file())
            .env("POSTHASTE_DELIVERY__RETRY_SCHEDULE", "30m")
    }
}

/// With a relay that puts off the first message once, and answers slowly about `slow@`.
fn start(clock: &WrongClock) -> (Relay, Server) {
    let slowly = Action::Trickle("250 2.1.5 OK".to_owned(), Duration::from_millis(300));
    let script = Script::accepting().first(1, Step::Data, Action::reply("451 4.7.1 not now")).on_matching(
        Step::Rcpt,
        "slow@",
        slowly,
    );
    let relay = Relay::start(script);
    let server = Server::start(clock.options(&relay));
    (relay, server)
}

/// An email that was put off by the relay and waits for its second attempt.
#[track_caller]
fn put_off(server: &Server) -> String {
    let id = server.send(&email_to("later@client.com", "later"));
    eventually("the first attempt is put off", || {
        let email = server.email(&id);
        email["events"].to_string().contains("451 4.7.1").then_some(())
    });
    id
}

/// An email in the middle of its attempt.
#[track_caller]
fn on_its_way(server: &Server, relay: &Relay) -> String {
    let id = server.send(&email_to("slow@client.com", "slow"));
    eventually("the attempt is under way", || {
        relay
            .connections()
            .iter()
            .any(|connection| connection.text().contains("slow@client.com"))
            .then_some(())
    });
    id
}

fn scheduled(server: &Server, ahead: Duration) -> String {
    server.send(&with(email_to("planned@client.com", "planned"), json!({"send_at": soon(ahead)})))
}

/// Every message exactly once.
#[track_caller]
fn assert_once_each(relay: &Relay, texts: &[&str]) {
    let mut seen: Vec<String> = relay
        .wait_for(texts.len())
        .iter()
        .map(|taken| {
            let content = String::from_utf8_lossy(&taken.content).into_owned();
            content.lines().last().unwrap_or_default().trim().to_owned()
        })
        .collect();
    seen.sort_unstable();
    let mut expected = texts.to_vec();
    expected.sort_unstable();
    assert_eq!(seen, expected);
}

#[track_caller]
fn retries(email: &Value) -> u64 {
    email["retries"].as_u64().expect("a number")
}

#[test]
fn a13_a_clock_put_forward_takes_no_lease_away_and_sends_nothing_early() {
    let clock = WrongClock::ahead_by(Duration::ZERO);
    let (relay, server) = start(&clock);
    // Another worker that could take what looks like a lease run out.
    let _other = Server::start_bare(clock.options(&relay).worker_beside(&server, 1));
    let later = put_off(&server);
    let planned = scheduled(&server, 2 * HOUR);
    let slow = on_its_way(&server, &relay);
    clock.put_ahead_by(HOUR);
    assert_eq!(retries(&server.wait_status(&slow, "sent")), 0, "nobody took it away");
    assert_eq!(retries(&server.wait_status(&later, "sent")), 1, "its half hour is over");
    let fresh = server.send(&email_to("fresh@client.com", "fresh"));
    server.wait_status(&fresh, "sent");
    assert_eq!(server.email(&planned)["status"], "scheduled");
    clock.put_ahead_by(3 * HOUR);
    server.wait_status(&planned, "sent");
    assert_once_each(&relay, &["slow", "later", "fresh", "planned"]);
}

#[test]
fn a13_a_clock_put_back_loses_nothing_and_stops_nothing() {
    let clock = WrongClock::ahead_by(HOUR);
    let (relay, mut server) = start(&clock);
    let later = put_off(&server);
    let planned = scheduled(&server, HOUR + 30 * MINUTE);
    let slow = on_its_way(&server, &relay);
    clock.put_ahead_by(Duration::ZERO);
    assert_eq!(retries(&server.wait_status(&slow, "sent")), 0);
    // What comes in now is not held up by what the other time left behind, also by a process that starts anew.
    let fresh = server.send(&email_to("fresh@client.com", "fresh"));
    server.wait_status(&fresh, "sent");
    server.restart();
    let second = server.send(&email_to("second@client.com", "second"));
    server.wait_status(&second, "sent");
    assert_eq!(server.email(&planned)["status"], "scheduled");
    assert_eq!(server.email(&later)["status"], "queued");
    clock.put_ahead_by(3 * HOUR);
    server.wait_status(&later, "sent");
    server.wait_status(&planned, "sent");
    assert_once_each(&relay, &["slow", "later", "fresh", "second", "planned"]);
}

#[test]
fn a13_a_clock_in_the_year_2038_sends_like_any_other() {
    let clock = WrongClock::ahead_by(Duration::ZERO);
    let relay = Relay::accepting();
    let server = Server::start(clock.options(&relay));
    let planned = scheduled(&server, 30 * 24 * HOUR);
    // Past 2^31 seconds.
    clock.put_ahead_by(13 * 365 * 24 * HOUR);
    server.wait_status(&planned, "sent");
    let fresh = server.send(&email_to("fresh@client.com", "fresh"));
    server.wait_status(&fresh, "sent");
    assert_once_each(&relay, &["planned", "fresh"]);
}
