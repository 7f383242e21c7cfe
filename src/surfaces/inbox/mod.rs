//! `/inbox`: the mail that was kept instead of sent, to look at in a browser and to read from tests. Pages for people,
//! the same as JSON under `/inbox/api`, documented in docs/inbox.md.
//!
//! The mail shown may be hostile, and the inbox is open to whoever sits at the machine: `access` decides who may
//! see what, `frame` shows the HTML of a message so that nothing in it runs or loads.

mod access;
mod api;
mod code;
mod content;
mod forms;
pub(super) mod frame;
mod message;
mod pages;
mod parameters;
pub(super) mod parts;
mod release;
mod shapes;
mod visit;
mod wait;

use crate::auth::Auth;
use crate::blobs::Blobs;
use crate::surfaces::Ground;
use crate::transports::InboxBell;
use access::Access;
use axum::Router;
use axum::routing::MethodFilter;
use posthaste_store::Store;
use release::{Releases, Ways};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use visit::{route, route_with_body};

/// What the inbox is made of.
struct InboxParts {
    /// Where the messages are listed.
    store: Store,
    /// Where their sources lie.
    blobs: Blobs,
    /// Rings when a message comes in.
    bell: InboxBell,
    /// Knows the keys.
    auth: Auth,
    /// `http.public_url`: its host is one by which this machine may be called.
    public_url: Option<String>,
    /// What messages are let out with.
    releases: Releases,
    /// Cancelled when the process begins to end, so that nobody's wait holds it up.
    stopping: CancellationToken,
}

/// The surface.
#[derive(Clone)]
struct Inbox {
    store: Store,
    blobs: Blobs,
    bell: InboxBell,
    access: Arc<Access>,
    releases: Arc<Releases>,
    stopping: CancellationToken,
}

/// Everything under `/inbox`.
pub fn router(ground: &Ground) -> Router {
    let parts = InboxParts {
        store: ground.store.clone(),
        blobs: ground.blobs.clone(),
        bell: ground.inbox_bell.clone(),
        auth: ground.auth.clone(),
        public_url: ground.settings.http.public_url.clone(),
        releases: Releases {
            intake: ground.intake.clone(),
            bodies: ground.bodies.clone(),
            limits: ground.limits.clone(),
            per_key: ground.settings.limits.per_key,
            ways: Ways::of(&ground.settings),
        },
        stopping: ground.tasks.child_token(),
    };
    Inbox::new(parts).router()
}

impl Inbox {
    /// The inbox over its parts.
    fn new(parts: InboxParts) -> Self {
        let access = Arc::new(Access::new(parts.auth, parts.public_url.as_deref()));
        Self {
            store: parts.store,
            blobs: parts.blobs,
            bell: parts.bell,
            access,
            releases: Arc::new(parts.releases),
            stopping: parts.stopping,
        }
    }

    fn router(self) -> Router {
        let (get, post, delete) = (MethodFilter::GET, MethodFilter::POST, MethodFilter::DELETE);
        let messages =
            route(get, api::refused, api::list).merge(route(delete, api::refused, api::delete_all));
        let message = route(get, api::refused, api::show).merge(route(delete, api::refused, api::delete));
        let api = Router::new()
            .route("/messages", messages)
            .route("/messages/wait", route(get, api::refused, wait::wait))
            .route("/messages/{id}", message)
            .route("/messages/{id}/source", route(get, api::refused, api::source))
            .route("/messages/{id}/attachments/{index}", route(get, api::refused, api::attachment))
            .route("/messages/{id}/parts/{index}", route(get, api::refused, api::part))
            .route("/messages/{id}/release", route_with_body(post, api::refused, release::by_program))
            .route("/clients", route(get, api::refused, api::clients))
            .fallback(api::no_such_path);
        Router::new()
            .route("/inbox", route(get, pages::refused, pages::list))
            .route("/inbox/delete", route_with_body(post, pages::refused, pages::delete_all))
            .route("/inbox/{id}", route(get, pages::refused, message::page))
            .route("/inbox/{id}/html", route(get, pages::refused, pages::html))
            .route("/inbox/{id}/delete", route_with_body(post, pages::refused, pages::delete))
            .route("/inbox/{id}/release", route_with_body(post, pages::refused, release::by_page))
            .nest("/inbox/api", api)
            .with_state(self)
    }
}

#[cfg(test)]
mod tests;
