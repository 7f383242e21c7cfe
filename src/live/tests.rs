use super::*;
use crate::cache::testing::test_cache;
use crate::testing::email;
use posthaste_model::client::Client;
use posthaste_model::{Status, Timestamp};
use posthaste_store::{AcceptResult, Acceptance, Actor, StoreSettings};
use std::time::Duration;
use tokio::time::timeout;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A store with one accepted email.
async fn store(home: &tempfile::TempDir) -> (Store, Change) {
    let store = Store::open(StoreSettings::new(home.path().join("store.db"))).await.unwrap();
    let email = email("a@example.com", &["b@example.com"]);
    let change = Change { client_id: email.client_id, email_id: email.id };
    let client = Client {
        id: email.client_id,
        name: "shop".into(),
        department: None,
        is_active: true,
        retention: posthaste_model::client::Retention::default(),
        created_at: START,
    };
    store.create_client(client, &Actor { kind: "system".into(), id: None, address: None }).await.unwrap();
    let acceptance = Acceptance {
        idempotency: None,
        lease: None,
        revision: store.revision().await.unwrap(),
        emails: vec![Arc::new(email)],
        now: START,
    };
    let accepted = store.accept(acceptance).await.unwrap();
    assert!(matches!(accepted, AcceptResult::Accepted { .. }), "{accepted:?}");
    (store, change)
}

fn alone(store: &Store) -> Live {
    Live::new(store.clone(), None, [0; news::NODE_LEN], Metrics::new())
}

async fn cancel(store: &Store, change: Change) {
    store.cancel(change.client_id, change.email_id, START).await.unwrap();
}

async fn status(live: &Live, change: Change) -> Status {
    live.status(change.client_id, change.email_id).await.unwrap().expect("an email").status
}

#[tokio::test]
async fn bells_ring_for_those_who_listen_and_are_taken_away() {
    let home = tempfile::tempdir().unwrap();
    let (store, change) = store(&home).await;
    let live = alone(&store);
    let (mut one, mut two) = (live.email(change.email_id), live.client(change.client_id));
    let mut other = live.client(ClientId::new(START, [9; 10]));
    live.announce([change]);
    one.rung().await;
    two.rung().await;
    assert!(timeout(Duration::from_millis(1), other.rung()).await.is_err());
    assert!(timeout(Duration::from_millis(1), one.rung()).await.is_err(), "heard once");
    let three = live.email(change.email_id);
    drop(one);
    assert_eq!(live.0.emails.len(), 1, "somebody still listens");
    drop(three);
    assert_eq!(live.0.emails.len(), 0);
    drop((two, other));
    assert_eq!(live.0.clients.len(), 0);
}

#[tokio::test]
async fn a_status_is_remembered_for_its_client_until_it_changes() {
    let home = tempfile::tempdir().unwrap();
    let (store, change) = store(&home).await;
    let live = alone(&store);
    assert_eq!(status(&live, change).await, Status::Queued);
    let stranger = ClientId::new(START, [9; 10]);
    assert_eq!(live.status(stranger, change.email_id).await.unwrap(), None, "remembered, and another's");
    cancel(&store, change).await;
    live.announce_at_once(change).await;
    assert_eq!(status(&live, change).await, Status::Cancelled);
    let unknown = EmailId::new(START, [3; 10]);
    assert_eq!(live.status(change.client_id, unknown).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_hears_and_forgets() {
    let Some(server) = test_cache() else { return };
    let home = tempfile::tempdir().unwrap();
    let (store, change) = store(&home).await;
    let tasks = Tasks::new();
    let node = async |number| {
        let cache = server.node(&tasks).await;
        let live = Live::new(store.clone(), Some(cache), [number; news::NODE_LEN], Metrics::new());
        live.start(&tasks);
        live
    };
    let (one, two) = (node(1).await, node(2).await);
    let mut bell = two.email(change.email_id);
    // A node that does not listen yet misses the news: tell it until it does.
    while timeout(Duration::from_millis(20), bell.rung()).await.is_err() {
        one.announce_new([change]);
    }
    assert_eq!(status(&one, change).await, Status::Queued);
    assert_eq!(status(&two, change).await, Status::Queued);
    let cache = server.node(&tasks).await;
    let keys = server.keys(&cache).await;
    let left = keys.iter().find(|(key, _)| key.contains(":status:")).map(|(_, left)| *left);
    assert!(left.is_none_or(|left| left <= 600), "{keys:?}");
    cancel(&store, change).await;
    one.announce_at_once(change).await;
    assert_eq!(status(&two, change).await, Status::Cancelled, "the other node has forgotten too");
    assert!(tasks.shutdown(Duration::from_secs(20)).await);
}
