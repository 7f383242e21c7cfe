//! What PostgreSQL alone must do: several nodes on one database, connections that are lost, and limits. Skipped, with a
//! word, without `POSTHASTE_TEST_POSTGRES_URL` (a role that may create databases).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use posthaste_model::attempt::Settlement;
use posthaste_model::client::Client;
use posthaste_model::email::{Content, Email, Parts, Priority, Recipient, RecipientKind, Source};
use posthaste_model::event::{EventKind, NewEvent};
use posthaste_model::fault::Faults;
use posthaste_model::{ClientId, EmailId, Mailbox, Secret, Status, Timestamp, WorkerId};
use posthaste_store::{
    AcceptResult, Acceptance, Actor, EngineSettings, IdempotencyClaim, Lease, SettleResult, Store,
    StoreError, StoreSettings, WorkerRecord,
};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_postgres::{Client as Raw, NoTls};

const NOW: Timestamp = Timestamp::from_millis(1_800_001_200_000);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() + seconds * 1000)
}

fn chance() -> [u8; 10] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    bytes
}

/// A database of its own, dropped at the end.
struct Database {
    url: String,
    name: String,
    server: String,
}

impl Database {
    /// `None` when no server is named.
    async fn make(name: &str) -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "the tests' own configuration")]
        let Ok(server) = std::env::var("POSTHASTE_TEST_POSTGRES_URL") else {
            println!("skipped: POSTHASTE_TEST_POSTGRES_URL is not set");
            return None;
        };
        let name = format!("alone_{name}_{}", std::process::id());
        raw(&server).await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let (place, query) = server.split_once('?').unwrap_or((&server, ""));
        let (host, _) = place.rsplit_once('/').unwrap();
        let url = format!("{host}/{name}?{query}").trim_end_matches('?').to_owned();
        Some(Self { url, name, server })
    }

    fn settings(&self) -> StoreSettings {
        StoreSettings::postgres(Secret::new(self.url.clone()))
    }

    async fn open(&self) -> Store {
        Store::open(self.settings()).await.unwrap()
    }

    async fn drop(self, stores: Vec<Store>) {
        for store in stores {
            store.close().await;
        }
        let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        raw(&self.server).await.batch_execute(&drop).await.unwrap();
    }
}

/// A connection beside the store.
async fn raw(url: &str) -> Raw {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let _ = connection.await;
    });
    tasks.detach_all();
    client
}

fn acme() -> Client {
    let id = ClientId::new(NOW, [1; 10]);
    Client {
        id,
        name: "acme".into(),
        department: None,
        is_active: true,
        created_at: NOW,
        retention: posthaste_model::client::Retention::default(),
    }
}

fn worker(number: u8) -> WorkerId {
    WorkerId::new(NOW, [number; 10])
}

async fn with_client(store: &Store) {
    let actor = Actor { kind: "cli".into(), id: None, address: None };
    store.create_client(acme(), &actor).await.unwrap();
}

fn email() -> Email {
    let id = EmailId::new(NOW, chance());
    Email {
        id,
        client_id: acme().id,
        credential_id: None,
        source: Source::Emails,
        test_mode: false,
        domain: "example.com".into(),
        from: Mailbox::parse("noreply@example.com").unwrap(),
        recipients: vec![Recipient {
            kind: RecipientKind::To,
            mailbox: Mailbox::parse("ann@client.example").unwrap(),
            suppressed: None,
        }],
        reply_to: Vec::new(),
        subject: "Halo".into(),
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
        resent_from: None,
        signed_by: None,
        decisions: Vec::new(),
    }
}

fn acceptance(revision: u64, count: usize) -> Acceptance {
    let emails = (0..count).map(|_| Arc::new(email())).collect();
    Acceptance { emails, idempotency: None, lease: None, revision, now: NOW }
}

fn sent(claim: &posthaste_model::attempt::Claim) -> Settlement {
    let event =
        NewEvent { kind: EventKind::Sent, at: at(1), recipient: None, attempt: claim.attempt, detail: None };
    Settlement {
        email_id: claim.email.id,
        fence: claim.fence,
        attempts: claim.attempt,
        status: Status::Sent,
        next_attempt_at: None,
        sent_at: Some(at(1)),
        failure: None,
        error: None,
        uncertain_ends: 0,
        provider: Some("smtp".into()),
        provider_message_id: None,
        recipients: Vec::new(),
        events: vec![event],
        at: at(1),
    }
}

/// Ids are given before the commit, so with writers side by side a later id may be there before an earlier one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_by_cursor_skips_nothing_that_writers_commit_later() {
    let Some(database) = Database::make("feed").await else { return };
    let (first, second) = (database.open().await, database.open().await);
    with_client(&first).await;
    let revision = first.revision().await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let mut reader = JoinSet::new();
    let (store, over) = (second.clone(), Arc::clone(&done));
    reader.spawn(async move { follow(&store, &over).await });
    let mut writers = JoinSet::new();
    for number in 0..8_u8 {
        let store = if number % 2 == 0 { first.clone() } else { second.clone() };
        writers.spawn(async move { accept_and_send(&store, revision, number).await });
    }
    let written: usize = writers.join_all().await.into_iter().sum();
    done.store(true, Ordering::Release);
    let seen = reader.join_all().await.remove(0);
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "rising, none twice");
    assert_eq!(seen.len(), written, "none skipped");
    database.drop(vec![first, second]).await;
}

/// Reads on behind the cursor until the writers are done and nothing more comes.
async fn follow(store: &Store, over: &AtomicBool) -> Vec<i64> {
    let (mut seen, mut after) = (Vec::new(), 0);
    loop {
        let was_over = over.load(Ordering::Acquire);
        let page = store.events_after(acme().id, after, 37).await.unwrap();
        assert!(page.after >= after);
        seen.extend(page.events.iter().map(|event| event.event.id));
        if was_over && page.after == after {
            return seen;
        }
        after = page.after;
        tokio::task::yield_now().await;
    }
}

/// Accepts and settles; how many events that were.
async fn accept_and_send(store: &Store, revision: u64, number: u8) -> usize {
    let mut events = 0;
    for round in 0..25 {
        let mut acceptance = acceptance(revision, 1 + round % 4);
        acceptance.lease = Some(Lease { worker: worker(number), until: at(60) });
        let AcceptResult::Accepted { claims } = store.accept(acceptance).await.unwrap() else {
            panic!("not accepted")
        };
        let settlements: Vec<Settlement> = claims.iter().map(sent).collect();
        let results = store.settle(settlements).await.unwrap();
        assert!(results.iter().all(|result| *result == SettleResult::Recorded));
        events += claims.len() * 3;
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bell_rings_on_every_node() {
    let Some(database) = Database::make("bell").await else { return };
    let (first, second) = (database.open().await, database.open().await);
    with_client(&first).await;
    let mut bell = second.bell().unwrap();
    // Should the listener only now begin to hear, it rings for what it has missed.
    first.accept(acceptance(first.revision().await.unwrap(), 1)).await.unwrap();
    ring_within_ten_seconds(&mut bell).await;
    let due = second.claim_due(worker(1), NOW, at(60), 10).await.unwrap();
    assert_eq!(due.len(), 1);
    // A listener whose connection is ended hears again.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%' AND pid <> pg_backend_pid()";
    raw(&database.url).await.execute(end, &[]).await.unwrap();
    ring_within_ten_seconds(&mut bell).await;
    first.hand_back(worker(1), vec![(due[0].email.id, due[0].fence)], at(1)).await.unwrap();
    ring_within_ten_seconds(&mut bell).await;
    database.drop(vec![first, second]).await;
}

async fn ring_within_ten_seconds(bell: &mut posthaste_store::Bell) {
    tokio::time::timeout(Duration::from_secs(10), bell.rung()).await.expect("the bell rings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_makes_one_email_on_all_nodes_together() {
    let Some(database) = Database::make("keys").await else { return };
    let (first, second) = (database.open().await, database.open().await);
    with_client(&first).await;
    let revision = first.revision().await.unwrap();
    for round in 0..10 {
        let mut requests = JoinSet::new();
        for number in 0..40 {
            let store = if number % 2 == 0 { first.clone() } else { second.clone() };
            let mut acceptance = acceptance(revision, 1);
            acceptance.idempotency = Some(IdempotencyClaim {
                client_id: acme().id,
                endpoint: "POST /api/emails",
                key: format!("k{round}"),
                fingerprint: [1; 32],
                answer: vec![number],
                keep_until: at(86_400),
            });
            requests.spawn(async move { store.accept(acceptance).await.unwrap() });
        }
        let results = requests.join_all().await;
        let accepted = results.iter().filter(|r| matches!(r, AcceptResult::Accepted { .. })).count();
        let answers: HashSet<&Vec<u8>> = results
            .iter()
            .filter_map(|r| if let AcceptResult::Replayed(answer) = r { Some(answer) } else { None })
            .collect();
        assert_eq!((accepted, answers.len()), (1, 1), "one is stored, all others get its answer");
    }
    assert_eq!(first.queue_counts(NOW).await.unwrap().pending, 10);
    database.drop(vec![first, second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_take_turns_at_the_migrations() {
    let Some(database) = Database::make("start").await else { return };
    let mut starts = JoinSet::new();
    for _ in 0..6 {
        let settings = database.settings();
        starts.spawn(async move { Store::open(settings).await.unwrap() });
    }
    let stores = starts.join_all().await;
    assert_eq!(stores[0].revision().await, stores[5].revision().await);
    assert!(stores[0].engine_version().starts_with(|first: char| first.is_ascii_digit()));
    database.drop(stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_leave_to_migrate_an_empty_database_is_refused() {
    let Some(database) = Database::make("refuse").await else { return };
    let refused = Store::open(StoreSettings { migrate: false, ..database.settings() }).await;
    assert!(matches!(refused, Err(StoreError::MigrationsMissing(_))), "{refused:?}");
    let store = database.open().await;
    database.drop(vec![store]).await;
}

/// Ends every connection again and again while mail is accepted, claimed and settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_connections_are() {
    let Some(database) = Database::make("lost").await else { return };
    let store = database.open().await;
    with_client(&store).await;
    let revision = store.revision().await.unwrap();
    let axe = raw(&database.server).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut senders = JoinSet::new();
    for _ in 0..4 {
        let (store, over) = (store.clone(), Arc::clone(&done));
        senders.spawn(async move { accept_until(&store, revision, &over).await });
    }
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
    let mut ended = 0;
    while ended < 100 {
        ended += axe.query(end, &[&database.name]).await.unwrap().len();
        tokio::task::yield_now().await;
        store.queue_counts(NOW).await.ok();
    }
    done.store(true, Ordering::Release);
    let acknowledged: Vec<EmailId> = senders.join_all().await.into_iter().flatten().collect();
    for id in &acknowledged {
        let found = store.email(acme().id, *id).await.unwrap();
        assert!(found.is_some(), "{id} was acknowledged");
    }
    store.check_integrity().await.unwrap();
    database.drop(vec![store]).await;
}

/// What was acknowledged until it is over.
async fn accept_until(store: &Store, revision: u64, over: &AtomicBool) -> Vec<EmailId> {
    let mut acknowledged = Vec::new();
    while !over.load(Ordering::Acquire) {
        let acceptance = acceptance(revision, 2);
        let ids: Vec<EmailId> = acceptance.emails.iter().map(|email| email.id).collect();
        match store.accept(acceptance).await {
            Ok(AcceptResult::Accepted { .. }) => acknowledged.extend(ids),
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_is_uncertain_and_the_next_one_goes_on() {
    let Some(database) = Database::make("commit").await else { return };
    let store = database.open().await;
    with_client(&store).await;
    let revision = store.revision().await.unwrap();
    let faults = Faults::parse("commit_io_error:1").unwrap();
    let failing = Store::open(StoreSettings { faults, ..database.settings() }).await.unwrap();
    let refused = failing.accept(acceptance(revision, 1)).await;
    assert!(matches!(refused, Err(StoreError::Uncertain(_))), "{refused:?}");
    assert_eq!(store.queue_counts(NOW).await.unwrap().pending, 0);
    assert!(failing.accept(acceptance(revision, 1)).await.is_ok());
    assert_eq!(store.queue_counts(NOW).await.unwrap().pending, 1);
    database.drop(vec![store, failing]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_every_connection_waits_further_operations_are_busy() {
    let Some(database) = Database::make("busy").await else { return };
    let mut settings = database.settings();
    if let EngineSettings::Postgres(server) = &mut settings.engine {
        (server.connections, server.acquire) = (2, Duration::from_millis(50));
    }
    let store = Store::open(settings).await.unwrap();
    let lock = raw(&database.url).await;
    lock.batch_execute("BEGIN; LOCK TABLE workers").await.unwrap();
    let mut waiting = JoinSet::new();
    for number in 1..=2 {
        let store = store.clone();
        let life = WorkerRecord {
            id: worker(number),
            node: "a".into(),
            pid: 1,
            roles: "worker".into(),
            host: "h".into(),
            started_at: NOW,
        };
        waiting.spawn(async move { store.heartbeat(life, NOW).await });
    }
    let held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    // Within its transaction the other connection would see the same state for ever.
    let look = raw(&database.url).await;
    while look.query_one(held, &[]).await.unwrap().get::<_, i64>(0) < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.revision().await, Err(StoreError::Busy));
    lock.batch_execute("COMMIT").await.unwrap();
    assert!(waiting.join_all().await.iter().all(Result::is_ok));
    assert!(store.revision().await.is_ok());
    database.drop(vec![store]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_be_reached_is_unavailable_and_no_secret_is_said() {
    let settings = StoreSettings::postgres(Secret::new("postgres://me:hunter2@127.0.0.1:1/none"));
    let refused = Store::open(settings.clone()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    assert!(!format!("{refused} {refused:?} {settings:?}").contains("hunter2"));
    let refused = Store::open(StoreSettings::postgres(Secret::new("postgres://me:hunter2@h/x?ssl=maybe")));
    assert!(!refused.await.unwrap_err().to_string().contains("hunter2"));
}
