//! The listener's certificate (`http.tls_cert`, `http.tls_key`).

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate chain cannot be read.
    #[error("the certificate is not PEM: {0}")]
    Certificate(rustls_pki_types::pem::Error),
    /// The chain holds no certificate.
    #[error("there is no certificate in the file")]
    NoCertificate,
    /// The key cannot be read.
    #[error("the key is not PEM: {0}")]
    Key(rustls_pki_types::pem::Error),
    /// Chain and key do not fit each other, or are of a kind that is not supported.
    #[error("certificate and key cannot be used: {0}")]
    Unfit(#[from] rustls::Error),
}

/// TLS 1.2 and 1.3 for HTTP/2 and HTTP/1.1, from a PEM chain (the server's own certificate first) and its key.
pub fn server_config(chain_pem: &[u8], key_pem: &[u8]) -> Result<Arc<ServerConfig>, TlsError> {
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_slice_iter(chain_pem).collect::<Result<_, _>>().map_err(TlsError::Certificate)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(TlsError::Key)?;
    // The provider is named, not taken from the process: two servers may run in it.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
