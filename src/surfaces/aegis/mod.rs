//! The Aegis API (`/send` with an API key, `/send/{id}/status`, `/status`): for applications written for Aegis Mailer 1.0.

mod draft;
mod entry;
mod errors;
mod figures;
mod lookup;
mod redact;
mod send;
mod time;

pub(super) use entry::API_KEY;
pub(super) use errors::{AegisError, say};
pub(super) use send::{refuse_both, send};

use crate::auth::Auth;
use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::intake::Intake;
use crate::limits::Limits;
use crate::live::Live;
use crate::surfaces::Ground;
use crate::surfaces::http::body::Bodies;
use axum::Router;
use axum::routing::get;
use figures::Figures;
use posthaste_model::Rate;
use posthaste_model::draft::DraftMailbox;
use posthaste_store::Store;
use std::sync::Arc;

/// What the surface works with.
pub(super) struct AegisParts {
    /// The way in.
    pub intake: Intake,
    /// Who is calling.
    pub auth: Auth,
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
    /// What is counted.
    pub metrics: Metrics,
    /// Requests to send by one key, unless it has its own limit (`limits.aegis`).
    pub per_key: Rate,
    /// Requests to send from one client address.
    pub per_address: Rate,
    /// The configured sender (`mail.from_address`, `mail.from_name`).
    pub sender: Option<DraftMailbox>,
    /// What `GET /status` tells.
    figures: Figures,
}

/// The surface.
#[derive(Clone)]
pub(super) struct Aegis(Arc<AegisParts>);

impl std::ops::Deref for Aegis {
    type Target = AegisParts;

    fn deref(&self) -> &AegisParts {
        &self.0
    }
}

impl Aegis {
    /// The surface on its ground.
    pub fn new(ground: &Ground) -> Self {
        let settings = &ground.settings;
        Self(Arc::new(AegisParts {
            intake: ground.intake.clone(),
            auth: ground.auth.clone(),
            store: ground.store.clone(),
            live: ground.live.clone(),
            limits: ground.limits.clone(),
            bodies: ground.bodies.clone(),
            clock: ground.clock.clone(),
            metrics: ground.metrics.clone(),
            per_key: settings.limits.aegis,
            per_address: settings.limits.per_ip,
            sender: settings.mail.from_address.as_ref().map(|address| DraftMailbox::Parts {
                email: address.as_str().to_owned(),
                name: settings.mail.from_name.clone(),
            }),
            figures: Figures::new(ground),
        }))
    }

    /// The routes that are this surface's alone; `/send` it shares with another.
    pub fn router(self) -> Router {
        Router::new()
            .route("/send/{message_id}/status", get(lookup::status))
            .route("/status", get(figures::show))
            .with_state(self)
    }
}
