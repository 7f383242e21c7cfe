//! `GET /api/emails/{id}/explain`: why an email is where it is, and what would change it.

use super::emails::{call, email_id};
use super::paths::Segment;
use super::{EmailsApi, shapes};
use crate::dispatch::Phase;
use crate::surfaces::http::answer;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use posthaste_model::credential::Permission;
use posthaste_model::decision::Decision;
use posthaste_model::{RecipientStatus, Status};
use posthaste_store::EmailRecord;
use serde_json::json;

/// The decisions taken so far, the way it would go now, the next attempt.
pub(super) async fn show(
    State(api): State<EmailsApi>,
    Segment(id): Segment,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::EmailsRead, async |caller, _| {
        let record = api.record(&caller, email_id(&id)?).await?;
        let mut decisions = record.email.decisions.clone();
        decisions.push(api.intake.explain_route(&record.email, &caller.client.name));
        decisions.extend(circuits(&api, &record));
        let body = json!({
            "email_id": record.email.id,
            "status": record.status,
            "decisions": shapes::decisions(&decisions),
            "attempts": record.attempts,
            "last_error": record.error,
            "next_attempt_at": record.next_attempt_at,
            "what_would_change_it": outlook(&record),
        });
        Ok(answer::json(StatusCode::OK, &body))
    })
    .await
}

/// How the circuits stand, for an email that is still to go out. Nothing where this process has no worker: another
/// one decides.
fn circuits(api: &EmailsApi, record: &EmailRecord) -> Option<Decision> {
    record.next_attempt_at?;
    let states = api.worker.as_ref()?.transports();
    let told = states.iter().filter_map(|state| match state.circuit {
        Phase::Closed => None,
        Phase::Open { remaining } => {
            Some(format!("{} is open for {} s more", state.transport, remaining.as_secs().max(1)))
        }
        Phase::HalfOpen => Some(format!("{} lets one probe through", state.transport)),
    });
    let told: Vec<String> = told.collect();
    Some(if told.is_empty() {
        Decision::new("breaker", "closed", "every transport takes mail")
    } else {
        Decision::new("breaker", "open", told.join("; "))
    })
}

/// What has to happen for the status to change.
fn outlook(record: &EmailRecord) -> &'static str {
    let is_held = record.recipients.iter().any(|recipient| recipient.status == RecipientStatus::Held);
    match (record.status, record.next_attempt_at) {
        (Status::Scheduled, _) => "it goes out at scheduled_at; it can be cancelled until then",
        (Status::Queued, Some(_)) => "the attempt at next_attempt_at; it can be cancelled until then",
        (Status::Queued, None) => "a person: it is held after an uncertain end; resend or cancel it",
        (Status::Processing, _) => "the end of the attempt that is running",
        (Status::Sent, Some(_)) => "the attempt at next_attempt_at for the recipients left over",
        (Status::Sent, None) if is_held => {
            "news from the provider; recipients that are held wait for a person, who may send to them again"
        }
        (Status::Sent, None) => "news from the provider",
        (Status::Delivered, _) => "a complaint or a late bounce reported by the provider",
        (Status::Bounced | Status::Complained | Status::Failed | Status::Cancelled, _) => {
            "nothing; resend it to send a new email with the same content"
        }
    }
}
