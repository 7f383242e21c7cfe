//! Workers: the dead lose their leases at once, the living keep them.

use crate::fixture::*;
use posthaste_model::event::EventKind;
use posthaste_model::{Status, Timestamp};
use posthaste_store::{SettleResult, Store, WorkerRecord};

crate::on_every_engine!(
    the_silent_lose_their_leases,
    a_start_takes_back_what_its_earlier_life_held,
    who_lives_is_listed,
    waiting_mail_has_a_size,
);

fn life(number: u8, node: &str) -> WorkerRecord {
    WorkerRecord {
        id: worker(number),
        node: node.into(),
        pid: 42,
        roles: "worker".into(),
        host: "host".into(),
        started_at: NOW,
    }
}

async fn beat(store: &Store, number: u8, node: &str, now: Timestamp) {
    store.heartbeat(life(number, node), now).await.unwrap();
}

async fn the_silent_lose_their_leases(store: &Store) {
    beat(store, 1, "a", NOW).await;
    let held = accept_leased(store, vec![email()]).await.remove(0);
    beat(store, 2, "b", at(20)).await;
    let early = store.sweep(at(10), at(-5)).await.unwrap();
    assert_eq!((early.released, early.due), (0, 0));
    let swept = store.sweep(at(20), at(5)).await.unwrap();
    assert_eq!((swept.released, swept.due), (1, 1));
    assert_eq!(store.sweep(at(21), at(6)).await.unwrap().released, 0, "taken once");
    let taken = claim(store, 2, at(21), 10).await.remove(0);
    let kinds = timeline(store, held.email.id).await;
    assert_eq!(kinds[2..], [EventKind::LeaseExpired, EventKind::Processing]);
    // Heard of again: alive, but fenced off.
    beat(store, 1, "a", at(22)).await;
    let late = store.settle(vec![settlement(&held, Status::Sent, None)]).await;
    assert_eq!(late, Ok(vec![SettleResult::Fenced]));
    assert_eq!(store.settle(vec![settlement(&taken, Status::Sent, None)]).await.unwrap().len(), 1);
    assert_eq!(store.sweep(at(30), at(15)).await.unwrap().released, 0);
}

async fn a_start_takes_back_what_its_earlier_life_held(store: &Store) {
    beat(store, 1, "a", NOW).await;
    accept_leased(store, vec![email(), email()]).await;
    beat(store, 3, "other", NOW).await;
    beat(store, 2, "a", at(1)).await;
    assert_eq!(store.take_back("other", worker(3), at(1)).await, Ok(0));
    assert_eq!(store.take_back("a", worker(2), at(1)).await, Ok(2));
    assert_eq!(claim(store, 2, at(1), 10).await.len(), 2);
    assert_eq!(store.take_back("a", worker(2), at(1)).await, Ok(0), "its own are not taken");
}

async fn who_lives_is_listed(store: &Store) {
    beat(store, 1, "a", NOW).await;
    beat(store, 2, "b", NOW).await;
    beat(store, 1, "a", at(5)).await;
    let listed = store.workers(at(6)).await.unwrap();
    assert_eq!(listed, [(life(1, "a"), at(5)), (life(2, "b"), NOW)]);
    store.remove_worker(worker(1)).await.unwrap();
    store.sweep(at(20), at(5)).await.unwrap();
    assert!(store.workers(at(20)).await.unwrap().is_empty(), "gone, and silent for too long");
    beat(store, 2, "b", at(21)).await;
    assert_eq!(store.workers(at(22)).await.unwrap().len(), 1);
}

async fn waiting_mail_has_a_size(store: &Store) {
    assert_eq!(store.queue_bytes().await.unwrap(), 0);
    accept(store, vec![email()]).await;
    let one = store.queue_bytes().await.unwrap();
    assert!(one > 0);
    accept(store, vec![email()]).await;
    let two = store.queue_bytes().await.unwrap();
    assert!(two > one, "{one} and {two}");
}
