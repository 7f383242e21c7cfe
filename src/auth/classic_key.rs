//! The classic key of the Aegis API: one text in the configuration (`API_KEY`), chosen by people.
//!
//! Its credential stands in the store like any other, so that limits, audit and revocation hold for it. It is found by
//! a hash under the installation's own key: a text that people chose must not be guessable from what is stored.
//! Another text is another credential; the old one is of no use any more, because only the configured text is taken.

use super::{Auth, AuthError, Caller, Freshness};
use crate::base::vault::Vault;

/// What the hash is for; another purpose never shares hashes with this one.
const PURPOSE: &str = "aegis classic key";

/// What the credential of a classic key is found by.
pub(super) fn hash(vault: &Vault, key: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(&vault.sign(PURPOSE, key.as_bytes())[..32]);
    hash
}

impl Auth {
    /// What the credential of the configured classic key is found by, if one is configured.
    pub fn classic_hash(&self) -> Option<[u8; 32]> {
        self.classic_hash
    }

    /// The caller that presents the classic key, or any API key.
    pub async fn classic_or_api_key(
        &self,
        presented: &str,
        freshness: Freshness,
    ) -> Result<Caller, AuthError> {
        match &self.classic_hash {
            // Compared in constant time.
            Some(hash) if self.vault.verify(PURPOSE, presented.as_bytes(), hash) => {
                self.by_hash(hash, freshness).await
            }
            _ => self.api_key(presented, freshness).await,
        }
    }
}
