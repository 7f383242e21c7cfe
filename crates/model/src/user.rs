//! People who log in, and what they are let do.

use crate::status::words;
use crate::{Timestamp, UserId};

words!(
    /// What a user may do.
    Role {
        /// Everything.
        Admin = "admin",
        /// Reads the dashboard, changes nothing.
        Viewer = "viewer",
        /// Sees and sends the reports of its own EO events.
        Eo = "eo",
    }
);

words!(
    /// The language of pages and reports.
    Language {
        /// Indonesian.
        Id = "id",
        /// English.
        En = "en",
    }
);

/// A person with an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The address it logs in with, lower case; unique.
    pub email: String,
    /// How pages call it.
    pub name: Option<String>,
    /// What it may do.
    pub role: Role,
    /// Argon2id of the password, as a PHC string.
    pub password_hash: String,
    /// The language it chose.
    pub language: Option<Language>,
    /// The secret of its one-time codes (RFC 6238), sealed by the vault; `None`: it needs no code.
    pub sealed_totp: Option<Vec<u8>>,
    /// Whether it may log in.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What of a user changes; `None` leaves a value as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserChange {
    /// The password's hash.
    pub password_hash: Option<String>,
    /// The role.
    pub role: Option<Role>,
    /// Whether it may log in.
    pub is_active: Option<bool>,
    /// The language.
    pub language: Option<Language>,
    /// The sealed secret of its one-time codes.
    pub sealed_totp: Option<Option<Vec<u8>>>,
}

impl UserChange {
    /// Whether sessions that were opened before must end.
    pub fn ends_sessions(&self) -> bool {
        self.password_hash.is_some()
            || self.role.is_some()
            || self.sealed_totp.is_some()
            || self.is_active == Some(false)
    }
}

/// A login that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserSession {
    /// SHA-256 of what the browser keeps.
    pub hash: [u8; 32],
    /// Who logged in.
    pub user_id: UserId,
    /// When.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_seen: Timestamp,
    /// The network address it began at.
    pub address: String,
    /// The browser, as it calls itself.
    pub agent: String,
}
