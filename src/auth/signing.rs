//! The RSA keys under which access tokens are signed: made when first needed, sealed in the store, shared by all nodes,
//! rotated without breaking live tokens.

use super::oauth::Claims;
use super::verified::Verified;
use super::{Auth, TokenError};
use crate::directory::View;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{DecodingKey, EncodingKey};
use posthaste_model::email::BlobHash;
use posthaste_store::{Actor, SigningKey};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// A retired key verifies for this long beyond the life of a token, for tokens of a time when they lived longer.
const KEPT_LONGER: Duration = Duration::from_hours(48);

/// A signing key, opened.
pub(super) struct OpenKey {
    pub kid: String,
    pub encoding: EncodingKey,
    pub decoding: DecodingKey,
    /// Tokens it was seen to have signed.
    pub verified: Verified<Claims>,
    modulus: String,
    exponent: String,
    retired: bool,
}

/// The public half of a signing key, as a JSON Web Key (RFC 7517) tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name.
    pub kid: String,
    /// Modulus, base64url.
    pub modulus: String,
    /// Exponent, base64url.
    pub exponent: String,
}

/// A key damaged in the store, or of another encryption key.
fn unreadable(kid: &str) -> TokenError {
    tracing::error!(kid, "a signing key cannot be opened; was ENCRYPTION_KEY changed?");
    TokenError::Signing
}

impl Auth {
    /// Makes a new key the one that signs. Tokens signed before go on being good.
    pub async fn rotate_signing_key(&self, actor: &Actor) -> Result<String, TokenError> {
        let made = self.tasks.spawn_blocking("auth.make_key", make);
        let (kid, der) = made.await.map_err(|_| TokenError::Signing)??;
        let now = self.clock.now();
        let key = SigningKey {
            sealed_key: self.vault.seal(&place(&kid), &der),
            kid: kid.clone(),
            created_at: now,
            retired_at: None,
        };
        self.store.add_signing_key(key, now.minus(self.token_lifetime).minus(KEPT_LONGER), actor).await?;
        Ok(kid)
    }

    /// The public keys that verify our tokens, the one that signs first. Makes the first key when there is none.
    pub async fn public_keys(&self) -> Result<Vec<PublicKey>, TokenError> {
        self.signing_key().await?;
        let keys = self.signing_keys(&*self.directory.fresh().await?).await?;
        let public = |key: &OpenKey| PublicKey {
            kid: key.kid.clone(),
            modulus: key.modulus.clone(),
            exponent: key.exponent.clone(),
        };
        Ok(keys.iter().map(|key| public(key)).collect())
    }

    /// The key that signs now; made when there is none yet.
    pub(super) async fn signing_key(&self) -> Result<Arc<OpenKey>, TokenError> {
        let known = self.signing_keys(&*self.directory.fresh().await?).await?;
        if let Some(key) = known.iter().find(|key| !key.retired) {
            return Ok(Arc::clone(key));
        }
        self.rotate_signing_key(&Actor { kind: "system".into(), id: None, address: None }).await?;
        let known = self.signing_keys(&*self.directory.fresh().await?).await?;
        known.iter().find(|key| !key.retired).cloned().ok_or(TokenError::Signing)
    }

    /// All keys of this view, opened; opened once a view.
    pub(super) async fn signing_keys(&self, view: &View) -> Result<Arc<Vec<Arc<OpenKey>>>, TokenError> {
        let sealed = view.signing_keys().await?;
        let mut opened = self.opened.lock().await;
        if let Some((of, keys)) = &*opened
            && Arc::ptr_eq(of, &sealed)
        {
            return Ok(Arc::clone(keys));
        }
        let keys: Result<Vec<_>, _> = sealed.iter().map(|key| self.open_key(key).map(Arc::new)).collect();
        let keys = Arc::new(keys?);
        *opened = Some((sealed, Arc::clone(&keys)));
        Ok(keys)
    }

    fn open_key(&self, key: &SigningKey) -> Result<OpenKey, TokenError> {
        let unreadable = || unreadable(&key.kid);
        let der = self.vault.open(&place(&key.kid), &key.sealed_key).map_err(|_| unreadable())?;
        let pair = RsaKeyPair::from_pkcs8(&der).map_err(|_| unreadable())?;
        let public = pair.public_key();
        let modulus = URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero());
        let exponent = URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero());
        Ok(OpenKey {
            kid: key.kid.clone(),
            encoding: EncodingKey::from_rsa_pem(pem(&der).as_bytes()).map_err(|_| unreadable())?,
            decoding: DecodingKey::from_rsa_components(&modulus, &exponent).map_err(|_| unreadable())?,
            verified: Verified::default(),
            modulus,
            exponent,
            retired: key.retired_at.is_some(),
        })
    }
}

/// Where a key is sealed for.
fn place(kid: &str) -> String {
    format!("signing_keys/{kid}")
}

/// A new key of 2048 bits: its name and its PKCS #8 form. Takes a tenth of a second or more.
fn make() -> Result<(String, Vec<u8>), TokenError> {
    let failed = |_| {
        tracing::error!("a signing key could not be made");
        TokenError::Signing
    };
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
    let hash = BlobHash::of(pair.public_key().as_ref());
    let kid = hash.0[..8].iter().fold(String::new(), |mut kid, byte| {
        let _ = write!(kid, "{byte:02x}");
        kid
    });
    Ok((kid, der.as_ref().to_vec()))
}

/// PKCS #8 as PEM (RFC 7468).
fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = (0..text.len()).step_by(64).map(|at| &text[at..text.len().min(at + 64)]).collect();
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
}
