//! The only SQL of Posthaste.
//!
//! A [`Store`] keeps what must survive: emails, their events, configuration. Each operation is whole: it is one
//! commit, and nothing outside can see half of one. The store is the truth; everything that says "look again" (bells,
//! timers) may be lost.
//!
//! The public side knows no engine. `engine` is the one place that does.

mod accept;
mod bell;
mod blobs;
mod claim;
mod configuration;
mod emails;
mod engine;
mod eo;
mod error;
mod feed;
mod inbox;
mod news;
mod outcome;
mod record;
mod sender_configs;
mod settings;
mod suppressions;
mod sweep;
mod tokens;
mod transfer;
mod upkeep;
mod users;
mod webhooks;
mod workers;

pub use accept::{AcceptResult, Acceptance, IdempotencyClaim, Lease, ReplayFound, initial_status};
pub use bell::Bell;
pub use claim::CLAIM_BYTES;
pub use configuration::{Actor, AuditEntry, AuditFilter};
pub use emails::{Cursor, CursorError, EmailFilter, EmailRecord, EmailSummary, HourCount, Page, StatsBy};
pub use eo::{EoBegun, EoDeliveryRecord, EoFilter, EoTally};
pub use error::StoreError;
pub use feed::{ClientEvent, ClientEvents};
pub use inbox::{InboxClient, InboxFilter, InboxSelection};
pub use news::{LastHeard, NewsReport, NewsResult, Span, WebhookToken};
pub use outcome::{CancelResult, SettleResult};
pub use sender_configs::{SenderConfig, SenderConfigChange};
pub use settings::{CommitObserver, EngineSettings, PostgresSettings, StoreSettings};
pub use suppressions::SuppressionFilter;
pub use sweep::{QueueCounts, SweepReport};
pub use tokens::SigningKey;
pub use transfer::{MoveObserver, MovedTable};
pub use upkeep::{ErasureReport, Removed};
pub use webhooks::{
    DeliveryEnd, DeliveryState, NewWebhookDelivery, Webhook, WebhookAttempt, WebhookBacklog, WebhookChange,
    WebhookDelivery, WebhookSettlement,
};
pub use workers::WorkerRecord;

pub(crate) use engine::on_engine;

use engine::Engine;
use engine::postgres::Postgres;
use engine::sqlite::Sqlite;
use std::sync::Arc;

/// How much is asked of a store at one moment, by this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Operations that wait for a connection.
    pub waiting: usize,
    /// Connections that are open.
    pub connections: usize,
}

/// The store. Clones share it.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
}

impl Store {
    /// Opens the store, making and migrating it where needed.
    pub async fn open(settings: StoreSettings) -> Result<Self, StoreError> {
        let engine = match settings.engine.clone() {
            EngineSettings::Sqlite { path, readers } => {
                Engine::Sqlite(Arc::new(Sqlite::open(path, readers, settings).await?))
            }
            EngineSettings::Postgres(server) => {
                Engine::Postgres(Arc::new(Postgres::open(server, settings).await?))
            }
        };
        Ok(Self { engine })
    }

    /// The engine's name, as monitors show it.
    pub fn engine_name(&self) -> &'static str {
        on_engine!(self, engine => engine.name())
    }

    /// The engine's version.
    pub fn engine_version(&self) -> &str {
        on_engine!(self, engine => engine.version())
    }

    /// How much is asked of it now.
    pub fn load(&self) -> Load {
        on_engine!(self, engine => engine.load())
    }

    /// Rings when mail became due anywhere; nothing where other processes cannot be heard.
    pub fn bell(&self) -> Option<Bell> {
        on_engine!(self, engine => engine.bell())
    }

    /// Finishes what waits for the writer, moves the log into the database and stops. Later calls are `Closed`.
    pub async fn close(&self) {
        on_engine!(self, engine => engine.close().await);
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}
