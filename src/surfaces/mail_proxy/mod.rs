//! The Mail Proxy API (`/api/v1/*`): for the departments' systems, which bear a JWT with permissions.

mod batch;
mod draft;
mod entry;
mod errors;
mod given;
mod history;
mod language;
mod mails;
mod send;
mod sender_configs;
mod tokens;

pub(super) use errors::say;

use crate::admin::Admin;
use crate::auth::Auth;
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::intake::Intake;
use crate::limits::Limits;
use crate::live::Live;
use crate::surfaces::Ground;
use crate::surfaces::http::body::Bodies;
use axum::Router;
use axum::routing::{any, delete, get, post};
use posthaste_model::{Domain, Rate};
use posthaste_store::Store;
use std::sync::Arc;

/// What the surface works with.
struct MailProxyParts {
    /// The way in.
    pub intake: Intake,
    /// Who is calling.
    pub auth: Auth,
    /// What an operator may change.
    pub admin: Admin,
    /// Where email is kept.
    pub store: Store,
    /// Statuses, remembered for a moment.
    pub live: Live,
    /// Sliding windows.
    pub limits: Limits,
    /// Reads bodies within their bounds.
    pub bodies: Bodies,
    /// The time.
    pub clock: Clock,
    /// Ids of batches.
    pub chance: Chance,
    /// What is counted.
    pub metrics: Metrics,
    /// The organization's own domains (`mail_proxy.org_domains`).
    pub organization: Vec<Domain>,
    /// Emails of a batch (`mail_proxy.batch`).
    pub batch: usize,
    /// Requests to send by one token unless it has its own limit.
    pub per_token: Rate,
    /// Requests to send from one client address.
    pub per_address: Rate,
}

/// The surface.
#[derive(Clone)]
struct MailProxy(Arc<MailProxyParts>);

impl std::ops::Deref for MailProxy {
    type Target = MailProxyParts;

    fn deref(&self) -> &MailProxyParts {
        &self.0
    }
}

impl MailProxy {
    /// The surface on its ground.
    fn new(ground: &Ground) -> Self {
        let settings = &ground.settings;
        Self(Arc::new(MailProxyParts {
            intake: ground.intake.clone(),
            auth: ground.auth.clone(),
            admin: ground.admin.clone(),
            store: ground.store.clone(),
            live: ground.live.clone(),
            limits: ground.limits.clone(),
            bodies: ground.bodies.clone(),
            clock: ground.clock.clone(),
            chance: ground.chance.clone(),
            metrics: ground.metrics.clone(),
            organization: settings.mail_proxy.org_domains.clone(),
            batch: settings.mail_proxy.batch,
            per_token: settings.limits.per_key,
            per_address: settings.limits.per_ip,
        }))
    }
}

/// The surface's routes.
pub(super) fn router(ground: &Ground) -> Router {
    Router::new()
        .route("/api/v1/mail/send", post(send::one))
        .route("/api/v1/mail/send/batch", post(batch::many))
        .route("/api/v1/mail/status/{id}", get(mails::status))
        .route("/api/v1/mail/history", get(history::page))
        .route("/api/v1/mail/cancel/{id}", delete(mails::cancel))
        .route("/api/v1/auth/token", post(tokens::create))
        .route("/api/v1/auth/token/{id}", get(tokens::show).delete(tokens::revoke))
        .route("/api/v1/auth/tokens", get(tokens::list))
        .route("/api/v1/auth/sender-config", post(sender_configs::create))
        .route(
            "/api/v1/auth/sender-config/{id}",
            get(sender_configs::show).put(sender_configs::update).delete(sender_configs::remove),
        )
        .route("/api/v1/auth/sender-configs", get(sender_configs::list))
        .route("/api/v1", any(errors::not_found))
        .route("/api/v1/", any(errors::not_found))
        .route("/api/v1/{*rest}", any(errors::not_found))
        .method_not_allowed_fallback(errors::method_not_allowed)
        .with_state(MailProxy::new(ground))
}
