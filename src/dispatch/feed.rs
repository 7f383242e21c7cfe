//! Where mail comes from: handed over in memory by the accepting part of the process, or claimed from the store when a
//! bell or a timer says so. Never more than there is room for.

use super::worker::Worker;
use posthaste_model::EmailId;
use posthaste_model::attempt::Claim;
use posthaste_store::{CLAIM_BYTES, StoreError};
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Claims in one commit at most.
const BATCH_MAX: usize = 256;
/// While no way out takes mail, so many are looked at, in the time of `TRICKLE_EVERY`: mail for the inbox still gets
/// through among them, and a long outage does not wear out the store by putting off what cannot go.
const TRICKLE: usize = 64;
/// The pause between two trickles.
const TRICKLE_EVERY: Duration = Duration::from_millis(100);
/// What rings are ahead of the due index, when both have mail.
const HEAD_START: Duration = Duration::from_millis(20);
/// How long rings wait for room before they are answered without being looked at.
const PATIENCE: Duration = Duration::from_secs(1);
/// The pause after the store could not be asked.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes over what was handed over, until the hopper closes.
pub(super) async fn take_over(worker: Arc<Worker>) -> Result<(), Infallible> {
    loop {
        tokio::select! {
            biased;
            () = worker.stopping.cancelled() => return Ok(()),
            () = worker.holdings.wait_for_room() => {}
        }
        let stuck = worker.lanes.are_stuck(Instant::now());
        // What stays in the hopper fills it, and then accepted mail simply stays in the store.
        let max = if stuck { TRICKLE } else { worker.holdings.share().min(BATCH_MAX) };
        let batch = tokio::select! {
            biased;
            () = worker.stopping.cancelled() => return Ok(()),
            batch = worker.hopper.next_batch(max) => batch,
        };
        if batch.is_empty() {
            return Ok(());
        }
        worker.take_over(batch).await;
        if stuck {
            tokio::select! {
                () = worker.stopping.cancelled() => return Ok(()),
                () = tokio::time::sleep(TRICKLE_EVERY) => {}
            }
        }
    }
}

/// Claims what is due, until the drain begins.
pub(super) async fn claim(worker: Arc<Worker>) -> Result<(), Infallible> {
    loop {
        tokio::select! {
            biased;
            () = worker.stopping.cancelled() => return Ok(()),
            () = worker.holdings.wait_for_room() => {}
        }
        if worker.behind.load(Ordering::Acquire) > 0 || !worker.trusts_the_clock().await {
            tokio::select! {
                () = worker.stopping.cancelled() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => continue,
            }
        }
        let now = worker.clock.now();
        // Asked before looking, so that what falls due meanwhile is not overlooked.
        let next = worker.due_times.next_after(now);
        let stuck = worker.lanes.are_stuck(Instant::now());
        let claiming = worker.claiming.lock().await;
        let limit = if stuck { TRICKLE } else { worker.holdings.share().min(BATCH_MAX) };
        let claimed = worker.claim_due(limit).await;
        drop(claiming);
        let wait = match claimed {
            Ok(true) if worker.hopper.hears() && !stuck => worker.next_glance(limit),
            // There may be more.
            Ok(true) if !stuck => continue,
            Ok(true) => TRICKLE_EVERY,
            Ok(false) => {
                let look = worker.next_look();
                next.map_or(look, |at| at.since(now).clamp(Duration::from_millis(1), look))
            }
            Err(error) => {
                tracing::warn!(%error, "due email could not be claimed");
                PAUSE
            }
        };
        tokio::select! {
            biased;
            () = worker.stopping.cancelled() => return Ok(()),
            () = worker.hopper.rung(), if !stuck => {}
            () = worker.look_again.notified(), if !stuck => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Answers rings that name emails, until the drain begins. A ring is answered whether its email could be claimed or not:
/// what is in other hands is not ours, and what there is no room for is found by the due index later.
pub(super) async fn answer_rings(worker: Arc<Worker>) -> Result<(), Infallible> {
    loop {
        let rings = tokio::select! {
            biased;
            () = worker.stopping.cancelled() => return Ok(()),
            rings = worker.hopper.rings() => rings,
        };
        let mut emails = rings.emails.as_slice();
        while !emails.is_empty() {
            tokio::select! {
                biased;
                // Unanswered: somebody else hears them.
                () = worker.stopping.cancelled() => return Ok(()),
                () = worker.holdings.wait_for_room() => {}
                () = tokio::time::sleep(PATIENCE) => break,
            }
            if !worker.may_claim().await {
                break;
            }
            match worker.claim_rung(emails).await {
                Ok(looked_at) => emails = &emails[looked_at..],
                Err(error) => {
                    tracing::warn!(%error, "email that was rung for could not be claimed");
                    break;
                }
            }
        }
        if !emails.is_empty() {
            worker.look_again.notify_one();
        }
        rings.answered().await;
    }
}

/// Whether the claims are all that one answer of the store may hold, so that more may be due.
fn reach_the_bytes(claims: &[Claim]) -> bool {
    claims.iter().map(|claim| claim.email.body_bytes()).sum::<usize>() >= CLAIM_BYTES
}

impl Worker {
    /// Whether claiming makes sense now.
    async fn may_claim(&self) -> bool {
        self.behind.load(Ordering::Acquire) == 0
            && !self.lanes.are_stuck(Instant::now())
            && self.trusts_the_clock().await
    }

    /// The pause before the due index is looked at again. It varies, so that many workers do not look at one moment.
    fn next_look(&self) -> Duration {
        self.settings.look_every.mul_f64(0.75 + 0.25 * self.chance.f64())
    }

    /// The pause after the index gave all of `limit`, where rings come too. While they come as fast, the index is there for
    /// what they do not name: with every worker working off the same rows ahead of them, each ring would come too late.
    fn next_glance(&self, limit: usize) -> Duration {
        let rings_keep_up = self.rung_for.swap(0, Ordering::Relaxed) >= limit;
        if rings_keep_up { self.settings.look_every / 4 } else { HEAD_START.min(self.settings.look_every) }
    }

    /// Claims and admits those of `emails` that are due, as many as there is room for; how many were looked at.
    async fn claim_rung(&self, emails: &[EmailId]) -> Result<usize, StoreError> {
        let _claiming = self.claiming.lock().await;
        let emails = &emails[..emails.len().min(self.holdings.share())];
        let begun = Instant::now();
        let now = self.clock.now();
        let until = now.plus(self.settings.lease);
        let claims = self.store.claim_these(self.id, emails, now, until).await?;
        self.metrics.rings_heard(emails.len(), claims.len());
        if reach_the_bytes(&claims) {
            // Those behind were not looked at.
            self.look_again.notify_one();
        }
        self.rung_for.fetch_add(emails.len(), Ordering::Relaxed);
        for claim in claims {
            let held = self.holdings.take(claim, begun, self.settings.lease);
            self.admit(held).await;
        }
        Ok(emails.len())
    }

    /// Claims and admits up to `limit` due emails; whether there may be more.
    async fn claim_due(&self, limit: usize) -> Result<bool, StoreError> {
        let begun = Instant::now();
        let now = self.clock.now();
        let until = now.plus(self.settings.lease);
        let claims = self.store.claim_due(self.id, now, until, limit).await?;
        let may_be_more = claims.len() >= limit || reach_the_bytes(&claims);
        for claim in claims {
            let held = self.holdings.take(claim, begun, self.settings.lease);
            self.admit(held).await;
        }
        Ok(may_be_more)
    }

    /// Admits claims that the accepting transaction leased to us. Those that lay in the hopper for long, or while nobody
    /// heard of us, are renewed first; those that meanwhile went to another are dropped.
    async fn take_over(&self, batch: Vec<Claim>) {
        let begun = Instant::now();
        let now = self.clock.now();
        let lease = self.settings.lease;
        let has_returned = self.pulse.has_returned_within(lease, begun);
        let stale = |claim: &Claim| has_returned || claim.lease_until.since(now) < lease / 2;
        let old: Vec<_> = batch.iter().filter(|c| stale(c)).map(|c| (c.email.id, c.fence)).collect();
        let mut lost = HashSet::new();
        let mut renewed = false;
        if !old.is_empty() {
            match self.store.renew_leases(self.id, old, now.plus(lease)).await {
                Ok(ids) => {
                    lost.extend(ids);
                    renewed = true;
                }
                // They go on with what is left of their leases.
                Err(error) => tracing::warn!(%error, "leases of handed-over email could not be renewed"),
            }
        }
        for claim in batch {
            if lost.contains(&claim.email.id) {
                continue;
            }
            let length = if renewed && stale(&claim) {
                lease
            } else if has_returned {
                // Whether it is still ours nobody knows: it is given back without an attempt.
                Duration::ZERO
            } else {
                claim.lease_until.since(now).min(lease)
            };
            let held = self.holdings.take(claim, begun, length);
            self.admit(held).await;
        }
    }
}
