//! The OAuth API (`/authorize`, `/oauth/*`, `/emails*`, and `/send` with a bearer token): for clients that log in with
//! OAuth2 client credentials (RFC 6749, section 4.4).

mod authorize;
mod emails;
mod errors;
mod given;
mod login;
mod metadata;
mod send;
mod tokens;

use crate::auth::Auth;
use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::intake::Intake;
use crate::limits::Limits;
use crate::surfaces::Ground;
use crate::surfaces::http::body::Bodies;
use axum::Router;
use axum::routing::{get, post};
use posthaste_model::Rate;
use posthaste_store::Store;
use std::sync::Arc;

/// What the surface works with.
pub(super) struct OauthParts {
    /// The way in.
    pub intake: Intake,
    /// Who is calling.
    pub auth: Auth,
    /// Where email is kept.
    pub store: Store,
    /// Sliding windows.
    pub limits: Limits,
    /// Reads bodies within their bounds.
    pub bodies: Bodies,
    /// The time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Metrics,
    /// Where the outside reaches the service; without it, what the request calls it.
    pub public_url: Option<String>,
    /// Failed logins of one client and address (`oauth.login_attempts`).
    pub login_attempts: Rate,
    /// How long an access token lives, in seconds, as answers say it.
    pub token_seconds: u64,
    /// Template for mail without a body (`oauth.default_template`); without it the shipped text.
    pub default_template: Option<String>,
    /// Requests to send of one client unless it has its own limit.
    pub per_client: Rate,
    /// Requests to send of one address, all surfaces together (`limits.per_ip`).
    pub per_address: Rate,
}

/// The surface.
#[derive(Clone)]
pub(super) struct Oauth(Arc<OauthParts>);

impl std::ops::Deref for Oauth {
    type Target = OauthParts;

    fn deref(&self) -> &OauthParts {
        &self.0
    }
}

pub(super) use errors::say;
pub(super) use send::send;

impl Oauth {
    /// The surface on its ground.
    pub(super) fn new(ground: &Ground) -> Self {
        let settings = &ground.settings;
        Self(Arc::new(OauthParts {
            intake: ground.intake.clone(),
            auth: ground.auth.clone(),
            store: ground.store.clone(),
            limits: ground.limits.clone(),
            bodies: ground.bodies.clone(),
            clock: ground.clock.clone(),
            metrics: ground.metrics.clone(),
            public_url: settings.http.public_url.clone(),
            login_attempts: settings.oauth.login_attempts,
            token_seconds: settings.oauth.token_lifetime.as_secs(),
            default_template: settings.oauth.default_template.clone(),
            per_client: settings.limits.per_key,
            per_address: settings.limits.per_ip,
        }))
    }

    /// Its routes, but `/send`, which it shares.
    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/authorize", post(authorize::authorize))
            .route("/oauth/token", post(authorize::authorize))
            .route("/oauth/introspect", post(tokens::introspect))
            .route("/oauth/revoke", post(tokens::revoke))
            .route("/.well-known/oauth-authorization-server", get(metadata::server))
            .route("/.well-known/jwks.json", get(metadata::keys))
            .route("/emails", get(emails::list))
            .route("/emails/{id}", get(emails::show))
            .method_not_allowed_fallback(errors::method_not_allowed)
            .with_state(self)
    }
}
