//! Callers that show no credential: machines of networks that may send without one (`smtp.allowed_networks`), which
//! speak for one client and may do nothing but send; and people with an account, who speak for a client by a page.

use super::{Auth, AuthError, Caller};
use posthaste_model::client::Client;
use posthaste_model::credential::{Credential, CredentialKind, KeyMode, Permission};
use posthaste_model::{ClientId, CredentialId, Timestamp};
use std::sync::Arc;

/// What stands for a credential where one is shown.
const PREFIX: &str = "network";

impl Caller {
    /// Whether it was let in by its network.
    pub fn is_by_network(&self) -> bool {
        self.credential.id == no_credential()
    }
}

impl Caller {
    /// Whether a person with an account speaks for the client, by a page.
    pub fn is_by_person(&self) -> bool {
        self.credential.id == a_person()
    }
}

impl Auth {
    /// A person with an account, speaking for a client by a page; refused when the client is not active. What the
    /// person may do is judged before: the caller may send, read and take back.
    pub async fn on_behalf_of(&self, client: ClientId) -> Result<Caller, AuthError> {
        let view = self.directory.fresh().await?;
        let client = self.store.client(client).await?.filter(|client| client.is_active);
        let client = Arc::new(client.ok_or(AuthError::Invalid)?);
        let permissions = vec![Permission::EmailsSend, Permission::EmailsRead, Permission::EmailsCancel];
        let credential = without_credential(a_person(), &client, permissions);
        Ok(Caller { client, credential: Arc::new(credential), view, token: None })
    }

    /// The caller from an allowed network, speaking for the client of that name; refused when the client is not active.
    pub async fn by_network(&self, client: &str) -> Result<Caller, AuthError> {
        let view = self.directory.fresh().await?;
        let client = view.client_by_name(client).await?.filter(|client| client.is_active);
        let client = client.ok_or(AuthError::Invalid)?;
        let credential = without_credential(no_credential(), &client, vec![Permission::EmailsSend]);
        Ok(Caller { client, credential: Arc::new(credential), view, token: None })
    }
}

/// What a caller of `client` is who shows no credential.
fn without_credential(id: CredentialId, client: &Client, permissions: Vec<Permission>) -> Credential {
    Credential {
        id,
        client_id: client.id,
        kind: CredentialKind::Key,
        name: None,
        prefix: PREFIX.to_owned(),
        key_hash: [0; 32],
        mode: KeyMode::Live,
        permissions,
        domain: None,
        rate_limit: None,
        is_active: true,
        expires_at: None,
        retires_at: None,
        created_at: Timestamp::from_millis(0),
        revoked_at: None,
    }
}

/// Nor this one.
fn a_person() -> CredentialId {
    CredentialId::from_bytes([0xff; 16])
}

/// No credential has this id: ids hold the time they were made.
fn no_credential() -> CredentialId {
    CredentialId::from_bytes([0; 16])
}
