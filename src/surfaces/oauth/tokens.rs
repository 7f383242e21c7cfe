//! `POST /oauth/introspect` (RFC 7662) and `POST /oauth/revoke` (RFC 7009): a client asks about, or ends, its own tokens.

use super::Oauth;
use super::authorize::{LOGIN_BYTES, joined, not_stored};
use super::errors::OauthError;
use super::given::Given;
use crate::auth::{AccessToken, Freshness, LoggedIn, TokenError};
use crate::surfaces::http::{answer, exchange};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use posthaste_model::Timestamp;
use posthaste_store::Actor;
use serde_json::json;

/// `POST /oauth/introspect`.
pub(super) async fn introspect(State(oauth): State<Oauth>, request: Request<Body>) -> Response {
    match own_token(&oauth, request).await {
        Ok((_, _, Some(token))) => not_stored(answer::json(StatusCode::OK, &description(&token))),
        // Ended, revoked, not ours, or another client's: told alike.
        Ok((_, _, None)) => not_stored(answer::json(StatusCode::OK, &json!({"active": false}))),
        Err(error) => error.into_response(),
    }
}

/// `POST /oauth/revoke`: 200 whatever the token was, so that the answer tells nothing (RFC 7009, section 2.2).
pub(super) async fn revoke(State(oauth): State<Oauth>, request: Request<Body>) -> Response {
    let ended = async {
        let (client, address, token) = own_token(&oauth, request).await?;
        if let Some(token) = token {
            let actor = Actor {
                kind: "api".into(),
                id: Some(client.caller.credential.id.to_string()),
                address: Some(address),
            };
            let jti = *token.jti.as_bytes();
            oauth.store.revoke_token(jti, token.ends_at, oauth.clock.now(), &actor).await?;
        }
        Ok::<_, OauthError>(())
    };
    match ended.await {
        Ok(()) => not_stored(answer::empty(StatusCode::OK)),
        Err(error) => error.into_response(),
    }
}

/// The client that asks, from where, and the token it asks about if that is a good one of its own.
async fn own_token(
    oauth: &Oauth,
    request: Request<Body>,
) -> Result<(LoggedIn, String, Option<AccessToken>), OauthError> {
    let (parts, body) = request.into_parts();
    let exchange = exchange::of(&parts);
    let held = oauth.bodies.read_up_to(&parts, body, LOGIN_BYTES).await?;
    let given = Given::read(&parts.headers, &held)?;
    let client = oauth.login(&exchange, &parts.headers, &given).await?;
    let token = given.parameter("token")?.ok_or_else(|| OauthError::request("token is required"))?;
    let found = match oauth.auth.access_token(token, Freshness::Now).await {
        Ok(token) => Some(token).filter(|token| token.name == client.name),
        Err(TokenError::Invalid | TokenError::Revoked) => None,
        Err(error @ (TokenError::Signing | TokenError::Store(_))) => return Err(error.into()),
    };
    Ok((client, exchange.client_address().to_string(), found))
}

fn description(token: &AccessToken) -> serde_json::Value {
    let seconds = |at: Timestamp| at.millis().div_euclid(1000);
    json!({
        "active": true,
        "scope": joined(&token.scopes),
        "client_id": token.name,
        "token_type": "Bearer",
        "exp": seconds(token.ends_at),
        "iat": seconds(token.issued_at),
        "nbf": seconds(token.issued_at),
        "sub": "",
        "aud": token.name,
        "iss": token.issuer,
        "jti": token.jti,
    })
}
