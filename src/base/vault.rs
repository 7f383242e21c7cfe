//! Secrets at rest: provider secrets, signing keys and the like are sealed before they reach the store, so that a
//! copy of the database alone opens nothing.

use super::chance::Chance;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posthaste_model::Secret;
use std::fmt;
use std::sync::Arc;

/// The first byte of a sealed secret; another number would mean another way to seal.
const FORMAT: u8 = 1;
/// Bytes of the key's fingerprint that a sealed secret carries.
const KEY_ID_LEN: usize = 4;
/// Bytes before the ciphertext: format, key id, nonce.
const HEAD_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;
/// Bytes of a key.
pub const KEY_LEN: usize = 32;

/// Seals and opens secrets with AES-256-GCM. Cheap to clone.
///
/// The first key seals and signs; the keys behind it, if there are any, open and verify what was made before the key
/// was rotated.
///
/// Nonces are random: 2^32 sealings under one key keep the chance of a repeated one below 2^-32
/// (NIST SP 800-38D, section 8.3), far beyond the number of secrets an installation writes.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    newest: Key,
    older: Vec<Key>,
    chance: Chance,
}

struct Key {
    /// Its fingerprint.
    id: [u8; KEY_ID_LEN],
    sealing: LessSafeKey,
    signing: hmac::Key,
}

impl Key {
    /// 32 bytes in base64.
    fn read(text: &str) -> Result<Self, VaultError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| VaultError::Key)?;
        let unbound = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| VaultError::Key)?;
        // The fingerprint of a 256-bit random key tells nothing about the key.
        let hash = digest::digest(&digest::SHA256, &[b"posthaste key id:", bytes.as_slice()].concat());
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&hash.as_ref()[..KEY_ID_LEN]);
        // Derived, so that a signature and a sealed secret never share a key.
        let derived = digest::digest(&digest::SHA256, &[b"posthaste signing:", bytes.as_slice()].concat());
        let signing = hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref());
        Ok(Self { id, sealing: LessSafeKey::new(unbound), signing })
    }

    fn sign(&self, signed: &[u8]) -> Vec<u8> {
        hmac::sign(&self.signing, signed).as_ref().to_vec()
    }
}

/// What a signature is over: the purpose ends with NUL, which no purpose holds.
fn signed(purpose: &str, claim: &[u8]) -> Vec<u8> {
    [purpose.as_bytes(), &[0], claim].concat()
}

/// Why a secret could not be opened, or a key not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The key is not what it should be.
    #[error(
        "is not a key: it must be 32 bytes in base64, such as `openssl rand -base64 32` makes, or several such, the newest \
         first, with commas between"
    )]
    Key,
    /// The secret was sealed under another key.
    #[error("was sealed under another encryption key")]
    OtherKey,
    /// The bytes are damaged, or stand in another place than they were sealed for.
    #[error("is damaged, or was moved from another place")]
    Damaged,
}

impl Vault {
    /// A vault under `keys`: 32 bytes in base64; or several such, the newest first, with commas between.
    pub fn new(keys: &Secret, chance: Chance) -> Result<Self, VaultError> {
        let mut keys = keys.expose().split(',').map(Key::read);
        let newest = keys.next().unwrap_or(Err(VaultError::Key))?;
        let older = keys.collect::<Result<Vec<_>, _>>()?;
        Ok(Self(Arc::new(Inner { newest, older, chance })))
    }

    /// Every key, the newest first.
    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.0.newest).chain(&self.0.older)
    }

    /// A new random key in base64.
    pub fn generate_key(chance: &Chance) -> Secret {
        Secret::new(STANDARD.encode(chance.bytes::<KEY_LEN>()))
    }

    /// HMAC-SHA256 of `claim` for `purpose`, under a key derived from the installation's: 32 bytes.
    pub fn sign(&self, purpose: &str, claim: &[u8]) -> Vec<u8> {
        self.0.newest.sign(&signed(purpose, claim))
    }

    /// What [`Vault::sign`] gives, and what it gave before the key was rotated, for signatures that are kept in part.
    pub fn signatures(&self, purpose: &str, claim: &[u8]) -> Vec<Vec<u8>> {
        let signed = signed(purpose, claim);
        self.keys().map(|key| key.sign(&signed)).collect()
    }

    /// Whether [`Vault::sign`] made `signature`, under any of the keys; compared in constant time.
    pub fn verify(&self, purpose: &str, claim: &[u8], signature: &[u8]) -> bool {
        let signed = signed(purpose, claim);
        self.keys().any(|key| hmac::verify(&key.signing, &signed, signature).is_ok())
    }

    /// Seals `plaintext` for the place `place` (such as `sender_configs/<id>/secret`): it opens nowhere else, so a
    /// sealed secret copied into another row is of no use.
    pub fn seal(&self, place: &str, plaintext: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = self.0.chance.bytes();
        let mut sealed = Vec::with_capacity(HEAD_LEN + plaintext.len() + AES_256_GCM.tag_len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.0.newest.id);
        sealed.extend_from_slice(&nonce);
        let mut body = plaintext.to_vec();
        self.0
            .newest
            .sealing
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.as_bytes()),
                &mut body,
            )
            .expect("AES-GCM seals any text shorter than 64 GiB");
        sealed.extend_from_slice(&body);
        sealed
    }

    /// Opens what was sealed for `place`.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (head, body) = sealed.split_at_checked(HEAD_LEN).ok_or(VaultError::Damaged)?;
        if head[0] != FORMAT {
            return Err(VaultError::Damaged);
        }
        let key = self.keys().find(|key| head[1..=KEY_ID_LEN] == key.id).ok_or(VaultError::OtherKey)?;
        let nonce =
            Nonce::try_assume_unique_for_key(&head[1 + KEY_ID_LEN..]).map_err(|_| VaultError::Damaged)?;
        let mut body = body.to_vec();
        let length = key
            .sealing
            .open_in_place(nonce, Aad::from(place.as_bytes()), &mut body)
            .map_err(|_| VaultError::Damaged)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    /// Seals a secret text.
    pub fn seal_secret(&self, place: &str, secret: &Secret) -> Vec<u8> {
        self.seal(place, secret.expose().as_bytes())
    }

    /// Opens a secret text.
    pub fn open_secret(&self, place: &str, sealed: &[u8]) -> Result<Secret, VaultError> {
        let text = String::from_utf8(self.open(place, sealed)?).map_err(|_| VaultError::Damaged)?;
        Ok(Secret::new(text))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vault() -> Vault {
        let chance = Chance::new();
        Vault::new(&Vault::generate_key(&chance), chance).unwrap()
    }

    #[test]
    fn a_secret_opens_only_in_its_place_and_under_its_key() {
        let (ours, other) = (vault(), vault());
        let sealed = ours.seal_secret("sender_configs/1/secret", &Secret::new("hunter2"));
        assert!(!sealed.windows(7).any(|w| w == b"hunter2"));
        assert_eq!(ours.open_secret("sender_configs/1/secret", &sealed).unwrap().expose(), "hunter2");
        assert_eq!(ours.open("sender_configs/2/secret", &sealed), Err(VaultError::Damaged));
        assert_eq!(other.open("sender_configs/1/secret", &sealed), Err(VaultError::OtherKey));
        assert_ne!(sealed, ours.seal("sender_configs/1/secret", b"hunter2"), "a nonce was used twice");
    }

    #[test]
    fn a_rotated_key_seals_and_the_older_one_still_opens() {
        let chance = Chance::new();
        let (old, new) = (Vault::generate_key(&chance), Vault::generate_key(&chance));
        let both = Secret::new(format!("{}, {}\n", new.expose(), old.expose()));
        let open = |key: &Secret| Vault::new(key, chance.clone()).unwrap();
        let (before, after, alone) = (open(&old), open(&both), open(&new));
        let sealed = before.seal("t/1", b"hunter2");
        assert_eq!(after.open("t/1", &sealed).unwrap(), b"hunter2");
        assert_eq!(alone.open("t/1", &sealed), Err(VaultError::OtherKey));
        let anew = after.seal("t/1", b"hunter2");
        assert_eq!(alone.open("t/1", &anew).unwrap(), b"hunter2");
        assert_eq!(before.open("t/1", &anew), Err(VaultError::OtherKey));
        let (early, late) = (before.sign("link", b"7"), after.sign("link", b"7"));
        assert!(after.verify("link", b"7", &early) && after.verify("link", b"7", &late));
        assert!(!alone.verify("link", b"7", &early) && alone.verify("link", b"7", &late));
        assert_eq!(after.signatures("link", b"7"), [late, early]);
    }

    #[test]
    fn a_bad_key_is_refused() {
        let good = STANDARD.encode([0; 32]);
        let (half, empty) = (format!("{good},hunter2"), format!("{good},"));
        for bad in
            ["", "hunter2", "AAAA", &STANDARD.encode([0; 16]), &STANDARD.encode([0; 33]), &half, &empty]
        {
            assert_eq!(Vault::new(&Secret::new(bad), Chance::new()).unwrap_err(), VaultError::Key, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_change_is_noticed(text in proptest::collection::vec(any::<u8>(), 0..64), at: usize, bit in 0_u8..8) {
            let vault = vault();
            let mut sealed = vault.seal("t/1", &text);
            prop_assert_eq!(vault.open("t/1", &sealed).unwrap(), text);
            let at = at % sealed.len();
            sealed[at] ^= 1 << bit;
            prop_assert!(vault.open("t/1", &sealed).is_err());
            prop_assert!(vault.open("t/1", &sealed[..at]).is_err());
        }
    }
}
