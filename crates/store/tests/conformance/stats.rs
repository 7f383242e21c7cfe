//! Statistics and counts of the queue agree with what is there.

use crate::fixture::*;
use posthaste_model::Status;
use posthaste_store::{HourCount, QueueCounts, StatsBy, Store};

crate::on_every_engine!(
    counts_by_each_key,
    follows_every_change,
    counts_all_clients_by_hour,
    counts_what_waits,
    tells_how_many_connections_are_open,
);

async fn stats(store: &Store, from: i64, to: i64, by: StatsBy) -> Vec<(String, u64)> {
    store.stats(acme().id, at(from), at(to), by).await.unwrap()
}

fn sums(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
    pairs.iter().map(|(key, sum)| ((*key).to_owned(), *sum)).collect()
}

async fn counts_by_each_key(store: &Store) {
    // NOW is 08:20; hours -2 to +2 around it.
    for (seconds, domain, tags) in [
        (-4000, "a.example", vec!["x"]),
        (0, "a.example", vec!["x", "y"]),
        (100, "b.example", vec![]),
        (4000, "b.example", vec!["y"]),
        (86_400, "b.example", vec!["y"]),
    ] {
        let mut email = email_of(at(seconds));
        email.domain = domain.into();
        email.tags = tags.into_iter().map(Into::into).collect();
        accept(store, vec![email]).await;
    }
    assert_eq!(stats(store, -5000, 90_000, StatsBy::Status).await, sums(&[("queued", 5)]));
    let domains = [("a.example", 2), ("b.example", 3)];
    assert_eq!(stats(store, -5000, 90_000, StatsBy::Domain).await, sums(&domains));
    assert_eq!(stats(store, -5000, 90_000, StatsBy::Tag).await, sums(&[("x", 2), ("y", 3)]));
    let days = [("2027-01-15", 4), ("2027-01-16", 1)];
    assert_eq!(stats(store, -5000, 90_000, StatsBy::Day).await, sums(&days));
    let hours = [("2027-01-15T07:00:00Z", 1), ("2027-01-15T08:00:00Z", 2), ("2027-01-15T09:00:00Z", 1)];
    assert_eq!(stats(store, -5000, 5000, StatsBy::Hour).await, sums(&hours));
    // Begun hours at both ends.
    assert_eq!(stats(store, 0, 100, StatsBy::Status).await, sums(&[("queued", 1)]));
    assert_eq!(stats(store, -3999, 4000, StatsBy::Tag).await, sums(&[("x", 1), ("y", 1)]));
    assert_eq!(stats(store, 1, 4001, StatsBy::Domain).await, sums(&[("b.example", 2)]));
    assert!(stats(store, 100, 100, StatsBy::Hour).await.is_empty());
}

async fn follows_every_change(store: &Store) {
    let claims = accept_leased(store, vec![email(), email(), email()]).await;
    let ids = accept(store, vec![email(), email()]).await;
    store
        .settle(vec![
            settlement(&claims[0], Status::Sent, None),
            settlement(&claims[1], Status::Queued, Some(at(9))),
        ])
        .await
        .unwrap();
    store.cancel(acme().id, ids[0], at(1)).await.unwrap();
    let whole_hours = stats(store, -86_400, 86_400, StatsBy::Status).await;
    let expected = [("cancelled", 1), ("processing", 1), ("queued", 2), ("sent", 1)];
    assert_eq!(whole_hours, sums(&expected));
    assert_eq!(stats(store, -1, 1, StatsBy::Status).await, sums(&expected), "kept counts and counted ones");
}

async fn tells_how_many_connections_are_open(store: &Store) {
    store.ping().await.unwrap();
    assert!(store.load().connections >= 1, "{:?}", store.load());
}

async fn counts_all_clients_by_hour(store: &Store) {
    let claims = accept_leased(store, vec![email(), email()]).await;
    store.settle(vec![settlement(&claims[0], Status::Sent, None)]).await.unwrap();
    let mut other = email_of(at(4000));
    other.client_id = rival().id;
    let mut elsewhere = email_of(at(4001));
    (elsewhere.client_id, elsewhere.domain) = (rival().id, "b.example".into());
    accept(store, vec![other]).await;
    accept(store, vec![elsewhere]).await;
    let count =
        |client_id, seconds: i64, status, amount| HourCount { client_id, hour: at(seconds), status, amount };
    // NOW is 08:20: its hour began 1200 seconds before.
    let first = [count(acme().id, -1200, Status::Processing, 1), count(acme().id, -1200, Status::Sent, 1)];
    let second = count(rival().id, 2400, Status::Queued, 2);
    let found = async |from: i64, to: i64| {
        let mut found = store.hour_counts(at(from), at(to)).await.unwrap();
        found.sort_by_key(|one| (one.hour, one.status.as_str()));
        found
    };
    assert_eq!(found(-1200, 6000).await, [first[0], first[1], second]);
    // Hours that have only begun count whole.
    assert_eq!(found(0, 1).await, first);
    assert_eq!(found(5999, 6000).await, [second]);
    assert!(found(6000, 90_000).await.is_empty());
}

async fn counts_what_waits(store: &Store) {
    assert_eq!(store.queue_counts(NOW).await, Ok(QueueCounts::default()));
    accept(store, vec![email(), email()]).await;
    accept_leased(store, vec![email()]).await;
    let mut later = email();
    later.send_at = Some(at(50));
    accept(store, vec![later]).await;
    let counts = QueueCounts { pending: 2, processing: 1, scheduled: 1, due: 2, oldest_due_seconds: 7 };
    assert_eq!(store.queue_counts(at(7)).await, Ok(counts));
    let report = store.sweep(at(55), at(-60)).await.unwrap();
    assert_eq!((report.due, report.oldest_due_at, report.released), (3, Some(NOW), 0));
}
