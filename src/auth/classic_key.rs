//! The classic key of the Aegis API: one text in the configuration (`API_KEY`), chosen by people.
//!
//! Its credential stands in the store like any other, so that limits, audit and revocation hold for it. It is found by
//! a hash under the installation's own key: a text that people chose must not be guessable from what is stored.
//! Another text is another credential; the old one is of no use any more, because only the configured text is taken.

use super::{Auth, AuthError, Caller, Freshness};
use crate::base::vault::Vault;

/// What the hash is for; another purpose never shares hashes with this one.
const PURPOSE: &str = "aegis classic key";

/// What the credential of a classic key is found by; behind it, what it was found by before the installation's own key
/// was rotated.
pub(super) fn hashes(vault: &Vault, key: &str) -> Vec<[u8; 32]> {
    let hash = |whole: Vec<u8>| {
        let mut hash = [0; 32];
        hash.copy_from_slice(&whole[..32]);
        hash
    };
    vault.signatures(PURPOSE, key.as_bytes()).into_iter().map(hash).collect()
}

impl Auth {
    /// What the credential of the configured classic key is found by, and was before the installation's own key was
    /// rotated, the newest first; empty when none is configured.
    pub fn classic_hashes(&self) -> &[[u8; 32]] {
        &self.classic_hashes
    }

    /// The caller that presents the classic key, or any API key.
    pub async fn classic_or_api_key(
        &self,
        presented: &str,
        freshness: Freshness,
    ) -> Result<Caller, AuthError> {
        match self.classic_hashes.first() {
            // Compared in constant time.
            Some(hash) if self.vault.verify(PURPOSE, presented.as_bytes(), hash) => {
                self.by_hash(hash, freshness).await
            }
            _ => self.api_key(presented, freshness).await,
        }
    }
}
