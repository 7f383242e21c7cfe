//! What operators change: clients, credentials, domains, templates. Each change raises the installation's revision
//! and writes an audit row in the same transaction, so that every node sees it at its next accept.

use crate::{Store, StoreError, on_engine};
use posthaste_model::client::{Client, Retention};
use posthaste_model::credential::Credential;
use posthaste_model::domain::{DkimKey, SendingDomain};
use posthaste_model::template::Template;
use posthaste_model::{ClientId, CredentialId, Timestamp};
use std::time::Duration;

/// Who made a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// `cli`, `api` or `system`.
    pub kind: String,
    /// Id of the credential or user.
    pub id: Option<String>,
    /// Network address it came from.
    pub address: Option<String>,
}

/// A row of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Rises.
    pub id: i64,
    /// When it was written.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What was done: `client.create`, `credential.revoke`...
    pub action: String,
    /// To what: its id or name.
    pub target: String,
    /// What changed, without secrets.
    pub detail: Option<String>,
}

/// Which audit rows; all given conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// This action.
    pub action: Option<String>,
    /// This target.
    pub target: Option<String>,
    /// This actor's id.
    pub actor_id: Option<String>,
}

/// What the audit trail calls the switching of a client.
pub(crate) fn switch_of(is_active: bool) -> &'static str {
    if is_active { "client.activate" } else { "client.revoke" }
}

/// A client's times as the audit trail tells them.
pub(crate) fn retention_in_words(retention: Retention) -> String {
    let words = |time: Option<Duration>| {
        time.map_or_else(|| "as the installation".to_owned(), |time| format!("{} s", time.as_secs()))
    };
    format!("bodies {}, records {}", words(retention.bodies), words(retention.records))
}

impl Store {
    /// The installation's revision: rises with every change of configuration.
    pub async fn revision(&self) -> Result<u64, StoreError> {
        on_engine!(self, engine => engine.revision().await)
    }

    /// Adds a client; `Conflict` when the name is taken.
    pub async fn create_client(&self, client: Client, actor: &Actor) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.create_client(client, actor.clone()).await)
    }

    /// Changes how long a client's email is kept; `NotFound` without it.
    pub async fn set_client_retention(
        &self,
        id: ClientId,
        retention: Retention,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.set_client_retention(id, retention, actor.clone()).await)
    }

    /// Switches a client on or off; while it is off none of its credentials is taken. `NotFound` without it.
    pub async fn set_client_active(
        &self,
        id: ClientId,
        is_active: bool,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.set_client_active(id, is_active, actor.clone()).await)
    }

    /// A client by id.
    pub async fn client(&self, id: ClientId) -> Result<Option<Client>, StoreError> {
        on_engine!(self, engine => engine.client(id).await)
    }

    /// A client by name.
    pub async fn client_by_name(&self, name: &str) -> Result<Option<Client>, StoreError> {
        on_engine!(self, engine => engine.client_by_name(name).await)
    }

    /// All clients, oldest first.
    pub async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        on_engine!(self, engine => engine.clients().await)
    }

    /// The first client made.
    pub async fn default_client(&self) -> Result<Option<Client>, StoreError> {
        on_engine!(self, engine => engine.default_client().await)
    }

    /// Adds a credential; `NotFound` without its client.
    pub async fn create_credential(&self, credential: Credential, actor: &Actor) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.create_credential(credential, actor.clone()).await)
    }

    /// The credential whose key has this SHA-256, with its client.
    pub async fn credential_by_hash(
        &self,
        hash: &[u8; 32],
    ) -> Result<Option<(Credential, Client)>, StoreError> {
        on_engine!(self, engine => engine.credential_by_hash(*hash).await)
    }

    /// A credential of a client.
    pub async fn credential(
        &self,
        client_id: ClientId,
        id: CredentialId,
    ) -> Result<Option<Credential>, StoreError> {
        on_engine!(self, engine => engine.credential(client_id, id).await)
    }

    /// The credentials of one client or of all, oldest first.
    pub async fn credentials(&self, client_id: Option<ClientId>) -> Result<Vec<Credential>, StoreError> {
        on_engine!(self, engine => engine.credentials(client_id).await)
    }

    /// Revokes a credential (of this client, where one is given) at once; `NotFound` without it.
    pub async fn revoke_credential(
        &self,
        client_id: Option<ClientId>,
        id: CredentialId,
        at: Timestamp,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.revoke_credential(client_id, id, at, actor.clone()).await)
    }

    /// Adds the successor of a credential, which itself works until `retires_at` only, in one commit; `NotFound`
    /// without the old one.
    pub async fn rotate_credential(
        &self,
        old: CredentialId,
        retires_at: Timestamp,
        successor: Credential,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.rotate_credential(old, retires_at, successor, actor.clone()).await)
    }

    /// Adds a sending domain; `Conflict` when the name is taken.
    pub async fn create_domain(&self, domain: SendingDomain, actor: &Actor) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.create_domain(domain, actor.clone()).await)
    }

    /// A sending domain by name (A-label form, lower case).
    pub async fn domain(&self, name: &str) -> Result<Option<SendingDomain>, StoreError> {
        on_engine!(self, engine => engine.domain(name).await)
    }

    /// The domains a client may send from, those of every client included; or all domains. By name.
    pub async fn domains(&self, client_id: Option<ClientId>) -> Result<Vec<SendingDomain>, StoreError> {
        on_engine!(self, engine => engine.domains(client_id).await)
    }

    /// Changes a domain's default sender and whether provider news counts; `None` leaves a value as it is.
    pub async fn update_domain(
        &self,
        name: &str,
        default_from: Option<Option<String>>,
        bounce: Option<bool>,
        actor: &Actor,
    ) -> Result<SendingDomain, StoreError> {
        on_engine!(self, engine => engine.update_domain(name, default_from, bounce, actor.clone()).await)
    }

    /// Takes a sending domain away; `NotFound` without it. Its DKIM keys stay: email that was accepted is signed by them.
    pub async fn remove_domain(&self, name: &str, actor: &Actor) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.remove_domain(name, actor.clone()).await)
    }

    /// Adds a DKIM key; `NotFound` without the domain, `Conflict` when the selector is taken: what a key signed must
    /// stay signed by it, on every attempt.
    pub async fn add_dkim_key(&self, key: DkimKey, actor: &Actor) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.add_dkim_key(key, actor.clone()).await)
    }

    /// Lets a key sign in the place of the domain's others of its algorithm, which go on signing what was accepted with
    /// them; `NotFound` without it.
    pub async fn activate_dkim_key(
        &self,
        domain: &str,
        selector: &str,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        let (domain, selector) = (domain.to_owned(), selector.to_owned());
        on_engine!(self, engine => engine.activate_dkim_key(domain, selector, actor.clone()).await)
    }

    /// A domain's DKIM keys, oldest first.
    pub async fn dkim_keys(&self, domain: &str) -> Result<Vec<DkimKey>, StoreError> {
        on_engine!(self, engine => engine.dkim_keys(domain).await)
    }

    /// Creates a template or adds a version to it; the template as stored and whether it is new. `version` is ignored.
    pub async fn put_template(
        &self,
        template: Template,
        actor: &Actor,
    ) -> Result<(Template, bool), StoreError> {
        on_engine!(self, engine => engine.put_template(template, actor.clone()).await)
    }

    /// The newest version of a client's template.
    pub async fn template(&self, client_id: ClientId, code: &str) -> Result<Option<Template>, StoreError> {
        on_engine!(self, engine => engine.template(client_id, code).await)
    }

    /// One version of a client's template, even when the template was deleted since.
    pub async fn template_version(
        &self,
        client_id: ClientId,
        code: &str,
        version: u32,
    ) -> Result<Option<Template>, StoreError> {
        on_engine!(self, engine => engine.template_version(client_id, code, version).await)
    }

    /// A client's templates, newest versions, by code.
    pub async fn templates(&self, client_id: ClientId) -> Result<Vec<Template>, StoreError> {
        on_engine!(self, engine => engine.templates(client_id).await)
    }

    /// Deletes a template; whether there was one. Its versions stay for email already accepted.
    pub async fn delete_template(
        &self,
        client_id: ClientId,
        code: &str,
        actor: &Actor,
    ) -> Result<bool, StoreError> {
        on_engine!(self, engine => engine.delete_template(client_id, code, actor.clone()).await)
    }

    /// Writes down what somebody did that is no change of configuration.
    pub async fn note_action(&self, actor: &Actor, action: &str, target: &str) -> Result<(), StoreError> {
        on_engine!(self, engine => engine.note_action(actor.clone(), action.to_owned(), target.to_owned()).await)
    }

    /// The audit trail, newest first, before entry `before`.
    pub async fn audit(
        &self,
        before: Option<i64>,
        limit: usize,
        filter: &AuditFilter,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        on_engine!(self, engine => engine.audit(before, limit, filter.clone()).await)
    }
}
