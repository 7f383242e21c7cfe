//! The client authentication of a request (RFC 6749, section 2.3.1): HTTP Basic, or id and secret in the body.

use super::Oauth;
use super::errors::OauthError;
use super::given::Given;
use crate::auth::{LoggedIn, TokenError};
use crate::limits::{LimitKey, Scope};
use crate::surfaces::http::exchange::Exchange;
use crate::surfaces::http::form::Fields;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};
use posthaste_model::Secret;

/// Whom the client says it is.
struct Presented {
    name: String,
    secret: Secret,
    by_basic: bool,
    /// Id and secret as they stand in the header, where they could be form-encoded.
    literal: Option<(String, Secret)>,
}

impl Oauth {
    /// The client that a request authenticates. A failure counts for its id and address; too many are 429.
    pub(super) async fn login(
        &self,
        exchange: &Exchange,
        headers: &HeaderMap,
        given: &Given<'_>,
    ) -> Result<LoggedIn, OauthError> {
        let presented = presented(headers, given)?;
        let address = LimitKey::address(Scope::OAuth, exchange.client_address());
        let crate::limits::KeyId::Number(number) = address.id else { return Err(OauthError::client(false)) };
        let key = LimitKey::both(Scope::OAuth, number, &presented.name);
        self.ensure_few_failures(key).await?;
        let mut found = self.auth.oauth_login(&presented.name, &presented.secret).await;
        // Asked whoever presents it, so that the time tells nothing but how it is written.
        if matches!(found, Err(TokenError::Invalid))
            && let Some((name, secret)) = &presented.literal
        {
            found = self.auth.oauth_login(name, secret).await;
        }
        if matches!(found, Ok(_) | Err(TokenError::Invalid)) {
            // Tries at the same moment each found none before them: what was counted meanwhile binds them too.
            self.ensure_few_failures(key).await?;
        }
        match found {
            Ok(client) => Ok(client),
            Err(TokenError::Invalid) => {
                self.limits.record_failure(key, self.login_attempts, self.clock.now()).await;
                tracing::info!(client_id = presented.name, "an OAuth login failed");
                Err(OauthError::client(presented.by_basic))
            }
            // The secret was right, and its client was switched off.
            Err(TokenError::Revoked) => Err(OauthError::new(
                StatusCode::BAD_REQUEST,
                "unauthorized_client",
                "this client may not use this grant",
            )),
            Err(other @ (TokenError::Signing | TokenError::Store(_))) => Err(other.into()),
        }
    }

    /// 429 after too many failed logins of this client and address.
    async fn ensure_few_failures(&self, key: LimitKey<'_>) -> Result<(), OauthError> {
        let blocked = self.limits.is_blocked(key, self.login_attempts, self.clock.now()).await;
        let Some(decision) = blocked else { return Ok(()) };
        self.metrics.rate_limited("oauth");
        Err(OauthError::too_many(&decision))
    }
}

fn presented(headers: &HeaderMap, given: &Given<'_>) -> Result<Presented, OauthError> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let body = (given.parameter("client_id")?, given.parameter("client_secret")?);
    let Some(line) = lines.next() else {
        return match body {
            (Some(name), Some(secret)) => Ok(Presented {
                name: name.to_owned(),
                secret: Secret::new(secret),
                by_basic: false,
                literal: None,
            }),
            _ => Err(OauthError::client(false)),
        };
    };
    if lines.next().is_some() {
        return Err(OauthError::request("there must be one Authorization header"));
    }
    if body.1.is_some() {
        return Err(OauthError::request("the client must use one way of authentication, not two"));
    }
    let presented = basic(line.as_bytes()).ok_or_else(|| OauthError::client(true))?;
    if body.0.is_some_and(|name| name != presented.name) {
        return Err(OauthError::request("client_id differs from the one in the Authorization header"));
    }
    Ok(presented)
}

/// Id and secret of `Basic` credentials. The RFC has both form-encoded before they are joined; many clients join them
/// as they are, so that what could be form code may be meant literally, and what is none is.
fn basic(line: &[u8]) -> Option<Presented> {
    let text = std::str::from_utf8(line).ok()?;
    let (scheme, coded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(coded.trim()).ok()?).ok()?;
    let (name, secret) = pair.split_once(':')?;
    let literal = (name.to_owned(), Secret::new(secret));
    let ((name, secret), literal) = match (decoded(name), decoded(secret)) {
        (Some(plain_name), Some(plain_secret)) if plain_name != name || plain_secret != secret => {
            ((plain_name, Secret::new(plain_secret)), Some(literal))
        }
        _ => (literal, None),
    };
    Some(Presented { name, secret, by_basic: true, literal })
}

/// What `text` says as a form's value; nothing when it is none.
fn decoded(text: &str) -> Option<String> {
    if text.contains('&') {
        return None;
    }
    let field = format!("v={text}");
    let fields = Fields::of_query(&field).ok()?;
    fields.get("v").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pair: &str) -> Vec<(String, String)> {
        let line = format!("Basic {}", STANDARD.encode(pair));
        let Some(found) = basic(line.as_bytes()) else { return Vec::new() };
        let both = std::iter::once((found.name, found.secret)).chain(found.literal);
        both.map(|(name, secret)| (name, secret.expose().to_owned())).collect()
    }

    #[test]
    fn basic_credentials_are_form_encoded_or_literal() {
        let pair = |name: &str, secret: &str| (name.to_owned(), secret.to_owned());
        assert_eq!(read("app:abc123"), [pair("app", "abc123")]);
        assert_eq!(read("app:a:b"), [pair("app", "a:b")]);
        assert_eq!(read("my%20app:p%2Bq"), [pair("my app", "p+q"), pair("my%20app", "p%2Bq")]);
        assert_eq!(read("app:p+q/r=="), [pair("app", "p q/r=="), pair("app", "p+q/r==")]);
        assert_eq!(read("app:50%"), [pair("app", "50%")]);
        assert_eq!(read("app:a&b"), [pair("app", "a&b")]);
        assert!(read("app").is_empty());
        assert!(basic(b"Bearer abc").is_none());
        assert!(basic(b"Basic ???").is_none());
    }
}
