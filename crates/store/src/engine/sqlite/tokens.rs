//! Signing keys, and access tokens revoked one by one.

use super::Sqlite;
use super::rows::time_at;
use crate::StoreError;
use crate::configuration::Actor;
use crate::tokens::SigningKey;
use posthaste_model::Timestamp;
use rusqlite::params;

impl Sqlite {
    pub(crate) async fn add_signing_key(
        &self,
        key: SigningKey,
        forget_before: Timestamp,
        actor: Actor,
    ) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            tx.connection
                .execute("DELETE FROM signing_keys WHERE retired_at < ?1", [forget_before.millis()])?;
            tx.connection.execute(
                "UPDATE signing_keys SET retired_at = ?1 WHERE retired_at IS NULL",
                [key.created_at.millis()],
            )?;
            tx.connection.execute(
                "INSERT INTO signing_keys (kid, sealed_key, created_at, retired_at) VALUES (?1, ?2, ?3, ?4)",
                params![
                    key.kid,
                    key.sealed_key,
                    key.created_at.millis(),
                    key.retired_at.map(Timestamp::millis)
                ],
            )?;
            tx.changed(&actor, "signing_key.create", &key.kid, None)
        })
        .await
    }

    pub(crate) async fn signing_keys(&self) -> Result<Vec<SigningKey>, StoreError> {
        self.readers
            .read(|connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT kid, sealed_key, created_at, retired_at FROM signing_keys
                     ORDER BY created_at DESC, kid",
                )?;
                let rows = statement.query_map([], |row| {
                    Ok(SigningKey {
                        kid: row.get(0)?,
                        sealed_key: row.get(1)?,
                        created_at: Timestamp::from_millis(row.get(2)?),
                        retired_at: time_at(row, 3)?,
                    })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
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
        self.write_alone(move |tx| {
            tx.connection.execute("DELETE FROM revoked_tokens WHERE ends_at < ?1", [now.millis()])?;
            tx.connection.execute(
                "INSERT INTO revoked_tokens (jti, ends_at) VALUES (?1, ?2) ON CONFLICT (jti) DO NOTHING",
                params![jti, ends_at.millis()],
            )?;
            tx.changed(&actor, "access_token.revoke", &format!("{:032x}", u128::from_be_bytes(jti)), None)
        })
        .await
    }

    pub(crate) async fn is_token_revoked(&self, jti: [u8; 16]) -> Result<bool, StoreError> {
        self.readers
            .read(move |connection| {
                let sql = "SELECT EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = ?1)";
                Ok(connection.prepare_cached(sql)?.query_row([jti], |row| row.get(0))?)
            })
            .await
    }
}
