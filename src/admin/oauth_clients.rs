//! OAuth2 clients: make, list, revoke; and the keys that sign their tokens.

use super::{Admin, NewClient, fault, invalid, refused};
use crate::auth::{TokenError, hash_password};
use posthaste_model::client::Client;
use posthaste_model::credential::{Credential, CredentialKind, KeyMode, Scope, oauth_hash};
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_model::{CredentialId, Rate, Secret};
use posthaste_store::Actor;
use std::time::Duration;

/// The shortest secret that is taken.
const SECRET_MIN: usize = 6;
/// Longer ones are no secrets but mistakes.
const SECRET_MAX: usize = 512;
/// The longest `client_id`.
const NAME_MAX: usize = 100;

/// An OAuth2 client to be made.
#[derive(Clone, Debug)]
pub struct NewOauthClient {
    /// Its `client_id`, also the name of the client that is made for it.
    pub name: String,
    /// The client whose mail it sends, by name or id; `None`: one named like it, made where there is none.
    pub client: Option<String>,
    /// Its secret.
    pub secret: Secret,
    /// What its tokens may do.
    pub scopes: Vec<Scope>,
    /// Its own rate limit.
    pub rate_limit: Option<Rate>,
}

impl Admin {
    /// Makes an OAuth2 client; `Conflict` when the `client_id` is taken.
    pub async fn create_oauth_client(
        &self,
        new: NewOauthClient,
        actor: &Actor,
    ) -> Result<Credential, Refusal> {
        let faults = faults_of(&new);
        if !faults.is_empty() {
            return Err(Refusal::Invalid(faults));
        }
        let taken = self.store.credential_by_hash(&oauth_hash(&new.name)).await.map_err(refused)?;
        if taken.is_some() {
            return Err(Refusal::Conflict(format!("an OAuth client {} stands already", new.name)));
        }
        let client = self.sends_as(&new, actor).await?;
        let secret_hash = self.hash(new.secret).await?;
        let now = self.clock.now();
        let mut scopes = new.scopes;
        scopes.sort_unstable_by_key(|scope| Scope::ALL.iter().position(|one| one == scope));
        scopes.dedup();
        let credential = Credential {
            id: CredentialId::new(now, self.chance.bytes()),
            client_id: client.id,
            name: Some(new.name.clone()),
            prefix: new.name.clone(),
            key_hash: oauth_hash(&new.name),
            mode: KeyMode::Live,
            permissions: Scope::permissions(&scopes),
            kind: CredentialKind::OauthClient { name: new.name, secret_hash, scopes },
            domain: None,
            rate_limit: new.rate_limit,
            is_active: true,
            expires_at: None,
            created_at: now,
            revoked_at: None,
            retires_at: None,
        };
        self.store.create_credential(credential.clone(), actor).await.map_err(refused)?;
        Ok(credential)
    }

    /// The client whose mail it sends.
    async fn sends_as(&self, new: &NewOauthClient, actor: &Actor) -> Result<Client, Refusal> {
        let named = new.client.as_deref().unwrap_or(&new.name);
        match (self.client(named).await, &new.client) {
            (Err(Refusal::NotFound), Some(_)) => {
                Err(invalid("client", FaultCode::InvalidValue, "no client has this name or id"))
            }
            (Err(Refusal::NotFound), None) => self.create_client(NewClient::named(named), actor).await,
            (found, _) => found,
        }
    }

    /// All OAuth2 clients, oldest first.
    pub async fn oauth_clients(&self) -> Result<Vec<Credential>, Refusal> {
        let mut credentials = self.store.credentials(None).await.map_err(refused)?;
        credentials.retain(|credential| matches!(credential.kind, CredentialKind::OauthClient { .. }));
        Ok(credentials)
    }

    /// The OAuth2 client with this `client_id`.
    pub async fn oauth_client(&self, name: &str) -> Result<Credential, Refusal> {
        let found = self.store.credential_by_hash(&oauth_hash(name)).await.map_err(refused)?;
        found.map(|(credential, _)| credential).ok_or(Refusal::NotFound)
    }

    /// Revokes an OAuth2 client at once; the tokens it was given end with it.
    pub async fn revoke_oauth_client(&self, name: &str, actor: &Actor) -> Result<(), Refusal> {
        let credential = self.oauth_client(name).await?;
        self.store.revoke_credential(None, credential.id, self.clock.now(), actor).await.map_err(refused)
    }

    /// Makes a new key sign access tokens from now on; those signed before stay good. Its name.
    pub async fn rotate_signing_key(&self, actor: &Actor) -> Result<String, Refusal> {
        self.auth.rotate_signing_key(actor).await.map_err(|error| match error {
            TokenError::Store(error) => refused(error),
            TokenError::Invalid | TokenError::Revoked | TokenError::Signing => failed(),
        })
    }

    /// Off the async threads: it takes tens of milliseconds.
    async fn hash(&self, secret: Secret) -> Result<String, Refusal> {
        let hashed = tokio::task::spawn_blocking(move || hash_password(&secret)).await;
        hashed.ok().and_then(Result::ok).ok_or_else(failed)
    }
}

/// What is wrong with a client to be made, all at once.
fn faults_of(new: &NewOauthClient) -> Vec<Fault> {
    let mut faults = Vec::new();
    let is_visible = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    if !(1..=NAME_MAX).contains(&new.name.len()) || !new.name.bytes().all(is_visible) {
        let message = "id has 1 to 100 visible ASCII characters, none of them a colon";
        faults.push(fault("id", FaultCode::InvalidValue, message));
    }
    if !(SECRET_MIN..=SECRET_MAX).contains(&new.secret.expose().len()) {
        let message = format!("the secret has {SECRET_MIN} to {SECRET_MAX} bytes");
        faults.push(fault("secret", FaultCode::OutOfRange, message));
    }
    if new.scopes.is_empty() {
        faults.push(fault("scope", FaultCode::Required, "at least one scope is needed: basic or email"));
    }
    faults
}

/// A fault of ours, which is in the log.
fn failed() -> Refusal {
    Refusal::Unavailable { retry_after: Duration::from_secs(1), may_be_stored: false }
}
