//! Who is calling: turns what a request presents into one [`Caller`].

mod classic_key;
pub mod jwt;
pub mod link;
mod mail_token;
mod network;
mod oauth;
mod signing;
mod totp;
pub mod unsubscribe;
mod users;
mod verified;

pub use oauth::{AccessToken, LoggedIn, hash_password};
pub use totp::TotpSecret;
pub use users::{Browser, SignedIn};

use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::tasks::Tasks;
use crate::base::vault::Vault;
use crate::directory::{Directory, View};
use posthaste_model::client::Client;
use posthaste_model::credential::{ApiKey, Credential, CredentialKind, Permission};
use posthaste_model::refusal::Refusal;
use posthaste_model::{CredentialId, Secret};
use posthaste_store::{SigningKey, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};
use uuid::Uuid;

/// Secrets compared at once: each takes 19 MB of memory and a core.
const HASHING_AT_ONCE: usize = 2;

/// A caller whose credential was found good.
#[derive(Clone)]
pub struct Caller {
    /// The client on whose behalf it speaks.
    pub client: Arc<Client>,
    /// The credential it showed.
    pub credential: Arc<Credential>,
    /// What the installation knew when the credential was looked at.
    pub view: Arc<View>,
    /// The access token it came by, which can be revoked by itself.
    pub token: Option<Uuid>,
}

impl Caller {
    /// The credential's id; none for a caller that is let in by its network, or is a person with an account.
    pub fn credential_id(&self) -> Option<CredentialId> {
        (!self.is_by_network() && !self.is_by_person()).then_some(self.credential.id)
    }

    /// Why it may send, for explain.
    pub fn reason(&self) -> &'static str {
        if self.is_by_network() {
            "the network may send without a login"
        } else if self.is_by_person() {
            "a user with an account sends"
        } else {
            "the key may send"
        }
    }

    /// Refuses a caller that may not do `permission`.
    pub fn must(&self, permission: Permission) -> Result<(), Refusal> {
        if self.credential.permits(permission) {
            Ok(())
        } else {
            Err(Refusal::PermissionDenied(permission.as_str()))
        }
    }
}

/// Why a caller is not known.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No credential of this kind, or one that no longer works. The two are told alike.
    #[error("the API key is missing, unknown, revoked or expired")]
    Invalid,
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How new the knowledge must be on which a caller is let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// The store checks the view's revision again with the commit.
    CheckedByCommit,
    /// As new as the store at this moment.
    Now,
}

/// Why a token, or a login for one, is not good.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Not ours, ended, or of a credential that does not work.
    #[error("the token is invalid")]
    Invalid,
    /// Its credential was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// A fault of ours: a key that cannot be opened or made; it is in the log.
    #[error("the token could not be made or checked")]
    Signing,
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What callers are found with.
pub struct AuthParts {
    /// What the installation knows.
    pub directory: Directory,
    /// Where signing keys are kept.
    pub store: Store,
    /// Opens signing keys.
    pub vault: Vault,
    /// The time.
    pub clock: Clock,
    /// Ids of tokens.
    pub chance: Chance,
    /// Runs what takes long.
    pub tasks: Tasks,
    /// Signs the tokens of the Mail Proxy API (`mail_proxy.jwt_secret`).
    pub jwt_secret: Secret,
    /// How far clocks may differ (`mail_proxy.jwt_leeway`).
    pub leeway: Duration,
    /// How long an access token lives (`oauth.token_lifetime`).
    pub token_lifetime: Duration,
    /// The one key of the configuration (`aegis.api_key`).
    pub classic_key: Option<Secret>,
}

/// Finds callers. Cheap to clone.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

/// What is inside.
pub struct Inner {
    directory: Directory,
    store: Store,
    vault: Vault,
    clock: Clock,
    chance: Chance,
    tasks: Tasks,
    mail_key: jwt::SharedKey,
    classic_hashes: Vec<[u8; 32]>,
    leeway: Duration,
    token_lifetime: Duration,
    hashing: Semaphore,
    opened: Mutex<Option<(Arc<Vec<SigningKey>>, OpenKeys)>>,
}

type OpenKeys = Arc<Vec<Arc<signing::OpenKey>>>;

impl std::ops::Deref for Auth {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Auth {
    /// An authenticator over its parts.
    pub fn new(parts: AuthParts) -> Self {
        let classic = parts.classic_key.map(|key| classic_key::hashes(&parts.vault, key.expose()));
        Self(Arc::new(Inner {
            classic_hashes: classic.unwrap_or_default(),
            directory: parts.directory,
            store: parts.store,
            vault: parts.vault,
            clock: parts.clock,
            chance: parts.chance,
            tasks: parts.tasks,
            mail_key: jwt::SharedKey::new(&parts.jwt_secret),
            leeway: parts.leeway,
            token_lifetime: parts.token_lifetime,
            hashing: Semaphore::new(HASHING_AT_ONCE),
            opened: Mutex::new(None),
        }))
    }

    /// The caller that presents this API key. A key of the wrong shape or checksum is refused before any look-up; the
    /// rest is found by its hash, so that no comparison's time tells anything about a key.
    pub async fn api_key(&self, presented: &str, freshness: Freshness) -> Result<Caller, AuthError> {
        let key = ApiKey::parse(presented).ok_or(AuthError::Invalid)?;
        self.by_hash(&key.hash(), freshness).await
    }

    /// The caller whose credential is found by `hash`.
    async fn by_hash(&self, hash: &[u8; 32], freshness: Freshness) -> Result<Caller, AuthError> {
        if freshness == Freshness::CheckedByCommit
            && let Some(caller) = self.lookup(self.directory.view(), hash).await?
        {
            return Ok(caller);
        }
        // Unknown or no longer good by what is remembered: the truth may be newer.
        let view = self.directory.fresh().await?;
        self.lookup(view, hash).await?.ok_or(AuthError::Invalid)
    }

    /// The same caller by what the store says now; refused when its credential no longer works.
    pub async fn refresh(&self, caller: &Caller) -> Result<Caller, AuthError> {
        if caller.is_by_network() {
            return self.by_network(&caller.client.name).await;
        }
        if caller.is_by_person() {
            return self.on_behalf_of(caller.client.id).await;
        }
        let view = self.directory.fresh().await?;
        if let Some(token) = caller.token
            && view.is_token_revoked(token).await?
        {
            return Err(AuthError::Invalid);
        }
        let found = self.lookup(view, &caller.credential.key_hash).await?.ok_or(AuthError::Invalid)?;
        Ok(Caller { token: caller.token, ..found })
    }

    /// The caller that logs in with a client's name or id, and one of that client's API keys or Mail Proxy tokens. To the
    /// bearer of a token the client's id is the one that the Mail Proxy API shows, with which the token is marked.
    pub async fn login(&self, username: &str, password: &str) -> Result<Caller, AuthError> {
        let caller = if mail_token::looks_like_one(password) {
            self.mail_bearer(password, Freshness::Now).await.map_err(|error| match error {
                TokenError::Store(error) => AuthError::Store(error),
                TokenError::Invalid | TokenError::Revoked | TokenError::Signing => AuthError::Invalid,
            })?
        } else {
            self.api_key(password, Freshness::Now).await?
        };
        let is_shown_id =
            caller.credential.kind == CredentialKind::Token && username == caller.credential.prefix;
        let is_its =
            is_shown_id || username == caller.client.name || username == caller.client.id.to_string();
        if is_its { Ok(caller) } else { Err(AuthError::Invalid) }
    }

    async fn lookup(&self, view: Arc<View>, hash: &[u8; 32]) -> Result<Option<Caller>, StoreError> {
        let Some((credential, client)) = view.credential(hash).await? else { return Ok(None) };
        let usable = credential.is_usable(self.clock.now()) && client.is_active;
        Ok(usable.then_some(Caller { client, credential, view, token: None }))
    }
}

#[cfg(test)]
impl Auth {
    /// An authenticator over `store` with secrets of its own, for tests of what stands above.
    pub async fn of_store(store: &Store, clock: &Clock) -> Self {
        let chance = Chance::new();
        Self::new(AuthParts {
            directory: Directory::open(store.clone()).await.expect("a directory"),
            store: store.clone(),
            vault: Vault::new(&Vault::generate_key(&chance), chance.clone()).expect("a key"),
            clock: clock.clone(),
            jwt_secret: Vault::generate_key(&chance),
            chance,
            tasks: Tasks::new(),
            leeway: Duration::from_secs(30),
            token_lifetime: Duration::from_hours(1),
            classic_key: None,
        })
    }
}
