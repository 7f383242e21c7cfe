//! `POST /api/webhooks/{mailgun|sendgrid|ses}`: providers' news. The signature is the credential. What is not proven is
//! 401 and changes nothing; our own trouble is 503, and nothing is ever 429, since a provider takes other answers for
//! delivered and the news would be lost.

use crate::base::metrics::Metrics;
use crate::news::{Desk, NewsError};
use crate::surfaces::Ground;
use crate::surfaces::http::answer;
use crate::surfaces::http::body::{Bodies, HeldBody};
use crate::surfaces::http::exchange;
use crate::surfaces::http::problem::{self, Problem};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use serde_json::json;

const SURFACE: &str = "provider_webhooks";

/// The surface.
#[derive(Clone)]
struct ProviderWebhooks {
    desk: Desk,
    bodies: Bodies,
    metrics: Metrics,
}

/// The surface's routes.
pub fn router(ground: &Ground) -> Router {
    let surface = ProviderWebhooks {
        desk: ground.news.clone(),
        bodies: ground.bodies.clone(),
        metrics: ground.metrics.clone(),
    };
    Router::new()
        .route("/api/webhooks/sendgrid", post(sendgrid))
        .route("/api/webhooks/mailgun", post(mailgun))
        .route("/api/webhooks/ses", post(ses))
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

impl ProviderWebhooks {
    async fn take(
        &self,
        request: Request<Body>,
        take: impl AsyncFnOnce(&Desk, &HeaderMap, &[u8]) -> Result<(), NewsError>,
    ) -> Response {
        let (parts, body) = request.into_parts();
        let held = match self.read(&parts, body).await {
            Ok(held) => held,
            Err(problem) => return problem.into_response(&exchange::of(&parts)),
        };
        let problem = match take(&self.desk, &parts.headers, held.bytes()).await {
            Ok(()) => return answer::json(StatusCode::OK, &json!({"status": "ok"})),
            Err(NewsError::Forged(why)) => {
                self.metrics.refused(SURFACE, "unauthorized");
                tracing::warn!(path = parts.uri.path(), why, "news was refused");
                Problem::new(problem::UNAUTHORIZED, why)
            }
            Err(NewsError::Unavailable(why)) => {
                tracing::warn!(path = parts.uri.path(), why, "news could not be taken in");
                Problem::new(problem::STORE_UNAVAILABLE, "the news cannot be kept now").with_retry_after(5)
            }
        };
        problem.into_response(&exchange::of(&parts))
    }

    async fn read(&self, parts: &Parts, body: Body) -> Result<HeldBody, Problem> {
        Ok(self.bodies.read(parts, body).await?)
    }
}

/// A header that came once.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}
