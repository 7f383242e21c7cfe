//! Whom the client must not write to. Such a recipient is accepted and ends at once; the others still go.

use super::{Intake, unavailable};
use crate::auth::Caller;
use posthaste_model::Timestamp;
use posthaste_model::decision::Decision;
use posthaste_model::email::{Email, Recipient};
use posthaste_model::refusal::Refusal;
use posthaste_model::suppression::{Suppression, address_key};

impl Intake {
    /// Marks the email's recipients that stand on the client's list, and writes the decision down.
    pub(super) async fn suppress(
        &self,
        caller: &Caller,
        email: &mut Email,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        for recipient in &mut email.recipients {
            // A copy of an email is judged anew.
            recipient.suppressed = None;
        }
        let client = caller.client.id;
        let standing = if caller.view.has_suppressions(client).await.map_err(|error| unavailable(&error))? {
            let key = |recipient: &Recipient| address_key(recipient.mailbox.address.canonical());
            let keys = email.recipients.iter().map(key).collect();
            self.store.suppressed(client, keys, now).await.map_err(|error| unavailable(&error))?
        } else {
            Vec::new()
        };
        let decision = mark(email, &standing);
        // It stands before the decisions on the content, where it was taken.
        let place = email.decisions.iter().position(|decision| decision.step == "template");
        email.decisions.insert(place.unwrap_or(email.decisions.len()), decision);
        Ok(())
    }
}

fn mark(email: &mut Email, standing: &[Suppression]) -> Decision {
    let mut found = Vec::new();
    for recipient in &mut email.recipients {
        let address = &recipient.mailbox.address;
        let key = address_key(address.canonical());
        let held = standing.iter().find(|entry| entry.address_key == key && entry.holds_for(&email.tags));
        recipient.suppressed = held.map(Suppression::in_words);
        found.extend(held.map(|entry| format!("{} ({})", address.as_str(), entry.reason)));
    }
    if found.is_empty() {
        return Decision::new("suppression", "passed", "no recipient is on the suppression list");
    }
    let outcome = format!("{} of {} recipients", found.len(), email.recipients.len());
    let reason = format!("on the suppression list, not attempted: {}", found.join(", "));
    Decision::new("suppression", outcome, reason)
}
