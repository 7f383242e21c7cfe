//! API keys: make, list, rotate, revoke. A key in clear is answered once and kept nowhere.

use super::{Admin, fault, invalid, refused, words};
use posthaste_model::client::Client;
use posthaste_model::credential::{ApiKey, Credential, CredentialKind, KeyMode, Permission};
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_model::{ClientId, CredentialId, Domain, Rate, Timestamp};
use posthaste_store::{Actor, StoreError};
use std::time::Duration;

/// The longest time for which a rotated key goes on working.
const OVERLAP_MAX: Duration = Duration::from_secs(30 * 86_400);

/// By which name the classic key stands among the others: the variable that sets it.
const CLASSIC_KEY: &str = "API_KEY";

/// A key to be made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The client it will belong to, by name or id.
    pub client: String,
    /// A name for people.
    pub name: Option<String>,
    /// Whether its mail may leave the machine.
    pub mode: KeyMode,
    /// What it may do; empty: send, read, cancel.
    pub permissions: Vec<Permission>,
    /// The one domain it may send from.
    pub domain: Option<String>,
    /// Its own rate limit.
    pub rate_limit: Option<Rate>,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
}

impl NewKey {
    /// A live key of `client` with the usual permissions.
    pub fn new(client: impl Into<String>) -> Self {
        Self {
            client: client.into(),
            name: None,
            mode: KeyMode::Live,
            permissions: Vec::new(),
            domain: None,
            rate_limit: None,
            expires_at: None,
        }
    }
}

/// A key that was just made.
#[derive(Debug)]
pub struct KeyChange {
    /// What is kept of it.
    pub credential: Credential,
    /// The key itself: shown now, never again.
    pub key: ApiKey,
    /// The key it replaces, with the time at which that one stops working.
    pub replaces: Option<(CredentialId, Timestamp)>,
}

impl Admin {
    /// Makes a key.
    pub async fn create_key(&self, new: NewKey, actor: &Actor) -> Result<KeyChange, Refusal> {
        let made = self.judge_key(new).await?;
        self.store.create_credential(made.credential.clone(), actor).await.map_err(refused)?;
        Ok(made)
    }

    /// Makes the first key of `client`; `None` where another node that starts in this moment was quicker. It bears its
    /// client's own id, which only one can: the store decides who makes it, and a key that nobody was shown never stands.
    pub async fn create_first_key(&self, client: &Client, actor: &Actor) -> Result<Option<ApiKey>, Refusal> {
        let mut permissions = Permission::DEFAULT.to_vec();
        permissions.extend([Permission::TemplatesWrite, Permission::WebhooksWrite]);
        let asked = NewKey { name: Some("first".into()), permissions, ..NewKey::new(client.id.to_string()) };
        let KeyChange { credential, key, .. } = self.judge_key(asked).await?;
        let credential = Credential { id: CredentialId::from_bytes(*client.id.as_bytes()), ..credential };
        match self.store.create_credential(credential, actor).await {
            Ok(()) => Ok(Some(key)),
            Err(StoreError::Conflict(_)) => Ok(None),
            Err(error) => Err(refused(error)),
        }
    }

    /// The key that was asked for, not kept yet.
    async fn judge_key(&self, new: NewKey) -> Result<KeyChange, Refusal> {
        let now = self.clock.now();
        let mut faults = Vec::new();
        let client = match self.client(&new.client).await {
            Ok(client) => Some(client),
            Err(Refusal::NotFound) => {
                faults.push(fault("client", FaultCode::InvalidValue, "no client has this name or id"));
                None
            }
            Err(other) => return Err(other),
        };
        let name = new.name.as_deref().map(|given| words::name("name", given)).transpose();
        let name = name.map_err(|fault| faults.push(fault)).unwrap_or_default();
        if new.expires_at.is_some_and(|at| at <= now) {
            faults.push(fault("expires_at", FaultCode::OutOfRange, "expires_at must lie ahead"));
        }
        let domain = self.key_domain(client.as_ref(), new.domain.as_deref(), &mut faults).await?;
        let Some(client) = client.filter(|_| faults.is_empty()) else { return Err(Refusal::Invalid(faults)) };
        let key = ApiKey::new(new.mode, &self.chance.bytes());
        let credential = Credential {
            id: CredentialId::new(now, self.chance.bytes()),
            client_id: client.id,
            kind: CredentialKind::Key,
            name,
            prefix: key.prefix().to_owned(),
            key_hash: key.hash(),
            mode: new.mode,
            permissions: granted(&new.permissions),
            domain,
            rate_limit: new.rate_limit,
            is_active: true,
            expires_at: new.expires_at,
            created_at: now,
            revoked_at: None,
            retires_at: None,
        };
        Ok(KeyChange { credential, key, replaces: None })
    }

    /// Lets the classic key of the configuration be a credential of `client`, found by the first of `hashes`. One that is
    /// there stays as it is, revoked too: who revoked it meant it; so does one that was found by a later hash before the
    /// encryption key was rotated. Without a hash there is no classic key.
    pub async fn keep_classic_key(
        &self,
        client: &Client,
        hashes: &[[u8; 32]],
        actor: &Actor,
    ) -> Result<(), Refusal> {
        let Some(&key_hash) = hashes.first() else { return Ok(()) };
        let mut standing = None;
        for hash in hashes {
            standing = self.store.credential_by_hash(hash).await.map_err(refused)?;
            if standing.is_some() {
                break;
            }
        }
        let now = self.clock.now();
        let id = CredentialId::new(now, self.chance.bytes());
        let credential = match standing {
            Some((standing, _)) if standing.key_hash == key_hash => return Ok(()),
            Some((standing, _)) => Credential { id, key_hash, created_at: now, ..standing },
            None => Credential {
                id,
                client_id: client.id,
                kind: CredentialKind::Key,
                name: Some(CLASSIC_KEY.to_owned()),
                prefix: CLASSIC_KEY.to_owned(),
                key_hash,
                mode: KeyMode::Live,
                permissions: vec![Permission::EmailsSend],
                domain: None,
                rate_limit: None,
                is_active: true,
                expires_at: None,
                created_at: now,
                revoked_at: None,
                retires_at: None,
            },
        };
        match self.store.create_credential(credential, actor).await {
            // Another node that starts in this moment was quicker.
            Ok(()) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(error) => Err(refused(error)),
        }
    }

    /// The domain a key is bound to must be one that its client may send from: its own, one that all share, or, while it has
    /// none of its own, any that is not another's.
    async fn key_domain(
        &self,
        client: Option<&Client>,
        given: Option<&str>,
        faults: &mut Vec<Fault>,
    ) -> Result<Option<String>, Refusal> {
        let Some(given) = given else { return Ok(None) };
        let domain = match Domain::parse(given) {
            Ok(domain) => domain,
            Err(error) => {
                faults.push(fault("domain", FaultCode::InvalidDomain, format!("the domain {error}")));
                return Ok(None);
            }
        };
        let Some(client) = client else { return Ok(None) };
        let known = self.store.domain(domain.as_str()).await.map_err(refused)?;
        let is_allowed = if let Some(known) = known {
            known.client_id.is_none_or(|owner| owner == client.id)
        } else {
            let domains = self.store.domains(Some(client.id)).await.map_err(refused)?;
            !domains.iter().any(|domain| domain.client_id == Some(client.id))
        };
        if !is_allowed {
            let message = format!("{domain} is no sending domain of this client; create it first");
            faults.push(fault("domain", FaultCode::UnknownDomain, message));
        }
        Ok(Some(domain.as_str().to_owned()))
    }

    /// The keys of one client, or all, oldest first.
    pub async fn keys(&self, client: Option<ClientId>) -> Result<Vec<Credential>, Refusal> {
        let mut credentials = self.store.credentials(client).await.map_err(refused)?;
        credentials.retain(|credential| credential.kind == CredentialKind::Key);
        Ok(credentials)
    }

    /// One key by id.
    pub async fn key(&self, id: CredentialId) -> Result<Credential, Refusal> {
        let keys = self.keys(None).await?;
        keys.into_iter().find(|key| key.id == id).ok_or(Refusal::NotFound)
    }

    /// Makes a new key with everything the old one has; the old one goes on working for `overlap`, never longer than
    /// it would have.
    pub async fn rotate_key(
        &self,
        id: CredentialId,
        overlap: Duration,
        actor: &Actor,
    ) -> Result<KeyChange, Refusal> {
        if overlap > OVERLAP_MAX {
            return Err(invalid("overlap", FaultCode::OutOfRange, "overlap may be 30 days at most"));
        }
        let now = self.clock.now();
        let old = self.key(id).await?;
        if !old.is_usable(now) {
            return Err(Refusal::Conflict("the key is revoked or expired; make a new one".into()));
        }
        // Rotated twice: the earlier end holds.
        let retires_at = old.retires_at.map_or(now.plus(overlap), |at| at.min(now.plus(overlap)));
        let ends_at = old.expires_at.map_or(retires_at, |at| at.min(retires_at));
        let key = ApiKey::new(old.mode, &self.chance.bytes());
        let credential = Credential {
            id: CredentialId::new(now, self.chance.bytes()),
            prefix: key.prefix().to_owned(),
            key_hash: key.hash(),
            // A key with an end gets as long a life again, counted from now; a retirement is the old one's alone.
            expires_at: old.expires_at.map(|at| now.plus(at.since(old.created_at))),
            retires_at: None,
            created_at: now,
            ..old
        };
        self.store.rotate_credential(id, retires_at, credential.clone(), actor).await.map_err(refused)?;
        Ok(KeyChange { credential, key, replaces: Some((id, ends_at)) })
    }

    /// Revokes a key at once, on every node. One that is revoked already stays so.
    pub async fn revoke_key(&self, id: CredentialId, actor: &Actor) -> Result<(), Refusal> {
        self.key(id).await?;
        self.store.revoke_credential(None, id, self.clock.now(), actor).await.map_err(refused)
    }
}

/// The permissions in the order of the manual, each once; the usual ones when none were named.
fn granted(named: &[Permission]) -> Vec<Permission> {
    let mut granted = if named.is_empty() { Permission::DEFAULT.to_vec() } else { named.to_vec() };
    granted.sort_unstable_by_key(|permission| Permission::ALL.iter().position(|one| one == permission));
    granted.dedup();
    granted
}
