//! The bell: whichever kind rings it, and whether it rings or not, each email goes out once.

mod broker;
mod disk_alarm;
mod suite;

use std::time::Duration;

use serde_json::{Value, json};

use crate::crash::count::seen;
use crate::emails_api::{email_to, with};
use crate::harness::{Broker, Relay, Server, ServerOptions, eventually, soon};

/// One installation with some kind of queue.
pub struct Installation {
    pub relay: Relay,
    /// Answers requests; where it delivers too, there are no further workers.
    pub api: Server,
    pub workers: Vec<Server>,
    // Behind the servers: dropped after them.
    pub broker: Option<Broker>,
}

/// Who hears of mail, and how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One process, in memory.
    InProcess,
    /// Workers beside it on one store alone: by its due index and, on PostgreSQL, LISTEN/NOTIFY.
    Store,
    /// The same with a broker between them.
    RabbitMq,
}

impl Installation {
    /// `None`: the broker it needs is not given.
    pub fn start(kind: Kind, relay: Relay) -> Option<Self> {
        let broker = if kind == Kind::RabbitMq { Some(Broker::given()?) } else { None };
        // The lease is longer than any test: only a worker's silence can end it.
        let options = ServerOptions::to_relay(&relay).env("POSTHASTE_DELIVERY__LEASE", "10m");
        let options = match &broker {
            Some(broker) => broker.used_by(options),
            // Empty counts as not set: the scaled-out installation has a broker of its own.
            None => options.env("AMQP_URL", ""),
        };
        let mut workers = Vec::new();
        let api = if kind == Kind::InProcess {
            Server::start(options)
        } else {
            let api = Server::start(options.clone().api_only());
            workers.extend((1..=2).map(|n| Server::start_bare(options.clone().worker_beside(&api, n))));
            api
        };
        Some(Self { relay, api, workers, broker })
    }

    /// Ends a process that delivers as a power cut would. It stays away where others can go on.
    pub fn kill_one_that_delivers(&mut self) {
        match self.workers.first_mut() {
            Some(worker) => worker.kill9(),
            None => self.api.restart(),
        }
    }

    /// Has so many emails accepted, each with a token of its own.
    pub fn accept(&self, numbers: std::ops::Range<usize>, patch: Value) {
        accept(&self.api, numbers, &patch);
    }

    /// Waits until the relay has as many, and the store knows it.
    #[track_caller]
    pub fn wait_for(&self, count: usize) {
        wait_for(&self.api, &self.relay, count);
    }

    /// Waits for all, and finds each once.
    #[track_caller]
    pub fn each_went_out_once(&self, count: usize) {
        self.wait_for(count);
        let seen = seen(&self.relay);
        assert_eq!(seen.len(), count);
        assert!(seen.values().all(|times| *times == 1), "sent twice: {seen:?}");
    }
}

/// Has emails accepted in batches.
pub fn accept(api: &Server, numbers: std::ops::Range<usize>, patch: &Value) {
    let numbers: Vec<usize> = numbers.collect();
    for numbers in numbers.chunks(100) {
        let one = |n: &usize| with(email_to("user@client.com", &format!("token-{n}.")), patch.clone());
        let emails: Vec<Value> = numbers.iter().map(one).collect();
        api.post("/api/emails/batch", &json!({ "emails": emails })).expect(202);
    }
}

/// Waits until the relay has so many different emails, and the store knows it.
#[track_caller]
pub fn wait_for(api: &Server, relay: &Relay, count: usize) {
    eventually("all mail is at the relay", || (seen(relay).len() >= count).then_some(()));
    eventually("all is recorded", || {
        let sent = api.get("/api/emails?status=sent&count=true").expect(200).json();
        (sent["total"] == count).then_some(())
    });
}

/// A moment so far ahead, as `send_at`.
pub fn at(ahead: Duration) -> Value {
    json!({ "send_at": soon(ahead) })
}

/// A number of `/metrics`; 0 when it is not there.
pub fn metric(server: &Server, name: &str) -> u64 {
    let text = server.get("/metrics").expect(200).text();
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    found.unwrap_or(0)
}
