//! A sending domain with its default sender and DKIM keys.

use crate::{ClientId, DomainId, Timestamp};

/// One sending domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendingDomain {
    /// Its id.
    pub id: DomainId,
    /// The client that may use it; `None`: every client.
    pub client_id: Option<ClientId>,
    /// A-label form, lower case.
    pub name: String,
    /// Sender of emails that name none, in RFC 5322 form.
    pub default_from: Option<String>,
    /// Whether provider news changes the status of this domain's email.
    pub bounce_webhook_enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A DKIM key of a domain. The private key is sealed by the vault; the store never sees it in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimKey {
    /// The domain it signs for.
    pub domain: String,
    /// The selector under `_domainkey`.
    pub selector: String,
    /// Sealed PKCS#8 DER.
    pub sealed_key: Vec<u8>,
    /// `rsa` or `ed25519`.
    pub algorithm: String,
    /// Whether it signs (a pending key waits for DNS).
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
}
