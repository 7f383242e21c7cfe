//! People who log in: make, list, find, change. Where a change must end logins, it does so in the same commit.

use super::{Admin, fault, invalid, refused, words};
use crate::auth::{TotpSecret, hash_password};
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_model::user::{Language, Role, User, UserChange};
use posthaste_model::{Address, Secret, UserId};
use posthaste_store::Actor;

/// The shortest password that is taken.
const PASSWORD_MIN: usize = 6;
/// Longer ones are no passwords but mistakes.
const PASSWORD_MAX: usize = 512;

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The address to log in with.
    pub email: String,
    /// How pages call it.
    pub name: Option<String>,
    /// What it may do.
    pub role: Role,
    /// The password.
    pub password: Secret,
    /// Only into an installation without any user: [`Refusal::NotFound`] into another.
    pub is_first: bool,
}

impl Admin {
    /// Makes a user.
    pub async fn create_user(&self, new: NewUser, actor: &Actor) -> Result<User, Refusal> {
        let mut faults = Vec::new();
        let email = account_address(&new.email).map_err(|found| faults.push(found)).ok();
        let name = new.name.as_deref().filter(|name| !name.trim().is_empty());
        let name = name.map(|given| words::name("name", given)).transpose();
        let name = name.map_err(|found| faults.push(found)).ok().flatten();
        faults.extend(password_fault(&new.password));
        let Some(email) = email.filter(|_| faults.is_empty()) else { return Err(Refusal::Invalid(faults)) };
        let now = self.clock.now();
        let user = User {
            id: UserId::new(now, self.chance.bytes()),
            email,
            name,
            role: new.role,
            password_hash: self.hash_user_password(new.password).await?,
            language: None,
            sealed_totp: None,
            is_active: true,
            created_at: now,
        };
        self.store.create_user(user.clone(), new.is_first, actor).await.map_err(refused)?;
        Ok(user)
    }

    /// All users, oldest first.
    pub async fn users(&self) -> Result<Vec<User>, Refusal> {
        self.store.users().await.map_err(refused)
    }

    /// The user with this address or id.
    pub async fn user(&self, named: &str) -> Result<User, Refusal> {
        let found = match named.parse::<UserId>() {
            Ok(id) => self.store.user(id).await,
            Err(_) => self.store.user_by_email(&named.trim().to_lowercase()).await,
        };
        found.map_err(refused)?.ok_or(Refusal::NotFound)
    }

    /// Sets a password; every login of the user but `keep` ends.
    pub async fn set_password(
        &self,
        id: UserId,
        password: Secret,
        keep: Option<[u8; 32]>,
        actor: &Actor,
    ) -> Result<User, Refusal> {
        if let Some(fault) = password_fault(&password) {
            return Err(Refusal::Invalid(vec![fault]));
        }
        let password_hash = Some(self.hash_user_password(password).await?);
        let change = UserChange { password_hash, ..UserChange::default() };
        self.store.update_user(id, change, keep, actor).await.map_err(refused)
    }

    /// Changes what a user may do; its logins end.
    pub async fn set_role(&self, id: UserId, role: Role, actor: &Actor) -> Result<User, Refusal> {
        let change = UserChange { role: Some(role), ..UserChange::default() };
        self.store.update_user(id, change, None, actor).await.map_err(refused)
    }

    /// Lets a user log in, or no longer; then its logins end.
    pub async fn set_user_active(&self, id: UserId, is_active: bool, actor: &Actor) -> Result<User, Refusal> {
        let change = UserChange { is_active: Some(is_active), ..UserChange::default() };
        self.store.update_user(id, change, None, actor).await.map_err(refused)
    }

    /// Remembers the language a user chose.
    pub async fn set_language(&self, id: UserId, language: Language, actor: &Actor) -> Result<User, Refusal> {
        let change = UserChange { language: Some(language), ..UserChange::default() };
        self.store.update_user(id, change, None, actor).await.map_err(refused)
    }

    /// Asks a user for a one-time code at each login from now on, once a code of `secret` proved that its app has it.
    pub async fn set_totp(
        &self,
        user: &User,
        secret: &TotpSecret,
        code: &str,
        keep: Option<[u8; 32]>,
        actor: &Actor,
    ) -> Result<User, Refusal> {
        let step = secret.step_of(code, self.clock.now());
        let step =
            step.ok_or_else(|| invalid("code", FaultCode::InvalidValue, "this is not the code of now"))?;
        let sealed = self.auth.seal_totp(user, secret);
        let change = UserChange { sealed_totp: Some(Some(sealed)), ..UserChange::default() };
        let changed = self.store.update_user(user.id, change, keep, actor).await.map_err(refused)?;
        self.store.use_totp_step(user.id, step).await.map_err(refused)?;
        Ok(changed)
    }

    /// Lets a user log in without one-time codes again.
    pub async fn remove_totp(
        &self,
        id: UserId,
        keep: Option<[u8; 32]>,
        actor: &Actor,
    ) -> Result<User, Refusal> {
        let change = UserChange { sealed_totp: Some(None), ..UserChange::default() };
        self.store.update_user(id, change, keep, actor).await.map_err(refused)
    }

    async fn hash_user_password(&self, password: Secret) -> Result<String, Refusal> {
        let hashed = tokio::task::spawn_blocking(move || hash_password(&password)).await;
        let failed =
            Refusal::Unavailable { retry_after: std::time::Duration::from_secs(1), may_be_stored: false };
        hashed.ok().and_then(Result::ok).ok_or(failed)
    }
}

/// The address of an account, lower case.
fn account_address(given: &str) -> Result<String, Fault> {
    let address = Address::parse(given.trim())
        .map_err(|error| fault("email", FaultCode::InvalidEmail, format!("the address {error}")))?;
    Ok(address.as_str().to_lowercase())
}

fn password_fault(password: &Secret) -> Option<Fault> {
    let length = password.expose().chars().count();
    (!(PASSWORD_MIN..=PASSWORD_MAX).contains(&length)).then(|| {
        let message = format!("a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters");
        fault("password", FaultCode::OutOfRange, message)
    })
}
