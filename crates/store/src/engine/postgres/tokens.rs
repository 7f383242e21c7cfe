//! Signing keys, and access tokens revoked one by one.

use super::Postgres;
use super::audit::changed;
use super::columns::{at, instant_at};
use super::rows::time_at;
use crate::StoreError;
use crate::configuration::Actor;
use crate::tokens::SigningKey;
use posthaste_model::Timestamp;
use uuid::Uuid;

impl Postgres {
    pub(crate) async fn add_signing_key(
        &self,
        key: SigningKey,
        forget_before: Timestamp,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let (key, actor) = (&key, &actor);
        self.write(1, |db| async move {
            db.run("DELETE FROM signing_keys WHERE retired_at < $1", &[&forget_before.millis()]).await?;
            let sql = "UPDATE signing_keys SET retired_at = $1 WHERE retired_at IS NULL";
            db.run(sql, &[&key.created_at.millis()]).await?;
            db.run(
                "INSERT INTO signing_keys (kid, sealed_key, created_at, retired_at) VALUES ($1, $2, $3, $4)",
                &[
                    &key.kid,
                    &key.sealed_key,
                    &key.created_at.millis(),
                    &key.retired_at.map(Timestamp::millis),
                ],
            )
            .await?;
            changed(&db, actor, "signing_key.create", &key.kid, None).await
        })
        .await
    }

    pub(crate) async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        self.read(|db| async move {
            let sql = "SELECT kid, sealed_key, created_at, retired_at FROM signing_keys
                ORDER BY created_at DESC, kid";
            let rows = db.rows(sql, &[]).await?;
            let keys = rows.iter().map(|row| {
                Ok(SigningKey {
                    kid: at(row, 0)?,
                    sealed_key: at(row, 1)?,
                    created_at: instant_at(row, 2)?,
                    retired_at: time_at(row, 3)?,
                })
            });
            keys.collect()
        })
        .await
    }

    pub(crate) async fn revoke_token(
        &self,
        jti: [u8; 16],
        ends_at: Timestamp,
        now: Timestamp,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let actor = &actor;
        self.write(1, |db| async move {
            db.run("DELETE FROM revoked_tokens WHERE ends_at < $1", &[&now.millis()]).await?;
            let sql =
                "INSERT INTO revoked_tokens (jti, ends_at) VALUES ($1, $2) ON CONFLICT (jti) DO NOTHING";
            db.run(sql, &[&Uuid::from_bytes(jti), &ends_at.millis()]).await?;
            let named = format!("{:032x}", u128::from_be_bytes(jti));
            changed(&db, actor, "access_token.revoke", &named, None).await
        })
        .await
    }

    pub(crate) async fn is_token_revoked(&self, jti: [u8; 16]) -> Result<bool, StoreError> {
        self.read(|db| async move {
            let sql = "SELECT 1 FROM revoked_tokens WHERE jti = $1";
            Ok(db.maybe(sql, &[&Uuid::from_bytes(jti)]).await?.is_some())
        })
        .await
    }
}
