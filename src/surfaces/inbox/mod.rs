//! `/inbox`: the mail that was kept instead of sent, to look at in a browser and to read from tests. Pages for people,
//! the same as JSON under `/inbox/api`, documented in docs/inbox.md.
//!
//! The mail shown may be hostile, and the inbox is open to whoever sits at the machine: `access` decides who may
//! see what, `frame` shows the HTML of a message so that nothing in it runs or loads.

mod access;
mod api;
mod code;
mod content;
pub(super) mod frame;
mod pages;
mod parameters;
mod shapes;
mod wait;

use crate::auth::Auth;
use crate::blobs::Blobs;
use crate::surfaces::Ground;
use crate::transports::InboxBell;
use access::Access;
use axum::Router;
use axum::routing::{get, post};
use posthaste_store::Store;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

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
        stopping: ground.tasks.child_token(),
    };
    Inbox::new(parts).router()
}

impl Inbox {
    /// The inbox over its parts.
    fn new(parts: InboxParts) -> Self {
        let access = Arc::new(Access::new(parts.auth, parts.public_url.as_deref()));
        Self { store: parts.store, blobs: parts.blobs, bell: parts.bell, access, stopping: parts.stopping }
    }

    fn router(self) -> Router {
        let api = Router::new()
            .route("/messages", get(api::list).delete(api::delete_all))
            .route("/messages/wait", get(wait::wait))
            .route("/messages/{id}", get(api::show).delete(api::delete))
            .route("/messages/{id}/source", get(api::source))
            .route("/messages/{id}/attachments/{index}", get(api::attachment))
            .fallback(api::no_such_path);
        Router::new()
            .route("/inbox", get(pages::list))
            .route("/inbox/delete", post(pages::delete_all))
            .route("/inbox/{id}", get(pages::message))
            .route("/inbox/{id}/html", get(pages::html))
            .route("/inbox/{id}/delete", post(pages::delete))
            .nest("/inbox/api", api)
            .with_state(self)
    }
}

#[cfg(test)]
mod tests;
