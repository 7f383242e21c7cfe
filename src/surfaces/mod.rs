//! The doors: each surface translates its own documented shapes onto the one pipeline, and knows no rule of mail.
//! Here, and only here, the dialects meet.
//!
//! A new surface is one folder with a `router(&Ground)` and one line in `doors`. It may stand below a path that
//! another one answers with a catch-all (`/api/{*rest}` is the Emails API's): the longer path wins, so a surface at
//! `/api/v1` brings its own `/api/v1/{*rest}`, with which it says 404 in its own words.

mod account;
mod aegis;
mod dashboard;
pub mod emails_api;
mod eo_reports;
pub mod files;
mod ground;
pub mod http;
pub mod inbox;
mod listener;
mod mail_proxy;
mod oauth;
pub mod ops;
mod outward_status;
mod provider_webhooks;
mod send;
pub mod smtp_ingress;
mod unsubscribe;
pub mod voices;
pub mod web;

pub(crate) use eo_reports::answer_of as report_answer;
pub use ground::Ground;

use ::http::Request;
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use std::future::ready;

/// Every surface of an API node.
fn doors(ground: &Ground) -> [Router; 12] {
    [
        account::router(ground),
        dashboard::router(ground),
        eo_reports::router(ground),
        emails_api::router(ground),
        files::router(ground),
        inbox::router(ground),
        mail_proxy::router(ground),
        provider_webhooks::router(ground),
        send::router(ground),
        unsubscribe::router(ground),
        ops::health(ground),
        web::assets(),
    ]
}

/// The whole router. Every node answers probes; `api` says whether it opens the doors, too.
pub fn router(ground: &Ground, api: bool) -> Router {
    let mut router = ops::probes(ground);
    if api {
        router = doors(ground).into_iter().fold(router, Router::merge);
        router = router.route("/", get(async || Redirect::to("/admin").into_response()));
    }
    let (clock, same) = (ground.clock.clone(), ground.clock.clone());
    router
        .fallback(move |request: Request<Body>| ready(voices::not_found(request, &clock)))
        .method_not_allowed_fallback(move |request: Request<Body>| {
            ready(voices::method_not_allowed(request, &same))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::any;
    use tower::ServiceExt as _;

    /// What the manual of this module promises of axum.
    #[tokio::test]
    async fn a_surface_may_stand_below_the_catch_all_of_another() {
        let outer = Router::new()
            .route("/api/emails", get(async || "emails"))
            .route("/api/{*rest}", any(async || "nothing of the outer one"));
        let inner = Router::new()
            .route("/api/v1/send", get(async || "send"))
            .route("/api/v1/{*rest}", any(async || "nothing of the inner one"));
        let router = outer.merge(inner);
        for (path, answer) in [
            ("/api/emails", "emails"),
            ("/api/v1/send", "send"),
            ("/api/v1/other/path", "nothing of the inner one"),
            ("/api/v2/send", "nothing of the outer one"),
        ] {
            let request = ::http::Request::get(path).body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            let body = axum::body::to_bytes(response.into_body(), 100).await.unwrap();
            assert_eq!(body, answer, "{path}");
        }
    }
}
