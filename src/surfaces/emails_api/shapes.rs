//! The JSON that this surface answers with.

use crate::intake::DryRun;
use crate::render::Rendered;
use posthaste_model::decision::Decision;
use posthaste_model::email::{Content, Email, RecipientKind};
use posthaste_model::event::Event;
use posthaste_model::template::Template;
use posthaste_model::{Mailbox, Status};
use posthaste_store::{EmailRecord, EmailSummary};
use serde_json::{Value, json};

/// The answer to an accepted email.
pub(super) fn accepted(email: &Email, status: Status) -> Value {
    json!({"email_id": email.id, "status": status, "requested_at": email.requested_at})
}

fn names(email: &Email, kind: RecipientKind) -> Vec<String> {
    email.recipients.iter().filter(|r| r.kind == kind).map(|r| r.mailbox.to_string()).collect()
}

/// One address as a string, several as a list, none as null.
fn reply_to(mailboxes: &[Mailbox]) -> Value {
    match mailboxes {
        [] => Value::Null,
        [one] => Value::String(one.to_string()),
        several => several.iter().map(ToString::to_string).collect(),
    }
}

fn template_code(email: &Email) -> Option<&str> {
    match &email.content {
        Content::Parts(parts) => parts.template.as_ref().map(|t| t.code.as_str()),
        Content::Raw { .. } | Content::Whole { .. } => None,
    }
}

/// An email with its recipients, files and timeline.
pub(super) fn email(record: &EmailRecord, events: &[Event]) -> Value {
    let email = &*record.email;
    let (failure_code, failure_message) = match &record.failure {
        Some((code, message)) => (Some(code.as_str()), Some(message.as_str())),
        None => (None, None),
    };
    json!({
        "id": email.id,
        "domain": email.domain,
        "from": email.from.to_string(),
        "to": names(email, RecipientKind::To),
        "cc": names(email, RecipientKind::Cc),
        "bcc": names(email, RecipientKind::Bcc),
        "reply_to": reply_to(&email.reply_to),
        "subject": email.subject,
        "status": record.status,
        "failure_code": failure_code,
        "failure_message": failure_message,
        "error": failure_message.or(record.error.as_deref()),
        "provider": record.provider,
        "provider_message_id": record.provider_message_id,
        "requested_at": email.requested_at,
        "scheduled_at": email.send_at,
        "sent_at": record.sent_at,
        "retries": record.attempts.saturating_sub(1),
        "next_attempt_at": record.next_attempt_at,
        "priority": email.priority,
        "event_id": email.event_id,
        "tags": email.tags,
        "metadata": email.metadata,
        "template_code": template_code(email),
        "idempotency_key": email.idempotency_key,
        "correlation_id": email.correlation_id,
        "resent_from": email.resent_from,
        "recipients": recipients(record),
        "attachments": email.attachments.iter().map(|a| json!({
            "filename": a.filename, "mime": a.mime, "size": a.size, "sha256": a.sha256,
        })).collect::<Vec<_>>(),
        "events": events.iter().map(|event| timeline(event, email)).collect::<Vec<_>>(),
    })
}

fn recipients(record: &EmailRecord) -> Vec<Value> {
    let states = record.email.recipients.iter().zip(&record.recipients);
    states
        .map(|(recipient, state)| {
            json!({
                "email": recipient.mailbox.address.as_str(),
                "kind": recipient.kind,
                "status": state.status,
                "last_reply": state.last_reply,
                "updated_at": state.updated_at,
            })
        })
        .collect()
}

/// One event of the timeline.
fn timeline(event: &Event, email: &Email) -> Value {
    let recipient = event.event.recipient.and_then(|index| email.recipients.get(index));
    json!({
        "id": event.id,
        "seq": event.seq,
        "type": event.event.kind,
        "at": event.event.at,
        "recipient": recipient.map(|r| r.mailbox.address.as_str()),
        "attempt": (event.event.attempt > 0).then_some(event.event.attempt),
        "detail": event.event.detail,
    })
}

/// One row of a list.
pub(super) fn summary(row: &EmailSummary) -> Value {
    json!({
        "id": row.id, "from": row.from, "to": row.to, "subject": row.subject, "status": row.status,
        "requested_at": row.requested_at, "sent_at": row.sent_at,
    })
}

/// A rendered message.
pub(super) fn rendered(rendered: &Rendered) -> Value {
    json!({"subject": rendered.subject, "html": rendered.html, "text": rendered.text})
}

/// Decisions in the order they were taken.
pub(super) fn decisions(decisions: &[Decision]) -> Value {
    decisions.iter().map(|d| json!({"step": d.step, "outcome": d.outcome, "reason": d.reason})).collect()
}

/// What sending would do.
pub(super) fn dry_run(run: &DryRun) -> Value {
    let email = &run.email;
    json!({
        "dry_run": true,
        "message": {
            "from": email.from.to_string(),
            "to": names(email, RecipientKind::To),
            "cc": names(email, RecipientKind::Cc),
            "reply_to": reply_to(&email.reply_to),
            "subject": run.rendered.subject,
            "html": run.rendered.html,
            "text": run.rendered.text,
            "attachments": email.attachments.iter().map(|a| json!({
                "filename": a.filename, "mime": a.mime, "size": a.size, "sha256": a.sha256,
            })).collect::<Vec<_>>(),
        },
        "envelope": {
            "mail_from": email.from.address.as_str(),
            "rcpt_to": email.recipients.iter().map(|r| r.mailbox.address.as_str()).collect::<Vec<_>>(),
        },
        "decisions": decisions(&run.decisions),
    })
}

/// One template, newest version. The command line prints the same.
pub fn template(template: &Template) -> Value {
    json!({
        "code": template.code,
        "name": template.name,
        "version": template.version,
        "subject": template.subject,
        "html": template.html,
        "text": template.text,
        "variables_schema": template.variables_schema,
        "created_at": template.created_at,
        "updated_at": template.updated_at,
    })
}
