//! `POST /api/v1/mail/send`.

use super::entry::{SURFACE, must};
use super::errors::MailProxyError;
use super::language::Said;
use super::{MailProxy, draft};
use crate::intake::{Accepted, IdempotencyRequest, Judged, Submission};
use crate::surfaces::http::admission::{Answered, Entered};
use crate::surfaces::http::exchange::Exchange;
use crate::surfaces::http::idempotency::{self, Kept};
use crate::surfaces::http::json::{self, Json, fingerprint};
use crate::surfaces::http::media;
use crate::surfaces::outward_status;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use posthaste_model::Status;
use posthaste_model::credential::Permission;
use posthaste_model::email::Email;
use posthaste_model::refusal::Refusal;
use serde_json::json;

/// The handler.
pub(super) async fn one(State(proxy): State<MailProxy>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let work =
        async |exchange: &Exchange, entered: &Entered| accept(&proxy, exchange, entered, &parts, body).await;
    proxy.sending(&parts, work).await
}

async fn accept(
    proxy: &MailProxy,
    exchange: &Exchange,
    entered: &Entered,
    parts: &Parts,
    body: Body,
) -> Result<Answered, MailProxyError> {
    must(&entered.caller, Permission::EmailsSend)?;
    media::require_json(&parts.headers)?;
    let held = proxy.bodies.read(parts, body).await?;
    let json = json::parse_body(&held)?;
    let draft = json::aside(held.len(), || draft::read(&json));
    let names = draft::file_names(&draft);
    let said = Said::Queued.in_language_of(&parts.headers);
    let answer = move |judged: &[Judged]| match judged.first() {
        Some(Ok((email, status))) => queued(email, *status, said).to_bytes(),
        Some(Err(_)) | None => Vec::new(),
    };
    let submission = Submission {
        correlation: exchange.correlation_id().clone(),
        limits: entered.limits(),
        idempotency: json::aside(held.len(), || idempotency_of(&parts.headers, "mail_proxy/send", &json))?,
        answer: &answer,
    };
    let accepted = proxy.intake.accept(&entered.caller, draft, submission).await;
    match accepted.map_err(|refusal| refused(proxy, refusal, &names))? {
        Accepted::New(email, status) => {
            proxy.metrics.accepted(SURFACE);
            let response = queued(&email, status, said).into_response();
            Ok(Answered::Committed(response.ok_or_else(MailProxyError::internal)?))
        }
        Accepted::Replayed(kept) => replayed(&kept),
    }
}

/// The answer to an accepted mail.
fn queued(email: &Email, status: Status, said: &str) -> Kept {
    let status = outward_status::mail_proxy(status);
    Kept::json(
        StatusCode::OK,
        &json!({"success": true, "mail_id": email.id, "status": status, "message": said}),
    )
}

/// The first answer again.
pub(super) fn replayed(kept: &[u8]) -> Result<Answered, MailProxyError> {
    Kept::replay(kept).map(Answered::Uncommitted).ok_or_else(MailProxyError::internal)
}

/// The idempotency key of a request to `endpoint`, if it has one.
pub(super) fn idempotency_of(
    headers: &HeaderMap,
    endpoint: &'static str,
    json: &Json<'_>,
) -> Result<Option<IdempotencyRequest>, MailProxyError> {
    let key = idempotency::key_of(headers).map_err(|error| MailProxyError::request(error.to_string()))?;
    Ok(key.map(|key| IdempotencyRequest { endpoint, key, fingerprint: fingerprint::of_json(json) }))
}

/// A refusal of a mail with files of these names, in this surface's words.
pub(super) fn refused(proxy: &MailProxy, refusal: Refusal, names: &[String]) -> MailProxyError {
    let most = proxy.intake.limits.attachment_bytes;
    match refusal {
        Refusal::Invalid(mut faults) => {
            draft::name_large_files(&mut faults, names, most);
            Refusal::Invalid(faults).into()
        }
        Refusal::TooLarge(fault) => {
            let mut faults = [fault];
            draft::name_large_files(&mut faults, names, most);
            let [fault] = faults;
            Refusal::TooLarge(fault).into()
        }
        other => other.into(),
    }
}
