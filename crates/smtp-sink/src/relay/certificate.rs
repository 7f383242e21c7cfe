//! Certificates, good and bad, made afresh for each relay.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fmt;
use std::io;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// What a relay shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Certificate {
    /// For `localhost` and `127.0.0.1`, by the authority of [`Relay::roots_pem`](super::Relay::roots_pem).
    Valid,
    /// The same, but its time is over.
    Expired,
    /// By itself, not by the authority.
    SelfSigned,
    /// By the authority, for another host.
    WrongHost,
    /// None: answers the handshake as a server that knows only TLS 1.0.
    OldProtocolOnly,
}

/// A relay's TLS side.
pub(super) struct Identity {
    pub roots_pem: String,
    pub kind: Certificate,
    pub acceptor: TlsAcceptor,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl Identity {
    pub fn make(kind: Certificate) -> io::Result<Self> {
        let (roots_pem, chain, key) = make_chain(kind).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(io::Error::other)?;
        Ok(Self { roots_pem, kind, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

type Chain = (String, Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn make_chain(kind: Certificate) -> Result<Chain, rcgen::Error> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key)?;

    let key = KeyPair::generate()?;
    let names = match kind {
        Certificate::WrongHost => vec!["other.example".to_owned()],
        _ => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
    };
    let mut params = CertificateParams::new(names)?;
    if kind == Certificate::Expired {
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
    }
    let certificate = match kind {
        Certificate::SelfSigned => params.self_signed(&key)?,
        _ => params.signed_by(&key, &Issuer::from_params(&authority, &authority_key))?,
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok((authority_certificate.pem(), vec![certificate.der().clone()], key))
}
