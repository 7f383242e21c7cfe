//! Sending domains and their signing keys.

use super::{Admin, fault, invalid, refused};
use posthaste_mail::dkim::{self, DkimError, DkimSigner};
use posthaste_model::domain::{DkimKey, SendingDomain};
use posthaste_model::refusal::{FaultCode, Refusal};
use posthaste_model::{Domain, DomainId, Mailbox};
use posthaste_store::{Actor, StoreError};
use std::time::Duration;

/// The longest sender that is taken, in bytes.
const DEFAULT_FROM_BYTES: usize = 500;

/// Signing keys of one algorithm that a domain gets in a month at most.
const MONTHLY_KEYS: u32 = 20;

/// A sending domain to be made.
#[derive(Clone, Debug)]
pub struct NewDomain {
    /// Its name, also in Unicode.
    pub name: String,
    /// The client that may use it, by name or id; `None`: every client.
    pub client: Option<String>,
    /// Sender of emails that name none.
    pub default_from: Option<String>,
}

/// What to change of a sending domain; `None` leaves a value as it is.
#[derive(Clone, Debug, Default)]
pub struct DomainChange {
    /// Sender of emails that name none; `Some(None)` takes it away.
    #[expect(
        clippy::option_option,
        reason = "left as it is, taken away, or set: three answers to one field"
    )]
    pub default_from: Option<Option<String>>,
    /// Whether provider news changes the status of its email.
    pub bounce_webhook_enabled: Option<bool>,
}

/// How a signing key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DkimAlgorithm {
    /// RSA with 2,048 bits: what every receiver checks.
    Rsa,
    /// Ed25519 (RFC 8463): short, checked by some.
    Ed25519,
}

impl DkimAlgorithm {
    /// Its word in the store and in the record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }

    const fn selector_prefix(self) -> &'static str {
        match self {
            Self::Rsa => "ph-rsa",
            Self::Ed25519 => "ph-ed",
        }
    }
}

/// A TXT record to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxtRecord {
    /// Where: `ph-rsa-202611._domainkey.example.com`.
    pub name: String,
    /// What: `v=DKIM1; k=rsa; p=...`. Above 255 octets it is published as several strings.
    pub value: String,
    /// The selector of the key it belongs to.
    pub selector: String,
    /// The key's algorithm.
    pub algorithm: String,
    /// Whether the key signs.
    pub is_active: bool,
}

impl Admin {
    /// Makes a sending domain.
    pub async fn create_domain(&self, new: NewDomain, actor: &Actor) -> Result<SendingDomain, Refusal> {
        let mut faults = Vec::new();
        let name = Domain::parse(&new.name).map_err(|error| {
            faults.push(fault("name", FaultCode::InvalidDomain, format!("the domain {error}")));
        });
        let mut client_id = None;
        if let Some(given) = &new.client {
            match self.client(given).await {
                Ok(client) => client_id = Some(client.id),
                Err(Refusal::NotFound) => {
                    faults.push(fault("client", FaultCode::InvalidValue, "no client has this name or id"));
                }
                Err(other) => return Err(other),
            }
        }
        let mut default_from = None;
        if let (Ok(name), Some(given)) = (&name, &new.default_from) {
            match sender(name, given) {
                Ok(sender) => default_from = Some(sender),
                Err(Refusal::Invalid(found)) => faults.extend(found),
                Err(other) => return Err(other),
            }
        }
        let (Ok(name), true) = (name, faults.is_empty()) else { return Err(Refusal::Invalid(faults)) };
        let now = self.clock.now();
        let domain = SendingDomain {
            id: DomainId::new(now, self.chance.bytes()),
            client_id,
            name: name.as_str().to_owned(),
            default_from,
            bounce_webhook_enabled: true,
            created_at: now,
        };
        match self.store.create_domain(domain.clone(), actor).await {
            Ok(()) => Ok(domain),
            Err(StoreError::Conflict(_)) => {
                Err(Refusal::Conflict(format!("the domain {name} stands already")))
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// All sending domains, by name.
    pub async fn domains(&self) -> Result<Vec<SendingDomain>, Refusal> {
        self.store.domains(None).await.map_err(refused)
    }

    /// One sending domain.
    pub async fn domain(&self, name: &str) -> Result<SendingDomain, Refusal> {
        let name = Domain::parse(name).map_err(|_| Refusal::NotFound)?;
        self.store.domain(name.as_str()).await.map_err(refused)?.ok_or(Refusal::NotFound)
    }

    /// Changes a sending domain.
    pub async fn update_domain(
        &self,
        name: &str,
        change: DomainChange,
        actor: &Actor,
    ) -> Result<SendingDomain, Refusal> {
        let name = Domain::parse(name).map_err(|_| Refusal::NotFound)?;
        let default_from = match change.default_from {
            Some(Some(given)) => Some(Some(sender(&name, &given)?)),
            other => other,
        };
        let changed =
            self.store.update_domain(name.as_str(), default_from, change.bounce_webhook_enabled, actor).await;
        changed.map_err(refused)
    }

    /// Takes a domain's registration away: a client that has domains of its own sends from it no more. Email that was
    /// accepted goes out, signed as it was to be. The last domain of a client stays: a client that has none may send
    /// from any that is nobody's, which nobody means who takes one away.
    pub async fn remove_domain(&self, name: &str, actor: &Actor) -> Result<SendingDomain, Refusal> {
        let domain = self.domain(name).await?;
        if let Some(owner) = domain.client_id {
            let open = self.store.domains(Some(owner)).await.map_err(refused)?;
            if open.iter().filter(|one| one.client_id == Some(owner)).count() < 2 {
                let last = "is the last domain of its client, which could send from any without it";
                return Err(Refusal::Conflict(format!("{} {last}; register another one first", domain.name)));
            }
        }
        self.store.remove_domain(&domain.name, actor).await.map_err(refused)?;
        Ok(domain)
    }

    /// The records to publish for a domain's signing keys.
    pub async fn dkim_records(&self, name: &str) -> Result<Vec<TxtRecord>, Refusal> {
        let domain = self.domain(name).await?;
        let keys = self.store.dkim_keys(&domain.name).await.map_err(refused)?;
        keys.iter().map(|key| self.record(key)).collect()
    }

    /// Makes a signing key for a domain. The first of its algorithm signs at once: a receiver that does not find its
    /// record takes the message for unsigned (RFC 6376, section 6.1.2), so nothing is lost until it is published. A
    /// further one waits until DNS shows its record, and signs in the place of the others from then on.
    pub async fn create_dkim_key(
        &self,
        name: &str,
        algorithm: DkimAlgorithm,
        actor: &Actor,
    ) -> Result<TxtRecord, Refusal> {
        let domain = self.domain(name).await?;
        let now = self.clock.now();
        let (year, month, ..) = now.civil();
        let present = self.store.dkim_keys(&domain.name).await.map_err(refused)?;
        // A new key under a selector whose record is published would make every signature wrong.
        let first = format!("{}-{year:04}{month:02}", algorithm.selector_prefix());
        let further = (2..=MONTHLY_KEYS).map(|number| format!("{first}-{number}"));
        let mut free = std::iter::once(first.clone()).chain(further);
        let Some(selector) = free.find(|one| !present.iter().any(|key| key.selector == *one)) else {
            let message = format!("{} has {MONTHLY_KEYS} keys {first} already", domain.name);
            return Err(Refusal::Conflict(message));
        };
        let secret = generate(algorithm).await?;
        let key = DkimKey {
            sealed_key: self.vault.seal(&place(&domain.name, &selector), &secret),
            domain: domain.name,
            selector,
            algorithm: algorithm.as_str().to_owned(),
            is_active: !present.iter().any(|key| key.is_active && key.algorithm == algorithm.as_str()),
            created_at: now,
        };
        let record = self.record(&key)?;
        self.store.add_dkim_key(key, actor).await.map_err(refused)?;
        Ok(record)
    }

    fn record(&self, key: &DkimKey) -> Result<TxtRecord, Refusal> {
        let secret = self.vault.open(&place(&key.domain, &key.selector), &key.sealed_key);
        let secret = secret.map_err(|error| unusable(key, &error.to_string()))?;
        let domain = Domain::parse(&key.domain).map_err(|error| unusable(key, &error.to_string()))?;
        let text = |error: DkimError| unusable(key, &error.to_string());
        let signer = DkimSigner::new(domain, &key.selector, &secret).map_err(text)?;
        Ok(TxtRecord {
            name: signer.record_name(),
            value: signer.record_value().map_err(text)?,
            selector: key.selector.clone(),
            algorithm: key.algorithm.clone(),
            is_active: key.is_active,
        })
    }
}

/// The place a signing key is sealed for.
fn place(domain: &str, selector: &str) -> String {
    format!("dkim_keys/{domain}/{selector}")
}

fn unusable(key: &DkimKey, why: &str) -> Refusal {
    Refusal::Conflict(format!("the signing key {} of {} cannot be used: it {why}", key.selector, key.domain))
}

async fn generate(algorithm: DkimAlgorithm) -> Result<Vec<u8>, Refusal> {
    // An RSA key takes up to a second to find.
    let made = tokio::task::spawn_blocking(move || match algorithm {
        DkimAlgorithm::Rsa => dkim::generate_rsa(),
        DkimAlgorithm::Ed25519 => dkim::generate_ed25519(),
    });
    let later = Refusal::Unavailable { retry_after: Duration::from_secs(1), may_be_stored: false };
    match made.await {
        Ok(Ok(key)) => Ok(key),
        Ok(Err(error)) => {
            tracing::error!(%error, "a signing key could not be made");
            Err(later)
        }
        Err(_) => Err(later),
    }
}

/// A default sender must be an address in its domain.
fn sender(domain: &Domain, given: &str) -> Result<String, Refusal> {
    if given.len() > DEFAULT_FROM_BYTES {
        return Err(invalid("default_from", FaultCode::TooLong, "default_from is too long"));
    }
    let mailbox = Mailbox::parse(given)
        .map_err(|error| invalid("default_from", FaultCode::InvalidEmail, format!("default_from {error}")))?;
    if mailbox.address.domain() != domain.as_str() {
        let message = format!("default_from must be an address in {domain}");
        return Err(invalid("default_from", FaultCode::FromDomainMismatch, message));
    }
    Ok(mailbox.to_string())
}
