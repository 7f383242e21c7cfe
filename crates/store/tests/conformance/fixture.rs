//! A store with two clients, and emails to put into it.

use posthaste_model::attempt::{Claim, RecipientChange, Settlement};
use posthaste_model::client::Client;
use posthaste_model::email::{Content, Email, Parts, Priority, Recipient, RecipientKind, Source};
use posthaste_model::event::{EventKind, NewEvent};
use posthaste_model::retry::{OnUncertain, RetryPolicy};
use posthaste_model::{ClientId, EmailId, Mailbox, RecipientStatus, Secret, Status, Timestamp, WorkerId};
use posthaste_store::{AcceptResult, Acceptance, Actor, EmailRecord, Lease, Store, StoreSettings};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The time in all tests: 20 minutes past an hour.
pub const NOW: Timestamp = Timestamp::from_millis(1_800_001_200_000);

/// `seconds` after `NOW`.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() + seconds * 1000)
}

/// A fresh store of some engine, and what has to stay while it is used.
pub struct Home {
    pub store: Store,
    _folder: Option<tempfile::TempDir>,
    database: Option<Database>,
}

impl Home {
    /// Every test ends with a look at the whole.
    pub async fn end(self) {
        self.store.check_integrity().await.unwrap();
        self.store.close().await;
        if let Some(database) = self.database {
            database.remove().await;
        }
    }
}

pub async fn sqlite() -> Home {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreSettings::new(folder.path().join("posthaste.db"))).await.unwrap();
    for client in [acme(), rival()] {
        store.create_client(client, &actor()).await.unwrap();
    }
    Home { store, _folder: Some(folder), database: None }
}

/// A store with two clients in a new database of the server that `POSTHASTE_TEST_POSTGRES_URL` names.
pub async fn postgres() -> Option<Home> {
    let home = empty_postgres().await?;
    for client in [acme(), rival()] {
        home.store.create_client(client, &actor()).await.unwrap();
    }
    Some(home)
}

/// The same without clients; `None` without a server.
pub async fn empty_postgres() -> Option<Home> {
    let database = Database::create().await?;
    let store = Store::open(database.settings()).await.unwrap();
    Some(Home { store, _folder: None, database: Some(database) })
}

/// A new database of the server that `POSTHASTE_TEST_POSTGRES_URL` names.
pub struct Database {
    pub server: String,
    pub name: String,
    pub url: String,
}

impl Database {
    pub async fn create() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "the tests' own switch, no setting of the program")]
        let server = std::env::var("POSTHASTE_TEST_POSTGRES_URL").ok()?;
        let number = chance()[2..].iter().fold(0, |number, byte| number * 256 + u64::from(*byte));
        let name = format!("conformance_{}_{number}", std::process::id());
        tell(&server, &format!("CREATE DATABASE {name}")).await;
        let (place, query) = server.split_once('?').unwrap_or((&server, ""));
        let (host, _) = place.rsplit_once('/').unwrap();
        let url = format!("{host}/{name}?{query}").trim_end_matches('?').to_owned();
        Some(Self { server, name, url })
    }

    pub fn settings(&self) -> StoreSettings {
        StoreSettings::postgres(Secret::new(self.url.clone()))
    }

    /// Runs statements on a connection of its own.
    pub async fn tell(&self, what: &str) {
        tell(&self.url, what).await;
    }

    pub async fn count(&self, sql: &str) -> i64 {
        let (client, connection) = tokio_postgres::connect(&self.url, tokio_postgres::NoTls).await.unwrap();
        tokio::select! {
            row = client.query_one(sql, &[]) => row.unwrap().get(0),
            ended = connection => panic!("the connection ended: {ended:?}"),
        }
    }

    pub async fn remove(self) {
        tell(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

/// Tells a server something on a connection of its own.
async fn tell(server: &str, what: &str) {
    let (client, connection) = tokio_postgres::connect(server, tokio_postgres::NoTls).await.unwrap();
    let told = client.batch_execute(what);
    tokio::select! {
        told = told => told.unwrap(),
        ended = connection => panic!("the connection ended: {ended:?}"),
    }
}

/// Ten bytes that no other call has returned.
pub fn chance() -> [u8; 10] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

pub fn actor() -> Actor {
    Actor { kind: "cli".into(), id: None, address: None }
}

fn client(number: u8, name: &str) -> Client {
    Client {
        id: ClientId::new(NOW, [number; 10]),
        name: name.into(),
        department: None,
        is_active: true,
        retention: posthaste_model::client::Retention::default(),
        created_at: NOW,
    }
}

pub fn acme() -> Client {
    client(1, "acme")
}

pub fn rival() -> Client {
    client(2, "rival")
}

pub fn worker(number: u8) -> WorkerId {
    WorkerId::new(NOW, [number; 10])
}

/// An email of acme's to one recipient.
pub fn email() -> Email {
    let id = EmailId::new(NOW, chance());
    Email {
        id,
        client_id: acme().id,
        credential_id: None,
        source: Source::Emails,
        test_mode: false,
        domain: "example.com".into(),
        from: Mailbox::parse("Shop <noreply@example.com>").unwrap(),
        recipients: vec![to("ann@client.example")],
        reply_to: Vec::new(),
        subject: "Selamat datang, Ann".into(),
        content: Content::Parts(Parts { text: Some("Halo".into()), ..Parts::default() }),
        attachments: Vec::new(),
        tags: Vec::new(),
        metadata: BTreeMap::new(),
        event_id: None,
        priority: Priority::DEFAULT,
        requested_at: NOW,
        send_at: None,
        idempotency_key: None,
        correlation_id: format!("c-{id}"),
        message_id: format!("{id}@example.com"),
        signed_by: None,
        resent_from: None,
        decisions: Vec::new(),
    }
}

/// An email requested at a time, which its id tells too.
pub fn email_of(time: Timestamp) -> Email {
    Email { id: EmailId::new(time, chance()), requested_at: time, ..email() }
}

pub fn to(address: &str) -> Recipient {
    Recipient { kind: RecipientKind::To, mailbox: Mailbox::parse(address).unwrap(), suppressed: None }
}

pub async fn acceptance(store: &Store, emails: Vec<Email>) -> Acceptance {
    Acceptance {
        emails: emails.into_iter().map(Arc::new).collect(),
        idempotency: None,
        lease: None,
        revision: store.revision().await.unwrap(),
        now: NOW,
    }
}

/// Accepts emails that nobody takes over; their ids.
pub async fn accept(store: &Store, emails: Vec<Email>) -> Vec<EmailId> {
    let ids = emails.iter().map(|email| email.id).collect();
    let accepted = store.accept(acceptance(store, emails).await).await.unwrap();
    assert!(matches!(accepted, AcceptResult::Accepted { claims } if claims.is_empty()));
    ids
}

/// Accepts emails leased to worker 1 for a minute.
pub async fn accept_leased(store: &Store, emails: Vec<Email>) -> Vec<Claim> {
    let mut acceptance = acceptance(store, emails).await;
    acceptance.lease = Some(Lease { worker: worker(1), until: at(60) });
    match store.accept(acceptance).await.unwrap() {
        AcceptResult::Accepted { claims } => claims,
        other => panic!("{other:?}"),
    }
}

/// What `retry::settle` would say of `claim` when all due recipients end in `status`.
pub fn settlement(claim: &Claim, status: Status, next_attempt_at: Option<Timestamp>) -> Settlement {
    let (recipient, kind) = match status {
        Status::Sent => (RecipientStatus::Sent, EventKind::Sent),
        Status::Queued => (RecipientStatus::Queued, EventKind::Deferred),
        _ => (RecipientStatus::Failed, EventKind::Failed),
    };
    let change = |index| RecipientChange {
        index,
        status: recipient,
        last_reply: Some("250 2.0.0 ok".into()),
        failure_code: None,
    };
    Settlement {
        email_id: claim.email.id,
        fence: claim.fence,
        attempts: claim.attempt,
        status,
        next_attempt_at,
        sent_at: (status == Status::Sent).then_some(at(1)),
        failure: None,
        error: None,
        uncertain_ends: claim.uncertain_ends,
        provider: Some("smtp".into()),
        provider_message_id: None,
        recipients: claim.due_recipients().map(change).collect(),
        events: vec![NewEvent { kind, at: at(1), recipient: None, attempt: claim.attempt, detail: None }],
        at: at(1),
    }
}

/// Five attempts, 30 s apart; what is uncertain waits for a person.
pub fn policy() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 5,
        schedule: vec![Duration::from_secs(30)],
        jitter: 0.0,
        on_uncertain: OnUncertain::Hold,
        uncertain_delay: Duration::from_secs(600),
    }
}

pub async fn record(store: &Store, id: EmailId) -> EmailRecord {
    store.email(acme().id, id).await.unwrap().unwrap()
}

/// The kinds of an email's events, and a check that they are numbered from 1.
pub async fn timeline(store: &Store, id: EmailId) -> Vec<EventKind> {
    let events = store.events(acme().id, id).await.unwrap();
    for (index, event) in events.iter().enumerate() {
        assert_eq!((event.seq, event.email_id), (index as u32 + 1, id));
    }
    assert!(events.windows(2).all(|pair| pair[0].id < pair[1].id));
    events.into_iter().map(|event| event.event.kind).collect()
}

pub async fn claim(store: &Store, number: u8, now: Timestamp, limit: usize) -> Vec<Claim> {
    store.claim_due(worker(number), now, now.plus(Duration::from_secs(60)), limit).await.unwrap()
}
