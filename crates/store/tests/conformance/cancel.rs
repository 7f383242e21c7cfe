//! Cancelling: before a claim or not at all.

use crate::fixture::*;
use posthaste_model::event::EventKind;
use posthaste_model::{RecipientStatus, Status};
use posthaste_store::{CancelResult, Store};
use tokio::task::JoinSet;

crate::on_every_engine!(
    what_waits_can_be_cancelled,
    what_is_under_way_or_over_cannot,
    another_client_cannot,
    cancel_or_claim_exactly_one_wins,
);

async fn what_waits_can_be_cancelled(store: &Store) {
    let mut later = email();
    later.send_at = Some(at(60));
    for id in accept(store, vec![email(), later]).await {
        assert_eq!(store.cancel(acme().id, id, at(1)).await, Ok(CancelResult::Cancelled));
        let found = record(store, id).await;
        assert_eq!((found.status, found.next_attempt_at), (Status::Cancelled, None));
        assert_eq!(found.recipients[0].status, RecipientStatus::Cancelled);
        assert_eq!(timeline(store, id).await.last(), Some(&EventKind::Cancelled));
        let again = store.cancel(acme().id, id, at(2)).await;
        assert_eq!(again, Ok(CancelResult::NotCancellable(Status::Cancelled)));
    }
    assert!(claim(store, 1, at(100_000), 10).await.is_empty());
}

async fn what_is_under_way_or_over_cannot(store: &Store) {
    let claimed = accept_leased(store, vec![email()]).await.remove(0);
    let cancel = || store.cancel(acme().id, claimed.email.id, at(1));
    assert_eq!(cancel().await, Ok(CancelResult::NotCancellable(Status::Processing)));
    store.settle(vec![settlement(&claimed, Status::Sent, None)]).await.unwrap();
    assert_eq!(cancel().await, Ok(CancelResult::NotCancellable(Status::Sent)));
}

async fn another_client_cannot(store: &Store) {
    let id = accept(store, vec![email()]).await[0];
    assert_eq!(store.cancel(rival().id, id, at(1)).await, Ok(CancelResult::NotFound));
    assert_eq!(store.cancel(acme().id, email().id, at(1)).await, Ok(CancelResult::NotFound));
    assert_eq!(record(store, id).await.status, Status::Queued);
}

async fn cancel_or_claim_exactly_one_wins(store: &Store) {
    let mut wins = [0, 0];
    for round in 0..1000 {
        let id = accept(store, vec![email()]).await[0];
        let mut race = JoinSet::new();
        let (one, other) = (store.clone(), store.clone());
        let cancel = async move { one.cancel(acme().id, id, NOW).await.unwrap() == CancelResult::Cancelled };
        let claim = async move { !claim(&other, 1, NOW, 1).await.is_empty() };
        if round % 2 == 0 {
            race.spawn(cancel);
            race.spawn(claim);
        } else {
            race.spawn(claim);
            race.spawn(cancel);
        }
        let won: Vec<bool> = race.join_all().await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "exactly one wins");
        wins[usize::from(record(store, id).await.status == Status::Cancelled)] += 1;
    }
    assert!(wins[0] > 0 && wins[1] > 0, "a race in which only one ever wins is none: {wins:?}");
}
