//! `POST /send` with an API key.

use super::entry::{ENDPOINT, SURFACE};
use super::{Aegis, AegisError, draft};
use crate::intake::{Accepted, IdempotencyRequest, Judged, Submission};
use crate::surfaces::http::admission::{Answered, Entered};
use crate::surfaces::http::exchange::{self, Exchange};
use crate::surfaces::http::idempotency::{self, Kept};
use crate::surfaces::http::json::{self, fingerprint};
use crate::surfaces::http::media;
use axum::body::Body;
use axum::response::Response;
use http::request::Parts;
use http::{Request, StatusCode};
use posthaste_model::aegis::message_id;
use posthaste_model::credential::Permission;
use posthaste_model::email::Email;
use serde_json::json;

/// The handler.
pub(in crate::surfaces) async fn send(aegis: Aegis, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let exchange = exchange::of(&parts);
    let entered = match aegis.enter(&exchange, &parts.headers).await {
        Ok(entered) => entered,
        Err(error) => return error.into_response(aegis.clock.now()),
    };
    let outcome = accept(&aegis, &exchange, &entered, &parts, body).await;
    aegis.finish(&entered, &parts.headers, outcome).await
}

/// Refuses a request that shows two credentials; neither is looked at.
pub(in crate::surfaces) async fn refuse_both(aegis: Aegis, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let error = aegis.stranger(&exchange::of(&parts), AegisError::ambiguous()).await;
    error.into_response(aegis.clock.now())
}

async fn accept(
    aegis: &Aegis,
    exchange: &Exchange,
    entered: &Entered,
    parts: &Parts,
    body: Body,
) -> Result<Answered, AegisError> {
    entered.caller.must(Permission::EmailsSend)?;
    media::require_json(&parts.headers)?;
    let held = aegis.bodies.read(parts, body).await?;
    let json = json::parse_body(&held)?;
    let key = idempotency::key_of(&parts.headers)
        .map_err(|error| AegisError::field("INVALID_FIELD", "Idempotency-Key", error.to_string()))?;
    let idempotency = key.map(|key| IdempotencyRequest {
        endpoint: ENDPOINT,
        key,
        fingerprint: json::aside(held.len(), || fingerprint::of_json(&json)),
    });
    let mut draft = json::aside(held.len(), || draft::read(&json))?;
    draft.from.clone_from(&aegis.sender);
    let answer = |judged: &[Judged]| match judged.first() {
        Some(Ok((email, _))) => queued(email).to_bytes(),
        Some(Err(_)) | None => Vec::new(),
    };
    let submission = Submission {
        correlation: exchange.correlation_id().clone(),
        limits: entered.limits(),
        idempotency,
        answer: &answer,
    };
    match aegis.intake.accept(&entered.caller, draft, submission).await? {
        Accepted::New(email, _) => {
            aegis.metrics.accepted(SURFACE);
            let response = queued(&email).into_response();
            Ok(Answered::Committed(response.ok_or_else(AegisError::internal)?))
        }
        Accepted::Replayed(kept) => {
            Kept::replay(&kept).map(Answered::Uncommitted).ok_or_else(AegisError::internal)
        }
    }
}

/// The answer to an accepted email.
fn queued(email: &Email) -> Kept {
    let id = message_id(email.client_id, email.id);
    Kept::json(
        StatusCode::ACCEPTED,
        &json!({"success": true, "message": "Email queued successfully", "message_id": id}),
    )
}
