//! The Emails API (`/api/*`): translation between its JSON and what lies below. No rule about mail stands here.

mod admin_calls;
mod batch;
mod docs;
mod draft;
mod emails;
mod entry;
mod explain;
mod feed;
mod fields;
mod list;
pub mod openapi;
mod paths;
mod refusals;
mod send;
mod shapes;
mod stream;
mod suppressions;
mod templates;
mod webhooks;

pub use admin_calls::{domain_dns_shape, domain_shape, key_shape};
pub use shapes::template as template_shape;
pub use suppressions::suppression_shape;

use crate::admin::Admin;
use crate::auth::Auth;
use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::base::tasks::Tasks;
use crate::dispatch::Dispatch;
use crate::intake::Intake;
use crate::limits::Limits;
use crate::live::Live;
use crate::outbound::Reach;
use crate::render::Renderer;
use crate::surfaces::Ground;
use crate::surfaces::http::body::Bodies;
use axum::Router;
use axum::routing::{any, delete, get, post};
use posthaste_model::Rate;
use posthaste_store::Store;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What the surface works with.
struct EmailsApiParts {
    /// The way in.
    intake: Intake,
    /// Who is calling.
    auth: Auth,
    /// What an operator may change.
    admin: Admin,
    /// Where email is kept.
    store: Store,
    /// Templates and MIME.
    renderer: Renderer,
    /// Sliding windows.
    limits: Limits,
    /// News of emails.
    live: Live,
    /// Reads bodies within their bounds.
    bodies: Bodies,
    /// The time.
    clock: Clock,
    /// What is counted.
    metrics: Metrics,
    /// Runs event streams.
    tasks: Tasks,
    /// The worker of this process, if it has one: knows how the circuits stand.
    worker: Option<Dispatch>,
    /// Seats for event streams.
    streams: Arc<Semaphore>,
    /// Requests per key unless the key has its own.
    per_key: Rate,
    /// Requests per client address.
    per_address: Rate,
    /// How far webhooks reach.
    webhooks_reach: Reach,
}

/// The surface.
#[derive(Clone)]
struct EmailsApi(Arc<EmailsApiParts>);

impl std::ops::Deref for EmailsApi {
    type Target = EmailsApiParts;

    fn deref(&self) -> &EmailsApiParts {
        &self.0
    }
}

/// Event streams that may be open at once in one process.
const STREAMS: usize = 1000;

/// The surface's routes. `openapi::operations` describes each; a test compares the two.
pub fn router(ground: &Ground) -> Router {
    let limits = &ground.settings.limits;
    EmailsApi(Arc::new(EmailsApiParts {
        intake: ground.intake.clone(),
        auth: ground.auth.clone(),
        admin: ground.admin.clone(),
        store: ground.store.clone(),
        renderer: ground.renderer.clone(),
        limits: ground.limits.clone(),
        live: ground.live.clone(),
        bodies: ground.bodies.clone(),
        clock: ground.clock.clone(),
        metrics: ground.metrics.clone(),
        tasks: ground.tasks.clone(),
        worker: ground.worker.clone(),
        streams: Arc::new(Semaphore::new(STREAMS)),
        per_key: limits.per_key,
        per_address: limits.per_ip,
        webhooks_reach: if ground.settings.webhooks.allow_private { Reach::Private } else { Reach::Public },
    }))
    .routes()
}

impl EmailsApi {
    fn routes(self) -> Router {
        Router::new()
            .route("/api/emails", post(send::one).get(list::emails))
            .route("/api/emails/batch", post(batch::many))
            .route("/api/emails/{id}", get(emails::show))
            .route("/api/emails/{id}/explain", get(explain::show))
            .route("/api/emails/{id}/content", get(emails::content))
            .route("/api/emails/{id}/raw", get(emails::raw))
            .route("/api/emails/{id}/cancel", post(emails::cancel))
            .route("/api/emails/{id}/resend", post(send::resend))
            .route("/api/stats", get(list::stats))
            .route("/api/events", get(feed::read))
            .route("/api/events/stream", get(stream::open))
            .route("/api/templates", post(templates::put).get(templates::list))
            .route("/api/templates/{code}", get(templates::show).delete(templates::delete))
            .route("/api/templates/{code}/preview", post(templates::preview))
            .route("/api/suppressions", get(suppressions::list).post(suppressions::add))
            .route("/api/suppressions/{email}", delete(suppressions::remove))
            .merge(webhooks::routes())
            .merge(admin_calls::routes())
            .route("/api/openapi.json", get(docs::document))
            .route("/api/docs", get(docs::page))
            .route("/api/docs.css", get(docs::style))
            .route("/api/{*rest}", any(paths::not_found))
            .method_not_allowed_fallback(paths::method_not_allowed)
            .with_state(self)
    }
}
