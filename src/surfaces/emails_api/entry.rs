//! The way into every call: credential, limits, then the call; and the figures of the limit on every answer.

use super::{EmailsApi, refusals};
use crate::auth::{AuthError, Caller, Freshness};
use crate::limits::{Decision, LimitKey, Scope};
use crate::surfaces::http::exchange::Exchange;
use crate::surfaces::http::problem::{self, Problem};
use crate::surfaces::http::rate_headers;
use axum::response::Response;
use http::{HeaderMap, HeaderValue};

/// A caller that was let in, with how it stands against its limit.
pub(super) struct Entered {
    pub caller: Caller,
    decision: Option<Decision>,
}

impl Entered {
    /// How the caller stands against its limit, as a sentence.
    pub fn limits(&self) -> Option<String> {
        self.decision.map(|stand| format!("{} of {} requests left", stand.remaining, stand.limit))
    }

    /// The call's answer, or its problem, with the figures of the limit.
    pub fn finish(&self, exchange: &Exchange, answer: Result<Response, Problem>) -> Response {
        let mut response = answer.unwrap_or_else(|problem| with_challenge(problem).into_response(exchange));
        if let Some(decision) = &self.decision {
            rate_headers::write(response.headers_mut(), decision);
        }
        response
    }
}

impl EmailsApi {
    /// Lets a caller in: 401 for a credential that does not work, 429 over a limit. A refused one is not counted.
    pub(super) async fn enter(
        &self,
        exchange: &Exchange,
        headers: &HeaderMap,
        freshness: Freshness,
    ) -> Result<Entered, Response> {
        let now = self.clock.now();
        let address = (LimitKey::address(Scope::Address, exchange.client_address()), self.per_address);
        let found = match presented(headers) {
            Some(key) => self.auth.api_key(key, freshness).await,
            None => Err(AuthError::Invalid),
        };
        let caller = match found {
            Ok(caller) => caller,
            Err(AuthError::Store(error)) => return Err(refusals::store(&error).into_response(exchange)),
            Err(AuthError::Invalid) => {
                let decision = self.limits.check(address.0, address.1, now).await;
                let problem = if decision.allowed {
                    refusals::unauthorized()
                } else {
                    self.metrics.rate_limited("ip");
                    too_many(&decision)
                };
                let mut response = with_challenge(problem).into_response(exchange);
                rate_headers::write(response.headers_mut(), &decision);
                return Err(response);
            }
        };
        let rate = caller.credential.rate_limit.unwrap_or(self.per_key);
        let own = (LimitKey::number(Scope::Credential, caller.credential.id.as_u128()), rate);
        let decision = self.limits.check_all(&[own, address], now).await;
        match decision {
            Some(refused) if !refused.allowed => {
                let is_own = refused.limit == rate.count;
                self.metrics.rate_limited(if is_own { "key" } else { "ip" });
                let mut response = too_many(&refused).into_response(exchange);
                rate_headers::write(response.headers_mut(), &refused);
                Err(response)
            }
            // The figures shown are the key's own: the address's belong to everyone behind it.
            _ => Ok(Entered { caller, decision: Some(self.limits.peek(own.0, rate, now).await) }),
        }
    }
}

/// The key in `X-Api-Key` or `Authorization: Bearer`; `None` when there is none, or two that differ.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let single = |name: &str| {
        let mut values = headers.get_all(name).iter();
        let first = values.next()?;
        if values.next().is_some() { None } else { first.to_str().ok() }
    };
    let key = single("x-api-key");
    let bearer = single("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    match (key, bearer) {
        (Some(key), Some(bearer)) if key != bearer => None,
        (key, bearer) => key.or(bearer),
    }
}

fn too_many(decision: &Decision) -> Problem {
    let detail = format!("the limit of {} requests is used up", decision.limit);
    Problem::new(problem::RATE_LIMITED, detail)
}

/// RFC 9110 11.6.1: a 401 names the way to authenticate.
fn with_challenge(mut problem: Problem) -> Problem {
    if problem.status() == http::StatusCode::UNAUTHORIZED {
        problem.headers_mut().insert(http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    problem
}
