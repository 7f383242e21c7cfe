//! Applications at Microsoft: the one that the operator configured, or those of the clients' sender configs.

use super::token::Tokens;
use super::{GraphApp, GraphPlace};
use crate::base::vault::Vault;
use crate::transports::Outgoing;
use crate::transports::provider::call::Http;
use crate::transports::provider::verdict::{Verdict, alarm};
use posthaste_model::outcome::Failure;
use posthaste_model::{FailureCode, Secret, Timestamp};
use posthaste_store::{Store, StoreError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Requests at once of one application, all its mailboxes together.
const AT_ONCE: usize = 4;
/// Applications remembered; past it the memory starts anew.
const ACCOUNTS_MAX: usize = 1024;

/// One application with its token.
#[derive(Debug)]
pub(super) struct Account {
    pub app: GraphApp,
    pub gate: Semaphore,
    tokens: Tokens,
}

impl Account {
    pub fn new(app: GraphApp) -> Self {
        Self { app, gate: Semaphore::new(AT_ONCE), tokens: Tokens::default() }
    }

    pub async fn token(
        &self,
        http: &Http,
        place: &GraphPlace,
        stale: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Secret, Failure> {
        self.tokens.get(http, place, &self.app, stale, now).await
    }
}

/// The applications that clients brought with their sender configs.
#[derive(Debug)]
pub struct SenderConfigSource {
    store: Store,
    vault: Vault,
    known: Mutex<HashMap<(String, String), Arc<Account>>>,
}

impl SenderConfigSource {
    /// Those in `store`, whose secrets `vault` opens.
    pub fn new(store: Store, vault: Vault) -> Self {
        Self { store, vault, known: Mutex::default() }
    }

    /// The application by which the sender of this email sends, as its client's active config says now.
    pub(super) async fn of(&self, outgoing: &Outgoing<'_>) -> Result<Arc<Account>, Verdict> {
        let email = &outgoing.claim.email;
        let found = self.store.sender_config_of(email.client_id, email.from.address.canonical()).await;
        let config = match found {
            Ok(config) => config.filter(|config| config.is_active),
            Err(error @ StoreError::Corrupt(_)) => return Err(Verdict::later(alarm(&error.to_string()))),
            Err(error) => {
                return Err(Verdict::later(Failure::new(FailureCode::ServerError, error.to_string())));
            }
        };
        let Some(config) = config else {
            let address = email.from.address.as_str();
            let message =
                format!("sender_not_configured: {address} has no active sender config of this client");
            return Err(Verdict::refused(Failure::new(FailureCode::ServerError, message)));
        };
        let place = format!("sender_configs/{}/secret", config.id);
        let client_secret = self.vault.open_secret(&place, &config.sealed_secret).map_err(|error| {
            Verdict::later(alarm(&format!("the secret of the sender config {} {error}", config.id)))
        })?;
        Ok(self.account(GraphApp {
            tenant_id: config.ms_tenant_id,
            client_id: config.ms_client_id,
            client_secret,
        }))
    }

    /// The account of an application, with the token it has already; a changed secret makes a new one.
    fn account(&self, app: GraphApp) -> Arc<Account> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (app.tenant_id.clone(), app.client_id.clone());
        if let Some(account) = known.get(&key).filter(|account| account.app == app) {
            return Arc::clone(account);
        }
        if known.len() >= ACCOUNTS_MAX {
            known.clear();
        }
        let account = Arc::new(Account::new(app));
        known.insert(key, Arc::clone(&account));
        account
    }
}
