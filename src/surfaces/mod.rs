//! The doors: each surface translates its own documented shapes onto the one pipeline, and knows no rule of mail.
//! Here, and only here, the dialects meet.

pub mod emails_api;
pub mod files;
pub mod http;
pub mod inbox;
pub mod ops;
pub mod web;

use axum::Router;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;

/// The surfaces of one process.
pub struct Doors {
    /// Liveness, readiness, metrics: on every node.
    pub ops: ops::Ops,
    /// What only API nodes answer.
    pub api: Option<ApiDoors>,
}

/// The surfaces of an API node.
pub struct ApiDoors {
    /// The Emails API.
    pub emails: emails_api::EmailsApi,
    /// Linked attachments.
    pub files: files::Files,
    /// The inbox of kept mail.
    pub inbox: inbox::Inbox,
}

/// The whole router.
pub fn router(doors: Doors) -> Router {
    let mut router = doors.ops.clone().probes();
    if let Some(api) = doors.api {
        router = router
            .merge(doors.ops.health())
            .merge(api.emails.router())
            .merge(api.files.router())
            .merge(api.inbox.router())
            .route("/", get(async || Redirect::to("/inbox").into_response()));
    }
    router.fallback(http::problem::not_found).method_not_allowed_fallback(http::problem::method_not_allowed)
}
