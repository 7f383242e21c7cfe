//! Mail addresses: one form for everything, decided once.
//!
//! Policy (who may send, who is suppressed, which route) and the wire must see the same domain;
//! every known bypass came from two parsers that disagreed. So the grammar here is the part of
//! RFC 5321 and RFC 6531 on which all parsers agree, and the parsed value is already in the form
//! that goes into `RCPT TO`. Comments, source routes, groups and address literals are refused.

mod domain;
mod error;
mod mailbox;
mod text;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use domain::Domain;
pub use error::AddressError;
pub use mailbox::Mailbox;

use text::{is_atext, is_look_alike, is_refused, to_nfc};

/// No address is longer than this, in octets, however it is written (before IDNA shortens it).
const MAX_INPUT: usize = 1024;
/// RFC 5321, 4.5.3.1.1, in octets.
const MAX_LOCAL: usize = 64;
/// RFC 5321, 4.5.3.1.3: a path of 256 octets less its angle brackets.
const MAX_ADDRESS: usize = 254;

/// A valid address: `local@domain`, the domain as lower-case A-labels, the local part in NFC.
///
/// Cloning is cheap. Equality is that of the wire form; to find out whether two addresses mean
/// the same person compare [`Address::canonical`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    wire: Arc<str>,
    /// Present only where it differs from `wire`.
    lowered: Option<Arc<str>>,
    local_len: u8,
}

impl Address {
    /// Reads a bare address (RFC 5321 `Mailbox`, RFC 6531), without angle brackets or a name.
    ///
    /// The time is linear in the first kilobyte, whatever stands in the input.
    pub fn parse(input: &str) -> Result<Self, AddressError> {
        if input.is_empty() {
            return Err(AddressError::Empty);
        }
        if input.len() > MAX_INPUT {
            return Err(AddressError::TooLong);
        }
        check_characters(input)?;
        let (local, domain) = input.split_once('@').ok_or(AddressError::NoAt)?;
        if domain.contains('@') {
            return Err(AddressError::ManyAt);
        }
        if local.is_empty() {
            return Err(AddressError::NoLocalPart);
        }
        let local = to_nfc(local);
        let local = check_local(&local)?;
        let domain = Domain::parse(domain)?;
        Self::assemble(local, domain.as_str())
    }

    fn assemble(local: &str, domain: &str) -> Result<Self, AddressError> {
        if local.len() + 1 + domain.len() > MAX_ADDRESS {
            return Err(AddressError::TooLong);
        }
        let wire = format!("{local}@{domain}");
        let lowered = lowered_local(local).map(|lowered| format!("{lowered}@{domain}").into());
        Ok(Self {
            wire: wire.into(),
            lowered,
            local_len: u8::try_from(local.len()).map_err(|_| AddressError::LocalPartTooLong)?,
        })
    }

    /// The whole address as it goes over the wire.
    pub fn as_str(&self) -> &str {
        &self.wire
    }

    /// What stands before the `@`, its case kept, quotes included.
    pub fn local(&self) -> &str {
        &self.wire[..usize::from(self.local_len)]
    }

    /// What stands behind the `@`: lower-case, A-labels.
    pub fn domain(&self) -> &str {
        &self.wire[usize::from(self.local_len) + 1..]
    }

    /// The domain for people to read: U-labels where it has them.
    pub fn domain_unicode(&self) -> String {
        domain::to_unicode(self.domain())
    }

    /// The key by which addresses are compared (duplicates, suppression): the local part
    /// lower-cased, since no provider of note tells `Ann` from `ann`.
    pub fn canonical(&self) -> &str {
        self.lowered.as_deref().unwrap_or(&self.wire)
    }

    /// Whether the address can be sent without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.wire.is_ascii()
    }
}

/// The lower-cased local part, where it differs.
fn lowered_local(local: &str) -> Option<String> {
    if local.is_ascii() {
        return local.bytes().any(|byte| byte.is_ascii_uppercase()).then(|| local.to_ascii_lowercase());
    }
    let lowered = to_nfc(&local.to_lowercase()).into_owned();
    (lowered != local).then_some(lowered)
}

/// Refuses what has no place anywhere in an address.
fn check_characters(input: &str) -> Result<(), AddressError> {
    if input.is_ascii() {
        return if input.bytes().any(|byte| byte.is_ascii_control()) {
            Err(AddressError::ControlCharacter)
        } else {
            Ok(())
        };
    }
    for character in input.chars() {
        if is_refused(character) {
            return Err(AddressError::ControlCharacter);
        }
        if is_look_alike(character) {
            return Err(AddressError::LookAlike);
        }
    }
    Ok(())
}

/// Checks a local part; a quoted one that needs no quotes is returned without them, so that
/// `"ann"@x` and `ann@x` are the same address.
fn check_local(local: &str) -> Result<&str, AddressError> {
    let local = match local.strip_prefix('"') {
        Some(rest) => {
            let inner = rest.strip_suffix('"').ok_or(AddressError::LocalPart)?;
            if is_dot_atom(inner) && inner.is_ascii() {
                inner
            } else if is_plain_quoted(inner) {
                local
            } else {
                return Err(AddressError::LocalPart);
            }
        }
        None if is_dot_atom(local) => local,
        None => return Err(AddressError::LocalPart),
    };
    if local.len() > MAX_LOCAL {
        return Err(AddressError::LocalPartTooLong);
    }
    // A peer that decodes RFC 2047 words where it must not would see another address.
    if local.contains("=?") || local.contains("?=") {
        return Err(AddressError::EncodedWord);
    }
    Ok(local)
}

/// RFC 5322, 3.2.3, with RFC 6531's non-ASCII characters.
fn is_dot_atom(text: &str) -> bool {
    let mut after_dot = true;
    for byte in text.bytes() {
        match byte {
            b'.' if after_dot => return false,
            b'.' => after_dot = true,
            _ if is_atext(byte) || byte >= 0x80 => after_dot = false,
            _ => return false,
        }
    }
    !after_dot
}

/// A quoted string without escapes and without anything another parser could take for the end
/// of the address; spaces stand only between words.
fn is_plain_quoted(inner: &str) -> bool {
    !inner.is_empty()
        && !inner.starts_with(' ')
        && !inner.ends_with(' ')
        && inner.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\@<>(),;:".contains(&byte))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.wire)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({:?})", &*self.wire)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        Self::parse(input)
    }
}

impl AsRef<str> for Address {
    fn as_ref(&self) -> &str {
        &self.wire
    }
}

#[cfg(test)]
mod tests;
