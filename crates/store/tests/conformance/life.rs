//! Random lives: whatever callers do in whatever order, each email keeps to the rules.

use crate::fixture::*;
use posthaste_model::attempt::Claim;
use posthaste_model::event::EventKind;
use posthaste_model::{EmailId, RecipientStatus, Status};
use posthaste_store::{CancelResult, EmailFilter, SettleResult, StatsBy, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::HashMap;

/// Something a caller does; the numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Accept { leased: bool, later: bool },
    Claim { worker: u8, limit: usize },
    Settle { which: usize, status: Status, retry_in: i64 },
    Cancel { which: usize },
    HandBack { which: usize },
    Renew { which: usize },
    Sweep { silent_for: i64 },
    Wait { seconds: i64 },
    Retention,
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![Just(Status::Sent), Just(Status::Queued), Just(Status::Failed)];
    prop_oneof![
        3 => (any::<bool>(), any::<bool>()).prop_map(|(leased, later)| Step::Accept { leased, later }),
        3 => (1_u8..4, 1_usize..4).prop_map(|(worker, limit)| Step::Claim { worker, limit }),
        4 => (any::<usize>(), status, 1_i64..100)
            .prop_map(|(which, status, retry_in)| Step::Settle { which, status, retry_in }),
        1 => any::<usize>().prop_map(|which| Step::Cancel { which }),
        1 => any::<usize>().prop_map(|which| Step::HandBack { which }),
        1 => any::<usize>().prop_map(|which| Step::Renew { which }),
        1 => (0_i64..100).prop_map(|silent_for| Step::Sweep { silent_for }),
        2 => (1_i64..70).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Retention),
    ]
}

/// What a caller knows.
struct World {
    store: Store,
    now: i64,
    ids: Vec<EmailId>,
    /// Every claim ever handed out, with its worker; old ones stay, as with a worker that wakes too late.
    claims: Vec<(u8, Claim)>,
    newest_fence: HashMap<EmailId, u32>,
    sent: HashMap<EmailId, u32>,
}

impl World {
    fn holds(&mut self, worker: u8, claims: Vec<Claim>) {
        for claim in claims {
            let last = self.newest_fence.insert(claim.email.id, claim.fence).unwrap_or(0);
            assert!(claim.fence > last, "each claim has a higher fence");
            assert!(claim.due_recipients().next().is_some(), "somebody is to be tried");
            self.claims.push((worker, claim));
        }
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Accept { leased, later } => {
                let mut email = email();
                email.requested_at = at(self.now);
                email.id = EmailId::new(email.requested_at, chance());
                email.send_at = later.then(|| at(self.now + 30));
                self.ids.push(email.id);
                if leased {
                    let claims = accept_leased(&self.store, vec![email]).await;
                    self.holds(1, claims);
                } else {
                    accept(&self.store, vec![email]).await;
                }
            }
            Step::Claim { worker, limit } => {
                let claims = claim(&self.store, worker, at(self.now), limit).await;
                assert!(claims.len() <= limit);
                self.holds(worker, claims);
            }
            Step::Settle { which, status, retry_in } => self.settle(which, status, retry_in).await,
            Step::Cancel { which } => self.cancel(which).await,
            Step::HandBack { which } => {
                if let Some((worker_, claim)) = pick(&self.claims, which) {
                    let held = vec![(claim.email.id, claim.fence)];
                    self.store.hand_back(worker(*worker_), held, at(self.now)).await.unwrap();
                }
            }
            Step::Renew { which } => {
                if let Some((worker_, claim)) = pick(&self.claims, which) {
                    let held = vec![(claim.email.id, claim.fence)];
                    let until = at(self.now + 60);
                    self.store.renew_leases(worker(*worker_), held, until).await.unwrap();
                }
            }
            Step::Sweep { silent_for } => {
                self.store.sweep(at(self.now), at(self.now - silent_for)).await.unwrap();
            }
            Step::Wait { seconds } => self.now += seconds,
            Step::Retention => {
                let past = at(-86_400);
                let removed = self.store.drop_old(past, past, at(self.now), 5).await.unwrap();
                assert!(removed.is_nothing());
            }
        }
    }

    async fn settle(&mut self, which: usize, status: Status, retry_in: i64) {
        let Some((_, claim)) = pick(&self.claims, which) else { return };
        let id = claim.email.id;
        let is_newest = self.newest_fence.get(&id) == Some(&claim.fence);
        let retry = (status == Status::Queued).then(|| at(self.now + retry_in));
        let mut settlement = settlement(claim, status, retry);
        settlement.at = at(self.now);
        let result = self.store.settle(vec![settlement]).await.unwrap();
        if result == [SettleResult::Recorded] {
            assert!(is_newest, "only the newest claim speaks");
            if status == Status::Sent {
                *self.sent.entry(id).or_default() += 1;
            }
        }
    }

    async fn cancel(&mut self, which: usize) {
        let Some(id) = pick(&self.ids, which) else { return };
        let before = record(&self.store, *id).await.status;
        let result = self.store.cancel(acme().id, *id, at(self.now)).await.unwrap();
        assert_eq!(result == CancelResult::Cancelled, before.is_cancellable());
    }

    /// What must hold between any two steps.
    async fn check(&self) {
        let mut by_status: HashMap<String, u64> = HashMap::new();
        for id in &self.ids {
            let found = record(&self.store, *id).await;
            *by_status.entry(found.status.to_string()).or_default() += 1;
            let kinds = timeline(&self.store, *id).await;
            let over = matches!(found.status, Status::Sent | Status::Failed | Status::Cancelled);
            assert!(!over || found.next_attempt_at.is_none(), "over and due: {found:?}");
            let waits = matches!(found.status, Status::Scheduled | Status::Queued);
            assert_eq!(waits, found.next_attempt_at.is_some(), "{found:?}");
            let queued = found.recipients[0].status == RecipientStatus::Queued;
            assert_eq!(queued, !over, "the recipient fares as its email: {found:?}");
            assert!(found.attempts <= *self.newest_fence.get(id).unwrap_or(&0));
            let sent = kinds.iter().filter(|kind| **kind == EventKind::Sent).count() as u32;
            assert_eq!(sent, *self.sent.get(id).unwrap_or(&0), "one event for each record");
            assert!(sent <= 1, "sent once at most");
            assert_eq!(kinds.contains(&EventKind::Cancelled), found.status == Status::Cancelled);
        }
        let far = at(1_000_000);
        let counted = self.store.stats(acme().id, at(-86_400), far, StatsBy::Status).await.unwrap();
        assert_eq!(counted.into_iter().collect::<HashMap<_, _>>(), by_status, "counts kept are right");
        let listed = self.store.list(acme().id, &EmailFilter::default(), None, 1000).await.unwrap();
        let mut listed: Vec<EmailId> = listed.rows.into_iter().map(|row| row.id).collect();
        listed.reverse();
        assert_eq!(listed, self.ids);
    }
}

fn pick<T>(all: &[T], which: usize) -> Option<&T> {
    if all.is_empty() { None } else { all.get(which % all.len()) }
}

async fn live(steps: Vec<Step>) {
    let home = sqlite().await;
    let mut world = World {
        store: home.store.clone(),
        now: 0,
        ids: Vec::new(),
        claims: Vec::new(),
        newest_fence: HashMap::new(),
        sent: HashMap::new(),
    };
    for step in steps {
        world.take(step).await;
        world.check().await;
    }
    home.end().await;
}

#[test]
fn no_order_of_operations_breaks_an_email() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = Config { cases: 40, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let steps = proptest::collection::vec(step(), 1..40);
    TestRunner::new(config)
        .run(&steps, |steps| {
            runtime.block_on(live(steps));
            Ok(())
        })
        .unwrap();
}
