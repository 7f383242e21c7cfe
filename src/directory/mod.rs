//! What the installation knows (credentials, clients, domains, templates), remembered under the store's revision.
//!
//! Every change of configuration raises the revision in its own transaction, and an acceptance is refused by the store
//! when its caller looked at an older one. So the hot path needs no look-ups, and still a revoked key or a changed
//! domain counts from the next request on, whoever changed it: this process, another node or the command line.

use posthaste_model::client::Client;
use posthaste_model::credential::Credential;
use posthaste_model::domain::SendingDomain;
use posthaste_model::template::Template;
use posthaste_model::{ClientId, Domain};
use posthaste_store::{SenderConfig, SigningKey, Store, StoreError};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use uuid::Uuid;

/// Entries remembered per kind; past it the memory starts anew, so that strangers cannot fill it.
const REMEMBERED: usize = 10_000;

/// The directory: hands out views.
#[derive(Clone)]
pub struct Directory {
    store: Store,
    current: Arc<RwLock<Arc<View>>>,
}

/// What was known at one revision. Look-ups read the store once and are remembered.
pub struct View {
    store: Store,
    revision: u64,
    credentials: Memory<[u8; 32], (Arc<Credential>, Arc<Client>)>,
    clients: Memory<String, Arc<Client>>,
    domains: Memory<String, Option<Arc<SendingDomain>>>,
    client_domains: Memory<ClientId, Arc<Vec<SendingDomain>>>,
    selectors: Memory<String, Arc<[String]>>,
    templates: Memory<(ClientId, String), Option<Arc<Template>>>,
    sender_configs: Memory<(ClientId, String), Option<Arc<SenderConfig>>>,
    signing_keys: Memory<(), Arc<Vec<SigningKey>>>,
    tokens: Memory<Uuid, bool>,
    suppresses: Memory<ClientId, bool>,
}

struct Memory<K, V>(Mutex<HashMap<K, V>>);

impl<K: Hash + Eq, V: Clone> Memory<K, V> {
    fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    fn get(&self, key: &K) -> Option<V> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, key: K, value: V) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= REMEMBERED {
            map.clear();
        }
        map.insert(key, value);
    }
}

impl Directory {
    /// A directory over `store`, at its present revision.
    pub async fn open(store: Store) -> Result<Self, StoreError> {
        let view = View::at(store.clone(), store.revision().await?);
        Ok(Self { store, current: Arc::new(RwLock::new(Arc::new(view))) })
    }

    /// The newest view known here. Good for an acceptance, which the store checks; else use [`Directory::fresh`].
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A view as new as the store's revision at this moment.
    pub async fn fresh(&self) -> Result<Arc<View>, StoreError> {
        // The revision is read first: what a view looks up later can only be newer than it claims, never older.
        let revision = self.store.revision().await?;
        let known = self.view();
        if known.revision == revision {
            return Ok(known);
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.revision < revision {
            *current = Arc::new(View::at(self.store.clone(), revision));
        }
        Ok(Arc::clone(&current))
    }
}

impl View {
    fn at(store: Store, revision: u64) -> Self {
        Self {
            store,
            revision,
            credentials: Memory::new(),
            clients: Memory::new(),
            domains: Memory::new(),
            client_domains: Memory::new(),
            selectors: Memory::new(),
            templates: Memory::new(),
            sender_configs: Memory::new(),
            signing_keys: Memory::new(),
            tokens: Memory::new(),
            suppresses: Memory::new(),
        }
    }

    /// The revision that this view was opened at.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The credential whose key has this hash, with its client. An unknown key is not remembered.
    pub async fn credential(
        &self,
        hash: &[u8; 32],
    ) -> Result<Option<(Arc<Credential>, Arc<Client>)>, StoreError> {
        if let Some(known) = self.credentials.get(hash) {
            return Ok(Some(known));
        }
        let Some((credential, client)) = self.store.credential_by_hash(hash).await? else { return Ok(None) };
        let known = (Arc::new(credential), Arc::new(client));
        self.credentials.put(*hash, known.clone());
        Ok(Some(known))
    }

    /// The client of this name. An unknown one is not remembered.
    pub async fn client_by_name(&self, name: &str) -> Result<Option<Arc<Client>>, StoreError> {
        let key = name.to_owned();
        if let Some(known) = self.clients.get(&key) {
            return Ok(Some(known));
        }
        let Some(client) = self.store.client_by_name(name).await? else { return Ok(None) };
        let client = Arc::new(client);
        self.clients.put(key, Arc::clone(&client));
        Ok(Some(client))
    }

    /// The sending domain of this name.
    pub async fn domain(&self, name: &Domain) -> Result<Option<Arc<SendingDomain>>, StoreError> {
        let key = name.as_str().to_owned();
        if let Some(known) = self.domains.get(&key) {
            return Ok(known);
        }
        let found = self.store.domain(&key).await?.map(Arc::new);
        self.domains.put(key, found.clone());
        Ok(found)
    }

    /// The client's own sending domains, those shared by all clients left out.
    pub async fn domains_of(&self, client: ClientId) -> Result<Arc<Vec<SendingDomain>>, StoreError> {
        if let Some(known) = self.client_domains.get(&client) {
            return Ok(known);
        }
        let mut found = self.store.domains(Some(client)).await?;
        found.retain(|domain| domain.client_id == Some(client));
        let found = Arc::new(found);
        self.client_domains.put(client, Arc::clone(&found));
        Ok(found)
    }

    /// The selectors of the keys that sign what this domain sends, oldest first.
    pub async fn selectors(&self, domain: &str) -> Result<Arc<[String]>, StoreError> {
        let key = domain.to_owned();
        if let Some(known) = self.selectors.get(&key) {
            return Ok(known);
        }
        let keys = self.store.dkim_keys(domain).await?;
        let active = keys.into_iter().filter(|key| key.is_active).map(|key| key.selector);
        let found: Arc<[String]> = active.collect();
        self.selectors.put(key, Arc::clone(&found));
        Ok(found)
    }

    /// The newest version of the client's template.
    pub async fn template(&self, client: ClientId, code: &str) -> Result<Option<Arc<Template>>, StoreError> {
        let key = (client, code.to_owned());
        if let Some(known) = self.templates.get(&key) {
            return Ok(known);
        }
        let found = self.store.template(client, code).await?.map(Arc::new);
        self.templates.put(key, found.clone());
        Ok(found)
    }

    /// The client's sender config of an address in canonical form.
    pub async fn sender_config(
        &self,
        client: ClientId,
        sender_key: &str,
    ) -> Result<Option<Arc<SenderConfig>>, StoreError> {
        let key = (client, sender_key.to_owned());
        if let Some(known) = self.sender_configs.get(&key) {
            return Ok(known);
        }
        let found = self.store.sender_config_of(client, sender_key).await?.map(Arc::new);
        self.sender_configs.put(key, found.clone());
        Ok(found)
    }

    /// The keys that sign access tokens, newest first; the same list as long as the view.
    pub async fn signing_keys(&self) -> Result<Arc<Vec<SigningKey>>, StoreError> {
        if let Some(known) = self.signing_keys.get(&()) {
            return Ok(known);
        }
        let found = Arc::new(self.store.signing_keys().await?);
        self.signing_keys.put((), Arc::clone(&found));
        Ok(found)
    }

    /// Whether the client has a suppression list at all; its first entry raises the revision.
    pub async fn has_suppressions(&self, client: ClientId) -> Result<bool, StoreError> {
        if let Some(known) = self.suppresses.get(&client) {
            return Ok(known);
        }
        let found = self.store.has_suppressions(client).await?;
        self.suppresses.put(client, found);
        Ok(found)
    }

    /// Whether this access token was revoked by itself.
    pub async fn is_token_revoked(&self, jti: Uuid) -> Result<bool, StoreError> {
        if let Some(known) = self.tokens.get(&jti) {
            return Ok(known);
        }
        let found = self.store.is_token_revoked(*jti.as_bytes()).await?;
        self.tokens.put(jti, found);
        Ok(found)
    }
}
