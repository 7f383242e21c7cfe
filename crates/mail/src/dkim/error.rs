//! What can go wrong with keys and signatures.

/// Why a signer could not be made or a message not be signed. No text holds any of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DkimError {
    /// The selector is not one or more DNS labels.
    #[error("the DKIM selector is not valid")]
    Selector,
    /// Neither an RSA key of 2048 bits or more nor an Ed25519 key, in PKCS#8 or PKCS#1.
    #[error("the DKIM key is not an RSA (2048 bits or more) or Ed25519 private key in PEM or DER")]
    Key,
    /// The library could not make a key.
    #[error("no DKIM key could be generated")]
    Generate,
    /// The message has no From header (RFC 6376, 5.4).
    #[error("the message has no From header to sign")]
    NoFrom,
    /// The library could not sign.
    #[error("the message could not be signed")]
    Sign,
}
