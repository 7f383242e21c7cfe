//! In whose words a request is refused that no call gets to see: its head is refused at the edge, its path or its method is
//! none, or it panics. Clients of a dialect read one shape of an error, whoever made it.

use super::aegis::{self, API_KEY};
use super::http::edge::Voice;
use super::http::exchange::{self, Exchange};
use super::http::problem::{self, Problem};
use super::{eo_reports, mail_proxy, oauth, send};
use crate::base::clock::Clock;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, Request};
use posthaste_model::Timestamp;

/// Paths, with all below them, of the OAuth API.
const OAUTH: [&str; 4] = ["/authorize", "/oauth", "/emails", "/.well-known"];
/// Those of the Aegis API.
const AEGIS: [&str; 2] = ["/send", "/status"];
/// Those of the Mail Proxy API.
const MAIL_PROXY: [&str; 1] = ["/api/v1"];
/// Those of the EO reports.
const EO_REPORTS: [&str; 1] = ["/eo"];

/// The voice of the surface that a request was for. The Emails API speaks for all others.
pub fn of(path: &str, headers: &HeaderMap) -> Voice {
    let is_below =
        |place: &&str| path.strip_prefix(*place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_oauth_send = || path == "/send" && send::has_bearer(headers) && !headers.contains_key(API_KEY);
    if OAUTH.iter().any(is_below) || is_oauth_send() {
        oauth::say
    } else if AEGIS.iter().any(is_below) {
        aegis::say
    } else if MAIL_PROXY.iter().any(is_below) {
        mail_proxy::say
    } else if EO_REPORTS.iter().any(is_below) {
        eo_reports::say
    } else {
        as_it_is
    }
}

fn as_it_is(problem: Problem, exchange: &Exchange, _now: Timestamp) -> Response {
    problem.into_response(exchange)
}

/// The router's answer to an unknown path.
pub(super) fn not_found(request: Request<Body>, clock: &Clock) -> Response {
    say(request, clock, Problem::new(problem::NOT_FOUND, "there is no such path"))
}

/// The router's answer to a known path with a method it does not have; the router adds `Allow`.
pub(super) fn method_not_allowed(request: Request<Body>, clock: &Clock) -> Response {
    say(request, clock, Problem::new(problem::METHOD_NOT_ALLOWED, "this path does not have this method"))
}

fn say(request: Request<Body>, clock: &Clock, problem: Problem) -> Response {
    let (parts, _) = request.into_parts();
    let voice = of(parts.uri.path(), &parts.headers);
    voice(problem, &exchange::of(&parts), clock.now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::AUTHORIZATION;

    async fn said(path: &str, headers: &[(&str, &str)]) -> serde_json::Value {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let clock = Clock::manual(Timestamp::from_millis(0));
        let response = method_not_allowed(request.body(Body::empty()).unwrap(), &clock);
        assert_eq!(response.status(), 405, "{path}");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[tokio::test]
    async fn each_dialect_is_answered_in_its_own_shape() {
        for path in ["/send", "/send/msg_1/status", "/status"] {
            let said = said(path, &[]).await;
            assert_eq!(said["code"], "METHOD_NOT_ALLOWED", "{path}");
            assert_eq!(said["timestamp"], "1970-01-01T00:00:00+00:00", "{path}");
        }
        let bearer = (AUTHORIZATION.as_str(), "Bearer x");
        assert_eq!(said("/send", &[bearer]).await["error"], "invalid_request");
        assert_eq!(said("/send", &[bearer, ("x-api-key", "k")]).await["code"], "METHOD_NOT_ALLOWED");
        for path in ["/authorize", "/oauth/token", "/emails", "/emails/1", "/.well-known/jwks.json"] {
            assert!(said(path, &[]).await["error_description"].is_string(), "{path}");
        }
        for path in ["/api/v1", "/api/v1/mail/send"] {
            let said = said(path, &[]).await;
            assert_eq!(said["success"], false, "{path}");
            assert_eq!(said["error"], "method_not_allowed", "{path}");
        }
        for path in ["/eo", "/eo/email-reports/data"] {
            let refused = serde_json::json!({"ok": false, "error": "method_not_allowed"});
            assert_eq!(said(path, &[]).await, refused, "{path}");
        }
        for path in ["/api/emails", "/api/v10", "/eos", "/sender", "/health", "/"] {
            assert_eq!(said(path, &[]).await["code"], "method_not_allowed", "{path}");
        }
    }
}
