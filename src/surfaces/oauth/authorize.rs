//! `POST /authorize` and `POST /oauth/token`: an access token for a client's id and secret.

use super::Oauth;
use super::errors::OauthError;
use super::given::Given;
use crate::surfaces::http::answer;
use crate::surfaces::http::exchange::{self, Exchange};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::header::{CACHE_CONTROL, HOST, PRAGMA};
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode};
use posthaste_model::credential::Scope;
use serde_json::json;

/// The largest login, in bytes.
pub(super) const LOGIN_BYTES: usize = 64 * 1024;

/// The handler.
pub(super) async fn authorize(State(oauth): State<Oauth>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let exchange = exchange::of(&parts);
    match grant(&oauth, &exchange, &parts, body).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn grant(
    oauth: &Oauth,
    exchange: &Exchange,
    parts: &Parts,
    body: Body,
) -> Result<Response, OauthError> {
    let held = oauth.bodies.read_up_to(parts, body, LOGIN_BYTES).await?;
    let given = Given::read(&parts.headers, &held)?;
    match given.parameter("grant_type")? {
        Some("client_credentials") => {}
        Some(_) => {
            return Err(OauthError::new(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "grant_type must be client_credentials",
            ));
        }
        None => return Err(OauthError::request("grant_type is required")),
    }
    let client = oauth.login(exchange, &parts.headers, &given).await?;
    let asked = given.parameter("scope")?;
    let scopes = scopes(asked, &client.scopes)?;
    let token = oauth.auth.issue(&client, &scopes, &oauth.issuer(exchange, parts)).await?;
    let mut body = json!({"token_type": "Bearer", "expires_in": oauth.token_seconds, "access_token": token});
    if asked.is_none() {
        // RFC 6749, section 5.1: told where it is not what was asked for.
        body["scope"] = joined(&scopes).into();
    }
    tracing::info!(client_id = client.name, "an access token was issued");
    Ok(not_stored(answer::json(StatusCode::OK, &body)))
}

/// The scopes asked for, each of which the client must have; all of the client's when none is asked for.
fn scopes(asked: Option<&str>, granted: &[Scope]) -> Result<Vec<Scope>, OauthError> {
    let Some(asked) = asked else { return Ok(granted.to_vec()) };
    let mut scopes = Vec::new();
    for word in asked.split(' ').filter(|word| !word.is_empty()) {
        match Scope::parse(word).filter(|scope| granted.contains(scope)) {
            Some(scope) if !scopes.contains(&scope) => scopes.push(scope),
            Some(_) => {}
            None => {
                let description = "the scope is unknown, or not one that this client has";
                return Err(OauthError::new(StatusCode::BAD_REQUEST, "invalid_scope", description));
            }
        }
    }
    if scopes.is_empty() { Ok(granted.to_vec()) } else { Ok(scopes) }
}

/// Scopes as one text.
pub(super) fn joined(scopes: &[Scope]) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")
}

/// An answer that holds a secret.
pub(super) fn not_stored(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

impl Oauth {
    /// Who issues tokens: the public URL, or else what this request calls the service.
    pub(super) fn issuer(&self, exchange: &Exchange, parts: &Parts) -> String {
        if let Some(url) = &self.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        let scheme = if exchange.came_by_tls() { "https" } else { "http" };
        format!("{scheme}://{}", called(parts).unwrap_or("localhost"))
    }
}

/// What the request calls the service, if that is a name or an address. Names of machines and of containers have `_`,
/// too, as RFC 3986, section 3.2.2, has them.
fn called(parts: &Parts) -> Option<&str> {
    let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).or_else(|| {
        // HTTP/2 carries it in the target.
        parts.uri.authority().map(http::uri::Authority::as_str)
    });
    named.filter(|host| {
        !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~-:[]".contains(&b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_what_it_has_and_asks_for() {
        let both = [Scope::Basic, Scope::Email];
        let read = |asked| scopes(asked, &both).map_err(|error| error.code());
        assert_eq!(read(None), Ok(both.to_vec()));
        assert_eq!(read(Some("")), Ok(both.to_vec()));
        assert_eq!(read(Some("email")), Ok(vec![Scope::Email]));
        assert_eq!(read(Some("email  basic email")), Ok(vec![Scope::Email, Scope::Basic]));
        assert_eq!(read(Some("email admin")), Err("invalid_scope"));
        assert_eq!(scopes(Some("email"), &[Scope::Basic]).map_err(|e| e.code()), Err("invalid_scope"));
    }

    #[test]
    fn an_issuer_is_called_as_it_was_asked() {
        let of = |request: http::request::Builder| {
            let (parts, ()) = request.body(()).unwrap().into_parts();
            called(&parts).map(str::to_owned)
        };
        let by_host = |host: &str| of(Request::get("/authorize").header(HOST, host));
        for host in ["mail_proxy:8000", "mail.example.org", "127.0.0.1:8000", "[::1]:8000", "a~b", "A-b"] {
            assert_eq!(by_host(host).as_deref(), Some(host));
        }
        for bad in ["", "a b", "user@host", "a/b", "a?b", "a\"b"] {
            assert_eq!(by_host(bad), None, "{bad}");
        }
        assert_eq!(of(Request::get("https://mail_proxy/authorize")).as_deref(), Some("mail_proxy"));
    }
}
