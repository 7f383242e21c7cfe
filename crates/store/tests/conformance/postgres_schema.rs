//! The schema on PostgreSQL: migrations, and partitions by day.

use crate::fixture::*;
use posthaste_store::{Store, StoreError, StoreSettings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_take_turns() {
    let Some(database) = Database::create().await else { return };
    let nodes = (0..4).map(|_| {
        let settings = database.settings();
        async move { Store::open(settings).await }
    });
    for store in futures_util::future::join_all(nodes).await {
        store.unwrap().close().await;
    }
    let settings = StoreSettings { migrate: false, ..database.settings() };
    Store::open(settings).await.unwrap().close().await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_is_missing_newer_or_another_is_refused() {
    let Some(database) = Database::create().await else { return };
    let settings = StoreSettings { migrate: false, ..database.settings() };
    let missing = Store::open(settings).await.unwrap_err();
    assert!(
        matches!(&missing, StoreError::MigrationsMissing(names) if names[0] == "0001_initial"),
        "{missing}"
    );
    Store::open(database.settings()).await.unwrap().close().await;
    database.tell("UPDATE migrations SET checksum = 'x' WHERE number = 1").await;
    let other = Store::open(database.settings()).await.unwrap_err();
    assert!(matches!(other, StoreError::Corrupt(_)), "{other}");
    database.tell("INSERT INTO migrations VALUES (999, '0999_later', '', 0)").await;
    let newer = Store::open(database.settings()).await.unwrap_err();
    assert!(matches!(newer, StoreError::SchemaTooNew { found: 999, .. }), "{newer}");
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_of_a_day_without_partition_moves_when_its_day_is_made() {
    let Some(database) = Database::create().await else { return };
    let store = Store::open(database.settings()).await.unwrap();
    store.create_client(acme(), &actor()).await.unwrap();
    // The tests' time lies far ahead of the week that is made: the row lies in the default partition.
    let id = accept(&store, vec![email()]).await[0];
    store.close().await;
    // As if today's partitions had been missing while it was accepted.
    let today = "(SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'))";
    database
        .tell(&format!(
            "DO $$ BEGIN EXECUTE 'DROP TABLE events_d' || {today}; EXECUTE 'DROP TABLE finders_d' || {today}; END $$;
             INSERT INTO finders SELECT client_id, 7, (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint), 12, '0')
                || '00000000000000000000')::uuid FROM emails"
        ))
        .await;
    let store = Store::open(database.settings()).await.unwrap();
    let moved = database.count("SELECT count(*) FROM finders_default WHERE key = 7").await;
    assert_eq!(moved, 0, "they lie in the partition of their day now");
    assert_eq!(database.count("SELECT count(*) FROM finders WHERE key = 7").await, 1);
    assert!(store.email(acme().id, id).await.unwrap().is_some());
    store.close().await;
    database.remove().await;
}
