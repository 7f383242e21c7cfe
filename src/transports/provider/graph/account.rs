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
/// Secrets remembered of one application; past it the oldest is forgotten.
const SECRETS_MAX: usize = 16;

/// One application with its token.
#[derive(Debug)]
pub(super) struct Account {
    pub app: GraphApp,
    /// Shared by all secrets of the application.
    pub gate: Arc<Semaphore>,
    tokens: Tokens,
}

impl Account {
    pub fn new(app: GraphApp) -> Self {
        Self::behind(Arc::new(Semaphore::new(AT_ONCE)), app)
    }

    fn behind(gate: Arc<Semaphore>, app: GraphApp) -> Self {
        Self { app, gate, tokens: Tokens::default() }
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
    known: Known,
}

impl SenderConfigSource {
    /// Those in `store`, whose secrets `vault` opens.
    pub fn new(store: Store, vault: Vault) -> Self {
        Self { store, vault, known: Known::default() }
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
        Ok(self.known.account(GraphApp {
            tenant_id: config.ms_tenant_id,
            client_id: config.ms_client_id,
            client_secret,
        }))
    }
}

/// Tenant and client id.
type Application = (String, String);

/// The accounts in use: of each application one for each secret. Several clients may bring one application with secrets
/// of their own.
#[derive(Debug, Default)]
struct Known(Mutex<HashMap<Application, Vec<Arc<Account>>>>);

impl Known {
    /// The account of an application, with the token it has already.
    fn account(&self, app: GraphApp) -> Arc<Account> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (app.tenant_id.clone(), app.client_id.clone());
        if known.len() >= ACCOUNTS_MAX && !known.contains_key(&key) {
            known.clear();
        }
        let own = known.entry(key).or_default();
        if let Some(account) = own.iter().find(|account| account.app == app) {
            return Arc::clone(account);
        }
        let account = Arc::new(match own.first() {
            Some(other) => Account::behind(Arc::clone(&other.gate), app),
            None => Account::new(app),
        });
        if own.len() >= SECRETS_MAX {
            own.remove(0);
        }
        own.push(Arc::clone(&account));
        account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(client: &str, secret: &str) -> GraphApp {
        GraphApp { tenant_id: "t".into(), client_id: client.into(), client_secret: Secret::new(secret) }
    }

    #[test]
    fn each_secret_keeps_its_token_and_all_secrets_of_an_application_share_its_places() {
        let known = Known::default();
        let (one, two) = (known.account(app("a", "1")), known.account(app("a", "2")));
        assert!(Arc::ptr_eq(&one, &known.account(app("a", "1"))), "the other secret took nothing away");
        assert!(Arc::ptr_eq(&two, &known.account(app("a", "2"))));
        assert!(!Arc::ptr_eq(&one, &two) && Arc::ptr_eq(&one.gate, &two.gate));
        assert!(!Arc::ptr_eq(&one.gate, &known.account(app("b", "1")).gate));
        for number in 3..=SECRETS_MAX + 1 {
            known.account(app("a", &number.to_string()));
        }
        let again = known.account(app("a", "1"));
        assert!(!Arc::ptr_eq(&one, &again), "the oldest is forgotten");
        assert!(Arc::ptr_eq(&one.gate, &again.gate), "the places are not");
    }
}
