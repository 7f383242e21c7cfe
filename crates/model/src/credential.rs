//! Credentials: API keys, the Mail Proxy's tokens, OAuth2 clients; how they look, what they may do. Only a hash of a
//! secret is ever stored.

use crate::status::words;
use crate::{ClientId, CredentialId, Rate, Timestamp};

words!(
    /// What a credential may do.
    Permission {
        /// Hand in email.
        EmailsSend = "emails:send",
        /// Read emails, their events and content.
        EmailsRead = "emails:read",
        /// Take emails back.
        EmailsCancel = "emails:cancel",
        /// Change templates.
        TemplatesWrite = "templates:write",
        /// Change webhook endpoints.
        WebhooksWrite = "webhooks:write",
        /// Everything, clients and keys included.
        Admin = "admin",
    }
);

impl Permission {
    /// What `key create` grants unless told otherwise.
    pub const DEFAULT: &'static [Self] = &[Self::EmailsSend, Self::EmailsRead, Self::EmailsCancel];
}

words!(
    /// Whether a key's mail may leave the machine.
    KeyMode {
        /// Mail goes out by the routes.
        Live = "live",
        /// Mail goes to the inbox transport whatever the routes say.
        Test = "test",
    }
);

words!(
    /// What an access token of the OAuth API may do.
    Scope {
        /// Know who one is.
        Basic = "basic",
        /// Send, and read what became of it.
        Email = "email",
    }
);

impl Scope {
    /// The permissions that a client with these scopes has.
    pub fn permissions(scopes: &[Self]) -> Vec<Permission> {
        if scopes.contains(&Self::Email) {
            vec![Permission::EmailsSend, Permission::EmailsRead]
        } else {
            Vec::new()
        }
    }
}

/// What kind of credential it is, with what only that kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// An API key.
    Key,
    /// A token of the Mail Proxy API; its `jti` is the credential's id.
    Token,
    /// An OAuth2 client (RFC 6749), which logs in with an id and a secret for short-lived access tokens.
    OauthClient {
        /// Its `client_id`, unique in the installation.
        name: String,
        /// Argon2id of its secret, as a PHC string.
        secret_hash: String,
        /// What its tokens may do when it asks for nothing, and the most it may ask for.
        scopes: Vec<Scope>,
    },
}

impl CredentialKind {
    /// The kind as a word.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Token => "token",
            Self::OauthClient { .. } => "oauth_client",
        }
    }
}

/// One credential, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// The client it belongs to.
    pub client_id: ClientId,
    /// API key, token or OAuth2 client.
    pub kind: CredentialKind,
    /// A name for people.
    pub name: Option<String>,
    /// First characters of the key, to recognise it by.
    pub prefix: String,
    /// What it is found by: SHA-256 of the key, [`token_hash`] of a token, [`oauth_hash`] of an OAuth2 client.
    pub key_hash: [u8; 32],
    /// `live` or `test`.
    pub mode: KeyMode,
    /// What it may do.
    pub permissions: Vec<Permission>,
    /// The one domain it may send from (A-label form); `None`: any of the client's.
    pub domain: Option<String>,
    /// Its own rate limit; `None`: the surface's default.
    pub rate_limit: Option<Rate>,
    /// Whether it works.
    pub is_active: bool,
    /// The end it was given when it was made.
    pub expires_at: Option<Timestamp>,
    /// When it makes room for the successor it has.
    pub retires_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl Credential {
    /// Whether it may do `permission`; `admin` includes all.
    pub fn permits(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission) || self.permissions.contains(&Permission::Admin)
    }

    /// Whether it works at `now`.
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.is_active && self.revoked_at.is_none() && self.ends_at().is_none_or(|end| now < end)
    }

    /// When it stops working by itself: at the end it was given, or earlier when it has a successor.
    pub fn ends_at(&self) -> Option<Timestamp> {
        [self.expires_at, self.retires_at].into_iter().flatten().min()
    }
}

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_CHARS: usize = 43;
const CHECK_CHARS: usize = 6;

/// A key in clear: `ph_<live|test>_<43 random characters><6 of checksum>`, so that secret scanners find it and a
/// mistyped one is refused before any look-up. 43 characters of base 62 carry 256 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// A new key from 64 random bytes.
    pub fn new(mode: KeyMode, chance: &[u8; 64]) -> Self {
        let mut text = format!("ph_{mode}_");
        // 248 = 4 * 62: larger bytes are passed over so that every character is equally likely.
        let mut chars = chance.iter().filter(|b| **b < 248).map(|b| ALPHABET[usize::from(b % 62)] as char);
        let fallback = chance.iter().map(|b| ALPHABET[usize::from(b % 62)] as char);
        let mut fallback = fallback.rev();
        for _ in 0..RANDOM_CHARS {
            text.extend(chars.next().or_else(|| fallback.next()));
        }
        text.push_str(&checksum(&text));
        Self(text)
    }

    /// Reads a key; `None` when its shape or checksum is wrong, so that it need not be looked up.
    pub fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix("ph_live_").or_else(|| text.strip_prefix("ph_test_"))?;
        if random.len() != RANDOM_CHARS + CHECK_CHARS || !random.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return None;
        }
        let (body, check) = text.split_at(text.len() - CHECK_CHARS);
        (checksum(body) == check).then(|| Self(text.to_owned()))
    }

    /// SHA-256 of the key: what is stored and looked up.
    pub fn hash(&self) -> [u8; 32] {
        hash_secret(&self.0)
    }

    /// The key itself, to show once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The first characters, to recognise it by.
    pub fn prefix(&self) -> &str {
        &self.0[..12]
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(****)")
    }
}

/// SHA-256 of a high-entropy secret (a random key needs no slow hash).
pub fn hash_secret(secret: &str) -> [u8; 32] {
    crate::email::BlobHash::of(secret.as_bytes()).0
}

/// What a token of the Mail Proxy API is found by: its `jti`.
pub fn token_hash(id: CredentialId) -> [u8; 32] {
    hash_secret(&format!("token:{id}"))
}

/// What an OAuth2 client is found by: its `client_id`. No key hashes to it, because no key looks so.
pub fn oauth_hash(name: &str) -> [u8; 32] {
    hash_secret(&format!("oauth:{name}"))
}

fn checksum(text: &str) -> String {
    let mut crc = crc32fast::hash(text.as_bytes());
    let mut out = [b'0'; CHECK_CHARS];
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(crc % 62) as usize];
        crc /= 62;
    }
    out.iter().map(|b| *b as char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keys_read_back_and_a_typo_is_refused(
            chance in proptest::collection::vec(any::<u8>(), 64),
            at in 8_usize..57,
            to in proptest::sample::select(ALPHABET.to_vec()),
        ) {
            let mut seed = [0; 64];
            seed.copy_from_slice(&chance);
            let key = ApiKey::new(KeyMode::Live, &seed);
            prop_assert_eq!(key.expose().len(), 8 + RANDOM_CHARS + CHECK_CHARS);
            prop_assert_eq!(ApiKey::parse(key.expose()), Some(key.clone()));
            let mut typo = key.expose().as_bytes().to_vec();
            typo[at] = to;
            let typo = String::from_utf8(typo).unwrap();
            if typo != key.expose() {
                prop_assert_eq!(ApiKey::parse(&typo), None);
            }
        }
    }

    #[test]
    fn refuses_other_shapes() {
        for bad in ["", "ph_live_", "sk_live_abc", "ph_prod_0000", "ph_live_\u{e4}"] {
            assert_eq!(ApiKey::parse(bad), None, "{bad}");
        }
    }
}
