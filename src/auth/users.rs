//! People: passwords, logins that a browser keeps, and the token that tells our own forms from forged ones.
//!
//! What the browser keeps is random and stands hashed in the store, so that whoever reads the store can log in as nobody.
//! The token of forms is made of it and kept nowhere.

use super::totp::TotpSecret;
use super::{Auth, TokenError};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use posthaste_model::user::{User, UserSession};
use posthaste_model::{Secret, Timestamp};
use posthaste_store::StoreError;
use std::time::Duration;

/// A login that is not used for so long ends.
const IDLE: Duration = Duration::from_hours(12);
/// A login's use is written down this often.
const TOUCH: Duration = Duration::from_mins(1);
/// What the vault signs for forms.
const FORMS: &str = "forms";
/// What the vault signs for the first admin.
const FIRST_ADMIN: &str = "first-admin";
/// Characters kept of what a browser says of itself.
const AGENT_CHARS: usize = 200;

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// The login.
    pub session: UserSession,
}

/// Where a login comes from, as far as it is known.
#[derive(Clone, Debug)]
pub struct Browser {
    /// Network address.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
}

impl Auth {
    /// Whether anybody can log in.
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        self.store.has_users().await
    }

    /// The user with this address and password. An unknown address takes as long as a wrong password, and is told alike.
    pub async fn password_login(&self, email: &str, password: &Secret) -> Result<Option<User>, TokenError> {
        let found = self.store.user_by_email(&email.trim().to_lowercase()).await?;
        let hash = found.as_ref().map(|user| user.password_hash.clone());
        let is_right = self.matches(password.clone(), hash).await?;
        Ok(found.filter(|user| is_right && user.is_active))
    }

    /// Whether the one-time code is right, and uses it up. A user without a secret needs none.
    pub async fn one_time_code(&self, user: &User, code: &str) -> Result<bool, TokenError> {
        let Some(sealed) = &user.sealed_totp else { return Ok(true) };
        let secret = self.vault.open(&totp_place(user), sealed).map_err(|error| {
            tracing::error!(%error, "the secret of a user's one-time codes cannot be opened");
            TokenError::Signing
        })?;
        match TotpSecret::from_bytes(secret).step_of(code, self.clock.now()) {
            None => Ok(false),
            Some(step) => Ok(self.store.use_totp_step(user.id, step).await?),
        }
    }

    /// A secret of one-time codes, sealed for its user.
    pub fn seal_totp(&self, user: &User, secret: &TotpSecret) -> Vec<u8> {
        self.vault.seal(&totp_place(user), secret.expose())
    }

    /// What a browser keeps that nobody logged in with yet.
    pub fn new_browser_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.chance.bytes::<32>())
    }

    /// Opens a login; what the browser is to keep.
    pub async fn open_session(&self, user: &User, browser: Browser) -> Result<String, StoreError> {
        let token = self.new_browser_token();
        let now = self.clock.now();
        let session = UserSession {
            hash: hash_of(&token),
            user_id: user.id,
            created_at: now,
            last_seen: now,
            address: browser.address,
            agent: browser.agent.chars().filter(|c| !c.is_control()).take(AGENT_CHARS).collect(),
        };
        self.store.open_session(session).await?;
        Ok(token)
    }

    /// Who is logged in by what the browser kept. This uses the login: it holds for another 12 hours.
    pub async fn session(&self, token: &str) -> Result<Option<SignedIn>, StoreError> {
        let found = self.unused_session(token).await?;
        let now = self.clock.now();
        if let Some(SignedIn { session, .. }) = &found
            && now.since(session.last_seen) >= TOUCH
        {
            self.store.touch_session(session.hash, now).await?;
        }
        Ok(found)
    }

    /// [`Self::session`] without using the login: for what a page does by itself, with nobody before it.
    pub async fn unused_session(&self, token: &str) -> Result<Option<SignedIn>, StoreError> {
        let found = self.store.session(hash_of(token)).await?;
        let now = self.clock.now();
        let held = found.filter(|(session, user)| user.is_active && !has_ended(session, now));
        Ok(held.map(|(session, user)| SignedIn { user, session }))
    }

    /// Ends a login.
    pub async fn close_session(&self, token: &str) -> Result<(), StoreError> {
        self.store.close_session(hash_of(token)).await
    }

    /// The token that forms of this browser carry.
    pub fn form_token(&self, browser_token: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.vault.sign(FORMS, browser_token.as_bytes()))
    }

    /// Whether a form carries the token of this browser.
    pub fn is_form_token(&self, browser_token: &str, given: &str) -> bool {
        let Ok(given) = URL_SAFE_NO_PAD.decode(given) else { return false };
        self.vault.verify(FORMS, browser_token.as_bytes(), &given)
    }

    /// What the link for the first admin carries. It is good while the installation has no user.
    pub fn first_admin_token(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.vault.sign(FIRST_ADMIN, b""))
    }

    /// Whether this is what the link for the first admin carries.
    pub fn is_first_admin_token(&self, given: &str) -> bool {
        let Ok(given) = URL_SAFE_NO_PAD.decode(given) else { return false };
        self.vault.verify(FIRST_ADMIN, b"", &given)
    }
}

fn has_ended(session: &UserSession, now: Timestamp) -> bool {
    now.since(session.last_seen) >= IDLE
}

fn totp_place(user: &User) -> String {
    format!("users/{}/totp", user.id)
}

fn hash_of(token: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}
