//! How a limited call is let in and answered, whatever its dialect: it is counted on the way in, and its answer shows
//! how the caller stands against its limit.
//!
//! A call that usually commits is let in by what is remembered of its credential, and its commit looks whether that is
//! still true. What such a call answers without a commit (a fault, a replay) is looked at by [`confirm`].

use super::exchange::Exchange;
use super::rate_headers;
use crate::auth::Caller;
use crate::base::metrics::Metrics;
use crate::limits::{Decision, LimitKey, Limits, Scope};
use axum::response::Response;
use posthaste_model::{Rate, Timestamp};

/// A caller that was let in, with how it stands against its limit.
pub struct Entered {
    /// Who is calling.
    pub caller: Caller,
    /// The figures of its answers.
    pub decision: Option<Decision>,
}

impl Entered {
    /// How the caller stands against its limit, as a sentence.
    pub fn limits(&self) -> Option<String> {
        self.decision.map(|stand| format!("{} of {} requests left", stand.remaining, stand.limit))
    }

    /// The call's answer, with the figures of the limit.
    pub fn finish(&self, mut response: Response) -> Response {
        if let Some(decision) = self.decision {
            // This request was let in, also when it was the last one for now.
            rate_headers::write(response.headers_mut(), &Decision { allowed: true, ..decision });
        }
        response
    }
}

/// Counts a request against the caller's own limit and against that of its address, or against neither. How it stands
/// against its own, or against the one that refuses it.
pub async fn admit(
    limits: &Limits,
    metrics: &Metrics,
    [own, address]: [(LimitKey<'_>, Rate); 2],
    now: Timestamp,
) -> Result<Option<Decision>, Decision> {
    match limits.admit(&[own, address], now).await {
        // The figures shown are the caller's own: the address's belong to everyone behind it.
        Ok(stands) => Ok(stands.first().copied()),
        Err((place, refused)) => {
            metrics.rate_limited(if place == 0 { "key" } else { "ip" });
            Err(refused)
        }
    }
}

/// How the address of a caller whom nobody knows stands; its request does not count.
pub async fn stand(limits: &Limits, exchange: &Exchange, per_address: Rate, now: Timestamp) -> Decision {
    let key = LimitKey::address(Scope::Address, exchange.client_address());
    Decision { allowed: true, ..limits.peek(key, per_address, now).await }
}

/// What a call that usually commits has to say.
pub enum Answered {
    /// Stored: the commit found the credential good.
    Committed(Response),
    /// Nothing was stored.
    Uncommitted(Response),
}

/// The call's answer. Where no commit has looked whether the credential still works, `still_good` does, and its refusal
/// goes before any other.
pub async fn confirm<E>(
    outcome: Result<Answered, E>,
    still_good: impl Future<Output = Result<(), E>>,
) -> Result<Response, E> {
    match outcome {
        Ok(Answered::Committed(response)) => Ok(response),
        Ok(Answered::Uncommitted(response)) => still_good.await.map(|()| response),
        Err(error) => Err(still_good.await.err().unwrap_or(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use http::StatusCode;

    fn answer() -> Response {
        Response::new(Body::empty())
    }

    #[tokio::test]
    async fn only_what_no_commit_has_looked_at_is_confirmed() {
        let of = async |outcome: Result<Answered, &'static str>, still: Result<(), &'static str>| {
            confirm(outcome, async { still }).await.map(|response| response.status())
        };
        assert_eq!(of(Ok(Answered::Committed(answer())), Err("revoked")).await, Ok(StatusCode::OK));
        assert_eq!(of(Ok(Answered::Uncommitted(answer())), Ok(())).await, Ok(StatusCode::OK));
        assert_eq!(of(Ok(Answered::Uncommitted(answer())), Err("revoked")).await, Err("revoked"));
        assert_eq!(of(Err("a fault"), Ok(())).await, Err("a fault"));
        assert_eq!(of(Err("a fault"), Err("revoked")).await, Err("revoked"));
    }

    #[tokio::test]
    async fn figures_are_the_callers_own_and_refusals_those_of_the_limit() {
        let (limits, metrics, now) = (Limits::memory(), Metrics::new(), Timestamp::from_millis(0));
        let own = (LimitKey::number(Scope::Credential, 1), Rate::per_seconds(2, 60));
        let address = (LimitKey::number(Scope::Address, 1), Rate::per_seconds(1, 60));
        let first = admit(&limits, &metrics, [own, address], now).await.unwrap().unwrap();
        assert_eq!((first.limit, first.remaining), (2, 1));
        let refused = admit(&limits, &metrics, [own, address], now).await.unwrap_err();
        assert_eq!((refused.limit, refused.allowed), (1, false));
    }
}
