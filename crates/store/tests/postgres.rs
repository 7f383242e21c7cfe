//! What PostgreSQL alone must do: several nodes on one database, connections that are lost, and limits. Skipped, with a
//! word, without `POSTHASTE_TEST_POSTGRES_URL` (a role that may create databases).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "conformance/fixture.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
mod fixture;

use fixture::*;
use posthaste_model::attempt::Settlement;
use posthaste_model::fault::Faults;
use posthaste_model::{EmailId, Secret, Status};
use posthaste_store::{
    AcceptResult, Acceptance, EngineSettings, IdempotencyClaim, Lease, SettleResult, Store, StoreError,
    StoreSettings, WorkerRecord,
};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_postgres::{Client as Raw, NoTls};

/// A database of its own; `None` when no server is named.
async fn database() -> Option<Database> {
    let made = Database::create().await;
    if made.is_none() {
        println!("skipped: POSTHASTE_TEST_POSTGRES_URL is not set");
    }
    made
}

async fn open(database: &Database) -> Store {
    Store::open(database.settings()).await.unwrap()
}

async fn remove(database: Database, stores: Vec<Store>) {
    for store in stores {
        store.close().await;
    }
    database.remove().await;
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

async fn with_client(store: &Store) {
    store.create_client(acme(), &actor()).await.unwrap();
}

fn acceptance(revision: u64, count: usize) -> Acceptance {
    let emails = (0..count).map(|_| Arc::new(email())).collect();
    Acceptance { emails, idempotency: None, lease: None, revision, now: NOW }
}

/// Ids are given before the commit, so with writers side by side a later id may be there before an earlier one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_by_cursor_skips_nothing_that_writers_commit_later() {
    let Some(database) = database().await else { return };
    let (first, second) = (open(&database).await, open(&database).await);
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
    remove(database, vec![first, second]).await;
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
        let settlements: Vec<Settlement> =
            claims.iter().map(|claim| settlement(claim, Status::Sent, None)).collect();
        let results = store.settle(settlements).await.unwrap();
        assert!(results.iter().all(|result| *result == SettleResult::Recorded));
        events += claims.len() * 3;
    }
    events
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bell_rings_on_every_node() {
    let Some(database) = database().await else { return };
    let (first, second) = (open(&database).await, open(&database).await);
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
    remove(database, vec![first, second]).await;
}

async fn ring_within_ten_seconds(bell: &mut posthaste_store::Bell) {
    tokio::time::timeout(Duration::from_secs(10), bell.rung()).await.expect("the bell rings");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_makes_one_email_on_all_nodes_together() {
    let Some(database) = database().await else { return };
    let (first, second) = (open(&database).await, open(&database).await);
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
    remove(database, vec![first, second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_take_turns_at_the_migrations() {
    let Some(database) = database().await else { return };
    let mut starts = JoinSet::new();
    for _ in 0..6 {
        let settings = database.settings();
        starts.spawn(async move { Store::open(settings).await.unwrap() });
    }
    let stores = starts.join_all().await;
    assert_eq!(stores[0].revision().await, stores[5].revision().await);
    assert!(stores[0].engine_version().starts_with(|first: char| first.is_ascii_digit()));
    remove(database, stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_leave_to_migrate_an_empty_database_is_refused() {
    let Some(database) = database().await else { return };
    let refused = Store::open(StoreSettings { migrate: false, ..database.settings() }).await;
    assert!(matches!(refused, Err(StoreError::MigrationsMissing(_))), "{refused:?}");
    let store = open(&database).await;
    remove(database, vec![store]).await;
}

/// Ends every connection again and again while mail is accepted, claimed and settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_connections_are() {
    let Some(database) = database().await else { return };
    let store = open(&database).await;
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
    remove(database, vec![store]).await;
}

/// A row whose day had no partition is on its way to the default one when the partition is made: it goes there in the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_accepted_while_its_day_is_made_is_accepted() {
    let Some(database) = database().await else { return };
    let store = open(&database).await;
    with_client(&store).await;
    let revision = store.revision().await.unwrap();
    let (maker, watcher) = (raw(&database.url).await, raw(&database.url).await);
    let (from, to) = ("01ec0000-0000-0000-0000-000000000000", "01ed0000-0000-0000-0000-000000000000");
    maker
        .batch_execute(&format!(
            "BEGIN; CREATE TABLE emails_day (LIKE emails INCLUDING DEFAULTS);
             ALTER TABLE emails ATTACH PARTITION emails_day FOR VALUES FROM ('{from}') TO ('{to}')"
        ))
        .await
        .unwrap();
    let mut senders = JoinSet::new();
    let sender = store.clone();
    // Ten years on: no node makes partitions that far ahead.
    let emails = vec![Arc::new(email_of(at(315_360_000)))];
    let id = emails[0].id.to_string();
    assert!(from < id.as_str() && id.as_str() < to, "{id} is of that day");
    let all = Acceptance { emails, ..acceptance(revision, 0) };
    senders.spawn(async move { sender.accept(all).await });
    let waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'emails_default'::regclass";
    while watcher.query(waits, &[]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    maker.batch_execute("COMMIT").await.unwrap();
    let accepted = senders.join_all().await.remove(0).unwrap();
    assert!(matches!(accepted, AcceptResult::Accepted { .. }), "{accepted:?}");
    let kept = watcher.query("SELECT id FROM emails_day", &[]).await.unwrap();
    assert_eq!(kept.len(), 1);
    remove(database, vec![store]).await;
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
    let Some(database) = database().await else { return };
    let store = open(&database).await;
    with_client(&store).await;
    let revision = store.revision().await.unwrap();
    let faults = Faults::parse("commit_io_error:1").unwrap();
    let failing = Store::open(StoreSettings { faults, ..database.settings() }).await.unwrap();
    let refused = failing.accept(acceptance(revision, 1)).await;
    assert!(matches!(refused, Err(StoreError::Uncertain(_))), "{refused:?}");
    assert_eq!(store.queue_counts(NOW).await.unwrap().pending, 0);
    assert!(failing.accept(acceptance(revision, 1)).await.is_ok());
    assert_eq!(store.queue_counts(NOW).await.unwrap().pending, 1);
    remove(database, vec![store, failing]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_every_connection_waits_further_operations_are_busy() {
    let Some(database) = database().await else { return };
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
    remove(database, vec![store]).await;
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
