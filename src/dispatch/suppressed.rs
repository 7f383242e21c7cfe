//! Recipients that came onto their client's suppression list after the email was accepted: they are left out of the
//! attempt and end, the others go.

use super::worker::Worker;
use posthaste_model::FailureCode;
use posthaste_model::attempt::Claim;
use posthaste_model::email::Recipient;
use posthaste_model::outcome::{Failure, Outcome, RecipientOutcome};
use posthaste_model::suppression::{Suppression, address_key};
use posthaste_store::StoreError;
use std::time::Duration;

/// What was accepted this recently was looked up in that moment.
const FRESH: Duration = Duration::from_secs(2);

/// Who is left out of an attempt.
pub(super) type LeftOut = Vec<(usize, RecipientOutcome)>;

impl Worker {
    /// Takes those out of `due` that must not be written to any more.
    pub(super) async fn leave_out(&self, claim: &Claim, due: &mut Vec<usize>) -> Result<LeftOut, StoreError> {
        let (email, now) = (&claim.email, self.clock.now());
        if claim.attempt == 1 && now.since(email.requested_at) < FRESH {
            return Ok(Vec::new());
        }
        let key = |recipient: &Recipient| address_key(recipient.mailbox.address.canonical());
        let keys = due.iter().filter_map(|index| email.recipients.get(*index)).map(key).collect();
        let standing = self.store.suppressed(email.client_id, keys, now).await?;
        let mut left_out = Vec::new();
        due.retain(|index| {
            let of = |entry: &&Suppression| {
                entry.holds_for(&email.tags)
                    && email.recipients.get(*index).is_some_and(|to| key(to) == entry.address_key)
            };
            let Some(entry) = standing.iter().find(of) else { return true };
            let failure = Failure::new(FailureCode::Suppressed, entry.in_words());
            left_out.push((*index, RecipientOutcome::Refused(failure)));
            false
        });
        Ok(left_out)
    }
}

/// The outcome for all, when `left_out` were not tried.
pub(super) fn with_left_out(outcome: Outcome, left_out: LeftOut) -> Outcome {
    match outcome {
        Outcome::Tried { provider_message_id, mut recipients } => {
            recipients.extend(left_out);
            recipients.sort_by_key(|(index, _)| *index);
            Outcome::Tried { provider_message_id, recipients }
        }
        other => other,
    }
}
