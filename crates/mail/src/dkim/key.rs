//! Signing keys: reading, making, signing.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::DkimError;

/// A parsed private key.
pub(super) enum Key {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl Key {
    /// Reads PKCS#8 (both kinds) or PKCS#1 (RSA), PEM or DER.
    pub(super) fn parse(key: &[u8]) -> Result<Self, DkimError> {
        match std::str::from_utf8(key).ok().and_then(pem_content) {
            Some(base64) => Self::parse_der(&STANDARD.decode(base64).map_err(|_| DkimError::Key)?),
            None => Self::parse_der(key),
        }
    }

    fn parse_der(der: &[u8]) -> Result<Self, DkimError> {
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Ok(Self::Ed25519(key));
        }
        RsaKeyPair::from_pkcs8(der)
            .or_else(|_| RsaKeyPair::from_der(der))
            .map(|key| Self::Rsa(Box::new(key)))
            .map_err(|_| DkimError::Key)
    }

    /// RFC 6376, 3.3.1; RFC 8463, 3: Ed25519 signs the SHA-256 hash.
    pub(super) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, DkimError> {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), data, &mut signature)
                    .map_err(|_| DkimError::Sign)?;
                Ok(signature)
            }
            Self::Ed25519(key) => key
                .try_sign(digest(&SHA256, data).as_ref())
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| DkimError::Sign),
        }
    }

    /// The `a=` tag.
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsa-sha256",
            Self::Ed25519(_) => "ed25519-sha256",
        }
    }

    /// The `k=` tag of the record.
    pub(super) fn record_type(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsa",
            Self::Ed25519(_) => "ed25519",
        }
    }

    /// What the `p=` tag encodes: SubjectPublicKeyInfo for RSA, the bare key for Ed25519
    /// (RFC 8463, 4.2).
    pub(super) fn public(&self) -> Result<Vec<u8>, DkimError> {
        match self {
            Self::Rsa(key) => {
                let der: PublicKeyX509Der<'_> = key.public_key().as_der().map_err(|_| DkimError::Key)?;
                Ok(der.as_ref().to_vec())
            }
            Self::Ed25519(key) => Ok(key.public_key().as_ref().to_vec()),
        }
    }
}

/// Makes an RSA key of 2048 bits, as PKCS#8 DER. Takes up to a second.
pub fn generate_rsa() -> Result<Vec<u8>, DkimError> {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| DkimError::Generate)?;
    let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| DkimError::Generate)?;
    Ok(der.as_ref().to_vec())
}

/// Makes an Ed25519 key, as PKCS#8 DER.
pub fn generate_ed25519() -> Result<Vec<u8>, DkimError> {
    let key = Ed25519KeyPair::generate().map_err(|_| DkimError::Generate)?;
    let der: Pkcs8V1Der<'_> = key.as_der().map_err(|_| DkimError::Generate)?;
    Ok(der.as_ref().to_vec())
}

/// The base64 of the first private key block (RFC 7468), without white space.
fn pem_content(text: &str) -> Option<String> {
    let mut is_inside = false;
    let mut content = String::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with("-----BEGIN ") && line.ends_with("PRIVATE KEY-----") {
            is_inside = true;
        } else if is_inside && line.starts_with("-----END ") {
            return Some(content);
        } else if is_inside {
            content.push_str(line);
        }
    }
    None
}
