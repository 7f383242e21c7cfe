//! TLS as libpq's `sslmode` asks for it.
//!
//! `disable`; `allow`, `prefer` (the default) and `require` encrypt without asking who answers, the first two only if
//! the server can; `verify-ca` wants a certificate of a known authority, `verify-full` one for the host's name too.
//! `require` with `sslrootcert` is `verify-ca`, as with libpq.

use crate::StoreError;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::Arc;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

/// How the server's certificate is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Not at all.
    None,
    /// By its authority.
    Authority,
    /// By its authority and the host's name.
    Full,
}

/// What `sslmode` and `sslrootcert` mean.
pub(super) fn meaning(mode: Option<&str>, root: Option<&str>) -> Result<(SslMode, Check), StoreError> {
    match mode.unwrap_or("prefer") {
        "disable" => Ok((SslMode::Disable, Check::None)),
        "allow" | "prefer" => Ok((SslMode::Prefer, Check::None)),
        "require" if root.is_none() => Ok((SslMode::Require, Check::None)),
        "require" | "verify-ca" => Ok((SslMode::Require, Check::Authority)),
        "verify-full" => Ok((SslMode::Require, Check::Full)),
        other => Err(StoreError::Unavailable(format!(
            "the database's URL has sslmode={other}; write disable, prefer, require, verify-ca or verify-full"
        ))),
    }
}

/// A connector that checks certificates so. `root` is a file of certificates in PEM, or `system`.
pub(super) fn connector(check: Check, root: Option<&str>) -> Result<MakeRustlsConnect, StoreError> {
    let failed =
        |error: &dyn std::fmt::Display| StoreError::Unavailable(format!("TLS to PostgreSQL: {error}"));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let known = match check {
        Check::None => None,
        Check::Authority | Check::Full => {
            let roots = Arc::new(roots(root)?);
            let built = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            Some(built.map_err(|error| failed(&error))?)
        }
    };
    let verifier = Verifier { check, known, provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn roots(file: Option<&str>) -> Result<RootCertStore, StoreError> {
    let mut roots = RootCertStore::empty();
    match file.filter(|file| *file != "system") {
        Some(file) => {
            let unusable = |error: &dyn std::fmt::Display| {
                StoreError::Unavailable(format!("sslrootcert {file}: {error}"))
            };
            for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))? {
                let certificate = certificate.map_err(|error| unusable(&error))?;
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(StoreError::Unavailable("no certificate authority is known; set sslrootcert".into()));
    }
    Ok(roots)
}

/// Looks at a server's certificate as far as `sslmode` says.
#[derive(Debug)]
struct Verifier {
    check: Check,
    known: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(known) = &self.known else { return Ok(ServerCertVerified::assertion()) };
        match known.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The name is looked at last: whatever else could be wrong is not.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Authority => Ok(ServerCertVerified::assertion()),
            found => found,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sslmode_means_what_it_means_to_libpq() {
        assert_eq!(meaning(None, None), Ok((SslMode::Prefer, Check::None)));
        assert_eq!(meaning(Some("require"), None), Ok((SslMode::Require, Check::None)));
        assert_eq!(meaning(Some("require"), Some("ca.pem")), Ok((SslMode::Require, Check::Authority)));
        assert_eq!(meaning(Some("verify-full"), None), Ok((SslMode::Require, Check::Full)));
        assert!(meaning(Some("verify"), None).is_err());
    }
}
