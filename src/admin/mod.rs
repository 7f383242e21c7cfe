//! What an operator may change, once for the API and the command line: clients, keys, sending domains, templates.
//!
//! Each call judges what was asked, makes one whole change in the store, which writes the audit row and raises the
//! installation's revision, and answers what stands afterwards. Everything it says no to is a [`Refusal`], which both
//! doors put into their own words.

mod clients;
mod domain_dns;
mod domains;
mod eo_events;
mod erasure;
mod keys;
mod mail_tokens;
mod oauth_clients;
mod sender_configs;
mod suppressions;
pub mod templates;
mod users;
mod webhooks;
mod words;

pub use clients::{ClientChange, DEFAULT_CLIENT, NewClient};
pub use domain_dns::{DnsRecord, DnsWishes, DomainDns};
pub use domains::{DkimAlgorithm, DomainChange, NewDomain, TxtRecord};
pub use eo_events::NewEoEvent;
pub use erasure::Erased;
pub use keys::{KeyChange, NewKey};
pub use mail_tokens::{MailToken, NewMailToken, mail_permission, mail_permission_word};
pub use oauth_clients::NewOauthClient;
pub use posthaste_store::{Actor, AuditEntry, AuditFilter};
pub use sender_configs::{NewSenderConfig, SenderConfigPatch, ShownSenderConfig};
pub use suppressions::NewSuppression;
pub use users::NewUser;
pub use webhooks::{NewWebhook, WebhookPatch};

use crate::auth::Auth;
use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::vault::Vault;
use crate::blobs::Blobs;
use crate::dns::Dns;
use posthaste_model::draft::Field;
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_store::{Store, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// What changes are made with.
pub struct AdminParts {
    /// Where everything is kept.
    pub store: Store,
    /// Where files are kept.
    pub blobs: Blobs,
    /// Makes tokens and the keys that sign them.
    pub auth: Auth,
    /// Seals signing keys.
    pub vault: Vault,
    /// The time.
    pub clock: Clock,
    /// Ids and keys.
    pub chance: Chance,
    /// Asks DNS.
    pub dns: Dns,
    /// What domains have to publish besides their keys.
    pub wishes: DnsWishes,
}

/// The operator's changes. Cheap to clone.
#[derive(Clone)]
pub struct Admin(Arc<AdminParts>);

impl std::ops::Deref for Admin {
    type Target = AdminParts;

    fn deref(&self) -> &AdminParts {
        &self.0
    }
}

impl Admin {
    /// Changes made with these parts.
    pub fn new(parts: AdminParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Who did what, newest first, before entry `before`.
    pub async fn audit(
        &self,
        before: Option<i64>,
        limit: usize,
        filter: &AuditFilter,
    ) -> Result<Vec<AuditEntry>, Refusal> {
        self.store.audit(before, limit, filter).await.map_err(refused)
    }
}

/// The store's no as a refusal.
fn refused(error: StoreError) -> Refusal {
    match error {
        StoreError::NotFound => Refusal::NotFound,
        StoreError::Conflict(what) => Refusal::Conflict(format!("{what} stands already")),
        error => {
            tracing::warn!(error = %error, "the store refused a change");
            let may_be_stored = matches!(error, StoreError::Uncertain(_));
            Refusal::Unavailable { retry_after: Duration::from_secs(1), may_be_stored }
        }
    }
}

/// A fault of the field `name`.
fn fault(name: &str, code: FaultCode, message: impl Into<String>) -> Fault {
    Fault::new(Field::Other(name.to_owned()), code, message)
}

/// One fault as a refusal.
fn invalid(name: &str, code: FaultCode, message: impl Into<String>) -> Refusal {
    Refusal::Invalid(vec![fault(name, code, message)])
}

#[cfg(test)]
mod tests;
