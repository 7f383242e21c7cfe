//! `POST /api/emails`, its dry run, and `POST /api/emails/{id}/resend`.

use super::entry::SURFACE;
use super::paths::Segment;
use super::{EmailsApi, draft, refusals, shapes};
use crate::intake::{Accepted, IdempotencyRequest, Judged, Submission};
use crate::surfaces::http::admission::{Answered, Entered};
use crate::surfaces::http::exchange::Exchange;
use crate::surfaces::http::json::reader::FieldErrors;
use crate::surfaces::http::json::{self, Json, fingerprint};
use crate::surfaces::http::problem::{self, Problem};
use crate::surfaces::http::{answer, media};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use posthaste_model::EmailId;
use posthaste_model::credential::Permission;
use posthaste_model::fault::FaultPoint;
use posthaste_model::refusal::Refusal;
use serde_json::json;

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// `POST /api/emails`.
pub(super) async fn one(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let work = async |exchange: &Exchange, entered: &Entered| {
        accept_one(&api, exchange, entered, &parts, body).await
    };
    let response = api.committing(&parts, work).await;
    api.intake.faults.crash_at(FaultPoint::Answered);
    response
}

async fn accept_one(
    api: &EmailsApi,
    exchange: &Exchange,
    entered: &Entered,
    parts: &http::request::Parts,
    body: Body,
) -> Result<Answered, Problem> {
    entered.caller.must(Permission::EmailsSend).map_err(refusals::problem)?;
    media::require_json(&parts.headers)?;
    let dry_run = flag(parts, "dry_run")?;
    let held = api.bodies.read(parts, body).await?;
    api.intake.faults.crash_at(FaultPoint::Read);
    let json = json::parse_body(&held)?;
    let mut read = json::aside(held.len(), || draft::read(&json));
    let key = draft::idempotency_key(&parts.headers, read.idempotency_key.take());
    let key = key.map_err(|fault| read.draft.faults.push(fault)).unwrap_or_default();
    let submission = Submission {
        correlation: exchange.correlation_id().clone(),
        limits: entered.limits(),
        idempotency: key.map(|key| json::aside(held.len(), || request_of("emails", key, &json))),
        answer: &kept_single,
    };
    if dry_run {
        let run = api.intake.dry_run(&entered.caller, read.draft, submission).await;
        let run = run.map_err(|refusal| refusals::problem_in(refusal, &json))?;
        return Ok(Answered::Uncommitted(answer::json(StatusCode::OK, &shapes::dry_run(&run))));
    }
    let outcome = api.intake.accept(&entered.caller, read.draft, submission).await;
    told(api, outcome.map_err(|refusal| refusals::problem_in(refusal, &json))?)
}

/// One accepted email, now or the first time.
fn told(api: &EmailsApi, outcome: Accepted) -> Result<Answered, Problem> {
    match outcome {
        Accepted::New(email, status) => {
            api.metrics.accepted(SURFACE);
            Ok(Answered::Committed(accepted(&shapes::accepted(&email, status), email.id)))
        }
        Accepted::Replayed(kept) => replayed(&kept),
    }
}

/// `POST /api/emails/{id}/resend`.
pub(super) async fn resend(
    State(api): State<EmailsApi>,
    Segment(id): Segment,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    let work = async |exchange: &Exchange, entered: &Entered| {
        resend_one(&api, exchange, entered, &parts.headers, &id).await
    };
    api.committing(&parts, work).await
}

async fn resend_one(
    api: &EmailsApi,
    exchange: &Exchange,
    entered: &Entered,
    headers: &HeaderMap,
    id: &str,
) -> Result<Answered, Problem> {
    entered.caller.must(Permission::EmailsSend).map_err(refusals::problem)?;
    let id: EmailId = id.parse().map_err(|_| refusals::problem(Refusal::NotFound))?;
    let key = draft::idempotency_key(headers, None);
    let key = key.map_err(|fault| refusals::invalid(&[fault]))?;
    let submission = Submission {
        correlation: exchange.correlation_id().clone(),
        limits: entered.limits(),
        idempotency: key.map(|key| IdempotencyRequest {
            endpoint: "emails/resend",
            key,
            fingerprint: fingerprint::of_bytes(id.to_string().as_bytes()),
        }),
        answer: &kept_single,
    };
    told(api, api.intake.resend(&entered.caller, id, submission).await.map_err(refusals::problem)?)
}

pub(super) fn request_of(endpoint: &'static str, key: String, json: &Json<'_>) -> IdempotencyRequest {
    // The key names the request, in its head or in its body: it is no part of what is asked for.
    IdempotencyRequest { endpoint, key, fingerprint: fingerprint::of_json_without(json, "idempotency_key") }
}

fn location(id: EmailId) -> String {
    format!("/api/emails/{id}")
}

fn accepted(body: &serde_json::Value, id: EmailId) -> Response {
    let mut response = answer::json(StatusCode::ACCEPTED, body);
    if let Ok(value) = HeaderValue::from_str(&location(id)) {
        response.headers_mut().insert(http::header::LOCATION, value);
    }
    response
}

/// An answer as it is kept with its idempotency key: status, location and body.
pub(super) fn kept(status: StatusCode, location: Option<String>, body: &serde_json::Value) -> Vec<u8> {
    json!({"status": status.as_u16(), "location": location, "body": body}).to_string().into_bytes()
}

fn kept_single(judged: &[Judged]) -> Vec<u8> {
    match judged.first() {
        Some(Ok((email, status))) => {
            kept(StatusCode::ACCEPTED, Some(location(email.id)), &shapes::accepted(email, *status))
        }
        // Refusals are not kept; intake asks for an answer only when there is an email.
        Some(Err(_)) | None => Vec::new(),
    }
}

/// The first answer again: same status, same body.
pub(super) fn replayed(kept: &[u8]) -> Result<Answered, Problem> {
    let unreadable = || Problem::new(problem::INTERNAL_ERROR, "the first answer cannot be read");
    let mut kept: serde_json::Value = serde_json::from_slice(kept).map_err(|_| unreadable())?;
    let status = kept["status"].as_u64().and_then(|code| StatusCode::from_u16(code as u16).ok());
    let mut response = answer::json(status.ok_or_else(unreadable)?, &kept["body"].take());
    if let Some(location) = kept["location"].as_str().and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(http::header::LOCATION, location);
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(Answered::Uncommitted(response))
}

/// A parameter that is `true` or `false`; absent is false.
pub(super) fn flag(parts: &http::request::Parts, name: &str) -> Result<bool, Problem> {
    let mut value = false;
    let mut errors = FieldErrors::new();
    for (key, text) in super::list::query(parts)? {
        match (key == name, text.as_str()) {
            (true, "true" | "1" | "") => value = true,
            (true, "false" | "0") => value = false,
            (true, _) => errors.push(format!("/{key}"), "invalid_value", "is true or false"),
            (false, _) => {
                errors.push(format!("/{key}"), "unknown_field", "is not a parameter of this request");
            }
        }
    }
    if errors.is_empty() { Ok(value) } else { Err(Problem::validation(errors)) }
}
