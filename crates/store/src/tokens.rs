//! What access tokens are signed with, and which of them were revoked one by one. Both count as configuration: a change
//! raises the installation's revision, so that every node sees it at its next request.

use crate::configuration::Actor;
use crate::{Store, StoreError, on_engine};
use posthaste_model::Timestamp;

/// A key that signs access tokens, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// Its name in the tokens' headers and the key set.
    pub kid: String,
    /// The private key, sealed by the vault.
    pub sealed_key: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When another took over; `None`: it signs.
    pub retired_at: Option<Timestamp>,
}

impl Store {
    /// Makes `key` the one that signs; those before it are retired at its `created_at`, and those that were retired
    /// before `forget_before` go.
    pub async fn add_signing_key(
        &self,
        key: SigningKey,
        forget_before: Timestamp,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.add_signing_key(key, forget_before, actor.clone()).await)
    }

    /// All signing keys, newest first.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        on_engine!(self, engine => engine.signing_keys().await)
    }

    /// Revokes one access token; remembered until `ends_at`. Those that ended before `now` are forgotten.
    pub async fn revoke_token(
        &self,
        jti: [u8; 16],
        ends_at: Timestamp,
        now: Timestamp,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.revoke_token(jti, ends_at, now, actor.clone()).await)
    }

    /// Whether this access token was revoked.
    pub async fn is_token_revoked(&self, jti: [u8; 16]) -> Result<bool, StoreError> {
        on_engine!(self, engine => engine.is_token_revoked(jti).await)
    }
}
