//! Callers that show no credential: machines of networks that may send without one (`smtp.allowed_networks`). They
//! speak for one client and may do nothing but send.

use super::{Auth, AuthError, Caller};
use posthaste_model::credential::{Credential, CredentialKind, KeyMode, Permission};
use posthaste_model::{CredentialId, Timestamp};
use std::sync::Arc;

/// What stands for a credential where one is shown.
const PREFIX: &str = "network";

impl Caller {
    /// Whether it was let in by its network.
    pub fn is_by_network(&self) -> bool {
        self.credential.id == no_credential()
    }
}

impl Auth {
    /// The caller from an allowed network, speaking for the client of that name; refused when the client is not active.
    pub async fn by_network(&self, client: &str) -> Result<Caller, AuthError> {
        let view = self.directory.fresh().await?;
        let client = view.client_by_name(client).await?.filter(|client| client.is_active);
        let client = client.ok_or(AuthError::Invalid)?;
        let credential = Credential {
            id: no_credential(),
            client_id: client.id,
            kind: CredentialKind::Key,
            name: None,
            prefix: PREFIX.to_owned(),
            key_hash: [0; 32],
            mode: KeyMode::Live,
            permissions: vec![Permission::EmailsSend],
            domain: None,
            rate_limit: None,
            is_active: true,
            expires_at: None,
            retires_at: None,
            created_at: Timestamp::from_millis(0),
            revoked_at: None,
        };
        Ok(Caller { client, credential: Arc::new(credential), view, token: None })
    }
}

/// No credential has this id: ids hold the time they were made.
fn no_credential() -> CredentialId {
    CredentialId::from_bytes([0; 16])
}
