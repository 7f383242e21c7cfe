//! Letting a message that the inbox keeps leave the machine: a new email with the very bytes that were kept, for its own
//! envelope or another, by a transport that a person chose. It goes the way of all mail from there on: attempts, timeline,
//! suppressions, webhooks.

use super::sender::Sender;
use super::{Accepted, Intake, Prepared, Submission, Wanted, first_decisions, raw, sender, unavailable};
use crate::auth::Caller;
use bytes::Bytes;
use posthaste_mail::raw::RawMessage;
use posthaste_model::credential::{KeyMode, Permission};
use posthaste_model::decision::Decision;
use posthaste_model::draft::Field;
use posthaste_model::email::{BlobHash, Content, Email, Recipient, Source};
use posthaste_model::inbox::InboxMessage;
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_model::{Address, Mailbox, Timestamp};

/// A message of the inbox that is to leave the machine.
#[derive(Clone, Debug)]
pub struct ReleaseDraft {
    /// The message as it is kept, of the caller's client.
    pub kept: InboxMessage,
    /// Its bytes.
    pub source: Bytes,
    /// Whom it goes to; empty: the recipients of its envelope.
    pub recipients: Vec<Address>,
    /// The transport that it goes by. Whether there is one of that name is for the caller to judge.
    pub transport: String,
}

impl Intake {
    /// Releases a message of the inbox: permission, replay, sender, recipients, then one durable commit.
    pub async fn release(
        &self,
        caller: &Caller,
        draft: &ReleaseDraft,
        submission: Submission<'_>,
    ) -> Result<Accepted, Refusal> {
        caller.must(Permission::EmailsSend)?;
        if draft.kept.client_id != caller.client.id {
            return Err(Refusal::NotFound);
        }
        if caller.credential.mode == KeyMode::Test {
            return Err(Refusal::Conflict("a test key lets no mail leave the machine".to_owned()));
        }
        if let Some(answer) = self.replayed(caller, submission.idempotency.as_ref()).await? {
            return Ok(Accepted::Replayed(answer));
        }
        self.store_wanted(caller, Wanted::Release(draft), &submission).await
    }

    pub(super) async fn prepare_release(
        &self,
        caller: &Caller,
        draft: &ReleaseDraft,
        submission: &Submission<'_>,
        now: Timestamp,
    ) -> Result<Prepared, Refusal> {
        let kept = &draft.kept;
        let envelope = address(&kept.mail_from, Field::From)?;
        let sender = sender::of_envelope(caller, &envelope).await.map_err(|error| unavailable(&error))?;
        let sender = sender.map_err(|fault| Refusal::Invalid(vec![fault]))?;
        let message = RawMessage::read(draft.source.clone());
        let message = message.map_err(|error| Refusal::Conflict(error.to_string()))?;
        let recipients = recipients(draft, &message, self.limits.recipients)?;
        let id = self.new_id(now);
        let mut decisions = first_decisions(caller, sender.decision.clone(), submission);
        let reason = format!("released from the inbox, where it is message {}", kept.id);
        decisions.push(Decision::new("release", draft.transport.clone(), reason));
        let shown = Mailbox::parse(&kept.from).ok().filter(|shown| shown.address == envelope);
        let content = Content::Raw {
            sha256: BlobHash::of(&draft.source),
            size: draft.source.len() as u64,
            released_to: Some(draft.transport.clone()),
        };
        let sender = Sender { from: shown.unwrap_or(sender.from), ..sender };
        let mut email = Email {
            source: Source::Operator,
            recipients,
            subject: kept.subject.clone(),
            resent_from: Some(kept.email_id),
            decisions,
            ..raw::as_it_came(caller, submission, (id, now), &sender, &message, content)
        };
        self.suppress(caller, &mut email, now).await?;
        Ok(Prepared { email, files: vec![draft.source.clone()] })
    }
}

/// Whom the message goes to: those who were chosen, or everyone on the envelope it was kept with.
fn recipients(draft: &ReleaseDraft, message: &RawMessage, most: usize) -> Result<Vec<Recipient>, Refusal> {
    let own = || -> Result<Vec<Address>, Refusal> {
        draft.kept.recipients.iter().map(|text| address(text, Field::To(None))).collect()
    };
    let wanted = if draft.recipients.is_empty() { own()? } else { draft.recipients.clone() };
    let found = raw::recipients(message, &wanted)?;
    if found.len() > most {
        let told = format!("at most {most} recipients; there are {}", found.len());
        return Err(Refusal::Invalid(vec![Fault::new(Field::To(None), FaultCode::TooManyRecipients, told)]));
    }
    Ok(found)
}

/// An address that the inbox kept.
fn address(text: &str, field: Field) -> Result<Address, Refusal> {
    Address::parse(text).map_err(|error| {
        let told = format!("the address {error}");
        Refusal::Invalid(vec![Fault::new(field, FaultCode::InvalidEmail, told)])
    })
}
