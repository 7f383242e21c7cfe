//! Tokens of the Mail Proxy API: JWTs under HS256 that stand for a credential in the store. The token proves that we
//! made it; what it may do, and whether it still works, only the store says.

use super::jwt::Times;
use super::{Auth, Caller, Freshness, TokenError};
use posthaste_model::credential::{Credential, CredentialKind, token_hash};
use posthaste_model::{CredentialId, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    jti: String,
    #[serde(flatten)]
    times: Times,
    permissions: Vec<String>,
}

/// Whether a password is a token rather than a key: keys have no dots.
pub(super) fn looks_like_one(password: &str) -> bool {
    password.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl Auth {
    /// The token of a credential of kind [`CredentialKind::Token`]: `sub` names its client, `permissions` tell the
    /// bearer what it was given.
    pub fn mail_token(
        &self,
        credential: &Credential,
        client: &str,
        permissions: Vec<String>,
    ) -> Result<String, TokenError> {
        let seconds = |at: Timestamp| at.millis().div_euclid(1000);
        self.mail_key.sign(&Claims {
            sub: client.to_owned(),
            jti: credential.id.to_string(),
            times: Times {
                iat: seconds(credential.created_at),
                nbf: None,
                exp: credential.expires_at.map(seconds),
            },
            permissions,
        })
    }

    /// The caller that bears this token.
    pub async fn mail_bearer(&self, token: &str, freshness: Freshness) -> Result<Caller, TokenError> {
        let claims: Claims = self.mail_key.open(token)?;
        if !claims.times.hold(self.clock.now(), self.leeway, self.leeway) {
            return Err(TokenError::Invalid);
        }
        let id: CredentialId = claims.jti.parse().map_err(|_| TokenError::Invalid)?;
        let hash = token_hash(id);
        if freshness == Freshness::CheckedByCommit
            && let Some(caller) = self.lookup(self.directory.view(), &hash).await?
        {
            return Ok(caller);
        }
        let view = self.directory.fresh().await?;
        let Some((credential, client)) = view.credential(&hash).await? else {
            return Err(TokenError::Invalid);
        };
        if credential.kind != CredentialKind::Token {
            return Err(TokenError::Invalid);
        }
        if !credential.is_active || credential.revoked_at.is_some() {
            return Err(TokenError::Revoked);
        }
        let usable = client.is_active && self.is_within(&credential, self.leeway);
        usable.then_some(Caller { client, credential, view, token: None }).ok_or(TokenError::Invalid)
    }

    /// Whether the credential's own end lies ahead, with clocks that differ by `leeway`.
    fn is_within(&self, credential: &Credential, leeway: Duration) -> bool {
        credential.expires_at.is_none_or(|end| self.clock.now() < end.plus(leeway))
    }
}
