//! Addresses that a client does not write to.
//!
//! The first entry of a client raises the installation's revision: as long as nobody raised it, whoever remembers that
//! a client suppresses nothing may go on without asking.

use crate::configuration::Actor;
use crate::{Store, StoreError, on_engine};
use posthaste_model::suppression::Suppression;
use posthaste_model::{ClientId, Timestamp};

/// Which entries are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SuppressionFilter {
    /// Of this address, by its key.
    pub address_key: Option<[u8; 32]>,
    /// With this reason.
    pub reason: Option<String>,
    /// Older than the entry of this number.
    pub before: Option<i64>,
}

impl Store {
    /// Enters addresses by an operator's or a client's word, each replacing what stood for the same address and
    /// stream; how many are new. `NotFound` without the client.
    pub async fn suppress(
        &self,
        client_id: ClientId,
        entries: Vec<Suppression>,
        actor: &Actor,
    ) -> Result<u64, StoreError> {
        on_engine!(self, engine => engine.suppress(client_id, entries, actor.clone()).await)
    }

    /// Takes an address off, of all streams or of one; how many entries that were.
    pub async fn unsuppress(
        &self,
        client_id: ClientId,
        address_key: [u8; 32],
        stream: Option<&str>,
        actor: &Actor,
    ) -> Result<u64, StoreError> {
        let stream = stream.map(str::to_owned);
        on_engine!(self, engine => engine.unsuppress(client_id, address_key, stream, actor.clone()).await)
    }

    /// A client's entries that hold at `now`, newest first, each with its number.
    pub async fn suppressions(
        &self,
        client_id: ClientId,
        filter: &SuppressionFilter,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<(i64, Suppression)>, StoreError> {
        on_engine!(self, engine => engine.suppressions(client_id, filter.clone(), limit, now).await)
    }

    /// The entries of a client for any of these addresses that hold at `now`.
    pub async fn suppressed(
        &self,
        client_id: ClientId,
        address_keys: Vec<[u8; 32]>,
        now: Timestamp,
    ) -> Result<Vec<Suppression>, StoreError> {
        on_engine!(self, engine => engine.suppressed(client_id, address_keys, now).await)
    }

    /// Whether a client has any entry, also one that has ended.
    pub async fn has_suppressions(&self, client_id: ClientId) -> Result<bool, StoreError> {
        on_engine!(self, engine => engine.has_suppressions(client_id).await)
    }
}
