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

/// The outcome for all, when `left_out` were not offered to the transport and `due` were, or were to be. Where nobody was
/// after all, those left out have come to their end all the same, and the others wait.
pub(super) fn with_left_out(outcome: Outcome, left_out: LeftOut, due: &[usize]) -> Outcome {
    if left_out.is_empty() {
        return outcome;
    }
    let (provider_message_id, mut recipients) = match outcome {
        Outcome::Tried { provider_message_id, recipients } => (provider_message_id, recipients),
        Outcome::NotTried { reason, after } => {
            let wait = |index: &usize| (*index, RecipientOutcome::Waits { reason: reason.clone(), after });
            (None, due.iter().map(wait).collect())
        }
        // Whoever holds the lease now looks at the list too.
        Outcome::LeaseLost => return Outcome::LeaseLost,
    };
    recipients.extend(left_out);
    recipients.sort_by_key(|(index, _)| *index);
    Outcome::Tried { provider_message_id, recipients }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(index: usize) -> LeftOut {
        let failure = Failure::new(FailureCode::Suppressed, "suppressed: bounce");
        vec![(index, RecipientOutcome::Refused(failure))]
    }

    #[test]
    fn those_left_out_end_whatever_became_of_the_others() {
        let after = Duration::from_secs(9);
        let outcome = Outcome::NotTried { reason: "a pause".into(), after };
        let Outcome::Tried { provider_message_id: None, recipients } =
            with_left_out(outcome, left_out(1), &[0, 2])
        else {
            panic!("nobody ended")
        };
        let waits = RecipientOutcome::Waits { reason: "a pause".into(), after };
        let expected = [(0, waits.clone()), left_out(1).remove(0), (2, waits)];
        assert_eq!(recipients, expected);

        let accepted = Outcome::Tried {
            provider_message_id: Some("id".into()),
            recipients: vec![(0, RecipientOutcome::Accepted("250".into()))],
        };
        let Outcome::Tried { provider_message_id, recipients } = with_left_out(accepted, left_out(1), &[0])
        else {
            panic!("not tried")
        };
        assert_eq!((provider_message_id.as_deref(), recipients.len()), (Some("id"), 2));
        assert_eq!(with_left_out(Outcome::LeaseLost, left_out(1), &[0]), Outcome::LeaseLost);
        let untouched = Outcome::NotTried { reason: "a pause".into(), after };
        assert_eq!(with_left_out(untouched.clone(), Vec::new(), &[0]), untouched);
    }
}
