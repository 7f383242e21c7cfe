//! OAuth2 client credentials (RFC 6749, section 4.4): the login with id and secret, and the access tokens (RFC 9068 in
//! spirit: JWTs under RS256) that it gives.
//!
//! A token proves which client logged in; whether that client still works, and whether the token was revoked by itself,
//! the store says at every request.

use super::jwt::{self, Times};
use super::{Auth, Caller, Freshness, TokenError};
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use jsonwebtoken::{Algorithm, Header};
use posthaste_model::credential::{CredentialKind, Scope, oauth_hash};
use posthaste_model::{Secret, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

/// Stands in for the hash of a client that does not exist, so that it takes as long to refuse as a wrong secret:
/// argon2id with the same cost, of a secret that nobody knows.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$cG9zdGhhc3RlLW5vYm9keQ$Vq0r0V9qSvu1wS1hR1w6Hk0t1m0m2l2c2m1c0kq1o5Q";

/// What an access token says.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    sub: String,
    jti: Uuid,
    #[serde(flatten)]
    times: Times,
    scopes: Vec<String>,
}

/// A client that logged in.
pub struct LoggedIn {
    /// The client, by its credential.
    pub caller: Caller,
    /// Its `client_id`.
    pub name: String,
    /// What it may ask for.
    pub scopes: Vec<Scope>,
}

/// An access token that was found good.
pub struct AccessToken {
    /// Who bears it.
    pub caller: Caller,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The `client_id` it was made for.
    pub name: String,
    /// Its id.
    pub jti: Uuid,
    /// Its issuer.
    pub issuer: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
}

/// Argon2id of a secret that an operator gave, as a PHC string. Takes tens of milliseconds: off the async threads.
pub fn hash_password(secret: &Secret) -> Result<String, TokenError> {
    Argon2::default().hash_password(secret.expose().as_bytes()).map(|hash| hash.to_string()).map_err(
        |error| {
            tracing::error!(%error, "a secret could not be hashed");
            TokenError::Signing
        },
    )
}

impl Auth {
    /// The client that logs in with this id and secret. An unknown id and a wrong secret take the same time and are
    /// told alike. [`TokenError::Revoked`]: the secret is right, but its client was switched off.
    pub async fn oauth_login(&self, name: &str, secret: &Secret) -> Result<LoggedIn, TokenError> {
        let view = self.directory.fresh().await?;
        let found = view.credential(&oauth_hash(name)).await?;
        let known = found.as_ref().and_then(|(credential, _)| match &credential.kind {
            CredentialKind::OauthClient { secret_hash, .. } => Some(secret_hash.clone()),
            CredentialKind::Key | CredentialKind::Token => None,
        });
        let is_right = self.matches(secret.clone(), known).await?;
        let Some((credential, client)) = found.filter(|_| is_right) else { return Err(TokenError::Invalid) };
        if !credential.is_usable(self.clock.now()) {
            return Err(TokenError::Invalid);
        }
        if !client.is_active {
            return Err(TokenError::Revoked);
        }
        let CredentialKind::OauthClient { name, scopes, .. } = credential.kind.clone() else {
            return Err(TokenError::Invalid);
        };
        Ok(LoggedIn { caller: Caller { client, credential, view, token: None }, name, scopes })
    }

    /// Whether `secret` is the one that was hashed; without a hash it takes as long and is not.
    pub(super) async fn matches(&self, secret: Secret, hash: Option<String>) -> Result<bool, TokenError> {
        // Each takes 19 MB and a core: no more at once than there is room for.
        let _seat = self.hashing.acquire().await.map_err(|_| TokenError::Signing)?;
        let checked = self.tasks.spawn_blocking("auth.password", move || {
            let is_known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
            let verified = PasswordHash::new(&hash).is_ok_and(|hash| {
                Argon2::default().verify_password(secret.expose().as_bytes(), &hash).is_ok()
            });
            verified && is_known
        });
        checked.await.map_err(|_| TokenError::Signing)
    }

    /// A new access token of a client that logged in.
    pub async fn issue(
        &self,
        client: &LoggedIn,
        scopes: &[Scope],
        issuer: &str,
    ) -> Result<String, TokenError> {
        let now = self.clock.now();
        let key = self.signing_key().await?;
        let seconds = now.millis().div_euclid(1000);
        let claims = Claims {
            iss: issuer.to_owned(),
            aud: client.name.clone(),
            sub: String::new(),
            jti: self.chance.uuid_v7(now),
            times: Times {
                iat: seconds,
                nbf: Some(seconds),
                exp: Some(
                    seconds.saturating_add(i64::try_from(self.token_lifetime.as_secs()).unwrap_or(i64::MAX)),
                ),
            },
            scopes: scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
        };
        // An RSA signature takes most of a millisecond of a core.
        let signed = self.tasks.spawn_blocking("auth.sign", move || {
            let mut header = Header::new(Algorithm::RS256);
            header.kid = Some(key.kid.clone());
            jwt::encode(&header, &claims, &key.encoding)
        });
        signed.await.map_err(|_| TokenError::Signing)?
    }

    /// What this access token stands for.
    pub async fn access_token(&self, token: &str, freshness: Freshness) -> Result<AccessToken, TokenError> {
        let kid = jwt::kid(token)?;
        let view = match freshness {
            Freshness::CheckedByCommit => self.directory.view(),
            Freshness::Now => self.directory.fresh().await?,
        };
        match self.access_token_in(view, &kid, token).await {
            // By what is remembered; the truth may be newer.
            Err(TokenError::Invalid) if freshness == Freshness::CheckedByCommit => {
                let view = self.directory.fresh().await?;
                self.access_token_in(view, &kid, token).await
            }
            other => other,
        }
    }

    async fn access_token_in(
        &self,
        view: std::sync::Arc<crate::directory::View>,
        kid: &str,
        token: &str,
    ) -> Result<AccessToken, TokenError> {
        let keys = self.signing_keys(&view).await?;
        let key = keys.iter().find(|key| key.kid == kid).ok_or(TokenError::Invalid)?;
        let claims = key.verified.claims(token, || jwt::open(token, Algorithm::RS256, &key.decoding))?;
        let ends = claims.times.exp.ok_or(TokenError::Invalid)?;
        // Made a moment ago by another node, its clock may be ahead of ours; its end is exact.
        let holds = claims.times.hold(self.clock.now(), self.leeway, Duration::ZERO);
        if !holds || view.is_token_revoked(claims.jti).await? {
            return Err(TokenError::Invalid);
        }
        let caller = self.lookup(view, &oauth_hash(&claims.aud)).await?.ok_or(TokenError::Invalid)?;
        let scopes: Option<Vec<Scope>> = claims.scopes.iter().map(|scope| Scope::parse(scope)).collect();
        Ok(AccessToken {
            caller: Caller { token: Some(claims.jti), ..caller },
            scopes: scopes.ok_or(TokenError::Invalid)?,
            name: claims.aud.clone(),
            jti: claims.jti,
            issuer: claims.iss.clone(),
            issued_at: Timestamp::from_millis(claims.times.iat.saturating_mul(1000)),
            ends_at: Timestamp::from_millis(ends.saturating_mul(1000)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_costs_as_much_as_anybody() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let anybody = hash_password(&Secret::new("abc123")).unwrap();
        let anybody = PasswordHash::new(&anybody).unwrap();
        assert_eq!(nobody.params.to_string(), anybody.params.to_string());
        assert_eq!((nobody.algorithm, nobody.version), (anybody.algorithm, anybody.version));
        assert_eq!(nobody.hash.map(|hash| hash.len()), anybody.hash.map(|hash| hash.len()));
        assert_eq!(nobody.salt.map(|salt| salt.len()), anybody.salt.map(|salt| salt.len()));
    }
}
