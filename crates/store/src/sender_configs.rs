//! The Microsoft credentials with which a client sends as an address of an organization domain. They count as
//! configuration: a change raises the installation's revision, and every node sees it at its next accept.

use crate::configuration::Actor;
use crate::{Store, StoreError, on_engine};
use posthaste_model::{ClientId, SenderConfigId, Timestamp};

/// A sender config; its secret is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderConfig {
    /// Its id.
    pub id: SenderConfigId,
    /// Whose it is.
    pub client_id: ClientId,
    /// The address to send as, as it is shown.
    pub sender_email: String,
    /// The address in canonical form; unique for its client.
    pub sender_key: String,
    /// Microsoft's tenant (directory) id.
    pub ms_tenant_id: String,
    /// Microsoft's client (application) id.
    pub ms_client_id: String,
    /// The client secret, sealed by the vault for this config.
    pub sealed_secret: Vec<u8>,
    /// Whether it may be used.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What changes of a sender config; `None` leaves a value as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderConfigChange {
    /// Tenant id.
    pub ms_tenant_id: Option<String>,
    /// Client id.
    pub ms_client_id: Option<String>,
    /// The sealed secret.
    pub sealed_secret: Option<Vec<u8>>,
    /// Whether it may be used.
    pub is_active: Option<bool>,
}

impl Store {
    /// Adds a sender config; `Conflict` when its client has one of this address, `NotFound` without the client.
    pub async fn create_sender_config(&self, config: SenderConfig, actor: &Actor) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.create_sender_config(config, actor.clone()).await)
    }

    /// A sender config of a client.
    pub async fn sender_config(
        &self,
        client_id: ClientId,
        id: SenderConfigId,
    ) -> Result<Option<SenderConfig>, StoreError> {
        on_engine!(self, engine => engine.sender_config(client_id, id).await)
    }

    /// A client's sender config of an address in canonical form.
    pub async fn sender_config_of(
        &self,
        client_id: ClientId,
        sender_key: &str,
    ) -> Result<Option<SenderConfig>, StoreError> {
        on_engine!(self, engine => engine.sender_config_of(client_id, sender_key.to_owned()).await)
    }

    /// A client's sender configs, oldest first.
    pub async fn sender_configs(&self, client_id: ClientId) -> Result<Vec<SenderConfig>, StoreError> {
        on_engine!(self, engine => engine.sender_configs(client_id).await)
    }

    /// Changes a client's sender config; the config as it stands then, `NotFound` without it.
    pub async fn update_sender_config(
        &self,
        client_id: ClientId,
        id: SenderConfigId,
        change: SenderConfigChange,
        actor: &Actor,
    ) -> Result<SenderConfig, StoreError> {
        on_engine!(self, engine => engine.update_sender_config(client_id, id, change, actor.clone()).await)
    }

    /// Removes a client's sender config; `NotFound` without it.
    pub async fn delete_sender_config(
        &self,
        client_id: ClientId,
        id: SenderConfigId,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.delete_sender_config(client_id, id, actor.clone()).await)
    }
}
