//! `POST /send`, which two dialects share: the credential says which is spoken.

use super::Ground;
use super::http::{exchange, problem};
use super::oauth::{self, Oauth};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::Request;
use http::header::AUTHORIZATION;

/// The dialects that meet here, with the routes that are theirs alone.
pub(super) fn router(ground: &Ground) -> Router {
    let oauth = Oauth::new(ground);
    Router::new().route("/send", post(send)).with_state(oauth.clone()).merge(oauth.router())
}

async fn send(State(oauth): State<Oauth>, request: Request<Body>) -> Response {
    if request.headers().contains_key(AUTHORIZATION) {
        return oauth::send(oauth, request).await;
    }
    let (parts, _) = request.into_parts();
    problem::not_found(exchange::of(&parts)).await
}
