//! `GET /api/emails/{id}` and what belongs to one email: content, raw message, cancel.

use super::entry::finish;
use super::paths::Segment;
use super::{EmailsApi, refusals, shapes};
use crate::auth::{Caller, Freshness};
use crate::surfaces::http::answer;
use crate::surfaces::http::exchange::{self, Exchange};
use crate::surfaces::http::json::reader::FieldErrors;
use crate::surfaces::http::patience;
use crate::surfaces::http::problem::{self, Problem};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, Request, StatusCode};
use posthaste_model::EmailId;
use posthaste_model::credential::Permission;
use posthaste_model::refusal::Refusal;
use posthaste_store::EmailRecord;
use serde_json::json;
use std::future::Future;
use std::time::Duration;

/// First pause between two looks while no bell rings (news of another process may be lost, or never be told); it
/// doubles up to [`SLOWEST_LOOK`].
const FIRST_LOOK: Duration = Duration::from_millis(100);
const SLOWEST_LOOK: Duration = Duration::from_secs(1);

/// Runs a call that needs `permission`, and answers it with the figures of the limit.
pub(super) async fn call<F, Fut>(
    api: &EmailsApi,
    parts: &http::request::Parts,
    permission: Permission,
    work: F,
) -> Response
where
    F: FnOnce(Caller, Exchange) -> Fut,
    Fut: Future<Output = Result<Response, Problem>>,
{
    call_with_either(api, parts, [permission, permission], work).await
}

/// As [`call`], for those who have one of the two; who has neither is told of the first.
pub(super) async fn call_with_either<F, Fut>(
    api: &EmailsApi,
    parts: &http::request::Parts,
    [first, second]: [Permission; 2],
    work: F,
) -> Response
where
    F: FnOnce(Caller, Exchange) -> Fut,
    Fut: Future<Output = Result<Response, Problem>>,
{
    let exchange = exchange::of(parts);
    let entered = match api.enter(&exchange, &parts.headers, Freshness::Now).await {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    let may = entered.caller.must(second).or_else(|_| entered.caller.must(first));
    let answer = match may {
        Err(refusal) => Err(refusals::problem(refusal)),
        Ok(()) => work(entered.caller.clone(), exchange.clone()).await,
    };
    finish(&entered, &exchange, answer)
}

/// Another client's id, a random one and text that is no id are told alike.
pub(super) fn email_id(text: &str) -> Result<EmailId, Problem> {
    text.parse().map_err(|_| not_found())
}

pub(super) fn not_found() -> Problem {
    refusals::problem(Refusal::NotFound)
}

impl EmailsApi {
    pub(super) async fn record(&self, caller: &Caller, id: EmailId) -> Result<EmailRecord, Problem> {
        let found = self.store.email(caller.client.id, id).await;
        found.map_err(|error| refusals::store(&error))?.ok_or_else(not_found)
    }

    /// An email whose content retention has not dropped: what is left would read like an empty message.
    async fn kept(&self, caller: &Caller, id: EmailId) -> Result<EmailRecord, Problem> {
        let record = self.record(caller, id).await?;
        if record.content_dropped {
            let detail = "the content of this email is no longer kept";
            return Err(Problem::new(problem::NOT_FOUND, detail));
        }
        Ok(record)
    }
}

/// `GET /api/emails/{id}?wait=5s`.
pub(super) async fn show(
    State(api): State<EmailsApi>,
    Segment(id): Segment,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::EmailsRead, async |caller, _| {
        let id = email_id(&id)?;
        let wait = wait(&parts)?;
        let deadline = tokio::time::Instant::now() + wait;
        let (mut pause, stopping) = (FIRST_LOOK, api.tasks.token());
        // Listen first, then look: what changes in between rings.
        let mut bell = api.live.email(id);
        let record = loop {
            let record = api.record(&caller, id).await?;
            if record.status.is_settled() || tokio::time::Instant::now() >= deadline {
                break record;
            }
            let look_at = deadline.min(tokio::time::Instant::now() + pause);
            // Whether it rang or not, the next look tells.
            let news = tokio::time::timeout_at(look_at, bell.rung());
            if stopping.run_until_cancelled(news).await.is_none() {
                // The process is being stopped: an answer now is worth more than a connection cut later.
                break record;
            }
            pause = (pause * 2).min(SLOWEST_LOOK);
        };
        let events = api.store.events(caller.client.id, id).await.map_err(|error| refusals::store(&error))?;
        Ok(answer::json(StatusCode::OK, &shapes::email(&record, &events)))
    })
    .await
}

/// `wait` as a duration of up to a minute; absent is zero.
fn wait(parts: &http::request::Parts) -> Result<Duration, Problem> {
    let fault = |key: &str, code, message| {
        let mut errors = FieldErrors::new();
        errors.push(format!("/{key}"), code, message);
        Problem::validation(errors)
    };
    let mut wait = Duration::ZERO;
    for (key, text) in super::list::query(parts)? {
        if key != "wait" {
            return Err(fault(&key, "unknown_field", "is not a parameter of this request"));
        }
        let invalid = || fault(&key, "invalid_value", "is a time of up to 60s, such as 5s, 500ms or 1m");
        wait = patience::read(&text).ok_or_else(invalid)?;
    }
    Ok(wait)
}

/// `GET /api/emails/{id}/content`.
pub(super) async fn content(
    State(api): State<EmailsApi>,
    Segment(id): Segment,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::EmailsRead, async |caller, _| {
        let record = api.kept(&caller, email_id(&id)?).await?;
        let content = api.renderer.content(&record.email).await.map_err(|error| unrendered(&error))?;
        let message = api.renderer.message(&record.email).await.map_err(|error| unrendered(&error))?;
        let fields = posthaste_mail::view::read_message(&message.bytes).fields;
        let headers: Vec<_> = fields.iter().map(|f| json!({"name": f.name, "value": f.value})).collect();
        let mut body = shapes::rendered(&content);
        body["headers"] = headers.into();
        Ok(answer::json(StatusCode::OK, &body))
    })
    .await
}

/// `GET /api/emails/{id}/raw`: the message exactly as sent.
pub(super) async fn raw(
    State(api): State<EmailsApi>,
    Segment(id): Segment,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::EmailsRead, async |caller, _| {
        let record = api.kept(&caller, email_id(&id)?).await?;
        let message = api.renderer.message(&record.email).await.map_err(|error| unrendered(&error))?;
        Ok(answer::bytes_as(StatusCode::OK, HeaderValue::from_static("message/rfc822"), message.bytes))
    })
    .await
}

fn unrendered(error: &crate::render::RenderError) -> Problem {
    tracing::warn!(error = %error, "an accepted email could not be rendered");
    Problem::new(problem::INTERNAL_ERROR, "the message cannot be rendered")
}

/// `POST /api/emails/{id}/cancel`.
pub(super) async fn cancel(
    State(api): State<EmailsApi>,
    Segment(id): Segment,
    request: Request<Body>,
) -> Response {
    let (parts, _) = request.into_parts();
    call(&api, &parts, Permission::EmailsCancel, async |caller, _| {
        let id = email_id(&id)?;
        api.intake.cancel(&caller, id).await.map_err(refusals::problem)?;
        Ok(answer::json(StatusCode::OK, &json!({"email_id": id, "status": "cancelled"})))
    })
    .await
}
