//! `POST /api/emails`, its dry run, `POST /api/emails/batch` and `POST /api/emails/{id}/resend`.

use super::entry::Entered;
use super::refusals;
use super::{EmailsApi, draft, shapes};
use crate::auth::Freshness;
use crate::intake::{Accepted, BatchAccepted, IdempotencyRequest, Judged, Submission};
use crate::surfaces::http::exchange::{self, Exchange};
use crate::surfaces::http::json::reader::{FieldErrors, escape};
use crate::surfaces::http::json::{self, Json, fingerprint};
use crate::surfaces::http::problem::{self, Problem};
use crate::surfaces::http::{answer, media};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use posthaste_model::EmailId;
use posthaste_model::draft::Field;
use posthaste_model::fault::FaultPoint;
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use serde_json::json;

const SURFACE: &str = "emails";
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// `POST /api/emails`.
pub(super) async fn one(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let exchange = exchange::of(&parts);
    let entered = match api.enter(&exchange, &parts.headers, Freshness::CheckedByCommit).await {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    let answer = accept_one(&api, &exchange, &entered, &parts, body).await;
    note(&api, &answer);
    api.intake.faults.crash_at(FaultPoint::Answered);
    entered.finish(&exchange, answer)
}

/// Counts what was refused; what was accepted is counted where it is known how much it was.
fn note(api: &EmailsApi, answer: &Result<Response, Problem>) {
    if let Err(problem) = answer {
        api.metrics.refused(SURFACE, problem.code());
    }
}

async fn accept_one(
    api: &EmailsApi,
    exchange: &Exchange,
    entered: &Entered,
    parts: &http::request::Parts,
    body: Body,
) -> Result<Response, Problem> {
    media::require_json(&parts.headers)?;
    let dry_run = flag(parts, "dry_run")?;
    let held = api.bodies.read(parts, body).await?;
    api.intake.faults.crash_at(FaultPoint::Read);
    let json = json::parse(&held)?;
    let mut read = draft::read(&json);
    let key = draft::idempotency_key(parts.headers.get(IDEMPOTENCY_KEY), read.idempotency_key.take());
    let key = key.map_err(|fault| read.draft.faults.push(fault)).unwrap_or_default();
    let submission = Submission {
        correlation: exchange.correlation_id().clone(),
        limits: entered.limits(),
        idempotency: key.map(|key| request_of("emails", key, &json)),
        answer: &kept_single,
    };
    if dry_run {
        let run =
            api.intake.dry_run(&entered.caller, read.draft, submission).await.map_err(refusals::problem)?;
        return Ok(answer::json(StatusCode::OK, &shapes::dry_run(&run)));
    }
    match api.intake.accept(&entered.caller, read.draft, submission).await.map_err(refusals::problem)? {
        Accepted::New(email, status) => {
            api.metrics.accepted(SURFACE);
            Ok(accepted(&shapes::accepted(&email, status), email.id))
        }
        Accepted::Replayed(kept) => replayed(&kept),
    }
}

/// `POST /api/emails/batch`.
pub(super) async fn batch(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let exchange = exchange::of(&parts);
    let entered = match api.enter(&exchange, &parts.headers, Freshness::CheckedByCommit).await {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    let answer = accept_batch(&api, &exchange, &entered, &parts, body).await;
    note(&api, &answer);
    entered.finish(&exchange, answer)
}

async fn accept_batch(
    api: &EmailsApi,
    exchange: &Exchange,
    entered: &Entered,
    parts: &http::request::Parts,
    body: Body,
) -> Result<Response, Problem> {
    media::require_json(&parts.headers)?;
    let atomic = flag(parts, "atomic")?;
    let held = api.bodies.read(parts, body).await?;
    let json = json::parse(&held)?;
    let mut drafts = Vec::new();
    for element in emails_of(&json, api.intake.limits.batch)? {
        let mut read = draft::read(element);
        if read.idempotency_key.take().is_some() {
            let message = "a batch has one idempotency key, in the Idempotency-Key header";
            let fault = Fault::new(Field::IdempotencyKey, FaultCode::InvalidIdempotencyKey, message);
            read.draft.faults.push(fault);
        }
        drafts.push(read.draft);
    }
    let key = draft::idempotency_key(parts.headers.get(IDEMPOTENCY_KEY), None);
    let key = key.map_err(|fault| refusals::invalid(&[fault]))?;
    let keep = |judged: &[Judged]| kept(StatusCode::ACCEPTED, None, &batch_results(judged, exchange));
    let submission = Submission {
        correlation: exchange.correlation_id().clone(),
        limits: entered.limits(),
        idempotency: key.map(|key| request_of("emails/batch", key, &json)),
        answer: &keep,
    };
    let outcome = api.intake.accept_batch(&entered.caller, drafts, atomic, submission).await;
    match outcome.map_err(refusals::problem)? {
        BatchAccepted::Judged(judged) => {
            judged.iter().filter(|one| one.is_ok()).for_each(|_| api.metrics.accepted(SURFACE));
            Ok(answer::json(StatusCode::ACCEPTED, &batch_results(&judged, exchange)))
        }
        BatchAccepted::Refused(refused) => Err(refused_whole(refused)),
        BatchAccepted::Replayed(kept) => replayed(&kept),
    }
}

/// The list of emails; its length is judged before any of them is read.
fn emails_of<'j, 'a>(json: &'j Json<'a>, most: usize) -> Result<&'j [Json<'a>], Problem> {
    let fault = |code, message: String| {
        refusals::invalid(&[Fault::new(Field::Other("emails".into()), code, message)])
    };
    let members = json.as_object().ok_or_else(|| {
        let message = format!("must be an object, not {}", json.type_name());
        refusals::invalid(&[Fault::new(Field::Request, FaultCode::InvalidType, message)])
    })?;
    if let Some((name, _)) = members.iter().find(|(name, _)| name != "emails") {
        let field = Field::Other(format!("/{}", escape(name)));
        let fault = Fault::new(field, FaultCode::UnknownField, "is not a field of this request");
        return Err(refusals::invalid(&[fault]));
    }
    match json.get("emails") {
        None => Err(fault(FaultCode::Required, "is required".into())),
        Some(Json::Array(emails)) if emails.len() > most => {
            let message = format!("a batch has at most {most} emails; there are {}", emails.len());
            Err(fault(FaultCode::OutOfRange, message))
        }
        Some(Json::Array(emails)) => Ok(emails),
        Some(other) => {
            Err(fault(FaultCode::InvalidType, format!("must be an array, not {}", other.type_name())))
        }
    }
}

/// `POST /api/emails/{id}/resend`.
pub(super) async fn resend(
    State(api): State<EmailsApi>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    let exchange = exchange::of(&parts);
    let entered = match api.enter(&exchange, &parts.headers, Freshness::CheckedByCommit).await {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    let answer = resend_one(&api, &exchange, &entered, &parts.headers, &id).await;
    entered.finish(&exchange, answer)
}

async fn resend_one(
    api: &EmailsApi,
    exchange: &Exchange,
    entered: &Entered,
    headers: &HeaderMap,
    id: &str,
) -> Result<Response, Problem> {
    let id: EmailId = id.parse().map_err(|_| refusals::problem(Refusal::NotFound))?;
    let key = draft::idempotency_key(headers.get(IDEMPOTENCY_KEY), None);
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
    match api.intake.resend(&entered.caller, id, submission).await.map_err(refusals::problem)? {
        Accepted::New(email, status) => {
            api.metrics.accepted(SURFACE);
            Ok(accepted(&shapes::accepted(&email, status), email.id))
        }
        Accepted::Replayed(kept) => replayed(&kept),
    }
}

fn request_of(endpoint: &'static str, key: String, json: &Json<'_>) -> IdempotencyRequest {
    IdempotencyRequest { endpoint, key, fingerprint: fingerprint::of_json(json) }
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
fn kept(status: StatusCode, location: Option<String>, body: &serde_json::Value) -> Vec<u8> {
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
fn replayed(kept: &[u8]) -> Result<Response, Problem> {
    let unreadable = || Problem::new(problem::INTERNAL_ERROR, "the first answer cannot be read");
    let mut kept: serde_json::Value = serde_json::from_slice(kept).map_err(|_| unreadable())?;
    let status = kept["status"].as_u64().and_then(|code| StatusCode::from_u16(code as u16).ok());
    let mut response = answer::json(status.ok_or_else(unreadable)?, &kept["body"].take());
    if let Some(location) = kept["location"].as_str().and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(http::header::LOCATION, location);
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

fn batch_results(judged: &[Judged], exchange: &Exchange) -> serde_json::Value {
    let results: Vec<serde_json::Value> = judged
        .iter()
        .map(|result| match result {
            Ok((email, status)) => json!({"email_id": email.id, "status": status}),
            Err(refusal) => json!({"error": refusals::problem(refusal.clone()).to_value(exchange)}),
        })
        .collect();
    json!({ "results": results })
}

/// All faults of an atomic batch, their pointers below `/emails/{i}`.
fn refused_whole(refused: Vec<(usize, Refusal)>) -> Problem {
    let mut all = FieldErrors::new();
    for (index, refusal) in refused {
        let place = format!("/emails/{index}");
        match refusal {
            Refusal::Invalid(faults) => {
                for error in refusals::errors(&faults, &place).into_vec() {
                    all.push(error.field, error.code, error.message);
                }
            }
            Refusal::TooLarge(fault) => {
                for error in refusals::errors(&[fault], &place).into_vec() {
                    all.push(error.field, error.code, error.message);
                }
            }
            other => return refusals::problem(other),
        }
    }
    Problem::validation(all)
}

/// A parameter that is `true` or `false`; absent is false.
fn flag(parts: &http::request::Parts, name: &str) -> Result<bool, Problem> {
    let mut value = false;
    for (key, text) in super::list::query(parts)? {
        match (key == name, text.as_str()) {
            (true, "true" | "1" | "") => value = true,
            (true, "false" | "0") => value = false,
            (true, _) => {
                return Err(Problem::new(problem::BAD_REQUEST, format!("{name} is true or false")));
            }
            (false, _) => {
                let detail = format!("{key} is not a parameter of this request");
                return Err(Problem::new(problem::BAD_REQUEST, detail));
            }
        }
    }
    Ok(value)
}
