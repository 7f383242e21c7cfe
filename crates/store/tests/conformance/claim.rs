//! Claiming: each due email to one worker at a time, by priority, and again when a lease ran out.

use crate::fixture::*;
use posthaste_model::email::{Content, Parts, Priority};
use posthaste_model::event::EventKind;
use posthaste_model::{EmailId, Status};
use posthaste_store::{CLAIM_BYTES, Store};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

/// Who claims at once, how many emails wait for them, and how often.
const CLAIMERS: usize = 4;
const AT_ONCE: usize = 200;
const ROUNDS: usize = 5;

crate::on_every_engine!(
    a_lease_that_ran_out_is_claimed_again,
    scheduled_mail_is_due_at_its_time,
    a_renewed_lease_is_kept_and_a_lost_one_is_told,
    handing_back_does_not_count_the_attempt,
    higher_priorities_first_and_none_starves,
    four_claimers_get_each_email_once,
    a_bell_that_names_emails_claims_only_those_that_are_due,
    large_emails_are_claimed_a_few_at_a_time,
);

async fn large_emails_are_claimed_a_few_at_a_time(store: &Store) {
    let large = |_| {
        let mut email = email();
        let text = Some("x".repeat(CLAIM_BYTES / 3));
        email.content = Content::Parts(Parts { text, ..Parts::default() });
        email
    };
    let ids = accept(store, (0..5).map(large).collect()).await;
    assert_eq!(claim(store, 1, at(1), 10).await.len(), 3, "the one that reaches the bytes is the last");
    assert_eq!(store.claim_these(worker(1), &ids, at(1), at(60)).await.unwrap().len(), 2, "those left");
    for id in ids {
        store.cancel(acme().id, id, at(1)).await.unwrap();
        assert_eq!(record(store, id).await.attempts, 1, "what was not claimed was not counted");
    }
}

async fn a_lease_that_ran_out_is_claimed_again(store: &Store) {
    let first = accept_leased(store, vec![email()]).await.remove(0);
    assert!(claim(store, 2, at(59), 10).await.is_empty());
    let second = claim(store, 2, at(60), 10).await.remove(0);
    assert_eq!((second.fence, second.attempt, second.lease_until), (2, 2, at(120)));
    assert_eq!(second.status, Status::Processing);
    let id = first.email.id;
    let kinds = [EventKind::Queued, EventKind::Processing, EventKind::LeaseExpired, EventKind::Processing];
    assert_eq!(timeline(store, id).await, kinds);
}

async fn scheduled_mail_is_due_at_its_time(store: &Store) {
    let mut later = email();
    later.send_at = Some(at(100));
    accept(store, vec![later]).await;
    assert!(claim(store, 1, at(99), 10).await.is_empty());
    let claimed = claim(store, 1, at(100), 10).await;
    assert_eq!(claimed[0].status, Status::Scheduled);
    assert_eq!(record(store, claimed[0].email.id).await.status, Status::Processing);
}

async fn a_renewed_lease_is_kept_and_a_lost_one_is_told(store: &Store) {
    let claims = accept_leased(store, vec![email(), email()]).await;
    let held: Vec<(EmailId, u32)> = claims.iter().map(|c| (c.email.id, c.fence)).collect();
    assert_eq!(store.renew_leases(worker(1), held[..1].to_vec(), at(120)).await, Ok(vec![]));
    let taken = claim(store, 2, at(61), 10).await;
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].email.id, held[1].0);
    assert_eq!(store.renew_leases(worker(1), held.clone(), at(180)).await, Ok(vec![held[1].0]));
    assert_eq!(store.renew_leases(worker(3), held.clone(), at(180)).await.unwrap().len(), 2);
}

async fn handing_back_does_not_count_the_attempt(store: &Store) {
    let first = accept_leased(store, vec![email()]).await.remove(0);
    let id = first.email.id;
    store.hand_back(worker(2), vec![(id, 1)], at(1)).await.unwrap();
    assert_eq!(record(store, id).await.status, Status::Processing, "not the holder");
    store.hand_back(worker(1), vec![(id, 1)], at(1)).await.unwrap();
    let found = record(store, id).await;
    assert_eq!((found.status, found.attempts, found.next_attempt_at), (Status::Queued, 0, Some(at(1))));
    let again = claim(store, 2, at(1), 10).await.remove(0);
    assert_eq!((again.attempt, again.fence), (1, 2), "the attempt is the first, the claim a new one");
    let late = store.settle(vec![settlement(&first, Status::Sent, None)]).await.unwrap();
    assert_eq!(late, [posthaste_store::SettleResult::Fenced]);
}

async fn higher_priorities_first_and_none_starves(store: &Store) {
    let with = |priority: i64| {
        let mut email = email();
        email.priority = Priority::new(priority).unwrap();
        email
    };
    let emails = (0..300).map(|n| with([5, 1, 3][n % 3])).collect();
    accept(store, emails).await;
    let claims = claim(store, 1, NOW, 64).await;
    let mut counts = HashMap::new();
    for claim in &claims {
        *counts.entry(claim.email.priority.get()).or_insert(0) += 1;
    }
    assert_eq!((counts[&1], counts[&3], counts[&5]), (56, 4, 4));
    // One at a time, the lowest still gets its turn while the highest has mail.
    let mut lowest = 0;
    for _ in 0..16 {
        lowest += claim(store, 1, NOW, 1).await.iter().filter(|c| c.email.priority.get() == 5).count();
    }
    assert!((1..8).contains(&lowest), "{lowest}");
}

async fn four_claimers_get_each_email_once(store: &Store) {
    for _ in 0..ROUNDS {
        let ids = accept(store, (0..AT_ONCE).map(|_| email()).collect()).await;
        let got = by_four_claimers(|number| {
            let store = store.clone();
            async move {
                let mut got = Vec::new();
                loop {
                    let claims = claim(&store, number, NOW, 7).await;
                    if claims.is_empty() {
                        return got;
                    }
                    let sent: Vec<_> = claims.iter().map(|c| settlement(c, Status::Sent, None)).collect();
                    assert!(store.settle(sent).await.is_ok());
                    got.extend(claims.into_iter().map(|c| c.email.id));
                }
            }
        })
        .await;
        assert_eq!(once_each(got, &ids), Ok(()));
    }
}

/// The account above notices claimers that look first and take afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_is_not_atomic_is_caught() {
    let Some(database) = Database::create().await else { return };
    let store = Store::open(database.settings()).await.unwrap();
    store.create_client(acme(), &actor()).await.unwrap();
    for _ in 0..ROUNDS {
        let ids = accept(&store, (0..AT_ONCE).map(|_| email()).collect()).await;
        // All look before the first one takes: what luck does elsewhere, at a moment that is certain.
        let all_looked = Arc::new(Barrier::new(CLAIMERS));
        let got = by_four_claimers(|number| {
            let (url, all_looked) = (database.url.clone(), Arc::clone(&all_looked));
            async move { look_and_take(&url, number, &all_looked).await }
        })
        .await;
        let found = once_each(got, &ids).expect_err("a claim that is not atomic passes for one that is");
        assert!(found.contains(" of them by 4"), "{found}");
    }
    store.close().await;
    database.remove().await;
}

/// What a claimer must not do: reads what is due, and writes afterwards, without a lock, that it has it.
async fn look_and_take(url: &str, number: u8, all_looked: &Barrier) -> Vec<EmailId> {
    let (db, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let mut running = JoinSet::new();
    running.spawn(connection);
    let (now, until) = (NOW.millis(), at(60).millis());
    let owner = uuid::Uuid::from_bytes(*worker(number).as_bytes());
    let mut got = Vec::new();
    loop {
        let look =
            "SELECT email_id FROM queue WHERE due_at <= $1 ORDER BY priority, due_at, email_id LIMIT 7";
        let rows = db.query(look, &[&now]).await.unwrap();
        if got.is_empty() {
            all_looked.wait().await;
        }
        if rows.is_empty() {
            return got;
        }
        let ids: Vec<uuid::Uuid> = rows.iter().map(|row| row.get(0)).collect();
        let take =
            "UPDATE queue SET due_at = $1, lease_owner = $2, fence = fence + 1 WHERE email_id = ANY($3)";
        db.execute(take, &[&until, &owner, &ids]).await.unwrap();
        got.extend(ids.into_iter().map(|id| EmailId::from_bytes(id.into_bytes())));
    }
}

/// What four claimers at work at once got.
async fn by_four_claimers<F>(claimer: impl Fn(u8) -> F) -> Vec<EmailId>
where
    F: Future<Output = Vec<EmailId>> + Send + 'static,
{
    let mut claimers = JoinSet::new();
    for number in 1..=CLAIMERS {
        claimers.spawn(claimer(number as u8));
    }
    claimers.join_all().await.into_iter().flatten().collect()
}

/// Whether each of `ids` was got, and by one claimer only; otherwise what was found.
fn once_each(got: Vec<EmailId>, ids: &[EmailId]) -> Result<(), String> {
    let mut times: BTreeMap<EmailId, usize> = ids.iter().map(|id| (*id, 0)).collect();
    for id in got {
        *times.entry(id).or_default() += 1;
    }
    let mut wrong: BTreeMap<usize, usize> = BTreeMap::new();
    for (_, times) in times.into_iter().filter(|(_, times)| *times != 1) {
        *wrong.entry(times).or_default() += 1;
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let told: Vec<String> =
        wrong.iter().map(|(times, emails)| format!("{emails} of them by {times}")).collect();
    Err(told.join(", "))
}

async fn a_bell_that_names_emails_claims_only_those_that_are_due(store: &Store) {
    let held = accept_leased(store, vec![email()]).await.remove(0).email.id;
    let mut later = email();
    later.send_at = Some(at(100));
    let (due, other, later) = (email(), email(), later);
    let named = [due.id, later.id, held, EmailId::new(NOW, chance()), due.id];
    let other_id = other.id;
    accept(store, vec![due.clone(), other, later.clone()]).await;
    let claims = store.claim_these(worker(2), &named, at(1), at(61)).await.unwrap();
    assert_eq!(claims.iter().map(|c| c.email.id).collect::<Vec<_>>(), [due.id], "once, and nothing else");
    assert_eq!((claims[0].attempt, claims[0].fence, claims[0].lease_until), (1, 1, at(61)));
    assert!(store.claim_these(worker(3), &named, at(1), at(61)).await.unwrap().is_empty(), "rung twice");
    assert_eq!(claim(store, 3, at(1), 10).await[0].email.id, other_id, "what was not named waits still");
    let late = store.claim_these(worker(3), &named, at(100), at(160)).await.unwrap();
    let mut found: Vec<EmailId> = late.iter().map(|c| c.email.id).collect();
    found.sort_unstable();
    let mut expected = vec![held, due.id, later.id];
    expected.sort_unstable();
    assert_eq!(found, expected, "leases that ran out and mail whose time came");
    assert!(store.claim_these(worker(3), &[], NOW, at(60)).await.unwrap().is_empty());
}
