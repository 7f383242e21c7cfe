//! Domains as A-labels (RFC 5890, UTS 46), so that one string is compared, routed and sent.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use super::MAX_INPUT;
use super::error::AddressError;
use super::text::{is_look_alike, is_refused};

/// RFC 1035, 2.3.4, in octets and without the root dot.
const MAX_DOMAIN: usize = 253;
const MAX_LABEL: usize = 63;
/// The only single label that mail is sent to: development relays.
const LOCALHOST: &str = "localhost";

/// A valid domain name: lower-case A-labels, at least two of them (or `localhost`), no root dot.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Arc<str>);

impl Domain {
    /// Reads a domain in ASCII or Unicode form. Underscores, IP addresses, a trailing dot and
    /// whatever IDNA forbids are refused.
    pub fn parse(input: &str) -> Result<Self, AddressError> {
        if input.is_empty() {
            return Err(AddressError::NoDomain);
        }
        if input.len() > MAX_INPUT {
            return Err(AddressError::TooLong);
        }
        if input.starts_with('[') {
            return Err(AddressError::AddressLiteral);
        }
        let ascii = if is_plain(input) { input.to_ascii_lowercase() } else { to_ascii(input)? };
        check_labels(&ascii)?;
        Ok(Self(ascii.into()))
    }

    /// The domain as lower-case A-labels.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The domain for people to read: U-labels where it has them.
    pub fn to_unicode(&self) -> String {
        to_unicode(&self.0)
    }
}

/// Whether the domain needs no IDNA: ASCII letters, digits, hyphens, no `xn--`.
fn is_plain(input: &str) -> bool {
    input.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        && !input
            .split('.')
            .any(|label| label.as_bytes().get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"xn--")))
}

/// UTS 46 with STD3 rules. The library also refuses `xn--` labels that decode to plain ASCII
/// (RUSTSEC-2024-0421: `xn--example-.org` must not become `example.org`).
fn to_ascii(input: &str) -> Result<String, AddressError> {
    for character in input.chars() {
        if is_refused(character) {
            return Err(AddressError::ControlCharacter);
        }
        if is_look_alike(character) {
            return Err(AddressError::LookAlike);
        }
    }
    Uts46::new()
        .to_ascii(input.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Verify)
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| AddressError::InvalidDomain)
}

/// RFC 1123, 2.1, plus: not an IP address in any notation a resolver might accept.
fn check_labels(domain: &str) -> Result<(), AddressError> {
    if domain.len() > MAX_DOMAIN {
        return Err(AddressError::TooLong);
    }
    let mut last = "";
    let mut count = 0;
    for label in domain.split('.') {
        let sound = !label.is_empty()
            && label.len() <= MAX_LABEL
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !sound {
            return Err(AddressError::InvalidDomain);
        }
        last = label;
        count += 1;
    }
    if is_number(last) {
        return Err(AddressError::AddressLiteral);
    }
    if count == 1 && domain != LOCALHOST {
        return Err(AddressError::SingleLabel);
    }
    Ok(())
}

/// A last label like `1` or `0x7f` makes the whole name an IPv4 address to many resolvers.
fn is_number(label: &str) -> bool {
    let digits = label.bytes().all(|byte| byte.is_ascii_digit());
    let hex = label.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    digits || hex
}

pub(super) fn to_unicode(ascii: &str) -> String {
    let (unicode, checked) = Uts46::new().to_unicode(ascii.as_bytes(), AsciiDenyList::STD3, Hyphens::Allow);
    match checked {
        Ok(()) => unicode.into_owned(),
        Err(_) => ascii.to_owned(),
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Domain({:?})", &*self.0)
    }
}

impl FromStr for Domain {
    type Err = AddressError;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        Self::parse(input)
    }
}

impl AsRef<str> for Domain {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
