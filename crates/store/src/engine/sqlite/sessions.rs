//! Logins of users.

use super::Sqlite;
use super::rows::id_at;
use super::users::{USER, user_at};
use crate::StoreError;
use posthaste_model::user::{User, UserSession};
use posthaste_model::{Timestamp, UserId};
use rusqlite::params;

impl Sqlite {
    pub(crate) async fn open_session(&self, session: UserSession) -> Result<(), StoreError> {
        self.write(1, move |tx| {
            tx.connection.execute(
                "INSERT INTO sessions (hash, user_id, created_at, last_seen, address, agent)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    session.hash,
                    session.user_id.as_bytes(),
                    session.created_at.millis(),
                    session.last_seen.millis(),
                    session.address,
                    session.agent,
                ],
            )?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn session(&self, hash: [u8; 32]) -> Result<Option<(UserSession, User)>, StoreError> {
        self.readers
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&format!(
                    "SELECT s.user_id, s.created_at, s.last_seen, s.address, s.agent, {USER}
                     FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.hash = ?1"
                ))?;
                let mut rows = statement.query([hash])?;
                let Some(row) = rows.next()? else { return Ok(None) };
                let session = UserSession {
                    hash,
                    user_id: id_at!(row, 0, UserId),
                    created_at: Timestamp::from_millis(row.get(1)?),
                    last_seen: Timestamp::from_millis(row.get(2)?),
                    address: row.get(3)?,
                    agent: row.get(4)?,
                };
                Ok(Some((session, user_at(row, 5)?)))
            })
            .await
    }

    pub(crate) async fn touch_session(&self, hash: [u8; 32], now: Timestamp) -> Result<(), StoreError> {
        self.write(1, move |tx| {
            let sql = "UPDATE sessions SET last_seen = ?2 WHERE hash = ?1 AND last_seen < ?2";
            tx.connection.execute(sql, params![hash, now.millis()])?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn close_session(&self, hash: [u8; 32]) -> Result<(), StoreError> {
        self.write(1, move |tx| {
            tx.connection.execute("DELETE FROM sessions WHERE hash = ?1", [hash])?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn drop_sessions(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.write(1, move |tx| {
            let gone =
                tx.connection.execute("DELETE FROM sessions WHERE last_seen < ?1", [before.millis()])?;
            Ok(gone as u64)
        })
        .await
    }
}
