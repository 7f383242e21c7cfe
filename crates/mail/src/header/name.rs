//! Header names (RFC 5322, 3.6.8), and which of them no caller may set.

use std::fmt;
use std::str::FromStr;

use super::error::HeaderError;

/// Leaves room for the colon and one character on a line of 78.
const MAX_NAME: usize = 76;

/// Headers that the writer of the message, the relay or a verifier owns. Two of one of them, or
/// one that contradicts the envelope, is how spoofing and smuggling start.
const RESERVED: [&str; 18] = [
    "From",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "Sender",
    "Reply-To",
    "Return-Path",
    "Received",
    "Received-SPF",
    "Authentication-Results",
    "Delivered-To",
    "Apparently-To",
    "Envelope-To",
    "X-Original-To",
    "Original-Recipient",
];
const RESERVED_PREFIXES: [&str; 5] = ["MIME-", "Content-", "DKIM-", "Resent-", "ARC-"];
/// What this product itself adds as an ordinary header.
const OWN_PREFIX: &str = "X-Posthaste-";

/// A header name: an RFC 5322 token of at most 76 characters, its case kept.
#[derive(Debug, Clone)]
pub struct HeaderName(Box<str>);

impl HeaderName {
    /// Reads a name without its colon.
    pub fn parse(input: &str) -> Result<Self, HeaderError> {
        if input.is_empty() {
            return Err(HeaderError::EmptyName);
        }
        if input.len() > MAX_NAME {
            return Err(HeaderError::NameTooLong);
        }
        let token =
            input.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-^_`|~.{}/".contains(&byte));
        if !token {
            return Err(HeaderError::NameCharacter);
        }
        Ok(Self(input.into()))
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a caller must not set this header: it is written by the gateway, by relays on the
    /// way or by verifiers (01-emails-api `headers`).
    pub fn is_reserved(&self) -> bool {
        self.starts_with(OWN_PREFIX) || self.is_structural()
    }

    /// Whether [`crate::message::write_message`] writes this header itself, or must not write it.
    pub(crate) fn is_structural(&self) -> bool {
        RESERVED.iter().any(|name| self.0.eq_ignore_ascii_case(name))
            || RESERVED_PREFIXES.iter().any(|prefix| self.starts_with(prefix))
    }

    fn starts_with(&self, prefix: &str) -> bool {
        self.0.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    }
}

/// Names are compared without regard to case (RFC 5322, 1.2.2).
impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for HeaderName {}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HeaderName {
    type Err = HeaderError;

    fn from_str(input: &str) -> Result<Self, Self::Err> {
        Self::parse(input)
    }
}
