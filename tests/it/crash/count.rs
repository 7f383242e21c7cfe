//! The account of a crash test: what was acknowledged, and what the relay saw how often.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use crate::emails_api::email_to;
use crate::harness::http;
use crate::harness::{Relay, Server, ServerOptions, eventually};

/// A unique token in each body; a retried request keeps its token and its idempotency key.
fn token(number: u64) -> String {
    format!("token-{number}.")
}

/// How often the relay took each token.
pub fn seen(relay: &Relay) -> HashMap<String, usize> {
    let mut seen = HashMap::new();
    for taken in relay.messages() {
        let text = String::from_utf8_lossy(&taken.content).into_owned();
        for line in text.lines().filter(|line| line.starts_with("token-")) {
            *seen.entry(line.trim().to_owned()).or_insert(0) += 1;
        }
    }
    seen
}

/// Copies that the relay took beside the first of each.
pub fn surplus(seen: &HashMap<String, usize>) -> usize {
    seen.values().map(|times| times - 1).sum()
}

/// Emails on their way at once in the servers of a crash test: so many may a kill double, and not one more.
pub const WORKERS: usize = 8;

/// A server that sends to `relay` with [`WORKERS`] emails on their way at once.
pub fn few_at_once(relay: &Relay) -> ServerOptions {
    ServerOptions::to_relay(relay).env("POSTHASTE_DELIVERY__WORKERS", WORKERS.to_string())
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Senders that go on through crashes: each request carries a key and is repeated with it until it is answered.
#[derive(Default)]
pub struct Load {
    next: AtomicU64,
    over: AtomicBool,
    /// Requests that were not answered by an acceptance: refused for now, or cut off.
    refusals: AtomicU64,
    /// Token to the id that acknowledged it.
    acknowledged: Mutex<HashMap<String, String>>,
}

/// Where a server under load listens, while it does.
pub struct Address(Mutex<Option<SocketAddr>>);

impl Address {
    fn now(&self) -> Option<SocketAddr> {
        *self.0.lock().expect("no panic under it")
    }

    fn put(&self, address: Option<SocketAddr>) {
        *self.0.lock().expect("no panic under it") = address;
    }

    /// Takes the server away, and shows where it listens when it is up again.
    #[track_caller]
    pub fn away(&self, server: &mut Server, restart: impl FnOnce(&mut Server)) {
        self.put(None);
        restart(server);
        self.put(Some(server.address()));
    }
}

impl Load {
    /// Sends on so many connections to `server` as long as `work` takes.
    pub fn during(&self, server: &mut Server, connections: usize, work: impl FnOnce(&mut Server, &Address)) {
        let address = Address(Mutex::new(Some(server.address())));
        let key = server.key().to_owned();
        std::thread::scope(|scope| {
            let _ends = self.ends();
            for _ in 0..connections {
                scope.spawn(|| self.run(|| address.now(), &key));
            }
            work(server, &address);
        });
    }

    /// Waits until so many more are acknowledged.
    #[track_caller]
    pub fn goes_on(&self, more: usize) {
        let enough = self.count() + more;
        eventually("the load goes on", || (self.count() >= enough).then_some(()));
    }

    /// Ends the load when dropped, so that a failing test does not wait for its own senders.
    pub fn ends(&self) -> impl Drop {
        Ends(&self.over)
    }

    /// Sends until it is ended; call on as many threads as there shall be connections. `address` answers where the
    /// server listens now.
    pub fn run(&self, address: impl Fn() -> Option<SocketAddr>, key: &str) {
        self.run_with(address, key, |token| email_to("user@client.com", token));
    }

    /// [`Self::run`] with emails of the test's own; each must hold the token it is given on a line of its text.
    pub fn run_with(
        &self,
        address: impl Fn() -> Option<SocketAddr>,
        key: &str,
        email: impl Fn(&str) -> Value,
    ) {
        while !self.over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            self.send_until_answered(number, &email(&token(number)), &address, key);
        }
    }

    fn send_until_answered(
        &self,
        number: u64,
        email: &Value,
        address: &impl Fn() -> Option<SocketAddr>,
        key: &str,
    ) {
        let body = email.to_string();
        let idempotency = format!("key-{number}");
        let headers = [
            ("X-Api-Key", key),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", idempotency.as_str()),
        ];
        eventually("the server answers again", || {
            if self.over.load(Ordering::Relaxed) && address().is_none() {
                // Given up: the server is gone for good.
                return Some(());
            }
            let answer = http::request(address()?, "POST", "/api/emails", &headers, body.as_bytes());
            let Some(answer) = answer.ok().filter(|answer| !matches!(answer.status, 409 | 503)) else {
                self.refusals.fetch_add(1, Ordering::Relaxed);
                return None;
            };
            match answer.status {
                202 => {
                    let id = answer.json()["email_id"].as_str().expect("an id").to_owned();
                    let mut acknowledged = self.acknowledged.lock().expect("no panic under it");
                    let earlier = acknowledged.insert(token(number), id.clone());
                    assert!(earlier.is_none_or(|earlier| earlier == id), "one key, two ids");
                    Some(())
                }
                other => panic!("{other} {}", answer.text()),
            }
        });
    }

    pub fn count(&self) -> usize {
        self.acknowledged.lock().expect("no panic under it").len()
    }

    /// Requests so far that were refused for now, or cut off.
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// The id that a token was acknowledged with.
    pub fn id_of(&self, token: &str) -> Option<String> {
        self.acknowledged.lock().expect("no panic under it").get(token).cloned()
    }

    /// Waits until the relay has everything acknowledged; answers how many copies too many it saw. Each of them is one
    /// whose timeline says that an attempt was left open.
    #[track_caller]
    pub fn settle(&self, server: &Server, relay: &Relay) -> usize {
        let acknowledged = self.acknowledged.lock().expect("no panic under it");
        eventually("everything acknowledged is at the relay", || {
            let seen = seen(relay);
            acknowledged.keys().all(|token| seen.contains_key(token)).then_some(())
        });
        eventually("every email says sent", || {
            let list =
                server.get("/api/emails?status=queued&status=processing&count=true").expect(200).json();
            (list["total"] == 0).then_some(())
        });
        let total =
            server.get("/api/emails?count=true").expect(200).json()["total"].as_u64().expect("a count");
        assert_eq!(total, acknowledged.len() as u64, "one email a key");
        let seen = seen(relay);
        for (token, times) in seen.iter().filter(|(_, times)| **times > 1) {
            let id = acknowledged.get(token).unwrap_or_else(|| panic!("{token} was never acknowledged"));
            let told = server.email(id)["events"].to_string();
            let is_told = told.contains("lease_expired") || told.contains("possible_duplicate");
            assert!(is_told, "{token} went out {times} times, and nothing says why: {told}");
        }
        surplus(&seen)
    }
}
