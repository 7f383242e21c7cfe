//! What a caller may ask, and the only code that creates an email.
//!
//! `accept` reads as the order of all checks. Nothing is stored before all of them passed; nothing is answered before
//! the store's commit is durable.

mod addresses;
mod attachments;
mod batch;
mod change;
mod commit;
mod dry_run;
mod fields;
mod ids;
mod limits;
mod message;
mod raw;
mod release;
mod sender;
mod spans;
mod suppression;
mod unsubscribe;

pub use batch::{BatchAccepted, BatchRule};
pub use dry_run::DryRun;
pub use limits::{IntakeLimits, LinkRule, UnsubscribeRule};
pub use raw::RawDraft;
pub use release::ReleaseDraft;

use crate::auth::{Auth, AuthError, Caller};
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::correlation::CorrelationId;
use crate::base::tasks::Tasks;
use crate::base::trace::Traces;
use crate::blobs::Blobs;
use crate::live::Live;
use crate::queue::Queue;
use crate::render::Renderer;
use crate::routing::Routes;
use commit::Committed;
use ids::Ids;
use posthaste_model::credential::Permission;
use posthaste_model::decision::Decision;
use posthaste_model::draft::Draft;
use posthaste_model::email::Email;
use posthaste_model::fault::{FaultPoint, Faults};
use posthaste_model::refusal::Refusal;
use posthaste_model::{EmailId, Status, Timestamp};
use posthaste_store::{ReplayFound, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// How often an acceptance looks again when the configuration changed under it.
const STALE_ROUNDS: usize = 4;

/// What one draft came to: an email with its first status, or a refusal.
pub type Judged = Result<(Arc<Email>, Status), Refusal>;

/// Makes the surface's answer from what was judged, so that it can be kept with the idempotency key in the email's own
/// transaction. Opaque to intake and store.
pub type AnswerOf<'a> = &'a (dyn Fn(&[Judged]) -> Vec<u8> + Send + Sync);

/// How a request came in.
pub struct Submission<'a> {
    /// The id that joins its log lines.
    pub correlation: CorrelationId,
    /// Its idempotency key, if it has one.
    pub idempotency: Option<IdempotencyRequest>,
    /// How the request stood against its limit, as a sentence, for explain.
    pub limits: Option<String>,
    /// The surface's answer, for replays.
    pub answer: AnswerOf<'a>,
}

/// An idempotency key with what it stands for.
#[derive(Clone, Debug)]
pub struct IdempotencyRequest {
    /// The endpoint: keys of different endpoints do not meet.
    pub endpoint: &'static str,
    /// The key.
    pub key: String,
    /// SHA-256 of the request in canonical form.
    pub fingerprint: [u8; 32],
}

/// An accepted request.
#[derive(Debug)]
pub enum Accepted {
    /// A new email.
    New(Arc<Email>, Status),
    /// The answer that the same request got the first time.
    Replayed(Vec<u8>),
}

/// The parts that intake works with.
#[derive(Clone)]
pub struct IntakeParts {
    /// Where email is kept.
    pub store: Store,
    /// Where files are kept.
    pub blobs: Blobs,
    /// Templates and MIME.
    pub renderer: Renderer,
    /// Tells workers.
    pub queue: Queue,
    /// Tells who waits.
    pub live: Live,
    /// Finds callers again when the configuration changed.
    pub auth: Auth,
    /// Picks the way out, for dry runs.
    pub routes: Routes,
    /// The time.
    pub clock: Clock,
    /// Random numbers for ids.
    pub chance: Chance,
    /// Limits on size and number.
    pub limits: IntakeLimits,
    /// How long an idempotency key is kept.
    pub idempotency_keep: Duration,
    /// Sees a commit through when the caller has gone.
    pub tasks: Tasks,
    /// Crash points.
    pub faults: Faults,
    /// Where spans go.
    pub traces: Traces,
}

/// The way in.
#[derive(Clone)]
pub struct Intake(Arc<Shared>);

struct Shared {
    parts: IntakeParts,
    ids: Ids,
}

impl std::ops::Deref for Intake {
    type Target = IntakeParts;

    fn deref(&self) -> &IntakeParts {
        &self.0.parts
    }
}

/// A draft that passed every check, not yet stored.
struct Prepared {
    email: Email,
    files: Vec<bytes::Bytes>,
}

/// What is to become one email.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Draft(&'a Draft),
    Raw(&'a RawDraft),
    /// Another one like this, with its files.
    Copy(&'a Email, &'a [bytes::Bytes]),
    /// A message of the inbox.
    Release(&'a ReleaseDraft),
}

impl Intake {
    /// An intake over its parts.
    pub fn new(parts: IntakeParts) -> Self {
        Self(Arc::new(Shared { parts, ids: Ids::default() }))
    }

    /// The id of a new email.
    fn new_id(&self, now: Timestamp) -> EmailId {
        self.0.ids.next(&self.chance, now)
    }

    /// Accepts one email: permission, replay, every check on the draft at once, files, then one durable commit that
    /// holds the email, its idempotency key and, where a local worker has room, its lease.
    pub async fn accept(
        &self,
        caller: &Caller,
        draft: Draft,
        submission: Submission<'_>,
    ) -> Result<Accepted, Refusal> {
        caller.must(Permission::EmailsSend)?;
        if let Some(answer) = self.replayed(caller, submission.idempotency.as_ref()).await? {
            return Ok(Accepted::Replayed(answer));
        }
        self.store_wanted(caller, Wanted::Draft(&draft), &submission).await
    }

    /// Stores the one email that comes of `wanted` by the caller's present configuration. What passed, or was refused,
    /// by a configuration that has changed meanwhile does not count: it is judged again.
    async fn store_wanted(
        &self,
        caller: &Caller,
        wanted: Wanted<'_>,
        submission: &Submission<'_>,
    ) -> Result<Accepted, Refusal> {
        let mut caller = caller.clone();
        for _ in 0..STALE_ROUNDS {
            let now = self.clock.now();
            let judged = match wanted {
                Wanted::Draft(draft) => self.prepare(&caller, draft, submission, now).await,
                Wanted::Raw(draft) => self.prepare_raw(&caller, draft, submission, now).await,
                Wanted::Release(draft) => self.prepare_release(&caller, draft, submission, now).await,
                Wanted::Copy(email, files) => self.prepare_copy(&caller, email, files, submission, now).await,
            };
            let prepared = match judged {
                Ok(prepared) => prepared,
                Err(refusal) => {
                    // What was refused by remembered configuration may be right by the present one.
                    caller = self.refreshed_or(caller, refusal).await?;
                    continue;
                }
            };
            self.faults.crash_at(FaultPoint::Validated);
            match self.commit(&caller, vec![prepared], submission, now, Vec::new()).await? {
                Committed::Stored(mut judged) => {
                    let Some(Ok((email, status))) = judged.pop() else { continue };
                    return Ok(Accepted::New(email, status));
                }
                Committed::Replayed(answer) => return Ok(Accepted::Replayed(answer)),
                Committed::Stale => caller = self.refreshed(&caller).await?,
            }
        }
        Err(unavailable(&StoreError::Busy))
    }

    /// The first answer to the same request, looked up before the checks: a replay must not depend on them.
    async fn replayed(
        &self,
        caller: &Caller,
        idempotency: Option<&IdempotencyRequest>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let Some(request) = idempotency else { return Ok(None) };
        let found = self
            .store
            .replay(caller.client.id, request.endpoint, &request.key, request.fingerprint, self.clock.now())
            .await
            .map_err(|error| unavailable(&error))?;
        match found {
            None => Ok(None),
            Some(ReplayFound::Answer(answer)) => Ok(Some(answer)),
            Some(ReplayFound::Reused) => Err(Refusal::IdempotencyKeyReused),
        }
    }

    /// The caller by the present configuration; the refusal itself when nothing changed meanwhile.
    async fn refreshed_or(&self, caller: Caller, refusal: Refusal) -> Result<Caller, Refusal> {
        let present = self.store.revision().await.map_err(|error| unavailable(&error))?;
        if present == caller.view.revision() { Err(refusal) } else { self.refreshed(&caller).await }
    }

    async fn refreshed(&self, caller: &Caller) -> Result<Caller, Refusal> {
        let fresh = self.auth.refresh(caller).await.map_err(|error| match error {
            AuthError::Invalid => Refusal::CredentialGone,
            AuthError::Store(error) => unavailable(&error),
        })?;
        fresh.must(Permission::EmailsSend)?;
        Ok(fresh)
    }

    /// The way an email would take now, and why, for dry runs and explain.
    pub fn explain_route(&self, email: &Email, client_name: &str) -> Decision {
        let route = self.routes.choose(email, Some(client_name));
        Decision::new("route", route.transports.join(", then "), route.reason.to_string())
    }
}

/// A store's trouble as the caller sees it.
fn unavailable(error: &StoreError) -> Refusal {
    tracing::warn!(error = %error, "the store refused an operation");
    let may_be_stored = matches!(error, StoreError::Uncertain(_));
    Refusal::Unavailable { retry_after: Duration::from_secs(1), may_be_stored }
}

/// The decisions that every acceptance begins with: who sends, as whom, and how its limits stood.
fn first_decisions(caller: &Caller, sender: Decision, submission: &Submission<'_>) -> Vec<Decision> {
    let credential = Decision::new("credential", caller.credential.prefix.clone(), caller.reason());
    let limits = submission.limits.clone().map(|stand| Decision::new("limits", "passed", stand));
    [credential, sender].into_iter().chain(limits).collect()
}

#[cfg(test)]
mod tests;
