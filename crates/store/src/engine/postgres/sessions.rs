//! Logins of users.

use super::Postgres;
use super::columns::{at, instant_at};
use super::rows::{id_at, uuid_of};
use super::users::{USER, user_at};
use crate::StoreError;
use posthaste_model::user::{User, UserSession};
use posthaste_model::{Timestamp, UserId};

impl Postgres {
    pub(crate) async fn open_session(&self, session: UserSession) -> Result<(), StoreError> {
        let session = &session;
        self.write(1, |db| async move {
            db.run(
                "INSERT INTO sessions (hash, user_id, created_at, last_seen, address, agent)
                 VALUES ($1, $2, $3, $4, $5, $6)",
                &[
                    &session.hash.as_slice(),
                    &uuid_of!(session.user_id),
                    &session.created_at.millis(),
                    &session.last_seen.millis(),
                    &session.address,
                    &session.agent,
                ],
            )
            .await?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn session(&self, hash: [u8; 32]) -> Result<Option<(UserSession, User)>, StoreError> {
        self.read(|db| async move {
            let sql = format!(
                "SELECT s.user_id, s.created_at, s.last_seen, s.address, s.agent, {USER}
                 FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.hash = $1"
            );
            let Some(row) = db.maybe(&sql, &[&hash.as_slice()]).await? else { return Ok(None) };
            let session = UserSession {
                hash,
                user_id: id_at!(row, 0, UserId),
                created_at: instant_at(&row, 1)?,
                last_seen: instant_at(&row, 2)?,
                address: at(&row, 3)?,
                agent: at(&row, 4)?,
            };
            Ok(Some((session, user_at(&row, 5)?)))
        })
        .await
    }

    pub(crate) async fn touch_session(&self, hash: [u8; 32], now: Timestamp) -> Result<(), StoreError> {
        self.write(1, |db| async move {
            let sql = "UPDATE sessions SET last_seen = $2 WHERE hash = $1 AND last_seen < $2";
            db.run(sql, &[&hash.as_slice(), &now.millis()]).await?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn close_session(&self, hash: [u8; 32]) -> Result<(), StoreError> {
        self.write(1, |db| async move {
            db.run("DELETE FROM sessions WHERE hash = $1", &[&hash.as_slice()]).await?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn drop_sessions(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.write(1, |db| async move {
            db.run("DELETE FROM sessions WHERE last_seen < $1", &[&before.millis()]).await
        })
        .await
    }
}
