//! `POST /send`, which two dialects share: the credential says which is spoken ('Where paths meet').

use super::Ground;
use super::aegis::{self, API_KEY, Aegis};
use super::oauth::{self, Oauth};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request};

/// The dialects that meet here.
#[derive(Clone)]
struct Dialects {
    oauth: Oauth,
    aegis: Aegis,
}

/// The dialects that meet here, with the routes that are theirs alone.
pub(super) fn router(ground: &Ground) -> Router {
    let dialects = Dialects { oauth: Oauth::new(ground), aegis: Aegis::new(ground) };
    Router::new()
        .route("/send", post(send))
        .with_state(dialects.clone())
        .merge(dialects.oauth.router())
        .merge(dialects.aegis.router())
}

async fn send(State(dialects): State<Dialects>, request: Request<Body>) -> Response {
    let headers = request.headers();
    match (headers.contains_key(API_KEY), has_bearer(headers)) {
        (false, true) => oauth::send(dialects.oauth, request).await,
        (true, true) => aegis::refuse_both(dialects.aegis, request).await,
        // Without any credential it is refused, in the words of the older of the two.
        (_, false) => aegis::send(dialects.aegis, request).await,
    }
}

/// Whether a token is borne; other schemes of `Authorization` may belong to a proxy on the way.
pub(super) fn has_bearer(headers: &HeaderMap) -> bool {
    headers.get_all(AUTHORIZATION).iter().any(|line| {
        let scheme = line.as_bytes().split(|byte| *byte == b' ').next().unwrap_or_default();
        scheme.eq_ignore_ascii_case(b"bearer")
    })
}
