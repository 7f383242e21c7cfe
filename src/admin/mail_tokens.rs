//! Tokens of the Mail Proxy API: make, list, find, revoke. A token in clear is answered once and kept nowhere.

use super::{Admin, NewClient, fault, invalid, refused, words};
use crate::auth::TokenError;
use posthaste_model::client::Client;
use posthaste_model::credential::{Credential, CredentialKind, KeyMode, Permission, token_hash};
use posthaste_model::refusal::{FaultCode, Refusal};
use posthaste_model::{ClientId, CredentialId};
use posthaste_store::Actor;
use std::collections::HashMap;
use std::time::Duration;

/// The longest life that can be asked for: ten years.
const LIFE_MAX: Duration = Duration::from_secs(3_652 * 86_400);
/// Characters behind `client_`.
const PUBLIC_CHARS: usize = 8;

/// The permissions as this API spells them; `:` and `.` mean the same.
const WORDS: [(&str, Permission); 4] = [
    ("mail:send", Permission::EmailsSend),
    ("mail:read", Permission::EmailsRead),
    ("mail:cancel", Permission::EmailsCancel),
    ("admin", Permission::Admin),
];

/// A token to be made.
#[derive(Clone, Debug)]
pub struct NewMailToken {
    /// The client it speaks for; made when there is none of this name.
    pub client_name: String,
    /// The department of a client that is made.
    pub department: Option<String>,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// How long it works; `None`: until it is revoked.
    pub expires_in: Option<Duration>,
}

/// A token with the client it speaks for.
#[derive(Clone, Debug)]
pub struct MailToken {
    /// What is kept of it.
    pub credential: Credential,
    /// Its client.
    pub client: Client,
}

impl MailToken {
    /// Its client as this API names it.
    pub fn client_id(&self) -> String {
        mail_client_id(self.client.id)
    }

    /// Its permissions as this API spells them.
    pub fn permissions(&self) -> Vec<&'static str> {
        self.credential.permissions.iter().map(|one| mail_permission_word(*one)).collect()
    }
}

/// The permission of a word of this API.
pub fn mail_permission(word: &str) -> Option<Permission> {
    let word = word.replace('.', ":");
    WORDS.iter().find(|(known, _)| *known == word).map(|(_, permission)| *permission)
}

/// The word of this API for a permission; those it has no word for are called as they are.
pub fn mail_permission_word(permission: Permission) -> &'static str {
    WORDS.iter().find(|(_, known)| *known == permission).map_or(permission.as_str(), |(word, _)| *word)
}

/// A client as this API names it: `client_` and eight characters out of the random part of its id.
pub(super) fn mail_client_id(id: ClientId) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut rest = id.as_u128() & u128::from(u64::MAX >> 2);
    let mut text = String::from("client_");
    for _ in 0..PUBLIC_CHARS {
        text.push(char::from(DIGITS[usize::try_from(rest % 36).unwrap_or(0)]));
        rest /= 36;
    }
    text
}

impl Admin {
    /// Makes a token: what is kept of it, and the token itself, to show once.
    pub async fn create_mail_token(
        &self,
        new: NewMailToken,
        actor: &Actor,
    ) -> Result<(MailToken, String), Refusal> {
        let mut faults = Vec::new();
        let name = words::name("client_name", &new.client_name).map_err(|found| faults.push(found)).ok();
        if let Some(Err(found)) = new.department.as_deref().map(|given| words::name("department", given)) {
            faults.push(found);
        }
        if new.permissions.is_empty() {
            faults.push(fault("permissions", FaultCode::Required, "at least one permission is required"));
        }
        if new.expires_in.is_some_and(|life| life.is_zero() || life > LIFE_MAX) {
            let message = format!("expires_in is 1 to {} seconds", LIFE_MAX.as_secs());
            faults.push(fault("expires_in", FaultCode::OutOfRange, message));
        }
        let Some(name) = name.filter(|_| faults.is_empty()) else { return Err(Refusal::Invalid(faults)) };
        let client = self.mail_client(&name, new.department.as_deref(), actor).await?;
        let now = self.clock.now();
        let id = CredentialId::new(now, self.chance.bytes());
        let mut permissions = new.permissions;
        permissions.sort_unstable_by_key(|one| Permission::ALL.iter().position(|known| known == one));
        permissions.dedup();
        let credential = Credential {
            id,
            client_id: client.id,
            kind: CredentialKind::Token,
            name: None,
            prefix: mail_client_id(client.id),
            key_hash: token_hash(id),
            mode: KeyMode::Live,
            permissions,
            domain: None,
            rate_limit: None,
            is_active: true,
            expires_at: new.expires_in.map(|life| now.plus(life)),
            retires_at: None,
            created_at: now,
            revoked_at: None,
        };
        let made = MailToken { credential, client };
        let words = made.permissions().into_iter().map(str::to_owned).collect();
        let token = self.auth.mail_token(&made.credential, &made.client_id(), words);
        let token = token.map_err(|error| match error {
            TokenError::Store(error) => refused(error),
            TokenError::Invalid | TokenError::Revoked | TokenError::Signing => {
                Refusal::Unavailable { retry_after: Duration::from_secs(1), may_be_stored: false }
            }
        })?;
        self.store.create_credential(made.credential.clone(), actor).await.map_err(refused)?;
        Ok((made, token))
    }

    /// The client of this name; made when there is none. A client that another request made meanwhile is as good.
    async fn mail_client(
        &self,
        name: &str,
        department: Option<&str>,
        actor: &Actor,
    ) -> Result<Client, Refusal> {
        for _ in 0..2 {
            if let Some(client) = self.store.client_by_name(name).await.map_err(refused)? {
                if client.is_active {
                    return Ok(client);
                }
                return Err(invalid("client_name", FaultCode::InvalidValue, "this client is switched off"));
            }
            let new = NewClient { department: department.map(str::to_owned), ..NewClient::named(name) };
            match self.create_client(new, actor).await {
                Err(Refusal::Conflict(_)) => {}
                made => return made,
            }
        }
        Err(Refusal::Conflict(format!("a client named {name} stands already")))
    }

    /// All tokens, newest first, revoked ones too.
    pub async fn mail_tokens(&self) -> Result<Vec<MailToken>, Refusal> {
        let clients = self.store.clients().await.map_err(refused)?;
        let clients: HashMap<ClientId, Client> =
            clients.into_iter().map(|client| (client.id, client)).collect();
        let credentials = self.store.credentials(None).await.map_err(refused)?;
        let tokens = credentials.into_iter().rev().filter(|one| one.kind == CredentialKind::Token);
        let with_client = |credential: Credential| {
            Some(MailToken { client: clients.get(&credential.client_id)?.clone(), credential })
        };
        Ok(tokens.filter_map(with_client).collect())
    }

    /// The token of this id; or the tokens of the client that this API calls so, the one that stands for it first:
    /// the newest that works, else the newest.
    pub async fn mail_tokens_named(&self, name: &str) -> Result<Vec<MailToken>, Refusal> {
        if let Ok(id) = name.parse::<CredentialId>() {
            let found = self.store.credential_by_hash(&token_hash(id)).await.map_err(refused)?;
            let found = found.filter(|(credential, _)| credential.kind == CredentialKind::Token);
            let (credential, client) = found.ok_or(Refusal::NotFound)?;
            return Ok(vec![MailToken { credential, client }]);
        }
        let mut tokens = self.mail_tokens().await?;
        tokens.retain(|token| token.client_id() == name);
        // Two clients of one such name are next to impossible; then neither is meant.
        let is_one = tokens.windows(2).all(|pair| pair[0].client.id == pair[1].client.id);
        if tokens.is_empty() || !is_one {
            return Err(Refusal::NotFound);
        }
        let now = self.clock.now();
        tokens.sort_by_key(|token| !token.credential.is_usable(now));
        Ok(tokens)
    }

    /// Revokes the token of this id, or all tokens of the client that this API calls so, at once and on every node.
    /// What was revoked already stays so.
    pub async fn revoke_mail_tokens(&self, name: &str, actor: &Actor) -> Result<(), Refusal> {
        for token in self.mail_tokens_named(name).await? {
            if token.credential.revoked_at.is_none() {
                let id = token.credential.id;
                self.store.revoke_credential(None, id, self.clock.now(), actor).await.map_err(refused)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_model::Timestamp;

    #[test]
    fn words_and_permissions_are_each_others() {
        for (word, permission) in WORDS {
            assert_eq!(mail_permission(word), Some(permission));
            assert_eq!(mail_permission(&word.replace(':', ".")), Some(permission));
            assert_eq!(mail_permission_word(permission), word);
        }
        for bad in ["", "mail", "mail:", "mail:Send", "emails:send", "mail:send "] {
            assert_eq!(mail_permission(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_client_is_named_by_what_is_random_in_its_id() {
        let now = Timestamp::from_millis(1);
        let first = mail_client_id(ClientId::new(now, [1; 10]));
        assert_eq!(first.len(), 15);
        assert!(first.starts_with("client_") && first[7..].bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(first, mail_client_id(ClientId::new(Timestamp::from_millis(9), [1; 10])));
        assert_ne!(first, mail_client_id(ClientId::new(now, [2; 10])));
    }
}
