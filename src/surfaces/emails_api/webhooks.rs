//! `/api/webhooks`: where the client is told what became of its mail, and the log of what was told. Reading needs
//! the same permission as changing: URLs may carry tokens.

use super::admin_calls::{actor, object, overlap};
use super::emails::{call, not_found};
use super::list::query;
use super::paths::{Segment, SegmentPair};
use super::{EmailsApi, refusals};
use crate::admin::{NewWebhook, WebhookPatch};
use crate::auth::Caller;
use crate::surfaces::http::answer;
use crate::surfaces::http::exchange::Exchange;
use crate::surfaces::http::json::Json;
use crate::surfaces::http::json::reader::{FieldErrors, ObjectReader};
use crate::surfaces::http::problem::Problem;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::{Request, StatusCode};
use posthaste_model::credential::Permission;
use posthaste_model::{Secret, WebhookId};
use posthaste_store::{DeliveryState, Webhook, WebhookAttempt, WebhookDelivery};
use serde_json::{Value, json};
use std::time::Duration;

/// How long the secret before a rotation signs too, unless told otherwise.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// Deliveries in an answer.
const DEFAULT_PAGE: usize = 20;
const LARGEST_PAGE: usize = 100;

/// The routes of these calls. `POST /api/webhooks/{name}` belongs to the providers: each of theirs is a path of its own.
pub(super) fn routes() -> Router<EmailsApi> {
    Router::new()
        .route("/api/webhooks", get(list).post(create))
        .route("/api/webhooks/{id}", get(show).patch(change).delete(remove))
        .route("/api/webhooks/{id}/rotate", post(rotate))
        .route("/api/webhooks/{id}/test", post(test))
        .route("/api/webhooks/{id}/deliveries", get(deliveries))
        .route("/api/webhooks/{id}/deliveries/{delivery}/replay", post(replay))
}

/// Runs a call for those who may change webhooks, and for administrators.
async fn allowed<F, Fut>(api: &EmailsApi, parts: &http::request::Parts, work: F) -> Response
where
    F: FnOnce(Caller, Exchange) -> Fut,
    Fut: Future<Output = Result<Response, Problem>>,
{
    call(api, parts, Permission::WebhooksWrite, work).await
}

fn webhook_id(text: &str) -> Result<WebhookId, Problem> {
    text.parse().map_err(|_| not_found())
}

fn shown(webhook: &Webhook) -> Value {
    json!({
        "id": webhook.id,
        "url": webhook.url,
        "events": webhook.events.split(',').collect::<Vec<_>>(),
        "active": webhook.is_active,
        "managed_by": if webhook.is_configured { "configuration" } else { "client" },
        "failing_since": webhook.failing_since,
        "disabled_reason": webhook.disabled_reason,
        "previous_secret_until": webhook.previous.as_ref().map(|(_, until)| until),
        "created_at": webhook.created_at,
    })
}

fn with_secret(webhook: &Webhook, secret: &Secret) -> Value {
    let mut shown = shown(webhook);
    shown["secret"] = secret.expose().into();
    shown
}

/// A call. The answer's body is not kept: a webhook must not be a way to read what stands inside a network.
fn attempt(one: &WebhookAttempt) -> Value {
    json!({"at": one.at, "status_code": one.status, "error": one.fault, "duration_ms": one.took_ms})
}

fn delivery(one: &WebhookDelivery) -> Value {
    json!({
        "id": one.id,
        "event_id": one.event,
        "type": one.kind,
        "email_id": one.email_id,
        "seq": one.seq,
        "status": match one.state {
            DeliveryState::Waiting => "pending",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Failed => "failed",
        },
        "attempt_count": one.attempt_count,
        "attempts": one.attempts.iter().map(attempt).collect::<Vec<_>>(),
        "next_attempt_at": one.due_at,
        "created_at": one.created_at,
        "payload": String::from_utf8_lossy(&one.body),
    })
}

/// A list of names; one name alone stands for a list of it.
fn names(reader: &mut ObjectReader<'_, '_, '_>) -> Option<Vec<String>> {
    if let Some(one) = reader.value("events").and_then(Json::as_str) {
        return Some(vec![one.to_owned()]);
    }
    Some(reader.text_list("events")?.into_iter().map(str::to_owned).collect())
}

/// `GET /api/webhooks`.
async fn list(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    allowed(&api, &parts, async |caller, _| {
        let webhooks = api.admin.webhooks(caller.client.id).await.map_err(refusals::problem)?;
        let data: Vec<_> = webhooks.iter().map(shown).collect();
        Ok(answer::json(StatusCode::OK, &json!({ "data": data })))
    })
    .await
}

/// `POST /api/webhooks`: the secret stands in this answer and nowhere else.
async fn create(State(api): State<EmailsApi>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    allowed(&api, &parts, async |caller, exchange| {
        let new = object(&api, &parts, body, |reader| NewWebhook {
            url: reader.required_text("url").unwrap_or_default().to_owned(),
            events: {
                if !reader.has("events") {
                    reader.fault("events", "required", "is required");
                }
                names(reader).unwrap_or_default()
            },
            is_active: reader.boolean("active").unwrap_or(true),
        })
        .await?;
        let made = api
            .admin
            .create_webhook(caller.client.id, new, api.webhooks_reach, &actor(&caller, &exchange))
            .await;
        let (webhook, secret) = made.map_err(refusals::problem)?;
        Ok(answer::json(StatusCode::CREATED, &with_secret(&webhook, &secret)))
    })
    .await
}

/// `GET /api/webhooks/{id}`.
async fn show(State(api): State<EmailsApi>, Segment(id): Segment, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    allowed(&api, &parts, async |caller, _| {
        let found = api.admin.webhook(caller.client.id, webhook_id(&id)?).await;
        Ok(answer::json(StatusCode::OK, &shown(&found.map_err(refusals::problem)?)))
    })
    .await
}

/// `PATCH /api/webhooks/{id}`: what is left out stays.
async fn change(State(api): State<EmailsApi>, Segment(id): Segment, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    allowed(&api, &parts, async |caller, exchange| {
        let id = webhook_id(&id)?;
        let patch = object(&api, &parts, body, |reader| WebhookPatch {
            url: reader.text("url").map(str::to_owned),
            events: names(reader),
            is_active: reader.boolean("active"),
        })
        .await?;
        let (client, actor) = (caller.client.id, actor(&caller, &exchange));
        let changed = api.admin.update_webhook(client, id, patch, api.webhooks_reach, &actor).await;
        Ok(answer::json(StatusCode::OK, &shown(&changed.map_err(refusals::problem)?)))
    })
    .await
}

/// `DELETE /api/webhooks/{id}`.
async fn remove(State(api): State<EmailsApi>, Segment(id): Segment, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    allowed(&api, &parts, async |caller, exchange| {
        let id = webhook_id(&id)?;
        let removed = api.admin.delete_webhook(caller.client.id, id, &actor(&caller, &exchange)).await;
        removed.map_err(refusals::problem)?;
        Ok(answer::empty(StatusCode::NO_CONTENT))
    })
    .await
}

/// `POST /api/webhooks/{id}/rotate`: a new secret; the one before signs too for the overlap.
async fn rotate(State(api): State<EmailsApi>, Segment(id): Segment, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    allowed(&api, &parts, async |caller, exchange| {
        let id = webhook_id(&id)?;
        let overlap = overlap(&api, &parts, body).await?.unwrap_or(OVERLAP);
        let rotated =
            api.admin.rotate_webhook(caller.client.id, id, overlap, &actor(&caller, &exchange)).await;
        let (webhook, secret) = rotated.map_err(refusals::problem)?;
        Ok(answer::json(StatusCode::OK, &with_secret(&webhook, &secret)))
    })
    .await
}

/// `POST /api/webhooks/{id}/test`: one call, made by a worker; the delivery in the answer shows up in the log.
async fn test(State(api): State<EmailsApi>, Segment(id): Segment, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    allowed(&api, &parts, async |caller, _| {
        let made = api.admin.test_webhook(caller.client.id, webhook_id(&id)?).await;
        Ok(answer::json(StatusCode::ACCEPTED, &delivery(&made.map_err(refusals::problem)?)))
    })
    .await
}

/// `GET /api/webhooks/{id}/deliveries?before&limit`.
async fn deliveries(State(api): State<EmailsApi>, Segment(id): Segment, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    allowed(&api, &parts, async |caller, _| {
        let id = webhook_id(&id)?;
        let (before, limit) = page(&parts)?;
        let found = api.admin.webhook_deliveries(caller.client.id, id, before, limit).await;
        let (found, has_more) = found.map_err(refusals::problem)?;
        let next_before = found.last().filter(|_| has_more).map(|one| one.number);
        let data: Vec<_> = found.iter().map(delivery).collect();
        Ok(answer::json(StatusCode::OK, &json!({"data": data, "next_before": next_before})))
    })
    .await
}

fn page(parts: &http::request::Parts) -> Result<(Option<i64>, usize), Problem> {
    let (mut before, mut limit) = (None, DEFAULT_PAGE);
    let mut errors = FieldErrors::new();
    for (key, text) in query(parts)? {
        match (key.as_str(), text.parse::<i64>()) {
            ("before", Ok(number)) if number > 0 => before = Some(number),
            ("limit", Ok(given)) if (1..=LARGEST_PAGE as i64).contains(&given) => limit = given as usize,
            ("before", _) => errors.push("/before", "invalid_value", "must be `next_before` of a page"),
            ("limit", _) => errors.push("/limit", "out_of_range", "must be 1 to 100"),
            _ => errors.push(format!("/{key}"), "unknown_field", "is not a parameter of this request"),
        }
    }
    if errors.is_empty() { Ok((before, limit)) } else { Err(Problem::validation(errors)) }
}

/// `POST /api/webhooks/{id}/deliveries/{delivery}/replay`.
async fn replay(
    State(api): State<EmailsApi>,
    SegmentPair(id, one): SegmentPair,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    allowed(&api, &parts, async |caller, _| {
        let (id, one) = (webhook_id(&id)?, one.parse().map_err(|_| not_found())?);
        let replayed = api.admin.replay_webhook_delivery(caller.client.id, id, one).await;
        Ok(answer::json(StatusCode::ACCEPTED, &delivery(&replayed.map_err(refusals::problem)?)))
    })
    .await
}
