//! What every surface may stand on: the parts of the process, assembled by `app`. A surface takes from it what it
//! needs; nothing here knows a dialect.

use crate::admin::Admin;
use crate::auth::Auth;
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::base::tasks::Tasks;
use crate::base::vault::Vault;
use crate::blobs::Blobs;
use crate::config::Settings;
use crate::dispatch::Dispatch;
use crate::eo::Eo;
use crate::health::Health;
use crate::intake::Intake;
use crate::limits::Limits;
use crate::live::Live;
use crate::news::Desk;
use crate::render::Renderer;
use crate::surfaces::http::body::Bodies;
use crate::transports::InboxBell;
use posthaste_store::Store;
use std::sync::Arc;

/// The parts of the process.
pub struct Ground {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// Where email is kept.
    pub store: Store,
    /// Where files are kept.
    pub blobs: Blobs,
    /// Seals secrets and signs links.
    pub vault: Vault,
    /// Who is calling.
    pub auth: Auth,
    /// The way in.
    pub intake: Intake,
    /// What an operator may change.
    pub admin: Admin,
    /// Organizers' reports.
    pub eo: Eo,
    /// Templates and MIME.
    pub renderer: Renderer,
    /// Sliding windows.
    pub limits: Limits,
    /// News of emails.
    pub live: Live,
    /// Takes in what the world says of mail that went out.
    pub news: Desk,
    /// Reads bodies; all surfaces share its memory.
    pub bodies: Bodies,
    /// How the parts are.
    pub health: Health,
    /// Rings when the inbox takes a message.
    pub inbox_bell: InboxBell,
    /// The worker of this process, if it has one: knows how the circuits stand.
    pub worker: Option<Dispatch>,
    /// What is counted.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
    /// Random numbers.
    pub chance: Chance,
    /// Runs requests and what outlives them.
    pub tasks: Tasks,
}
