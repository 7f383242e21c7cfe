//! Sender configs: the Microsoft credentials with which a client sends as an address of an organization domain. The
//! secret is sealed before it reaches the store and never comes back, but for its ends.

use super::{Admin, fault, invalid, refused};
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_model::{Address, ClientId, Domain, Secret, SenderConfigId};
use posthaste_store::{Actor, SenderConfig, SenderConfigChange, StoreError};

/// The longest id or secret, in bytes.
const VALUE_MAX: usize = 1024;
/// Shorter secrets are not shown at all.
const SHOWN_FROM: usize = 12;
/// Characters shown at each end.
const SHOWN: usize = 4;

/// A sender config to be made.
#[derive(Clone, Debug)]
pub struct NewSenderConfig {
    /// The address to send as.
    pub sender_email: String,
    /// Tenant (directory) id.
    pub ms_tenant_id: String,
    /// Client (application) id.
    pub ms_client_id: String,
    /// Client secret.
    pub ms_client_secret: Secret,
}

/// What is to change; `None` leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct SenderConfigPatch {
    /// Tenant id.
    pub ms_tenant_id: Option<String>,
    /// Client id.
    pub ms_client_id: Option<String>,
    /// Client secret.
    pub ms_client_secret: Option<Secret>,
    /// Whether it may be used.
    pub is_active: Option<bool>,
}

/// A sender config as it may be shown.
#[derive(Clone, Debug)]
pub struct ShownSenderConfig {
    /// What is kept.
    pub config: SenderConfig,
    /// The ends of its secret.
    pub masked: String,
}

/// First four, `****`, last four characters; `****` alone when the secret is short.
fn masked(secret: &Secret) -> String {
    let chars: Vec<char> = secret.expose().chars().collect();
    if chars.len() < SHOWN_FROM {
        return "****".to_owned();
    }
    let ends = [&chars[..SHOWN], &['*'; 4], &chars[chars.len() - SHOWN..]];
    ends.into_iter().flatten().collect()
}

/// Where the secret of a config is sealed for.
fn place(id: SenderConfigId) -> String {
    format!("sender_configs/{id}/secret")
}

/// A value that is not empty, not absurd, and can stand in a request to Microsoft.
fn value(name: &str, text: &str, faults: &mut Vec<Fault>) {
    if text.trim().is_empty() {
        faults.push(fault(name, FaultCode::Required, format!("{name} is required")));
    } else if text.len() > VALUE_MAX {
        faults.push(fault(name, FaultCode::TooLong, format!("{name} may have {VALUE_MAX} bytes")));
    } else if text.chars().any(char::is_control) {
        let message = format!("{name} may hold no control characters");
        faults.push(fault(name, FaultCode::ControlCharacter, message));
    }
}

impl Admin {
    /// Makes a sender config of `client` for an address in one of `organization`.
    pub async fn create_sender_config(
        &self,
        client: ClientId,
        organization: &[Domain],
        new: NewSenderConfig,
        actor: &Actor,
    ) -> Result<ShownSenderConfig, Refusal> {
        let mut faults = Vec::new();
        value("sender_email", &new.sender_email, &mut faults);
        value("ms_tenant_id", &new.ms_tenant_id, &mut faults);
        value("ms_client_id", &new.ms_client_id, &mut faults);
        value("ms_client_secret", new.ms_client_secret.expose(), &mut faults);
        if !faults.is_empty() {
            return Err(Refusal::Invalid(faults));
        }
        let address = Address::parse(&new.sender_email).map_err(|error| {
            invalid("sender_email", FaultCode::InvalidEmail, format!("the address {error}"))
        })?;
        if !organization.iter().any(|domain| domain.as_str() == address.domain()) {
            let message = format!("{} is no organization domain", address.domain());
            return Err(invalid("sender_email", FaultCode::InvalidDomain, message));
        }
        let now = self.clock.now();
        let id = SenderConfigId::new(now, self.chance.bytes());
        let config = SenderConfig {
            id,
            client_id: client,
            sender_email: address.as_str().to_owned(),
            sender_key: address.canonical().to_owned(),
            ms_tenant_id: new.ms_tenant_id.trim().to_owned(),
            ms_client_id: new.ms_client_id.trim().to_owned(),
            sealed_secret: self.vault.seal_secret(&place(id), &new.ms_client_secret),
            is_active: true,
            created_at: now,
        };
        match self.store.create_sender_config(config.clone(), actor).await {
            Ok(()) => Ok(self.shown(config)),
            Err(StoreError::Conflict(_)) => {
                Err(Refusal::Conflict(format!("a sender config of {} stands already", config.sender_email)))
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// A client's sender configs, oldest first.
    pub async fn sender_configs(&self, client: ClientId) -> Result<Vec<ShownSenderConfig>, Refusal> {
        let configs = self.store.sender_configs(client).await.map_err(refused)?;
        Ok(configs.into_iter().map(|config| self.shown(config)).collect())
    }

    /// A client's sender config.
    pub async fn sender_config(
        &self,
        client: ClientId,
        id: SenderConfigId,
    ) -> Result<ShownSenderConfig, Refusal> {
        let found = self.store.sender_config(client, id).await.map_err(refused)?;
        found.map(|config| self.shown(config)).ok_or(Refusal::NotFound)
    }

    /// Changes a client's sender config.
    pub async fn update_sender_config(
        &self,
        client: ClientId,
        id: SenderConfigId,
        patch: SenderConfigPatch,
        actor: &Actor,
    ) -> Result<ShownSenderConfig, Refusal> {
        let mut faults = Vec::new();
        let secret = patch.ms_client_secret.as_ref();
        for (name, text) in [
            ("ms_tenant_id", patch.ms_tenant_id.as_deref()),
            ("ms_client_id", patch.ms_client_id.as_deref()),
            ("ms_client_secret", secret.map(Secret::expose)),
        ] {
            if let Some(text) = text {
                value(name, text, &mut faults);
            }
        }
        if !faults.is_empty() {
            return Err(Refusal::Invalid(faults));
        }
        let trimmed = |text: Option<String>| text.map(|text| text.trim().to_owned());
        let change = SenderConfigChange {
            sealed_secret: secret.map(|secret| self.vault.seal_secret(&place(id), secret)),
            ms_tenant_id: trimmed(patch.ms_tenant_id),
            ms_client_id: trimmed(patch.ms_client_id),
            is_active: patch.is_active,
        };
        let changed = self.store.update_sender_config(client, id, change, actor).await;
        changed.map(|config| self.shown(config)).map_err(refused)
    }

    /// Removes a client's sender config.
    pub async fn delete_sender_config(
        &self,
        client: ClientId,
        id: SenderConfigId,
        actor: &Actor,
    ) -> Result<(), Refusal> {
        self.store.delete_sender_config(client, id, actor).await.map_err(refused)
    }

    fn shown(&self, config: SenderConfig) -> ShownSenderConfig {
        let opened = self.vault.open_secret(&place(config.id), &config.sealed_secret);
        let masked = match opened {
            Ok(secret) => masked(&secret),
            Err(error) => {
                tracing::error!(sender_config = %config.id, %error, "the secret of a sender config");
                "****".to_owned()
            }
        };
        ShownSenderConfig { config, masked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ends_of_a_long_secret_are_shown() {
        let mask = |text: &str| masked(&Secret::new(text));
        assert_eq!(mask("your-client-secret"), "your****cret");
        assert_eq!(mask("123456789012"), "1234****9012");
        assert_eq!(mask("12345678901"), "****");
        assert_eq!(mask(""), "****");
        assert_eq!(mask("密碼密碼密碼密碼密碼密碼"), "密碼密碼****密碼密碼");
    }
}
