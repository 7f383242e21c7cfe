//! What clients and verifiers read: the server's metadata (RFC 8414) and its public keys (RFC 7517).

use super::Oauth;
use super::errors::OauthError;
use crate::surfaces::http::{answer, exchange};
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Request, StatusCode};
use posthaste_model::credential::Scope;
use serde_json::json;

/// `GET /.well-known/oauth-authorization-server`.
pub(super) async fn server(State(oauth): State<Oauth>, request: Request<Body>) -> Response {
    let (parts, _) = request.into_parts();
    let issuer = oauth.issuer(&exchange::of(&parts), &parts);
    let methods = json!(["client_secret_basic", "client_secret_post"]);
    answer::json(
        StatusCode::OK,
        &json!({
            "issuer": issuer,
            "token_endpoint": format!("{issuer}/authorize"),
            "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
            "introspection_endpoint": format!("{issuer}/oauth/introspect"),
            "revocation_endpoint": format!("{issuer}/oauth/revoke"),
            "scopes_supported": Scope::ALL,
            "response_types_supported": [],
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_methods_supported": methods,
        }),
    )
}

/// `GET /.well-known/jwks.json`.
pub(super) async fn keys(State(oauth): State<Oauth>) -> Response {
    let keys = match oauth.auth.public_keys().await {
        Ok(keys) => keys,
        Err(error) => return OauthError::from(error).into_response(),
    };
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            json!({
                "kty": "RSA", "use": "sig", "alg": "RS256", "kid": key.kid, "n": key.modulus, "e": key.exponent,
            })
        })
        .collect();
    let mut response = answer::json(StatusCode::OK, &json!({"keys": keys}));
    // Short: a verifier that meets a new `kid` must soon find it.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    response
}
