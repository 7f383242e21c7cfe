//! Users.

use super::Postgres;
use super::audit::changed;
use super::columns::{at, instant_at};
use super::rows::{id_at, uuid_of};
use super::session::{Session, Value};
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::Actor;
use crate::record::damaged;
use posthaste_model::UserId;
use posthaste_model::user::{Language, Role, User, UserChange};
use tokio_postgres::Row;

/// The columns of a user, with alias `u`.
pub(super) const USER: &str = "u.id, u.email, u.name, u.role, u.password_hash, u.language, u.sealed_totp,
    u.is_active, u.created_at";

/// The user whose columns begin at `first`.
pub(super) fn user_at(row: &Row, first: usize) -> Result<User, Trouble> {
    let role: String = at(row, first + 3)?;
    let language: Option<String> = at(row, first + 5)?;
    Ok(User {
        id: id_at!(row, first, UserId),
        email: at(row, first + 1)?,
        name: at(row, first + 2)?,
        role: Role::parse(&role).ok_or_else(|| damaged("role of a user"))?,
        password_hash: at(row, first + 4)?,
        language: language.as_deref().and_then(Language::parse),
        sealed_totp: at(row, first + 6)?,
        is_active: at(row, first + 7)?,
        created_at: instant_at(row, first + 8)?,
    })
}

async fn some(db: &Session, which: &str, of: &[Value<'_>]) -> Result<Vec<User>, Trouble> {
    let rows = db.rows(&format!("SELECT {USER} FROM users u {which}"), of).await?;
    rows.iter().map(|row| user_at(row, 0)).collect()
}

async fn any(db: &Session) -> Result<bool, Trouble> {
    Ok(db.maybe("SELECT 1 FROM users LIMIT 1", &[]).await?.is_some())
}

impl Postgres {
    pub(crate) async fn create_user(
        &self,
        user: User,
        is_first: bool,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let (user, actor) = (&user, &actor);
        self.write(1, |db| async move {
            if is_first {
                // Two who follow the same link at once take turns.
                db.run("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE", &[]).await?;
                if any(&db).await? {
                    return Err(StoreError::NotFound.into());
                }
            }
            db.run(
                "INSERT INTO users (id, email, name, role, password_hash, language, sealed_totp, is_active, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                &[
                    &uuid_of!(user.id),
                    &user.email,
                    &user.name,
                    &user.role.as_str(),
                    &user.password_hash,
                    &user.language.map(Language::as_str),
                    &user.sealed_totp,
                    &user.is_active,
                    &user.created_at.millis(),
                ],
            )
            .await?;
            let detail = format!("{} {}", user.role, user.email);
            changed(&db, actor, "user.create", &user.id.to_string(), Some(&detail)).await
        })
        .await
    }

    pub(crate) async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        self.read(|db| async move { Ok(some(&db, "WHERE u.id = $1", &[&uuid_of!(id)]).await?.pop()) }).await
    }

    pub(crate) async fn user_by_email(&self, email: String) -> Result<Option<User>, StoreError> {
        let email = &email;
        self.read(|db| async move { Ok(some(&db, "WHERE u.email = $1", &[email]).await?.pop()) }).await
    }

    pub(crate) async fn users(&self) -> Result<Vec<User>, StoreError> {
        self.read(|db| async move { some(&db, "ORDER BY u.n", &[]).await }).await
    }

    pub(crate) async fn has_users(&self) -> Result<bool, StoreError> {
        self.read(|db| async move { any(&db).await }).await
    }

    pub(crate) async fn update_user(
        &self,
        id: UserId,
        change: UserChange,
        keep: Option<[u8; 32]>,
        actor: Actor,
    ) -> Result<User, StoreError> {
        let (change, actor) = (&change, &actor);
        self.write(1, |db| async move {
            db.run(
                "UPDATE users SET password_hash = coalesce($2, password_hash), role = coalesce($3, role),
                    is_active = coalesce($4, is_active), language = coalesce($5, language),
                    sealed_totp = CASE WHEN $6 THEN $7 ELSE sealed_totp END
                 WHERE id = $1",
                &[
                    &uuid_of!(id),
                    &change.password_hash,
                    &change.role.map(Role::as_str),
                    &change.is_active,
                    &change.language.map(Language::as_str),
                    &change.sealed_totp.is_some(),
                    &change.sealed_totp.clone().flatten(),
                ],
            )
            .await?;
            let user = some(&db, "WHERE u.id = $1", &[&uuid_of!(id)]).await?.pop();
            let user = user.ok_or(StoreError::NotFound)?;
            if change.ends_sessions() {
                let keep = keep.map(|hash| hash.to_vec()).unwrap_or_default();
                let sql = "DELETE FROM sessions WHERE user_id = $1 AND hash <> $2";
                db.run(sql, &[&uuid_of!(id), &keep]).await?;
            }
            let detail = crate::record::user_change_in_words(change);
            changed(&db, actor, "user.update", &id.to_string(), Some(&detail)).await?;
            Ok(user)
        })
        .await
    }

    pub(crate) async fn use_totp_step(&self, id: UserId, step: i64) -> Result<bool, StoreError> {
        self.write(1, |db| async move {
            let sql = "UPDATE users SET totp_step = $2 WHERE id = $1 AND totp_step < $2";
            Ok(db.run(sql, &[&uuid_of!(id), &step]).await? == 1)
        })
        .await
    }
}
