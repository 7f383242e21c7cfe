//! One installation on a temporary folder, with as many workers as a test wants.

use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::base::tasks::Tasks;
use crate::base::vault::Vault;
use crate::blobs::Blobs;
use crate::dispatch::{Dispatch, DispatchParts, DispatchSettings, Identity, Way};
use crate::limits::Limits;
use crate::live::Live;
use crate::queue::{Queue, Ring};
use crate::render::Renderer;
use crate::routing::{INBOX, Routes};
use crate::testing::email;
use crate::transports::{InboxBell, InboxTransport, SmtpTransport, Transport};
use posthaste_model::client::Client;
use posthaste_model::email::Email;
use posthaste_model::fault::Faults;
use posthaste_model::retry::{OnUncertain, RetryPolicy};
use posthaste_model::{EmailId, Rate, Status, Timestamp};
use posthaste_smtp::client::{ConnectSettings, Credentials, Encryption, Timeouts, tls_client_config};
use posthaste_smtp_sink::relay::{Relay, Script};
use posthaste_store::{AcceptResult, Acceptance, Actor, EmailRecord, Lease, Store, StoreSettings};
use std::sync::Arc;
use std::time::Duration;

/// The time at which every test begins.
pub const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// The pause before the second attempt, and every later one.
pub const BACKOFF: Duration = Duration::from_secs(30);
/// The pause after an uncertain end.
pub const LATE: Duration = Duration::from_secs(600);

pub struct Stage {
    pub store: Store,
    pub queue: Queue,
    pub clock: Clock,
    pub bell: InboxBell,
    pub settings: DispatchSettings,
    pub routes: Routes,
    pub faults: Faults,
    pub in_flight: usize,
    pub rate: Option<Rate>,
    pub shared_limits: Option<Limits>,
    relays: Vec<(&'static str, ConnectSettings)>,
    blobs: Blobs,
    chance: Chance,
    revision: u64,
    client: Client,
    _folder: tempfile::TempDir,
}

/// A worker, and what ends it.
pub struct Running {
    pub dispatch: Dispatch,
    pub tasks: Tasks,
    pub metrics: Metrics,
}

pub fn policy() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 3,
        schedule: vec![BACKOFF],
        jitter: 0.0,
        on_uncertain: OnUncertain::Retry,
        uncertain_delay: LATE,
    }
}

/// How a test reaches a relay.
pub fn reach(port: u16) -> ConnectSettings {
    ConnectSettings {
        host: "127.0.0.1".into(),
        port,
        encryption: Encryption::None,
        credentials: None,
        helo_name: "posthaste.test".into(),
        tls: tls_client_config(None).expect("a TLS configuration"),
        timeouts: Timeouts::all(Duration::from_secs(20)),
        max_message_bytes: None,
    }
}

impl Stage {
    /// An installation whose mail goes to `relay`.
    pub async fn to(relay: &Relay) -> Self {
        Self::with(vec![("smtp", reach(relay.port()))]).await
    }

    /// A relay by `script` and an installation that sends to it.
    pub async fn scripted(script: Script) -> (Relay, Self) {
        let relay = Relay::start(script).await.expect("a relay");
        let stage = Self::to(&relay).await;
        (relay, stage)
    }

    /// An installation with these relays; the first one is the default.
    pub async fn with(relays: Vec<(&'static str, ConnectSettings)>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(StoreSettings::new(folder.path().join("store.db"))).await.expect("a store");
        let blobs = Blobs::files(&folder.path().join("blobs"), Faults::none()).expect("blobs");
        let client = Client {
            id: email("a@a.example", &[]).client_id,
            name: "shop".into(),
            department: None,
            is_active: true,
            retention: posthaste_model::client::Retention::default(),
            created_at: START,
        };
        let actor = Actor { kind: "system".into(), id: None, address: None };
        store.create_client(client.clone(), &actor).await.expect("a client");
        let revision = store.revision().await.expect("a revision");
        let mut settings = DispatchSettings::with_policy(policy());
        settings.after_clock_set = Duration::ZERO;
        settings.look_every = Duration::from_millis(10);
        let default = relays.first().map_or(INBOX, |(name, _)| name);
        Self {
            queue: Queue::in_process(512),
            clock: Clock::manual(START),
            bell: InboxBell::new(),
            routes: Routes::only(default),
            settings,
            faults: Faults::none(),
            in_flight: 8,
            rate: None,
            shared_limits: None,
            store,
            relays,
            blobs,
            chance: Chance::new(),
            revision,
            client,
            _folder: folder,
        }
    }

    /// Logs in at every relay.
    pub fn log_in(&mut self, username: &str, password: &str) {
        for (_, settings) in &mut self.relays {
            settings.credentials = Some(Credentials {
                username: username.into(),
                password: posthaste_smtp::client::Password::new(password),
            });
        }
    }

    fn vault(&self) -> Vault {
        Vault::new(&Vault::generate_key(&self.chance), self.chance.clone())
            .expect("a key of the right length")
    }

    fn ways(&self) -> Vec<Way> {
        let smtp = self.relays.iter().map(|(name, settings)| {
            Transport::Smtp(SmtpTransport::new(name, settings.clone(), self.in_flight, self.faults.clone()))
        });
        let inbox = InboxTransport::new(
            INBOX,
            self.store.clone(),
            self.blobs.clone(),
            self.bell.clone(),
            self.clock.clone(),
            self.chance.clone(),
        );
        smtp.chain([Transport::Inbox(inbox)])
            .map(|transport| Way {
                transport,
                max_in_flight: self.in_flight,
                rate: self.rate,
                daily_quota: None,
            })
            .collect()
    }

    /// Starts a worker on its own node.
    pub async fn start(&self) -> Running {
        self.start_on("node-1").await
    }

    pub async fn start_on(&self, node: &str) -> Running {
        let metrics = Metrics::new();
        let tasks = Tasks::observed_by(&metrics);
        let parts = DispatchParts {
            traces: crate::base::trace::Traces::off(),
            live: Live::new(self.store.clone(), None, self.chance.bytes(), Metrics::new()),
            store: self.store.clone(),
            queue: self.queue.clone(),
            renderer: Renderer::new(
                self.store.clone(),
                self.blobs.clone(),
                self.vault(),
                self.faults.clone(),
            ),
            routes: self.routes.clone(),
            ways: self.ways(),
            shared_limits: self.shared_limits.clone(),
            settings: self.settings.clone(),
            identity: Identity { node: node.into(), host: "localhost".into(), roles: "worker".into() },
            clock: self.clock.clone(),
            chance: self.chance.clone(),
            metrics: metrics.clone(),
            tasks: tasks.clone(),
            faults: self.faults.clone(),
        };
        let dispatch = Dispatch::start(parts).await.expect("a worker");
        Running { dispatch, tasks, metrics }
    }

    /// An email of this installation's client, not yet accepted.
    pub fn draft(&self, recipients: &[&str]) -> Email {
        let now = self.clock.now();
        let id = EmailId::new(now, self.chance.bytes());
        let message_id = format!("{id}@a.example");
        Email { id, message_id, requested_at: now, ..email("sender@a.example", recipients) }
    }

    /// Accepts emails as intake does: handed over where a worker has room, else by the bell.
    pub async fn accept(&self, emails: Vec<Email>) -> Vec<EmailId> {
        let ids = emails.iter().map(|email| email.id).collect();
        let rings: Vec<Ring> = emails.iter().map(Ring::from).collect();
        let now = self.clock.now();
        let reservation = self.queue.reserve(emails.len(), 0);
        let lease = reservation.as_ref().map(|r| Lease { worker: r.worker(), until: r.lease_until(now) });
        let acceptance = Acceptance {
            emails: emails.into_iter().map(Arc::new).collect(),
            idempotency: None,
            lease,
            revision: self.revision,
            now,
        };
        let AcceptResult::Accepted { claims } = self.store.accept(acceptance).await.expect("a commit") else {
            panic!("not accepted")
        };
        match reservation {
            Some(reservation) => reservation.hand_over(claims),
            None => self.queue.ring(&rings),
        }
        ids
    }

    /// Accepts one email to `recipients`.
    pub async fn send(&self, recipients: &[&str]) -> EmailId {
        self.accept(vec![self.draft(recipients)]).await[0]
    }

    pub async fn look(&self, id: EmailId) -> EmailRecord {
        self.store.email(self.client.id, id).await.expect("the store").expect("the email")
    }

    /// Waits until the email is as wished.
    pub async fn until(&self, id: EmailId, wished: impl Fn(&EmailRecord) -> bool) -> EmailRecord {
        let wait = async {
            loop {
                let record = self.look(id).await;
                if wished(&record) {
                    return record;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        if let Ok(record) = tokio::time::timeout(Duration::from_secs(30), wait).await {
            return record;
        }
        panic!("never as wished: {:?}", self.look(id).await)
    }

    /// Waits until the email waits for another attempt.
    pub async fn until_deferred(&self, id: EmailId, attempts: u32) -> EmailRecord {
        self.until(id, |r| r.attempts == attempts && r.status != Status::Processing && r.error.is_some())
            .await
    }

    /// The email's timeline: kind, attempt, detail.
    pub async fn timeline(&self, id: EmailId) -> Vec<String> {
        let events = self.store.events(self.client.id, id).await.expect("the store");
        events
            .into_iter()
            .map(|event| format!("{} {}", event.event.kind, event.event.detail.unwrap_or_default()))
            .collect()
    }
}

impl Running {
    /// Waits until the worker holds nothing.
    pub async fn until_idle(&self) {
        while self.dispatch.held() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Ends the worker as SIGTERM does.
    pub async fn stop(self) {
        assert!(self.tasks.shutdown(Duration::from_secs(40)).await, "still running: {:?}", self.tasks);
    }
}
