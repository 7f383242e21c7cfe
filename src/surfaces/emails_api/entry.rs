//! The way into every call: credential, limits, then the call; and the figures of the limit on every answer.

use super::{EmailsApi, refusals};
use crate::auth::{AuthError, Freshness};
use crate::limits::{Decision, LimitKey, Scope};
use crate::surfaces::http::admission::{self, Answered, Entered};
use crate::surfaces::http::exchange::{self, Exchange};
use crate::surfaces::http::problem::{self, Problem};
use crate::surfaces::http::rate_headers;
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

/// The surface's name in metrics.
pub(super) const SURFACE: &str = "emails";

/// The call's answer, or its problem, with the figures of the limit.
pub(super) fn finish(entered: &Entered, exchange: &Exchange, answer: Result<Response, Problem>) -> Response {
    entered.finish(answer.unwrap_or_else(|problem| with_challenge(problem).into_response(exchange)))
}

/// An answer without a credential: the figures are the address's.
pub(super) async fn open(api: &EmailsApi, exchange: &Exchange, mut response: Response) -> Response {
    let stand = admission::stand(&api.limits, exchange, api.per_address, api.clock.now()).await;
    rate_headers::write(response.headers_mut(), &stand);
    response
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
            Err(AuthError::Store(error)) => {
                return Err(open(self, exchange, refusals::store(&error).into_response(exchange)).await);
            }
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
        match admission::admit(&self.limits, &self.metrics, [own, address], now).await {
            Ok(decision) => Ok(Entered { caller, decision }),
            Err(refused) => {
                let mut response = too_many(&refused).into_response(exchange);
                rate_headers::write(response.headers_mut(), &refused);
                Err(response)
            }
        }
    }

    /// Runs a call that usually commits, and answers it with the figures of the limit. What is refused is counted here;
    /// what was accepted is counted where it is known how much it was.
    pub(super) async fn committing(
        &self,
        parts: &Parts,
        work: impl AsyncFnOnce(&Exchange, &Entered) -> Result<Answered, Problem>,
    ) -> Response {
        let exchange = exchange::of(parts);
        let entered = match self.enter(&exchange, &parts.headers, Freshness::CheckedByCommit).await {
            Ok(entered) => entered,
            Err(refused) => return refused,
        };
        let answer = work(&exchange, &entered).await;
        if let Err(problem) = &answer {
            self.metrics.refused(SURFACE, problem.code());
        }
        let answer = self.confirm(&entered, answer).await;
        finish(&entered, &exchange, answer)
    }

    /// The answer, if the credential is still good where no commit has looked: a key that was revoked by another
    /// process is refused at its next request, whatever that asks.
    async fn confirm(
        &self,
        entered: &Entered,
        answer: Result<Answered, Problem>,
    ) -> Result<Response, Problem> {
        let answer = match answer {
            Ok(Answered::Committed(response)) => return Ok(response),
            Ok(Answered::Uncommitted(response)) => Ok(response),
            Err(problem) => Err(problem),
        };
        match self.auth.refresh(&entered.caller).await {
            Ok(_) => answer,
            Err(AuthError::Invalid) => Err(refusals::unauthorized()),
            // Nothing can be looked up. A refusal tells nothing that is not in the request; anything else does.
            Err(AuthError::Store(error)) => answer.and_then(|_| Err(refusals::store(&error))),
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
