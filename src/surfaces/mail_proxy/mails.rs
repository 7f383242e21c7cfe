//! One mail: its status, and taking it back.

use super::MailProxy;
use super::errors::MailProxyError;
use super::language::Said;
use crate::live::EmailStatus;
use crate::surfaces::http::answer;
use crate::surfaces::outward_status;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use posthaste_model::credential::Permission;
use posthaste_model::{EmailId, Status};
use serde_json::{Value, json};

/// The text in a path's place; what cannot be decoded names nothing.
pub(super) type Segment = Result<Path<String>, PathRejection>;

fn id_of(given: &Segment) -> Result<EmailId, MailProxyError> {
    let text = given.as_ref().map(|Path(text)| text.as_str()).unwrap_or_default();
    text.parse().map_err(|_| MailProxyError::mail_not_found())
}

/// `GET /api/v1/mail/status/{id}`.
pub(super) async fn status(State(proxy): State<MailProxy>, given: Segment, headers: HeaderMap) -> Response {
    let found = async {
        let caller = proxy.caller(&headers, Permission::EmailsRead).await?;
        let status = proxy.live.status(caller.client.id, id_of(&given)?).await?;
        let status = status.ok_or_else(MailProxyError::mail_not_found)?;
        Ok::<_, MailProxyError>(answer::json(StatusCode::OK, &shape(&status)))
    };
    found.await.unwrap_or_else(MailProxyError::into_response)
}

fn shape(status: &EmailStatus) -> Value {
    let failure = status.failure.as_ref().map(|(_, message)| message.as_str());
    let error = match status.status {
        // What went wrong on the way there is over.
        Status::Sent | Status::Delivered | Status::Complained | Status::Cancelled => None,
        Status::Scheduled | Status::Queued | Status::Processing | Status::Bounced | Status::Failed => {
            failure.or(status.error.as_deref())
        }
    };
    json!({
        "mail_id": status.email_id,
        "status": outward_status::mail_proxy(status.status),
        "retry_count": status.retries(),
        "created_at": status.requested_at,
        "sent_at": status.sent_at,
        "error_message": error.unwrap_or_default(),
    })
}

/// `DELETE /api/v1/mail/cancel/{id}`.
pub(super) async fn cancel(State(proxy): State<MailProxy>, given: Segment, headers: HeaderMap) -> Response {
    let cancelled = async {
        let caller = proxy.caller(&headers, Permission::EmailsCancel).await?;
        let id = id_of(&given)?;
        proxy.intake.cancel(&caller, id).await?;
        let said = Said::Cancelled.in_language_of(&headers);
        let body = json!({"success": true, "mail_id": id, "status": "cancelled", "message": said});
        Ok::<_, MailProxyError>(answer::json(StatusCode::OK, &body))
    };
    cancelled.await.unwrap_or_else(MailProxyError::into_response)
}
