//! The way into `POST /send`: key, limit, then the call; and its way out, with the figures of the limit.

use super::{Aegis, AegisError};
use crate::auth::{AuthError, Freshness};
use crate::limits::{LimitKey, Scope};
use crate::surfaces::http::admission::{self, Answered, Entered};
use crate::surfaces::http::exchange::Exchange;
use axum::response::Response;
use http::{HeaderMap, HeaderName};

/// The surface's name in metrics.
pub(super) const SURFACE: &str = "aegis";
/// The endpoint, for limits and idempotency keys.
pub(super) const ENDPOINT: &str = "aegis/send";
/// Where the key stands.
pub(in crate::surfaces) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

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
            // Nobody is known while the store cannot be asked, and nothing counts: the figures are the address's.
            Err(error) => {
                let stand =
                    admission::stand(&self.limits, exchange, self.per_address, self.clock.now()).await;
                return Err(AegisError::from(error).with_figures(&stand));
            }
        };
        let id = caller.credential.id.as_u128();
        let own = match caller.credential.rate_limit {
            // A limit of the key's own holds over all surfaces together.
            Some(rate) => (LimitKey::number(Scope::Credential, id), rate),
            None => (LimitKey::both(Scope::Endpoint, id, ENDPOINT), self.per_key),
        };
        let address = (LimitKey::address(Scope::Address, exchange.client_address()), self.per_address);
        let stand = admission::admit(&self.limits, &self.metrics, [own, address], self.clock.now()).await;
        let decision = stand.map_err(|refused| AegisError::too_many(&refused))?;
        Ok(Entered { caller, decision })
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
        let outcome = admission::confirm(outcome, self.still_good(headers)).await;
        entered.finish(outcome.unwrap_or_else(|error| error.into_response(self.clock.now())))
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
