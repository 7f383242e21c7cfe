//! The way into `POST /send`: key, limit, then the call; and its way out, with the figures of the limit.

use super::{Aegis, AegisError};
use crate::auth::{AuthError, Caller, Freshness};
use crate::limits::{Decision, LimitKey, Scope};
use crate::surfaces::http::exchange::Exchange;
use crate::surfaces::http::rate_headers;
use axum::response::Response;
use http::{HeaderMap, HeaderName};

/// The surface's name in metrics.
pub(super) const SURFACE: &str = "aegis";
/// The endpoint, for limits and idempotency keys.
pub(super) const ENDPOINT: &str = "aegis/send";
/// Where the key stands.
pub(in crate::surfaces) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What a call that usually commits has to say.
pub(super) enum Answered {
    /// Stored: the commit found the key good.
    Committed(Response),
    /// Nothing was stored.
    Uncommitted(Response),
}

/// A caller that was let in, with how it stands against its limit.
pub(super) struct Entered {
    pub caller: Caller,
    decision: Decision,
}

impl Entered {
    /// How the caller stands against its limit, as a sentence.
    pub fn limits(&self) -> String {
        format!("{} of {} requests left", self.decision.remaining, self.decision.limit)
    }
}

impl Aegis {
    /// Lets a caller in and counts the request: 401 for a key that does not work, 429 over a limit, which is not counted.
    pub(super) async fn enter(
        &self,
        exchange: &Exchange,
        headers: &HeaderMap,
    ) -> Result<Entered, AegisError> {
        let found = match presented(headers) {
            Some(key) => self.auth.classic_or_api_key(key, Freshness::CheckedByCommit).await,
            None => Err(AuthError::Invalid),
        };
        let caller = match found {
            Ok(caller) => caller,
            Err(AuthError::Invalid) => return Err(self.stranger(exchange, AegisError::key()).await),
            Err(error) => return Err(error.into()),
        };
        let id = caller.credential.id.as_u128();
        let own = match caller.credential.rate_limit {
            // A limit of the key's own holds over all surfaces together.
            Some(rate) => (LimitKey::number(Scope::Credential, id), rate),
            None => (LimitKey::both(Scope::Endpoint, id, ENDPOINT), self.per_key),
        };
        let address = (LimitKey::address(Scope::Address, exchange.client_address()), self.per_address);
        match self.limits.admit(&[own, address], self.clock.now()).await {
            // The figures shown are the key's own: the address's belong to everyone behind it.
            Ok(stands) => match stands.first() {
                Some(decision) => Ok(Entered { caller, decision: *decision }),
                None => Err(AegisError::internal()),
            },
            Err((place, refused)) => {
                self.metrics.rate_limited(if place == 0 { "key" } else { "ip" });
                Err(AegisError::too_many(&refused))
            }
        }
    }

    /// The answer of the endpoint, with the figures of the limit. Where no commit has looked whether the key still works,
    /// the store is asked.
    pub(super) async fn finish(
        &self,
        entered: &Entered,
        headers: &HeaderMap,
        outcome: Result<Answered, AegisError>,
    ) -> Response {
        if let Err(error) = &outcome {
            self.metrics.refused(SURFACE, error.code());
        }
        let outcome = match outcome {
            Ok(Answered::Committed(response)) => Ok(response),
            Ok(Answered::Uncommitted(response)) => self.still_good(headers).await.map(|()| response),
            Err(error) => Err(self.still_good(headers).await.err().unwrap_or(error)),
        };
        let mut response = outcome.unwrap_or_else(|error| error.into_response(self.clock.now()));
        // This request was let in, also when it was the last one for now.
        rate_headers::write(response.headers_mut(), &Decision { allowed: true, ..entered.decision });
        response
    }

    /// Nobody that is known: counted by address, so that a key that people chose is not found by trying.
    pub(super) async fn stranger(&self, exchange: &Exchange, refusal: AegisError) -> AegisError {
        let key = LimitKey::address(Scope::Address, exchange.client_address());
        let decision = self.limits.check(key, self.per_address, self.clock.now()).await;
        if decision.allowed {
            return refusal.with_figures(&decision);
        }
        self.metrics.rate_limited("ip");
        AegisError::too_many(&decision)
    }

    async fn still_good(&self, headers: &HeaderMap) -> Result<(), AegisError> {
        let key = presented(headers).ok_or_else(AegisError::key)?;
        self.auth.classic_or_api_key(key, Freshness::Now).await?;
        Ok(())
    }
}

/// The one key of a request.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let mut lines = headers.get_all(API_KEY).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    // A classic key is chosen by people, and may hold other characters than ASCII.
    std::str::from_utf8(line.as_bytes()).ok()
}
