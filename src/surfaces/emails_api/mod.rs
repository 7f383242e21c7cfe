//! The Emails API (`/api/*`): translation between its JSON and what lies below. No rule about mail stands here.

mod admin_calls;
mod batch;
mod docs;
mod draft;
mod emails;
mod entry;
mod explain;
mod fields;
mod list;
pub mod openapi;
mod paths;
mod refusals;
mod send;
mod shapes;
mod stream;
mod templates;

use crate::admin::Admin;
use crate::auth::Auth;
use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::base::tasks::Tasks;
use crate::dispatch::Dispatch;
use crate::intake::Intake;
use crate::limits::Limits;
use crate::live::Live;
use crate::render::Renderer;
use crate::surfaces::http::body::Bodies;
use axum::Router;
use axum::routing::{any, get, post};
use posthaste_model::Rate;
use posthaste_store::Store;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What the surface works with.
pub struct EmailsApiParts {
    /// The way in.
    pub intake: Intake,
    /// Who is calling.
    pub auth: Auth,
    /// What an operator may change.
    pub admin: Admin,
    /// Where email is kept.
    pub store: Store,
    /// Templates and MIME.
    pub renderer: Renderer,
    /// Sliding windows.
    pub limits: Limits,
    /// News of emails.
    pub live: Live,
    /// Reads bodies within their bounds.
    pub bodies: Bodies,
    /// The time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Metrics,
    /// Runs event streams.
    pub tasks: Tasks,
    /// The worker of this process, if it has one: knows how the circuits stand.
    pub worker: Option<Dispatch>,
    /// Seats for event streams.
    pub streams: Arc<Semaphore>,
    /// Requests per key unless the key has its own.
    pub per_key: Rate,
    /// Requests per client address.
    pub per_address: Rate,
}

/// The surface.
#[derive(Clone)]
pub struct EmailsApi(Arc<EmailsApiParts>);

impl std::ops::Deref for EmailsApi {
    type Target = EmailsApiParts;

    fn deref(&self) -> &EmailsApiParts {
        &self.0
    }
}

impl EmailsApi {
    /// The surface over its parts.
    pub fn new(parts: EmailsApiParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Its routes. `openapi::OPERATIONS` describes each; a test compares the two.
    pub fn router(self) -> Router {
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
            .route("/api/events/stream", get(stream::open))
            .route("/api/templates", post(templates::put).get(templates::list))
            .route("/api/templates/{code}", get(templates::show).delete(templates::delete))
            .route("/api/templates/{code}/preview", post(templates::preview))
            .merge(admin_calls::routes())
            .route("/api/openapi.json", get(docs::document))
            .route("/api/docs", get(docs::page))
            .route("/api/docs.css", get(docs::style))
            .route("/api/{*rest}", any(paths::not_found))
            .method_not_allowed_fallback(paths::method_not_allowed)
            .with_state(self)
    }
}
