//! The kinds of credentials as columns: `kind`, `public_id`, `secret_hash`, `scopes`.

use super::damaged;
use crate::StoreError;
use posthaste_model::credential::{CredentialKind, Scope};

/// What stands beside the kind's word: public id, hash of the secret, scopes.
pub(crate) fn kind_columns(kind: &CredentialKind) -> (Option<&str>, Option<&str>, Option<String>) {
    match kind {
        CredentialKind::Key | CredentialKind::Token => (None, None, None),
        CredentialKind::OauthClient { name, secret_hash, scopes } => {
            let scopes: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            (Some(name), Some(secret_hash), Some(scopes.join(" ")))
        }
    }
}

/// The kind in these columns.
pub(crate) fn kind_of(
    word: &str,
    name: Option<String>,
    secret_hash: Option<String>,
    scopes: Option<String>,
) -> Result<CredentialKind, StoreError> {
    match (word, name, secret_hash, scopes) {
        ("key", ..) => Ok(CredentialKind::Key),
        ("token", ..) => Ok(CredentialKind::Token),
        ("oauth_client", Some(name), Some(secret_hash), Some(scopes)) => {
            let scopes: Option<Vec<Scope>> = scopes.split_whitespace().map(Scope::parse).collect();
            let scopes = scopes.ok_or_else(|| damaged("scopes of a credential"))?;
            Ok(CredentialKind::OauthClient { name, secret_hash, scopes })
        }
        _ => Err(damaged("kind of a credential")),
    }
}
