//! One email: what became of it and why, for each recipient; the message itself; send it again, take it back.

use super::visit::{Change, Visit, id_of};
use super::{Dashboard, When, client_id, result};
use crate::auth::AuthError;
use crate::intake::{Accepted, Submission};
use crate::surfaces::inbox::parts::{self, PartLine};
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::{Visitor, redirect};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use posthaste_mail::view::{FieldView, read_message};
use posthaste_model::refusal::Refusal;
use posthaste_model::{EmailId, Status};
use posthaste_store::{EmailRecord, StoreError};
use std::time::Duration;

/// Of a source, this much is shown.
const SOURCE_SHOWN: usize = 128 * 1024;

#[derive(Template)]
#[template(path = "dashboard/email.html")]
struct EmailPage {
    shell: Shell,
    at: String,
    client: String,
    id: EmailId,
    subject: String,
    from: String,
    status: Status,
    facts: Vec<(&'static str, String)>,
    recipients: Vec<Recipient>,
    timeline: Vec<Event>,
    decisions: Vec<(String, String, String)>,
    can_cancel: bool,
    can_resend: bool,
    view: View,
    tabs: Vec<(&'static str, &'static str, bool)>,
}

struct Recipient {
    address: String,
    kind: String,
    status: String,
    reply: String,
}

struct Event {
    at: When,
    kind: String,
    detail: String,
}

enum View {
    Html,
    Text(String),
    Headers(Vec<FieldView>),
    Parts(Vec<PartLine>, String),
    Source(String, bool),
    Gone(&'static str),
}

/// `GET /admin/emails/{client}/{id}?view=`.
pub(super) async fn page(
    State(dashboard): State<Dashboard>,
    Path((client, id)): Path<(String, String)>,
    visit: Visit,
) -> Response {
    let fields = visit.fields();
    visit.shown(dashboard.email(visit.shell("emails"), &client, &id, fields.get("view")).await)
}

/// `POST /admin/emails/{client}/{id}/resend`.
pub(super) async fn resend(
    State(dashboard): State<Dashboard>,
    Path((client, id)): Path<(String, String)>,
    change: Change,
) -> Response {
    let (visitor, back) = (&change.visitor, format!("/admin/emails/{client}/{id}"));
    let submission = Submission {
        correlation: visitor.exchange.correlation_id().clone(),
        idempotency: None,
        limits: None,
        answer: &|_| Vec::new(),
    };
    let made = async {
        let (caller, id) = dashboard.on_behalf(&client, &id).await?;
        let accepted = dashboard.intake.resend(&caller, id, submission).await?;
        dashboard.note(visitor, "email.resend", &id.to_string()).await;
        Ok::<_, Refusal>(accepted)
    };
    match made.await {
        Ok(Accepted::New(email, _)) => {
            visitor.finish(redirect(&format!("/admin/emails/{client}/{}", email.id)))
        }
        Ok(Accepted::Replayed(_)) => visitor.finish(redirect(&back)),
        Err(refusal) => result::refused(visitor, &refusal, &back),
    }
}

/// `POST /admin/emails/{client}/{id}/cancel`.
pub(super) async fn cancel(
    State(dashboard): State<Dashboard>,
    Path((client, id)): Path<(String, String)>,
    change: Change,
) -> Response {
    let done = async {
        let (caller, id) = dashboard.on_behalf(&client, &id).await?;
        dashboard.intake.cancel(&caller, id).await?;
        dashboard.note(&change.visitor, "email.cancel", &id.to_string()).await;
        Ok::<_, Refusal>(())
    };
    change.answer(done.await, &format!("/admin/emails/{client}/{id}"))
}

impl Dashboard {
    /// An email, by the addresses that pages give it.
    pub(super) async fn record(&self, client: &str, id: &str) -> Result<EmailRecord, StoreError> {
        let id: EmailId = id.parse().map_err(|_| StoreError::NotFound)?;
        self.store.email(client_id(client)?, id).await?.ok_or(StoreError::NotFound)
    }

    async fn on_behalf(&self, client: &str, id: &str) -> Result<(crate::auth::Caller, EmailId), Refusal> {
        let (client, id) = (id_of(client)?, id_of(id)?);
        let caller = self.auth.on_behalf_of(client).await.map_err(|error| match error {
            AuthError::Invalid => Refusal::NotFound,
            AuthError::Store(_) => {
                Refusal::Unavailable { retry_after: Duration::from_secs(1), may_be_stored: false }
            }
        })?;
        Ok((caller, id))
    }

    /// Writes down what somebody did with an email. It is done: a failure here is only logged.
    pub(super) async fn note(&self, visitor: &Visitor, action: &str, target: &str) {
        if let Err(error) = self.store.note_action(&visitor.actor(), action, target).await {
            tracing::warn!(%error, action, target, "an action was not written into the audit");
        }
    }

    async fn email(
        &self,
        shell: Shell,
        client: &str,
        id: &str,
        view: Option<&str>,
    ) -> Result<EmailPage, StoreError> {
        let record = self.record(client, id).await?;
        let email = &record.email;
        let events = self.store.events(email.client_id, email.id).await?;
        let owner = self.store.client(email.client_id).await?.map(|client| client.name).unwrap_or_default();
        let mut decisions = email.decisions.clone();
        decisions.push(self.intake.explain_route(email, &owner));
        let decision = |one: posthaste_model::decision::Decision| {
            (one.step.into_owned(), one.outcome.into_owned(), one.reason.into_owned())
        };
        let (view, tabs) = self.view(&record, view).await;
        let timeline = events.into_iter().map(|event| Event {
            at: self.moment(event.event.at),
            kind: event.event.kind.to_string().replace('_', " "),
            detail: event.event.detail.unwrap_or_default(),
        });
        Ok(EmailPage {
            at: format!("/admin/emails/{client}/{id}"),
            client: owner,
            id: email.id,
            subject: if email.subject.is_empty() { "(no subject)".into() } else { email.subject.clone() },
            from: email.from.to_string(),
            status: record.status,
            facts: facts(&record),
            recipients: recipients(&record),
            timeline: timeline.collect(),
            decisions: decisions.into_iter().map(decision).collect(),
            can_cancel: shell.is_admin() && matches!(record.status, Status::Scheduled | Status::Queued),
            can_resend: shell.is_admin() && !record.content_dropped,
            view,
            tabs,
            shell,
        })
    }

    async fn view(
        &self,
        record: &EmailRecord,
        asked: Option<&str>,
    ) -> (View, Vec<(&'static str, &'static str, bool)>) {
        if record.content_dropped {
            return (View::Gone("The content of this email is no longer kept."), Vec::new());
        }
        let message = match self.renderer.message(&record.email).await {
            Ok(message) => message.bytes,
            Err(error) => {
                tracing::warn!(%error, "an accepted email could not be rendered");
                return (View::Gone("The message cannot be rendered."), Vec::new());
            }
        };
        let read = read_message(&message);
        let has_html = read.html.is_some();
        let asked = asked.unwrap_or(if has_html { "html" } else { "text" });
        let view = match asked {
            "html" if has_html => View::Html,
            "headers" => View::Headers(read.fields),
            "parts" => {
                let at = format!("/admin/emails/{}/{}/mime", record.email.client_id, record.email.id);
                View::Parts(parts::lines(&read), at)
            }
            "source" => {
                let shown = &message[..message.len().min(SOURCE_SHOWN)];
                View::Source(String::from_utf8_lossy(shown).into_owned(), message.len() > SOURCE_SHOWN)
            }
            _ => View::Text(read.text.map(|text| text.content).unwrap_or_default()),
        };
        let tabs = [
            ("html", "HTML"),
            ("text", "Text"),
            ("headers", "Headers"),
            ("parts", "MIME tree"),
            ("source", "Source"),
        ];
        let tabs = tabs.into_iter().filter(|(word, _)| *word != "html" || has_html);
        (view, tabs.map(|(word, title)| (word, title, word == asked)).collect())
    }
}

fn facts(record: &EmailRecord) -> Vec<(&'static str, String)> {
    let email = &record.email;
    let mut facts = vec![
        ("Accepted", email.requested_at.to_string()),
        ("Came by", email.source.to_string()),
        ("Attempts", record.attempts.to_string()),
    ];
    let mut add = |name: &'static str, value: Option<String>| facts.extend(value.map(|value| (name, value)));
    add("Due at", record.next_attempt_at.map(|at| at.to_string()));
    add("Sent", record.sent_at.map(|at| at.to_string()));
    add("Failure", record.failure.as_ref().map(|(code, message)| format!("{code}: {message}")));
    add("Last error", record.error.clone().filter(|_| record.failure.is_none()));
    add("Transport", record.provider.clone());
    add("Provider's id", record.provider_message_id.clone());
    add("Tags", (!email.tags.is_empty()).then(|| email.tags.join(", ")));
    add("EO event", email.event_id.map(|id| id.to_string()));
    add("Sent again from", email.resent_from.map(|id| id.to_string()));
    add("Message-ID", Some(email.message_id.clone()));
    add("Correlation", Some(email.correlation_id.clone()));
    facts
}

fn recipients(record: &EmailRecord) -> Vec<Recipient> {
    let both = record.email.recipients.iter().zip(&record.recipients);
    let shown = both.map(|(recipient, state)| Recipient {
        address: recipient.mailbox.to_string(),
        kind: recipient.kind.to_string(),
        status: state.status.to_string(),
        reply: state.last_reply.clone().unwrap_or_default(),
    });
    shown.collect()
}
