//! People who log in, and their logins. A login is a row: it ends everywhere at once when the row goes.

use crate::configuration::Actor;
use crate::{Store, StoreError, on_engine};
use posthaste_model::user::{User, UserChange, UserSession};
use posthaste_model::{Timestamp, UserId};

impl Store {
    /// Adds a user; `Conflict` when the address is taken. `is_first`: only into an installation without any user,
    /// `NotFound` into another.
    pub async fn create_user(&self, user: User, is_first: bool, actor: &Actor) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.create_user(user, is_first, actor.clone()).await)
    }

    /// A user by id.
    pub async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        on_engine!(self, engine => engine.user(id).await)
    }

    /// A user by address, lower case.
    pub async fn user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        on_engine!(self, engine => engine.user_by_email(email.to_owned()).await)
    }

    /// All users, oldest first.
    pub async fn users(&self) -> Result<Vec<User>, StoreError> {
        on_engine!(self, engine => engine.users().await)
    }

    /// Whether there is any user.
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        on_engine!(self, engine => engine.has_users().await)
    }

    /// Changes a user; where the change asks for it, all its logins but `keep` end in the same commit. The user as it
    /// stands then; `NotFound` without it.
    pub async fn update_user(
        &self,
        id: UserId,
        change: UserChange,
        keep: Option<[u8; 32]>,
        actor: &Actor,
    ) -> Result<User, StoreError> {
        on_engine!(self, engine => engine.update_user(id, change, keep, actor.clone()).await)
    }

    /// Uses up the one-time code of a step of time; `false`: it, or a later one, was used before.
    pub async fn use_totp_step(&self, id: UserId, step: i64) -> Result<bool, StoreError> {
        on_engine!(self, engine => engine.use_totp_step(id, step).await)
    }

    /// Writes a login down.
    pub async fn open_session(&self, session: UserSession) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.open_session(session).await)
    }

    /// The login of this hash with its user.
    pub async fn session(&self, hash: [u8; 32]) -> Result<Option<(UserSession, User)>, StoreError> {
        on_engine!(self, engine => engine.session(hash).await)
    }

    /// Notes that a login was used.
    pub async fn touch_session(&self, hash: [u8; 32], now: Timestamp) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.touch_session(hash, now).await)
    }

    /// Ends a login.
    pub async fn close_session(&self, hash: [u8; 32]) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.close_session(hash).await)
    }

    /// Forgets logins that were not used since `before`; how many.
    pub async fn drop_sessions(&self, before: Timestamp) -> Result<u64, StoreError> {
        on_engine!(self, engine => engine.drop_sessions(before).await)
    }
}
