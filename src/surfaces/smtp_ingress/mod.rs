//! SMTP ingress: mail from systems that speak nothing else. A translation of envelopes and content onto intake; the
//! protocol itself is `posthaste_smtp::server`.

mod door;
mod envelope;
mod listener;
mod refusals;
mod returned;

pub use listener::{BoundIngress, bind};

use crate::auth::Auth;
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::base::network::Network;
use crate::base::return_path::ReturnPaths;
use crate::intake::Intake;
use crate::limits::Limits;
use crate::news::Desk;
use crate::surfaces::http::body::BodyBudget;
use posthaste_model::Rate;
use posthaste_smtp::server::ServerSettings;
use std::sync::Arc;

/// What the surface works with.
pub struct SmtpIngressParts {
    /// The way in.
    pub intake: Intake,
    /// Takes in bounce messages and complaints.
    pub news: Desk,
    /// The addresses that these come to, where a domain is set for them.
    pub return_paths: Option<ReturnPaths>,
    /// Who is calling.
    pub auth: Auth,
    /// Sliding windows.
    pub limits: Limits,
    /// Memory for content in flight, shared with request bodies.
    pub budget: BodyBudget,
    /// The time.
    pub clock: Clock,
    /// Random numbers.
    pub chance: Chance,
    /// What is counted.
    pub metrics: Metrics,
    /// Bounds of a session.
    pub settings: ServerSettings,
    /// Who may send without a login (`smtp.allowed_networks`).
    pub allowed_networks: Vec<Network>,
    /// Whether nobody may (`smtp.auth_required`).
    pub auth_required: bool,
    /// The client that those without a login speak for.
    pub client: &'static str,
    /// Messages per key unless the key has its own rate.
    pub per_key: Rate,
    /// Messages per address.
    pub per_address: Rate,
    /// Connections at once (`smtp.max_connections`).
    pub max_connections: usize,
}

/// The surface.
#[derive(Clone)]
pub struct SmtpIngress(Arc<SmtpIngressParts>);

impl std::ops::Deref for SmtpIngress {
    type Target = SmtpIngressParts;

    fn deref(&self) -> &SmtpIngressParts {
        &self.0
    }
}

impl SmtpIngress {
    /// The surface over its parts.
    pub fn new(parts: SmtpIngressParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Whether a peer may send without a login.
    fn trusts(&self, peer: std::net::SocketAddr) -> bool {
        !self.auth_required && self.allowed_networks.iter().any(|network| network.contains(peer.ip()))
    }
}
