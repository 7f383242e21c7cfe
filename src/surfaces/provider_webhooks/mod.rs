//! `POST /api/webhooks/{mailgun|sendgrid|ses}`: providers' news. The signature is the credential. What is not proven is
//! 401 and changes nothing; our own trouble is 503, and nothing is ever 429, since a provider takes other answers for
//! delivered and the news would be lost.

use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::limits::Limits;
use crate::news::{Desk, NewsError};
use crate::surfaces::Ground;
use crate::surfaces::http::body::Bodies;
use crate::surfaces::http::problem::{self, Problem};
use crate::surfaces::http::{admission, answer, exchange, rate_headers};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use posthaste_model::Rate;
use serde_json::json;

const SURFACE: &str = "provider_webhooks";

/// The surface.
#[derive(Clone)]
struct ProviderWebhooks {
    desk: Desk,
    bodies: Bodies,
    metrics: Metrics,
    limits: Limits,
    per_address: Rate,
    clock: Clock,
}

/// The surface's routes.
pub fn router(ground: &Ground) -> Router {
    let surface = ProviderWebhooks {
        desk: ground.news.clone(),
        bodies: ground.bodies.clone(),
        metrics: ground.metrics.clone(),
        limits: ground.limits.clone(),
        per_address: ground.settings.limits.per_ip,
        clock: ground.clock.clone(),
    };
    Router::new()
        .route("/api/webhooks/sendgrid", post(sendgrid))
        .route("/api/webhooks/mailgun", post(mailgun))
        .route("/api/webhooks/ses", post(ses))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(surface)
}

async fn sendgrid(State(surface): State<ProviderWebhooks>, request: Request<Body>) -> Response {
    surface
        .take(request, async |desk, headers, body| {
            let signature = single(headers, "x-twilio-email-event-webhook-signature");
            let timestamp = single(headers, "x-twilio-email-event-webhook-timestamp");
            desk.sendgrid(signature, timestamp, body).await
        })
        .await
}

async fn mailgun(State(surface): State<ProviderWebhooks>, request: Request<Body>) -> Response {
    surface.take(request, async |desk, _, body| desk.mailgun(body).await).await
}

async fn ses(State(surface): State<ProviderWebhooks>, request: Request<Body>) -> Response {
    surface
        .take(request, async |desk, headers, body| {
            desk.ses(single(headers, "x-amz-sns-message-type"), body).await
        })
        .await
}

async fn method_not_allowed(State(surface): State<ProviderWebhooks>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let problem = Problem::new(problem::METHOD_NOT_ALLOWED, "this path does not have this method");
    surface.answer(&parts, Err(problem)).await
}

impl ProviderWebhooks {
    async fn take(
        &self,
        request: Request<Body>,
        take: impl AsyncFnOnce(&Desk, &HeaderMap, &[u8]) -> Result<(), NewsError>,
    ) -> Response {
        let (parts, body) = request.into_parts();
        let taken = match self.bodies.read(&parts, body).await {
            Ok(held) => self.judge(&parts, take(&self.desk, &parts.headers, held.bytes()).await),
            Err(refusal) => Err(refusal.into()),
        };
        self.answer(&parts, taken).await
    }

    fn judge(&self, parts: &Parts, taken: Result<(), NewsError>) -> Result<(), Problem> {
        match taken {
            Ok(()) => Ok(()),
            Err(NewsError::Forged(why)) => {
                self.metrics.refused(SURFACE, "unauthorized");
                tracing::warn!(path = parts.uri.path(), why, "news was refused");
                Err(Problem::new(problem::UNAUTHORIZED, why))
            }
            Err(NewsError::Unavailable(why)) => {
                tracing::warn!(path = parts.uri.path(), why, "news could not be taken in");
                Err(Problem::new(problem::STORE_UNAVAILABLE, "the news cannot be kept now")
                    .with_retry_after(5))
            }
        }
    }

    /// The answer, with the figures of the address, as on every answer of the API. None of these calls counts.
    async fn answer(&self, parts: &Parts, taken: Result<(), Problem>) -> Response {
        let exchange = exchange::of(parts);
        let mut response = match taken {
            Ok(()) => answer::json(StatusCode::OK, &json!({"status": "ok"})),
            Err(problem) => problem.into_response(&exchange),
        };
        let stand = admission::stand(&self.limits, &exchange, self.per_address, self.clock.now()).await;
        rate_headers::write(response.headers_mut(), &stand);
        response
    }
}

/// A header that came once.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}
