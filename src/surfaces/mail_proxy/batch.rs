//! `POST /api/v1/mail/send/batch`: each mail is judged on its own; the good ones are stored in one commit.

use super::entry::{SURFACE, must};
use super::errors::MailProxyError;
use super::given::Given;
use super::send::{idempotency_of, refused, replayed};
use super::{MailProxy, draft};
use crate::intake::{BatchAccepted, BatchRule, Judged, Submission};
use crate::surfaces::http::admission::{Answered, Entered};
use crate::surfaces::http::exchange::Exchange;
use crate::surfaces::http::idempotency::Kept;
use crate::surfaces::http::json::{self, Json};
use crate::surfaces::http::media;
use crate::surfaces::outward_status;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::request::Parts;
use http::{Request, StatusCode};
use posthaste_model::credential::Permission;
use posthaste_model::draft::Draft;
use serde_json::json;
use uuid::Uuid;

/// The handler.
pub(super) async fn many(State(proxy): State<MailProxy>, request: Request<Body>) -> Response {
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
    let mails = mails_of(&json, proxy.batch)?;
    let drafts: Vec<Draft> = json::aside(held.len(), || mails.iter().map(draft::read).collect());
    let names: Vec<Vec<String>> = drafts.iter().map(draft::file_names).collect();
    let batch_id = proxy.chance.uuid_v7(proxy.clock.now());
    let keep = |judged: &[Judged]| answer(proxy, batch_id, judged, &names).to_bytes();
    let submission = Submission {
        correlation: exchange.correlation_id().clone(),
        limits: entered.limits(),
        idempotency: json::aside(held.len(), || {
            idempotency_of(&parts.headers, "mail_proxy/send/batch", &json)
        })?,
        answer: &keep,
    };
    let rule = BatchRule { atomic: false, most: proxy.batch };
    let judged = match proxy.intake.accept_batch(&entered.caller, drafts, rule, submission).await? {
        BatchAccepted::Judged(judged) => judged,
        BatchAccepted::Refused(refused) => refused.into_iter().map(|(_, refusal)| Err(refusal)).collect(),
        BatchAccepted::Replayed(kept) => return replayed(&kept),
    };
    let accepted = judged.iter().filter(|one| one.is_ok()).count();
    (0..accepted).for_each(|_| proxy.metrics.accepted(SURFACE));
    tracing::info!(%batch_id, accepted, rejected = judged.len() - accepted, "batch judged");
    let response = answer(proxy, batch_id, &judged, &names).into_response();
    let response = response.ok_or_else(MailProxyError::internal)?;
    // With nothing but refusals there was no commit.
    Ok(if accepted > 0 { Answered::Committed(response) } else { Answered::Uncommitted(response) })
}

/// The mails; their number is judged before any of them is read.
fn mails_of<'j, 'a>(json: &'j Json<'a>, most: usize) -> Result<&'j [Json<'a>], MailProxyError> {
    let mails = Given::new(json)?.list("mails")?.ok_or_else(|| MailProxyError::missing("mails"))?;
    if mails.is_empty() {
        return Err(MailProxyError::bad("batch_empty", "a batch has at least one mail"));
    }
    if mails.len() > most {
        let message = format!("a batch has at most {most} mails; there are {}", mails.len());
        return Err(MailProxyError::bad("batch_too_large", message));
    }
    Ok(mails)
}

/// One result per mail, in order.
fn answer(proxy: &MailProxy, batch_id: Uuid, judged: &[Judged], names: &[Vec<String>]) -> Kept {
    let result = |(one, names): (&Judged, &Vec<String>)| match one {
        Ok((email, status)) => json!({"mail_id": email.id, "status": outward_status::mail_proxy(*status)}),
        Err(refusal) => refused(proxy, refusal.clone(), names).as_result(),
    };
    let results: Vec<_> = judged.iter().zip(names).map(result).collect();
    let success = judged.iter().any(Result::is_ok);
    Kept::json(StatusCode::OK, &json!({"success": success, "batch_id": batch_id, "results": results}))
}
