//! Transactions that PostgreSQL undoes because they lost against another one: they run again and have their effect once,
//! and one that loses every time says that the store is busy.

use crate::fixture::*;
use posthaste_model::client::Client;
use posthaste_model::{ClientId, EmailId};
use posthaste_store::{AcceptResult, AuditFilter, IdempotencyClaim, Store, StoreError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio_postgres::NoTls;

/// How often a transaction is run at most.
const TRIES: i64 = 5;
/// How often the test looks whether somebody waits for a lock.
const LOOK: Duration = Duration::from_millis(5);

/// A store, and a second connection that gets into its way.
struct Rivals {
    database: Database,
    store: Store,
    other: tokio_postgres::Client,
    _connection: JoinSet<()>,
}

impl Rivals {
    /// `settings` hold for every transaction of the store.
    async fn start(settings: &[&str]) -> Option<Self> {
        let database = Database::create().await?;
        for setting in settings {
            database.tell(&format!("ALTER DATABASE {} SET {setting}", database.name)).await;
        }
        let store = Store::open(database.settings()).await.unwrap();
        store.create_client(acme(), &actor()).await.unwrap();
        let (other, connection) = tokio_postgres::connect(&database.url, NoTls).await.unwrap();
        let mut running = JoinSet::new();
        running.spawn(async move {
            // It ends when the database is dropped.
            let _ = connection.await;
        });
        // The store's side is the one that finds the ring and is undone.
        other.batch_execute("SET deadlock_timeout = '100s'").await.unwrap();
        Some(Self { database, store, other, _connection: running })
    }

    /// Waits until the store waits for a lock that the test holds.
    async fn wait_until_it_waits(&self) {
        let sql = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
            WHERE NOT l.granted AND a.datname = current_database()";
        for _ in 0..12_000 {
            // By a connection of its own: inside a transaction the server answers from one picture of its sessions.
            if self.database.count(sql).await > 0 {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("nobody waits for a lock");
    }

    /// Each new transaction on `table` loses, until so many have.
    async fn let_lose(&self, table: &str, times: i64) {
        let sql = format!(
            "CREATE SEQUENCE losses;
             CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                IF nextval('losses') <= {times} THEN
                    RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
                END IF;
                RETURN NULL;
             END $$;
             CREATE TRIGGER loses BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION lose()"
        );
        self.other.batch_execute(&sql).await.unwrap();
    }

    /// How often a transaction came to the table.
    async fn came(&self) -> i64 {
        self.database.count("SELECT last_value FROM losses").await
    }

    async fn count(&self, table: &str) -> i64 {
        self.database.count(&format!("SELECT count(*) FROM {table}")).await
    }

    async fn end(self) {
        self.store.check_integrity().await.unwrap();
        self.store.close().await;
        self.database.remove().await;
    }
}

/// An acceptance of one email under a key.
async fn keyed(store: &Store) -> (EmailId, posthaste_store::Acceptance) {
    let email = email();
    let id = email.id;
    let mut acceptance = acceptance(store, vec![email]).await;
    acceptance.idempotency = Some(IdempotencyClaim {
        client_id: acme().id,
        endpoint: "/api/emails",
        key: "once".into(),
        fingerprint: [1; 32],
        answer: b"accepted".to_vec(),
        keep_until: at(86_400),
    });
    (id, acceptance)
}

fn newcomer() -> Client {
    Client { id: ClientId::new(NOW, [9; 10]), name: "newcomer".into(), ..acme() }
}

/// Creates a client while the test does what it does; the client is there once, and so is its entry of the audit.
async fn a_client_is_made_once(rivals: &Rivals, in_the_way: impl AsyncFnOnce(&Rivals)) {
    let store = rivals.store.clone();
    let mut under_way = JoinSet::new();
    under_way.spawn(async move { store.create_client(newcomer(), &actor()).await });
    in_the_way(rivals).await;
    assert_eq!(under_way.join_next().await.unwrap().unwrap(), Ok(()));
    assert_eq!(rivals.store.client(newcomer().id).await, Ok(Some(newcomer())));
    let of_newcomer = AuditFilter { target: Some(newcomer().id.to_string()), ..AuditFilter::default() };
    let told = rivals.store.audit(None, 100, &of_newcomer).await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
}

/// Two transactions that wait for each other's lock (40P01). The test gets its second lock only because the server undid
/// ours: the victim is certain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_undone_in_a_deadlock_is_made_once() {
    let Some(rivals) = Rivals::start(&["deadlock_timeout = '2s'"]).await else { return };
    rivals.other.batch_execute("BEGIN; LOCK TABLE audit IN SHARE MODE").await.unwrap();
    a_client_is_made_once(&rivals, async |rivals| {
        rivals.wait_until_it_waits().await;
        rivals.other.batch_execute("LOCK TABLE clients IN SHARE MODE").await.unwrap();
        rivals.other.batch_execute("COMMIT").await.unwrap();
    })
    .await;
    rivals.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acceptance_that_was_undone_in_a_deadlock_is_made_once() {
    let Some(rivals) = Rivals::start(&["deadlock_timeout = '2s'"]).await else { return };
    let (id, acceptance) = keyed(&rivals.store).await;
    rivals.other.batch_execute("BEGIN; LOCK TABLE events IN SHARE MODE").await.unwrap();
    let store = rivals.store.clone();
    let mut under_way = JoinSet::new();
    under_way.spawn(async move { store.accept(acceptance).await });
    rivals.wait_until_it_waits().await;
    rivals.other.batch_execute("LOCK TABLE emails IN SHARE MODE").await.unwrap();
    rivals.other.batch_execute("COMMIT").await.unwrap();
    let accepted = under_way.join_next().await.unwrap().unwrap();
    assert!(matches!(accepted, Ok(AcceptResult::Accepted { .. })), "{accepted:?}");
    assert_eq!(record(&rivals.store, id).await.email.id, id);
    for table in ["emails", "heads", "contents", "queue", "events", "idempotency"] {
        assert_eq!(rivals.count(table).await, 1, "{table}");
    }
    rivals.end().await;
}

/// A row that another transaction changed after ours began (40001): the server's default isolation is a stricter one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_could_not_be_serialized_is_made_once() {
    let isolation = ["default_transaction_isolation = 'repeatable read'"];
    let Some(rivals) = Rivals::start(&isolation).await else { return };
    rivals.other.batch_execute("BEGIN; UPDATE installation SET pings = pings + 1").await.unwrap();
    a_client_is_made_once(&rivals, async |rivals| {
        rivals.wait_until_it_waits().await;
        rivals.other.batch_execute("COMMIT").await.unwrap();
    })
    .await;
    rivals.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acceptance_that_loses_for_a_while_is_made_once() {
    let Some(rivals) = Rivals::start(&[]).await else { return };
    rivals.let_lose("emails", TRIES - 1).await;
    let (id, acceptance) = keyed(&rivals.store).await;
    let accepted = rivals.store.accept(acceptance).await;
    assert!(matches!(accepted, Ok(AcceptResult::Accepted { .. })), "{accepted:?}");
    assert_eq!((rivals.came().await, rivals.count("emails").await), (TRIES, 1));
    assert_eq!(timeline(&rivals.store, id).await.len(), 1);
    rivals.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_loses_every_time_is_busy_and_nothing_is_stored() {
    let Some(rivals) = Rivals::start(&[]).await else { return };
    rivals.let_lose("emails", 2 * TRIES).await;
    for round in 1..=2 {
        let (_, acceptance) = keyed(&rivals.store).await;
        let refused = rivals.store.accept(acceptance).await;
        assert!(matches!(refused, Err(StoreError::Busy)), "{refused:?}");
        assert_eq!(rivals.came().await, round * TRIES, "no more tries, and no fewer");
        for table in ["emails", "contents", "queue", "events", "idempotency"] {
            assert_eq!(rivals.count(table).await, 0, "{table}");
        }
    }
    // The key was not used up.
    let (id, acceptance) = keyed(&rivals.store).await;
    let accepted = rivals.store.accept(acceptance).await;
    assert!(matches!(accepted, Ok(AcceptResult::Accepted { .. })), "{accepted:?}");
    assert_eq!((rivals.count("emails").await, record(&rivals.store, id).await.email.id), (1, id));
    rivals.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outcomes_and_claims_that_lose_for_a_while_count_once() {
    let Some(rivals) = Rivals::start(&[]).await else { return };
    let id = accept(&rivals.store, vec![email()]).await[0];
    rivals.let_lose("events", TRIES - 1).await;
    let claims = claim(&rivals.store, 1, NOW, 10).await;
    assert_eq!((claims.len(), claims[0].attempt, claims[0].fence), (1, 1, 1));
    rivals.other.batch_execute("ALTER SEQUENCE losses RESTART").await.unwrap();
    let sent = settlement(&claims[0], posthaste_model::Status::Sent, None);
    assert_eq!(rivals.store.settle(vec![sent]).await, Ok(vec![posthaste_store::SettleResult::Recorded]));
    assert_eq!(record(&rivals.store, id).await.attempts, 1);
    assert_eq!(timeline(&rivals.store, id).await.len(), 3);
    rivals.end().await;
}
