//! `POST /api/emails/batch`: many emails in one request, each judged on its own, or all or none.

use super::entry::SURFACE;
use super::send::{flag, kept, replayed, request_of};
use super::{EmailsApi, draft, refusals};
use crate::intake::{BatchAccepted, BatchRule, IdempotencyRequest, Judged, Submission};
use crate::surfaces::http::admission::{Answered, Entered};
use crate::surfaces::http::exchange::Exchange;
use crate::surfaces::http::json::reader::{FieldErrors, ObjectReader};
use crate::surfaces::http::json::{self, Json, fingerprint};
use crate::surfaces::http::problem::Problem;
use crate::surfaces::http::{answer, media};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use posthaste_model::credential::Permission;
use posthaste_model::draft::{Draft, Field};
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use serde_json::json;

/// `POST /api/emails/batch`.
pub(super) async fn many(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let work = async |exchange: &Exchange, entered: &Entered| {
        accept_batch(&api, exchange, entered, &parts, body).await
    };
    api.committing(&parts, work).await
}

async fn accept_batch(
    api: &EmailsApi,
    exchange: &Exchange,
    entered: &Entered,
    parts: &http::request::Parts,
    body: Body,
) -> Result<Answered, Problem> {
    entered.caller.must(Permission::EmailsSend).map_err(refusals::problem)?;
    media::require_json(&parts.headers)?;
    let atomic = flag(parts, "atomic")?;
    let held = api.bodies.read(parts, body).await?;
    let json = json::parse_body(&held)?;
    let emails = emails_of(&json, api.intake.limits.batch)?;
    let drafts = json::aside(held.len(), || emails.iter().map(draft_of).collect());
    let key = draft::idempotency_key(&parts.headers, None);
    let key = key.map_err(|fault| refusals::invalid(&[fault]))?;
    let keep = |judged: &[Judged]| kept(StatusCode::ACCEPTED, None, &results(judged, emails, exchange));
    let submission = Submission {
        correlation: exchange.correlation_id().clone(),
        limits: entered.limits(),
        idempotency: key
            .map(|key| asked_as(atomic, json::aside(held.len(), || request_of("emails/batch", key, &json)))),
        answer: &keep,
    };
    let rule = BatchRule { atomic, most: api.intake.limits.batch };
    let outcome = api.intake.accept_batch(&entered.caller, drafts, rule, submission).await;
    match outcome.map_err(refusals::problem)? {
        BatchAccepted::Judged(judged) => {
            judged.iter().filter(|one| one.is_ok()).for_each(|_| api.metrics.accepted(SURFACE));
            let answer = answer::json(StatusCode::ACCEPTED, &results(&judged, emails, exchange));
            // With nothing but refusals there was no commit.
            Ok(if judged.iter().any(Result::is_ok) {
                Answered::Committed(answer)
            } else {
                Answered::Uncommitted(answer)
            })
        }
        BatchAccepted::Refused(refused) => Err(refused_whole(refused, emails)),
        BatchAccepted::Replayed(kept) => replayed(&kept),
    }
}

/// One email of a batch.
fn draft_of(element: &Json<'_>) -> Draft {
    let mut read = draft::read(element);
    if read.idempotency_key.take().is_some() {
        let message = "a batch has one idempotency key, in the Idempotency-Key header";
        let fault = Fault::new(Field::IdempotencyKey, FaultCode::InvalidIdempotencyKey, message);
        read.draft.faults.push(fault);
    }
    read.draft
}

/// All or none is another request than each on its own, with the same body.
fn asked_as(atomic: bool, mut request: IdempotencyRequest) -> IdempotencyRequest {
    if atomic {
        let whole: [(&str, &[u8]); 2] = [("atomic", b"true"), ("body", &request.fingerprint)];
        request.fingerprint = fingerprint::of_fields(whole);
    }
    request
}

/// The list of emails; its length is judged before any of them is read.
fn emails_of<'j, 'a>(json: &'j Json<'a>, most: usize) -> Result<&'j [Json<'a>], Problem> {
    let mut errors = FieldErrors::new();
    let mut emails: &[Json<'_>] = &[];
    if let Some(mut body) = ObjectReader::new(json, "", &mut errors) {
        emails = body.required_array("emails").unwrap_or_default();
        if emails.len() > most {
            let message = format!("a batch has at most {most} emails; there are {}", emails.len());
            body.fault("emails", "out_of_range", message);
        }
        body.finish();
    }
    if errors.is_empty() { Ok(emails) } else { Err(Problem::validation(errors)) }
}

/// One result per email, in order.
fn results(judged: &[Judged], emails: &[Json<'_>], exchange: &Exchange) -> serde_json::Value {
    let results: Vec<serde_json::Value> = judged
        .iter()
        .zip(emails)
        .map(|(result, email)| match result {
            Ok((email, status)) => json!({"email_id": email.id, "status": status}),
            Err(refusal) => {
                json!({"error": refusals::problem_in(refusal.clone(), email).to_value(exchange)})
            }
        })
        .collect();
    json!({ "results": results })
}

/// All faults of an atomic batch, their pointers below `/emails/{i}`.
fn refused_whole(refused: Vec<(usize, Refusal)>, emails: &[Json<'_>]) -> Problem {
    let mut all = FieldErrors::new();
    for (index, refusal) in refused {
        let faults = match refusal {
            Refusal::Invalid(faults) => faults,
            Refusal::TooLarge(fault) => vec![fault],
            other => return refusals::problem(other),
        };
        for error in refusals::errors(&faults, &format!("/emails/{index}"), emails.get(index)).into_vec() {
            all.push(error.field, error.code, error.message);
        }
    }
    Problem::validation(all)
}
