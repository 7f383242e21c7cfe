//! Writes down what came of attempts. What finishes while a batch is being written goes together into the next one; a
//! further batch beside it is offered only when it is large, or when the one ahead takes long.

use super::held::HeldClaim;
use super::worker::Worker;
use crate::live::Change;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use posthaste_model::attempt::Settlement;
use posthaste_model::event::EventKind;
use posthaste_model::fault::FaultPoint;
use posthaste_model::outcome::{Outcome, RecipientOutcome};
use posthaste_model::{EmailId, Status};
use posthaste_store::{SettleResult, StoreError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Outcomes offered at once at most.
const BATCH_MAX: usize = 256;
/// Batches offered side by side at most.
const BATCHES: usize = 8;
/// A batch of so many does not wait for the one ahead.
const BATCH_FULL: usize = 64;
/// How long a batch waits for the one ahead at most.
const GATHERED_FOR: Duration = Duration::from_millis(20);
/// The first wait before a batch is offered again; doubles up to `RETRY_MAX`.
const RETRY_FIRST: Duration = Duration::from_millis(50);
/// The longest wait before a batch is offered again.
const RETRY_MAX: Duration = Duration::from_secs(2);

/// A claim that this process is done with. The claim is held, and its lease renewed, until the store knows.
#[derive(Debug)]
pub(super) enum Finished {
    /// An attempt, or the decision not to make one now.
    Settled { attempt: Attempted, settlement: Settlement },
    /// Its attempt never began: it is due again at once.
    NotBegun(HeldClaim),
}

/// An attempt that is over.
#[derive(Debug)]
pub(super) struct Attempted {
    pub held: HeldClaim,
    pub transport: Arc<str>,
    pub tried: Tried,
    pub took: Duration,
    /// Keeps the place among the emails on their way until the outcome is durable.
    pub _permit: Option<OwnedSemaphorePermit>,
}

/// How an attempt ended, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tried {
    Sent,
    Deferred,
    Uncertain,
    Failed,
    No,
}

impl Tried {
    pub fn of(outcome: &Outcome) -> Self {
        let Outcome::Tried { recipients, .. } = outcome else { return Self::No };
        let waits = |outcome: &RecipientOutcome| matches!(outcome, RecipientOutcome::Waits { .. });
        if recipients.iter().any(|(_, one)| waits(one)) && !recipients.iter().any(|(_, one)| one.is_tried()) {
            return Self::No;
        }
        let mut word = Self::Failed;
        for (_, outcome) in recipients {
            match outcome {
                RecipientOutcome::Accepted(_) => return Self::Sent,
                RecipientOutcome::Uncertain(_) => word = Self::Uncertain,
                RecipientOutcome::Later(_) | RecipientOutcome::Waits { .. } if word == Self::Failed => {
                    word = Self::Deferred;
                }
                RecipientOutcome::Later(_)
                | RecipientOutcome::Refused(_)
                | RecipientOutcome::Waits { .. } => {}
            }
        }
        word
    }

    /// The word in metrics and traces.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Deferred => "deferred",
            Self::Uncertain => "uncertain",
            Self::Failed => "failed",
            Self::No => "postponed",
        }
    }
}

/// Records until `stop` is cancelled and everything that finished is written.
pub(super) async fn record(
    worker: Arc<Worker>,
    mut finished: mpsc::UnboundedReceiver<Finished>,
    stop: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    let mut writing = FuturesUnordered::new();
    let (mut stopping, mut over) = (false, false);
    let mut offered_at = Instant::now();
    loop {
        let is_due = batch.len() >= BATCH_FULL || Instant::now() >= offered_at;
        if !batch.is_empty() && (writing.is_empty() || is_due && writing.len() < BATCHES) {
            writing.push(worker.write(std::mem::replace(&mut batch, Vec::with_capacity(BATCH_MAX))));
        }
        let is_waiting = !batch.is_empty() && writing.len() < BATCHES;
        tokio::select! {
            biased;
            Some(()) = writing.next() => {}
            received = finished.recv_many(&mut batch, BATCH_MAX), if !over && batch.len() < BATCH_MAX => {
                over = received == 0;
                if received == batch.len() {
                    offered_at = Instant::now() + GATHERED_FOR;
                }
            }
            () = sleep_until(offered_at), if is_waiting => {}
            () = stop.cancelled(), if !stopping => {
                // What is in the channel still comes out; then there is nothing.
                finished.close();
                stopping = true;
            }
            else => return,
        }
    }
}

impl Worker {
    async fn write(&self, batch: Vec<Finished>) {
        let mut not_begun = Vec::new();
        let mut attempts = Vec::with_capacity(batch.len());
        let mut settlements = Vec::with_capacity(batch.len());
        for finished in batch {
            match finished {
                Finished::NotBegun(held) => not_begun.push(held),
                Finished::Settled { settlement, attempt } => {
                    settlements.push(settlement);
                    attempts.push(attempt);
                }
            }
        }
        if !not_begun.is_empty() {
            let keys: Vec<(EmailId, u32)> = not_begun.iter().map(HeldClaim::key).collect();
            let handed_back =
                self.persistently(|| self.store.hand_back(self.id, keys.clone(), self.clock.now())).await;
            log_lost(handed_back, "email could not be handed back");
        }
        if settlements.is_empty() {
            return;
        }
        let settlements: Arc<[Settlement]> = settlements.into();
        let results = self.persistently(|| self.settle_once(Arc::clone(&settlements))).await;
        let results = log_lost(results, "outcomes could not be recorded").unwrap_or_default();
        self.live.announce(recorded(&attempts, &results));
        for ((attempt, settlement), result) in attempts.iter().zip(settlements.iter()).zip(results) {
            self.report(attempt, settlement, result);
        }
    }

    async fn settle_once(&self, settlements: Arc<[Settlement]>) -> Result<Vec<SettleResult>, StoreError> {
        if self.faults.is_early(FaultPoint::OutcomesRefused) {
            return Err(StoreError::Busy);
        }
        self.store.settle(settlements).await
    }

    /// Calls the store until it does it, or cannot at all. A commit that may have happened is offered again: the fence
    /// makes the second one harmless.
    async fn persistently<T, F>(&self, call: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut wait = RETRY_FIRST;
        let mut behind = None;
        loop {
            match call().await {
                Err(error) if error.is_transient() => {
                    // Leases of what finished may run out meanwhile: nothing is claimed before it is recorded.
                    behind.get_or_insert_with(|| Behind::of(self));
                    tracing::warn!(%error, waited_ms = wait.as_millis() as u64, "outcomes wait for the store");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY_MAX);
                }
                done => return done,
            }
        }
    }

    /// Says what is now durable.
    fn report(&self, attempt: &Attempted, settlement: &Settlement, result: SettleResult) {
        let Attempted { held, transport, tried, took, .. } = attempt;
        let email = &held.claim.email;
        if result == SettleResult::Fenced {
            tracing::warn!(email.id = %email.id, attempt = held.claim.attempt, "another claim is newer, outcome dropped");
            return;
        }
        self.faults.crash_at(FaultPoint::FinishCommitted);
        self.metrics.attempt(transport, tried.as_str(), took.as_secs_f64());
        if *tried == Tried::Sent && held.claim.sent_at.is_none() {
            let since = email.send_at.map_or(email.requested_at, |at| at.max(email.requested_at));
            self.metrics.delivered_after(settlement.at.since(since).as_secs_f64());
        }
        if *tried != Tried::No && settlement.next_attempt_at.is_some() {
            self.metrics.retried();
        }
        if let Some(next) = settlement.next_attempt_at {
            self.note_due(next);
        }
        log(attempt, settlement);
    }
}

/// A batch of outcomes that waits for the store.
struct Behind<'a>(&'a Worker);

impl<'a> Behind<'a> {
    fn of(worker: &'a Worker) -> Self {
        worker.behind.fetch_add(1, Ordering::AcqRel);
        Self(worker)
    }
}

impl Drop for Behind<'_> {
    fn drop(&mut self) {
        self.0.behind.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The emails whose outcomes are now durable.
fn recorded(attempts: &[Attempted], results: &[SettleResult]) -> impl Iterator<Item = Change> {
    attempts.iter().zip(results).filter(|(_, result)| **result == SettleResult::Recorded).map(
        |(attempt, _)| {
            let email = &attempt.held.claim.email;
            Change { client_id: email.client_id, email_id: email.id }
        },
    )
}

fn log_lost<T>(result: Result<T, StoreError>, message: &'static str) -> Option<T> {
    result
        .inspect_err(|error| tracing::error!(%error, "{message}; they are tried again when their leases end"))
        .ok()
}

/// The attempt's one line.
fn log(attempted: &Attempted, settlement: &Settlement) {
    let Attempted { held, transport, tried, took, .. } = attempted;
    let transport = &**transport;
    let email = &held.claim.email;
    let attempt = held.claim.attempt;
    let duration_ms = took.as_millis() as u64;
    let correlation_id = email.correlation_id.as_str();
    macro_rules! line {
        ($level:ident, $message:literal $(, $name:ident = $value:expr)*) => {
            tracing::$level!(
                email.id = %email.id, client.id = %email.client_id, transport, attempt, duration_ms, correlation_id,
                $($name = $value,)* $message
            )
        };
    }
    let failure = settlement.failure.as_ref().map_or("", |(code, _)| code.as_str());
    match tried {
        Tried::Sent => line!(info, "email sent"),
        Tried::No => line!(debug, "email postponed"),
        _ if settlement.status == Status::Failed => line!(warn, "email failed", failure = failure),
        Tried::Failed if settlement.next_attempt_at.is_none() => {
            line!(warn, "email failed", failure = failure);
        }
        Tried::Deferred | Tried::Failed => line!(info, "email deferred"),
        Tried::Uncertain if settlement.events.iter().any(|event| event.kind == EventKind::Held) => {
            line!(warn, "email held, it may have been delivered");
        }
        Tried::Uncertain => line!(warn, "email deferred, it may have been delivered"),
    }
}
