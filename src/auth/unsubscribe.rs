//! One-click unsubscribe links (RFC 8058): whoever holds one may take one address off one stream of a client's mail, and
//! nothing else. The link holds for as long as anybody keeps the mail; the address itself does not stand in it.

use crate::base::vault::Vault;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use posthaste_model::{ClientId, EmailId};

/// What the signature is for.
const PURPOSE: &str = "unsubscribe link";
/// Bytes before the stream: client, email, key of the address.
const FIXED: usize = 16 + 16 + 32;
/// Bytes of the signature.
const SIGNATURE: usize = 32;
/// The longest token that is looked at, in bytes.
const LONGEST: usize = 2000;

/// What a link stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsubscribeLink {
    /// The client whose mail is to stop.
    pub client_id: ClientId,
    /// The email that it stood in.
    pub email_id: EmailId,
    /// The address, by its key.
    pub address_key: [u8; 32],
    /// The tag whose mail is to stop; empty: all mail.
    pub stream: String,
}

impl UnsubscribeLink {
    /// The link's token, for a URL.
    pub fn token(&self, vault: &Vault) -> String {
        let mut bytes = Vec::with_capacity(FIXED + self.stream.len() + SIGNATURE);
        bytes.extend_from_slice(self.client_id.as_bytes());
        bytes.extend_from_slice(self.email_id.as_bytes());
        bytes.extend_from_slice(&self.address_key);
        bytes.extend_from_slice(self.stream.as_bytes());
        let signature = vault.sign(PURPOSE, &bytes);
        bytes.extend_from_slice(&signature);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The link of a token whose signature holds.
    pub fn read(token: &str, vault: &Vault) -> Option<Self> {
        if token.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (claim, signature) = bytes.split_at_checked(bytes.len().checked_sub(SIGNATURE)?)?;
        if claim.len() < FIXED || !vault.verify(PURPOSE, claim, signature) {
            return None;
        }
        Some(Self {
            client_id: ClientId::from_slice(&claim[..16])?,
            email_id: EmailId::from_slice(&claim[16..32])?,
            address_key: claim[32..FIXED].try_into().ok()?,
            stream: String::from_utf8(claim[FIXED..].to_vec()).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::chance::Chance;
    use posthaste_model::Timestamp;

    #[test]
    fn reads_back_and_no_bit_can_be_changed() {
        let chance = Chance::new();
        let vault = Vault::new(&Vault::generate_key(&chance), chance).unwrap();
        let now = Timestamp::from_millis(1_800_000_000_000);
        let link = UnsubscribeLink {
            client_id: ClientId::new(now, [1; 10]),
            email_id: EmailId::new(now, [2; 10]),
            address_key: [3; 32],
            stream: "news".into(),
        };
        let token = link.token(&vault);
        assert_eq!(UnsubscribeLink::read(&token, &vault), Some(link));
        let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(UnsubscribeLink::read(&URL_SAFE_NO_PAD.encode(changed), &vault), None, "byte {at}");
        }
        for bad in ["", "a", &token[..20]] {
            assert_eq!(UnsubscribeLink::read(bad, &vault), None);
        }
    }
}
