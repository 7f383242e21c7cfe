//! How types lie in rows, the same for every engine: what never changes of an email is one JSON `head` and one JSON
//! `content`; recipients' states are one JSON list.

mod codes;
mod credential_kind;
mod erased;
pub(crate) mod finders;
mod fresh;

pub(crate) use fresh::{ALL_SUPPRESSED, Fresh};

pub(crate) use codes::{event_code, event_of, failure_code, failure_of, status_code, status_of};
pub(crate) use credential_kind::{kind_columns, kind_of};
pub(crate) use erased::{erase_head, raw_blob, withdraw};

use crate::StoreError;
use posthaste_model::attempt::RecipientChange;
use posthaste_model::decision::Decision;
use posthaste_model::email::{
    Attachment, BlobHash, Content, Email, Parts, Priority, Recipient, RecipientKind, RecipientState, Source,
};
use posthaste_model::eo::{ReportFilter, ReportKey};
use posthaste_model::user::UserChange;
use posthaste_model::{ClientId, CredentialId, EmailId, FailureCode, Mailbox, RecipientStatus, Timestamp};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::BTreeMap;

/// What was read cannot have been written by us.
pub(crate) fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} cannot be read"))
}

#[derive(Serialize)]
struct HeadOut<'a> {
    #[serde(serialize_with = "as_text")]
    from: &'a Mailbox,
    to: Vec<RecipientOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reply_to: Vec<String>,
    subject: &'a str,
    domain: &'a str,
    source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<CredentialId>,
    #[serde(skip_serializing_if = "is_false")]
    test: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    attachments: &'a [Attachment],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: &'a BTreeMap<String, serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    correlation: &'a str,
    message_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_by: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resent_from: Option<EmailId>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    decisions: &'a [Decision],
}

#[derive(Serialize)]
struct RecipientOut<'a>(
    RecipientKind,
    #[serde(serialize_with = "as_text")] &'a Mailbox,
    #[serde(skip_serializing_if = "Option::is_none")] Option<&'a str>,
);

fn as_text<S: Serializer>(mailbox: &Mailbox, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(mailbox)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde asks for")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// What never changes of an email but its content, as read back.
#[derive(Deserialize)]
pub(crate) struct Head {
    pub from: String,
    pub to: Vec<RecipientIn>,
    #[serde(default)]
    pub reply_to: Vec<String>,
    pub subject: String,
    pub domain: String,
    pub source: Source,
    #[serde(default)]
    pub credential: Option<CredentialId>,
    #[serde(default)]
    pub test: bool,
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    #[serde(default)]
    pub tags: Vec<String>,
    #[serde(default)]
    pub metadata: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    pub event: Option<i64>,
    #[serde(default)]
    pub send_at: Option<i64>,
    #[serde(default)]
    pub key: Option<String>,
    pub correlation: String,
    pub message_id: String,
    #[serde(default)]
    pub signed_by: Option<Vec<String>>,
    #[serde(default)]
    pub resent_from: Option<EmailId>,
    #[serde(default)]
    pub decisions: Vec<Decision>,
}

/// Kind, mailbox, and why it is suppressed.
#[derive(Deserialize)]
pub(crate) struct RecipientIn(pub RecipientKind, pub String, #[serde(default)] pub Option<String>);

/// The part of a head that lists show.
#[derive(Deserialize)]
pub(crate) struct SummaryHead {
    pub from: String,
    pub to: Vec<RecipientIn>,
    pub subject: String,
}

/// An email's head as JSON.
pub(crate) fn head_json(email: &Email) -> Result<Vec<u8>, StoreError> {
    let template = match &email.content {
        Content::Parts(parts) => parts.template.as_ref().map(|template| template.code.as_str()),
        Content::Raw { .. } | Content::Whole { .. } => None,
    };
    let recipients = email.recipients.iter();
    json(&HeadOut {
        from: &email.from,
        to: recipients.map(|r| RecipientOut(r.kind, &r.mailbox, r.suppressed.as_deref())).collect(),
        reply_to: email.reply_to.iter().map(ToString::to_string).collect(),
        subject: &email.subject,
        domain: &email.domain,
        source: email.source,
        credential: email.credential_id,
        test: email.test_mode,
        attachments: &email.attachments,
        tags: &email.tags,
        metadata: &email.metadata,
        event: email.event_id,
        template,
        send_at: email.send_at.map(Timestamp::millis),
        key: email.idempotency_key.as_deref(),
        correlation: &email.correlation_id,
        message_id: &email.message_id,
        signed_by: email.signed_by.as_deref(),
        resent_from: email.resent_from,
        decisions: &email.decisions,
    })
}

/// An email's content as JSON.
pub(crate) fn content_json(email: &Email) -> Result<Vec<u8>, StoreError> {
    json(&email.content)
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(value).map_err(|error| StoreError::Unavailable(format!("cannot be written: {error}")))
}

/// The columns of an email's row that belong to the email itself.
pub(crate) struct EmailColumns<'a> {
    pub id: EmailId,
    pub client_id: ClientId,
    pub priority: i64,
    pub requested_at: i64,
    pub head: &'a [u8],
    pub content: Option<&'a [u8]>,
}

/// The email that a row holds.
pub(crate) fn email_of(row: &EmailColumns<'_>) -> Result<Email, StoreError> {
    let head: Head = serde_json::from_slice(row.head).map_err(|_| damaged("head of an email"))?;
    let content = match row.content {
        Some(json) => serde_json::from_slice(json).map_err(|_| damaged("content of an email"))?,
        None => Content::Parts(Parts::default()),
    };
    let recipients: Result<_, StoreError> = head.to.into_iter().map(recipient).collect();
    let reply_to: Result<_, StoreError> = head.reply_to.iter().map(|text| mailbox(text)).collect();
    Ok(Email {
        id: row.id,
        client_id: row.client_id,
        credential_id: head.credential,
        source: head.source,
        test_mode: head.test,
        domain: head.domain,
        from: mailbox(&head.from)?,
        recipients: recipients?,
        reply_to: reply_to?,
        subject: head.subject,
        content,
        attachments: head.attachments,
        tags: head.tags,
        metadata: head.metadata,
        event_id: head.event,
        priority: Priority::new(row.priority).unwrap_or(Priority::DEFAULT),
        requested_at: Timestamp::from_millis(row.requested_at),
        send_at: head.send_at.map(Timestamp::from_millis),
        idempotency_key: head.key,
        correlation_id: head.correlation,
        message_id: head.message_id,
        signed_by: head.signed_by,
        resent_from: head.resent_from,
        decisions: head.decisions,
    })
}

fn recipient(RecipientIn(kind, text, suppressed): RecipientIn) -> Result<Recipient, StoreError> {
    Ok(Recipient { kind, mailbox: mailbox(&text)?, suppressed })
}

/// A mailbox that we wrote.
pub(crate) fn mailbox(text: &str) -> Result<Mailbox, StoreError> {
    Mailbox::parse(text).map_err(|_| damaged("mailbox"))
}

/// What a report tells of, as JSON.
pub(crate) fn filter_json(filter: &ReportFilter) -> Result<String, StoreError> {
    serde_json::to_string(filter)
        .map_err(|error| StoreError::Unavailable(format!("cannot be written: {error}")))
}

/// The key that a report was asked for under.
pub(crate) fn report_key(
    key: Option<String>,
    fingerprint: Option<Vec<u8>>,
) -> Result<Option<ReportKey>, StoreError> {
    let (Some(key), Some(fingerprint)) = (key, fingerprint) else { return Ok(None) };
    let fingerprint = fingerprint.try_into().map_err(|_| damaged("fingerprint of a report"))?;
    Ok(Some(ReportKey { key, fingerprint }))
}

/// A change of a user as the audit trail tells it.
pub(crate) fn user_change_in_words(change: &UserChange) -> String {
    let words = [
        change.password_hash.as_ref().map(|_| "password".to_owned()),
        change.role.map(|role| format!("role {role}")),
        change.is_active.map(|on| if on { "switched on" } else { "switched off" }.to_owned()),
        change.language.map(|language| format!("language {language}")),
        change.sealed_totp.as_ref().map(|totp| match totp {
            Some(_) => "one-time codes on".to_owned(),
            None => "one-time codes off".to_owned(),
        }),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The blobs an email refers to.
pub(crate) fn blobs_of(email: &Email) -> Vec<BlobHash> {
    let raw = match &email.content {
        Content::Raw { sha256, .. } => Some(*sha256),
        Content::Parts(_) | Content::Whole { .. } => None,
    };
    email.attachments.iter().map(|attachment| attachment.sha256).chain(raw).collect()
}

#[derive(Serialize, Deserialize)]
struct StateRow(RecipientStatus, Option<String>, Option<FailureCode>, i64);

/// The states recipients begin with: suppressed ones have failed already.
pub(crate) fn initial_states(email: &Email, now: Timestamp) -> Vec<RecipientState> {
    let state = |recipient: &Recipient| match &recipient.suppressed {
        None => RecipientState {
            status: RecipientStatus::Queued,
            last_reply: None,
            failure_code: None,
            updated_at: now,
        },
        Some(reason) => RecipientState {
            status: RecipientStatus::Failed,
            last_reply: Some(reason.clone()),
            failure_code: Some(FailureCode::Suppressed),
            updated_at: now,
        },
    };
    email.recipients.iter().map(state).collect()
}

/// Recipients' states as a column.
pub(crate) fn states_json(states: &[RecipientState]) -> Result<String, StoreError> {
    let rows: Vec<StateRow> = states
        .iter()
        .map(|s| StateRow(s.status, s.last_reply.clone(), s.failure_code, s.updated_at.millis()))
        .collect();
    serde_json::to_string(&rows)
        .map_err(|error| StoreError::Unavailable(format!("cannot be written: {error}")))
}

/// Recipients' states from a column; an absent one means that `count` recipients are queued since `requested_at`.
pub(crate) fn states_of(
    column: Option<&str>,
    count: i64,
    requested_at: i64,
) -> Result<Vec<RecipientState>, StoreError> {
    let Some(text) = column else {
        let queued = RecipientState {
            status: RecipientStatus::Queued,
            last_reply: None,
            failure_code: None,
            updated_at: Timestamp::from_millis(requested_at),
        };
        return Ok(vec![queued; usize::try_from(count).unwrap_or(0)]);
    };
    let rows: Vec<StateRow> = serde_json::from_str(text).map_err(|_| damaged("recipients' states"))?;
    Ok(rows
        .into_iter()
        .map(|StateRow(status, last_reply, failure_code, at)| RecipientState {
            status,
            last_reply,
            failure_code,
            updated_at: Timestamp::from_millis(at),
        })
        .collect())
}

/// Applies an attempt's changes to recipients' states. Only a recipient of whom nothing final is known changes: what is
/// known better (accepted, returned) is not undone by a late word.
pub(crate) fn apply_changes(states: &mut [RecipientState], changes: &[RecipientChange], at: Timestamp) {
    for change in changes {
        let Some(state) = states.get_mut(change.index) else { continue };
        if !state.status.is_open() {
            continue;
        }
        state.status = change.status;
        state.last_reply.clone_from(&change.last_reply);
        state.failure_code = change.failure_code;
        state.updated_at = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_word_does_not_undo_an_acceptance() {
        let at = Timestamp::from_millis(5);
        let mut states = states_of(None, 2, 1).unwrap();
        let change = |index, status| RecipientChange { index, status, last_reply: None, failure_code: None };
        apply_changes(&mut states, &[change(0, RecipientStatus::Sent), change(7, RecipientStatus::Sent)], at);
        apply_changes(&mut states, &[change(0, RecipientStatus::Failed)], at);
        assert_eq!(states[0].status, RecipientStatus::Sent);
        assert_eq!(states[1].status, RecipientStatus::Queued);
        let column = states_json(&states).unwrap();
        assert_eq!(states_of(Some(&column), 2, 1), Ok(states));
    }
}
