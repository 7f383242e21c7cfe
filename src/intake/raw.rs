//! Finished messages, as they come in by SMTP: judged by their envelope and by what their header claims, kept as they
//! are. The order of the checks is that of [`Intake::accept`].

use super::limits::REPLY_TO;
use super::sender::Sender;
use super::{Accepted, Intake, Prepared, Submission, Wanted, first_decisions, sender, unavailable};
use crate::auth::Caller;
use bytes::Bytes;
use posthaste_mail::raw::{Hop, RawMessage, address_list};
use posthaste_model::credential::{KeyMode, Permission};
use posthaste_model::decision::Decision;
use posthaste_model::draft::Field;
use posthaste_model::email::{BlobHash, Content, Email, Priority, Recipient, RecipientKind, Source};
use posthaste_model::octets::Octets;
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_model::{Address, EmailId, Mailbox, Timestamp};
use std::collections::{BTreeMap, HashSet};

/// Characters of a subject that are kept for lists and searches; the message keeps all of it.
const SUBJECT_CHARS: usize = 998;

/// Octets up to which a message stands in its record.
const SHORT: usize = 64 * 1024;

/// A message handed in as a whole.
#[derive(Debug)]
pub struct RawDraft {
    /// The sender on the envelope.
    pub sender: Address,
    /// The recipients on the envelope.
    pub recipients: Vec<Address>,
    /// The message.
    pub message: RawMessage,
    /// The hop it came by.
    pub hop: Hop,
    /// What the envelope asked for beside its addresses (delivery status notifications), for explain.
    pub wishes: Option<String>,
}

impl Intake {
    /// Accepts a finished message: permission, replay, sender, then one durable commit.
    pub async fn accept_raw(
        &self,
        caller: &Caller,
        draft: RawDraft,
        submission: Submission<'_>,
    ) -> Result<Accepted, Refusal> {
        caller.must(Permission::EmailsSend)?;
        if let Some(answer) = self.replayed(caller, submission.idempotency.as_ref()).await? {
            return Ok(Accepted::Replayed(answer));
        }
        self.store_wanted(caller, Wanted::Raw(&draft), &submission).await
    }

    /// Whether the caller may send as `sender` at all, asked before there is a message.
    pub async fn may_send_as(&self, caller: &Caller, sender: &Address) -> Result<(), Refusal> {
        caller.must(Permission::EmailsSend)?;
        let judged = sender::of_envelope(caller, sender).await.map_err(|error| unavailable(&error))?;
        judged.map(drop).map_err(|fault| Refusal::Invalid(vec![fault]))
    }

    pub(super) async fn prepare_raw(
        &self,
        caller: &Caller,
        draft: &RawDraft,
        submission: &Submission<'_>,
        now: Timestamp,
    ) -> Result<Prepared, Refusal> {
        let sender =
            sender::of_message(caller, &draft.sender, &draft.message).await.map_err(|e| unavailable(&e))?;
        let sender = sender.map_err(|fault| Refusal::Invalid(vec![fault]))?;
        let recipients = recipients(&draft.message, &draft.recipients)?;
        let id: EmailId = self.new_id(now);
        let content = draft.message.passed_on(&draft.hop, &id.to_string(), now.millis());
        let mut decisions = first_decisions(caller, sender.decision.clone(), submission);
        decisions.extend(draft.wishes.clone().map(|wishes| {
            Decision::new("notifications", wishes, "asked for on the envelope; kept, not passed on")
        }));
        let subject: String = draft.message.text("subject").unwrap_or_default();
        let (content, files) = kept(content.into());
        let mut email = Email {
            source: Source::Smtp,
            test_mode: caller.credential.mode == KeyMode::Test,
            recipients,
            reply_to: reply_to(&draft.message),
            subject: subject.chars().take(SUBJECT_CHARS).collect(),
            decisions,
            ..as_it_came(caller, submission, (id, now), &sender, &draft.message, content)
        };
        self.suppress(caller, &mut email, now).await?;
        Ok(Prepared { email, files })
    }
}

/// An email that goes on as it came, with the signatures it has; to whom, and why, is still to be said.
pub(super) fn as_it_came(
    caller: &Caller,
    submission: &Submission<'_>,
    (id, now): (EmailId, Timestamp),
    sender: &Sender,
    message: &RawMessage,
    content: Content,
) -> Email {
    let domain = sender.domain.as_str();
    Email {
        id,
        client_id: caller.client.id,
        credential_id: caller.credential_id(),
        source: Source::Smtp,
        test_mode: false,
        message_id: message.message_id().unwrap_or_else(|| format!("{id}@{domain}")),
        domain: domain.to_owned(),
        from: sender.from.clone(),
        recipients: Vec::new(),
        reply_to: Vec::new(),
        subject: String::new(),
        content,
        attachments: Vec::new(),
        tags: Vec::new(),
        metadata: BTreeMap::new(),
        event_id: None,
        priority: Priority::DEFAULT,
        requested_at: now,
        send_at: None,
        idempotency_key: submission.idempotency.as_ref().map(|request| request.key.clone()),
        correlation_id: submission.correlation.as_str().to_owned(),
        signed_by: Some(Vec::new()),
        resent_from: None,
        decisions: Vec::new(),
    }
}

/// Where a message is kept: a short one in the record, where it shares the record's sync; a long one as a file, so that
/// it never passes through a transaction.
fn kept(message: Bytes) -> (Content, Vec<Bytes>) {
    if message.len() <= SHORT {
        return (Content::Whole { message: Octets(message) }, Vec::new());
    }
    let (sha256, size) = (BlobHash::of(&message), message.len() as u64);
    (Content::Raw { sha256, size, released_to: None }, vec![message])
}

/// Where the header wants answers to go, for who looks at the record; a field that is no list of addresses names nobody.
fn reply_to(message: &RawMessage) -> Vec<Mailbox> {
    let lists = message.all("reply-to").filter_map(|value| address_list(value).ok());
    lists.flatten().map(Mailbox::from).take(REPLY_TO).collect()
}

/// Everyone on the envelope once, in the order to, cc, bcc: whom the header names in neither is a blind copy.
pub(super) fn recipients(message: &RawMessage, addresses: &[Address]) -> Result<Vec<Recipient>, Refusal> {
    let named = |field: &str| -> HashSet<String> {
        let lists = message.all(field).filter_map(|value| address_list(value).ok());
        lists.flatten().map(|address| address.canonical().to_owned()).collect()
    };
    let (to, cc) = (named("to"), named("cc"));
    let mut seen = HashSet::new();
    let mut found = Vec::with_capacity(addresses.len());
    for address in addresses {
        let key = address.canonical();
        if !seen.insert(key) {
            continue;
        }
        let kind = match (to.contains(key), cc.contains(key)) {
            (true, _) => RecipientKind::To,
            (false, true) => RecipientKind::Cc,
            (false, false) => RecipientKind::Bcc,
        };
        found.push(Recipient { kind, mailbox: Mailbox::from(address.clone()), suppressed: None });
    }
    if found.is_empty() {
        let fault = Fault::new(Field::To(None), FaultCode::Required, "at least one recipient is required");
        return Err(Refusal::Invalid(vec![fault]));
    }
    found.sort_by_key(|recipient| match recipient.kind {
        RecipientKind::To => 0,
        RecipientKind::Cc => 1,
        RecipientKind::Bcc => 2,
    });
    Ok(found)
}
