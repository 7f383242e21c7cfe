//! Return paths that name the email they belong to (variable envelope return path, VERP): a bounce message comes to the
//! address itself, so its sender needs no login and its text no trust as to which email it is about. The local part is
//! signed; nobody can make one for an email that was never sent to them.

use super::vault::Vault;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use posthaste_model::{Address, Domain, EmailId};

/// What the signature is for.
const PURPOSE: &str = "return path";
/// Bytes of the signature that are kept: a local part has 64 octets.
const SIGNATURE: usize = 10;
/// Before the token, so that such an address is told from others at a glance.
const PREFIX: &str = "b-";
/// The local part that feedback loops are registered with.
const COMPLAINTS: &str = "complaints";
/// RFC 4648, 6, in lower case: local parts may lose their case on the way.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The return paths below one domain (`smtp.return_path_domain`).
#[derive(Clone)]
pub struct ReturnPaths {
    domain: Domain,
    vault: Vault,
}

/// Whom an address below the domain is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// News of this email.
    Email(EmailId),
    /// Complaints, which name the return path inside.
    Complaints,
}

impl ReturnPaths {
    /// Return paths below `domain`.
    pub fn new(domain: Domain, vault: Vault) -> Self {
        Self { domain, vault }
    }

    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The return path of an email.
    pub fn address(&self, email: EmailId) -> String {
        let mut bytes = email.as_bytes().to_vec();
        bytes.extend_from_slice(&self.signature(email));
        format!("{PREFIX}{}@{}", base32(&bytes), self.domain.as_str())
    }

    /// Whether an address lies below the domain, whatever its local part.
    pub fn is_below(&self, address: &Address) -> bool {
        address.domain() == self.domain.as_str()
    }

    /// Whom an address is for; `None` when it is not one of these, or was not made here.
    pub fn read(&self, address: &Address) -> Option<Returned> {
        let (local, _) = address.as_str().rsplit_once('@').filter(|_| self.is_below(address))?;
        let local = local.to_ascii_lowercase();
        if local == COMPLAINTS {
            return Some(Returned::Complaints);
        }
        let bytes = unbase32(local.strip_prefix(PREFIX)?)?;
        let (id, signature) = bytes.split_at_checked(16)?;
        let id = EmailId::from_slice(id)?;
        // Also one from before the key was rotated: bounces come days later.
        let known = self.vault.signatures(PURPOSE, id.as_bytes());
        let is_ours = known.iter().any(|whole| {
            whole.get(..SIGNATURE).is_some_and(|known| verify_slices_are_equal(known, signature).is_ok())
        });
        is_ours.then_some(Returned::Email(id))
    }

    fn signature(&self, email: EmailId) -> [u8; SIGNATURE] {
        let mut signature = [0; SIGNATURE];
        let whole = self.vault.sign(PURPOSE, email.as_bytes());
        signature.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
        signature
    }
}

impl std::fmt::Debug for ReturnPaths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ReturnPaths").field(&self.domain).finish()
    }
}

fn base32(bytes: &[u8]) -> String {
    let (mut text, mut held, mut bits) = (String::new(), 0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(held >> bits & 31) as usize]));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(held << (5 - bits) & 31) as usize]));
    }
    text
}

/// Reads what [`base32`] wrote, and nothing else: the bits left over must be none.
fn unbase32(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == letter)?;
        held = held << 5 | value as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
            held &= (1 << bits) - 1;
        }
    }
    (bits < 5 && held == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::chance::Chance;
    use posthaste_model::{Secret, Timestamp};
    use proptest::prelude::*;

    fn paths() -> ReturnPaths {
        let chance = Chance::new();
        let vault = Vault::new(&Vault::generate_key(&chance), chance).unwrap();
        ReturnPaths::new(Domain::parse("return.example").unwrap(), vault)
    }

    fn read(paths: &ReturnPaths, text: &str) -> Option<Returned> {
        paths.read(&Address::parse(text).unwrap())
    }

    #[test]
    fn an_address_reads_back_in_any_case_and_no_letter_can_be_changed() {
        let paths = paths();
        let id = EmailId::new(Timestamp::from_millis(1_800_000_000_000), [7; 10]);
        let address = paths.address(id);
        let local = address.split('@').next().unwrap();
        assert!(local.len() <= 64, "{local}");
        assert_eq!(read(&paths, &address), Some(Returned::Email(id)));
        assert_eq!(read(&paths, &address.to_uppercase()), Some(Returned::Email(id)));
        for at in PREFIX.len()..local.len() {
            let mut forged = address.clone().into_bytes();
            forged[at] = if forged[at] == b'a' { b'b' } else { b'a' };
            assert_eq!(read(&paths, std::str::from_utf8(&forged).unwrap()), None, "letter {at}");
        }
        assert_eq!(read(&paths, &format!("{local}@other.example")), None);
        assert_eq!(read(&paths, "Complaints@return.example"), Some(Returned::Complaints));
        for other in ["b-@return.example", "postmaster@return.example", "b-a@return.example"] {
            assert_eq!(read(&paths, other), None, "{other}");
        }
        let other = self::paths();
        assert_eq!(read(&other, &address), None, "another installation's");
    }

    #[test]
    fn an_address_from_before_the_key_was_rotated_is_ours() {
        let chance = Chance::new();
        let (old, new) = (Vault::generate_key(&chance), Vault::generate_key(&chance));
        let both = Secret::new(format!("{},{}", new.expose(), old.expose()));
        let under = |keys: &Secret| {
            let vault = Vault::new(keys, chance.clone()).unwrap();
            ReturnPaths::new(Domain::parse("return.example").unwrap(), vault)
        };
        let id = EmailId::new(Timestamp::from_millis(1_800_000_000_000), [7; 10]);
        let address = under(&old).address(id);
        assert_eq!(read(&under(&both), &address), Some(Returned::Email(id)));
        assert_eq!(read(&under(&new), &address), None);
        assert_eq!(under(&both).address(id), under(&new).address(id));
    }

    proptest! {
        #[test]
        fn base32_reads_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let text = base32(&bytes);
            prop_assert_eq!(unbase32(&text), Some(bytes));
        }
    }
}
