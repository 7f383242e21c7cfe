//! The one commit that makes emails out of what was judged: their files, then their rows, the idempotency key and the lease
//! of a local worker, together; and who is told of it.

use super::{Intake, Judged, Prepared, Submission, spans, unavailable};
use crate::auth::Caller;
use crate::live::Change;
use crate::queue::{Reservation, Ring};
use posthaste_model::email::Email;
use posthaste_model::fault::FaultPoint;
use posthaste_model::refusal::Refusal;
use posthaste_model::{Status, Timestamp};
use posthaste_store::{AcceptResult, Acceptance, IdempotencyClaim, Lease, StoreError, initial_status};
use std::sync::Arc;
use std::time::Duration;

/// How a commit ended.
pub(super) enum Committed {
    /// Stored, with what each draft came to.
    Stored(Vec<Judged>),
    /// The same request was answered before: its answer.
    Replayed(Vec<u8>),
    /// The configuration has changed since it was judged; nothing is stored.
    Stale,
}

impl Intake {
    /// Puts files and rows down for good. `judged` holds the refusals of a batch in their places as `Err`; the
    /// accepted emails are put into the places left.
    pub(super) async fn commit(
        &self,
        caller: &Caller,
        prepared: Vec<Prepared>,
        submission: &Submission<'_>,
        now: Timestamp,
        refused: Vec<(usize, Refusal)>,
    ) -> Result<Committed, Refusal> {
        let mut emails = Vec::with_capacity(prepared.len());
        for item in prepared {
            for file in item.files {
                self.blobs.put(file).await.map_err(|_| no_room())?;
            }
            emails.push(Arc::new(item.email));
        }
        let span = self.begin_span(&emails, submission);
        let reservation = self.room_for(&emails, now);
        let judged = in_order(&emails, refused, now);
        let acceptance = Acceptance {
            idempotency: submission.idempotency.as_ref().map(|request| IdempotencyClaim {
                client_id: caller.client.id,
                endpoint: request.endpoint,
                key: request.key.clone(),
                fingerprint: request.fingerprint,
                answer: (submission.answer)(&judged),
                keep_until: now.plus(self.idempotency_keep),
            }),
            lease: reservation.as_ref().map(|r| Lease { worker: r.worker(), until: r.lease_until(now) }),
            revision: caller.view.revision(),
            emails,
            now,
        };
        // In a task of its own: a caller that hangs up must not leave a stored email without its worker.
        let intake = self.clone();
        let stored = self
            .tasks
            .spawn("intake.commit", async move { intake.store_and_hand_over(acceptance, reservation).await });
        let stored = stored.await;
        spans::end(span, &stored);
        // A task that did not come back may have stored it.
        let stored = stored.map_err(|_| may_be_stored())?.map_err(|error| unavailable(&error))?;
        match stored {
            AcceptResult::Accepted { .. } => {
                log_accepted(&judged);
                Ok(Committed::Stored(judged))
            }
            AcceptResult::Replayed(answer) => Ok(Committed::Replayed(answer)),
            AcceptResult::KeyReused => Err(Refusal::IdempotencyKeyReused),
            AcceptResult::StaleRevision => Ok(Committed::Stale),
        }
    }

    async fn store_and_hand_over(
        &self,
        acceptance: Acceptance,
        reservation: Option<Reservation>,
    ) -> Result<AcceptResult, StoreError> {
        let now = acceptance.now;
        let due = acceptance.emails.iter().filter(|email| initial_status(email, now) == Status::Queued);
        let rings: Vec<Ring> = due.map(|email| Ring::from(&**email)).collect();
        let changes: Vec<Change> = acceptance.emails.iter().map(|email| change_of(email)).collect();
        let mut result = self.store.accept(acceptance).await?;
        if let AcceptResult::Accepted { claims } = &mut result {
            match reservation {
                Some(reservation) if !claims.is_empty() => reservation.hand_over(std::mem::take(claims)),
                _ if rings.is_empty() => {}
                _ => self.queue.ring(&rings),
            }
            self.live.announce_new(changes);
            self.faults.crash_at(FaultPoint::Rung);
        }
        Ok(result)
    }

    /// Room in a local worker for those that are due at once.
    fn room_for(&self, emails: &[Arc<Email>], now: Timestamp) -> Option<Reservation> {
        let due = || emails.iter().filter(|email| initial_status(email, now) == Status::Queued);
        let count = due().count();
        if count == 0 { None } else { self.queue.reserve(count, due().map(|email| email.body_bytes()).sum()) }
    }
}

fn change_of(email: &Email) -> Change {
    Change { client_id: email.client_id, email_id: email.id }
}

/// One line for each accepted email.
fn log_accepted(judged: &[Judged]) {
    for (email, status) in judged.iter().flatten() {
        tracing::info!(
            email.id = %email.id,
            client.id = %email.client_id,
            source = email.source.as_str(),
            status = status.as_str(),
            correlation_id = email.correlation_id,
            "email accepted"
        );
    }
}

/// Accepted emails and refusals in the order of the request.
fn in_order(emails: &[Arc<Email>], refused: Vec<(usize, Refusal)>, now: Timestamp) -> Vec<Judged> {
    let mut accepted = emails.iter().map(|email| Ok((Arc::clone(email), initial_status(email, now))));
    let mut judged: Vec<Judged> = Vec::with_capacity(emails.len() + refused.len());
    for (index, refusal) in refused {
        judged.extend(accepted.by_ref().take(index.saturating_sub(judged.len())));
        judged.push(Err(refusal));
    }
    judged.extend(accepted);
    judged
}

/// There is no room for a file, for now.
pub(super) fn no_room() -> Refusal {
    Refusal::Unavailable { retry_after: Duration::from_secs(5), may_be_stored: false }
}

/// The commit was lost sight of.
fn may_be_stored() -> Refusal {
    Refusal::Unavailable { retry_after: Duration::from_secs(1), may_be_stored: true }
}
