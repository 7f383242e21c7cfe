//! Signed download links: whoever holds one may fetch one attachment of one email until it expires.
//!
//! A link carries what it stands for and a signature under a key derived from the installation's encryption key, so
//! nothing about it is stored, and none can be made or changed without the key.

use crate::base::vault::Vault;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use posthaste_model::{ClientId, EmailId, Timestamp};

/// What the signature is for; another purpose never shares signatures with this one.
const PURPOSE: &str = "attachment link";
/// Bytes of the claim: client, email, place, expiry in seconds.
const CLAIM: usize = 16 + 16 + 2 + 8;

/// The attachment that a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLink {
    /// The client.
    pub client_id: ClientId,
    /// The email.
    pub email_id: EmailId,
    /// The attachment's place in the email.
    pub index: u16,
    /// When the link ends; whole seconds count.
    pub expires_at: Timestamp,
}

impl FileLink {
    /// The link's token, for a URL.
    pub fn token(&self, vault: &Vault) -> String {
        let mut bytes = Vec::with_capacity(CLAIM + 32);
        bytes.extend_from_slice(self.client_id.as_bytes());
        bytes.extend_from_slice(self.email_id.as_bytes());
        bytes.extend_from_slice(&self.index.to_be_bytes());
        bytes.extend_from_slice(&self.expires_at.seconds().to_be_bytes());
        let signature = vault.sign(PURPOSE, &bytes);
        bytes.extend_from_slice(&signature);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The link of a token whose signature holds, expired or not.
    pub fn read(token: &str, vault: &Vault) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (claim, signature) = bytes.split_at_checked(CLAIM)?;
        if !vault.verify(PURPOSE, claim, signature) {
            return None;
        }
        let seconds = i64::from_be_bytes(claim[34..].try_into().ok()?);
        Some(Self {
            client_id: ClientId::from_slice(&claim[..16])?,
            email_id: EmailId::from_slice(&claim[16..32])?,
            index: u16::from_be_bytes(claim[32..34].try_into().ok()?),
            expires_at: Timestamp::from_millis(seconds.saturating_mul(1000)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::chance::Chance;

    #[test]
    fn reads_back_and_no_bit_can_be_changed() {
        let chance = Chance::new();
        let vault = Vault::new(&Vault::generate_key(&chance), chance.clone()).unwrap();
        let now = Timestamp::from_millis(1_800_000_000_000);
        let link = FileLink {
            client_id: ClientId::new(now, [1; 10]),
            email_id: EmailId::new(now, [2; 10]),
            index: 3,
            expires_at: now,
        };
        let token = link.token(&vault);
        assert_eq!(FileLink::read(&token, &vault), Some(link));
        let other = Vault::new(&Vault::generate_key(&chance), chance).unwrap();
        assert_eq!(FileLink::read(&token, &other), None, "another installation's");
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(FileLink::read(&URL_SAFE_NO_PAD.encode(changed), &vault), None, "byte {at}");
        }
        for bad in ["", "a", "../../etc/passwd", &token[..20]] {
            assert_eq!(FileLink::read(bad, &vault), None);
        }
    }
}
