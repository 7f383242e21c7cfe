//! Writes down what came of attempts: all that finished while the last commit was under way goes into the next one.

use super::held::HeldClaim;
use super::worker::Worker;
use posthaste_model::attempt::Settlement;
use posthaste_model::event::EventKind;
use posthaste_model::fault::FaultPoint;
use posthaste_model::outcome::{Outcome, RecipientOutcome};
use posthaste_model::{EmailId, Status};
use posthaste_store::{SettleResult, StoreError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Outcomes in one commit at most.
const BATCH_MAX: usize = 256;
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
        let mut word = Self::Failed;
        for (_, outcome) in recipients {
            match outcome {
                RecipientOutcome::Accepted(_) => return Self::Sent,
                RecipientOutcome::Uncertain(_) => word = Self::Uncertain,
                RecipientOutcome::Later(_) if word == Self::Failed => word = Self::Deferred,
                RecipientOutcome::Later(_) | RecipientOutcome::Refused(_) => {}
            }
        }
        word
    }

    /// The metric's label.
    const fn as_str(self) -> &'static str {
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
    let mut stopping = false;
    loop {
        let received = tokio::select! {
            biased;
            count = finished.recv_many(&mut batch, BATCH_MAX) => count,
            () = stop.cancelled(), if !stopping => {
                // What is in the channel still comes out; then there is nothing.
                finished.close();
                stopping = true;
                continue;
            }
        };
        if received == 0 {
            return;
        }
        worker.write(&mut batch).await;
    }
}

impl Worker {
    async fn write(&self, batch: &mut Vec<Finished>) {
        let mut not_begun = Vec::new();
        let mut attempts = Vec::with_capacity(batch.len());
        let mut settlements = Vec::with_capacity(batch.len());
        for finished in batch.drain(..) {
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
        let results = self.persistently(|| self.store.settle(Arc::clone(&settlements))).await;
        let results = log_lost(results, "outcomes could not be recorded").unwrap_or_default();
        for ((attempt, settlement), result) in attempts.iter().zip(settlements.iter()).zip(results) {
            self.report(attempt, settlement, result);
        }
    }

    /// Calls the store until it does it, or cannot at all. A commit that may have happened is offered again: the fence
    /// makes the second one harmless.
    async fn persistently<T, F>(&self, call: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut wait = RETRY_FIRST;
        loop {
            match call().await {
                Err(error) if error.is_transient() => {
                    // Leases of what finished may run out meanwhile: nothing is claimed before it is recorded.
                    self.is_behind.store(true, Ordering::Release);
                    tracing::warn!(%error, waited_ms = wait.as_millis() as u64, "outcomes wait for the store");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY_MAX);
                }
                done => {
                    self.is_behind.store(false, Ordering::Release);
                    return done;
                }
            }
        }
    }

    /// Says what is now durable.
    fn report(&self, attempt: &Attempted, settlement: &Settlement, result: SettleResult) {
        let Attempted { held, transport, tried, took } = attempt;
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

fn log_lost<T>(result: Result<T, StoreError>, message: &'static str) -> Option<T> {
    result
        .inspect_err(|error| tracing::error!(%error, "{message}; they are tried again when their leases end"))
        .ok()
}

/// The attempt's one line.
fn log(attempted: &Attempted, settlement: &Settlement) {
    let Attempted { held, transport, tried, took } = attempted;
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
