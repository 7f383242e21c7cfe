//! Users.

use super::Sqlite;
use super::rows::id_at;
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::Actor;
use crate::record::damaged;
use posthaste_model::user::{Language, Role, User, UserChange};
use posthaste_model::{Timestamp, UserId};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

/// The columns of a user, with alias `u`.
pub(super) const USER: &str = "u.id, u.email, u.name, u.role, u.password_hash, u.language, u.sealed_totp,
    u.is_active, u.created_at";

/// The user whose columns begin at `first`.
pub(super) fn user_at(row: &Row<'_>, first: usize) -> Result<User, Trouble> {
    let role: String = row.get(first + 3)?;
    let language: Option<String> = row.get(first + 5)?;
    Ok(User {
        id: id_at!(row, first, UserId),
        email: row.get(first + 1)?,
        name: row.get(first + 2)?,
        role: Role::parse(&role).ok_or_else(|| damaged("role of a user"))?,
        password_hash: row.get(first + 4)?,
        language: language.as_deref().and_then(Language::parse),
        sealed_totp: row.get(first + 6)?,
        is_active: row.get(first + 7)?,
        created_at: Timestamp::from_millis(row.get(first + 8)?),
    })
}

fn some(connection: &Connection, which: &str, of: impl Params) -> Result<Vec<User>, Trouble> {
    let mut statement = connection.prepare_cached(&format!("SELECT {USER} FROM users u {which}"))?;
    let mut rows = statement.query(of)?;
    let mut users = Vec::new();
    while let Some(row) = rows.next()? {
        users.push(user_at(row, 0)?);
    }
    Ok(users)
}

fn any(connection: &Connection) -> Result<bool, Trouble> {
    Ok(connection.query_row("SELECT 1 FROM users LIMIT 1", [], |_| Ok(())).optional()?.is_some())
}

impl Sqlite {
    pub(crate) async fn create_user(
        &self,
        user: User,
        is_first: bool,
        actor: Actor,
    ) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            if is_first && any(tx.connection)? {
                return Err(StoreError::NotFound.into());
            }
            tx.connection.execute(
                "INSERT INTO users (id, email, name, role, password_hash, language, sealed_totp, is_active, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    user.id.as_bytes(),
                    user.email,
                    user.name,
                    user.role.as_str(),
                    user.password_hash,
                    user.language.map(Language::as_str),
                    user.sealed_totp,
                    user.is_active,
                    user.created_at.millis(),
                ],
            )?;
            let detail = format!("{} {}", user.role, user.email);
            tx.changed(&actor, "user.create", &user.id.to_string(), Some(&detail))
        })
        .await
    }

    pub(crate) async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.readers.read(move |c| Ok(some(c, "WHERE u.id = ?1", [id.as_bytes()])?.pop())).await
    }

    pub(crate) async fn user_by_email(&self, email: String) -> Result<Option<User>, StoreError> {
        self.readers.read(move |c| Ok(some(c, "WHERE u.email = ?1", [email])?.pop())).await
    }

    pub(crate) async fn users(&self) -> Result<Vec<User>, StoreError> {
        self.readers.read(|connection| some(connection, "ORDER BY u.n", [])).await
    }

    pub(crate) async fn has_users(&self) -> Result<bool, StoreError> {
        self.readers.read(any).await
    }

    pub(crate) async fn update_user(
        &self,
        id: UserId,
        change: UserChange,
        keep: Option<[u8; 32]>,
        actor: Actor,
    ) -> Result<User, StoreError> {
        self.write_alone(move |tx| {
            tx.connection.execute(
                "UPDATE users SET password_hash = coalesce(?2, password_hash), role = coalesce(?3, role),
                    is_active = coalesce(?4, is_active), language = coalesce(?5, language),
                    sealed_totp = CASE WHEN ?6 THEN ?7 ELSE sealed_totp END
                 WHERE id = ?1",
                params![
                    id.as_bytes(),
                    change.password_hash,
                    change.role.map(Role::as_str),
                    change.is_active,
                    change.language.map(Language::as_str),
                    change.sealed_totp.is_some(),
                    change.sealed_totp.clone().flatten(),
                ],
            )?;
            let user = some(tx.connection, "WHERE u.id = ?1", [id.as_bytes()])?.pop();
            let user = user.ok_or(StoreError::NotFound)?;
            if change.ends_sessions() {
                let keep = keep.map(|hash| hash.to_vec()).unwrap_or_default();
                let sql = "DELETE FROM sessions WHERE user_id = ?1 AND hash <> ?2";
                tx.connection.execute(sql, params![id.as_bytes(), keep])?;
            }
            let detail = crate::record::user_change_in_words(&change);
            tx.changed(&actor, "user.update", &id.to_string(), Some(&detail))?;
            Ok(user)
        })
        .await
    }

    pub(crate) async fn use_totp_step(&self, id: UserId, step: i64) -> Result<bool, StoreError> {
        self.write(1, move |tx| {
            let sql = "UPDATE users SET totp_step = ?2 WHERE id = ?1 AND totp_step < ?2";
            Ok(tx.connection.execute(sql, params![id.as_bytes(), step])? == 1)
        })
        .await
    }
}
