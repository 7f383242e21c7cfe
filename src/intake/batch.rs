//! Many drafts in one request: each judged on its own, all accepted ones in one commit.

use super::commit::Committed;
use super::{Intake, Judged, Submission, unavailable};
use crate::auth::Caller;
use posthaste_model::credential::Permission;
use posthaste_model::draft::{Draft, Field};
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_store::StoreError;

/// A judged batch.
#[derive(Debug)]
pub enum BatchAccepted {
    /// One result per draft, in order; those that are `Ok` are stored.
    Judged(Vec<Judged>),
    /// An atomic batch with faults: nothing was stored. The refusals by place.
    Refused(Vec<(usize, Refusal)>),
    /// The answer that the same request got the first time.
    Replayed(Vec<u8>),
}

/// How a door takes batches.
#[derive(Clone, Copy, Debug)]
pub struct BatchRule {
    /// All or none are stored.
    pub atomic: bool,
    /// Emails at most.
    pub most: usize,
}

impl Intake {
    /// Accepts a batch.
    pub async fn accept_batch(
        &self,
        caller: &Caller,
        drafts: Vec<Draft>,
        rule: BatchRule,
        submission: Submission<'_>,
    ) -> Result<BatchAccepted, Refusal> {
        caller.must(Permission::EmailsSend)?;
        batch_size(drafts.len(), rule.most)?;
        if let Some(answer) = self.replayed(caller, submission.idempotency.as_ref()).await? {
            return Ok(BatchAccepted::Replayed(answer));
        }
        let mut caller = caller.clone();
        for _ in 0..super::STALE_ROUNDS {
            let now = self.clock.now();
            let mut prepared = Vec::with_capacity(drafts.len());
            let mut refused = Vec::new();
            for (index, draft) in drafts.iter().enumerate() {
                match self.prepare(&caller, draft, &submission, now).await {
                    Ok(item) => prepared.push(item),
                    Err(unavailable @ Refusal::Unavailable { .. }) => return Err(unavailable),
                    Err(refusal) => refused.push((index, refusal)),
                }
            }
            if !refused.is_empty() && self.has_changed(&caller).await? {
                caller = self.refreshed(&caller).await?;
                continue;
            }
            if rule.atomic && !refused.is_empty() {
                return Ok(BatchAccepted::Refused(refused));
            }
            if prepared.is_empty() {
                // Answers of validation faults are not kept: there is nothing to commit.
                return Ok(BatchAccepted::Judged(refused.into_iter().map(|(_, r)| Err(r)).collect()));
            }
            match self.commit(&caller, prepared, &submission, now, refused).await? {
                Committed::Stored(judged) => return Ok(BatchAccepted::Judged(judged)),
                Committed::Replayed(answer) => return Ok(BatchAccepted::Replayed(answer)),
                Committed::Stale => caller = self.refreshed(&caller).await?,
            }
        }
        Err(unavailable(&StoreError::Busy))
    }

    async fn has_changed(&self, caller: &Caller) -> Result<bool, Refusal> {
        let present = self.store.revision().await.map_err(|error| unavailable(&error))?;
        Ok(present != caller.view.revision())
    }
}

fn batch_size(count: usize, most: usize) -> Result<(), Refusal> {
    let emails = || Field::Other("emails".to_owned());
    if count == 0 {
        let fault = Fault::new(emails(), FaultCode::Required, "a batch has at least one email");
        return Err(Refusal::Invalid(vec![fault]));
    }
    if count > most {
        let message = format!("a batch has at most {most} emails; there are {count}");
        return Err(Refusal::Invalid(vec![Fault::new(emails(), FaultCode::OutOfRange, message)]));
    }
    Ok(())
}
