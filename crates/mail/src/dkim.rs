//! DKIM signatures (RFC 6376, RFC 8463): relaxed/relaxed, RSA-2048 or Ed25519.
//!
//! Signing is a pure function of the message, the key and the time given, so that a retry sends
//! the same bytes; a library that reads the clock itself could not promise that. The key is
//! parsed once. An RSA signature takes most of a millisecond: sign off the async threads.

mod canonical;
mod error;
mod key;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub use error::DkimError;
pub use key::{generate_ed25519, generate_rsa};

use crate::address::Domain;
use canonical::{Fields, body_hash, relaxed_field};
use key::Key;

/// The headers that are signed where they are present (RFC 6376, 5.4.1).
const SIGNED: [&str; 15] = [
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "In-Reply-To",
    "References",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Id",
];
/// Signed once more than it is present, so that nobody can add one (RFC 6376, 5.4).
const OVERSIGNED: &str = "From";
/// Base64 of the signature per line.
const SIGNATURE_LINE: usize = 72;

/// Signs messages for one domain with one key.
pub struct DkimSigner {
    domain: Domain,
    selector: Box<str>,
    key: Key,
}

impl DkimSigner {
    /// Takes an RSA (2048 bits or more) or Ed25519 key as PKCS#8 or PKCS#1, in PEM or DER.
    pub fn new(domain: Domain, selector: &str, key: &[u8]) -> Result<Self, DkimError> {
        if !is_selector(selector) {
            return Err(DkimError::Selector);
        }
        Ok(Self { domain, selector: selector.to_ascii_lowercase().into(), key: Key::parse(key)? })
    }

    /// Returns the whole `DKIM-Signature` header with its CRLF, to be put before `message`, whose
    /// line breaks must be CRLF. `now_s` is the time of signing in seconds since 1970.
    pub fn sign(&self, message: &[u8], now_s: i64) -> Result<String, DkimError> {
        let (fields, body) = Fields::split(message);
        let body_hash = STANDARD.encode(body_hash(body));
        let mut names = String::with_capacity(160);
        let mut signed = Vec::with_capacity(1024);
        let mut column = 0;
        for name in SIGNED {
            // RFC 6376, 5.4.2: of several, the lowest first.
            for (raw_name, value) in fields.named(name) {
                push_name(&mut names, &mut column, name);
                relaxed_field(raw_name, value, &mut signed);
                signed.extend_from_slice(b"\r\n");
            }
            if name == OVERSIGNED {
                if names.is_empty() {
                    return Err(DkimError::NoFrom);
                }
                push_name(&mut names, &mut column, name);
            }
        }
        let mut header = format!(
            " v=1; a={}; c=relaxed/relaxed; d={};\r\n\ts={}; t={};\r\n\th={names};\r\n\tbh={body_hash};\r\n\tb=",
            self.key.algorithm(),
            self.domain.as_str(),
            self.selector,
            now_s.max(0),
        );
        relaxed_field(b"DKIM-Signature", header.as_bytes(), &mut signed);
        let signature = STANDARD.encode(self.key.sign(&signed)?);
        header.insert_str(0, "DKIM-Signature:");
        push_folded(&mut header, &signature);
        header.push_str("\r\n");
        Ok(header)
    }

    /// Where the record is published: `selector._domainkey.domain`.
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain.as_str())
    }

    /// The value of the TXT record (RFC 6376, 3.6.1); longer than 255 octets for RSA, so it is
    /// published as several strings.
    pub fn record_value(&self) -> Result<String, DkimError> {
        let public = STANDARD.encode(self.key.public()?);
        Ok(format!("v=DKIM1; k={}; p={public}", self.key.record_type()))
    }

    /// The signing domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The selector, lower-case.
    pub fn selector(&self) -> &str {
        &self.selector
    }
}

/// Shows no key.
impl fmt::Debug for DkimSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DkimSigner")
            .field("domain", &self.domain)
            .field("selector", &self.selector)
            .field("algorithm", &self.key.algorithm())
            .finish_non_exhaustive()
    }
}

fn push_name(names: &mut String, column: &mut usize, name: &str) {
    if !names.is_empty() {
        names.push(':');
    }
    if *column + name.len() > SIGNATURE_LINE {
        names.push_str("\r\n\t");
        *column = 0;
    }
    names.push_str(name);
    *column += name.len() + 1;
}

/// Verifiers drop blanks within `b=` (RFC 6376, 3.5), so the signature may be folded anywhere.
fn push_folded(header: &mut String, signature: &str) {
    let mut rest = signature;
    while rest.len() > SIGNATURE_LINE {
        let (line, tail) = rest.split_at(SIGNATURE_LINE);
        header.push_str(line);
        header.push_str("\r\n\t");
        rest = tail;
    }
    header.push_str(rest);
}

/// One or more DNS labels (RFC 6376, 3.1).
fn is_selector(selector: &str) -> bool {
    selector.len() <= 128
        && selector.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

#[cfg(test)]
mod tests;
